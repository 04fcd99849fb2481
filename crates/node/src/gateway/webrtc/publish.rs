//! Packets to frames: one publisher's tracks on the broadcast's timeline.

mod line;

use super::capture::{Ahead, CaptureClock};
use super::engine::{Clock, Incoming, Rid};
use super::renditions::Published;
use crate::metrics::{CloseReason, Metrics};
use crate::stage::Muting;
use bytes::Bytes;
use hub::Producer;
use line::Line;
use media::codec::{opus, vp8, vp9};
use media::{Codec, Frame, Kind, Timestamp, TrackId};
use mux::rtp::{Event, Unit};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// One publisher that was accepted.
#[derive(Debug)]
pub(super) struct Intake {
    producer: Producer,
    /// Where the qualities go, if there are several.
    published: Option<Published>,
    /// When its pictures were taken, for viewers.
    captures: CaptureClock,
    ahead: Ahead,
    /// What of it reaches nobody.
    muting: Muting,
    metrics: Arc<Metrics>,
    lines: Vec<Line>,
    /// Which quality the broadcast itself has, and which one it takes at its next keyframe.
    base: Option<Rid>,
    next_base: Option<Rid>,
    /// Time of the last picture of the broadcast itself.
    last_picture: Option<Timestamp>,
    expected: usize,
    began: Instant,
    /// Where the timeline stood when it began.
    start: Timestamp,
    ready: bool,
    pub(super) bytes: u64,
}

/// Without a second track for so long, the first goes live alone.
const SECOND_TRACK_WAIT: Duration = Duration::from_millis(1000);
/// Sound and pictures are moved against each other when they are further apart than this.
const OFFSET_MAX_MICROS: i64 = 5_000;
/// A quality that isn't heard for so long, while others are, is gone.
const RID_SILENCE: Duration = Duration::from_millis(700);
/// The broadcast itself takes a better quality when that came for so long: players by segments see a new configuration.
const RID_STEADY: Duration = Duration::from_secs(2);
/// A quality is better when it has so much more bits, in percent.
const BETTER_PERCENT: u64 = 130;

