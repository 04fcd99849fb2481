//! One broadcast, again and again until nobody wants it.

use super::intake::{Intake, LOOK_EVERY};
use super::{source_flv, source_rtmp};
use crate::config::{Pull, When};
use crate::gateway::random_bytes;
use crate::life::{Life, Phase};
use crate::metrics::CloseReason;
use crate::outward::{Backoff, Dialer, Failure};
use hub::{BroadcastPath, Hub};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// What one needs.
pub(super) struct Fetch {
    pub(super) pull: Pull,
    pub(super) path: BroadcastPath,
    pub(super) hub: Hub,
    pub(super) dialer: Dialer,
    pub(super) intake: Intake,
    /// Ready when the pull is no more in the configuration.
    pub(super) stop: watch::Receiver<()>,
    pub(super) life: Life,
}

impl Fetch {
    /// Fetches until nobody wants it.
    pub(super) async fn run(mut self) {
        let mut stopped = self.life.clone();
        let why = tokio::select! {
            never = attempts(&self.pull, &self.path, &self.hub, &self.dialer, &mut self.intake) => match never {},
            why = unwanted(&self.pull, &self.path, &self.hub, &self.life) => why,
            _ = self.stop.changed() => CloseReason::Revoked,
            () = stopped.stopping() => CloseReason::Shutdown,
        };
        self.intake.over(why);
    }
}

/// One attempt after the other.
async fn attempts(
    pull: &Pull,
    path: &BroadcastPath,
    hub: &Hub,
    dialer: &Dialer,
    intake: &mut Intake,
) -> std::convert::Infallible {
    let mut backoff = Backoff::new(pull.retry());
    loop {
        intake.entry.connecting();
        let failure = match attempt(pull, path, dialer, intake).await {
            Ok(()) => Failure::Ended,
            Err(failure) => failure,
        };
        let worked = intake.attempt_ended(&failure);
        // Without random bytes, all come back at the same time.
        let rest = backoff.after(worked, random_bytes().map_or(u32::MAX, u32::from_ne_bytes));
        intake.entry.waiting(&failure, rest);
        hub.decline(path);
        tokio::select! {
            () = tokio::time::sleep(rest) => {}
            () = intake.entry.nudged() => {}
        }
    }
}

async fn attempt(
    pull: &Pull,
    path: &BroadcastPath,
    dialer: &Dialer,
    intake: &mut Intake,
) -> Result<(), Failure> {
    let remote = pull.remote(path).map_err(Failure::Url)?;
    if source_rtmp::SCHEMES.contains(&remote.scheme) {
        source_rtmp::attempt(dialer, &remote, intake).await
    } else {
        source_flv::attempt(dialer, &remote, intake).await
    }
}

/// Ready when it has been wanted by nobody for the pull's idle time. A server that drains wants nothing but what somebody
/// watches now.
async fn unwanted(pull: &Pull, path: &BroadcastPath, hub: &Hub, life: &Life) -> CloseReason {
    let mut wanted_at = Instant::now();
    let mut look = tokio::time::interval(LOOK_EVERY);
    loop {
        look.tick().await;
        let watched = hub.broadcast(path).is_some_and(|broadcast| broadcast.viewers() > 0);
        let drains = life.phase() > Phase::Serving;
        if drains && !watched {
            return CloseReason::Shutdown;
        }
        if watched || pull.when == When::Always || hub.is_wanted(path) {
            wanted_at = Instant::now();
        } else if wanted_at.elapsed() >= pull.idle.0.max(Duration::from_millis(1)) {
            return CloseReason::Idle;
        }
    }
}
