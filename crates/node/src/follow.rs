//! Reloads when a file changes that the configuration is made of.

use crate::config::Tls;
use crate::life::Life;
use crate::reload::Reloader;
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::mpsc;

/// Files, and what was in them when they were read last.
#[derive(Debug)]
pub(crate) struct Files(Vec<(PathBuf, Option<Vec<u8>>)>);

/// How long a file rests before it is read: editors write in several steps.
const SETTLE: Duration = Duration::from_millis(200);

impl Files {
    /// As they are now.
    pub(crate) fn read<'a>(paths: impl IntoIterator<Item = &'a Path>) -> Files {
        let mut files = Files(Vec::new());
        paths.into_iter().for_each(|path| files.also(path));
        files
    }

    /// One more, as it is now, if it isn't among them.
    pub(crate) fn also(&mut self, path: &Path) {
        if self.0.iter().any(|(known, _)| known == path) {
            return;
        }
        self.0.push((path.to_owned(), std::fs::read(path).ok()));
    }

    /// Certificates and keys that the configuration names.
    pub(crate) fn also_of(&mut self, tls: &Tls) {
        tls.pairs().for_each(|(certificate, key)| {
            self.also(certificate);
            self.also(key);
        });
    }

    /// Reads them again; whether one is different. A file that is gone for a moment is about to be replaced.
    fn changed(&mut self) -> bool {
        let mut changed = false;
        for (path, last) in &mut self.0 {
            let now = std::fs::read(path).ok();
            if now.is_some() && now != *last {
                *last = now;
                changed = true;
            }
        }
        changed
    }

    /// Watches their folders, since a file may be replaced by renaming another over it, or by a link to a folder that is (as
    /// Kubernetes does).
    fn watch(&self, watcher: &mut RecommendedWatcher) -> notify::Result<()> {
        for folder in self.0.iter().filter_map(|(path, _)| folder_of(path)).filter(|folder| folder.is_dir()) {
            // One that is watched already stays so.
            watcher.watch(folder, RecursiveMode::NonRecursive)?;
        }
        Ok(())
    }
}

fn folder_of(path: &Path) -> Option<&Path> {
    path.parent().map(|folder| if folder.as_os_str().is_empty() { Path::new(".") } else { folder })
}

/// Reloads whenever one of the files is no longer what it was, until shutdown.
pub(crate) async fn reload_when_changed(reloader: Reloader, mut files: Files, mut life: Life) {
    let (changed, mut changes) = mpsc::channel(1);
    let told = move |_| {
        // Full means that a change is told already.
        let _ = changed.try_send(());
    };
    let watching = notify::recommended_watcher(told).and_then(|mut watcher| {
        files.watch(&mut watcher)?;
        Ok(watcher)
    });
    let mut watcher = match watching {
        Ok(watcher) => watcher,
        Err(error) => {
            tracing::warn!(%error, "changes of the configuration are not seen; send SIGHUP after one");
            return;
        }
    };
    loop {
        // The first look is at what happened between the start and the watch.
        if files.changed() {
            reloader.reload_and_log();
            files.also_of(&reloader.running().tls);
            if let Err(error) = files.watch(&mut watcher) {
                tracing::warn!(%error, "changes of certificates are not seen; send SIGHUP after one");
            }
        }
        tokio::select! {
            changed = changes.recv() => if changed.is_none() { return },
            () = life.stopping() => return,
        }
        if !life.rest(SETTLE).await {
            return;
        }
        while changes.try_recv().is_ok() {}
    }
}