impl Intake {
    /// `expected` tracks were offered.
    pub(super) fn new(
        producer: Producer,
        (published, captures, muting): (Option<Published>, CaptureClock, Muting),
        metrics: &Arc<Metrics>,
        expected: usize,
        now: Instant,
    ) -> Intake {
        captures.forget();
        let start = producer.resumes_at().unwrap_or(Timestamp::ZERO);
        Intake {
            producer,
            published,
            captures,
            ahead: Ahead::default(),
            muting,
            metrics: Arc::clone(metrics),
            lines: Vec::new(),
            base: None,
            next_base: None,
            last_picture: None,
            expected,
            began: now,
            start,
            ready: false,
            bytes: 0,
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
        self.lines[at].push(packet, now);
        self.drain(at, now)
    }

    /// Gives up on what is missing too long; the qualities (`None`: there is one only) that a keyframe is to be asked for.
    ///
    /// # Errors
    /// When somebody else publishes there now.
    pub(super) fn tick(&mut self, now: Instant) -> Result<Vec<Option<Rid>>, CloseReason> {
        for at in 0..self.lines.len() {
            if let Some(sequence) = self.lines[at].overdue(now) {
                self.lines[at].depacketizer.give_up_before(sequence);
                self.drain(at, now)?;
            }
        }
        self.drop_silent();
        self.choose_base(now);
        self.open(now);
        Ok(self.lines.iter_mut().filter_map(|line| line.asks(now).then_some(line.rid)).collect())
    }

    /// The sender told what its clocks are, when it was `here`.
    pub(super) fn clock(&mut self, told: &Clock, here: SystemTime) {
        let Ok(wall) = told.wallclock.duration_since(UNIX_EPOCH) else { return };
        let media = i64::try_from(u128::from(told.ticks) * 1_000_000 / u128::from(told.hz.max(1)));
        let (Ok(wall), Ok(media)) = (i64::try_from(wall.as_micros()), media) else { return };
        if let Some(ours) =
            here.duration_since(UNIX_EPOCH).ok().and_then(|d| i64::try_from(d.as_micros()).ok())
        {
            self.ahead.learn(wall, ours);
        }
        let same = |line: &&mut Line| line.kind == told.kind && line.rid == told.rid;
        if let Some(line) = self.lines.iter_mut().find(same) {
            line.clock = Some(wall - media);
        }
        self.align();
    }

    /// Puts sound, and other qualities, where the sender's clocks say that they belong beside the pictures. RFC 3550 §6.4.1.
    fn align(&mut self) {
        let base = |line: &&Line| line.kind == Kind::Video && line.rid == self.base;
        let Some(pictures) = self.lines.iter().find(base) else { return };
        let (Some(clock), Some(shift), rid) = (pictures.clock, pictures.shift, pictures.rid) else { return };
        for line in self.lines.iter_mut().filter(|line| line.kind == Kind::Audio || line.rid != rid) {
            let (Some(its_clock), Some(its_shift)) = (line.clock, line.shift) else { continue };
            let wanted = shift + its_clock - clock;
            if (wanted - its_shift).abs() > OFFSET_MAX_MICROS {
                line.shift = Some(wanted);
            }
        }
    }

    /// The track that a packet belongs to. Several qualities are taken only from who offered them.
    fn line(&mut self, packet: &Incoming, now: Instant) -> Option<usize> {
        let same = |line: &Line| line.kind == packet.kind && line.rid == packet.rid;
        let known = self.lines.iter().position(same);
        if known.is_some_and(|at| self.lines[at].codec == packet.codec) {
            return known;
        }
        let pictures = packet.kind == Kind::Video;
        let others = self.lines.iter().any(|line| line.kind == packet.kind);
        if known.is_none() && others && (self.published.is_none() || !pictures) {
            return None;
        }
        let before = known.and_then(|at| self.lines[at].rung.take());
        let rung = match (&self.published, packet.rid.filter(|_| pictures)) {
            (Some(published), Some(rid)) if before.is_none() => Some(published.rung(rid, now)?),
            _ => before,
        };
        let line = Line::new(packet, rung, now)?;
        if pictures && !others {
            self.take_base(packet.rid);
        }
        match known {
            Some(at) => self.lines[at] = line,
            None => self.lines.push(line),
        }
        Some(known.unwrap_or(self.lines.len() - 1))
    }

    /// Forgets qualities that aren't sent any more while others are. When nothing moves, nothing is sent of any.
    fn drop_silent(&mut self) {
        let Some(published) = &self.published else { return };
        let heard = self.lines.iter().filter(|line| line.rung.is_some()).map(|line| line.heard).max();
        let Some(heard) = heard else { return };
        let silent = |line: &mut Line| {
            line.rung.is_some() && heard.saturating_duration_since(line.heard) >= RID_SILENCE
        };
        for line in self.lines.extract_if(.., silent) {
            if let Some((rung, _)) = &line.rung {
                published.remove(rung);
            }
        }
    }

    /// The broadcast itself has the best quality that comes steadily.
    fn choose_base(&mut self, now: Instant) {
        if self.published.is_none() {
            return;
        }
        let pictures = || self.lines.iter().filter(|line| line.kind == Kind::Video);
        let Some(base) = pictures().find(|line| line.rid == self.base) else {
            let best = self
                .lines
                .iter_mut()
                .filter(|line| line.kind == Kind::Video)
                .max_by_key(|l| l.bits_per_second());
            self.next_base = best.and_then(|line| {
                line.keyframe_wanted = true;
                line.rid
            });
            return;
        };
        let enough = base.bits_per_second() * BETTER_PERCENT / 100;
        let steady = |line: &&Line| now.saturating_duration_since(line.began) >= RID_STEADY;
        let better = pictures().filter(steady).max_by_key(|line| line.bits_per_second());
        self.next_base = better.filter(|line| line.bits_per_second() > enough).and_then(|line| line.rid);
    }

    fn take_base(&mut self, rid: Option<Rid>) {
        (self.base, self.next_base) = (rid, None);
        if let (Some(published), Some(rid)) = (&self.published, rid) {
            published.set_base(rid);
        }
    }

    fn drain(&mut self, at: usize, now: Instant) -> Result<(), CloseReason> {
        while let Some(event) = self.lines[at].depacketizer.poll() {
            match event {
                Event::Config(config) => {
                    self.lines[at].config = Some(config);
                    self.tell_track(at)?;
                }
                Event::Unit(unit) => self.unit(at, unit, now)?,
                Event::Lost { .. } => self.lines[at].keyframe_wanted |= self.lines[at].kind == Kind::Video,
            }
        }
        Ok(())
    }

    /// Whether the broadcast itself gets what comes here.
    fn is_base(&self, at: usize) -> bool {
        self.lines[at].kind == Kind::Audio || self.lines[at].rid == self.base
    }

    /// Tells viewers what the track is.
    fn tell_track(&mut self, at: usize) -> Result<(), CloseReason> {
        let is_base = self.is_base(at);
        let line = &mut self.lines[at];
        if line.kind == Kind::Video && (line.held_back || self.muting.video()) {
            // Told when pictures are let through again.
            line.held_back = true;
            return Ok(());
        }
        let Some(track) = line.track() else { return Ok(()) };
        if let Some((_, producer)) = &mut self.lines[at].rung {
            producer.track(track.clone()).map_err(|_| CloseReason::Superseded)?;
            producer.ready();
        }
        match is_base {
            true => self.producer.track(track).map_err(|_| CloseReason::Superseded),
            false => Ok(()),
        }
    }

    fn unit(&mut self, at: usize, unit: Unit, now: Instant) -> Result<(), CloseReason> {
        if self.lines[at].config.is_none() {
            let opus = self.lines[at].codec == Codec::Opus;
            self.lines[at].config = Some(if opus { opus_head() } else { Bytes::new() });
            self.tell_track(at)?;
        }
        let arrived =
            i64::try_from(now.saturating_duration_since(self.began).as_micros()).unwrap_or(i64::MAX);
        let here = self.start.as_micros().saturating_add(arrived);
        let time = self.lines[at].place(unit.timestamp, here);
        let taken = self.lines[at].taken(unit.timestamp).filter(|_| self.is_base(at));
        if let Some(captured) = taken {
            self.captures.tell(captured, time.as_micros(), self.ahead);
        }
        if unit.keyframe && self.lines[at].kind == Kind::Video {
            self.keyframe(at, &unit.payload, now)?;
        }
        let frame = Frame { dts: time, pts: time, keyframe: unit.keyframe, payload: unit.payload };
        self.write(at, frame, now)?;
        self.open(now);
        Ok(())
    }

    fn write(&mut self, at: usize, mut frame: Frame, now: Instant) -> Result<(), CloseReason> {
        if self.lines[at].kind == Kind::Video {
            if self.leaves_out(at, frame.keyframe)? {
                return Ok(());
            }
        } else if self.muting.audio() {
            // Silence and not nothing, so that no player waits for its sound.
            let Some(silence) = opus::silence(&frame.payload) else { return Ok(()) };
            frame.payload = silence;
        }
        let (is_base, line) = (self.is_base(at), &mut self.lines[at]);
        let id = line.id();
        if let Some((_, producer)) = &mut line.rung {
            producer.write(id, frame.clone(), now).map_err(|_| CloseReason::Superseded)?;
        }
        if !is_base {
            return Ok(());
        }
        if line.kind == Kind::Video {
            // The clock of another quality may be a little behind until the sender has told what its clocks are.
            let time = self.last_picture.map_or(frame.dts, |last| frame.dts.max(last));
            (frame.dts, frame.pts, self.last_picture) = (time, time, Some(time));
        }
        self.producer.write(id, frame, now).map_err(|_| CloseReason::Superseded)
    }

    /// Whether a picture reaches nobody. While it is so there is no track for it: who joins hears the sound, and isn't shown what came before.
    fn leaves_out(&mut self, at: usize, keyframe: bool) -> Result<bool, CloseReason> {
        let (is_base, line) = (self.is_base(at), &mut self.lines[at]);
        let before = line.held_back;
        match (before, line.holds_back(self.muting.video(), keyframe)) {
            (false, true) => {
                if let Some((_, producer)) = &mut line.rung {
                    producer.only(&[]).map_err(|_| CloseReason::Superseded)?;
                }
                if is_base {
                    self.producer.only(&[TrackId::AUDIO]).map_err(|_| CloseReason::Superseded)?;
                }
            }
            // Muted again by now, it is held back again.
            (true, false) => self.tell_track(at)?,
            _ => {}
        }
        Ok(self.lines[at].held_back)
    }

    /// A picture that players can begin with.
    fn keyframe(&mut self, at: usize, payload: &[u8], now: Instant) -> Result<(), CloseReason> {
        let line = &mut self.lines[at];
        line.keyframe_came = Some(now);
        let size = match line.codec {
            Codec::Vp8 => vp8::size(payload),
            Codec::Vp9 => vp9::size(payload),
            _ => None,
        };
        let grown = size.is_some() && size != line.size;
        line.size = size.or(line.size);
        let turns = line.rid.is_some() && line.rid == self.next_base;
        if turns {
            self.take_base(self.next_base);
        }
        if grown || turns { self.tell_track(at) } else { Ok(()) }
    }

    fn open(&mut self, now: Instant) {
        let sound = self.lines.iter().any(|line| line.kind == Kind::Audio && line.shift.is_some());
        let there = usize::from(sound) + usize::from(self.last_picture.is_some());
        let waited = now.saturating_duration_since(self.began) >= SECOND_TRACK_WAIT;
        if !self.ready && there > 0 && (there >= self.expected || waited) {
            self.ready = true;
            self.producer.ready();
        }
    }
}

/// 48 kHz stereo, no pre-skip: what came by RTP has no encoder delay to cut. RFC 7845 §5.1.
fn opus_head() -> Bytes {
    Bytes::from_static(b"OpusHead\x01\x02\x00\x00\x80\xbb\x00\x00\x00\x00\x00")
}
