//! Letting events gather: a thread that is woken thousands of times a second for one small message each pays more
//! for waking than for the work. Once wake-ups come that thick, it rests before it waits for the next event, and then
//! finds several. Below that rate nothing is delayed.
//!
//! A resting thread can't tell how often it would be woken, so it stops resting for a moment every other second and
//! counts again.

use std::time::{Duration, Instant};

/// Decides for one thread.
#[derive(Debug)]
pub(crate) struct Gather {
    /// When this span of counting, or of resting, began.
    since: Instant,
    waits: u32,
    /// Zero while it counts.
    rest: Duration,
    /// What gathering adds to the latency of a message, at most.
    rest_max: Duration,
}

/// How long wake-ups are counted.
const COUNTING: Duration = Duration::from_millis(100);
/// How long the thread rests before it counts again.
const RESTING: Duration = Duration::from_secs(2);
/// Resting begins at 800 wake-ups a second.
const WAITS_MIN: u32 = 80;
/// 8 ms of rest at 800 wake-ups a second, 40 ms at 4,000.
const REST_PER_WAIT: Duration = Duration::from_micros(100);

impl Gather {
    pub(crate) fn new(now: Instant, rest_max: Duration) -> Gather {
        Gather { since: now, waits: 0, rest: Duration::ZERO, rest_max }
    }

    /// Called whenever the thread is about to wait for events: how long to rest before.
    pub(crate) fn rest(&mut self, now: Instant) -> Option<Duration> {
        let elapsed = now.saturating_duration_since(self.since);
        if !self.rest.is_zero() {
            if elapsed < RESTING {
                return Some(self.rest);
            }
            (self.since, self.waits, self.rest) = (now, 0, Duration::ZERO);
            return None;
        }
        self.waits += 1;
        if elapsed < COUNTING {
            return None;
        }
        // After a longer span the rate is what counts.
        let waits = self.waits / (elapsed.as_millis() / COUNTING.as_millis()) as u32;
        if waits >= WAITS_MIN {
            self.rest = (REST_PER_WAIT * waits).min(self.rest_max);
        }
        (self.since, self.waits) = (now, 0);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REST_MAX: Duration = Duration::from_millis(20);

    /// The share of time that a thread rests in ten seconds with an event `every` so often.
    fn resting(gather: &mut Gather, now: &mut Instant, every: Duration) -> f64 {
        let end = *now + Duration::from_secs(10);
        let mut rested = Duration::ZERO;
        while *now < end {
            let rest = gather.rest(*now).unwrap_or_default();
            assert!(rest <= REST_MAX);
            rested += rest;
            *now += every + rest;
        }
        rested.as_secs_f64() / 10.0
    }

    #[test]
    fn only_a_thread_that_is_woken_often_rests_and_it_stops_when_calm_returns() {
        let mut now = testkit::epoch();
        let mut gather = Gather::new(now, REST_MAX);
        assert_eq!(resting(&mut gather, &mut now, Duration::from_millis(5)), 0.0);
        assert!(resting(&mut gather, &mut now, Duration::from_micros(200)) > 0.8);
        assert!(resting(&mut gather, &mut now, Duration::from_micros(900)) > 0.7);
        resting(&mut gather, &mut now, Duration::from_millis(5));
        assert_eq!(resting(&mut gather, &mut now, Duration::from_millis(5)), 0.0);
    }
}
