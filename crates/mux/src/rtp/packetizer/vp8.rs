//! VP8. RFC 7741.

use super::payloads::{Payloads, pieces};
use media::Frame;

/// What the payload descriptor counts. RFC 7741 §4.2.
#[derive(Debug, Default)]
pub(super) struct Descriptor {
    /// 15 bits, one more with every picture.
    picture_id: u16,
}

/// X: extended.
const EXTENDED: u8 = 0x80;
/// S: begin of a partition.
const START: u8 = 0x10;
/// I: there is a picture id; with M of the id itself, it has 15 bits.
const HAS_PICTURE_ID: u8 = 0x80;
const BYTES: usize = 4;

pub(super) fn packetize(descriptor: &mut Descriptor, frame: &Frame, out: &mut Payloads) {
    let [high, low] = descriptor.picture_id.to_be_bytes();
    descriptor.picture_id = (descriptor.picture_id + 1) & 0x7fff;
    let room = out.mtu() - BYTES;
    for (i, piece) in pieces(&frame.payload, room).enumerate() {
        // Partitions aren't told apart: all is partition 0, whose begin is the frame's.
        let start = if i == 0 { START } else { 0 };
        out.put(&[EXTENDED | start, HAS_PICTURE_ID, 0x80 | high, low]);
        out.put(piece);
        out.end();
    }
}
