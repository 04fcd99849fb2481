//! Packets to frames: one publisher's tracks on the broadcast's timeline.

use super::engine::{Incoming, Rid};
use crate::metrics::{CloseReason, Metrics};
use bytes::Bytes;
use hub::Producer;
use media::codec::{vp8, vp9};
use media::{Codec, Frame, Kind, Timestamp, Track, TrackId};
use mux::rtp::{Depacketizer, Event, Received, Unit, clock_hz};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// One publisher that was accepted.
#[derive(Debug)]
pub(super) struct Intake {
    producer: Producer,
    metrics: Arc<Metrics>,
    lines: Vec<Line>,
    expected: usize,
    began: Instant,
    /// Where the timeline stood when it began.
    start: Timestamp,
    ready: bool,
    pub(super) bytes: u64,
    keyframe_wanted: bool,
    keyframe_asked: Option<Instant>,
    keyframe_came: Option<Instant>,
}

/// One track that comes in.
#[derive(Debug)]
struct Line {
    kind: Kind,
    codec: Codec,
    /// Which of several qualities is taken.
    rid: Option<Rid>,
    heard: Instant,
    hz: u32,
    depacketizer: Depacketizer,
    /// Highest number that had come by then.
    seen: VecDeque<(Instant, u64)>,
    config: Option<Bytes>,
    /// As keyframes tell it.
    size: Option<(u32, u32)>,
    /// Microseconds to add to media time.
    shift: Option<i64>,
    /// Sender's wall clock minus its media time, in microseconds.
    clock: Option<i64>,
    last: Option<Timestamp>,
}

/// A packet that is missing for so long won't come: resending takes a round trip or two.
const GIVE_UP: Duration = Duration::from_millis(250);
/// Without a second track for so long, the first goes live alone.
const SECOND_TRACK_WAIT: Duration = Duration::from_millis(1000);
/// A browser sends a keyframe only when asked: players by segments, and viewers who join, need them.
const KEYFRAME_EVERY: Duration = Duration::from_secs(2);
/// Asking more often than this only costs the picture its quality.
const KEYFRAME_ASK_MIN: Duration = Duration::from_millis(500);
/// Sound and pictures are moved against each other when they are further apart than this.
const OFFSET_MAX_MICROS: i64 = 5_000;
/// A quality that isn't heard for so long is replaced by another one.
const RID_SILENCE: Duration = Duration::from_millis(1500);
/// Points of [`Line::seen`].
const SEEN_MAX: usize = 64;

impl Intake {
    /// `expected` tracks were offered.
    pub(super) fn new(producer: Producer, metrics: &Arc<Metrics>, expected: usize, now: Instant) -> Intake {
        let start = producer.resumes_at().unwrap_or(Timestamp::ZERO);
        Intake {
            producer,
            metrics: Arc::clone(metrics),
            lines: Vec::new(),
            expected,
            began: now,
            start,
            ready: false,
            bytes: 0,
            keyframe_wanted: false,
            keyframe_asked: None,
            keyframe_came: None,
        }
    }

    /// Leaves the seat; the broadcast waits for a while.
    pub(super) fn leave(self, now: Instant) {
        self.producer.leave(now);
    }

    /// Takes a packet in.
    ///
    /// # Errors
    /// When somebody else publishes there now.
    pub(super) fn packet(&mut self, packet: Incoming, now: Instant) -> Result<(), CloseReason> {
        self.bytes += packet.payload.len() as u64;
        self.metrics.here().ingest(packet.payload.len() as u64);
        let Some(at) = self.line(&packet, now) else { return Ok(()) };
        let line = &mut self.lines[at];
        line.heard = now;
        line.note(packet.sequence, now);
        line.depacketizer.push(Received {
            sequence: packet.sequence,
            timestamp: packet.ticks as u32,
            marker: packet.marker,
            payload: packet.payload,
        });
        self.drain(at, now)
    }

