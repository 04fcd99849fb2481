//! What is kept per broadcast to tell how it comes in.

use super::figures::{Flow, Groups, Health, Presence, Promise};
use super::minute::{LaneSecond, Minute};
use media::{Frame, Kind, Timestamp};
use std::time::{Duration, Instant};

/// Measures one broadcast. O(1) a frame, fixed memory (about 4 kB).
#[derive(Clone, Debug)]
pub(crate) struct Meter {
    minute: Minute,
    /// Since when the publisher is there.
    seated: Option<Instant>,
    promise: Promise,
    lanes: [Lane; 2],
    pictures: Pictures,
    repairs: u64,
    seats: u64,
}

/// The clock of one kind of media.
#[derive(Clone, Copy, Debug, Default)]
struct Lane {
    /// Whether a track was announced.
    announced: bool,
    /// Arrival and decode time of the newest frame of this publisher.
    newest: Option<(Instant, Timestamp)>,
    /// Whether this publisher or one before ever sent a frame.
    ever: bool,
    jitter_micros: f64,
    punctual: Punctual,
}

/// How long after their decode time the most punctual frames come, within 10 to 20 s. Micros on a scale of their own.
#[derive(Clone, Copy, Debug, Default)]
struct Punctual {
    epoch: u64,
    earliest: Option<i64>,
    earliest_before: Option<i64>,
}

/// The groups of pictures.
#[derive(Clone, Copy, Debug, Default)]
struct Pictures {
    /// Decode time of the open group's keyframe.
    opened: Option<Timestamp>,
    frames: u32,
    /// Length in micros and pictures of the last groups.
    done: [(u64, u32); GROUPS_MAX],
    done_count: u64,
    newest_pts: Option<Timestamp>,
    /// Whether pictures were reordered, and by how many micros, in the open group and the one before.
    reordered: [bool; 2],
    reorder_micros: [u64; 2],
}

/// Groups that means are made of.
const GROUPS_MAX: usize = 16;
/// A frame that comes later than this after the most punctual ones is late.
const LATE_MIN: Duration = Duration::from_millis(500);
/// Media counts as missing after so long.
pub(super) const SILENT_MIN: Duration = Duration::from_secs(2);
/// A group that lasts longer is a gap, whatever the usual length.
pub(super) const GAP_MIN: Duration = Duration::from_secs(4);
/// Means of frames a second are made of so many whole seconds.
const RATE_SECONDS: usize = 10;
/// How long the most punctual frame is remembered, at least.
const PUNCTUAL_SECONDS: u64 = 10;
/// What an encoder may claim. Beyond it, `framerate` is a mistake.
const RATES: std::ops::RangeInclusive<f64> = 1.0..=480.0;

impl Meter {
    pub(crate) fn new(now: Instant) -> Meter {
        Meter {
            minute: Minute::new(now),
            seated: None,
            promise: Promise::default(),
            lanes: [Lane::default(); 2],
            pictures: Pictures::default(),
            repairs: 0,
            seats: 0,
        }
    }

    /// A publisher took the seat.
    pub(crate) fn seated(&mut self, now: Instant) {
        self.seats += 1;
        if self.seats > 1 {
            let second = self.minute.at(now);
            second.reconnects = second.reconnects.saturating_add(1);
        }
        self.seated = Some(now);
        self.promise = Promise::default();
        for lane in &mut self.lanes {
            *lane = Lane { ever: lane.ever, ..Lane::default() };
        }
        self.pictures = Pictures::default();
    }

    /// The publisher left.
    pub(crate) fn left(&mut self) {
        self.seated = None;
    }

    /// What the publisher says that it will send.
    pub(crate) fn promised(&mut self, promise: Promise) {
        self.promise = promise;
    }

    /// A track's configuration came.
    pub(crate) fn announced(&mut self, kind: Kind) {
        self.lanes[index(kind)].announced = true;
    }

    /// So many timestamps were mended.
    pub(crate) fn repaired(&mut self, count: u64, now: Instant) {
        self.repairs = self.repairs.saturating_add(count);
        let second = self.minute.at(now);
        second.repairs = second.repairs.saturating_add(u32::try_from(count).unwrap_or(u32::MAX));
    }

