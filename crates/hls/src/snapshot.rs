//! What players can load at one moment.

use crate::clock::WallAnchor;
use crate::playlist;
use crate::rendition::{Rendition, Role, Segment};
use crate::request::{Position, Request};
use crate::text::Text;
use crate::ts::{Asked, TsListed};
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;

/// The answer to a request.
#[derive(Clone, Debug)]
pub enum Answer {
    /// A playlist.
    Playlist {
        /// The text.
        text: Text,
    },
    /// A segment, part or init segment; it never changes.
    Media(Bytes),
    /// Not yet: ask again when there is a newer snapshot, for at most [`Snapshot::hold_max`], then answer 503.
    Wait,
    /// Not here, or not any more: 404.
    NotFound,
    /// The request asks for what will not be: 400.
    BadRequest(&'static str),
}

/// What players can load at one moment. Immutable; answering allocates nothing.
///
/// A request for the TS variant tells the packager that somebody wants it, whichever snapshot is asked.
#[derive(Debug)]
pub struct Snapshot {
    multivariant: Text,
    renditions: Vec<Listed>,
    ts: Ts,
    target: Duration,
    part_target: Option<Duration>,
    ended: bool,
    ready: bool,
}

/// The TS variant at one moment.
#[derive(Debug)]
pub(crate) struct Ts {
    pub(crate) asked: Asked,
    /// There is, or will be, something to load.
    pub(crate) possible: bool,
    pub(crate) listed: Option<Arc<TsListed>>,
}

#[derive(Debug)]
struct Listed {
    role: Role,
    full: Text,
    delta: Text,
    inits: Vec<(u32, Bytes)>,
    first_msn: u64,
    segments: Vec<Segment>,
    growing: Vec<Bytes>,
}

/// A blocking request may be this many segments ahead. RFC 8216bis §6.2.5.2.
const AHEAD_MAX: u64 = 2;
/// A request is held for so many target durations. RFC 8216bis §6.2.5.2.
const HOLD_TARGETS: u32 = 3;
/// What a request is held for before the target duration is known.
const FIRST_HOLD: Duration = Duration::from_secs(12);

impl Snapshot {
    pub(crate) fn empty(asked: Asked) -> Snapshot {
        Snapshot {
            ts: Ts { asked, possible: true, listed: None },
            multivariant: Text::default(),
            renditions: Vec::new(),
            target: FIRST_HOLD / HOLD_TARGETS,
            part_target: None,
            ended: false,
            ready: false,
        }
    }

    pub(crate) fn render(
        renditions: &[(Role, &Rendition)],
        ts: Ts,
        target: Duration,
        part_target: Duration,
        anchor: WallAnchor,
        ended: bool,
    ) -> Snapshot {
        let listed = renditions.iter().map(|(role, rendition)| {
            let others: Vec<_> = renditions.iter().filter(|(r, _)| r != role).copied().collect();
            let frame = playlist::Frame { target, part_target, anchor, ended, others: &others };
            Listed {
                role: *role,
                full: Text::new(playlist::render(rendition, &frame, false)),
                delta: Text::new(playlist::render(rendition, &frame, true)),
                inits: rendition.inits.iter().cloned().collect(),
                first_msn: rendition.first_msn,
                segments: rendition.segments.iter().cloned().collect(),
                growing: rendition
                    .growing
                    .as_ref()
                    .map_or_else(Vec::new, |s| s.parts.iter().map(|p| p.bytes.clone()).collect()),
            }
        });
        Snapshot {
            renditions: listed.collect(),
            ts,
            multivariant: Text::new(crate::multivariant::render(renditions)),
            target,
            part_target: Some(part_target),
            ended,
            // All renditions have something to play.
            ready: renditions.iter().all(|(_, r)| !r.segments.is_empty()),
        }
    }

    /// What players rest between two looks at a playlist, at most. RFC 8216bis §6.3.4.
    pub fn target(&self) -> Duration {
        self.target
    }

    /// Above the media sequence numbers of all that can be loaded; zero if nothing can.
    pub fn numbers_end(&self) -> u64 {
        self.renditions.iter().map(|listed| listed.next_msn() + 1).max().unwrap_or(0)
    }

    /// Whether there is something to play.
    pub fn is_ready(&self) -> bool {
        self.ready
    }

