//! How old frames are when viewers are given them.

use crate::metrics::Shard;
use std::collections::VecDeque;
use std::time::Instant;

/// When the frames of a log came in, by the offset behind each.
#[derive(Debug, Default)]
pub(crate) struct Arrivals(VecDeque<(u64, Instant)>);

impl Arrivals {
    /// A frame that ends at `end` came in at `at`. Offsets ascend.
    pub(crate) fn note(&mut self, end: u64, at: Instant) {
        self.0.push_back((end, at));
    }

    /// Forgets frames that end at `start` or before it: the log begins there.
    pub(crate) fn forget_before(&mut self, start: u64) {
        while self.0.front().is_some_and(|(end, _)| *end <= start) {
            self.0.pop_front();
        }
    }

    /// Those of the frames between two offsets.
    fn between(&self, from: u64, to: u64) -> impl Iterator<Item = Instant> + '_ {
        let first = self.0.partition_point(|(end, _)| *end <= from);
        self.0.range(first..).take_while(move |(end, _)| *end <= to).map(|(_, at)| *at)
    }
}

/// Viewers in a row who were given the same stretch of a log.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    from: u64,
    to: u64,
    viewers: u64,
}

impl Tally {
    /// One more viewer was given what lies between these offsets.
    pub(crate) fn add(&mut self, from: u64, to: u64, arrivals: &Arrivals, shard: &Shard) {
        if (from, to) != (self.from, self.to) || self.viewers == SAMPLE_VIEWERS {
            self.count(arrivals, shard);
            (self.from, self.to) = (from, to);
        }
        self.viewers += 1;
    }

    /// Counts the ages of the frames that its viewers just got, and starts anew.
    pub(crate) fn count(&mut self, arrivals: &Arrivals, shard: &Shard) {
        let viewers = std::mem::take(&mut self.viewers);
        if viewers > 0 && self.from < self.to {
            let now = Instant::now();
            let ages = arrivals.between(self.from, self.to).map(|at| now.saturating_duration_since(at));
            ages.for_each(|age| shard.frame_written(age, viewers));
        }
    }
}

/// The clock is asked once for so many viewers in a row: writing to them takes some hundred microseconds.
const SAMPLE_VIEWERS: u64 = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn frames_are_found_by_the_offsets_that_a_viewer_was_given() {
        let epoch = testkit::epoch();
        let mut arrivals = Arrivals::default();
        for (end, ms) in [(10, 1), (20, 2), (30, 3), (40, 4)] {
            arrivals.note(end, epoch + Duration::from_millis(ms));
        }
        let found = |arrivals: &Arrivals, from, to| -> Vec<u128> {
            arrivals.between(from, to).map(|at| (at - epoch).as_millis()).collect()
        };
        assert_eq!(found(&arrivals, 10, 30), [2, 3]);
        assert_eq!(found(&arrivals, 15, 29), [2], "a frame counts when it is whole");
        arrivals.forget_before(20);
        assert_eq!(found(&arrivals, 0, 100), [3, 4]);
    }
}
