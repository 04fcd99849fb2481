//! Webhooks as requests and sessions need them: asked about who comes, told about who left; replaced when the configuration
//! changes, while what waits to be told is still told.

use super::webhook::{ClientError, Ended, Event, HookRefusal, Hooks, Kind, Telling};
use super::{Action, Ask};
use crate::config::Webhook;
use crate::sessions::{self, Protocol, Role, Session, Sessions};
use arc_swap::ArcSwap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};
use tokio::task::JoinSet;

/// The hooks of a server.
#[derive(Debug)]
pub(super) struct Asking {
    config: Mutex<Webhook>,
    hooks: ArcSwap<Hooks>,
    telling: Mutex<Tasks>,
}

/// Those of a new configuration; `None` if nothing about them changed.
#[derive(Debug)]
pub(super) struct Prepared(Option<(Webhook, Hooks, Telling)>);

#[derive(Debug, Default)]
struct Tasks {
    now: Option<Telling>,
    /// Those of older configurations, which still tell.
    older: JoinSet<usize>,
}

/// How long hooks of an old configuration may go on telling.
const OLD_TELLING_MAX: Duration = Duration::from_secs(60);

impl Asking {
    pub(super) fn start(config: &Webhook, sessions: &Sessions) -> Result<Asking, ClientError> {
        let (hooks, telling) = Hooks::start(config, sessions.seed())?;
        sessions.tell_hooks(hooks.clone());
        Ok(Asking {
            config: Mutex::new(config.clone()),
            hooks: ArcSwap::from_pointee(hooks),
            telling: Mutex::new(Tasks { now: Some(telling), older: JoinSet::new() }),
        })
    }

    /// Whether hooks decide about such requests.
    pub(super) fn decide(&self, action: Action) -> bool {
        self.hooks.load().wants(kind(action))
    }

    /// Asks about a request; when the right ends, if a hook said so.
    pub(super) async fn ask(&self, ask: &Ask, vhost: &str) -> Result<Option<SystemTime>, HookRefusal> {
        let (kind, hooks) = (kind(ask.action), self.hooks.load_full());
        if !hooks.wants(kind) {
            return Ok(None);
        }
        Ok(hooks.ask(&event(kind, ask, vhost)).await?.expires)
    }

    pub(super) fn prepare(&self, config: &Webhook) -> Result<Prepared, ClientError> {
        if *self.config.lock().unwrap_or_else(PoisonError::into_inner) == *config {
            return Ok(Prepared(None));
        }
        let seed = u32::from_ne_bytes(crate::gateway::random_bytes().unwrap_or_default());
        let (hooks, telling) = Hooks::start(config, seed)?;
        Ok(Prepared(Some((config.clone(), hooks, telling))))
    }

    pub(super) fn apply(&self, prepared: Prepared, sessions: &Sessions) {
        let Prepared(Some((config, hooks, telling))) = prepared else { return };
        *self.config.lock().unwrap_or_else(PoisonError::into_inner) = config;
        sessions.tell_hooks(hooks.clone());
        self.hooks.store(Arc::new(hooks));
        let mut tasks = self.telling.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(old) = tasks.now.replace(telling) {
            tasks.older.spawn(old.drain(OLD_TELLING_MAX));
        }
    }

    /// Tells what is still waiting, for at most this long.
    pub(super) async fn finish(&self, within: Duration) {
        let Tasks { now, mut older } =
            std::mem::take(&mut *self.telling.lock().unwrap_or_else(PoisonError::into_inner));
        older.abort_all();
        if let Some(telling) = now {
            let untold = telling.drain(within).await;
            if untold > 0 {
                tracing::warn!(untold, "webhooks were not told of everything");
            }
        }
    }
}

/// What hooks hear about a session that is over.
pub(crate) fn tell(hooks: &Hooks, ended: &sessions::Ended) {
    let session = &*ended.session;
    let kind = match session.role {
        Role::Publisher => Kind::Unpublish,
        Role::Viewer => Kind::Unplay,
    };
    if hooks.wants(kind) {
        let over = Ended {
            reason: ended.reason.as_str().to_owned(),
            seconds: ended.after.as_secs_f64(),
            bytes: session.bytes(),
        };
        hooks.tell(&Event { ended: Some(over), session: Some(session.id.to_string()), ..of(kind, session) });
    }
}

fn kind(action: Action) -> Kind {
    match action {
        Action::Publish => Kind::Publish,
        Action::Play => Kind::Play,
    }
}

fn of(kind: Kind, session: &Session) -> Event {
    event(kind, &session.ask, &session.vhost)
}

fn event(kind: Kind, ask: &Ask, vhost: &str) -> Event {
    let (app, name) = ask.path.as_str().rsplit_once('/').unwrap_or((ask.path.as_str(), ""));
    Event {
        polls: ask.protocol == Protocol::Hls,
        event: kind,
        session: None,
        vhost: vhost.to_owned(),
        app: app.to_owned(),
        name: name.to_owned(),
        protocol: ask.protocol.as_str().to_owned(),
        address: Some(ask.peer.ip().to_canonical()),
        query: ask.query.clone(),
        bearer: ask.bearer.clone(),
        user_agent: ask.agent.clone(),
        ended: None,
        recording: None,
    }
}
