//! FLV at tag level (Adobe FLV v10.1 annex E): a clip read from a file, and a scanner for tags that arrive in pieces.

use anyhow::{Context, bail, ensure};
use std::path::Path;

/// A clip, ready to be sent in a loop.
#[derive(Debug, Clone)]
pub(crate) struct Clip {
    /// `onMetaData`, as in the file.
    pub(crate) metadata: Option<Tag>,
    /// Decoder configurations, one per kind of track.
    pub(crate) headers: Vec<Tag>,
    /// Coded frames in order of decoding; the first is at 0 ms.
    pub(crate) frames: Vec<Tag>,
    /// Length of one loop in milliseconds: the last frame's time and one frame duration.
    pub(crate) span_ms: u32,
    /// Bytes of a NAL unit's length, when the video is H.264.
    pub(crate) nal_length_size: Option<usize>,
}

/// One FLV tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tag {
    /// 8 audio, 9 video, 18 script data.
    pub(crate) kind: u8,
    /// Milliseconds.
    pub(crate) timestamp: u32,
    /// The body, without tag header and back pointer.
    pub(crate) body: Vec<u8>,
}

impl Clip {
    /// Reads a clip from a file.
    ///
    /// # Errors
    /// When the file cannot be read, is no FLV, or has no frames.
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let bytes = std::fs::read(path).with_context(|| format!("reading the clip {}", path.display()))?;
        Self::parse(&bytes).with_context(|| format!("{} is not a usable FLV clip", path.display()))
    }

    /// Takes a clip apart. A last tag that is cut off is left out, as in recordings that ended badly.
    ///
    /// # Errors
    /// When it is no FLV or has no frames.
    pub(crate) fn parse(bytes: &[u8]) -> anyhow::Result<Self> {
        ensure!(bytes.starts_with(b"FLV"), "it does not start with `FLV`");
        let mut scanner = TagScanner::new(TAG_BYTES_MAX);
        let mut clip =
            Self { metadata: None, headers: vec![], frames: vec![], span_ms: 0, nal_length_size: None };
        let mut rest = bytes;
        while let Some(seen) = scanner.next(&mut rest) {
            match seen? {
                Scanned::Whole(tag) => clip.take(tag),
                Scanned::Begun(_) => {}
            }
        }
        clip.anchor()?;
        Ok(clip)
    }

    fn take(&mut self, tag: Tag) {
        match tag.kind {
            SCRIPT if self.metadata.is_none() => self.metadata = Some(tag),
            // The first of each kind; repeated ones say the same.
            _ if tag.is_configuration() && self.headers.iter().all(|header| header.kind != tag.kind) => {
                if tag.kind == VIDEO && tag.body[0] & 0x8f == CODEC_H264 {
                    // ISO/IEC 14496-15 §5.3.3.1: lengthSizeMinusOne ends the fifth byte of the record.
                    self.nal_length_size = tag.body.get(5 + 4).map(|byte| usize::from(byte & 3) + 1);
                }
                self.headers.push(tag);
            }
            _ if tag.is_frame() => self.frames.push(tag),
            _ => {}
        }
    }

    fn anchor(&mut self) -> anyhow::Result<()> {
        self.frames.sort_by_key(|frame| frame.timestamp);
        let (Some(first), Some(last)) = (self.frames.first(), self.frames.last()) else {
            bail!("it has no audio or video frames")
        };
        let start = first.timestamp;
        let main = if self.frames.iter().any(|frame| frame.kind == VIDEO) { VIDEO } else { AUDIO };
        let times: Vec<u32> = self.frames.iter().filter(|f| f.kind == main).map(|f| f.timestamp).collect();
        let (gaps, length) =
            (times.len().saturating_sub(1), times.last().unwrap_or(&0) - times.first().unwrap_or(&0));
        let gap = if gaps > 0 { (f64::from(length) / gaps as f64).round() as u32 } else { FRAME_MS_DEFAULT };
        self.span_ms = (last.timestamp - start).saturating_add(gap.max(1));
        for frame in &mut self.frames {
            frame.timestamp -= start;
        }
        Ok(())
    }

    /// The bytes with which an FLV body begins: file header, metadata and decoder configurations, all at time zero.
    pub(crate) fn preamble(&self) -> Vec<u8> {
        let has = |kind| u8::from(self.frames.iter().any(|frame| frame.kind == kind));
        let mut out = vec![b'F', b'L', b'V', 1, has(AUDIO) << 2 | has(VIDEO), 0, 0, 0, 9, 0, 0, 0, 0];
        for tag in self.metadata.iter().chain(&self.headers) {
            write_tag(tag.kind, 0, &tag.body, &mut out);
        }
        out
    }
}

