//! One rendition: frames to parts and segments.

use bytes::{Bytes, BytesMut};
use media::codec::captions;
use media::{Frame, Kind, Timestamp, Track};
use std::collections::VecDeque;
use std::time::Duration;

/// Which rendition of a broadcast.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Pictures.
    Video,
    /// Sound.
    Audio,
}

impl Role {
    /// The rendition of a track.
    pub fn of(kind: Kind) -> Role {
        match kind {
            Kind::Video => Role::Video,
            Kind::Audio => Role::Audio,
        }
    }

    /// Its folder.
    pub fn name(self) -> &'static str {
        match self {
            Role::Video => "video",
            Role::Audio => "audio",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Role> {
        [Role::Video, Role::Audio].into_iter().find(|r| r.name() == name)
    }
}

/// A part that players can load.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) bytes: Bytes,
    pub(crate) duration: Duration,
    /// Starts with a frame that a decoder can start at.
    pub(crate) independent: bool,
}

/// A segment, complete or growing.
#[derive(Clone, Debug)]
pub(crate) struct Segment {
    pub(crate) start: Timestamp,
    pub(crate) duration: Duration,
    pub(crate) parts: Vec<Part>,
    /// The concatenation of the parts; empty while it grows.
    pub(crate) bytes: Bytes,
    pub(crate) revision: u32,
    /// The decoder starts anew here.
    pub(crate) discontinuity: bool,
}

impl Segment {
    fn new(start: Timestamp, revision: u32, discontinuity: bool) -> Segment {
        let empty = Vec::new();
        Segment {
            start,
            duration: Duration::ZERO,
            parts: empty,
            bytes: Bytes::new(),
            revision,
            discontinuity,
        }
    }

    /// Joins the parts; they become slices of the segment, so that the bytes are kept once.
    fn complete(&mut self) {
        let mut bytes = BytesMut::with_capacity(self.parts.iter().map(|p| p.bytes.len()).sum());
        self.parts.iter().for_each(|p| bytes.extend_from_slice(&p.bytes));
        self.bytes = bytes.freeze();
        let mut at = 0;
        for part in &mut self.parts {
            let end = at + part.bytes.len();
            part.bytes = self.bytes.slice(at..end);
            at = end;
        }
    }
}

/// One rendition of a broadcast.
#[derive(Debug)]
pub(crate) struct Rendition {
    pub(crate) track: Track,
    pub(crate) inits: VecDeque<(u32, Bytes)>,
    pub(crate) first_msn: u64,
    /// Discontinuities in segments that are gone.
    pub(crate) discontinuities_gone: u64,
    pub(crate) segments: VecDeque<Segment>,
    pub(crate) growing: Option<Segment>,
    revision: u32,
    discontinuity_next: bool,
    pending: Vec<Frame>,
    pub(crate) frame_duration: Duration,
    sequence: u32,
    /// Closed captions were seen in the pictures.
    pub(crate) captions: bool,
}

/// Init segments kept; a player that is this many configurations late starts anew anyway.
const INITS_MAX: usize = 8;
/// Guess before two frames are seen.
const FRAME_DURATION_GUESS: Duration = Duration::from_millis(33);
/// A gap between frames counts as a frame's duration only up to here.
const FRAME_DURATION_MAX: Duration = Duration::from_millis(500);

impl Rendition {
    pub(crate) fn new(track: Track, first_msn: u64, revision: u32) -> Rendition {
        let init = mux::fmp4::init_segment(&track);
        Rendition {
            track,
            inits: VecDeque::from([(revision, init)]),
            first_msn,
            discontinuities_gone: 0,
            segments: VecDeque::new(),
            growing: None,
            revision,
            discontinuity_next: false,
            pending: Vec::new(),
            frame_duration: FRAME_DURATION_GUESS,
            sequence: 0,
            captions: false,
        }
    }

    /// The media sequence number of the segment that grows, or comes next.
    pub(crate) fn next_msn(&self) -> u64 {
        self.first_msn + self.segments.len() as u64
    }

    /// How long a complete segment is.
    pub(crate) fn duration(&self, msn: u64) -> Option<Duration> {
        let index = usize::try_from(msn.checked_sub(self.first_msn)?).ok()?;
        self.segments.get(index).map(|s| s.duration)
    }

    /// How long the growing segment is, up to `at`.
    pub(crate) fn age(&self, at: Timestamp) -> Duration {
        self.growing.as_ref().map_or(Duration::ZERO, |s| at.since(s.start))
    }

