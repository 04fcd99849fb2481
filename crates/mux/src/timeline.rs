//! A publisher's 32-bit milliseconds to the broadcast's own timeline.
//!
//! Encoders wrap, jump, reset one track alone, or begin anywhere. Viewers must not notice: time on the
//! broadcast goes forward at the pace of real time, and the tracks stay together.

use media::{Kind, Timestamp};
use std::time::{Duration, Instant};

/// How often something was mended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Repairs {
    /// 32-bit wraps.
    pub wraps: u64,
    /// Steps forward or back that no real time explains; the track was re-anchored.
    pub jumps: u64,
    /// Small steps back; the frame got the time of the one before.
    pub backward: u64,
    /// Tracks that ran apart; the one that came was put beside the other.
    pub drifts: u64,
}

impl Repairs {
    /// All of them.
    pub fn total(&self) -> u64 {
        self.wraps + self.jumps + self.backward + self.drifts
    }
}

/// Maps the tracks of one publisher.
#[derive(Debug)]
pub struct Timeline {
    clocks: [Option<Clock>; 2],
    start: Timestamp,
    repairs: Repairs,
}

/// What is known of one track's time.
#[derive(Clone, Copy, Debug)]
struct Clock {
    raw: u32,
    /// Micros on the broadcast of raw zero of this epoch; wraps are folded in.
    offset: i64,
    /// Milliseconds since the epoch began, unwrapped.
    unwrapped: i64,
    out: i64,
    seen: Instant,
}

/// A step that exceeds real time by more is a jump.
const JUMP_MAX: Duration = Duration::from_secs(5);
/// A step back of at most this is jitter; more is a reset.
const BACK_MAX_MS: i64 = 500;
/// Tracks that are further apart, while both send, have drifted or restarted alone.
const APART_MAX_MICROS: i64 = 3_000_000;
/// The other track counts as sending if it was seen this lately.
const BESIDE: Duration = Duration::from_millis(500);

impl Timeline {
    /// A timeline whose first frame has the time `start`.
    pub fn new(start: Timestamp) -> Timeline {
        Timeline { clocks: [None; 2], start, repairs: Repairs::default() }
    }

    /// What was mended so far.
    pub fn repairs(&self) -> Repairs {
        self.repairs
    }

    /// The decode time of a frame that came in at `now` with the publisher's `raw` milliseconds.
    pub fn map(&mut self, kind: Kind, raw: u32, now: Instant) -> Timestamp {
        let (own, other) = match kind {
            Kind::Video => (0, 1),
            Kind::Audio => (1, 0),
        };
        let beside = self.clocks[other];
        let mut clock = match self.clocks[own] {
            Some(clock) => self.advance(clock, beside, raw, now),
            None => self.first(beside, raw, now),
        };
        if let Some(beside) = beside.filter(|b| now.saturating_duration_since(b.seen) < BESIDE)
            && (clock.out - beside.out).abs() > APART_MAX_MICROS
        {
            let floor = self.clocks[own].map_or(i64::MIN, |c| c.out);
            let moved = beside.out.max(floor);
            if moved != clock.out {
                self.repairs.drifts += 1;
                clock.offset += moved - clock.out;
                clock.out = moved;
            }
        }
        self.clocks[own] = Some(clock);
        Timestamp::from_micros(clock.out)
    }

    /// The first frame of a track: where the other track's clock puts it, if that is near.
    fn first(&mut self, beside: Option<Clock>, raw: u32, now: Instant) -> Clock {
        let Some(beside) = beside else {
            let start = self.start.as_micros();
            return Clock {
                raw,
                offset: start - i64::from(raw) * 1000,
                unwrapped: i64::from(raw),
                out: start,
                seen: now,
            };
        };
        // A difference within half the range, so that a wrap between the two tracks is seen.
        let apart = i64::from(raw.wrapping_sub(beside.raw) as i32);
        let unwrapped = beside.unwrapped + apart;
        let out = beside.offset + unwrapped * 1000;
        if (out - beside.out).abs() <= APART_MAX_MICROS {
            let out = out.max(self.start.as_micros());
            return Clock { raw, offset: beside.offset, unwrapped, out, seen: now };
        }
        self.repairs.jumps += 1;
        Clock {
            raw,
            offset: beside.out - i64::from(raw) * 1000,
            unwrapped: i64::from(raw),
            out: beside.out,
            seen: now,
        }
    }