    /// How long a request may be held.
    pub fn hold_max(&self) -> Duration {
        self.target * HOLD_TARGETS
    }

    /// The part target that is announced; `None` before there is a playlist.
    pub fn part_target(&self) -> Option<Duration> {
        self.part_target
    }

    /// Answers a request, or says that it has to wait.
    pub fn answer(&self, request: &Request) -> Answer {
        if matches!(request, Request::TsPlaylist | Request::TsSegment { .. }) {
            self.ts.asked.set();
        }
        if !self.ready {
            return if self.ended { Answer::NotFound } else { Answer::Wait };
        }
        match *request {
            Request::Multivariant => Answer::Playlist { text: self.multivariant.clone() },
            Request::Playlist { role, block, skip } => {
                self.listed(role).map_or(Answer::NotFound, |l| l.playlist(block, skip, self.ended))
            }
            Request::Init { role, revision } => {
                let found = self.listed(role).and_then(|l| l.inits.iter().find(|(r, _)| *r == revision));
                found.map_or(Answer::NotFound, |(_, bytes)| Answer::Media(bytes.clone()))
            }
            Request::Segment { role, msn } => self.listed(role).map_or(Answer::NotFound, |l| l.segment(msn)),
            Request::Part { role, msn, part } => {
                self.listed(role).map_or(Answer::NotFound, |l| l.part(msn, part, self.ended))
            }
            Request::TsPlaylist => match &self.ts.listed {
                Some(listed) => Answer::Playlist { text: listed.text.clone() },
                None if self.ended || !self.ts.possible => Answer::NotFound,
                None => Answer::Wait,
            },
            Request::TsSegment { msn } => {
                let found = self.ts.listed.as_ref().and_then(|l| l.segment(msn));
                found.map_or(Answer::NotFound, |bytes| Answer::Media(bytes.clone()))
            }
        }
    }

    fn listed(&self, role: Role) -> Option<&Listed> {
        self.renditions.iter().find(|l| l.role == role)
    }
}

impl Listed {
    /// The media sequence number that grows or comes next.
    fn next_msn(&self) -> u64 {
        self.first_msn + self.segments.len() as u64
    }

    fn playlist(&self, block: Option<Position>, skip: bool, ended: bool) -> Answer {
        if let Some(at) = block.filter(|_| !ended) {
            if at.msn > self.next_msn() + AHEAD_MAX {
                return Answer::BadRequest("_HLS_msn is too far ahead");
            }
            if !self.has(at) {
                return Answer::Wait;
            }
        }
        let text = if skip { &self.delta } else { &self.full };
        Answer::Playlist { text: text.clone() }
    }

    /// Whether the playlist contains the position, or something later. A part beyond the end of its segment is
    /// the first part of the next one (RFC 8216bis §6.2.5.2).
    fn has(&self, at: Position) -> bool {
        let next = self.next_msn();
        match at.part {
            None => at.msn < next,
            Some(_) if at.msn + 1 < next => true,
            Some(part) if at.msn + 1 == next => {
                let parts = self.segments.last().map_or(0, |s| s.parts.len());
                (part as usize) < parts || !self.growing.is_empty()
            }
            Some(part) => at.msn == next && (part as usize) < self.growing.len(),
        }
    }

    fn segment(&self, msn: u64) -> Answer {
        match self.at(msn) {
            Some(segment) => Answer::Media(segment.bytes.clone()),
            None => Answer::NotFound,
        }
    }

    /// A part; the one that is hinted at is waited for. RFC 8216bis §4.4.5.3.
    fn part(&self, msn: u64, part: u32, ended: bool) -> Answer {
        let index = part as usize;
        if let Some(segment) = self.at(msn) {
            return segment.parts.get(index).map_or(Answer::NotFound, |p| Answer::Media(p.bytes.clone()));
        }
        if msn != self.next_msn() || ended {
            return Answer::NotFound;
        }
        match self.growing.get(index) {
            Some(bytes) => Answer::Media(bytes.clone()),
            None if index == self.growing.len() => Answer::Wait,
            None => Answer::NotFound,
        }
    }

    fn at(&self, msn: u64) -> Option<&Segment> {
        self.segments.get(usize::try_from(msn.checked_sub(self.first_msn)?).ok()?)
    }
}