    /// Gives up on what is missing too long; whether the sender should be asked for a keyframe.
    ///
    /// # Errors
    /// When somebody else publishes there now.
    pub(super) fn tick(&mut self, now: Instant) -> Result<bool, CloseReason> {
        for at in 0..self.lines.len() {
            if let Some(sequence) = self.lines[at].overdue(now) {
                self.lines[at].depacketizer.give_up_before(sequence);
                self.drain(at, now)?;
            }
        }
        self.open(now);
        let stale =
            self.keyframe_came.is_none_or(|came| now.saturating_duration_since(came) >= KEYFRAME_EVERY);
        let pictures = self.lines.iter().any(|line| line.kind == Kind::Video);
        let rested =
            self.keyframe_asked.is_none_or(|at| now.saturating_duration_since(at) >= KEYFRAME_ASK_MIN);
        if pictures && rested && (stale || self.keyframe_wanted) {
            self.keyframe_asked = Some(now);
            self.keyframe_wanted = false;
            return Ok(true);
        }
        Ok(false)
    }

    /// The sender told what its clocks are.
    pub(super) fn clock(&mut self, kind: Kind, ticks: u64, hz: u32, wallclock: SystemTime) {
        let Ok(wall) = wallclock.duration_since(UNIX_EPOCH) else { return };
        let media = i64::try_from(u128::from(ticks) * 1_000_000 / u128::from(hz.max(1)));
        let (Ok(wall), Ok(media)) = (i64::try_from(wall.as_micros()), media) else { return };
        if let Some(line) = self.lines.iter_mut().find(|line| line.kind == kind) {
            line.clock = Some(wall - media);
        }
        self.align();
    }

    /// Puts sound where the sender's clocks say that it belongs beside the pictures. RFC 3550 §6.4.1.
    fn align(&mut self) {
        let of = |kind| self.lines.iter().find(|line| line.kind == kind);
        let (Some(video), Some(audio)) = (of(Kind::Video), of(Kind::Audio)) else { return };
        let (Some(video_clock), Some(video_shift)) = (video.clock, video.shift) else { return };
        let (Some(audio_clock), Some(audio_shift)) = (audio.clock, audio.shift) else { return };
        let wanted = video_shift + audio_clock - video_clock;
        if (wanted - audio_shift).abs() > OFFSET_MAX_MICROS
            && let Some(audio) = self.lines.iter_mut().find(|line| line.kind == Kind::Audio)
        {
            audio.shift = Some(wanted);
        }
    }

    /// The track that a packet belongs to. Of several qualities one is taken, until nothing comes of it any more.
    fn line(&mut self, packet: &Incoming, now: Instant) -> Option<usize> {
        let known = self.lines.iter().position(|line| line.kind == packet.kind);
        if let Some(at) = known {
            let line = &self.lines[at];
            let same = line.codec == packet.codec && line.rid == packet.rid;
            if same {
                return Some(at);
            }
            if line.rid != packet.rid && now.saturating_duration_since(line.heard) < RID_SILENCE {
                return None;
            }
        }
        let before = known.map(|at| &self.lines[at]);
        let mut line = Line::new(packet, now)?;
        line.last = before.and_then(|line| line.last);
        match known {
            Some(at) => self.lines[at] = line,
            None => self.lines.push(line),
        }
        Some(known.unwrap_or(self.lines.len() - 1))
    }

    fn drain(&mut self, at: usize, now: Instant) -> Result<(), CloseReason> {
        while let Some(event) = self.lines[at].depacketizer.poll() {
            match event {
                Event::Config(config) => self.config(at, config)?,
                Event::Unit(unit) => self.unit(at, unit, now)?,
                Event::Lost { .. } => self.keyframe_wanted |= self.lines[at].kind == Kind::Video,
            }
        }
        Ok(())
    }

