//! AV1. AOMedia, RTP Payload Format For AV1 1.0.

use super::payloads::Payloads;
use crate::Error;
use bytes::{Bytes, BytesMut};
use media::codec::av1::{RECORD_HEAD_BYTES, obu, obus, put_leb128};
use media::{Codec, Frame};
use std::ops::Range;

/// Z of the aggregation header: the first element goes on from the payload before. §4.4.
pub(in crate::rtp) const CONTINUES: u8 = 0x80;
/// Y: the last element goes on in the next payload.
pub(in crate::rtp) const CONTINUED: u8 = 0x40;
/// N: a coded video sequence begins.
pub(in crate::rtp) const NEW_SEQUENCE: u8 = 0x08;
/// W can count so many elements; the last of them has no length then.
const COUNTED_MAX: usize = 3;
/// An element's length, at most: payloads are shorter than 2^14 bytes.
const LENGTH_BYTES: usize = 2;
/// Room that is left behind an OBU if another follows. With less the next payload could begin with a whole OBU, which
/// some receivers take for the begin of a frame.
const ROOM_BEHIND_BYTES: usize = 4;

pub(super) fn packetize(config: &Bytes, frame: &Frame, out: &mut Payloads) -> Result<(), Error> {
    let (bare, units) = bare_units(config, frame)?;
    let mut payload = Elements::new(&bare, frame.keyframe);
    for (i, unit) in units.iter().enumerate() {
        let room_behind = if i + 1 == units.len() { 0 } else { ROOM_BEHIND_BYTES };
        let mut rest = unit.clone();
        while LENGTH_BYTES + rest.len() + room_behind > out.mtu() - payload.bytes {
            // A piece that fills the payload, but leaves something for the next one.
            let room = (out.mtu() - payload.bytes).saturating_sub(LENGTH_BYTES);
            let piece = rest.start..rest.start + room.min(rest.len() - 1);
            let is_cut = !piece.is_empty();
            rest.start = piece.end;
            payload.push(piece);
            payload.end(is_cut, out);
        }
        payload.push(rest);
    }
    payload.end(false, out);
    Ok(())
}

/// The OBUs that are sent, without size fields, and where each of them is; none is empty.
fn bare_units(config: &Bytes, frame: &Frame) -> Result<(Bytes, Vec<Range<usize>>), Error> {
    let mut bare = BytesMut::with_capacity(frame.payload.len() + config.len());
    let mut units = Vec::with_capacity(8);
    let is_header = |kind| kind == obu::SEQUENCE_HEADER;
    let told = config.get(RECORD_HEAD_BYTES..).unwrap_or_default();
    let missing = frame.keyframe && !obus(&frame.payload).any(|o| is_header(o.kind));
    let header = obus(told).find(|o| missing && is_header(o.kind));
    if missing && header.is_none() {
        return Err(Error::Config(Codec::Av1));
    }
    if obus(&frame.payload).next().is_none() {
        return Err(Error::NotNormal(Codec::Av1));
    }
    for unit in header.into_iter().chain(obus(&frame.payload)) {
        // §5: delimiters should not be sent, tile lists must not be.
        if !matches!(unit.kind, obu::TEMPORAL_DELIMITER | obu::TILE_LIST | obu::PADDING) {
            let start = bare.len();
            unit.put_bare(&mut bare);
            units.push(start..bare.len());
        }
    }
    Ok((bare.freeze(), units))
}

/// The elements of the payload that is being filled: OBUs, or pieces of them.
#[derive(Debug)]
struct Elements<'a> {
    bare: &'a [u8],
    pieces: Vec<Range<usize>>,
    /// What the payload has at most by now: aggregation header, lengths, elements.
    bytes: usize,
    /// Of the aggregation header: Z and N.
    flags: u8,
}

impl<'a> Elements<'a> {
    fn new(bare: &'a [u8], begins_sequence: bool) -> Elements<'a> {
        let flags = if begins_sequence { NEW_SEQUENCE } else { 0 };
        Elements { bare, pieces: Vec::with_capacity(8), bytes: 1, flags }
    }

    fn push(&mut self, piece: Range<usize>) {
        if !piece.is_empty() {
            self.bytes += LENGTH_BYTES + piece.len();
            self.pieces.push(piece);
        }
    }

    /// Ends the payload; the last element goes on in the next one if it `is_cut`.
    fn end(&mut self, is_cut: bool, out: &mut Payloads) {
        let Some(last) = self.pieces.len().checked_sub(1) else { return };
        let count = if last < COUNTED_MAX { last as u8 + 1 } else { 0 };
        out.put(&[self.flags | if is_cut { CONTINUED } else { 0 } | count << 4]);
        let mut length = BytesMut::with_capacity(LENGTH_BYTES);
        for (i, piece) in self.pieces.drain(..).enumerate() {
            if count == 0 || i < last {
                length.clear();
                put_leb128(&mut length, piece.len());
                out.put(&length);
            }
            out.put(&self.bare[piece]);
        }
        out.end();
        self.bytes = 1;
        self.flags = if is_cut { CONTINUES } else { 0 };
    }
}
