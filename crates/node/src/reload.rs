//! New configuration for a running server: read whole, checked whole, then applied; or refused, and the old one stays.

use crate::auth::Auth;
use crate::config::{Config, ConfigError, Layers};
use crate::life::Life;
use crate::logs::LogControl;
use crate::sessions::Sessions;
use hub::Hub;
use notify::{RecursiveMode, Watcher};
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;

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
}

impl Reloader {
    pub(crate) fn new(
        layers: Layers,
        running: Config,
        auth: &Arc<Auth>,
        hub: &Hub,
        sessions: &Sessions,
    ) -> Reloader {
        sessions.access().show(running.log.addresses);
        let running = Mutex::new(Arc::new(running));
        let (auth, hub, sessions) = (Arc::clone(auth), hub.clone(), sessions.clone());
        Reloader(Arc::new(Shared { layers, running, auth, hub, sessions, logs: OnceLock::new() }))
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
        let revoked = self.apply(&next);
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

    fn apply(&self, next: &Config) -> usize {
        self.0.hub.set_limits(crate::start::hub_limits(next));
        self.0.sessions.access().show(next.log.addresses);
        if let Some(logs) = self.0.logs.get() {
            logs.apply(&next.log);
        }
        self.0.auth.apply(next)
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

/// Reloads when the file is no longer what was `read` at the start, until shutdown. The folder is watched, since a file may be replaced by renaming another
/// over it, or by a link to a folder that is (as Kubernetes does).
pub(crate) async fn follow_file(reloader: Reloader, read: Option<Vec<u8>>, mut life: Life) {
    let Some(file) = reloader.layers().path().map(Path::to_owned) else { return };
    let (changed, mut changes) = tokio::sync::mpsc::channel(1);
    let _watcher = match watch_folder(&file, changed) {
        Ok(watcher) => watcher,
        Err(error) => {
            tracing::warn!(%error, "changes of the configuration file are not seen; send SIGHUP after one");
            return;
        }
    };
    let mut last = read;
    loop {
        // The first look is at what happened between the start and the watch.
        let now = std::fs::read(&file).ok();
        if now.is_some() && now != last {
            last = now;
            reloader.reload_and_log();
        }
        tokio::select! {
            changed = changes.recv() => if changed.is_none() { return },
            () = life.stopping() => return,
        }
        // Editors write in several steps.
        if !life.rest(SETTLE).await {
            return;
        }
        while changes.try_recv().is_ok() {}
    }
}

fn watch_folder(file: &Path, changed: mpsc::Sender<()>) -> notify::Result<notify::RecommendedWatcher> {
    let folder = match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut watcher = notify::recommended_watcher(move |_| {
        // Full means that a change is told already.
        let _ = changed.try_send(());
    })?;
    watcher.watch(folder, RecursiveMode::NonRecursive)?;
    Ok(watcher)
}

/// How long a file rests before it is read.
const SETTLE: Duration = Duration::from_millis(200);
