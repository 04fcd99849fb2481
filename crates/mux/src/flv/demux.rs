//! Tag bodies to frames.

use super::fourcc::codec;
use super::mux::{CODED_FRAMES, CODED_FRAMES_X, EX_AUDIO, EX_VIDEO, SEQUENCE_START};
use super::{Metadata, TagType};
use crate::Error;
use crate::nal::{Normal, Normaliser};
use crate::timeline::{Repairs, Timeline};
use bytes::Bytes;
use media::codec::vp9;
use media::{Codec, Frame, Kind, Timestamp, Track, TrackId};
use std::time::{Duration, Instant};

/// What a tag body meant.
#[derive(Clone, Debug, PartialEq)]
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
    /// What the publisher says of its broadcast.
    Metadata(Metadata),
}

/// Turns the tag bodies of one publisher into frames on the broadcast's timeline.
#[derive(Debug)]
pub struct Demuxer {
    timeline: Timeline,
    video: Option<Track>,
    normaliser: Option<Normaliser>,
    /// The last video configuration that a sequence header gave. Pictures may have brought a newer one.
    announced: Bytes,
    held: Option<Event>,
    audio: Option<Track>,
    ignored: u64,
}

/// Frame type 5 carries a command, not a picture. FLV §E.4.3.1.
const INFO: u8 = 5;

impl Demuxer {
    /// A demuxer whose first frame has the time `start` on the broadcast.
    pub fn new(start: Timestamp) -> Demuxer {
        Demuxer::with(Timeline::new(start))
    }

    /// One whose frames keep the times of their tags.
    pub fn going_on() -> Demuxer {
        Demuxer::with(Timeline::going_on())
    }

    fn with(timeline: Timeline) -> Demuxer {
        Demuxer {
            timeline,
            video: None,
            normaliser: None,
            announced: Bytes::new(),
            held: None,
            audio: None,
            ignored: 0,
        }
    }

    /// Timestamps that were mended.
    pub fn repairs(&self) -> Repairs {
        self.timeline.repairs()
    }

    /// Bodies of kinds that are not taken in: multitrack, commands, unknown packet types.
    pub fn ignored(&self) -> u64 {
        self.ignored
    }

    /// What the last body meant besides what [`Demuxer::push`] gave: the keyframe that brought a changed
    /// configuration with it, as some encoders do. It is gone with the next push.
    pub fn held(&mut self) -> Option<Event> {
        self.held.take()
    }

    /// Takes one tag body in that arrived at `now`. Ask [`Demuxer::held`] for more after a track.
    ///
    /// # Errors
    /// For a codec that isn't supported, or a body shorter than its own header.
    pub fn push(
        &mut self,
        tag: TagType,
        time_ms: u32,
        body: &Bytes,
        now: Instant,
    ) -> Result<Option<Event>, Error> {
        self.held = None;
        match tag {
            TagType::Script => Ok(Metadata::parse(body).map(Event::Metadata)),
            TagType::Audio => self.audio(time_ms, body, now),
            TagType::Video => self.video(time_ms, body, now),
        }
    }

    fn audio(&mut self, time_ms: u32, body: &Bytes, now: Instant) -> Result<Option<Event>, Error> {
        let first = *body.first().ok_or(Error::Short)?;
        match first >> 4 {
            10 => match body.get(1) {
                Some(0) => Ok(self.track(Codec::Aac, body.slice(2..))),
                Some(_) => Ok(self.audio_frame(Codec::Aac, time_ms, body.slice(2..), now)),
                None => Err(Error::Short),
            },
            2 | 14 => {
                if self.audio.as_ref().is_none_or(|t| t.codec != Codec::Mp3) {
                    return Ok(self.track(Codec::Mp3, Bytes::new()));
                }
                Ok(self.audio_frame(Codec::Mp3, time_ms, body.slice(1..), now))
            }
            9 => {
                let name = four(body)?;
                let codec = codec(name).filter(|c| c.kind() == Kind::Audio).ok_or(Error::FourCc(name))?;
                match first & !EX_AUDIO {
                    SEQUENCE_START => Ok(self.track(codec, body.slice(5..))),
                    CODED_FRAMES => Ok(self.audio_frame(codec, time_ms, body.slice(5..), now)),
                    _ => Ok(self.ignore()),
                }
            }
            other => Err(Error::Codec(other)),
        }
    }

    fn audio_frame(&mut self, codec: Codec, time_ms: u32, payload: Bytes, now: Instant) -> Option<Event> {
        if payload.is_empty() || self.audio.as_ref().is_none_or(|t| t.codec != codec) {
            return self.ignore();
        }
        let dts = self.timeline.map(Kind::Audio, time_ms, now);
        let frame = Frame { dts, pts: dts, keyframe: true, payload };
        Some(Event::Frame { track: TrackId::AUDIO, frame })
    }

    fn video(&mut self, time_ms: u32, body: &Bytes, now: Instant) -> Result<Option<Event>, Error> {
        let first = *body.first().ok_or(Error::Short)?;
        let frame_type = first >> 4 & 7;
        if frame_type == INFO {
            return Ok(self.ignore());
        }
        let key = frame_type == 1;
        if first & EX_VIDEO != 0 {
            return self.enhanced_video(first & 0x0f, key, time_ms, body, now);
        }
        let named = match first & 0x0f {
            7 => Codec::H264,
            12 => Codec::H265,
            other => return Err(Error::Codec(other)),
        };
        let head = body.get(..5).ok_or(Error::Short)?;
        let payload = body.slice(5..);
        match head[1] {
            // DEVIATION: builds of OBS before 29.1 label HEVC as codec 7; the record tells.
            0 => Ok(self.track(if is_hevc_record(&payload) { Codec::H265 } else { named }, payload)),
            1 => Ok(self.video_frame(key, time_ms, signed24(&head[2..5]), payload, now)),
            _ => Ok(None),
        }
    }

