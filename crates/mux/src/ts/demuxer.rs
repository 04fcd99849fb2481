//! TS packets to frames.

use super::assembly::{Assembly, Pes};
use super::program::{Coded, Elementary, LeftOut, Program, Sections, next_pat, next_pmt};
use super::sync::{Packet, Packets};
use super::units::{Picture, Pictures, Sample, Sound};
use crate::Error;
use crate::timeline::{Repairs, Timeline};
use bytes::Bytes;
use media::{Codec, Frame, Kind, Timestamp, Track, TrackId};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// What TS packets meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The first, or a changed, decoder configuration of a track.
    Track(Track),
    /// A frame.
    Frame {
        /// Its track.
        track: TrackId,
        /// The frame.
        frame: Frame,
    },
}

/// What was lost or broken on the way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Damage {
    /// TS packets that are missing by their continuity counters.
    pub lost_packets: u64,
    /// PES packets that were dropped, for something in them was missing or wrong.
    pub dropped: u64,
    /// How often TS packets, or frames of sound, had to be found again.
    pub resyncs: u64,
    /// Pictures that were left out, for they refer to one that is missing.
    pub skipped: u64,
}

/// Turns the transport stream of one publisher into frames on the broadcast's timeline.
///
/// Of the first program, the first pictures (H.264, HEVC) and the first sound (AAC in ADTS, MP3, Opus) are taken in; the
/// rest is left out, see [`Demuxer::left_out`]. It holds one PES packet of each: 8 MiB of pictures and 128 KiB of sound at
/// most; what is longer is dropped. After something is missing, pictures are left out until a keyframe, as with RTP.
#[derive(Debug)]
pub struct Demuxer {
    packets: Packets,
    pat: Sections,
    pmt: Sections,
    pmt_pid: Option<u16>,
    program: Program,
    video: Option<Lane<Pictures>>,
    audio: Option<Lane<Sound>>,
    /// Since when a keyframe is waited for.
    waits: Option<Instant>,
    /// Sound that turned out to be such as can't be taken in.
    deaf_to: Option<(Elementary, LeftOut)>,
    clock: Clock,
    events: VecDeque<Event>,
    samples: Vec<Sample>,
    /// Of tracks that are gone.
    damage: Damage,
}

/// One PID that is taken in.
#[derive(Debug)]
struct Lane<T> {
    of: Elementary,
    assembly: Assembly,
    units: T,
}

/// Program clock to the broadcast's timeline.
#[derive(Debug)]
struct Clock {
    timeline: Timeline,
    /// The last decode time of any track, with all wraps folded in.
    last: Option<i64>,
    /// The last decode time on the broadcast, by [`lane`].
    out: [Timestamp; 2],
    /// Where the last picture was.
    picture: Option<i64>,
    /// Where the next access unit of sound is.
    sound: Option<Running>,
}

/// Time of sound that goes on from the last one that was told.
#[derive(Clone, Copy, Debug)]
struct Running {
    told: i64,
    samples: u64,
}

const PAT_PID: u16 = 0;
/// Times have 33 bits. ISO 13818-1 §2.4.3.7.
const WRAP: i64 = 1 << 33;
/// Bytes of a PES packet of pictures: what a publisher's message may have elsewhere, too.
const VIDEO_BYTES_MAX: usize = 8 << 20;
/// The same of sound, whose packets tell their length in 16 bits.
const AUDIO_BYTES_MAX: usize = 128 << 10;
/// Ticks that a picture can be shown after it was decoded; more is nonsense.
const SHIFT_MAX: i64 = 10 * 90_000;
/// How long a keyframe is waited for: with intra refresh there is none, and broken pictures mend.
const KEYFRAME_WAIT: Duration = Duration::from_secs(10);

