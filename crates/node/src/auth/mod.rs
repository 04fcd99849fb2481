//! Who may publish and play. Only this folder can make a grant.
//!
//! - [`vhosts`] which vhost and app a request means, and their rules
//! - [`rules`] all rules together, replaced whole when the configuration changes
//! - [`keys`], [`jwt`], [`signed_url`], [`webhook`] credentials, each alone; [`pattern`] which paths they are for
//! - [`login`] users by name and password, when they connect; [`logins`] the challenges that they answer
//! - [`mod@agent`] what clients say that they are
//! - [`asking`] webhooks as sessions and requests need them
//! - [`mod@stage`] what stages and matches open to whom, [`passes`] what they sign for it
//! - [`again`] what holds for the next request of a player that polls
//! - [`preview`] what the rules of a configuration would be
//! - [`grant`] what an accepted request gets

mod again;
mod agent;
mod asking;
mod grant;
pub mod jwt;
pub mod keys;
mod login;
mod logins;
mod passes;
pub mod pattern;
mod preview;
mod rules;
pub mod signed_url;
mod stage;
mod vhosts;
pub(crate) mod webhook;

pub(crate) use again::{Again, Shows};
pub(crate) use agent::agent;
pub(crate) use asking::tell;
pub(crate) use grant::{PlayGrant, Playing, PublishGrant};
pub use preview::somebody_may_publish;
pub use rules::RulesError;
pub(crate) use stage::Looker;
pub use webhook::ClientError;
pub(crate) use webhook::{Counts as HookCounts, Hooks};

use crate::config::{BFrames, Config};
use crate::metrics::Metrics;
use crate::pull::Fetchable;
use crate::sessions::{Ending, Protocol, Sessions};
use crate::stage::{StageError, Stages};
use arc_swap::ArcSwap;
use asking::Asking;
use hub::{BroadcastPath, Hub};
use keys::KeyStore;
use logins::Logins;
use rules::{Allowed, Rules};
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

/// What a client asks for.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) action: Action,
    /// App and name, without vhost.
    pub(crate) path: BroadcastPath,
    /// The host that it came to, with or without a port.
    pub(crate) host: Option<String>,
    /// The query of its URL or stream name.
    pub(crate) query: String,
    /// From `Authorization: Bearer …`.
    pub(crate) bearer: Option<String>,
    /// The user that it showed to be when it connected.
    pub(crate) login: Option<rtmp::adobe::Answer>,
    /// What it says that it is, as [`agent()`] makes it.
    pub(crate) agent: Option<String>,
    /// The real client.
    pub(crate) peer: SocketAddr,
    pub(crate) protocol: Protocol,
}

impl Ask {
    /// Whether both have the same credentials and come from one address.
    fn shows_as_much_as(&self, other: &Ask) -> bool {
        let bearers = [self, other].map(|ask| ask.bearer.as_deref().unwrap_or_default());
        same_secret(&self.query, &other.query)
            && same_secret(bearers[0], bearers[1])
            && self.login.is_none()
            && self.peer.ip() == other.peer.ip()
    }
}

/// What somebody wants to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Publish,
    Play,
}

impl Action {
    /// As in tokens, signed URLs and webhooks.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Action::Publish => "publish",
            Action::Play => "play",
        }
    }
}

/// What allowed a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    /// The configuration and its keys.
    Local,
    /// A configured pull.
    Pull,
    /// A pass of a stage or a match.
    Stage,
}

