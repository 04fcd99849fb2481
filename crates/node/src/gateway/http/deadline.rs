//! A timer that moves on with every request of a connection. The runtime's own is touched only when it would ring: most connections
//! ask again long before.

use std::pin::Pin;
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep_until};

/// The moment until which something has to come.
#[derive(Debug)]
pub(super) struct Deadline {
    at: Instant,
    sleep: Pin<Box<Sleep>>,
}

impl Deadline {
    /// So long after `now`.
    pub(super) fn new(now: Instant, after: Duration) -> Deadline {
        let at = now + after;
        Deadline { at, sleep: Box::pin(sleep_until(at)) }
    }

    /// So long after `now` instead.
    pub(super) fn set(&mut self, now: Instant, after: Duration) {
        self.at = now + after;
        if self.at < self.sleep.deadline() {
            self.sleep.as_mut().reset(self.at);
        }
    }

    /// Waits for it.
    pub(super) async fn passed(&mut self) {
        loop {
            self.sleep.as_mut().await;
            if self.at <= self.sleep.deadline() {
                return;
            }
            self.sleep.as_mut().reset(self.at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::pin;
    use std::task::{Context, Waker};

    const HOUR: Duration = Duration::from_secs(3600);

    #[tokio::test]
    async fn it_passes_when_the_moment_comes_that_was_set_last() {
        let now = Instant::now();
        let mut deadline = Deadline::new(now, Duration::ZERO);
        let waits = |deadline: &mut Deadline| {
            pin!(deadline.passed()).poll(&mut Context::from_waker(Waker::noop())).is_pending()
        };
        deadline.passed().await;
        assert!(!waits(&mut deadline), "it stays over");
        deadline.set(now, HOUR);
        assert!(waits(&mut deadline), "it was moved on, although the timer rang");
        deadline.set(now, 2 * HOUR);
        assert!(waits(&mut deadline));
        deadline.set(now, Duration::ZERO);
        deadline.passed().await;
    }
}
