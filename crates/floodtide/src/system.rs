//! What the process asks of the system: logs, descriptors, signals, a runtime.

use anyhow::{Context, Result};
use node::Reloader;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// Prepares logs and descriptors, then runs `work` on a runtime.
pub(crate) fn run(work: impl Future<Output = Result<()>>) -> Result<()> {
    let filter = EnvFilter::try_from_env("FLOODTIDE_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false).init();
    raise_descriptors();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(work)
}

/// Every viewer is a descriptor, so the limit is raised as far as the system lets us.
fn raise_descriptors() {
    let limit = getrlimit(Resource::Nofile);
    if limit.current < limit.maximum {
        let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
        if let Err(error) = setrlimit(Resource::Nofile, raised) {
            tracing::warn!(%error, "the limit of open files stays low; raise it with ulimit -n");
        }
    }
}

/// Reloads at SIGHUP; returns at SIGINT or SIGTERM.
pub(crate) async fn serve_until_asked_to_stop(reloader: &Reloader) -> Result<()> {
    let mut hangup = signal(SignalKind::hangup()).context("can't wait for signals")?;
    let stop = asked_to_stop();
    tokio::pin!(stop);
    loop {
        tokio::select! {
            stopped = &mut stop => return stopped,
            _ = hangup.recv() => reloader.reload_and_log(),
        }
    }
}

/// Waits for SIGINT or SIGTERM.
pub(crate) async fn asked_to_stop() -> Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("can't wait for signals")?;
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}