    /// A frame came; whether it ended a group that was too long.
    pub(crate) fn frame(&mut self, kind: Kind, frame: &Frame, now: Instant) -> bool {
        let lateness = self.lanes[index(kind)].frame(frame.dts, self.minute.began(), now);
        let is_gap = kind == Kind::Video && self.pictures.frame(frame);
        let second = self.minute.at(now);
        second.gaps = second.gaps.saturating_add(u16::from(is_gap));
        let lane = &mut second.lanes[index(kind)];
        lane.bytes = lane.bytes.saturating_add(u32::try_from(frame.payload.len()).unwrap_or(u32::MAX));
        lane.frames = lane.frames.saturating_add(1);
        lane.late = lane.late.saturating_add(u16::from(lateness > LATE_MIN));
        let lateness_ms = u16::try_from(lateness.as_millis()).unwrap_or(u16::MAX);
        lane.lateness_ms = lane.lateness_ms.max(lateness_ms);
        is_gap
    }

    /// The figures at `now`. Takes a copy, so that nobody waits for the arithmetic.
    pub(crate) fn health(mut self, now: Instant) -> Health {
        // Seconds that passed without a frame count as such.
        self.minute.at(now);
        let sum = |of: fn(&super::minute::Second) -> u64| self.minute.all().map(of).sum();
        Health {
            publishing_for: self.seated.map(|since| now.saturating_duration_since(since)),
            video: self.flow(Kind::Video, now),
            audio: self.flow(Kind::Audio, now),
            groups: self.groups(sum(|s| u64::from(s.gaps))),
            b_frames: self.pictures.reordered.contains(&true),
            reorder: Duration::from_micros(self.pictures.reorder_micros.into_iter().max().unwrap_or(0)),
            repairs: self.repairs,
            repairs_lately: sum(|s| u64::from(s.repairs)),
            reconnects: self.seats.saturating_sub(1),
            reconnects_lately: sum(|s| u64::from(s.reconnects)),
        }
    }

    fn flow(&self, kind: Kind, now: Instant) -> Flow {
        let lane = &self.lanes[index(kind)];
        let lately = || self.minute.all().map(|s| &s.lanes[index(kind)]);
        let Some(seated) = self.seated else {
            return Flow::default();
        };
        let whole: Vec<LaneSecond> = self.minute.whole(seated).map(|s| s.lanes[index(kind)]).collect();
        let seconds: Vec<u64> = whole.iter().map(|s| u64::from(s.bytes) * 8).collect();
        let newest = whole.len().saturating_sub(RATE_SECONDS);
        let rates: Vec<f64> = whole[newest..].iter().map(|s| f64::from(s.frames)).collect();
        let bits: Vec<f64> = seconds.iter().map(|b| *b as f64).collect();
        let nominal = self.promise.frames_per_s.filter(|f| kind == Kind::Video && RATES.contains(f));
        Flow {
            presence: self.presence(kind, seated, now),
            silent_for: lane.newest.map(|(at, _)| now.saturating_duration_since(at)),
            frames_per_s: mean(&rates),
            frames_per_s_nominal: nominal,
            bits_per_s: mean(&bits),
            variation: variation(&bits),
            seconds,
            jitter: Duration::from_micros(lane.jitter_micros as u64),
            lateness: Duration::from_millis(lately().map(|s| u64::from(s.lateness_ms)).max().unwrap_or(0)),
            late: lately().map(|s| u64::from(s.late)).sum(),
        }
    }

    fn presence(&self, kind: Kind, seated: Instant, now: Instant) -> Presence {
        let lane = &self.lanes[index(kind)];
        let promised = lane.announced
            || match kind {
                Kind::Video => self.promise.video,
                Kind::Audio => self.promise.audio,
            };
        let waited = |since: Instant| now.saturating_duration_since(since) > SILENT_MIN;
        match lane.newest {
            Some((at, _)) if waited(at) => Presence::Silent,
            Some(_) => Presence::Here,
            None if !promised && !lane.ever => Presence::Absent,
            None if !waited(seated) => Presence::Here,
            None if lane.ever => Presence::Silent,
            None => Presence::Promised,
        }
    }

    fn groups(&self, gaps_lately: u64) -> Groups {
        let pictures = &self.pictures;
        let done = pictures.done();
        let count = done.len();
        let last = pictures.last();
        let newest = self.lanes[index(Kind::Video)].newest.map(|(_, dts)| dts);
        Groups {
            count,
            last: last.map(|(micros, _)| Duration::from_micros(micros)),
            last_frames: last.map_or(0, |(_, frames)| frames),
            mean: pictures.mean(),
            mean_frames: done.iter().map(|g| f64::from(g.1)).sum::<f64>() / count.max(1) as f64,
            longest: done.iter().map(|g| g.0).max().map(Duration::from_micros),
            longest_frames: done.iter().map(|g| g.1).max().unwrap_or(0),
            open: pictures.opened.zip(newest).map(|(opened, newest)| newest.since(opened)),
            gaps_lately,
        }
    }
}

