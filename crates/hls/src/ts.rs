//! The TS variant for old players: pictures and sound in one playlist of version 3 (RFC 8216).
//!
//! Its segments are cut where the lead rendition's are and have the same media sequence numbers. They cost a copy
//! of every frame, so they are muxed only while somebody asks: [`Asked`] is set by a request and read at every
//! cut. The first playlist comes with the first segment that was muxed from its start to its end.

use crate::clock::WallAnchor;
use crate::rendition::{Rendition, SEGMENTS_MIN, TARGET_ROUNDING};
use crate::text::Text;
use bytes::{Bytes, BytesMut};
use media::{Frame, Timestamp, Track, TrackId};
use mux::ts::Muxer;
use std::collections::VecDeque;
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Whether somebody asked for TS since the last cut; shared by all snapshots of a packager.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asked(Arc<AtomicBool>);

impl Asked {
    pub(crate) fn set(&self) {
        // Looked at first: a thousand players need not fight over one cache line.
        if !self.0.load(Ordering::Relaxed) {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    fn take(&self) -> bool {
        self.0.swap(false, Ordering::Relaxed)
    }
}

/// The TS variant as it grows.
#[derive(Debug)]
pub(crate) struct TsVariant {
    asked: Asked,
    tracks: Vec<Track>,
    muxer: Muxer,
    /// Cuts since somebody asked; `None` while nothing is muxed.
    unasked: Option<usize>,
    first_msn: u64,
    segments: VecDeque<TsSegment>,
    growing: Option<Growing>,
    /// Bytes of the growing segment; kept from segment to segment.
    buffer: BytesMut,
    discontinuities_gone: u64,
    discontinuity_next: bool,
    listed: Option<Arc<TsListed>>,
    /// `listed` is no longer what there is.
    stale: bool,
}

#[derive(Debug)]
struct TsSegment {
    start: Timestamp,
    duration: Duration,
    bytes: Bytes,
    discontinuity: bool,
}

#[derive(Debug)]
struct Growing {
    msn: u64,
    start: Timestamp,
    discontinuity: bool,
}

/// What players can load.
#[derive(Debug)]
pub(crate) struct TsListed {
    pub(crate) text: Text,
    first_msn: u64,
    segments: Vec<Bytes>,
}

impl TsListed {
    pub(crate) fn segment(&self, msn: u64) -> Option<&Bytes> {
        self.segments.get(usize::try_from(msn.checked_sub(self.first_msn)?).ok()?)
    }
}

/// Muxing stops when nobody asked for so many segments; players ask once a segment.
const UNASKED_MAX: usize = 15;

impl TsVariant {
    pub(crate) fn new() -> TsVariant {
        TsVariant {
            asked: Asked::default(),
            tracks: Vec::new(),
            muxer: Muxer::new(&[]),
            unasked: None,
            first_msn: 0,
            segments: VecDeque::new(),
            growing: None,
            buffer: BytesMut::new(),
            discontinuities_gone: 0,
            discontinuity_next: false,
            listed: None,
            stale: false,
        }
    }

    pub(crate) fn asked(&self) -> Asked {
        self.asked.clone()
    }

    /// Whether segments are kept.
    pub(crate) fn is_on(&self) -> bool {
        self.unasked.is_some()
    }

    /// Whether there is a track that TS can carry.
    pub(crate) fn is_possible(&self) -> bool {
        !self.tracks.is_empty()
    }

    /// The tracks from the next segment on. Those that TS can't carry are left out.
    pub(crate) fn set_tracks<'a>(&mut self, tracks: impl Iterator<Item = &'a Track>) {
        let tracks: Vec<Track> = tracks.filter(|t| mux::ts::can_carry(t)).cloned().collect();
        if tracks != self.tracks {
            self.tracks = tracks;
            self.discontinuity_next = true;
        }
    }

    /// The lead rendition has begun a segment.
    pub(crate) fn begin(&mut self, lead: &Rendition) {
        self.look_who_asks();
        let Some(segment) = lead.growing.as_ref().filter(|_| self.is_on() && self.is_possible()) else {
            return;
        };
        let msn = lead.next_msn();
        // Nothing comes before the first segment that it could differ from.
        let is_first = self.growing.is_none() && self.segments.is_empty();
        // A segment that never ended: another rendition leads now, or the publisher broke off.
        let broken = self.growing.take().is_some();
        let mut discontinuity =
            std::mem::take(&mut self.discontinuity_next) || segment.discontinuity || broken;
        if msn != self.first_msn + self.segments.len() as u64 {
            // A gap in the numbers: what came before can't be listed.
            self.forget_all();
            self.first_msn = msn;
            discontinuity = true;
        }
        self.muxer.set_tracks(&self.tracks);
        self.buffer.clear();
        self.muxer.segment_start(&mut self.buffer);
        self.growing = Some(Growing { msn, start: segment.start, discontinuity: discontinuity && !is_first });
    }

    /// Adds a frame to the growing segment. A segment that exceeds the budget is cut off there.
    pub(crate) fn frame(&mut self, track: TrackId, frame: &Frame, bytes_max: usize) {
        if self.growing.is_some() && self.buffer.len() + frame.payload.len() <= bytes_max {
            self.muxer.frame(track, frame, &mut self.buffer);
        }
    }

    /// Completes the growing segment if the lead rendition has, and forgets old ones.
    pub(crate) fn close(&mut self, lead: &Rendition, count: usize, bytes_max: usize) {
        let Some(growing) = self.growing.take_if(|g| g.msn < lead.next_msn()) else { return };
        let Some(duration) = lead.duration(growing.msn) else { return };
        self.segments.push_back(TsSegment {
            start: growing.start,
            duration,
            bytes: Bytes::copy_from_slice(&self.buffer),
            discontinuity: growing.discontinuity,
        });
        self.stale = true;
        let total = |segments: &VecDeque<TsSegment>| segments.iter().map(|s| s.bytes.len()).sum::<usize>();
        while self.segments.len() > count
            || (self.segments.len() > SEGMENTS_MIN && total(&self.segments) > bytes_max)
        {
            if let Some(gone) = self.segments.pop_front() {
                self.first_msn += 1;
                self.discontinuities_gone += u64::from(gone.discontinuity);
            }
        }
    }

    /// What players can load now; `None` before the first segment is complete.
    pub(crate) fn listed(
        &mut self,
        target: Duration,
        anchor: WallAnchor,
        ended: bool,
    ) -> Option<Arc<TsListed>> {
        if self.stale || (ended && self.is_on()) {
            self.stale = false;
            self.listed = (!self.segments.is_empty()).then(|| {
                Arc::new(TsListed {
                    text: Text::new(self.playlist(target, anchor, ended)),
                    first_msn: self.first_msn,
                    segments: self.segments.iter().map(|s| s.bytes.clone()).collect(),
                })
            });
        }
        self.listed.clone()
    }

    fn look_who_asks(&mut self) {
        if self.asked.take() {
            self.unasked = Some(0);
        } else if let Some(unasked) = &mut self.unasked {
            *unasked += 1;
            if *unasked > UNASKED_MAX {
                self.unasked = None;
                self.growing = None;
                self.buffer = BytesMut::new();
                self.forget_all();
            }
        }
    }

    fn forget_all(&mut self) {
        let gone = self.segments.drain(..).filter(|s| s.discontinuity).count();
        self.discontinuities_gone += gone as u64;
        self.stale = true;
    }

    /// RFC 8216 §4.3; version 3 has fractions of seconds and nothing newer.
    fn playlist(&self, target: Duration, anchor: WallAnchor, ended: bool) -> String {
        let mut out = String::from("#EXTM3U\n#EXT-X-VERSION:3\n");
        // Writing to a String can't fail.
        let _ = writeln!(out, "#EXT-X-TARGETDURATION:{}", target.as_secs());
        let _ = writeln!(out, "#EXT-X-MEDIA-SEQUENCE:{}", self.first_msn);
        if self.discontinuities_gone > 0 || self.segments.iter().any(|s| s.discontinuity) {
            let _ = writeln!(out, "#EXT-X-DISCONTINUITY-SEQUENCE:{}", self.discontinuities_gone);
        }
        for (msn, segment) in (self.first_msn..).zip(&self.segments) {
            if segment.discontinuity {
                out.push_str("#EXT-X-DISCONTINUITY\n");
            }
            out.push_str("#EXT-X-PROGRAM-DATE-TIME:");
            anchor.write_date(segment.start, &mut out);
            let _ = writeln!(
                out,
                "\n#EXTINF:{:.5},\nseg-{msn}.ts",
                segment.duration.min(target + TARGET_ROUNDING).as_secs_f64()
            );
        }
        if ended {
            out.push_str("#EXT-X-ENDLIST\n");
        }
        out
    }
}

#[cfg(test)]
mod tests;