impl Tag {
    /// True for a keyframe of any video codec, not for its configuration.
    pub(crate) fn is_keyframe(&self) -> bool {
        self.kind == VIDEO && Start::of(self).is_some_and(|start| start.keyframe)
    }

    /// True for coded audio or video.
    pub(crate) fn is_frame(&self) -> bool {
        Start::of(self).is_some_and(|start| start.frame)
    }

    fn is_configuration(&self) -> bool {
        Start::of(self).is_some_and(|start| start.configuration)
    }

    /// True for a coded H.264 frame, which can carry a stamp.
    pub(crate) fn takes_stamp(&self) -> bool {
        self.kind == VIDEO && self.body.len() > 5 && self.body[0] & 0x8f == CODEC_H264 && self.body[1] == 1
    }
}

/// What the first two bytes of a tag's body tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Start {
    /// 8 audio, 9 video, 18 script data.
    pub(crate) kind: u8,
    /// Coded audio or video.
    pub(crate) frame: bool,
    /// A coded video frame that needs no other.
    pub(crate) keyframe: bool,
    /// A decoder configuration.
    pub(crate) configuration: bool,
}

impl Start {
    fn of(tag: &Tag) -> Option<Self> {
        Self::parse(tag.kind, &tag.body)
    }

    /// FLV v10.1 §E.4.2.1 and §E.4.3.1; Enhanced RTMP v1 for the extended video header, v2 for audio.
    pub(crate) fn parse(kind: u8, body: &[u8]) -> Option<Self> {
        let (first, second) = (*body.first()?, *body.get(1)?);
        let plain = Self { kind, ..Self::default() };
        Some(match kind {
            VIDEO if first & 0x80 != 0 => {
                let frame = matches!(first & 15, 1 | 3);
                Self {
                    frame,
                    keyframe: frame && (first >> 4) & 7 == 1,
                    configuration: first & 15 == 0,
                    ..plain
                }
            }
            // H.264, and H.265 under the number that Chinese players use.
            VIDEO if matches!(first & 15, 7 | 12) => {
                let frame = second == 1;
                Self { frame, keyframe: frame && first >> 4 == 1, configuration: second == 0, ..plain }
            }
            VIDEO => Self { frame: true, keyframe: first >> 4 == 1, ..plain },
            AUDIO if first >> 4 == 9 => {
                Self { frame: first & 15 == 1, configuration: first & 15 == 0, ..plain }
            }
            AUDIO if first >> 4 == 10 => Self { frame: second != 0, configuration: second == 0, ..plain },
            AUDIO => Self { frame: true, ..plain },
            _ => plain,
        })
    }
}

/// Writes a tag and its back pointer. A body over 16 MiB cannot be written and never comes: the scanner bounds it.
pub(crate) fn write_tag(kind: u8, timestamp: u32, body: &[u8], out: &mut Vec<u8>) {
    let size = body.len() as u32;
    out.push(kind);
    out.extend_from_slice(&size.to_be_bytes()[1..]);
    out.extend_from_slice(&timestamp.to_be_bytes()[1..]);
    out.extend_from_slice(&[(timestamp >> 24) as u8, 0, 0, 0]);
    out.extend_from_slice(body);
    out.extend_from_slice(&(size + TAG_HEADER_BYTES as u32).to_be_bytes());
}

/// What a scanner found.
#[derive(Debug)]
pub(crate) enum Scanned {
    /// A tag's header and its first two body bytes are here.
    Begun(Start),
    /// A tag is complete; its body holds at most as many bytes as the scanner keeps.
    Whole(Tag),
}

/// The bytes are not FLV.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotFlv;

impl std::fmt::Display for NotFlv {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("not FLV")
    }
}

impl std::error::Error for NotFlv {}

/// Finds tags in FLV bytes that arrive in pieces. It keeps the first bytes of each body only, so a viewer who merely waits
/// for its first keyframe needs a few dozen bytes.
#[derive(Debug)]
pub(crate) struct TagScanner {
    state: Scan,
    keep: usize,
    fixed: Vec<u8>,
    body: Vec<u8>,
}

