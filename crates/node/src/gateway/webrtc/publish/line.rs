//! One track that comes in.

use super::super::capture::Captured;
use super::super::engine::{Incoming, Rid};
use super::super::renditions::Rung;
use bytes::Bytes;
use hub::Producer;
use media::{Codec, Kind, Timestamp, Track, TrackId};
use mux::rtp::{Depacketizer, Received, clock_hz};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// One track that comes in; of pictures in several qualities, one of those.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) kind: Kind,
    pub(super) codec: Codec,
    /// Which of several qualities.
    pub(super) rid: Option<Rid>,
    /// Where it goes as one of several qualities.
    pub(super) rung: Option<(Arc<Rung>, Producer)>,
    pub(super) began: Instant,
    pub(super) heard: Instant,
    hz: u32,
    pub(super) depacketizer: Depacketizer,
    /// Highest number that had come by then.
    seen: VecDeque<(Instant, u64)>,
    pub(super) config: Option<Bytes>,
    /// As keyframes tell it.
    pub(super) size: Option<(u32, u32)>,
    /// Microseconds to add to media time.
    pub(super) shift: Option<i64>,
    /// Sender's wall clock minus its media time, in microseconds.
    pub(super) clock: Option<i64>,
    /// RTP time of the newest picture of which the sender told when it was taken, and when that was.
    captured: Option<(u32, Captured)>,
    last: Option<Timestamp>,
    pub(super) keyframe_wanted: bool,
    keyframe_asked: Option<Instant>,
    /// Whether pictures are left out: until they aren't muted any more, and one comes that needs none of those.
    pub(super) held_back: bool,
    pub(super) keyframe_came: Option<Instant>,
    rate: Rate,
}

/// Bits per second, measured by the second.
#[derive(Debug)]
struct Rate {
    began: Instant,
    bytes: u64,
    bits_per_second: u64,
}

/// A packet that is missing for so long won't come: resending takes a round trip or two.
const GIVE_UP: Duration = Duration::from_millis(250);
/// A browser sends a keyframe only when asked: players by segments, and viewers who join, need them.
const KEYFRAME_EVERY: Duration = Duration::from_secs(2);
/// Asking more often than this only costs the picture its quality.
const KEYFRAME_ASK_MIN: Duration = Duration::from_millis(500);
/// Points of [`Line::seen`].
const SEEN_MAX: usize = 64;
/// How long bits are counted for one measurement of the rate.
const RATE_WINDOW: Duration = Duration::from_secs(1);

impl Line {
    pub(super) fn new(packet: &Incoming, rung: Option<(Arc<Rung>, Producer)>, now: Instant) -> Option<Line> {
        let codec = packet.codec;
        Some(Line {
            kind: packet.kind,
            codec,
            rid: packet.rid,
            rung,
            began: now,
            heard: now,
            hz: clock_hz(codec)?,
            depacketizer: Depacketizer::new(codec).ok()?,
            seen: VecDeque::new(),
            config: None,
            size: None,
            shift: None,
            clock: None,
            captured: None,
            last: None,
            keyframe_wanted: false,
            keyframe_asked: None,
            held_back: false,
            keyframe_came: None,
            rate: Rate { began: now, bytes: 0, bits_per_second: 0 },
        })
    }

    /// Takes a packet in.
    pub(super) fn push(&mut self, packet: Incoming, now: Instant) {
        self.heard = now;
        self.note(packet.sequence, now);
        if let Some(captured) = packet.captured.filter(|_| self.kind == Kind::Video) {
            self.captured = Some((packet.ticks as u32, captured));
        }
        if self.rate.count(packet.payload.len() as u64, now)
            && let Some((rung, _)) = &self.rung
        {
            rung.set_bits_per_second(self.rate.bits_per_second);
        }
        self.depacketizer.push(Received {
            sequence: packet.sequence,
            timestamp: packet.ticks as u32,
            marker: packet.marker,
            payload: packet.payload,
        });
    }

    /// When the picture of that RTP time was taken, if the sender told.
    pub(super) fn taken(&self, ticks: i64) -> Option<Captured> {
        // RTP time wraps. RFC 3550 §5.1.
        self.captured.filter(|(of, _)| *of == ticks as u32).map(|(_, captured)| captured)
    }

    /// Bits per second; zero in its first second.
    pub(super) fn bits_per_second(&self) -> u64 {
        self.rate.bits_per_second
    }

    /// The track as it is known by now.
    pub(super) fn track(&self) -> Option<Track> {
        let track = Track::new(self.id(), self.codec, self.config.clone()?);
        Some(Track { told_size: self.size.or(track.told_size), ..track })
    }

