//! Simulated viewers: those with one connection that flows (FLV, WS-FLV, RTMP), HLS, and WHEP.

mod flow;
mod flv;
mod hls;
mod record;
pub(crate) mod rtmp;
mod whep;
mod ws;

pub(crate) use flow::Flow;
pub(crate) use hls::{Appearances, HlsViewer};
pub(crate) use record::Record;
pub(crate) use whep::WhepViewer;

use crate::clock::Nanos;
use crate::flv::Start;
use crate::profile::{Protocol, Target};

/// What a viewer noticed in its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Seen {
    /// The first keyframe begins, or the first audio where there is no video.
    Media,
    /// A frame is complete; only probes look so far.
    Frame { video: bool, timestamp: u32, stamp: Option<Nanos> },
    /// The server sends the viewer elsewhere.
    Redirect(String),
}

/// The protocol side of a viewer whose one connection flows.
#[derive(Debug)]
pub(crate) enum Wire {
    Flv(flv::FlvViewer),
    Ws(ws::WsViewer),
    Rtmp(rtmp::RtmpViewer),
}

impl Wire {
    /// A viewer that is about to connect, and the bytes it sends first.
    pub(crate) fn open(
        target: &Target,
        path: &str,
        number: usize,
        probe: bool,
        now: Nanos,
    ) -> (Self, Vec<u8>) {
        match target.protocol {
            Protocol::Ws => (Self::Ws(ws::WsViewer::new(probe)), ws::request(&target.host, path, number)),
            Protocol::Rtmp => {
                let (viewer, first) = rtmp::RtmpViewer::open(&target.host, path, number, probe, now);
                (Self::Rtmp(viewer), first)
            }
            // HLS, WHEP and publishers never come here; to ask for their path as FLV would at least be an honest error.
            Protocol::Flv | Protocol::Hls | Protocol::Whep | Protocol::Whip => {
                (Self::Flv(flv::FlvViewer::new(probe)), crate::http::get(&target.host, path, ""))
            }
        }
    }

    /// Takes bytes from the server; answers go to `out`, news to `seen`.
    ///
    /// # Errors
    /// Why the viewer gives up.
    pub(crate) fn feed(
        &mut self,
        now: Nanos,
        bytes: &[u8],
        out: &mut Vec<u8>,
        seen: &mut Vec<Seen>,
    ) -> Result<(), String> {
        match self {
            Self::Flv(viewer) => viewer.feed(bytes, seen),
            Self::Ws(viewer) => viewer.feed(bytes, out, seen),
            Self::Rtmp(viewer) => viewer.feed(now, bytes, out, seen),
        }
    }

    /// What the viewer must go on sending once it only discards.
    pub(crate) fn upkeep(&self) -> Upkeep {
        match self {
            Self::Flv(_) => Upkeep::Nothing,
            Self::Ws(_) => Upkeep::Pong,
            Self::Rtmp(viewer) => Upkeep::Acknowledge { window: viewer.acknowledgement_window() },
        }
    }
}

/// What a discarding viewer still owes its server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Upkeep {
    /// Nothing.
    Nothing,
    /// A pong now and then, unasked (RFC 6455 §5.5.3), as it no longer sees the pings.
    Pong,
    /// An RTMP acknowledgement for every so many bytes.
    Acknowledge { window: u32 },
}

/// Tells a broadcast's first media from its headers: video keyframe, or audio when the programme has no video.
#[derive(Debug, Default)]
struct MediaWatch {
    found: bool,
    audio_frames: u32,
    video: bool,
}

impl MediaWatch {
    /// Looks at the beginning of a tag or message. True exactly once.
    fn begins(&mut self, start: Start) -> bool {
        if self.found {
            return false;
        }
        self.video |= start.kind == crate::flv::VIDEO;
        self.audio_frames += u32::from(start.kind == crate::flv::AUDIO && start.frame);
        self.found = start.keyframe || (!self.video && self.audio_frames >= AUDIO_ONLY_AFTER_FRAMES);
        self.found
    }
}

/// Half a second of AAC without any video: there is none.
const AUDIO_ONLY_AFTER_FRAMES: u32 = 24;
/// Of each frame, a probe keeps so many bytes to look for a stamp.
const STAMP_WITHIN_BYTES: usize = 2048;
