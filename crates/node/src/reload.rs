//! New configuration for a running server: read whole, checked whole, then applied; or refused, and the old one stays.

use crate::auth::keys::KeyStore;
use crate::auth::{Auth, Prepared, RulesError};
use crate::config::{BFrames, Change, Config, ConfigError, Layers};
use crate::limits::Limits;
use crate::logs::{LogControl, LogRing};
use crate::metrics::Metrics;
use crate::pull::Pulls;
use crate::restream::Restreams;
use crate::sessions::Sessions;
use crate::tls::{Acquiring, Certificates, Set, TlsError};
use crate::transcode::Pictures;
use hub::{BroadcastPath, Hub};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use tokio::sync::broadcast;

/// What a running server needs to take new settings. Clones share.
#[derive(Clone, Debug)]
pub struct Reloader(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    layers: Layers,
    running: Mutex<Arc<Config>>,
    parts: Parts,
    logs: OnceLock<LogControl>,
    done: broadcast::Sender<Reloaded>,
}

/// What takes new settings.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) auth: Arc<Auth>,
    pub(crate) hub: Hub,
    pub(crate) sessions: Sessions,
    pub(crate) limits: Limits,
    pub(crate) restreams: Restreams,
    pub(crate) pulls: Pulls,
    pub(crate) certificates: Certificates,
    pub(crate) acquiring: Acquiring,
    pub(crate) pictures: Pictures,
    pub(crate) metrics: Arc<Metrics>,
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
    /// A certificate can\'t be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

impl Reloader {
    pub(crate) fn new(layers: Layers, running: Config, parts: Parts) -> Reloader {
        parts.sessions.access().show(running.log.addresses);
        let running = Mutex::new(Arc::new(running));
        Reloader(Arc::new(Shared {
            layers,
            running,
            parts,
            logs: OnceLock::new(),
            done: broadcast::Sender::new(DONE_MAX),
        }))
    }

    /// Gives it the logs of the process, whose level it changes from then on.
    pub fn set_logs(&self, logs: LogControl) {
        self.0.parts.metrics.set_logs(logs.clone());
        if let Some(requests) = logs.requests() {
            self.0.parts.sessions.access().write_requests(requests.clone());
        }
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

    /// What a reload would change, if the file had this text or, without one, as it is now. Nothing is applied.
    ///
    /// # Errors
    /// When a reload would be refused for what it reads.
    pub(crate) fn changes(&self, text: Option<&str>) -> Result<Vec<Change>, ConfigError> {
        let layers = &self.0.layers;
        let next = text.map_or_else(|| layers.load(), |text| layers.load_text(text))?;
        Ok(self.running().changes_to(&next))
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
        let rules = self.0.parts.auth.prepare(&next)?;
        let certificates = Certificates::read(&next.tls)?;
        let revoked = self.apply(&next, rules, certificates);
        *running = Arc::new(next);
        let reloaded = Reloaded { revoked, ..reloaded };
        // Nobody may follow; then there is nobody to tell.
        let _ = self.0.done.send(reloaded.clone());
        Ok(reloaded)
    }

    /// Takes in that stream keys changed; the configuration stays as it is. Returns how many sessions end for it.
    pub(crate) fn take_keys(&self) -> Result<usize, RulesError> {
        let running = self.0.running.lock().unwrap_or_else(PoisonError::into_inner);
        let rules = self.0.parts.auth.prepare(&running)?;
        Ok(self.0.parts.auth.apply(rules))
    }

    /// The stream keys that are made at run time.
    pub(crate) fn keys(&self) -> KeyStore {
        self.0.parts.auth.keys().clone()
    }

    /// What viewers by WebRTC get of a broadcast's B-frames.
    pub(crate) fn b_frames(&self, path: &BroadcastPath) -> BFrames {
        self.0.parts.auth.b_frames(path)
    }

    /// What codes pictures anew.
    pub(crate) fn pictures(&self) -> &Pictures {
        &self.0.parts.pictures
    }

    /// What decides who may publish and play.
    pub(crate) fn auth(&self) -> &Arc<Auth> {
        &self.0.parts.auth
    }

    /// What is pushed to other servers.
    pub(crate) fn restreams(&self) -> &Restreams {
        &self.0.parts.restreams
    }

    /// What is fetched from other servers.
    pub(crate) fn pulls(&self) -> &Pulls {
        &self.0.parts.pulls
    }

    /// The newest lines of the log, if the process has one.
    pub(crate) fn lines(&self) -> Option<&LogRing> {
        self.0.logs.get().map(LogControl::ring)
    }

    /// Reloads from now on.
    pub(crate) fn follow(&self) -> broadcast::Receiver<Reloaded> {
        self.0.done.subscribe()
    }

    /// The same, told in the log.
    pub fn reload_and_log(&self) {
        match self.reload() {
            Ok(reloaded) => reloaded.log(),
            Err(error) => tracing::error!(%error, "the new configuration is refused; the old one stays"),
        }
    }

    /// The process that this one took over from is gone: nothing more is fetched from it.
    pub(crate) fn forget_inherited(&self) {
        let running = self.0.running.lock().unwrap_or_else(PoisonError::into_inner);
        self.0.parts.pulls.inherit(Vec::new());
        self.0.parts.pulls.apply(&running.pull);
    }

    fn apply(&self, next: &Config, rules: Prepared, certificates: Set) -> usize {
        let parts = &self.0.parts;
        parts.hub.set_limits(crate::start::hub_limits(next));
        parts.sessions.access().show(next.log.addresses);
        parts.limits.apply(&next.limits);
        parts.restreams.apply(&next.restream);
        parts.pulls.apply(&next.pull);
        parts.certificates.apply(certificates);
        parts.acquiring.apply(&next.tls.acme);
        parts.pictures.apply(&next.transcode);
        if let Some(logs) = self.0.logs.get() {
            logs.apply(&next.log);
        }
        parts.auth.apply(rules)
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

/// Reloads that wait for a follower.
const DONE_MAX: usize = 16;
