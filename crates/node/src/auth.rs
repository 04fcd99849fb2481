//! Who may publish and play. Only this file can make a grant.

use crate::config::{Collision, Publish};
use crate::metrics::Metrics;
use hub::{Broadcast, BroadcastPath, Demand, Hub, Producer};
use std::sync::Arc;
use std::time::Instant;

/// What a client asks for.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) path: BroadcastPath,
    /// The query of its URL or stream name.
    pub(crate) query: String,
}

/// Why a client is refused; the text is for its user.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("a stream key is needed: publish to …/NAME?key=YOUR_KEY")]
    KeyMissing,
    #[error("the stream key is wrong")]
    KeyWrong,
    #[error("this server has no stream key configured, so nobody can publish: set publish.stream_key")]
    NobodyMay,
    #[error("{0}")]
    Hub(#[from] hub::Error),
}

/// Decides.
#[derive(Debug)]
pub(crate) struct Auth {
    hub: Hub,
    rule: Rule,
    collision: hub::Collision,
    metrics: Arc<Metrics>,
}

#[derive(Debug)]
enum Rule {
    Anyone,
    Nobody,
    Key(String),
}

/// The right to publish one path.
#[derive(Debug)]
pub(crate) struct PublishGrant {
    hub: Hub,
    path: BroadcastPath,
    collision: hub::Collision,
}

/// The right to play one path.
#[derive(Debug)]
pub(crate) struct PlayGrant {
    hub: Hub,
    path: BroadcastPath,
}

impl Auth {
    pub(crate) fn new(hub: &Hub, publish: &Publish, metrics: &Arc<Metrics>) -> Auth {
        let rule = match &publish.stream_key {
            _ if publish.anyone => Rule::Anyone,
            Some(key) if !key.is_empty() => Rule::Key(key.clone()),
            _ => Rule::Nobody,
        };
        let collision = match publish.collision {
            Collision::Reject => hub::Collision::Reject,
            Collision::Takeover => hub::Collision::Takeover,
        };
        Auth { hub: hub.clone(), rule, collision, metrics: Arc::clone(metrics) }
    }

    pub(crate) fn decide_publish(&self, ask: &Ask) -> Result<PublishGrant, Refusal> {
        let decision = match &self.rule {
            Rule::Anyone => Ok(()),
            Rule::Nobody => Err(Refusal::NobodyMay),
            Rule::Key(key) => match query_value(&ask.query, "key") {
                None => Err(Refusal::KeyMissing),
                Some(given) if same_secret(given, key) => Ok(()),
                Some(_) => Err(Refusal::KeyWrong),
            },
        };
        match decision {
            Ok(()) => {
                Ok(PublishGrant { hub: self.hub.clone(), path: ask.path.clone(), collision: self.collision })
            }
            Err(refusal) => {
                self.metrics.refusals.inc();
                Err(refusal)
            }
        }
    }

    /// Playing is free; the grant is what later rules hang on.
    pub(crate) fn decide_play(&self, ask: &Ask) -> PlayGrant {
        PlayGrant { hub: self.hub.clone(), path: ask.path.clone() }
    }
}

impl PublishGrant {
    pub(crate) fn publish(self, now: Instant) -> Result<Producer, Refusal> {
        Ok(self.hub.publish(&self.path, self.collision, now)?)
    }
}

impl PlayGrant {
    /// The broadcast, or a wish for it that lasts as long as the demand is kept.
    pub(crate) fn play(self) -> Result<Arc<Broadcast>, Demand> {
        self.hub.broadcast(&self.path).ok_or_else(|| self.hub.demand(&self.path))
    }
}

/// The value of `name` in `a=b&c=d`.
fn query_value<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    query.split('&').find_map(|pair| pair.split_once('=').filter(|(k, _)| *k == name).map(|(_, v)| v))
}

/// Compares without telling by time how much was right.
fn same_secret(a: &str, b: &str) -> bool {
    aws_lc_rs::constant_time::verify_slices_are_equal(a.as_bytes(), b.as_bytes()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decide(publish: &Publish, query: &str) -> Option<Refusal> {
        let metrics = Arc::new(Metrics::new());
        let auth = Auth::new(&Hub::new(hub::Limits::default()), publish, &metrics);
        let path = BroadcastPath::parse("live/x").unwrap();
        auth.decide_publish(&Ask { path, query: query.to_owned() }).err()
    }

    #[test]
    fn nobody_publishes_without_the_configured_key() {
        let keyed = Publish { stream_key: Some("s3cret".into()), ..Publish::default() };
        assert_eq!(decide(&keyed, "key=s3cret"), None);
        assert_eq!(decide(&keyed, "a=b&key=s3cret"), None);
        assert_eq!(decide(&keyed, "key=s3cre"), Some(Refusal::KeyWrong));
        assert_eq!(decide(&keyed, ""), Some(Refusal::KeyMissing));
        assert_eq!(decide(&Publish::default(), "key="), Some(Refusal::NobodyMay));
        let empty = Publish { stream_key: Some(String::new()), ..Publish::default() };
        assert_eq!(decide(&empty, "key="), Some(Refusal::NobodyMay));
    }
}
