//! VP9 in non-flexible mode, one spatial and one temporal layer. RFC 9628.

use super::payloads::{Payloads, pieces};
use media::Frame;
use media::codec::vp9;

/// What the payload descriptor counts. RFC 9628 §4.2.
#[derive(Debug, Default)]
pub(super) struct Descriptor {
    /// 15 bits, one more with every picture.
    picture_id: u16,
    /// One more with every picture of the lowest temporal layer, which is every one.
    lowest_layer: u8,
}

/// I, L: there is a picture id, and there are layer indices. Browsers want the layers in non-flexible mode.
const PICTURE_ID_AND_LAYERS: u8 = 0x80 | 0x20;
/// P: predicted from pictures before.
const PREDICTED: u8 = 0x40;
/// B: begin of the frame.
const BEGIN: u8 = 0x08;
/// E: end of the frame.
const END: u8 = 0x04;
/// V: there is a scalability structure.
const STRUCTURE: u8 = 0x02;
const BYTES: usize = 5;
/// Bytes of the longest scalability structure that is written.
const STRUCTURE_BYTES: usize = 8;

pub(super) fn packetize(descriptor: &mut Descriptor, frame: &Frame, out: &mut Payloads) {
    let [high, low] = descriptor.picture_id.to_be_bytes();
    let lowest_layer = descriptor.lowest_layer;
    descriptor.picture_id = (descriptor.picture_id + 1) & 0x7fff;
    descriptor.lowest_layer = lowest_layer.wrapping_add(1);
    let room = out.mtu() - BYTES - if frame.keyframe { STRUCTURE_BYTES } else { 0 };
    let pieces = pieces(&frame.payload, room);
    let last = pieces.len().saturating_sub(1);
    for (i, piece) in pieces.enumerate() {
        let mut flags = PICTURE_ID_AND_LAYERS;
        flags |= if frame.keyframe { 0 } else { PREDICTED };
        flags |= if i == 0 { BEGIN } else { 0 };
        flags |= if i == last { END } else { 0 };
        flags |= if i == 0 && frame.keyframe { STRUCTURE } else { 0 };
        // Temporal and spatial layer 0, no switching point, no dependency within the picture.
        out.put(&[flags, 0x80 | high, low, 0, lowest_layer]);
        if flags & STRUCTURE != 0 {
            put_structure(&frame.payload, out);
        }
        out.put(piece);
        out.end();
    }
}

/// One spatial layer of that size; every picture refers to the one before. RFC 9628 §4.2.1.
fn put_structure(keyframe: &[u8], out: &mut Payloads) {
    // G: a group of pictures is told.
    const GROUP: u8 = 0x08;
    // Y: the size is told.
    const SIZE: u8 = 0x10;
    let size = vp9::size(keyframe).and_then(|(w, h)| Some((u16::try_from(w).ok()?, u16::try_from(h).ok()?)));
    match size {
        Some((width, height)) => {
            let ([w, x], [h, i]) = (width.to_be_bytes(), height.to_be_bytes());
            out.put(&[SIZE | GROUP, w, x, h, i]);
        }
        None => out.put(&[GROUP]),
    }
    // A group of one picture: temporal layer 0, one reference, one picture back.
    out.put(&[1, 0x04, 1]);
}