    /// Whether its sender is to be asked for a keyframe now; it then counts as asked.
    pub(super) fn asks(&mut self, now: Instant) -> bool {
        let since =
            |at: Option<Instant>, least| at.is_none_or(|at| now.saturating_duration_since(at) >= least);
        self.keyframe_wanted |= self.rung.as_ref().is_some_and(|(rung, _)| rung.take_wanted());
        let due = self.keyframe_wanted || since(self.keyframe_came, KEYFRAME_EVERY);
        if self.kind != Kind::Video || !due || !since(self.keyframe_asked, KEYFRAME_ASK_MIN) {
            return false;
        }
        self.keyframe_asked = Some(now);
        self.keyframe_wanted = false;
        true
    }

    pub(super) fn id(&self) -> TrackId {
        match self.kind {
            Kind::Video => TrackId::VIDEO,
            Kind::Audio => TrackId::AUDIO,
        }
    }

    fn note(&mut self, sequence: u64, now: Instant) {
        let highest = self.seen.back().map_or(sequence, |(_, last)| sequence.max(*last));
        let fresh = self.seen.back().is_some_and(|(at, _)| now.saturating_duration_since(*at) < GIVE_UP / 16);
        match self.seen.back_mut().filter(|_| fresh) {
            Some(last) => last.1 = highest,
            None => self.seen.push_back((now, highest)),
        }
        if self.seen.len() > SEEN_MAX {
            self.seen.pop_front();
        }
    }

    /// What is missing below this number is missing too long.
    pub(super) fn overdue(&mut self, now: Instant) -> Option<u64> {
        let mut found = None;
        while let Some((at, sequence)) = self.seen.front()
            && now.saturating_duration_since(*at) >= GIVE_UP
        {
            found = Some(*sequence);
            self.seen.pop_front();
        }
        found
    }

    /// Whether a picture is left out. The first one behind those that were has to be a keyframe, which the sender is asked for.
    pub(super) fn holds_back(&mut self, muted: bool, keyframe: bool) -> bool {
        if self.held_back && !muted && !keyframe {
            self.keyframe_wanted = true;
        }
        self.held_back = muted || (self.held_back && !keyframe);
        self.held_back
    }

    /// Media time on the broadcast's timeline; `here` is where the timeline stands. Never back.
    pub(super) fn place(&mut self, ticks: i64, here: i64) -> Timestamp {
        let micros = Timestamp::from_clock(ticks, self.hz).as_micros();
        let shift = *self.shift.get_or_insert(here - micros);
        let time = Timestamp::from_micros(micros.saturating_add(shift));
        let time = self.last.map_or(time, |last| time.max(last));
        self.last = Some(time);
        time
    }
}

impl Rate {
    /// Counts; true when there is a new measurement. Half of it is the one before, since pictures come in bursts.
    fn count(&mut self, bytes: u64, now: Instant) -> bool {
        self.bytes += bytes;
        let elapsed = now.saturating_duration_since(self.began);
        if elapsed < RATE_WINDOW {
            return false;
        }
        let rate = self.bytes * 8_000 / u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX).max(1);
        let before = if self.bits_per_second == 0 { rate } else { self.bits_per_second };
        *self = Rate { began: now, bytes: 0, bits_per_second: u64::midpoint(rate, before) };
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(now: Instant) -> Line {
        let (kind, codec, payload) = (Kind::Video, Codec::H264, Bytes::from_static(&[0x65]));
        let (rid, captured) = (None, None);
        let packet = Incoming { kind, codec, rid, sequence: 1, ticks: 1, marker: true, captured, payload };
        Line::new(&packet, None, now).unwrap()
    }

    #[test]
    fn a_storm_of_wishes_asks_the_publisher_once() {
        let began = Instant::now();
        let mut line = line(began);
        let mut wish = |millis: u32| {
            line.keyframe_wanted = true;
            u32::from(line.asks(began + Duration::from_millis(1) * millis))
        };
        // A hundred in 400 ms.
        assert_eq!((0..100).map(|n| wish(4 * n)).sum::<u32>(), 1);
        assert_eq!([wish(499), wish(500), wish(501), wish(999), wish(1000)], [0, 1, 0, 0, 1]);
    }

    #[test]
    fn a_publisher_whose_keyframes_come_is_asked_when_they_get_late() {
        let began = Instant::now();
        let mut line = line(began);
        let at = |millis: u64| began + Duration::from_millis(millis);
        line.keyframe_came = Some(began);
        assert!((0..40).all(|n| !line.asks(at(n * 50))), "it sends them as often as players need them");
        assert!(line.asks(at(2000)));
        assert!(!line.asks(at(2400)) && line.asks(at(2500)));
    }
}
