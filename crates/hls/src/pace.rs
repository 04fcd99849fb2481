//! Which part target is announced: one that whole frames fill.
//!
//! A part must not be longer than PART-TARGET, and all but the last of a segment must be at least 85 % of it (RFC
//! 8216bis §4.4.3.7), but it can only end between frames. Five pictures a second fill 80 % of half a second at most; one a
//! second is twice as long. So the first segment is measured before anything is listed, and the target that is
//! announced, for good, is one that fits pictures and sound.

use media::Timestamp;
use std::time::Duration;

/// How far the frames of a track are apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pace {
    usual: Duration,
    /// How much longer than usual a frame may last, as an encoder's clock or rounding has it.
    jitter: Duration,
    longest: Duration,
}

/// The bound of the low-latency profile. Frames that are further apart, as slides are, make parts of one frame each, of
/// just that duration: it is no low latency, but all that is announced is true.
const PART_TARGET_MAX: Duration = Duration::from_secs(1);
/// From so many steps on, the longest one is left out: encoders stumble once when they begin.
const STEPS_MANY: usize = 5;

impl Pace {
    /// From the times of frames; `None` if there are fewer than two.
    pub(crate) fn of(times: impl Iterator<Item = Timestamp>) -> Option<Pace> {
        let times: Vec<Timestamp> = times.collect();
        let steps = times.windows(2).map(|pair| pair[1].since(pair[0]));
        let mut steps: Vec<Duration> = steps.filter(|step| *step > Duration::ZERO).collect();
        steps.sort_unstable();
        if steps.len() >= STEPS_MANY {
            steps.pop();
        }
        let longest = *steps.last()?;
        let median = steps[steps.len() / 2];
        if longest > median * 3 / 2 {
            // Gaps; they say nothing of how the other frames fill a part.
            return Some(Pace { usual: median, jitter: Duration::ZERO, longest });
        }
        let usual = steps.iter().sum::<Duration>() / steps.len() as u32;
        Some(Pace { usual, jitter: longest.saturating_sub(usual), longest })
    }

    /// Whether parts of this target are full enough, and none too long.
    fn fits(&self, target: Duration) -> bool {
        let filled = self.usual * whole(target.saturating_sub(self.jitter), self.usual);
        target >= self.longest.min(PART_TARGET_MAX) && filled * 100 >= target * 85
    }

    /// The target that so many frames fill.
    fn filled_by(&self, frames: u32) -> Duration {
        let micros = (self.usual * frames + self.jitter).as_micros();
        // It is announced in milliseconds.
        Duration::from_millis(micros.div_ceil(1000) as u64)
    }
}

/// The target to announce: `wanted` if it fits all paces, or the nearest below that is a number of the first one's frames,
/// or the nearest above.
pub(crate) fn part_target(wanted: Duration, paces: &[Pace]) -> Duration {
    let Some(lead) = paces.first() else { return wanted };
    let frames = whole(wanted, lead.usual);
    let most = whole(PART_TARGET_MAX, lead.usual);
    let counts = (1..=frames).rev().chain(frames + 1..=most);
    let targets = std::iter::once(wanted).chain(counts.map(|count| lead.filled_by(count)));
    let mut allowed = targets.filter(|target| *target <= PART_TARGET_MAX);
    let found = allowed.find(|target| paces.iter().all(|pace| pace.fits(*target)));
    found.unwrap_or(if most == 0 { lead.filled_by(1) } else { PART_TARGET_MAX })
}

/// How many whole frames a time holds.
fn whole(time: Duration, frame: Duration) -> u32 {
    (time.as_micros() / frame.as_micros().max(1)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Frames at this rate, in whole milliseconds.
    fn at(fps: f64) -> Pace {
        let times =
            (0..(fps * 2.0) as i64 + 2).map(|i| Timestamp::from_millis((i as f64 * 1000.0 / fps) as i64));
        Pace::of(times).unwrap()
    }

    fn millis(steps: &[i64]) -> Pace {
        let times = steps.iter().scan(0, |at, step| {
            *at += step;
            Some(Timestamp::from_millis(*at))
        });
        Pace::of(std::iter::once(Timestamp::ZERO).chain(times)).unwrap()
    }

    #[test]
    fn usual_rates_get_what_is_wanted_and_slow_ones_whole_frames() {
        let check = |fps, wanted, expect| {
            let sound = at(48_000.0 / 1024.0);
            let target = part_target(Duration::from_millis(wanted), &[at(fps), sound]);
            assert_eq!(target.as_millis(), expect, "{fps} fps, {wanted} ms");
        };
        for fps in [24.0, 25.0, 29.97, 30.0, 50.0, 59.94, 60.0] {
            check(fps, 500, 500);
            check(fps, 1000, 1000);
        }
        check(15.0, 500, 500);
        check(12.0, 500, 501);
        check(5.0, 500, 400);
        check(3.0, 500, 334);
        check(2.0, 500, 500);
        check(1.5, 500, 667);
        check(1.0, 500, 1000);
        check(10.0, 200, 200);
        // Slides.
        check(0.5, 500, 2000);
    }

    #[test]
    fn sound_alone_of_long_frames_fits_too() {
        // 1024 samples at 8 kHz.
        assert_eq!(part_target(Duration::from_millis(500), &[millis(&[128; 20])]).as_millis(), 384);
        assert_eq!(part_target(Duration::from_millis(500), &[]).as_millis(), 500);
        assert_eq!(Pace::of([Timestamp::ZERO].into_iter()), None);
    }

    #[test]
    fn one_stumble_changes_nothing_and_gaps_that_come_again_do() {
        let wanted = Duration::from_millis(500);
        let mut steps = vec![33; 50];
        steps[20] = 900;
        assert_eq!(part_target(wanted, &[millis(&steps)]), wanted);
        steps[40] = 700;
        assert_eq!(part_target(wanted, &[millis(&steps)]).as_millis(), 726, "22 frames");
        steps[45] = 5000;
        steps[46] = 5000;
        assert_eq!(part_target(wanted, &[millis(&steps)]), PART_TARGET_MAX);
    }
}
