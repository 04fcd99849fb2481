//! All rules together. They are replaced whole when the configuration changes.

use super::vhosts::{Policy, Publishers, Vhosts};
use super::{Action, Ask, Refusal, Rule, query_value, same_secret};
use crate::config::{Access, Config};
use crate::sessions::Session;
use hub::BroadcastPath;
use std::time::{Duration, SystemTime};

/// All rules.
#[derive(Debug)]
pub(super) struct Rules {
    vhosts: Vhosts,
    pub(super) publisher_idle: Duration,
}

/// What a request that was allowed may have.
#[derive(Clone, Debug)]
pub(super) struct Allowed {
    pub(super) path: BroadcastPath,
    pub(super) collision: hub::Collision,
    pub(super) rule: Rule,
    /// When it ends.
    pub(super) expires: Option<SystemTime>,
}

impl Rules {
    pub(super) fn new(config: &Config) -> Rules {
        Rules { vhosts: Vhosts::new(config), publisher_idle: config.publish.idle.0 }
    }

    pub(super) fn somebody_may_publish(&self) -> bool {
        self.vhosts.policies().any(|policy| match policy.publish {
            Publishers::Anyone => true,
            Publishers::Nobody => false,
            Publishers::Credential => policy.stream_key.is_some(),
        })
    }

    /// The vhost that a host and a query mean.
    pub(super) fn vhost(&self, host: Option<&str>, query: &str) -> Option<String> {
        self.vhosts.vhost_of(host, query).ok().map(str::to_owned)
    }

    /// How a broadcast is called within a vhost, if anyone may play it.
    pub(super) fn shown(&self, vhost: &str, path: &BroadcastPath) -> Option<BroadcastPath> {
        self.vhosts.shown(vhost, path)
    }

    /// Decides.
    pub(super) async fn decide(&self, ask: &Ask) -> Result<Allowed, Refusal> {
        self.decide_here(ask, SystemTime::now())
    }

    /// Whether a running session would be allowed again.
    pub(super) fn still_allow(&self, session: &Session) -> bool {
        match session.rule {
            // Whoever removes the pull ends it.
            Rule::Pull => true,
            Rule::Local => self.decide_here(&session.ask, session.began).is_ok(),
        }
    }

    /// Decides by what is configured here, without asking anybody.
    fn decide_here(&self, ask: &Ask, now: SystemTime) -> Result<Allowed, Refusal> {
        let (path, policy) = self.vhosts.resolve(ask)?;
        let expires = match ask.action {
            Action::Publish => self.may_publish(ask, policy, now)?,
            Action::Play => self.may_play(ask, policy, now)?,
        };
        Ok(Allowed { path, collision: policy.collision, rule: Rule::Local, expires })
    }

    fn may_publish(
        &self,
        ask: &Ask,
        policy: &Policy,
        _now: SystemTime,
    ) -> Result<Option<SystemTime>, Refusal> {
        match (policy.publish, &policy.stream_key) {
            (Publishers::Anyone, _) => Ok(None),
            (Publishers::Nobody, _) => Err(Refusal::PublishClosed),
            (Publishers::Credential, None) => Err(Refusal::NobodyMay),
            (Publishers::Credential, Some(key)) => match query_value(&ask.query, "key") {
                None => Err(Refusal::KeyMissing),
                Some(given) if same_secret(given, key) => Ok(None),
                Some(_) => Err(Refusal::KeyWrong),
            },
        }
    }

    fn may_play(&self, _ask: &Ask, policy: &Policy, _now: SystemTime) -> Result<Option<SystemTime>, Refusal> {
        match policy.play {
            Access::Anyone => Ok(None),
            Access::Credential => Err(Refusal::TokenMissing),
            Access::Nobody => Err(Refusal::PlayClosed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(toml: &str, action: Action, query: &str) -> Option<Refusal> {
        let rules = Rules::new(&toml::from_str(toml).unwrap());
        let ask = Ask { action, query: query.to_owned(), ..Ask::for_test("live/x") };
        rules.decide_here(&ask, SystemTime::UNIX_EPOCH).err()
    }

    #[test]
    fn nobody_publishes_without_the_configured_key() {
        let keyed = "[publish]\nstream_key = 's3cret'";
        assert_eq!(refusal(keyed, Action::Publish, "key=s3cret"), None);
        assert_eq!(refusal(keyed, Action::Publish, "a=b&key=s3cret"), None);
        assert_eq!(refusal(keyed, Action::Publish, "key=s3cre"), Some(Refusal::KeyWrong));
        assert_eq!(refusal(keyed, Action::Publish, ""), Some(Refusal::KeyMissing));
        assert_eq!(refusal("", Action::Publish, "key="), Some(Refusal::NobodyMay));
        assert_eq!(refusal("[publish]\nstream_key = ''", Action::Publish, "key="), Some(Refusal::NobodyMay));
    }

    #[test]
    fn playing_is_open_until_it_is_closed() {
        assert_eq!(refusal("", Action::Play, ""), None);
        assert_eq!(refusal("[play]\naccess = 'nobody'", Action::Play, ""), Some(Refusal::PlayClosed));
        assert_eq!(refusal("[play]\naccess = 'credential'", Action::Play, ""), Some(Refusal::TokenMissing));
    }
}
