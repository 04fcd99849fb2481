//! Letting events gather: a thread that is woken thousands of times a second for one small message each pays more
//! for waking than for the work. Once wake-ups come that thick, it rests before it waits for the next event, and then
//! finds several. Below that rate nothing is delayed.
//!
//! A resting thread can't tell how often it would be woken. Every other second it looks whether it finds much; if it doesn't, it
//! stops resting for a moment and counts again.

use std::time::{Duration, Instant};

/// Decides for one thread.
#[derive(Debug)]
pub(crate) struct Gather {
    /// When this span of counting, or of resting, began.
    since: Instant,
    /// Events of this span.
    found: u32,
    /// Zero while it counts.
    rest: Duration,
    /// What gathering adds to the latency of a message, at most.
    rest_max: Duration,
}

/// How long events are counted.
const COUNTING: Duration = Duration::from_millis(100);
/// How long the thread rests before it looks whether that is of use.
const RESTING: Duration = Duration::from_secs(2);
/// Resting begins at 800 events a second.
const FOUND_MIN: u32 = 80;
/// It goes on at half of that, since several messages of one sender are one event to who rests.
const FOUND_RESTING_MIN: u32 = FOUND_MIN / 2;
/// 8 ms of rest at 800 events a second, 40 ms at 4,000.
const REST_PER_EVENT: Duration = Duration::from_micros(100);

impl Gather {
    pub(crate) fn new(now: Instant, rest_max: Duration) -> Gather {
        Gather { since: now, found: 0, rest: Duration::ZERO, rest_max }
    }

    /// Called whenever the thread is about to wait for events, with how many it found since the last time: how long to rest before.
    pub(crate) fn rest(&mut self, now: Instant, found: u32) -> Option<Duration> {
        self.found = self.found.saturating_add(found);
        let elapsed = now.saturating_duration_since(self.since);
        let (span, least) =
            if self.rest.is_zero() { (COUNTING, FOUND_MIN) } else { (RESTING, FOUND_RESTING_MIN) };
        if elapsed >= span {
            // Spans last longer than they should when little happens, so the rate is what counts.
            let rate = self.found / (elapsed.as_millis() / COUNTING.as_millis()) as u32;
            // The rate of who rests is too low, so its rest gets no shorter by it.
            let rest = if rate < least { Duration::ZERO } else { self.rest.max(REST_PER_EVENT * rate) };
            self.rest = rest.min(self.rest_max);
            (self.since, self.found) = (now, 0);
        }
        Some(self.rest).filter(|rest| !rest.is_zero())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REST_MAX: Duration = Duration::from_millis(20);

    /// The share of time that a thread rests in ten seconds, with `senders` who each send `every` so often, in turn.
    fn resting(gather: &mut Gather, now: &mut Instant, senders: u32, every: Duration) -> f64 {
        let end = *now + Duration::from_secs(10);
        let (mut rested, mut found) = (Duration::ZERO, 1);
        while *now < end {
            let rest = gather.rest(*now, found).unwrap_or_default();
            assert!(rest <= REST_MAX);
            rested += rest;
            let waited = rest.max(every / senders);
            *now += waited;
            // Whoever sent several messages meanwhile is found once.
            found =
                (waited.as_nanos() * u128::from(senders) / every.as_nanos()).clamp(1, senders.into()) as u32;
        }
        rested.as_secs_f64() / 10.0
    }

    #[test]
    fn only_a_thread_that_finds_much_rests_and_it_stops_when_calm_returns() {
        let mut now = testkit::epoch();
        let mut gather = Gather::new(now, REST_MAX);
        let (often, rarely) = (Duration::from_millis(16), Duration::from_millis(160));
        assert_eq!(resting(&mut gather, &mut now, 3, often), 0.0);
        assert!(resting(&mut gather, &mut now, 200, often) > 0.95, "it counts once, and then goes on");
        assert!(resting(&mut gather, &mut now, 14, often) > 0.95);
        resting(&mut gather, &mut now, 3, often);
        assert_eq!(resting(&mut gather, &mut now, 3, often), 0.0);
        assert_eq!(resting(&mut gather, &mut now, 100, rarely), 0.0, "625 a second aren't many");
    }

    #[test]
    fn a_thread_that_is_woken_by_one_sender_counts_again_every_other_second() {
        let mut now = testkit::epoch();
        let mut gather = Gather::new(now, REST_MAX);
        let share = resting(&mut gather, &mut now, 1, Duration::from_micros(200));
        assert!((0.9..0.97).contains(&share), "{share}");
    }
}