/// Why a client is refused; the text is for its user.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("a stream key is needed: publish to …/NAME?key=YOUR_KEY")]
    KeyMissing,
    #[error("{0}")]
    Key(#[from] keys::KeyError),
    #[error(
        "user and password are needed: publish to rtmp://USER:PASSWORD@HOST/APP/NAME, or turn on authentication in your encoder"
    )]
    UserMissing,
    #[error("user or password is wrong")]
    User,
    #[error("the user may not publish here")]
    UserPath,
    #[error("{0}")]
    Token(#[from] jwt::TokenError),
    #[error("{0}")]
    Url(#[from] signed_url::UrlError),
    #[error(
        "this server has no stream key configured, so nobody can publish: set publish.stream_key, or make a key by floodtide ctl key add"
    )]
    NobodyMay,
    #[error("nobody may publish here")]
    PublishClosed,
    #[error("a token is needed to play: …?token=YOUR_TOKEN")]
    TokenMissing,
    #[error("nobody may play here")]
    PlayClosed,
    #[error("unknown vhost {0}")]
    UnknownVhost(String),
    #[error("unknown app {0}")]
    UnknownApp(String),
    #[error("{0}")]
    Stage(#[from] StageError),
    #[error("{0}")]
    Hook(#[from] webhook::HookRefusal),
    #[error("{0}")]
    Path(#[from] hub::path::PathError),
    #[error("{0}")]
    Hub(#[from] hub::Error),
}

impl Refusal {
    /// What [`Refusal::code`] may say.
    pub(crate) const CODES: [&'static str; 16] = [
        "webhook",
        "stage",
        "key_missing",
        "key_wrong",
        "user_missing",
        "user_wrong",
        "token",
        "signed_url",
        "nobody_may",
        "publish_closed",
        "token_missing",
        "play_closed",
        "unknown_vhost",
        "unknown_app",
        "path",
        "hub",
    ];

    /// Its name in metrics.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Refusal::KeyMissing => "key_missing",
            Refusal::Key(_) => "key_wrong",
            Refusal::UserMissing => "user_missing",
            Refusal::User | Refusal::UserPath => "user_wrong",
            Refusal::Token(_) => "token",
            Refusal::Url(_) => "signed_url",
            Refusal::NobodyMay => "nobody_may",
            Refusal::PublishClosed => "publish_closed",
            Refusal::TokenMissing => "token_missing",
            Refusal::PlayClosed => "play_closed",
            Refusal::UnknownVhost(_) => "unknown_vhost",
            Refusal::UnknownApp(_) => "unknown_app",
            Refusal::Stage(_) => "stage",
            Refusal::Hook(_) => "webhook",
            Refusal::Path(_) => "path",
            Refusal::Hub(_) => "hub",
        }
    }
}

/// Decides. One per process.
#[derive(Debug)]
pub(crate) struct Auth {
    hub: Hub,
    sessions: Sessions,
    rules: ArcSwap<Rules>,
    fetchable: Fetchable,
    hooks: Asking,
    keys: KeyStore,
    logins: Logins,
    door: stage::Door,
    /// What the process shows that takes over.
    successor: OnceLock<String>,
    metrics: Arc<Metrics>,
}

impl Auth {
    /// Viewers of what is `fetchable` wait a while for it.
    pub(crate) fn new(
        hub: &Hub,
        sessions: &Sessions,
        (fetchable, stages): (&Fetchable, &Stages),
        config: &Config,
        keys: KeyStore,
        metrics: &Arc<Metrics>,
    ) -> Result<Auth, RulesError> {
        let rules = ArcSwap::from_pointee(Rules::new(config, &keys)?);
        let passes = passes::Passes::new(&crate::gateway::random_bytes().map_err(RulesError::Random)?);
        let key = crate::gateway::random_bytes().map_err(RulesError::Random)?;
        let hooks = Asking::start(&config.webhook, sessions)?;
        Ok(Auth {
            hooks,
            hub: hub.clone(),
            sessions: sessions.clone(),
            rules,
            fetchable: fetchable.clone(),
            keys,
            logins: Logins::new(&key),
            door: stage::Door { stages: stages.clone(), passes },
            successor: OnceLock::new(),
            metrics: Arc::clone(metrics),
        })
    }

    /// The stream keys that are made at run time.
    pub(crate) fn keys(&self) -> &KeyStore {
        &self.keys
    }

    /// Decides about a publisher.
    pub(crate) async fn publish(&self, ask: Ask) -> Result<PublishGrant, Refusal> {
        match self.decide(&ask).await {
            Ok(allowed) => Ok(PublishGrant::new(&self.hub, &self.sessions, ask, allowed)),
            Err(refusal) => Err(self.refused(refusal)),
        }
    }

    /// Decides about somebody who wants to see how a broadcast comes in: whoever may publish there. Who publishes already is known, so
    /// that webhooks, for which each question is a publisher, hear of it once.
    pub(crate) async fn oversee(&self, ask: Ask) -> Result<PublishGrant, Refusal> {
        // As pages publish, for which alone the pass of a stage's member is good.
        let ask = Ask { protocol: Protocol::Whip, ..ask };
        let decided = match self.publishes(&ask) {
            Ok(true) => self.decide_unasked(&ask, SystemTime::now()),
            Ok(false) => self.decide(&ask).await,
            Err(refusal) => Err(refusal),
        };
        match decided {
            Ok(allowed) => Ok(PublishGrant::new(&self.hub, &self.sessions, ask, allowed)),
            Err(refusal) => Err(self.refused(refusal)),
        }
    }

    /// Whether the publisher of this path showed the same, from the same address.
    fn publishes(&self, ask: &Ask) -> Result<bool, Refusal> {
        let (path, _) = self.rules.load().whole(ask)?;
        let publisher = self.sessions.publisher(&path).filter(|session| session.rule != Rule::Pull);
        Ok(publisher.is_some_and(|session| session.ask.shows_as_much_as(ask)))
    }

    /// Decides about a viewer.
    pub(crate) async fn play(&self, ask: Ask) -> Result<PlayGrant, Refusal> {
        match self.decide(&ask).await {
            Ok(allowed) => Ok(PlayGrant::new(&self.hub, &self.sessions, &self.fetchable, ask, allowed)),
            Err(refusal) => Err(self.refused(refusal)),
        }
    }

    /// First by what is configured here, then by whoever else is asked.
    async fn decide(&self, ask: &Ask) -> Result<Allowed, Refusal> {
        if self.is_successor(ask) {
            return Ok(Allowed::whole(ask.path.clone()));
        }
        let allowed = self.decide_unasked(ask, SystemTime::now())?;
        // Whom a stage lets in is for nobody else to judge.
        if allowed.rule == Rule::Stage {
            return Ok(allowed);
        }
        match self.hooks.ask(ask, &allowed.vhost).await? {
            Some(end) => {
                let end = allowed.expires.map_or(end, |own| own.min(end));
                Ok(Allowed { expires: Some(end), ..allowed })
            }
            None => Ok(allowed),
        }
    }

    /// By stages and by what is configured here.
    fn decide_unasked(&self, ask: &Ask, now: SystemTime) -> Result<Allowed, Refusal> {
        match self.decide_on_stage(ask, now)? {
            Some(allowed) => Ok(allowed),
            None => self.rules.load().decide_here(ask, now),
        }
    }

    /// What a configured pull fetches needs no key: the configuration is the rule. Whoever publishes there keeps the seat.
    pub(crate) fn pull(&self, path: BroadcastPath, peer: SocketAddr, protocol: Protocol) -> PublishGrant {
        let ask = Ask {
            action: Action::Publish,
            path: path.clone(),
            host: None,
            query: String::new(),
            bearer: None,
            login: None,
            agent: None,
            peer,
            protocol,
        };
        let allowed = Allowed::whole(path);
        PublishGrant::new(&self.hub, &self.sessions, ask, allowed)
    }

    /// Opens every broadcast to who shows this secret: the process that takes over.
    pub(crate) fn open_to_successor(&self, secret: &str) {
        // Set once, at the start.
        let _ = self.successor.set(secret.to_owned());
    }

    /// A successor's question, whose path is whole.
    fn is_successor(&self, ask: &Ask) -> bool {
        let shown = query_value(&ask.query, "token");
        let (Some(secret), Some(shown)) = (self.successor.get(), shown) else { return false };
        ask.action == Action::Play && ask.peer.ip().is_loopback() && same_secret(shown, secret)
    }

    /// Whether there is any way to publish.
    pub(crate) fn somebody_may_publish(&self) -> bool {
        self.rules.load().somebody_may_publish()
    }

    /// A publisher that sends nothing for so long is closed.
    pub(crate) fn publisher_idle(&self) -> Duration {
        self.rules.load().publisher_idle
    }

    /// What viewers by WebRTC get of a broadcast's B-frames, by its whole path.
    pub(crate) fn b_frames(&self, path: &BroadcastPath) -> BFrames {
        self.rules.load().b_frames(path)
    }

    /// What a list shows to who comes to `host`.
    pub(crate) fn listing(&self, host: Option<&str>, query: &str) -> Listing {
        let rules = self.rules.load_full();
        let vhost = rules.vhost(host, query);
        Listing { rules, vhost }
    }

    /// Makes rules of a configuration, to be applied when everything else about it is good too.
    pub(crate) fn prepare(&self, config: &Config) -> Result<Prepared, RulesError> {
        Ok(Prepared { rules: Rules::new(config, &self.keys)?, hooks: self.hooks.prepare(&config.webhook)? })
    }

    /// Takes new rules, and ends the sessions that they don't allow any more. Returns how many.
    pub(crate) fn apply(&self, prepared: Prepared) -> usize {
        self.rules.store(Arc::new(prepared.rules));
        self.hooks.apply(prepared.hooks, &self.sessions);
        let rules = self.rules.load();
        let all = self.sessions.list();
        let revoked = all.iter().filter(|session| !rules.still_allow(session));
        revoked.map(|session| Sessions::end(session, Ending::Revoked)).count()
    }

    /// Tells webhooks what they still have to hear, for at most this long.
    pub(crate) async fn finish(&self, within: Duration) {
        self.hooks.finish(within).await;
    }

    fn refused(&self, refusal: Refusal) -> Refusal {
        self.metrics.refused(&refusal);
        refusal
    }
}

/// Rules that can be applied.
#[derive(Debug)]
pub(crate) struct Prepared {
    rules: Rules,
    hooks: asking::Prepared,
}

/// The broadcasts of one vhost that anyone may play.
#[derive(Debug)]
pub(crate) struct Listing {
    rules: Arc<Rules>,
    vhost: Option<String>,
}

impl Listing {
    /// How a broadcast is called there, if it is to be seen.
    pub(crate) fn shown(&self, path: &BroadcastPath) -> Option<BroadcastPath> {
        self.rules.shown(self.vhost.as_deref()?, path)
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
impl Ask {
    /// A viewer's, from this machine.
    pub(crate) fn for_test(path: &str) -> Ask {
        Ask {
            action: Action::Play,
            path: BroadcastPath::parse(path).unwrap(),
            host: None,
            query: String::new(),
            bearer: None,
            login: None,
            agent: None,
            peer: ([127, 0, 0, 1], 1).into(),
            protocol: Protocol::Flv,
        }
    }
}