    fn config(&mut self, at: usize, config: Bytes) -> Result<(), CloseReason> {
        let line = &mut self.lines[at];
        line.config = Some(config.clone());
        let track = line.track(config);
        self.producer.track(track).map_err(|_| CloseReason::Superseded)
    }

    fn unit(&mut self, at: usize, unit: Unit, now: Instant) -> Result<(), CloseReason> {
        if self.lines[at].config.is_none() {
            let config = if self.lines[at].codec == Codec::Opus { opus_head() } else { Bytes::new() };
            self.config(at, config)?;
        }
        let arrived =
            i64::try_from(now.saturating_duration_since(self.began).as_micros()).unwrap_or(i64::MAX);
        let here = self.start.as_micros().saturating_add(arrived);
        let time = self.lines[at].place(unit.timestamp, here);
        if unit.keyframe && self.lines[at].kind == Kind::Video {
            self.keyframe_came = Some(now);
            self.size(at, &unit.payload)?;
        }
        let frame = Frame { dts: time, pts: time, keyframe: unit.keyframe, payload: unit.payload };
        self.producer.write(self.lines[at].id(), frame, now).map_err(|_| CloseReason::Superseded)?;
        self.open(now);
        Ok(())
    }

    /// The size of pictures, where only they tell it.
    fn size(&mut self, at: usize, keyframe: &[u8]) -> Result<(), CloseReason> {
        let line = &mut self.lines[at];
        let size = match line.codec {
            Codec::Vp8 => vp8::size(keyframe),
            Codec::Vp9 => vp9::size(keyframe),
            _ => None,
        };
        if size.is_none() || size == line.size {
            return Ok(());
        }
        line.size = size;
        let track = line.track(line.config.clone().unwrap_or_default());
        self.producer.track(track).map_err(|_| CloseReason::Superseded)
    }

    fn open(&mut self, now: Instant) {
        let there = self.lines.iter().filter(|line| line.last.is_some()).count();
        let waited = now.saturating_duration_since(self.began) >= SECOND_TRACK_WAIT;
        if !self.ready && there > 0 && (there >= self.expected || waited) {
            self.ready = true;
            self.producer.ready();
        }
    }
}

impl Line {
    fn new(packet: &Incoming, now: Instant) -> Option<Line> {
        let codec = packet.codec;
        Some(Line {
            kind: packet.kind,
            codec,
            rid: packet.rid,
            heard: now,
            hz: clock_hz(codec)?,
            depacketizer: Depacketizer::new(codec).ok()?,
            seen: VecDeque::new(),
            config: None,
            size: None,
            shift: None,
            clock: None,
            last: None,
        })
    }

    fn track(&self, config: Bytes) -> Track {
        let track = Track::new(self.id(), self.codec, config);
        Track { told_size: self.size.or(track.told_size), ..track }
    }

    fn id(&self) -> TrackId {
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
    fn overdue(&mut self, now: Instant) -> Option<u64> {
        let mut found = None;
        while let Some((at, sequence)) = self.seen.front()
            && now.saturating_duration_since(*at) >= GIVE_UP
        {
            found = Some(*sequence);
            self.seen.pop_front();
        }
        found
    }

    /// Media time on the broadcast's timeline; `here` is where the timeline stands. Never back.
    fn place(&mut self, ticks: i64, here: i64) -> Timestamp {
        let micros = Timestamp::from_clock(ticks, self.hz).as_micros();
        let shift = *self.shift.get_or_insert(here - micros);
        let time = Timestamp::from_micros(micros.saturating_add(shift));
        let time = self.last.map_or(time, |last| time.max(last));
        self.last = Some(time);
        time
    }
}

/// 48 kHz stereo, no pre-skip: what came by RTP has no encoder delay to cut. RFC 7845 §5.1.
fn opus_head() -> Bytes {
    Bytes::from_static(b"OpusHead\x01\x02\x00\x00\x80\xbb\x00\x00\x00\x00\x00")
}
