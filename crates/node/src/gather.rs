//! Letting events gather: a thread that is woken thousands of times a second for one small message each pays more
//! for waking than for the work. Once wake-ups come that thick, it rests before it waits for the next event, and then
//! finds several. The rest grows while it is always cut short by work, to [`REST_MAX`]. Below that rate nothing is
//! delayed.

use std::time::{Duration, Instant};

/// Decides for one thread.
#[derive(Debug)]
pub(crate) struct Gather {
    since: Instant,
    waits: u32,
    /// Zero while wake-ups are rare.
    rest: Duration,
}

/// Where resting begins.
const REST_MIN: Duration = Duration::from_millis(2);
/// What gathering adds to the latency of a message, at most.
const REST_MAX: Duration = Duration::from_millis(20);
const SPAN: Duration = Duration::from_millis(100);
/// Resting begins at 800 wake-ups a second.
const WAITS_BEGIN: u32 = 80;

impl Gather {
    pub(crate) fn new(now: Instant) -> Gather {
        Gather { since: now, waits: 0, rest: Duration::ZERO }
    }

    /// Called whenever the thread is about to wait for events: how long to rest before.
    pub(crate) fn rest(&mut self, now: Instant) -> Option<Duration> {
        self.waits += 1;
        let elapsed = now.saturating_duration_since(self.since);
        if elapsed >= SPAN {
            // After a longer span the rate is what counts.
            let spans = (elapsed.as_millis() / SPAN.as_millis()) as u32;
            self.adapt(self.waits / spans.max(1));
            (self.since, self.waits) = (now, 0);
        }
        (!self.rest.is_zero()).then_some(self.rest)
    }

    /// A thread that hardly waits beyond its rests is busy; one that waits longer than it rests is not.
    fn adapt(&mut self, waits: u32) {
        if self.rest.is_zero() {
            if waits >= WAITS_BEGIN {
                self.rest = REST_MIN;
            }
            return;
        }
        let most = (SPAN.as_micros() / self.rest.as_micros()) as u32;
        if waits < most / 2 {
            self.rest = if self.rest > REST_MIN { self.rest / 2 } else { Duration::ZERO };
        } else if waits > most * 3 / 4 {
            self.rest = (self.rest * 2).min(REST_MAX);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The last answer after a second of wake-ups `every` so often.
    fn after(gather: &mut Gather, now: &mut Instant, every: Duration) -> Option<Duration> {
        let end = *now + Duration::from_secs(1);
        let mut last = None;
        while *now < end {
            last = gather.rest(*now);
            *now += every + last.unwrap_or_default();
        }
        last
    }

    #[test]
    fn only_a_thread_that_is_woken_often_rests_and_it_stops_when_calm_returns() {
        let mut now = testkit::epoch();
        let mut gather = Gather::new(now);
        assert_eq!(after(&mut gather, &mut now, Duration::from_millis(5)), None);
        assert_eq!(after(&mut gather, &mut now, Duration::from_micros(200)), Some(REST_MAX));
        assert_eq!(
            after(&mut gather, &mut now, Duration::from_micros(900)),
            Some(REST_MAX),
            "still busy while resting"
        );
        assert_eq!(after(&mut gather, &mut now, Duration::from_millis(80)), None);
    }
}
