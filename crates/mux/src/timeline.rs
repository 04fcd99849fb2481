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
    /// Tracks that ran apart and were put together again.
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
    start: Start,
    repairs: Repairs,
    /// How far tracks may be apart.
    apart_max: i64,
    /// Which track had run ahead when tracks had drifted, and when.
    drifted: Option<(usize, Instant)>,
}

/// Where a timeline begins.
#[derive(Clone, Copy, Debug)]
enum Start {
    At(Timestamp),
    /// Where the publisher's clock is.
    AsItIs,
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
    /// Broadcast and real time since which this track's pace counts.
    paced_from: (i64, Instant),
    /// It ran ahead, and is slowed until the other track has caught up.
    slowed: bool,
}

impl Clock {
    fn new(raw: u32, unwrapped: i64, offset: i64, start: i64, now: Instant) -> Clock {
        let out = start.max(offset + unwrapped * 1000);
        Clock { raw, offset, unwrapped, out, seen: now, paced_from: (out, now), slowed: false }
    }

    /// Where the newest frame belongs; [`Clock::out`] is later if that would have been a step back.
    fn at(&self) -> i64 {
        self.offset + self.unwrapped * 1000
    }

    /// Micros that the track gained on real time; negative if it lost.
    fn gained(&self) -> i64 {
        let (out, seen) = self.paced_from;
        let real = self.seen.saturating_duration_since(seen);
        self.at() - out - i64::try_from(real.as_micros()).unwrap_or(0)
    }

    /// Moves what comes from here on.
    fn shift(&mut self, micros: i64) {
        self.offset += micros;
    }

    /// Forgets what was gained or lost beyond a bound: a publisher that paused for a minute need not make it up.
    fn pace_anew(&mut self) {
        let kept = self.gained().clamp(-APART_MAX_MICROS, APART_MAX_MICROS);
        self.paced_from = (self.at() - kept, self.seen);
    }
}

/// A step that exceeds real time by more is a jump.
const JUMP_MAX: Duration = Duration::from_secs(5);
/// A step back of at most this is jitter; more is a reset.
const BACK_MAX_MS: i64 = 500;
/// Tracks that are further apart, while both send, have drifted or restarted alone. What is less may be real: an
/// encoder's queue of pictures, or a multiplexer's, holds them back by up to two seconds while their times are right.
/// So a healthy encoder is never touched, and viewers may see a drift of this much before it is mended.
const APART_MAX_MICROS: i64 = 3_000_000;
/// The same for tracks that drift on: no distance between them is known to be real any more.
const APART_AGAIN_MAX_MICROS: i64 = 1_000_000;
/// Tracks that drifted the same way twice within this time drift on. Once may have been a pause, or a long queue.
const DRIFT_AGAIN: Duration = Duration::from_secs(600);
/// A step of one track that leaves it this far from the other is undone at once.
const TOGETHER_MICROS: i64 = 500_000;
/// A track that is slowed goes at a quarter of its pace: three seconds are made up in about four, and no frame stands
/// on the one before.
const SLOWED_TO: i64 = 4;
/// The other track counts as sending if it was seen this lately.
const BESIDE: Duration = Duration::from_millis(500);

impl Timeline {
    /// A timeline whose first frame has the time `start`.
    pub fn new(start: Timestamp) -> Timeline {
        Timeline::from(Start::At(start))
    }

    /// One that goes on with the times of another broadcast, which the publisher has them from.
    pub fn going_on() -> Timeline {
        Timeline::from(Start::AsItIs)
    }

    fn from(start: Start) -> Timeline {
        let repairs = Repairs::default();
        Timeline { clocks: [None; 2], start, repairs, apart_max: APART_MAX_MICROS, drifted: None }
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
        if let Some(mut beside) = beside.filter(|b| now.saturating_duration_since(b.seen) < BESIDE) {
            let before = self.clocks[own];
            if clock.slowed {
                slow(&mut clock, before, &mut beside);
            } else if !beside.slowed {
                self.put_together(own, &mut clock, before, &mut beside);
            }
            self.clocks[other] = Some(beside);
        }
        self.clocks[own] = Some(clock);
        Timestamp::from_micros(clock.out)
    }

