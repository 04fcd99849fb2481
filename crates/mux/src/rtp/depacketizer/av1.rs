//! AV1. AOMedia, RTP Payload Format For AV1 1.0.

use super::{Assembled, Damaged, UNIT_BYTES_MAX};
use crate::rtp::packetizer::av1::{CONTINUED, CONTINUES};
use bytes::{BufMut, Bytes, BytesMut};
use media::codec::av1::{self, Obu, leb128, obu, obus};

/// Puts OBUs together to temporal units.
#[derive(Debug, Default)]
pub(super) struct Assembler {
    /// OBUs with their sizes.
    unit: BytesMut,
    /// What came of the OBU that goes on in the next payload; empty if none does.
    open: BytesMut,
    /// Of the last keyframe.
    config: Bytes,
}

/// Bytes of the longest size field of an OBU that is put together.
const SIZE_BYTES_MAX: usize = 4;

impl Assembler {
    /// §4.3, §4.4.
    pub(super) fn push(&mut self, payload: &[u8]) -> Result<(), Damaged> {
        let (&head, mut rest) = payload.split_first().ok_or(Damaged)?;
        if (head & CONTINUES != 0) == self.open.is_empty() {
            return Err(Damaged);
        }
        // W: so many elements, the last of them without length; with zero, all have one.
        let count = usize::from(head >> 4 & 3);
        let mut taken = 0;
        while !rest.is_empty() {
            taken += 1;
            let mut length = rest.len();
            if taken != count {
                (length, rest) = leb128(rest).ok_or(Damaged)?;
            }
            let element = rest.split_off(..length).ok_or(Damaged)?;
            let goes_on = rest.is_empty() && head & CONTINUED != 0;
            self.push_element(element, goes_on)?;
        }
        if count != 0 && taken != count { Err(Damaged) } else { Ok(()) }
    }

    fn push_element(&mut self, element: &[u8], goes_on: bool) -> Result<(), Damaged> {
        let total = self.unit.len() + self.open.len() + element.len() + SIZE_BYTES_MAX;
        if total > UNIT_BYTES_MAX {
            return Err(Damaged);
        }
        if goes_on || !self.open.is_empty() {
            self.open.put_slice(element);
            if !goes_on {
                let whole = self.open.split();
                return self.push_obu(&whole);
            }
            return Ok(());
        }
        self.push_obu(element)
    }

    fn push_obu(&mut self, bare: &[u8]) -> Result<(), Damaged> {
        let (unit, rest) = Obu::parse(bare).ok_or(Damaged)?;
        if !rest.is_empty() {
            return Err(Damaged);
        }
        if !matches!(unit.kind, obu::TEMPORAL_DELIMITER | obu::TILE_LIST | obu::PADDING) {
            unit.put_sized(&mut self.unit);
        }
        Ok(())
    }

    pub(super) fn finish(&mut self) -> Result<Option<Assembled>, Damaged> {
        if !self.open.is_empty() {
            return Err(Damaged);
        }
        if self.unit.is_empty() {
            return Ok(None);
        }
        let payload = Bytes::copy_from_slice(&self.unit);
        self.unit.clear();
        let keyframe = av1::is_keyframe(&payload);
        if keyframe {
            let header = obus(&payload).find(|o| o.kind == obu::SEQUENCE_HEADER).ok_or(Damaged)?;
            self.config = av1::record(&header).ok_or(Damaged)?;
        }
        Ok(Some(Assembled { keyframe, payload, config: self.config.clone() }))
    }

    pub(super) fn lost(&mut self) {
        self.unit.clear();
        self.open.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A sequence header of 320x180 without size, as SVT-AV1 writes it.
    const HEADER: [u8; 12] = [0x08, 0, 0, 0, 4, 0x3c, 0xfe, 0xcc, 0x02, 0xf8, 0, 0x40];

    /// What a temporal unit of these payloads is.
    fn unit(payloads: &[&[u8]]) -> Result<Option<Vec<u8>>, Damaged> {
        let mut assembler = Assembler::default();
        for payload in payloads {
            assembler.push(payload)?;
        }
        Ok(assembler.finish()?.map(|a| a.payload.to_vec()))
    }

    #[test]
    fn elements_are_counted_or_have_lengths() {
        let expect = Ok(Some(vec![0x32, 2, 0x30, 1, 0x22, 1, 2]));
        assert_eq!(unit(&[&[0x20, 3, 0x30, 0x30, 1, 0x20, 2]]), expect, "W = 2");
        assert_eq!(unit(&[&[0x00, 3, 0x30, 0x30, 1, 2, 0x20, 2]]), expect, "W = 0");
        assert_eq!(unit(&[&[0x10, 0x30, 0x30, 1], &[0x10, 0x20, 2]]), expect, "two payloads");
        assert_eq!(unit(&[&[0x50, 0x30, 0x30], &[0xa0, 1, 1, 0x20, 2]]), expect, "in pieces");
        assert_eq!(unit(&[&[0x50, 0x30], &[0xd0, 0x30], &[0x80, 1, 1, 2, 0x20, 2]]), expect);
        // An OBU with size field, an extension byte that stays, a delimiter that doesn't.
        assert_eq!(unit(&[&[0x10, 0x32, 2, 0x30, 1]]), Ok(Some(vec![0x32, 2, 0x30, 1])));
        assert_eq!(unit(&[&[0x20, 1, 0x10, 0x34, 8, 5]]), Ok(Some(vec![0x36, 8, 1, 5])));
        assert_eq!(unit(&[&[0x10, 0x10]]), Ok(None));
    }

    #[test]
    fn damage_is_seen() {
        for payloads in [
            // Goes on from nothing, doesn't go on, ends within.
            &[&[0x90, 1][..]][..],
            &[&[0x50, 0x30], &[0x10, 0x30, 1]],
            &[&[0x50, 0x30]],
            // A length that overruns or is cut, too few elements, an element behind its OBU, an empty one.
            &[&[0x00, 9, 0x30]],
            &[&[0x00, 0x80]],
            &[&[0x20, 2, 0x30, 1]],
            &[&[0x10, 0x32, 1, 7, 7]],
            &[&[0x20, 0, 0x30, 1]],
        ] {
            assert_eq!(unit(payloads), Err(Damaged), "{payloads:02x?}");
        }
    }

    #[test]
    fn keyframes_bring_the_configuration() {
        let mut assembler = Assembler::default();
        let payload = [&[0x28, 12][..], &HEADER, &[0x30, 0x10, 7]].concat();
        assembler.push(&payload).unwrap();
        let assembled = assembler.finish().unwrap().unwrap();
        let record = [&[0x81, 0, 0x0c, 0, 0x0a, 0x0b][..], &HEADER[1..]].concat();
        assert_eq!((assembled.keyframe, &assembled.config[..]), (true, &record[..]));
        assembler.push(&[0x10, 0x30, 0x30, 1]).unwrap();
        let assembled = assembler.finish().unwrap().unwrap();
        assert_eq!((assembled.keyframe, &assembled.config[..]), (false, &record[..]));
    }
}
