//! H.264 (RFC 6184: single units, STAP-A, FU-A) and H.265 (RFC 7798: single units, AP, FU; no decoding order numbers).

use super::{Assembled, Damaged, UNIT_BYTES_MAX};
use crate::nal::{Learner, Normaliser};
use crate::rtp::family::{FRAGMENT_END, FRAGMENT_START, Family, LENGTH_BYTES};
use bytes::{BufMut, Bytes, BytesMut};
use media::codec::h264;

/// Puts units together to pictures, and learns the parameter sets that come with them.
#[derive(Debug)]
pub(super) struct Assembler {
    family: Family,
    /// Units with their lengths.
    picture: BytesMut,
    /// Where the unit begins whose fragments come in.
    fragmented_at: Option<usize>,
    /// Whether the first slice that came is the first of its picture.
    begins: Option<bool>,
    has_key: bool,
    has_sets: bool,
    /// Whether something was lost right before this picture; parameter sets, perhaps.
    is_behind_loss: bool,
    /// Whether the last keyframe had parameter sets before it.
    expects_sets: bool,
    learner: Learner,
    /// As soon as there is a parameter set of each kind.
    normaliser: Option<Normaliser>,
}

/// Bytes of the length of a unit in normal form.
const UNIT_LENGTH_BYTES: usize = 4;

impl Assembler {
    pub(super) fn new(family: Family) -> Assembler {
        Assembler {
            family,
            picture: BytesMut::new(),
            fragmented_at: None,
            begins: None,
            has_key: false,
            has_sets: false,
            is_behind_loss: false,
            expects_sets: false,
            learner: Learner::new(family.codec()),
            normaliser: None,
        }
    }

    pub(super) fn push(&mut self, payload: &Bytes) -> Result<(), Damaged> {
        let (header, body) = payload.split_at_checked(self.family.header_bytes()).ok_or(Damaged)?;
        let kind = self.family.kind(header);
        if kind == self.family.fragment() {
            return self.push_fragment(header, body);
        }
        if kind == self.family.aggregate() {
            return self.push_aggregate(body);
        }
        self.push_unit(payload)
    }

    fn push_aggregate(&mut self, mut rest: &[u8]) -> Result<(), Damaged> {
        while !rest.is_empty() {
            let (length, tail) = rest.split_at_checked(LENGTH_BYTES).ok_or(Damaged)?;
            let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
            let (unit, later) = tail.split_at_checked(length).ok_or(Damaged)?;
            self.push_unit(unit)?;
            rest = later;
        }
        Ok(())
    }

    fn push_unit(&mut self, unit: &[u8]) -> Result<(), Damaged> {
        if unit.len() < self.family.header_bytes() || self.fragmented_at.is_some() {
            return Err(Damaged);
        }
        self.has_room_for(unit.len())?;
        let (header, body) = unit.split_at(self.family.header_bytes());
        self.note(self.family.kind(header), body.first().copied())?;
        self.picture.put_u32(unit.len() as u32);
        self.picture.put_slice(unit);
        Ok(())
    }

    /// `header` is that of the payload, `body` begins with that of the fragment.
    fn push_fragment(&mut self, header: &[u8], body: &[u8]) -> Result<(), Damaged> {
        let (&fragment, piece) = body.split_first().ok_or(Damaged)?;
        self.has_room_for(piece.len())?;
        match (fragment & FRAGMENT_START != 0, self.fragmented_at) {
            (true, None) => {
                let at = self.picture.len();
                self.picture.put_u32(0);
                match self.family {
                    Family::H264 => self.picture.put_u8(header[0] & 0xe0 | fragment & 0x1f),
                    Family::H265 => {
                        self.picture.put_slice(&[header[0] & 0x81 | (fragment & 0x3f) << 1, header[1]]);
                    }
                }
                self.picture.put_slice(piece);
                self.fragmented_at = Some(at);
                self.note(self.family.kind(&self.picture[at + UNIT_LENGTH_BYTES..]), piece.first().copied())?;
            }
            (false, Some(_)) => self.picture.put_slice(piece),
            (true, Some(_)) | (false, None) => return Err(Damaged),
        }
        if fragment & FRAGMENT_END != 0
            && let Some(at) = self.fragmented_at.take()
        {
            let length = self.picture.len() - at - UNIT_LENGTH_BYTES;
            // No picture is longer than UNIT_BYTES_MAX.
            self.picture[at..at + UNIT_LENGTH_BYTES].copy_from_slice(&(length as u32).to_be_bytes());
        }
        Ok(())
    }

    fn has_room_for(&self, bytes: usize) -> Result<(), Damaged> {
        let total = self.picture.len() + UNIT_LENGTH_BYTES + self.family.header_bytes() + bytes;
        if total > UNIT_BYTES_MAX { Err(Damaged) } else { Ok(()) }
    }

    /// Notes what type and first byte of a unit say about its picture.
    fn note(&mut self, kind: u8, first: Option<u8>) -> Result<(), Damaged> {
        let (is_known, is_slice, is_key) = match self.family {
            // Types 1 to 5 are slices. ITU-T H.264 table 7-1.
            Family::H264 => (kind != 0, kind <= h264::nal::IDR, kind == h264::nal::IDR),
            // Types 0 to 31 are slices, 16 to 23 of them of pictures to start at. ITU-T H.265 table 7-1.
            Family::H265 => (true, kind <= 31, matches!(kind, 16..=23)),
        };
        if !is_known || kind > self.family.unit_kind_max() {
            return Err(Damaged);
        }
        self.has_sets |= self.family.is_set(kind);
        if is_slice {
            // `first_mb_in_slice` is zero (ITU-T H.264 §7.3.3), `first_slice_segment_in_pic_flag` is set (ITU-T H.265
            // §7.3.6.1): the same bit in both.
            self.begins.get_or_insert(first.is_some_and(|b| b & 0x80 != 0));
            self.has_key |= is_key;
        }
        Ok(())
    }

    pub(super) fn finish(&mut self) -> Result<Option<Assembled>, Damaged> {
        if self.fragmented_at.is_some() {
            return Err(Damaged);
        }
        let sets_are_lost = self.is_behind_loss && self.expects_sets && !self.has_sets;
        let keyframe = self.has_key && self.begins == Some(true) && !sets_are_lost;
        if keyframe {
            self.expects_sets = self.has_sets;
        }
        // Of exactly the length, since frames are kept long.
        let picture = Bytes::copy_from_slice(&self.picture);
        self.reset();
        if self.normaliser.is_none() {
            self.normaliser = self.learner.learn(&picture);
        }
        let Some(normaliser) = &mut self.normaliser else { return Ok(None) };
        let payload = normaliser.normal(keyframe, &picture).payload;
        Ok(Some(Assembled { keyframe, payload, config: normaliser.record().clone() }))
    }

    /// Something is missing: drops what it has of the picture.
    pub(super) fn lost(&mut self) {
        self.reset();
        self.is_behind_loss = true;
    }

    fn reset(&mut self) {
        self.picture.clear();
        self.fragmented_at = None;
        self.begins = None;
        self.has_key = false;
        self.has_sets = false;
        self.is_behind_loss = false;
    }
}
