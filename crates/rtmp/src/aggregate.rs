//! Several media messages in one.

use crate::{MediaKind, Message};
use bytes::Bytes;

/// The FLV tags of an aggregate, one after the other.
#[derive(Debug)]
pub(crate) struct Aggregate {
    rest: Bytes,
    /// Time of the message.
    start: u32,
    /// Time of the first tag, which the message's takes the place of.
    base: Option<u32>,
}

/// Bytes of a tag before its body, and of its length behind it. FLV §E.4.1.
const TAG_HEAD_BYTES: usize = 11;
const TAG_SIZE_BYTES: usize = 4;

impl Aggregate {
    pub(crate) fn new(message: &Message) -> Aggregate {
        Aggregate { rest: message.payload.clone(), start: message.timestamp, base: None }
    }

    /// The next tag, whatever its kind, or the end.
    fn tag(&mut self) -> Option<(u8, u32, Bytes)> {
        let head = self.rest.get(..TAG_HEAD_BYTES)?;
        let size = u32::from_be_bytes([0, head[1], head[2], head[3]]) as usize;
        let time = u32::from_be_bytes([head[7], head[4], head[5], head[6]]);
        let kind = head[0] & 0x1f;
        let end = TAG_HEAD_BYTES + size;
        if self.rest.len() < end {
            return None;
        }
        let body = self.rest.slice(TAG_HEAD_BYTES..end);
        self.rest = self.rest.slice((end + TAG_SIZE_BYTES).min(self.rest.len())..);
        let offset = time.wrapping_sub(*self.base.get_or_insert(time));
        Some((kind, self.start.wrapping_add(offset), body))
    }
}

/// Kind, time and body of the tags that carry media; their times are moved so that the first has the message's time.
/// RTMP 1.0 §7.1.6.
impl Iterator for Aggregate {
    type Item = (MediaKind, u32, Bytes);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (kind, time, body) = self.tag()?;
            let kind = match kind {
                8 => MediaKind::Audio,
                9 => MediaKind::Video,
                18 => MediaKind::Data,
                _ => continue,
            };
            return Some((kind, time, body));
        }
    }
}