#[derive(Debug, Clone, Copy)]
enum Scan {
    FileHeader,
    TagHeader,
    Body { kind: u8, timestamp: u32, size: usize, left: usize, begun: bool },
    BackPointer(usize),
}

impl TagScanner {
    /// A scanner that keeps the first `keep` bytes of each body.
    pub(crate) fn new(keep: usize) -> Self {
        Self { state: Scan::FileHeader, keep, fixed: Vec::new(), body: Vec::new() }
    }

    /// Takes bytes from the front of `bytes` until something is found. `None`: all are taken.
    pub(crate) fn next(&mut self, bytes: &mut &[u8]) -> Option<Result<Scanned, NotFlv>> {
        loop {
            match self.state {
                Scan::FileHeader => {
                    self.fill(bytes, FILE_HEADER_BYTES)?;
                    if !self.fixed.starts_with(b"FLV") {
                        return Some(Err(NotFlv));
                    }
                    self.fixed.clear();
                    self.state = Scan::TagHeader;
                }
                Scan::TagHeader => {
                    self.fill(bytes, TAG_HEADER_BYTES)?;
                    if let Err(error) = self.open_tag() {
                        return Some(Err(error));
                    }
                }
                Scan::Body { .. } => {
                    if let Some(found) = self.body(bytes)? {
                        return Some(Ok(found));
                    }
                }
                Scan::BackPointer(left) => {
                    let taken = left.min(bytes.len());
                    *bytes = &bytes[taken..];
                    if taken < left {
                        self.state = Scan::BackPointer(left - taken);
                        return None;
                    }
                    self.state = Scan::TagHeader;
                }
            }
        }
    }

    fn fill(&mut self, bytes: &mut &[u8], wanted: usize) -> Option<()> {
        let taken = (wanted - self.fixed.len()).min(bytes.len());
        self.fixed.extend_from_slice(&bytes[..taken]);
        *bytes = &bytes[taken..];
        (self.fixed.len() == wanted).then_some(())
    }

    fn open_tag(&mut self) -> Result<(), NotFlv> {
        let h = &self.fixed;
        let kind = h[0] & 0x1f;
        if !matches!(kind, AUDIO | VIDEO | SCRIPT) {
            return Err(NotFlv);
        }
        let size = u32::from_be_bytes([0, h[1], h[2], h[3]]) as usize;
        let timestamp = u32::from_be_bytes([h[7], h[4], h[5], h[6]]);
        self.state = Scan::Body { kind, timestamp, size, left: size, begun: false };
        self.fixed.clear();
        self.body.clear();
        Ok(())
    }

    /// `Some(None)`: go on with the next state.
    fn body(&mut self, bytes: &mut &[u8]) -> Option<Option<Scanned>> {
        let Scan::Body { kind, timestamp, size, left, begun } = self.state else { return Some(None) };
        // Two bytes first, so that the start of a frame is seen before the rest of it is here.
        let step = if begun || size < 2 { left } else { 2 - (size - left) };
        let taken = step.min(bytes.len());
        let kept = taken.min(self.keep.max(2).saturating_sub(self.body.len()));
        self.body.extend_from_slice(&bytes[..kept]);
        *bytes = &bytes[taken..];
        let left = left - taken;
        if taken < step {
            self.state = Scan::Body { kind, timestamp, size, left, begun };
            return None;
        }
        if !begun && left > 0 {
            self.state = Scan::Body { kind, timestamp, size, left, begun: true };
            return Some(Start::parse(kind, &self.body).map(Scanned::Begun));
        }
        self.state = Scan::BackPointer(4);
        Some(Some(Scanned::Whole(Tag { kind, timestamp, body: self.body.clone() })))
    }
}

/// Tag kind: audio.
pub(crate) const AUDIO: u8 = 8;
/// Tag kind: video.
pub(crate) const VIDEO: u8 = 9;
/// Tag kind: script data.
pub(crate) const SCRIPT: u8 = 18;
const CODEC_H264: u8 = 7;
/// File header and the first back pointer.
const FILE_HEADER_BYTES: usize = 13;
const TAG_HEADER_BYTES: usize = 11;
/// The size field has 24 bits.
const TAG_BYTES_MAX: usize = 1 << 24;
/// For a clip of one frame.
const FRAME_MS_DEFAULT: u32 = 40;

#[cfg(test)]
pub(crate) mod tests;
