//! Timers of thousands of connections.

use std::time::{Duration, Instant};

/// Who is to be woken when: a ring of buckets, one for each few milliseconds. Arming costs no search. Nobody is taken out:
/// who comes up early looks at its own deadline and arms again.
#[derive(Debug)]
pub(super) struct Wheel {
    start: Instant,
    /// The next tick that was not handed out.
    at: u64,
    buckets: Vec<Vec<u32>>,
}

const TICK: Duration = Duration::from_millis(2);
/// Later deadlines come up once a round and arm again.
const BUCKETS: u64 = 512;

impl Wheel {
    pub(super) fn new(start: Instant) -> Wheel {
        Wheel { start, at: 0, buckets: vec![Vec::new(); BUCKETS as usize] }
    }

    /// The tick at which `deadline` is over, at most a round from now.
    pub(super) fn tick_of(&self, deadline: Instant) -> u64 {
        let nanos = deadline.saturating_duration_since(self.start).as_nanos();
        let tick = u64::try_from(nanos.div_ceil(TICK.as_nanos())).unwrap_or(u64::MAX);
        tick.clamp(self.at, self.at + BUCKETS - 1)
    }

    /// Wakes `who` at that tick.
    pub(super) fn arm(&mut self, who: u32, tick: u64) {
        self.buckets[(tick % BUCKETS) as usize].push(who);
    }

    /// Everybody whose tick has come, into `out`.
    pub(super) fn due(&mut self, now: Instant, out: &mut Vec<u32>) {
        let nanos = now.saturating_duration_since(self.start).as_nanos();
        let tick = u64::try_from(nanos / TICK.as_nanos()).unwrap_or(u64::MAX);
        let rounds = (tick + 1).saturating_sub(self.at).min(BUCKETS);
        for step in 0..rounds {
            out.append(&mut self.buckets[((self.at + step) % BUCKETS) as usize]);
        }
        self.at = self.at.max(tick + 1);
    }

    /// How long there is nothing to do.
    pub(super) fn rest(&self, now: Instant, most: Duration) -> Duration {
        let next =
            (self.at..self.at + BUCKETS).find(|tick| !self.buckets[(tick % BUCKETS) as usize].is_empty());
        let Some(next) = next else { return most };
        let at = self.start + Duration::from_millis(TICK.as_millis() as u64 * next);
        at.saturating_duration_since(now).min(most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(start: Instant, millis: u64) -> Instant {
        start + Duration::from_millis(millis)
    }

    #[test]
    fn everybody_comes_up_once_and_not_early() {
        let start = Instant::now();
        let mut wheel = Wheel::new(start);
        for (who, millis) in [(1, 5), (2, 100), (3, 101)] {
            let tick = wheel.tick_of(after(start, millis));
            wheel.arm(who, tick);
        }
        let mut out = Vec::new();
        wheel.due(after(start, 4), &mut out);
        assert!(out.is_empty());
        assert_eq!(wheel.rest(after(start, 4), Duration::from_secs(1)), Duration::from_millis(2));
        wheel.due(after(start, 6), &mut out);
        assert_eq!(out, [1]);
        wheel.due(after(start, 200), &mut out);
        assert_eq!(out, [1, 2, 3]);
        assert_eq!(wheel.rest(after(start, 200), Duration::from_secs(1)), Duration::from_secs(1));
    }

    #[test]
    fn a_far_deadline_comes_up_within_a_round() {
        let start = Instant::now();
        let mut wheel = Wheel::new(start);
        let tick = wheel.tick_of(after(start, 60_000));
        wheel.arm(9, tick);
        let mut out = Vec::new();
        wheel.due(after(start, 1100), &mut out);
        assert_eq!(out, [9]);
    }

    #[test]
    fn a_long_pause_skips_nobody() {
        let start = Instant::now();
        let mut wheel = Wheel::new(start);
        (0..100).for_each(|who| wheel.arm(who, wheel.tick_of(after(start, u64::from(who) * 10))));
        let mut out = Vec::new();
        wheel.due(after(start, 3_600_000), &mut out);
        assert_eq!(out.len(), 100);
        // It goes on from there.
        let tick = wheel.tick_of(after(start, 3_600_010));
        wheel.arm(5, tick);
        wheel.due(after(start, 3_600_012), &mut out);
        assert_eq!(out.len(), 101);
    }
}
