//! FLV tag by tag, as it comes. Written for the tests, so that the server's own muxer is not its judge.

use anyhow::{Context, Result, ensure};
use rtmp::MediaKind;
use std::io::Read;

/// A tag. Adobe FLV 10.1, annex E.4.1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag {
    /// Audio, video or script data.
    pub kind: MediaKind,
    /// Milliseconds; the decode time of video.
    pub time_ms: u32,
    /// What follows the tag's header.
    pub body: Vec<u8>,
}

/// Reads a file header, then tags.
#[derive(Debug)]
pub struct Reader<R> {
    inner: R,
    /// Whether the header promises sound and pictures.
    pub promises: (bool, bool),
}

impl Tag {
    /// Metadata, or a decoder configuration of AVC or AAC.
    pub fn is_header(&self) -> bool {
        self.kind == MediaKind::Data || self.body.get(1) == Some(&0)
    }

    /// A picture that a decoder can start with.
    pub fn is_keyframe(&self) -> bool {
        self.kind == MediaKind::Video
            && !self.is_header()
            && self.body.first().is_some_and(|b| b >> 4 & 7 == 1)
    }
}

impl<R: Read> Reader<R> {
    /// Reads the file header.
    ///
    /// # Errors
    /// When there is none.
    pub fn new(mut inner: R) -> Result<Reader<R>> {
        let mut header = [0; 13];
        inner.read_exact(&mut header).context("no FLV header")?;
        ensure!(header.starts_with(b"FLV\x01"), "no FLV header but {header:02x?}");
        Ok(Reader { inner, promises: (header[4] & 4 != 0, header[4] & 1 != 0) })
    }

    /// The next tag; `None` when the body ends between two tags.
    ///
    /// # Errors
    /// When it ends within a tag, or bytes are no tag.
    pub fn tag(&mut self) -> Result<Option<Tag>> {
        let mut header = [0; 11];
        if self.inner.read(&mut header[..1]).context("waiting for a tag")? == 0 {
            return Ok(None);
        }
        self.inner.read_exact(&mut header[1..]).context("within a tag's header")?;
        let kind = match header[0] {
            8 => MediaKind::Audio,
            9 => MediaKind::Video,
            18 => MediaKind::Data,
            other => anyhow::bail!("a tag of type {other}"),
        };
        let mut body = vec![0; u32::from_be_bytes([0, header[1], header[2], header[3]]) as usize];
        self.inner.read_exact(&mut body).context("within a tag")?;
        let mut size = [0; 4];
        self.inner.read_exact(&mut size).context("within a tag's size")?;
        ensure!(u32::from_be_bytes(size) as usize == body.len() + 11, "the size behind a tag is {size:02x?}");
        let time_ms = u32::from_be_bytes([header[7], header[4], header[5], header[6]]);
        Ok(Some(Tag { kind, time_ms, body }))
    }

    /// All tags up to the end.
    ///
    /// # Errors
    /// As [`Reader::tag`].
    pub fn rest(mut self) -> Result<Vec<Tag>> {
        let mut tags = Vec::new();
        while let Some(tag) = self.tag()? {
            tags.push(tag);
        }
        Ok(tags)
    }
}
