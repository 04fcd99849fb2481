//! The payloads of one frame in one buffer.

use super::Payload;
use bytes::{BufMut, BytesMut};

/// Collects payloads of at most `mtu` bytes each.
#[derive(Debug)]
pub(super) struct Payloads {
    mtu: usize,
    bytes: BytesMut,
    /// Where each payload ends.
    ends: Vec<usize>,
}

/// Bytes of descriptors a payload, as an estimate for what is allocated.
const DESCRIPTOR_BYTES: usize = 8;

impl Payloads {
    /// For a frame of about that many bytes.
    pub(super) fn new(mtu: usize, frame_bytes: usize) -> Payloads {
        let count = frame_bytes / mtu + 2;
        Payloads {
            mtu,
            bytes: BytesMut::with_capacity(frame_bytes + count * DESCRIPTOR_BYTES),
            ends: Vec::with_capacity(count),
        }
    }

    /// The most bytes of a payload.
    pub(super) fn mtu(&self) -> usize {
        self.mtu
    }

    /// Appends to the payload that is open.
    pub(super) fn put(&mut self, bytes: &[u8]) {
        self.bytes.put_slice(bytes);
    }

    /// Ends the payload that is open.
    pub(super) fn end(&mut self) {
        let start = self.ends.last().copied().unwrap_or(0);
        debug_assert!(self.bytes.len() - start <= self.mtu, "a payload is over the limit");
        self.ends.push(self.bytes.len());
    }

    /// All of them; the last one has the marker.
    pub(super) fn finish(self) -> Vec<Payload> {
        let bytes = self.bytes.freeze();
        let last = self.ends.len().saturating_sub(1);
        let mut start = 0;
        let payload = |(i, end)| {
            let payload = Payload { bytes: bytes.slice(start..end), marker: i == last };
            start = end;
            payload
        };
        self.ends.into_iter().enumerate().map(payload).collect()
    }
}

/// Cuts `body` into the fewest pieces of at most `room` bytes, all of about the same length: a short last piece would
/// cost a datagram for little. None for an empty body.
pub(super) fn pieces(body: &[u8], room: usize) -> impl ExactSizeIterator<Item = &[u8]> {
    let count = body.len().div_ceil(room).max(1);
    body.chunks(body.len().div_ceil(count).max(1))
}
