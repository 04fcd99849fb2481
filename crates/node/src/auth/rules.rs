//! All rules together. They are replaced whole when the configuration changes.

use super::jwt::{RuleError, Tokens, Wanted};
use super::keys::{Key, KeyStore, Keys, StoreError};
use super::signed_url::{UrlKeys, is_signed};
use super::vhosts::{self, Policy, Publishers, Resolved, Vhosts};
use super::webhook::ClientError;
use super::{Action, Ask, Refusal, Rule, query_value, same_secret};
use crate::config::{Access, BFrames, Config, PublishUser};
use crate::sessions::Session;
use crate::stage::Muting;
use hub::BroadcastPath;
use rtmp::adobe::Answer;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// All rules.
#[derive(Debug)]
pub(super) struct Rules {
    vhosts: Vhosts,
    keys: Keys,
    tokens: Tokens,
    urls: UrlKeys,
    users: Vec<PublishUser>,
    demand_user: bool,
    /// Whether a webhook decides about publishers, and about viewers.
    asks: [bool; 2],
    pub(super) publisher_idle: Duration,
}

/// Why rules can't be made of a configuration.
#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    /// A key for tokens.
    #[error(transparent)]
    Token(#[from] RuleError),
    /// The stream keys that were made at run time.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What challenges are signed with.
    #[error("{0}")]
    Random(std::io::Error),
    /// The webhooks' client.
    #[error(transparent)]
    Hooks(#[from] ClientError),
}

/// Who somebody showed to be, and until when.
#[derive(Clone, Debug, Default)]
struct Shown {
    who: Option<String>,
    expires: Option<SystemTime>,
}

/// What a request that was allowed may have.
#[derive(Clone, Debug)]
pub(super) struct Allowed {
    pub(super) path: BroadcastPath,
    pub(super) vhost: Arc<str>,
    pub(super) collision: hub::Collision,
    pub(super) rule: Rule,
    /// When it ends.
    pub(super) expires: Option<SystemTime>,
    /// The name of the key, or the subject of the token.
    pub(super) who: Option<String>,
    /// What of a publisher reaches nobody.
    pub(super) muting: Muting,
}

impl Allowed {
    /// A path of any vhost, by no rule of these.
    pub(super) fn whole(path: BroadcastPath) -> Allowed {
        Allowed {
            path,
            vhost: vhosts::DEFAULT.into(),
            collision: hub::Collision::Reject,
            rule: Rule::Pull,
            expires: None,
            who: None,
            muting: Muting::default(),
        }
    }
}

impl Rules {
    /// Those of a configuration, and of the stream keys made at run time.
    pub(super) fn new(config: &Config, store: &KeyStore) -> Result<Rules, RulesError> {
        let configured = config.publish.key.iter().filter_map(Key::from_config);
        Ok(Rules {
            vhosts: Vhosts::new(config),
            keys: Keys::new(configured.chain(store.read()?)),
            tokens: Tokens::new(&config.auth.jwt)?,
            urls: UrlKeys::new(&config.auth.url),
            users: config.publish.user.clone(),
            demand_user: config.publish.demand_user,
            asks: [!config.webhook.publish.is_empty(), !config.webhook.play.is_empty()],
            publisher_idle: config.publish.idle.0,
        })
    }

    pub(super) fn somebody_may_publish(&self) -> bool {
        self.vhosts.policies().any(|policy| match policy.publish {
            Publishers::Anyone => true,
            Publishers::Nobody => false,
            Publishers::Credential => {
                policy.stream_key.is_some() || self.has_credentials() || self.asks(Action::Publish)
            }
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

    /// What viewers by WebRTC get of a broadcast's B-frames.
    pub(super) fn b_frames(&self, path: &BroadcastPath) -> BFrames {
        self.vhosts.of_path(path).map_or(BFrames::default(), |(_, _, policy)| policy.b_frames)
    }

    /// Whether a running session would be allowed again.
    pub(super) fn still_allow(&self, session: &Session) -> bool {
        match session.rule {
            // Whoever removes the pull ends it, and so does the stage.
            Rule::Pull | Rule::Stage => true,
            Rule::Local => self.decide_here(&session.ask, session.began).is_ok(),
        }
    }

    /// Decides by what is configured here, without asking anybody.
    pub(super) fn decide_here(&self, ask: &Ask, now: SystemTime) -> Result<Allowed, Refusal> {
        let Resolved { path, vhost, policy } = self.vhosts.resolve(ask)?;
        let Shown { who, expires } = match ask.action {
            Action::Publish => self.may_publish(ask, &path, policy, now)?,
            Action::Play => self.may_play(ask, &path, policy, now)?,
        };
        let muting = Muting::default();
        Ok(Allowed { path, vhost, collision: policy.collision, rule: Rule::Local, expires, who, muting })
    }

    /// The whole path of what is asked for, and its vhost, for who decides by another rule. What is closed to everybody stays so.
    pub(super) fn whole(&self, ask: &Ask) -> Result<(BroadcastPath, Arc<str>), Refusal> {
        let Resolved { path, vhost, policy } = self.vhosts.resolve(ask)?;
        match ask.action {
            Action::Publish if policy.publish == Publishers::Nobody => Err(Refusal::PublishClosed),
            Action::Play if policy.play == Access::Nobody => Err(Refusal::PlayClosed),
            _ => Ok((path, vhost)),
        }
    }

    /// Whether a webhook decides, alone or after these rules.
    fn asks(&self, action: Action) -> bool {
        self.asks[action as usize]
    }

    /// Whether there is any key beside those of vhosts and apps.
    fn has_credentials(&self) -> bool {
        !self.users.is_empty() || self.has_keys()
    }

    /// The same without users.
    fn has_keys(&self) -> bool {
        !(self.keys.is_empty() && self.tokens.is_empty() && self.urls.is_empty())
    }

    pub(super) fn has_users(&self) -> bool {
        !self.users.is_empty()
    }

    /// Whether a publisher that connects to an app, and showed nothing yet, is to be asked for its user. `ask` is for any name in it.
    pub(super) fn demands_user(&self, ask: &Ask) -> bool {
        let Ok(Resolved { path, policy, .. }) = self.vhosts.resolve(ask) else { return false };
        let (app, _) = path.as_str().rsplit_once('/').unwrap_or_default();
        let others = policy.stream_key.is_some() || self.has_keys() || self.asks(Action::Publish);
        let shows = ["key", "token", "sig"].iter().any(|name| query_value(&ask.query, name).is_some());
        policy.publish == Publishers::Credential
            && (self.demand_user || !others)
            && !shows
            && self.users.iter().any(|user| user.path.reaches(app))
    }

    /// Which user somebody showed to be.
    pub(super) fn user(&self, answer: &Answer) -> Result<&PublishUser, Refusal> {
        let user = self.users.iter().find(|user| user.name == answer.user());
        user.filter(|user| answer.proves(&user.password)).ok_or(Refusal::User)
    }

    /// What a user may publish.
    fn user_may_publish(&self, answer: &Answer, path: &BroadcastPath) -> Result<Shown, Refusal> {
        let user = self.user(answer)?;
        if !user.path.matches(path) {
            return Err(Refusal::UserPath);
        }
        Ok(Shown { who: Some(user.name.clone()), expires: None })
    }

    fn may_publish(
        &self,
        ask: &Ask,
        path: &BroadcastPath,
        policy: &Policy,
        now: SystemTime,
    ) -> Result<Shown, Refusal> {
        match policy.publish {
            Publishers::Anyone => return Ok(Shown::default()),
            Publishers::Nobody => return Err(Refusal::PublishClosed),
            Publishers::Credential => {}
        }
        if let Some(shown) = self.signed(ask, path, now) {
            return shown;
        }
        if policy.stream_key.is_none() && !self.has_credentials() {
            // Without any key of ours the webhook decides alone.
            return if self.asks(Action::Publish) { Ok(Shown::default()) } else { Err(Refusal::NobodyMay) };
        }
        let key = query_value(&ask.query, "key");
        if let Some(answer) = &ask.login {
            let shown = self.user_may_publish(answer, path);
            if shown.is_ok() || key.is_none() {
                return shown;
            }
        }
        match (key, &policy.stream_key) {
            (None, None) if !self.has_keys() => Err(Refusal::UserMissing),
            (None, _) => Err(Refusal::KeyMissing),
            (Some(given), Some(key)) if same_secret(given, key) => Ok(Shown::default()),
            (Some(given), _) => {
                let accepted = self.keys.check(given, path, now)?;
                Ok(Shown { who: Some(accepted.id), expires: accepted.expires })
            }
        }
    }

    fn may_play(
        &self,
        ask: &Ask,
        path: &BroadcastPath,
        policy: &Policy,
        now: SystemTime,
    ) -> Result<Shown, Refusal> {
        match policy.play {
            Access::Anyone => Ok(Shown::default()),
            Access::Nobody => Err(Refusal::PlayClosed),
            Access::Credential
                if self.tokens.is_empty() && self.urls.is_empty() && self.asks(Action::Play) =>
            {
                Ok(Shown::default())
            }
            Access::Credential => self.signed(ask, path, now).unwrap_or(Err(Refusal::TokenMissing)),
        }
    }

    /// What a token or a signed URL allows; `None` if there is neither.
    fn signed(&self, ask: &Ask, path: &BroadcastPath, now: SystemTime) -> Option<Result<Shown, Refusal>> {
        let peer = ask.peer.ip().to_canonical();
        // Without keys of ours, tokens and signatures are for the webhook to judge.
        // A publisher's bearer without dots is a stream key, which its gateway put into the query (RFC 7519 §7.1).
        let bearer = ask.bearer.as_deref().filter(|text| ask.action == Action::Play || text.contains('.'));
        let shown = query_value(&ask.query, "token").or(bearer);
        if let Some(token) = shown.filter(|_| !self.tokens.is_empty()) {
            let wanted = Wanted { action: ask.action, path, peer };
            return Some(match self.tokens.verify(token, &wanted, now) {
                Ok(token) => {
                    Ok(Shown { who: token.subject.or(Some(token.rule)), expires: Some(token.expires) })
                }
                Err(error) => Err(error.into()),
            });
        }
        (!self.urls.is_empty() && is_signed(&ask.query)).then(|| {
            match self.urls.verify(&ask.query, ask.action, path, peer, now) {
                Ok(url) => Ok(Shown { who: Some(url.kid), expires: Some(url.expires) }),
                Err(error) => Err(error.into()),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::jwt::TokenError;
    use crate::auth::keys::KeyError;

    fn refusal(toml: &str, action: Action, query: &str) -> Option<Refusal> {
        let nowhere = KeyStore::new(std::path::Path::new("/nonexistent"));
        let rules = Rules::new(&toml::from_str(toml).unwrap(), &nowhere).unwrap();
        let ask = Ask { action, query: query.to_owned(), ..Ask::for_test("live/x") };
        rules.decide_here(&ask, SystemTime::UNIX_EPOCH).err()
    }

    #[test]
    fn nobody_publishes_without_the_configured_key() {
        let keyed = "[publish]\nstream_key = 's3cret'";
        assert_eq!(refusal(keyed, Action::Publish, "key=s3cret"), None);
        assert_eq!(refusal(keyed, Action::Publish, "a=b&key=s3cret"), None);
        assert_eq!(refusal(keyed, Action::Publish, "key=s3cre"), Some(Refusal::Key(KeyError::Unknown)));
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

    const KEYS: &str = "[play]\naccess = 'credential'\n[[publish.key]]\nid = 'alice'\nsecret = 'of-alice'\npath = 'live/alice'\n\
        [[auth.jwt]]\nsecret = '0123456789abcdef0123456789abcdef'\n";

    #[test]
    fn a_key_is_good_for_its_path_only() {
        assert_eq!(refusal(KEYS, Action::Publish, "key=of-alice"), Some(Refusal::Key(KeyError::Path)));
        assert_eq!(refusal(KEYS, Action::Publish, "key=of-bob"), Some(Refusal::Key(KeyError::Unknown)));
        assert_eq!(refusal(KEYS, Action::Publish, ""), Some(Refusal::KeyMissing));
        let mine = KEYS.replace("live/alice", "live/*");
        assert_eq!(refusal(&mine, Action::Publish, "key=of-alice"), None);
    }

    #[test]
    fn a_token_that_is_shown_is_checked_even_beside_a_good_key() {
        let mine = KEYS.replace("live/alice", "live/*");
        let expect = Some(Refusal::Token(TokenError::Malformed(
            "its header can't be read, or names an algorithm that nobody may use",
        )));
        assert_eq!(refusal(&mine, Action::Publish, "key=of-alice&token=x"), expect);
        assert_eq!(refusal(&mine, Action::Play, "token=x"), expect);
        assert_eq!(refusal(&mine, Action::Play, "key=of-alice"), Some(Refusal::TokenMissing));
    }
    #[test]
    fn a_bearer_that_is_a_stream_key_is_no_token() {
        let nowhere = KeyStore::new(std::path::Path::new("/nonexistent"));
        let toml = format!("[publish]\nstream_key = 's3cret'\n{KEYS}")
            .replace("[play]\naccess = 'credential'\n", "");
        let rules = Rules::new(&toml::from_str(&toml).unwrap(), &nowhere).unwrap();
        let ask = |query: &str, bearer: &str| Ask {
            action: Action::Publish,
            query: query.to_owned(),
            bearer: Some(bearer.to_owned()),
            ..Ask::for_test("live/x")
        };
        let refusal = |ask: &Ask| rules.decide_here(ask, SystemTime::UNIX_EPOCH).err();
        assert_eq!(refusal(&ask("key=s3cret", "s3cret")), None);
        assert_eq!(refusal(&ask("key=other", "other")), Some(Refusal::Key(KeyError::Unknown)));
        assert!(matches!(refusal(&ask("key=s3cret", "a.b.c")), Some(Refusal::Token(_))), "it is checked");
    }
}
