//! The tag around a body.

use bytes::{BufMut, Bytes, BytesMut};

/// What a tag carries. FLV §E.4.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum TagType {
    /// Sound.
    Audio = 8,
    /// Pictures.
    Video = 9,
    /// Metadata in AMF0.
    Script = 18,
}

/// Bytes before the payload in the longest tag body that we write.
pub const HEAD_BYTES_MAX: usize = 8;

/// A tag body in two parts: a few bytes of codec header, and a payload that is shared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagBody {
    /// What it carries.
    pub tag: TagType,
    /// Milliseconds, wrapping at 32 bits.
    pub timestamp_ms: u32,
    head: [u8; HEAD_BYTES_MAX],
    head_bytes: u8,
    /// The bytes behind the head.
    pub payload: Bytes,
}

impl TagBody {
    /// A body of these parts; `head` has at most [`HEAD_BYTES_MAX`] bytes, more are cut off.
    pub(crate) fn new(tag: TagType, timestamp_ms: u32, head: &[u8], payload: Bytes) -> TagBody {
        let mut own = [0; HEAD_BYTES_MAX];
        let count = head.len().min(HEAD_BYTES_MAX);
        own[..count].copy_from_slice(&head[..count]);
        TagBody { tag, timestamp_ms, head: own, head_bytes: count as u8, payload }
    }

    /// Head and payload; their concatenation is the body.
    pub fn parts(&self) -> [&[u8]; 2] {
        [&self.head[..usize::from(self.head_bytes)], &self.payload]
    }

    /// Bytes of the body.
    pub fn body_bytes(&self) -> usize {
        usize::from(self.head_bytes) + self.payload.len()
    }

    /// The body in one piece, copied.
    pub fn to_bytes(&self) -> Bytes {
        self.parts().concat().into()
    }

    /// Bytes of the whole tag as [`write_tag`] writes it.
    pub fn tag_bytes(&self) -> usize {
        11 + self.body_bytes() + 4
    }
}

/// The file header and the first PreviousTagSize. FLV §E.2. Players wait for a track that is announced here.
pub fn file_header(has_video: bool, has_audio: bool) -> [u8; 13] {
    let flags = u8::from(has_video) | u8::from(has_audio) << 2;
    [b'F', b'L', b'V', 1, flags, 0, 0, 0, 9, 0, 0, 0, 0]
}

/// Appends a whole tag and its PreviousTagSize. FLV §E.4.1.
pub fn write_tag(out: &mut BytesMut, body: &TagBody) {
    let length = body.body_bytes();
    out.reserve(body.tag_bytes());
    out.put_u8(body.tag as u8);
    out.put_uint(length as u64, 3);
    out.put_uint(u64::from(body.timestamp_ms & 0xff_ffff), 3);
    out.put_u8((body.timestamp_ms >> 24) as u8);
    out.put_slice(&[0, 0, 0]);
    body.parts().iter().for_each(|p| out.put_slice(p));
    out.put_u32(u32::try_from(length + 11).unwrap_or(u32::MAX));
}
