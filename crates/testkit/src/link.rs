//! A network link that delays, shakes, loses and narrows: the same in every run with the same seed.

use crate::Random;
use std::time::{Duration, Instant};

/// How bad a link is, one way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Impairment {
    /// From one end to the other.
    pub delay: Duration,
    /// Up to so much more delay, evenly spread. Datagrams keep their order, as on most real paths.
    pub jitter: Duration,
    /// Datagrams lost of a thousand, each by itself.
    pub loss_permille: u16,
    /// Bits per second that pass; 0: as many as come.
    pub bits_per_second: u64,
}

/// One way of a link.
#[derive(Debug)]
pub struct Link {
    impairment: Impairment,
    random: Random,
    /// When all that was sent before has passed the narrow place.
    free: Option<Instant>,
    last: Option<Instant>,
}

/// A narrow place queues so much; what would wait longer is lost.
const QUEUE_MAX: Duration = Duration::from_millis(300);

impl Link {
    /// A link that changes nothing.
    pub fn new(seed: u64) -> Link {
        Link { impairment: Impairment::default(), random: Random::seeded(seed), free: None, last: None }
    }

    /// Makes it better or worse from now on.
    pub fn set(&mut self, impairment: Impairment) {
        self.impairment = impairment;
    }

    /// When a datagram of so many bytes, sent `now`, arrives; `None`: never.
    pub fn send(&mut self, now: Instant, bytes: usize) -> Option<Instant> {
        let Impairment { delay, jitter, loss_permille, bits_per_second } = self.impairment;
        let lost = self.random.below(1000) < usize::from(loss_permille);
        let micros = usize::try_from(jitter.as_micros()).unwrap_or(usize::MAX);
        let shaken = Duration::from_micros(self.random.below(micros.saturating_add(1)) as u64);
        let passes = match bits_per_second {
            0 => now,
            rate => {
                let begins = self.free.map_or(now, |free| free.max(now));
                if begins.saturating_duration_since(now) > QUEUE_MAX {
                    return None;
                }
                let ends = begins + Duration::from_nanos(bytes as u64 * 8_000_000_000 / rate);
                self.free = Some(ends);
                ends
            }
        };
        if lost {
            return None;
        }
        let arrives = passes + delay + shaken;
        let arrives = self.last.map_or(arrives, |last| arrives.max(last));
        self.last = Some(arrives);
        Some(arrives)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::epoch;

    #[test]
    fn a_link_delays_within_its_bounds_and_keeps_the_order() {
        let mut link = Link::new(1);
        let (delay, jitter) = (Duration::from_millis(20), Duration::from_millis(5));
        link.set(Impairment { delay, jitter, ..Impairment::default() });
        let mut last = epoch();
        for step in 0..1000 {
            let now = epoch() + Duration::from_millis(step);
            let arrives = link.send(now, 1200).unwrap();
            assert!(arrives >= now + delay && arrives <= now + delay + jitter && arrives >= last);
            last = arrives;
        }
    }

    #[test]
    fn so_many_are_lost_and_the_same_in_every_run() {
        let lost = |seed| {
            let mut link = Link::new(seed);
            link.set(Impairment { loss_permille: 50, ..Impairment::default() });
            (0..20_000).filter(|_| link.send(epoch(), 100).is_none()).count()
        };
        assert!((900..1100).contains(&lost(7)), "{}", lost(7));
        assert_eq!(lost(7), lost(7));
    }

    #[test]
    fn a_narrow_link_passes_its_rate_and_loses_what_would_wait_too_long() {
        let mut link = Link::new(1);
        link.set(Impairment { bits_per_second: 1_000_000, ..Impairment::default() });
        // Twice the rate for ten seconds: 1,250 bytes every 5 ms.
        let sent = (0..2000).map(|n| epoch() + Duration::from_millis(5 * n));
        let passed: Vec<_> = sent.filter_map(|at| link.send(at, 1250).map(|to| (at, to))).collect();
        assert!((990..1050).contains(&passed.len()), "{}", passed.len());
        let longest = passed.iter().map(|(at, to)| *to - *at).max().unwrap();
        assert!(longest <= QUEUE_MAX + Duration::from_millis(10), "{longest:?}");
    }
}