    fn enhanced_video(
        &mut self,
        packet: u8,
        key: bool,
        time_ms: u32,
        body: &Bytes,
        now: Instant,
    ) -> Result<Option<Event>, Error> {
        if !matches!(packet, SEQUENCE_START | CODED_FRAMES | CODED_FRAMES_X) {
            return Ok(self.ignore());
        }
        let name = four(body)?;
        let codec = codec(name).filter(|c| c.kind() == Kind::Video).ok_or(Error::FourCc(name))?;
        if packet == SEQUENCE_START {
            return Ok(self.track(codec, body.slice(5..)));
        }
        let has_offset = packet == CODED_FRAMES && matches!(codec, Codec::H264 | Codec::H265);
        if !has_offset {
            return Ok(self.video_frame(key, time_ms, 0, body.slice(5..), now));
        }
        let offset = signed24(body.get(5..8).ok_or(Error::Short)?);
        Ok(self.video_frame(key, time_ms, offset, body.slice(8..), now))
    }

    fn video_frame(
        &mut self,
        key: bool,
        time_ms: u32,
        offset: i32,
        payload: Bytes,
        now: Instant,
    ) -> Option<Event> {
        let Some(track) = &mut self.video else { return self.ignore() };
        if payload.is_empty() {
            return self.ignore();
        }
        let payload = if track.codec == Codec::Av1 { without_delimiter(payload) } else { payload };
        let normal = match &mut self.normaliser {
            Some(normaliser) => normaliser.normal(key, &payload),
            None => Normal { payload, reconfigured: false },
        };
        let mut reconfigured = normal.reconfigured;
        if let Some(normaliser) = self.normaliser.as_ref().filter(|_| reconfigured) {
            *track = Track::new(TrackId::VIDEO, track.codec, normaliser.record().clone());
        }
        if key && track.codec == Codec::Vp9 {
            let told = vp9::size(&normal.payload).or(track.told_size);
            reconfigured = told != std::mem::replace(&mut track.told_size, told);
        }
        let changed = reconfigured.then(|| Event::Track(track.clone()));
        let frame = self.timed(key, time_ms, offset, normal.payload, now);
        if changed.is_some() {
            self.held = frame;
            return changed;
        }
        frame
    }

    /// A frame on the timeline; `None` if it has nothing but what the configuration says.
    fn timed(&mut self, key: bool, time_ms: u32, offset: i32, payload: Bytes, now: Instant) -> Option<Event> {
        if payload.is_empty() {
            return None;
        }
        let dts = self.timeline.map(Kind::Video, time_ms, now);
        let shift = Duration::from_millis(u64::from(offset.unsigned_abs()));
        let pts = if offset < 0 { dts - shift } else { dts + shift };
        Some(Event::Frame { track: TrackId::VIDEO, frame: Frame { dts, pts, keyframe: key, payload } })
    }

    /// A decoder configuration; the same one again means nothing.
    fn track(&mut self, codec: Codec, config: Bytes) -> Option<Event> {
        let (slot, id) = match codec.kind() {
            Kind::Video => (&mut self.video, TrackId::VIDEO),
            Kind::Audio => (&mut self.audio, TrackId::AUDIO),
        };
        if config.is_empty() && codec != Codec::Mp3 {
            return None;
        }
        let mut config = config;
        if id == TrackId::VIDEO {
            if slot.as_ref().is_some_and(|t| t.codec == codec) && self.announced == config {
                return None;
            }
            self.announced = config.clone();
            self.normaliser = Normaliser::new(codec, &config);
            config = self.normaliser.as_ref().map_or(config, |n| n.record().clone());
        }
        let track = Track::new(id, codec, config);
        if slot.as_ref() == Some(&track) {
            return None;
        }
        *slot = Some(track.clone());
        Some(Event::Track(track))
    }

    fn ignore(&mut self) -> Option<Event> {
        self.ignored += 1;
        None
    }
}

fn four(body: &[u8]) -> Result<[u8; 4], Error> {
    body.get(1..5).and_then(|b| b.try_into().ok()).ok_or(Error::Short)
}

fn signed24(b: &[u8]) -> i32 {
    i32::from_be_bytes([b[0], b[1], b[2], 0]) >> 8
}

/// Whether a configuration record is an `hvcC`: its first array holds a VPS, SPS or PPS of HEVC. An `avcC` has
/// its first SPS at byte 8. ISO 14496-15 §5.3.3.1, §8.3.3.1.
fn is_hevc_record(record: &[u8]) -> bool {
    let avc = record.get(8).is_some_and(|b| b & 0x1f == 7) && record.get(5).is_some_and(|b| b & 0xe0 == 0xe0);
    !avc && record.get(23).is_some_and(|b| matches!(b & 0x3f, 32..=34))
}

/// AV1 without the temporal delimiter at its start: an OBU of type 2 with a size of zero. AV1 §5.3.2.
fn without_delimiter(payload: Bytes) -> Bytes {
    match payload.get(..2) {
        Some([head, 0]) if head & 0xfa == 0x12 => payload.slice(2..),
        _ => payload,
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