impl Demuxer {
    /// A demuxer whose first frame has the time `start` on the broadcast.
    pub fn new(start: Timestamp) -> Demuxer {
        Demuxer {
            packets: Packets::default(),
            pat: Sections::default(),
            pmt: Sections::default(),
            pmt_pid: None,
            program: Program::default(),
            video: None,
            audio: None,
            waits: None,
            deaf_to: None,
            clock: Clock {
                timeline: Timeline::new(start),
                last: None,
                out: [Timestamp::from_micros(i64::MIN); 2],
                picture: None,
                sound: None,
            },
            events: VecDeque::new(),
            samples: Vec::new(),
            damage: Damage::default(),
        }
    }

    /// Timestamps that were mended.
    pub fn repairs(&self) -> Repairs {
        self.clock.timeline.repairs()
    }

    /// What was lost or broken so far.
    pub fn damage(&self) -> Damage {
        let mut damage = Damage { resyncs: self.packets.resyncs() + self.damage.resyncs, ..self.damage };
        let video = self.video.as_ref().map(|lane| &lane.assembly);
        for assembly in video.into_iter().chain(self.audio.as_ref().map(|lane| &lane.assembly)) {
            damage.lost_packets += assembly.lost_packets();
            damage.dropped += assembly.dropped();
        }
        damage.resyncs += self.audio.as_ref().map_or(0, |lane| lane.units.resyncs());
        damage
    }

    /// Which kinds the program has, pictures and sound, once it has told.
    pub fn promised(&self) -> Option<(bool, bool)> {
        let (video, audio) = (self.video.is_some(), self.audio.is_some());
        (video || audio).then_some((video, audio))
    }

    /// What the program has besides, and nobody gets.
    pub fn left_out(&self) -> &[LeftOut] {
        &self.program.left_out
    }

