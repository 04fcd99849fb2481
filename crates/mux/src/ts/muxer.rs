//! Frames to TS packets.

use super::coding::Coding;
use super::{pes, tables};
use bytes::BytesMut;
use media::{Frame, Kind, Timestamp, Track, TrackId};
use std::time::Duration;

/// Writes one program. Continuity counters go on from segment to segment, and through changed tracks.
///
/// H.264, HEVC, AAC, MP3 and Opus can be carried. AV1, VP9 and VP8 can't, nor a track whose configuration can't be
/// read: such a track is left out, see [`can_carry`] and [`Muxer::carries`].
#[derive(Debug)]
pub struct Muxer {
    lanes: Vec<Lane>,
    pat_continuity: u8,
    pmt_continuity: u8,
    /// Version of the PMT, 5 bits.
    version: u8,
    scratch: BytesMut,
}

/// One track within the program.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Lane {
    pub(super) track: TrackId,
    pub(super) kind: Kind,
    pub(super) coding: Coding,
    pub(super) continuity: u8,
}

/// Tracks of one program; the PMT of so many fits into one TS packet. Further ones are left out.
pub const TRACKS_MAX: usize = 8;
/// What the first track's PID is counted from.
const PID_BASE: u16 = 0x100;
/// What a muxer adds to every time, so that the PCR of time zero isn't negative.
pub const TIME_OFFSET: Duration = Duration::from_secs(1);
/// The same in 90 kHz ticks.
const OFFSET: i64 = 90_000 * TIME_OFFSET.as_secs().cast_signed();
/// 90 kHz ticks that a frame comes before it is decoded, by its PCR: half a second for sound and pictures that
/// are interleaved as they arrived.
const PCR_AHEAD: i64 = 45_000;
/// Times have 33 bits. ISO 13818-1 §2.4.3.7.
const CLOCK_WRAP: i64 = 1 << 33;

impl Lane {
    /// The PID of a track stays the same for as long as its id does.
    pub(super) fn pid(&self) -> u16 {
        PID_BASE + u16::from(self.track.0)
    }
}

impl Muxer {
    /// A muxer of those of `tracks` that TS can carry.
    pub fn new(tracks: &[Track]) -> Muxer {
        Muxer {
            lanes: lanes(tracks),
            pat_continuity: 0,
            pmt_continuity: 0,
            version: 0,
            scratch: BytesMut::new(),
        }
    }

    /// The tracks from the next segment on.
    pub fn set_tracks(&mut self, tracks: &[Track]) {
        let mut lanes = lanes(tracks);
        for lane in &mut lanes {
            lane.continuity = self.lanes.iter().find(|l| l.track == lane.track).map_or(0, |l| l.continuity);
        }
        if lanes != self.lanes {
            self.version = (self.version + 1) & 0x1f;
            self.lanes = lanes;
        }
    }

    /// Whether frames of that track are written.
    pub fn carries(&self, track: TrackId) -> bool {
        self.lanes.iter().any(|l| l.track == track)
    }

    /// Whether there is nothing that can be written.
    pub fn is_empty(&self) -> bool {
        self.lanes.is_empty()
    }

    /// Appends PAT and PMT, which begin every segment (RFC 8216 §3.2).
    pub fn segment_start(&mut self, out: &mut BytesMut) {
        tables::write_pat(out, &mut self.pat_continuity);
        let clock = self.clock_lane().map(|i| self.lanes[i].pid());
        tables::write_pmt(out, &mut self.pmt_continuity, self.version, clock, &self.lanes);
    }

    /// Appends a frame. False, and nothing appended, if its track isn't carried, or if the frame has no units or
    /// is too long for its elementary stream.
    pub fn frame(&mut self, track: TrackId, frame: &Frame, out: &mut BytesMut) -> bool {
        let Some(index) = self.lanes.iter().position(|l| l.track == track) else { return false };
        let leads = self.clock_lane() == Some(index);
        let lane = &mut self.lanes[index];
        let pid = lane.pid();
        let dts = clock(frame.dts, OFFSET);
        // A picture that is shown before it is decoded can't be told; encoders with a broken offset do send it.
        let pts = clock(frame.pts.max(frame.dts), OFFSET);
        self.scratch.clear();
        let header = pes::Header { stream_id: lane.coding.stream_id(), pts, dts };
        header.write(&mut self.scratch);
        if !lane.coding.write(frame, &mut self.scratch)
            || !pes::set_length(&mut self.scratch, lane.kind == Kind::Video)
        {
            return false;
        }
        let start = pes::Start {
            pcr: leads.then(|| clock(frame.dts, OFFSET - PCR_AHEAD)),
            random_access: leads && frame.keyframe,
        };
        pes::write_packets(out, pid, &mut lane.continuity, start, &self.scratch);
        true
    }

    /// The lane that carries the clock: pictures, or sound alone.
    fn clock_lane(&self) -> Option<usize> {
        let video = self.lanes.iter().position(|l| l.kind == Kind::Video);
        video.or(if self.lanes.is_empty() { None } else { Some(0) })
    }
}

/// Whether a muxer takes that track in.
pub fn can_carry(track: &Track) -> bool {
    Coding::of(track).is_some()
}

fn lanes(tracks: &[Track]) -> Vec<Lane> {
    let mut lanes: Vec<Lane> = Vec::new();
    for track in tracks {
        if lanes.len() == TRACKS_MAX || lanes.iter().any(|l| l.track == track.id) {
            continue;
        }
        if let Some(coding) = Coding::of(track) {
            lanes.push(Lane { track: track.id, kind: track.kind, coding, continuity: 0 });
        }
    }
    lanes
}

/// A time in 90 kHz ticks of 33 bits.
fn clock(at: Timestamp, offset: i64) -> u64 {
    at.to_clock(90_000).saturating_add(offset).rem_euclid(CLOCK_WRAP).unsigned_abs()
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
