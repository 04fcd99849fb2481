//! The built-in clip: FLV tags to publish in a loop.

use anyhow::{Result, bail};
use bytes::Bytes;
use rtmp::MediaKind;

/// Made by `demo/make-clip.sh`.
static CLIP: &[u8] = include_bytes!("../../../demo/clip.flv");

/// One FLV tag.
#[derive(Debug)]
pub(crate) struct Tag {
    pub(crate) kind: MediaKind,
    pub(crate) time_ms: u32,
    pub(crate) body: Bytes,
}

/// A clip that can be published for ever.
#[derive(Debug)]
pub(crate) struct Clip {
    /// Metadata and decoder configurations, sent once.
    pub(crate) headers: Vec<Tag>,
    /// Frames in the order of time.
    pub(crate) frames: Vec<Tag>,
    /// Length of one loop.
    pub(crate) loop_ms: u32,
}

const FILE_HEADER_BYTES: usize = 13;
const TAG_HEADER_BYTES: usize = 11;

impl Clip {
    /// The clip that is in the binary.
    pub(crate) fn built_in() -> Result<Clip> {
        let mut clip = Clip { headers: Vec::new(), frames: Vec::new(), loop_ms: 0 };
        let Some(mut rest) = CLIP.get(FILE_HEADER_BYTES..) else { bail!("the built-in clip is empty") };
        while let Some((head, tail)) = rest.split_at_checked(TAG_HEADER_BYTES) {
            let size = u32::from_be_bytes([0, head[1], head[2], head[3]]) as usize;
            let time_ms = u32::from_be_bytes([head[7], head[4], head[5], head[6]]);
            let Some((body, later)) = tail.split_at_checked(size) else { break };
            clip.push(head[0], time_ms, Bytes::from_static(body));
            rest = later.get(4..).unwrap_or_default();
        }
        clip.frames.sort_by_key(|tag| tag.time_ms);
        clip.loop_ms = clip.video_loop_ms()?;
        Ok(clip)
    }

    fn push(&mut self, kind: u8, time_ms: u32, body: Bytes) {
        let is_header = body.get(1) == Some(&0);
        let (kind, is_header) = match kind {
            8 => (MediaKind::Audio, is_header),
            9 => (MediaKind::Video, is_header),
            18 => (MediaKind::Data, true),
            _ => return,
        };
        let tag = Tag { kind, time_ms, body };
        if is_header { self.headers.push(tag) } else { self.frames.push(tag) }
    }

    /// All frames' durations: the last frame lasts as long as the mean one.
    fn video_loop_ms(&self) -> Result<u32> {
        let times: Vec<u32> =
            self.frames.iter().filter(|t| t.kind == MediaKind::Video).map(|t| t.time_ms).collect();
        let (Some(first), Some(last)) = (times.first(), times.last()) else { bail!("the clip has no video") };
        let span = last - first;
        Ok(span + (f64::from(span) / (times.len() - 1).max(1) as f64).round() as u32)
    }
}
