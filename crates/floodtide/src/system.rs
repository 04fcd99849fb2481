//! What the process asks of the system: logs, descriptors, signals, a runtime.

use anyhow::{Context, Result};
use node::config::Log;
use node::{Logs, Reloader};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};

/// Starts the logs of the process; they end with what is returned.
pub(crate) fn logs(config: &Log) -> Result<Logs> {
    Ok(Logs::start(config, std::env::var("FLOODTIDE_LOG").ok())?)
}

/// Prepares descriptors, then runs `work` on a runtime.
pub(crate) fn run(work: impl Future<Output = Result<()>>) -> Result<()> {
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