    /// Whether a decoder can start with the growing segment.
    pub(crate) fn starts_at_keyframe(&self) -> bool {
        let part = self.growing.as_ref().and_then(|s| s.parts.first()).map(|p| p.independent);
        part.or(self.pending.first().map(|f| f.keyframe)).unwrap_or(true)
    }

    /// The decoder starts anew with the next segment; with a new init segment if the track changed.
    pub(crate) fn restart(&mut self, track: Option<Track>) {
        self.discontinuity_next = true;
        if let Some(track) = track {
            self.revision = self.revision.wrapping_add(1);
            self.inits.push_back((self.revision, mux::fmp4::init_segment(&track)));
            if self.inits.len() > INITS_MAX {
                self.inits.pop_front();
            }
            self.track = track;
        }
    }

    /// Drops the growing segment if nobody can have loaded any of it.
    pub(crate) fn abandon_unlisted(&mut self) {
        if self.growing.as_ref().is_some_and(|s| s.parts.is_empty()) {
            self.growing = None;
            self.pending.clear();
        }
    }

    /// Forgets all segments; the next one has this number.
    pub(crate) fn renumber(&mut self, next_msn: u64) {
        let gone = self.segments.drain(..).filter(|s| s.discontinuity).count();
        self.discontinuities_gone += gone as u64;
        self.first_msn = next_msn;
    }

    /// Adds a frame; true when a part became complete by it.
    pub(crate) fn push(&mut self, frame: Frame, part_target: Duration) -> bool {
        if let Some(last) = self.pending.last() {
            let step = frame.dts.since(last.dts);
            if step > Duration::ZERO && step <= FRAME_DURATION_MAX {
                self.frame_duration = step;
            }
        }
        let mut cut = false;
        if let Some(first) = self.pending.first() {
            let with_this = frame.dts.since(first.dts) + self.frame_duration;
            if with_this > part_target + ROUNDING {
                self.close_part(frame.dts);
                cut = true;
            }
        }
        if self.growing.is_none() {
            let discontinuity = std::mem::take(&mut self.discontinuity_next);
            self.growing = Some(Segment::new(frame.dts, self.revision, discontinuity));
        }
        self.captions = self.captions || captions::carried(self.track.codec, &frame.payload);
        self.pending.push(frame);
        cut
    }

    /// Ends the growing segment at `end`.
    pub(crate) fn close_segment(&mut self, end: Timestamp) {
        self.close_part(end);
        if let Some(mut segment) = self.growing.take().filter(|s| !s.parts.is_empty()) {
            segment.complete();
            self.segments.push_back(segment);
        }
    }

    /// Ends the growing segment after its last frame, whose duration is guessed.
    pub(crate) fn close_at_last_frame(&mut self) {
        if let Some(last) = self.pending.last() {
            let end = last.dts + self.frame_duration;
            self.close_segment(end);
        } else if let Some(segment) = &self.growing {
            let end = segment.start + segment.duration;
            self.close_segment(end);
        }
    }

    fn close_part(&mut self, end: Timestamp) {
        let (Some(first), Some(segment)) = (self.pending.first(), &mut self.growing) else { return };
        self.sequence = self.sequence.wrapping_add(1);
        let duration = end.since(first.dts);
        let part = Part {
            bytes: mux::fmp4::fragment(&self.track, self.sequence, &self.pending, end),
            duration,
            independent: first.keyframe,
        };
        segment.duration += duration;
        segment.parts.push(part);
        self.pending.clear();
    }

    /// Forgets the oldest segments beyond `count`, or beyond the budget; a few always stay.
    pub(crate) fn trim(&mut self, count: usize, bytes_max: usize) {
        let total = |segments: &VecDeque<Segment>| segments.iter().map(|s| s.bytes.len()).sum::<usize>();
        while self.segments.len() > count
            || (self.segments.len() > SEGMENTS_MIN && total(&self.segments) > bytes_max)
        {
            if let Some(gone) = self.segments.pop_front() {
                self.first_msn += 1;
                self.discontinuities_gone += u64::from(gone.discontinuity);
            }
        }
    }
}

/// RFC 8216bis §6.2.2 wants at least three target durations in a live playlist.
pub(crate) const SEGMENTS_MIN: usize = 3;
/// Milliseconds of RTMP round a frame's time by up to one.
const ROUNDING: Duration = Duration::from_micros(1000);
