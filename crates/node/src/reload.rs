//! New configuration for a running server: read whole, checked whole, then applied; or refused, and the old one stays.

use crate::auth::{Auth, Prepared, RulesError};
use crate::config::{Config, ConfigError, Layers};
use crate::limits::Limits;
use crate::logs::LogControl;
use crate::sessions::Sessions;
use hub::Hub;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// What a running server needs to take new settings. Clones share.
#[derive(Clone, Debug)]
pub struct Reloader(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    layers: Layers,
    running: Mutex<Arc<Config>>,
    auth: Arc<Auth>,
    hub: Hub,
    sessions: Sessions,
    limits: Limits,
    logs: OnceLock<LogControl>,
}

/// What a reload did.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Reloaded {
    /// Keys whose new values hold from now on.
    pub applied: Vec<String>,
    /// Keys whose new values hold after a restart.
    pub needs_restart: Vec<String>,
    /// Sessions that the new rules don't allow any more; they end within a second.
    pub revoked: usize,
}

/// Why the old configuration stays.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// It can't be read or isn't allowed.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Something that it names can't be used.
    #[error(transparent)]
    Rules(#[from] RulesError),
}

impl Reloader {
    pub(crate) fn new(
        layers: Layers,
        running: Config,
        auth: &Arc<Auth>,
        hub: &Hub,
        sessions: &Sessions,
        limits: &Limits,
    ) -> Reloader {
        sessions.access().show(running.log.addresses);
        let running = Mutex::new(Arc::new(running));
        let (auth, hub, sessions) = (Arc::clone(auth), hub.clone(), sessions.clone());
        let (limits, logs) = (limits.clone(), OnceLock::new());
        Reloader(Arc::new(Shared { layers, running, auth, hub, sessions, limits, logs }))
    }

    /// Gives it the logs of the process, whose level it changes from then on.
    pub fn set_logs(&self, logs: LogControl) {
        // Only the first are taken: a process has one.
        let _ = self.0.logs.set(logs);
    }

    /// The configuration that holds now.
    pub fn running(&self) -> Arc<Config> {
        Arc::clone(&self.0.running.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Where it is read from.
    pub fn layers(&self) -> &Layers {
        &self.0.layers
    }

    /// Reads the configuration again and applies what may change at run time.
    ///
    /// # Errors
    /// When the new one is refused; nothing has changed then.
    pub fn reload(&self) -> Result<Reloaded, ReloadError> {
        // Held to the end, so that two reloads follow each other.
        let mut running = self.0.running.lock().unwrap_or_else(PoisonError::into_inner);
        let read = self.0.layers.load()?;
        let next = read.clone().at_run_time(&running);
        let reloaded = Reloaded {
            applied: next.difference(&running),
            needs_restart: read.difference(&next),
            revoked: 0,
        };
        let rules = self.0.auth.prepare(&next)?;
        let revoked = self.apply(&next, rules);
        *running = Arc::new(next);
        Ok(Reloaded { revoked, ..reloaded })
    }

    /// The same, told in the log.
    pub fn reload_and_log(&self) {
        match self.reload() {
            Ok(reloaded) => reloaded.log(),
            Err(error) => tracing::error!(%error, "the new configuration is refused; the old one stays"),
        }
    }

    fn apply(&self, next: &Config, rules: Prepared) -> usize {
        self.0.hub.set_limits(crate::start::hub_limits(next));
        self.0.sessions.access().show(next.log.addresses);
        self.0.limits.apply(&next.limits);
        if let Some(logs) = self.0.logs.get() {
            logs.apply(&next.log);
        }
        self.0.auth.apply(rules)
    }
}

impl Reloaded {
    /// One line for the log.
    fn log(&self) {
        let (applied, revoked) = (self.applied.join(", "), self.revoked);
        tracing::info!(%applied, revoked, "configuration reloaded");
        if !self.needs_restart.is_empty() {
            tracing::warn!(keys = %self.needs_restart.join(", "), "these keys hold after a restart");
        }
    }
}