    fn advance(&mut self, clock: Clock, beside: Option<Clock>, raw: u32, now: Instant) -> Clock {
        let step = i64::from(raw.wrapping_sub(clock.raw) as i32);
        let real = now.saturating_duration_since(clock.seen);
        let allowed = i64::try_from((real + JUMP_MAX).as_millis()).unwrap_or(i64::MAX);
        if step < -BACK_MAX_MS || step > allowed {
            return self.anchor(clock, beside, raw, now);
        }
        if step >= 0 && raw < clock.raw {
            self.repairs.wraps += 1;
        }
        let unwrapped = clock.unwrapped + step;
        let out = clock.offset + unwrapped * 1000;
        if out < clock.out && step < 0 {
            self.repairs.backward += 1;
        }
        Clock { raw, unwrapped, out: out.max(clock.out), seen: now, ..clock }
    }

    /// A jump: the track goes on where real time says. If the other track has jumped already by the same
    /// amount, its offset is taken over, so that sound and picture stay exactly together.
    fn anchor(&mut self, clock: Clock, beside: Option<Clock>, raw: u32, now: Instant) -> Clock {
        self.repairs.jumps += 1;
        let real = now.saturating_duration_since(clock.seen);
        let expected = clock.out + i64::try_from(real.as_micros()).unwrap_or(0).clamp(1000, 10_000_000);
        if let Some(beside) = beside {
            let unwrapped = beside.unwrapped + i64::from(raw.wrapping_sub(beside.raw) as i32);
            let out = beside.offset + unwrapped * 1000;
            if (out - expected).abs() < APART_MAX_MICROS / 3 {
                return Clock { raw, offset: beside.offset, unwrapped, out: out.max(clock.out), seen: now };
            }
        }
        let offset = expected - i64::from(raw) * 1000;
        Clock { raw, offset, unwrapped: i64::from(raw), out: expected, seen: now }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use testkit::Random;

    /// Feeds `(track, raw ms)` at the real time `at` ms; returns the mapped milliseconds.
    fn run(frames: &[(Kind, u32, u64)]) -> (Vec<i64>, Repairs) {
        let start = testkit::epoch();
        let mut timeline = Timeline::new(Timestamp::ZERO);
        let out = frames
            .iter()
            .map(|(kind, raw, at)| timeline.map(*kind, *raw, start + Duration::from_millis(*at)).as_millis())
            .collect();
        (out, timeline.repairs())
    }

    #[test]
    fn time_begins_at_zero_wherever_the_encoder_does() {
        let (out, repairs) =
            run(&[(Kind::Video, 90_000, 0), (Kind::Audio, 90_021, 5), (Kind::Video, 90_033, 33)]);
        assert_eq!((out, repairs.total()), (vec![0, 21, 33], 0));
    }

    #[test]
    fn a_wrap_is_no_jump() {
        let (out, repairs) = run(&[
            (Kind::Video, u32::MAX - 10, 0),
            (Kind::Audio, u32::MAX - 5, 0),
            (Kind::Video, 22, 33),
            (Kind::Audio, 16, 33),
        ]);
        assert_eq!((out, repairs.wraps, repairs.jumps), (vec![0, 5, 33, 27], 2, 0));
    }

    #[test]
    fn a_reset_of_both_tracks_goes_on_in_real_time_and_in_sync() {
        let (out, repairs) = run(&[
            (Kind::Video, 100_000, 0),
            (Kind::Audio, 100_010, 10),
            (Kind::Video, 0, 40),
            (Kind::Audio, 10, 50),
            (Kind::Video, 33, 73),
        ]);
        assert_eq!((out, repairs.jumps), (vec![0, 10, 40, 50, 73], 2));
    }

    #[test]
    fn tracks_with_different_bases_are_put_together() {
        let (out, _) = run(&[(Kind::Video, 0, 0), (Kind::Audio, 500_000, 5), (Kind::Audio, 500_021, 26)]);
        assert_eq!(out, [0, 0, 21]);
    }

    #[test]
    fn a_long_pause_of_the_publisher_is_real_time() {
        let (out, repairs) = run(&[(Kind::Video, 0, 0), (Kind::Video, 60_000, 60_000)]);
        assert_eq!((out, repairs.jumps), (vec![0, 60_000], 0));
    }

    #[test]
    fn fuzz_time_never_goes_back() {
        let start = testkit::epoch();
        let mut random = Random::seeded(9);
        for _ in 0..300 {
            let mut timeline = Timeline::new(Timestamp::ZERO);
            let mut last = [i64::MIN; 2];
            let (mut raw, mut at) = (random.next_u64() as u32, 0);
            for _ in 0..200 {
                at += random.below(100) as u64;
                raw = match random.below(20) {
                    0 => random.next_u64() as u32,
                    1 => raw.wrapping_sub(random.below(2000) as u32),
                    _ => raw.wrapping_add(random.below(60) as u32),
                };
                let track = random.below(2);
                let kind = [Kind::Video, Kind::Audio][track];
                let out = timeline.map(kind, raw, start + Duration::from_millis(at)).as_micros();
                assert!(out >= last[track], "{out} after {}", last[track]);
                last[track] = out;
            }
        }
    }
}
