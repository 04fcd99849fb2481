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
    /// When its first frame is shown.
    shown_from: Timestamp,
}

impl Segment {
    fn new(first: &Frame, revision: u32, discontinuity: bool) -> Segment {
        let empty = Vec::new();
        Segment {
            start: first.dts,
            duration: Duration::ZERO,
            parts: empty,
            bytes: Bytes::new(),
            revision,
            discontinuity,
            shown_from: first.pts,
        }
    }

    /// Its duration in playlists: a gap between frames may make it longer than a segment may be (RFC 8216bis §4.4.3.1).
    pub(crate) fn listed(&self, target: Duration) -> Duration {
        self.duration.min(target + TARGET_ROUNDING)
    }

    /// Whether these frames, its next ones, need another segment to be decoded: it starts without a keyframe, or in an open group, with
    /// pictures that are shown before the keyframe and may refer to the group before.
    fn needs_another(&self, frames: &[Frame]) -> bool {
        let begins = self.parts.is_empty();
        begins && !frames.first().is_some_and(|f| f.keyframe)
            || frames.iter().any(|f| f.pts < self.shown_from)
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
    pub(crate) pending: Vec<Frame>,
    /// The shorter of the last two steps between frames: one gap alone is no frame's duration.
    pub(crate) frame_duration: Duration,
    last_step: Option<Duration>,
    last_dts: Option<Timestamp>,
    sequence: u32,
    /// Closed captions were seen in the pictures.
    pub(crate) captions: bool,
    /// A segment was listed that can't be decoded without another. It stays so, since a playlist must not change its
    /// head to and fro.
    pub(crate) dependent: bool,
}

/// Init segments kept; a player that is this many configurations late starts anew anyway.
const INITS_MAX: usize = 8;
/// Guess before two frames are seen.
const FRAME_DURATION_GUESS: Duration = Duration::from_millis(33);
/// Gaps between frames count as a frame's duration only up to here: no segment is longer.
const FRAME_DURATION_MAX: Duration = Duration::from_secs(10);

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
            last_step: None,
            last_dts: None,
            sequence: 0,
            captions: false,
            dependent: false,
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
        self.last_dts = None;
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

    /// Adds a frame; true when a part became complete by it. Before a part target is known, frames wait.
    pub(crate) fn push(&mut self, frame: Frame, part_target: Option<Duration>) -> bool {
        self.measure(frame.dts);
        let mut cut = false;
        if let Some(target) = part_target {
            cut = self.close_full_parts(frame.dts, target);
            let waiting = self.pending.first().map_or(Duration::ZERO, |first| frame.dts.since(first.dts));
            if waiting > Duration::ZERO && waiting + self.frame_duration > target + ROUNDING {
                self.close_part(self.pending.len(), frame.dts);
                cut = true;
            }
        }
        if self.growing.is_none() {
            let discontinuity = std::mem::take(&mut self.discontinuity_next);
            self.growing = Some(Segment::new(&frame, self.revision, discontinuity));
        }
        self.captions = self.captions || captions::carried(self.track.codec, &frame.payload);
        self.pending.push(frame);
        cut
    }

    fn measure(&mut self, dts: Timestamp) {
        let Some(last) = self.last_dts.replace(dts) else { return };
        let step = dts.since(last).min(FRAME_DURATION_MAX);
        if step > Duration::ZERO {
            self.frame_duration = step.min(self.last_step.unwrap_or(step));
            self.last_step = Some(step);
        }
    }

    /// Ends the growing segment at `end`.
    pub(crate) fn close_segment(&mut self, end: Timestamp, part_target: Duration) {
        self.close_full_parts(end, part_target);
        self.close_part(self.pending.len(), end);
        if let Some(mut segment) = self.growing.take().filter(|s| !s.parts.is_empty()) {
            segment.complete();
            self.segments.push_back(segment);
        }
    }

    /// Ends the growing segment after its last frame, whose duration is guessed.
    pub(crate) fn close_at_last_frame(&mut self, part_target: Duration) {
        if let Some(last) = self.pending.last() {
            let end = last.dts + self.frame_duration;
            self.close_segment(end, part_target);
        } else if let Some(segment) = &self.growing {
            let end = segment.start + segment.duration;
            self.close_segment(end, part_target);
        }
    }

    /// Makes parts of what waits until the rest, up to `end`, is not too long for one; true if there were any. A frame
    /// that alone lasts longer is a part.
    fn close_full_parts(&mut self, end: Timestamp, target: Duration) -> bool {
        let mut any = false;
        while let Some(first) = self.pending.first().map(|f| f.dts)
            && end.since(first) > target
        {
            let fit = self.pending.iter().take_while(|f| f.dts.since(first) <= target).count();
            // The last one that begins in time doesn't end in time, unless nothing would be left.
            let alone = self.pending[fit - 1].dts == first;
            let count = if alone { fit } else { fit - 1 };
            let until = self.pending.get(count).map_or(end, |f| f.dts);
            self.close_part(count, until);
            any = true;
        }
        any
    }

    /// Makes a part of the first `count` frames that wait.
    fn close_part(&mut self, count: usize, end: Timestamp) {
        let frames = &self.pending[..count];
        let (Some(first), Some(segment)) = (frames.first(), &mut self.growing) else { return };
        self.sequence = self.sequence.wrapping_add(1);
        let duration = end.since(first.dts);
        self.dependent = self.dependent || segment.needs_another(frames);
        let part = Part {
            bytes: mux::fmp4::fragment(&self.track, self.sequence, frames, end),
            duration,
            independent: first.keyframe,
        };
        segment.duration += duration;
        segment.parts.push(part);
        self.pending.drain(..count);
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
/// Durations are compared with the target duration after rounding. RFC 8216bis §4.4.3.1.
pub(crate) const TARGET_ROUNDING: Duration = Duration::from_millis(499);
/// Milliseconds of RTMP round a frame's time by up to one.
const ROUNDING: Duration = Duration::from_micros(1000);
