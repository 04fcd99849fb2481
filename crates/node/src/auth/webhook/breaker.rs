//! Leaves a server alone that failed several times in a row, until one request shows that it is back.

use std::time::{Duration, Instant};

/// Closed while the server is well; open, and nobody may try, while it is left alone; half open when the rest is over: one
/// may try, and the others wait for another rest unless it succeeds. A try that is never reported back does no harm.
#[derive(Clone, Debug)]
pub(super) struct Breaker {
    failures_max: u32,
    rest: Duration,
    /// In a row.
    failures: u32,
    open_until: Option<Instant>,
}

impl Breaker {
    pub(super) fn new(failures_max: u32, rest: Duration) -> Breaker {
        Breaker { failures_max, rest, failures: 0, open_until: None }
    }

    /// Whether a request may be made now. Who is told yes reports how it went.
    pub(super) fn may_try(&mut self, now: Instant) -> bool {
        if self.is_open(now) {
            return false;
        }
        if self.open_until.is_some() {
            self.open_until = Some(now + self.rest);
        }
        true
    }

    /// Whether nobody may try.
    pub(super) fn is_open(&self, now: Instant) -> bool {
        self.open_until.is_some_and(|until| now < until)
    }

    /// How long nobody may try.
    pub(super) fn rests_for(&self, now: Instant) -> Duration {
        self.open_until.map_or(Duration::ZERO, |until| until.saturating_duration_since(now))
    }

    pub(super) fn succeeded(&mut self) {
        self.failures = 0;
        self.open_until = None;
    }

    /// Whether this is the failure that opens it.
    pub(super) fn failed(&mut self, now: Instant) -> bool {
        self.failures = self.failures.saturating_add(1);
        if self.failures < self.failures_max {
            return false;
        }
        self.open_until = Some(now + self.rest);
        self.failures == self.failures_max
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REST: Duration = Duration::from_secs(10);
    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn it_opens_after_failures_in_a_row_only() {
        let (mut breaker, now) = (Breaker::new(3, REST), Instant::now());
        for _ in 0..2 {
            assert!(breaker.may_try(now) && !breaker.failed(now));
        }
        breaker.succeeded();
        for _ in 0..2 {
            assert!(breaker.may_try(now) && !breaker.failed(now));
        }
        assert!(breaker.may_try(now) && breaker.failed(now), "the third in a row");
        assert!(!breaker.may_try(now + SECOND));
        assert_eq!(breaker.rests_for(now + SECOND), REST - SECOND);
    }

    #[test]
    fn one_request_shows_whether_the_server_is_back() {
        let (mut breaker, now) = (Breaker::new(1, REST), Instant::now());
        breaker.failed(now);
        assert!(!breaker.may_try(now + REST - SECOND));
        assert!(breaker.may_try(now + REST), "the probe");
        assert!(!breaker.may_try(now + REST), "and nobody else");
        assert!(!breaker.failed(now + REST + SECOND), "told once");
        assert!(!breaker.may_try(now + REST + REST), "a failed probe begins a new rest");
        assert!(breaker.may_try(now + REST + REST + SECOND));
        breaker.succeeded();
        assert!(breaker.may_try(now + REST + REST + SECOND), "closed again");
        assert!(breaker.may_try(now + REST + REST + SECOND));
    }

    #[test]
    fn a_probe_that_is_never_reported_delays_the_next_by_one_rest() {
        let (mut breaker, now) = (Breaker::new(1, REST), Instant::now());
        breaker.failed(now);
        assert!(breaker.may_try(now + REST));
        assert!(!breaker.may_try(now + REST + REST - SECOND));
        assert!(breaker.may_try(now + REST + REST));
    }
}
