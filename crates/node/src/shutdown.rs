//! The end of a server: nobody new, then whoever is done, then everybody.

use crate::life::Phase;
use crate::start::Node;
use std::time::Duration;
use tokio::time::Instant;

/// How often is looked whether anybody is left.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How long webhooks are told of what ended.
const TELL_MAX: Duration = Duration::from_secs(5);
/// How often the log says who is left.
const TELL_EVERY: Duration = Duration::from_secs(5);

impl Node {
    /// Lets nobody in, waits until all sessions are over, the deadline (`shutdown.drain`) comes or `hurry` is ready; then
    /// ends everybody and returns.
    pub async fn drain(self, hurry: impl Future) {
        let drain = self.reloader.running().shutdown.drain.0;
        self.sockets.close();
        self.drain_within(drain, Phase::Draining, hurry).await;
    }

    /// Waits until a new process has taken over this one's sockets.
    pub async fn taken_over(&self) {
        self.given.wait().await;
    }

    /// As [`Node::drain`], with the time that those have who are left behind by a handover (`shutdown.handover`).
    pub async fn leave_to_successor(self, hurry: impl Future) {
        let drain = self.reloader.running().shutdown.handover.0;
        self.sockets.close();
        if let Some((plane, _)) = &self.webrtc {
            plane.leave();
        }
        self.drain_within(drain, Phase::HandedOver, hurry).await;
    }

    async fn drain_within(self, drain: Duration, phase: Phase, hurry: impl Future) {
        let left = self.sessions.count();
        tracing::info!(sessions = left, deadline_s = drain.as_secs(), "draining: nobody new is let in");
        self.phases.go_to(phase);
        tokio::select! {
            () = self.goodbyes(drain) => {}
            _ = hurry => tracing::info!("asked again: not waiting any longer"),
        }
        tracing::info!(sessions = self.sessions.count(), "shutting down");
        self.stop().await;
    }

    /// Waits until no session is left, at most for `drain`. Those who watch by polling have no session: their playlists end so
    /// early that they hear of it.
    async fn goodbyes(&self, drain: Duration) {
        let deadline = Instant::now() + drain;
        let farewell = || self.packagings.farewell().min(drain / 2);
        tokio::select! {
            () = self.emptied() => {}
            () = tokio::time::sleep_until(deadline - farewell()) => {}
        }
        let farewell = farewell();
        if farewell.is_zero() {
            // If it was for them, they are gone by now.
            let _ = tokio::time::timeout_at(deadline, self.emptied()).await;
        } else {
            self.packagings.finish();
            tokio::time::sleep_until(deadline.min(Instant::now() + farewell)).await;
        }
    }

    /// Waits until no session is left.
    async fn emptied(&self) {
        let mut told = Instant::now();
        while self.sessions.count() > 0 {
            tokio::time::sleep(LOOK_EVERY).await;
            if told.elapsed() >= TELL_EVERY {
                told = Instant::now();
                tracing::info!(sessions = self.sessions.count(), "still draining");
            }
        }
    }

    /// Ends all broadcasts and sessions, then returns.
    pub async fn stop(mut self) {
        self.phases.go_to(Phase::Draining);
        self.hub.end_all();
        self.phases.go_to(Phase::Stopping);
        while self.tasks.join_next().await.is_some() {}
        drop(self.ingest);
        self.packagings.stop();
        self.transcodes.stop();
        self.plane.shutdown();
        self.threads.join();
        if let Some((plane, threads)) = self.webrtc {
            plane.shutdown();
            threads.join();
        }
        if let Some(srt) = self.srt {
            srt.join();
        }
        // Now that all sessions are over, webhooks have heard of all.
        self.auth.finish(TELL_MAX).await;
    }
}