    /// Mends tracks that are too far apart. What leads can't go back, unless it was this very frame that stepped
    /// ahead. So if the one behind lost more time than the other gained it is moved forward; if not, the one that leads is
    /// slowed. Whichever kept the pace of real time stays as it is, and so does the broadcast's pace.
    fn put_together(&mut self, own: usize, clock: &mut Clock, before: Option<Clock>, beside: &mut Clock) {
        let ahead = clock.at() - beside.at();
        if ahead.abs() <= self.apart_max {
            return;
        }
        self.repairs.drifts += 1;
        let floor = before.map_or(i64::MIN, |b| b.out);
        let undone = beside.at().max(floor);
        if ahead > 0 && undone - beside.at() <= TOGETHER_MICROS {
            clock.shift(undone - clock.at());
            clock.out = undone;
        } else {
            self.drifted_on(if ahead > 0 { own } else { 1 - own }, clock.seen);
            let leader_gained_more = clock.gained() + beside.gained() > 0;
            let (leader, behind) =
                if ahead > 0 { (&mut *clock, &mut *beside) } else { (&mut *beside, &mut *clock) };
            if leader_gained_more {
                leader.slowed = true;
                return;
            }
            behind.shift(ahead.abs());
            clock.out = clock.out.max(clock.at());
        }
        clock.pace_anew();
        beside.pace_anew();
    }

    fn drifted_on(&mut self, leader: usize, now: Instant) {
        let again = self.drifted.replace((leader, now)).is_some_and(|(before, then)| {
            before == leader && now.saturating_duration_since(then) <= DRIFT_AGAIN
        });
        self.apart_max = if again { APART_AGAIN_MAX_MICROS } else { APART_MAX_MICROS };
    }

    /// The first frame of a track: where the other track's clock puts it, if that is near.
    fn first(&mut self, beside: Option<Clock>, raw: u32, now: Instant) -> Clock {
        let start = match self.start {
            Start::At(start) => start.as_micros(),
            // What comes first need not be the earliest: the other track may begin before it.
            Start::AsItIs if beside.is_some() => 0,
            Start::AsItIs => i64::from(raw) * 1000,
        };
        let fresh = |at: i64| Clock::new(raw, i64::from(raw), at - i64::from(raw) * 1000, at, now);
        let Some(beside) = beside else { return fresh(start) };
        // A difference within half the range, so that a wrap between the two tracks is seen.
        let apart = i64::from(raw.wrapping_sub(beside.raw) as i32);
        let unwrapped = beside.unwrapped + apart;
        let out = beside.offset + unwrapped * 1000;
        if (out - beside.out).abs() <= APART_MAX_MICROS {
            return Clock::new(raw, unwrapped, beside.offset, start, now);
        }
        self.repairs.jumps += 1;
        fresh(beside.out)
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
                return Clock::new(raw, unwrapped, beside.offset, clock.out, now);
            }
        }
        let offset = expected - i64::from(raw) * 1000;
        Clock::new(raw, i64::from(raw), offset, expected, now)
    }
}

/// Takes back most of what a slowed track went on since the frame before, until it is beside the other.
fn slow(clock: &mut Clock, before: Option<Clock>, beside: &mut Clock) {
    let Some(before) = before else { return };
    let ahead = clock.at() - beside.at();
    let step = (clock.at() - before.at()).max(0);
    let back = (step - step / SLOWED_TO).min(ahead.max(0));
    clock.shift(-back);
    clock.out = clock.at().max(before.out);
    if ahead <= back {
        clock.slowed = false;
        clock.pace_anew();
        beside.pace_anew();
    }
}

#[cfg(test)]
mod tests;
