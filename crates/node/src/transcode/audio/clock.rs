//! Where decoded samples belong on the timeline.

use media::Timestamp;

/// Follows the timestamps of a sound track by its samples.
///
/// Between frames the samples count; what timestamps say is followed slowly, so that the rounding and jitter of single
/// timestamps vanish while a source whose sample clock runs fast or slow is still met. A gap is taken over at once.
#[derive(Debug, Default)]
pub(super) struct Clock {
    /// Where the next sample belongs, in microseconds; `None` before the first frame.
    next: Option<f64>,
}

/// What a frame's timestamp means for the samples before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// It goes on from them.
    Continues,
    /// There is a gap before it, or it is the first.
    Gap,
    /// It lies before what was there already.
    Back,
}

/// The share of a difference that one frame may move the clock by: with some 45 frames a second it follows within a second.
const FOLLOWED: f64 = 1.0 / 32.0;
/// Beyond this timestamps and samples are not of one piece, in microseconds. Jitter is less, and so is what may be off against
/// the pictures (40 ms).
const GAP: f64 = 30_000.0;

impl Clock {
    /// Whether a frame with that timestamp goes on from the last one.
    pub(super) fn step(&self, says: Timestamp) -> Step {
        let Some(next) = self.next else { return Step::Gap };
        match says.as_micros() as f64 - next {
            gap if gap > GAP => Step::Gap,
            gap if gap < -GAP => Step::Back,
            _ => Step::Continues,
        }
    }

    /// Takes a timestamp in that goes on from the last one.
    pub(super) fn follow(&mut self, says: Timestamp) {
        let says = says.as_micros() as f64;
        let next = self.next.unwrap_or(says);
        self.next = Some(next + (says - next) * FOLLOWED);
    }

    /// Begins anew at a timestamp.
    pub(super) fn restart(&mut self, says: Timestamp) {
        self.next = Some(says.as_micros() as f64);
    }

    /// Counts samples.
    pub(super) fn advance(&mut self, samples: usize, rate: u32) {
        if let Some(next) = &mut self.next {
            *next += samples as f64 * 1e6 / f64::from(rate.max(1));
        }
    }

    /// What lies so many seconds before the next sample.
    pub(super) fn before(&self, seconds: f64) -> Timestamp {
        Timestamp::from_micros((self.next.unwrap_or(0.0) - seconds * 1e6).round() as i64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_told_from_jitter() {
        let mut clock = Clock::default();
        assert_eq!(clock.step(Timestamp::from_millis(500)), Step::Gap, "the first");
        clock.restart(Timestamp::from_millis(500));
        clock.advance(960, 48_000);
        assert_eq!(clock.step(Timestamp::from_millis(545)), Step::Continues);
        assert_eq!(clock.step(Timestamp::from_millis(551)), Step::Gap);
        assert_eq!(clock.step(Timestamp::from_millis(489)), Step::Back);
    }

    #[test]
    fn over_an_hour_of_jittered_milliseconds_a_source_whose_clock_runs_fast_is_followed() {
        let (mut random, mut clock) = (testkit::Random::seeded(4), Clock::default());
        // 100 ppm, as a bad sound card: 360 ms in an hour.
        let frame = 1024.0 / 44_100.0 * 1e6 * 1.000_1;
        let (mut truth, mut worst) = (5e6, 0.0_f64);
        clock.restart(Timestamp::from_micros(truth as i64));
        while truth < 3605e6 {
            let jitter = random.below(9) as f64 - 4.0;
            let says = Timestamp::from_millis((truth / 1000.0 + jitter).round() as i64);
            assert_eq!(clock.step(says), Step::Continues);
            clock.follow(says);
            worst = worst.max((clock.before(0.0).as_micros() as f64 - truth).abs());
            clock.advance(1024, 44_100);
            truth += frame;
        }
        assert!(worst < 2500.0, "at worst {worst} µs off");
    }
}
