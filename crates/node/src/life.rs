//! The phases of a server's life, and waiting for the next one.

use std::time::Duration;
use tokio::sync::watch;

/// A phase. Each is later than the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// Everybody is served.
    Serving,
    /// Nobody new comes in; those who are here go on until they are done or the deadline comes.
    Draining,
    /// A successor serves. The administrators' door is its too.
    HandedOver,
    /// Everybody ends now.
    Stopping,
}

/// Moves a server through its phases.
#[derive(Debug)]
pub(crate) struct Phases(watch::Sender<Phase>);

/// Follows the phases. Each task has its own.
#[derive(Clone, Debug)]
pub(crate) struct Life(watch::Receiver<Phase>);

impl Phases {
    pub(crate) fn new() -> (Phases, Life) {
        let (sender, receiver) = watch::channel(Phase::Serving);
        (Phases(sender), Life(receiver))
    }

    /// Goes on to a later phase; never back.
    pub(crate) fn go_to(&self, phase: Phase) {
        self.0.send_if_modified(|now| {
            let later = *now < phase;
            *now = (*now).max(phase);
            later
        });
    }
}

impl Life {
    /// The phase now.
    pub(crate) fn phase(&self) -> Phase {
        *self.0.borrow()
    }

    /// Waits until nobody new is let in.
    pub(crate) async fn draining(&mut self) {
        self.reaches(Phase::Draining).await;
    }

    /// Waits until nobody comes to this process any more, not even administrators.
    pub(crate) async fn handed_over(&mut self) {
        self.reaches(Phase::HandedOver).await;
    }

    /// Waits until everybody has to end.
    pub(crate) async fn stopping(&mut self) {
        self.reaches(Phase::Stopping).await;
    }

    /// Rests for `time`; false when everybody has to end before.
    pub(crate) async fn rest(&mut self, time: Duration) -> bool {
        tokio::time::timeout(time, self.stopping()).await.is_err()
    }

    async fn reaches(&mut self, phase: Phase) {
        // An error means that the server is gone, which is as late as can be.
        let _ = self.0.wait_for(|now| *now >= phase).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn phases_only_go_on_and_a_server_that_is_gone_has_stopped() {
        let (phases, mut life) = Phases::new();
        phases.go_to(Phase::Stopping);
        phases.go_to(Phase::Draining);
        assert_eq!(life.phase(), Phase::Stopping);
        life.draining().await;
        let (phases, mut life) = Phases::new();
        drop(phases);
        life.stopping().await;
    }
}
