//! Messages to chunks.

use super::EXTENDED;
use crate::MessageKind;
use bytes::{BufMut, BytesMut};

/// Appends one whole message: a type-0 header, then type-3 chunks.
///
/// The timestamp is absolute and the header complete, so that the bytes mean the same to every player that
/// joins before them. `payload` is the concatenation of its parts.
pub fn write_message(
    out: &mut BytesMut,
    chunk_stream: u8,
    kind: MessageKind,
    message_stream: u32,
    timestamp: u32,
    chunk_bytes: usize,
    payload: &[&[u8]],
) {
    let length: usize = payload.iter().map(|p| p.len()).sum();
    let short = timestamp.min(EXTENDED);
    out.reserve(length + 16 + length / chunk_bytes.max(1) * 5);
    out.put_u8(chunk_stream & 0x3f);
    out.put_uint(u64::from(short), 3);
    out.put_uint(length as u64, 3);
    out.put_u8(kind as u8);
    out.put_u32_le(message_stream);
    if short == EXTENDED {
        out.put_u32(timestamp);
    }
    let mut room = chunk_bytes.max(1);
    for part in payload {
        let mut part = *part;
        while !part.is_empty() {
            if room == 0 {
                out.put_u8(0xc0 | chunk_stream & 0x3f);
                if short == EXTENDED {
                    out.put_u32(timestamp);
                }
                room = chunk_bytes.max(1);
            }
            let (now, later) = part.split_at(part.len().min(room));
            out.put_slice(now);
            room -= now.len();
            part = later;
        }
    }
}