impl Lane {
    /// Takes a frame in; how much later it came than the most punctual ones.
    fn frame(&mut self, dts: Timestamp, began: Instant, now: Instant) -> Duration {
        self.ever = true;
        if let Some((at, before)) = self.newest {
            let apart = micros(now.saturating_duration_since(at)) - micros(dts.since(before));
            self.jitter_micros += (apart.unsigned_abs() as f64 - self.jitter_micros) / JITTER_SPREAD;
        }
        self.newest = Some((now, dts));
        let elapsed = now.saturating_duration_since(began);
        self.punctual.lateness(micros(elapsed).saturating_sub(dts.as_micros()), elapsed.as_secs())
    }
}

/// RFC 3550 §6.4.1: the gain of the estimate is 1/16.
const JITTER_SPREAD: f64 = 16.0;

impl Punctual {
    /// How much later `delay` is than the least of the last 10 to 20 s.
    fn lateness(&mut self, delay: i64, second: u64) -> Duration {
        let epoch = second / PUNCTUAL_SECONDS;
        if epoch != self.epoch {
            self.earliest_before = self.earliest.filter(|_| epoch == self.epoch + 1);
            (self.epoch, self.earliest) = (epoch, None);
        }
        let earliest = self.earliest.map_or(delay, |earliest| earliest.min(delay));
        self.earliest = Some(earliest);
        let least = self.earliest_before.map_or(earliest, |before| before.min(earliest));
        Duration::from_micros(delay.saturating_sub(least).unsigned_abs())
    }
}

impl Pictures {
    /// Takes a picture in; whether it ended a group that was too long.
    fn frame(&mut self, frame: &Frame) -> bool {
        let is_gap = frame.keyframe && self.next_group(frame.dts);
        self.frames = self.frames.saturating_add(1);
        // A picture that is shown before one that came earlier; pictures that are all shown a constant time after
        // decoding are not reordered. Keyframes begin anew, since a publisher may jump.
        self.reordered[0] |= !frame.keyframe && self.newest_pts.is_some_and(|newest| frame.pts < newest);
        let reorder = u64::try_from(micros(frame.pts.since(frame.dts))).unwrap_or(0);
        self.reorder_micros[0] = self.reorder_micros[0].max(reorder);
        self.newest_pts = Some(match self.newest_pts {
            Some(newest) if !frame.keyframe => newest.max(frame.pts),
            _ => frame.pts,
        });
        is_gap
    }

    fn next_group(&mut self, dts: Timestamp) -> bool {
        let mut is_gap = false;
        if let Some(opened) = self.opened {
            let length = dts.since(opened);
            is_gap = length > GAP_MIN || self.usual().is_some_and(|usual| length > 2 * usual);
            self.done[(self.done_count % GROUPS_MAX as u64) as usize] =
                (u64::try_from(length.as_micros()).unwrap_or(u64::MAX), self.frames);
            self.done_count += 1;
        }
        (self.opened, self.frames) = (Some(dts), 0);
        self.reordered = [false, self.reordered[0]];
        self.reorder_micros = [0, self.reorder_micros[0]];
        is_gap
    }

    fn done(&self) -> &[(u64, u32)] {
        &self.done[..GROUPS_MAX.min(usize::try_from(self.done_count).unwrap_or(GROUPS_MAX))]
    }

    fn last(&self) -> Option<(u64, u32)> {
        let newest = self.done_count.checked_sub(1)?;
        Some(self.done[(newest % GROUPS_MAX as u64) as usize])
    }

    /// Mean length of the last groups.
    fn mean(&self) -> Option<Duration> {
        let done = self.done();
        // Each is divided before adding, since lengths are what a publisher says and may be anything.
        let micros = done.iter().map(|g| g.0 / done.len() as u64).sum();
        (!done.is_empty()).then(|| Duration::from_micros(micros))
    }

    /// The same, once there are enough groups to call it usual.
    fn usual(&self) -> Option<Duration> {
        self.mean().filter(|_| self.done().len() >= USUAL_MIN)
    }
}

/// Groups that make a habit.
const USUAL_MIN: usize = 3;

fn index(kind: Kind) -> usize {
    match kind {
        Kind::Video => 0,
        Kind::Audio => 1,
    }
}

fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}

fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// Standard deviation divided by the mean.
fn variation(values: &[f64]) -> Option<f64> {
    let mean = mean(values).filter(|mean| *mean > 0.0 && values.len() >= RATE_SECONDS)?;
    let square = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / values.len() as f64;
    Some(square.sqrt() / mean)
}
