//! Players by HLS ask some four times a second, over one connection and with the same credentials. What was decided about such a
//! request holds for the next one too, as long as nothing has changed that it was decided by: the rules, what the player shows, who
//! it is, and the time until its right ends.

use super::grant::LookGrant;
use super::rules::Rules;
use super::{Action, Ask, Auth, Refusal, Rule};
use hub::BroadcastPath;
use std::net::IpAddr;
use std::sync::{Arc, Weak};
use std::time::SystemTime;

/// What was decided about the last request of a connection.
#[derive(Debug, Default)]
pub(crate) struct Again(Option<Box<Decided>>);

#[derive(Debug)]
struct Decided {
    ask: Ask,
    /// The rules that allowed it; replaced when the configuration changes.
    rules: Weak<Rules>,
    opens: BroadcastPath,
    at: SystemTime,
    expires: Option<SystemTime>,
}

/// What of a viewer's request decides whether it may look.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shows<'a> {
    pub(crate) path: &'a BroadcastPath,
    pub(crate) host: Option<&'a str>,
    pub(crate) query: &'a str,
    pub(crate) bearer: Option<&'a str>,
    pub(crate) peer: IpAddr,
}

/// How the directives of a playlist's query begin (RFC 8216bis §6.2.5), which open nothing.
const DIRECTIVES: &str = "_HLS_";

impl Decided {
    fn holds(&self, shows: &Shows<'_>, rules: &Arc<Rules>, now: SystemTime) -> bool {
        // A clock that is set back makes a token one of the future.
        let in_time = self.at <= now && self.expires.is_none_or(|end| now < end);
        in_time
            && self.rules.as_ptr() == Arc::as_ptr(rules)
            && self.ask.peer.ip() == shows.peer
            && self.ask.path == *shows.path
            && self.ask.host.as_deref() == shows.host
            && self.ask.bearer.as_deref() == shows.bearer
            && opening(&self.ask.query).eq(opening(shows.query))
    }
}

/// What of a query may open something.
fn opening(query: &str) -> impl Iterator<Item = &str> {
    query.split('&').filter(|pair| !pair.starts_with(DIRECTIVES))
}

impl Auth {
    /// What a viewer gets who shows the same as before.
    pub(crate) fn looks_again(&self, shows: &Shows<'_>, again: &Again) -> Option<LookGrant<'_>> {
        let decided = again.0.as_deref()?;
        // Webhooks keep answers as they were told to.
        let holds =
            !self.hooks.decide(Action::Play) && decided.holds(shows, &self.rules.load(), SystemTime::now());
        holds.then(|| LookGrant::new(&self.hub, &self.fetchable, decided.opens.clone()))
    }

    /// Decides about a viewer who looks at one file, and keeps that for the next one.
    pub(crate) async fn look(&self, ask: Ask, again: &mut Again) -> Result<LookGrant<'_>, Refusal> {
        again.0 = None;
        let (rules, at) = (Arc::downgrade(&self.rules.load()), SystemTime::now());
        let allowed = self.decide(&ask).await.map_err(|refusal| self.refused(refusal))?;
        // What a stage or another process opens isn't for the rules to say.
        if allowed.rule == Rule::Local && !self.hooks.decide(Action::Play) {
            let (opens, expires) = (allowed.path.clone(), allowed.expires);
            again.0 = Some(Box::new(Decided { ask, rules, opens, at, expires }));
        }
        Ok(LookGrant::new(&self.hub, &self.fetchable, allowed.path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::keys::KeyStore;
    use crate::config::Config;
    use std::time::Duration;

    fn rules() -> Arc<Rules> {
        let nowhere = KeyStore::new(std::path::Path::new("/nonexistent"));
        Arc::new(Rules::new(&Config::default(), &nowhere).unwrap())
    }

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn decided(rules: &Arc<Rules>) -> Decided {
        let ask = Ask {
            host: Some("a.example".to_owned()),
            query: "_HLS_msn=7&token=a.b.c&vhost=v".to_owned(),
            bearer: None,
            ..Ask::for_test("live/x")
        };
        let opens = BroadcastPath::parse("v/live/x").unwrap();
        Decided { ask, rules: Arc::downgrade(rules), opens, at: at(100), expires: Some(at(200)) }
    }

    #[test]
    fn the_same_is_decided_again_whatever_part_a_player_waits_for() {
        let rules = rules();
        let decided = decided(&rules);
        let path = BroadcastPath::parse("live/x").unwrap();
        let holds = |query| {
            let peer = [127, 0, 0, 1].into();
            let shows = Shows { path: &path, host: Some("a.example"), query, bearer: None, peer };
            decided.holds(&shows, &rules, at(150))
        };
        assert!(holds("token=a.b.c&vhost=v"));
        assert!(holds("token=a.b.c&_HLS_msn=8&_HLS_part=2&vhost=v&_HLS_skip=YES"));
        assert!(!holds("token=a.b.d&vhost=v"));
        assert!(!holds("token=a.b.c"));
        assert!(!holds("vhost=v&token=a.b.c"));
        assert!(!holds("token=a.b.c&vhost=v&sig=1"));
        assert!(!holds(""));
    }

    #[test]
    fn whatever_else_differs_is_decided_anew() {
        let (rules, others) = (rules(), rules());
        let decided = decided(&rules);
        let (path, other) =
            (BroadcastPath::parse("live/x").unwrap(), BroadcastPath::parse("live/y").unwrap());
        let query = "token=a.b.c&vhost=v";
        let same =
            Shows { path: &path, host: Some("a.example"), query, bearer: None, peer: [127, 0, 0, 1].into() };
        assert!(decided.holds(&same, &rules, at(100)) && decided.holds(&same, &rules, at(199)));
        assert!(!decided.holds(&same, &rules, at(200)), "its time is over");
        assert!(!decided.holds(&same, &rules, at(99)), "it came before");
        assert!(!decided.holds(&same, &others, at(150)), "the configuration changed");
        for differs in [
            Shows { path: &other, ..same },
            Shows { host: None, ..same },
            Shows { host: Some("b.example"), ..same },
            Shows { bearer: Some("a.b.c"), ..same },
            Shows { peer: [127, 0, 0, 2].into(), ..same },
        ] {
            assert!(!decided.holds(&differs, &rules, at(150)), "{differs:?}");
        }
    }
}