    /// The next thing that is known.
    pub fn poll(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Takes bytes in that arrived at `now`, in pieces of any size. Poll after it: events gather.
    ///
    /// # Errors
    /// For a program of which nothing can be taken in, and for a scrambled one.
    pub fn push(&mut self, bytes: &[u8], now: Instant) -> Result<(), Error> {
        self.packets.push(bytes);
        while let Some(bytes) = self.packets.next() {
            if self.packets.broke() {
                self.lost(now);
            }
            if let Some(packet) = Packet::parse(&bytes) {
                self.packet(&packet, now)?;
            }
        }
        Ok(())
    }

    /// Packets are missing before what comes next, which their counters may not tell: no hole passes as whole.
    pub fn lost(&mut self, now: Instant) {
        self.pat.clear();
        self.pmt.clear();
        if let Some(lane) = &mut self.video {
            lane.assembly.lost();
            self.waits.get_or_insert(now);
        }
        if let Some(lane) = &mut self.audio {
            lane.assembly.lost();
            lane.units.gap();
        }
    }

    /// Nothing more comes: takes in the pictures whose end only the next ones would have told.
    ///
    /// # Errors
    /// For sound that isn't supported.
    pub fn finish(&mut self, now: Instant) -> Result<(), Error> {
        if self.packets.broke() {
            self.lost(now);
        }
        if let Some(pes) = self.video.as_mut().and_then(|lane| lane.assembly.end()) {
            self.pictures(&pes, now);
        }
        if let Some(pes) = self.audio.as_mut().and_then(|lane| lane.assembly.end()) {
            self.sound(pes, now)?;
        }
        Ok(())
    }

    fn packet(&mut self, packet: &Packet<'_>, now: Instant) -> Result<(), Error> {
        let is = |of: Option<Elementary>| of.is_some_and(|of| of.pid == packet.pid);
        if packet.pid == PAT_PID || Some(packet.pid) == self.pmt_pid {
            if let Some(payload) = packet.payload.filter(|_| !packet.is_damaged) {
                self.table(packet.pid, packet.starts, payload, now)?;
            }
            return Ok(());
        }
        if is(self.program.video)
            && let Some(lane) = &mut self.video
        {
            if packet.is_scrambled {
                return Err(Error::Scrambled);
            }
            let step = lane.assembly.push(packet);
            if step.gap {
                self.waits.get_or_insert(now);
            }
            step.whole.iter().flatten().for_each(|pes| self.pictures(pes, now));
        } else if is(self.program.audio)
            && let Some(lane) = &mut self.audio
        {
            if packet.is_scrambled {
                return Err(Error::Scrambled);
            }
            let step = lane.assembly.push(packet);
            if step.gap {
                lane.units.gap();
            }
            for pes in step.whole.into_iter().flatten() {
                self.sound(pes, now)?;
            }
        }
        Ok(())
    }

    fn table(&mut self, pid: u16, starts: bool, payload: &[u8], now: Instant) -> Result<(), Error> {
        if pid == PAT_PID {
            self.pat.push(starts, payload);
            while let Some(pmt_pid) = next_pat(&mut self.pat) {
                if self.pmt_pid != Some(pmt_pid) {
                    self.pmt_pid = Some(pmt_pid);
                    self.pmt.clear();
                }
            }
            return Ok(());
        }
        self.pmt.push(starts, payload);
        while let Some(mut program) = next_pmt(&mut self.pmt) {
            if let Some((of, layer)) = self.deaf_to.filter(|(of, _)| program.audio == Some(*of)) {
                program.forget(of, layer);
            }
            if program != self.program {
                self.change(program, now)?;
            }
        }
        Ok(())
    }

    /// What goes on as before keeps its state.
    fn change(&mut self, program: Program, now: Instant) -> Result<(), Error> {
        if let (None, None, Some(first)) = (program.video, program.audio, program.left_out.first()) {
            return Err(Error::NothingKnown(*first));
        }
        // What was there until now is whole by this.
        self.finish(now)?;
        let before = self.damage();
        if program.video != self.program.video {
            let codec = |of: Elementary| if of.coded == Coded::H265 { Codec::H265 } else { Codec::H264 };
            self.video = program.video.map(|of| Lane {
                of,
                assembly: Assembly::new(VIDEO_BYTES_MAX),
                units: Pictures::new(codec(of)),
            });
            self.waits = None;
        }
        if program.audio != self.program.audio {
            self.audio = program.audio.map(|of| Lane {
                of,
                assembly: Assembly::new(AUDIO_BYTES_MAX),
                units: Sound::new(of.coded),
            });
            self.clock.sound = None;
        }
        self.program = program;
        self.keep(before);
        Ok(())
    }

    /// What was counted stays so, though tracks are gone.
    fn keep(&mut self, before: Damage) {
        let after = self.damage();
        self.damage.lost_packets += before.lost_packets - after.lost_packets;
        self.damage.dropped += before.dropped - after.dropped;
        self.damage.resyncs += before.resyncs - after.resyncs;
    }

    fn pictures(&mut self, pes: &Pes, now: Instant) {
        let Some(video) = &mut self.video else { return };
        let Some(picture) = video.units.take(&pes.payload, pes.random_access) else { return };
        let codec = if video.of.coded == Coded::H265 { Codec::H265 } else { Codec::H264 };
        let Picture { keyframe, payload, config } = picture;
        if let Some(config) = config {
            self.events.push_back(Event::Track(Track::new(TrackId::VIDEO, codec, config)));
        }
        if payload.is_empty() {
            return;
        }
        let waits = self.waits.is_some_and(|since| now.saturating_duration_since(since) < KEYFRAME_WAIT);
        if waits && !keyframe {
            self.damage.skipped += 1;
            return;
        }
        self.waits = None;
        let ticks = pes.dts.map(|dts| self.clock.unwrap(dts));
        // A second field may come without a time.
        let Some(ticks) = ticks.or(self.clock.picture) else { return };
        self.clock.picture = Some(ticks);
        let shift = match (pes.pts, pes.dts) {
            (Some(pts), Some(dts)) => apart(pts as i64, dts as i64),
            _ => 0,
        };
        let shift = if shift.abs() <= SHIFT_MAX { shift } else { 0 };
        let dts = self.clock.map(Kind::Video, ticks, now);
        let micros = Timestamp::from_clock(ticks + shift, 90_000).as_micros()
            - Timestamp::from_clock(ticks, 90_000).as_micros();
        let pts = Timestamp::from_micros(dts.as_micros().saturating_add(micros));
        let frame = Frame { dts, pts, keyframe, payload };
        self.events.push_back(Event::Frame { track: TrackId::VIDEO, frame });
    }

    fn sound(&mut self, pes: Pes, now: Instant) -> Result<(), Error> {
        let Some(audio) = &mut self.audio else { return Ok(()) };
        let mut samples = std::mem::take(&mut self.samples);
        let taken = audio.units.take(pes.payload, &mut samples);
        let mut told = pes.pts.map(|pts| self.clock.unwrap(pts));
        for sample in samples.drain(..) {
            // The time is that of the first access unit that begins in the packet. ISO 13818-1 §2.4.3.7.
            let own = if sample.is_carried { None } else { told.take() };
            let running = own.map(|told| Running { told, samples: 0 }).or(self.clock.sound);
            let Some(running) = running else { continue };
            let rate = u64::from(sample.sample_rate.max(1));
            let ticks = running.told.saturating_add_unsigned(running.samples * 90_000 / rate);
            let samples = running.samples + u64::from(sample.samples);
            self.clock.sound = Some(Running { samples, ..running });
            self.sample(sample.config, sample.payload, ticks, now);
        }
        self.samples = samples;
        match taken {
            Ok(()) => Ok(()),
            Err(layer) if self.video.is_none() => Err(Error::NothingKnown(layer)),
            Err(layer) => {
                // Only the frames tell, not the tables.
                let before = self.damage();
                if let Some(audio) = self.audio.take() {
                    self.deaf_to = Some((audio.of, layer));
                    self.program.forget(audio.of, layer);
                }
                self.keep(before);
                Ok(())
            }
        }
    }

    fn sample(&mut self, config: Option<(Codec, Bytes)>, payload: Bytes, ticks: i64, now: Instant) {
        if let Some((codec, config)) = config {
            self.events.push_back(Event::Track(Track::new(TrackId::AUDIO, codec, config)));
        }
        let dts = self.clock.map(Kind::Audio, ticks, now);
        let frame = Frame { dts, pts: dts, keyframe: true, payload };
        self.events.push_back(Event::Frame { track: TrackId::AUDIO, frame });
    }
}

impl Clock {
    /// Ticks with all wraps folded in.
    fn unwrap(&mut self, ticks: u64) -> i64 {
        let ticks = ticks as i64;
        let unwrapped = self.last.map_or(ticks, |last| last + apart(ticks, last));
        self.last = Some(unwrapped);
        unwrapped
    }

    /// The timeline counts milliseconds; what is less is put back behind it.
    fn map(&mut self, kind: Kind, ticks: i64, now: Instant) -> Timestamp {
        let micros = Timestamp::from_clock(ticks, 90_000).as_micros();
        let at = self.timeline.map(kind, micros.div_euclid(1000) as u32, now).as_micros();
        let out = &mut self.out[lane(kind)];
        *out = Timestamp::from_micros(at.saturating_add(micros.rem_euclid(1000))).max(*out);
        *out
    }
}

/// Where a track's time is kept.
fn lane(kind: Kind) -> usize {
    match kind {
        Kind::Video => 0,
        Kind::Audio => 1,
    }
}

/// How far `ticks` are after `from`, within half a wrap.
fn apart(ticks: i64, from: i64) -> i64 {
    (ticks - from + WRAP / 2).rem_euclid(WRAP) - WRAP / 2
}

#[cfg(test)]
mod tests;
