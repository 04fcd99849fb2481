//! AV1: OBUs, the `av1C` record (AV1 in ISOBMFF §2.3) and its sequence header.

use super::bits::Bits;
use bytes::{BufMut, BytesMut};

/// OBU types. AV1 §6.2.2.
pub mod obu {
    /// What a coded video sequence begins with.
    pub const SEQUENCE_HEADER: u8 = 1;
    /// The begin of a temporal unit.
    pub const TEMPORAL_DELIMITER: u8 = 2;
    /// The header of a frame, without its tiles.
    pub const FRAME_HEADER: u8 = 3;
    /// A frame with its tiles.
    pub const FRAME: u8 = 6;
    /// Tiles for large scale decoding.
    pub const TILE_LIST: u8 = 8;
    /// Nothing.
    pub const PADDING: u8 = 15;
}

/// One open bitstream unit. AV1 §5.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Obu<'a> {
    /// Its type.
    pub kind: u8,
    /// Header byte and, if there is one, extension byte.
    header: &'a [u8],
    /// What follows header and size.
    pub body: &'a [u8],
}

impl<'a> Obu<'a> {
    /// Appends it without size field, as RTP has it.
    pub fn put_bare(&self, out: &mut BytesMut) {
        out.put_u8(self.header[0] & !HAS_SIZE);
        out.put_slice(&self.header[1..]);
        out.put_slice(self.body);
    }

    /// Appends it with a size field, as frames in normal form have it.
    pub fn put_sized(&self, out: &mut BytesMut) {
        out.put_u8(self.header[0] | HAS_SIZE);
        out.put_slice(&self.header[1..]);
        put_leb128(out, self.body.len());
        out.put_slice(self.body);
    }

    /// The first OBU, and what comes after it; one without size has all the rest. `None` when it is cut short.
    pub fn parse(bytes: &'a [u8]) -> Option<(Obu<'a>, &'a [u8])> {
        let head = *bytes.first()?;
        let header_bytes = if head & HAS_EXTENSION == 0 { 1 } else { 2 };
        let (header, rest) = bytes.split_at_checked(header_bytes)?;
        let kind = head >> 3 & 0x0f;
        if head & HAS_SIZE == 0 {
            return Some((Obu { kind, header, body: rest }, &[]));
        }
        let (size, rest) = leb128(rest)?;
        let (body, later) = rest.split_at_checked(size)?;
        Some((Obu { kind, header, body }, later))
    }
}

/// `obu_extension_flag`.
const HAS_EXTENSION: u8 = 4;
/// `obu_has_size_field`.
const HAS_SIZE: u8 = 2;

/// The OBUs of a temporal unit; ends at the first that is cut short.
pub fn obus(unit: &[u8]) -> impl Iterator<Item = Obu<'_>> {
    let mut rest = unit;
    std::iter::from_fn(move || {
        let (obu, later) = Obu::parse(rest)?;
        rest = later;
        Some(obu)
    })
}

/// A number in groups of seven bits, and what comes after it; `None` if it is cut short or above 32 bits. AV1 §4.10.5.
pub fn leb128(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut value = 0_u64;
    let mut rest = bytes;
    for i in 0..LEB128_BYTES_MAX {
        let (byte, later) = rest.split_first()?;
        rest = later;
        value |= u64::from(byte & 0x7f) << (7 * i);
        if byte & 0x80 == 0 {
            return Some((u32::try_from(value).ok()? as usize, rest));
        }
    }
    None
}

/// Appends a number in as few groups as it needs.
pub fn put_leb128(out: &mut BytesMut, mut value: usize) {
    while value > 0x7f {
        out.put_u8(value as u8 | 0x80);
        value >>= 7;
    }
    out.put_u8(value as u8);
}

/// Bytes of the record before its OBUs.
pub const RECORD_HEAD_BYTES: usize = 4;
/// A number has so many bytes at most. AV1 §4.10.5.
const LEB128_BYTES_MAX: usize = 8;

/// Width and height in pixels of the largest frame; `None` when the record has no sequence header that can be read.
pub fn size(record: &[u8]) -> Option<(u32, u32)> {
    let header = obus(record.get(RECORD_HEAD_BYTES..)?).find(|o| o.kind == obu::SEQUENCE_HEADER)?;
    frame_size(header.body)
}

/// The size that a sequence header tells. AV1 §5.5.1.
fn frame_size(header: &[u8]) -> Option<(u32, u32)> {
    let mut bits = Bits::new(header);
    bits.skip(4)?;
    let reduced = bits.flag()?;
    if reduced {
        bits.skip(5)?;
    } else {
        skip_operating_points(&mut bits)?;
    }
    let (width_bits, height_bits) = (bits.take(4)? + 1, bits.take(4)? + 1);
    Some((bits.take(width_bits)? + 1, bits.take(height_bits)? + 1))
}

/// Timing, decoder model and operating points.
fn skip_operating_points(bits: &mut Bits<'_>) -> Option<()> {
    let mut delay_bits = None;
    if bits.flag()? {
        bits.skip(64)?;
        if bits.flag()? {
            bits.golomb()?;
        }
        if bits.flag()? {
            delay_bits = Some(bits.take(5)? as usize + 1);
            bits.skip(32 + 5 + 5)?;
        }
    }
    let has_display_delay = bits.flag()?;
    for _ in 0..=bits.take(5)? {
        bits.skip(12)?;
        let level = bits.take(5)?;
        if level > 7 {
            bits.skip(1)?;
        }
        if let Some(delay_bits) = delay_bits
            && bits.flag()?
        {
            bits.skip(2 * delay_bits + 1)?;
        }
        if has_display_delay && bits.flag()? {
            bits.skip(4)?;
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use testkit::Random;

    /// 320x180, 25 frames a second, as SVT-AV1 writes it.
    const SVT: [u8; 17] = [0x81, 0, 0x0c, 0, 0x0a, 0x0b, 0, 0, 0, 4, 0x3c, 0xfe, 0xcc, 0x02, 0xf8, 0, 0x40];
    /// 320x180, as libaom writes it.
    const AOM: [u8; 17] = [0x81, 0, 0x0c, 0, 0x0a, 0x0b, 0, 0, 0, 4, 0x3c, 0xfe, 0xcc, 0xda, 0xf9, 0, 0x40];

    #[test]
    fn records_of_encoders_tell_the_size() {
        assert_eq!(size(&SVT), Some((320, 180)));
        assert_eq!(size(&AOM), Some((320, 180)));
    }

    #[test]
    fn a_record_without_sequence_header_tells_none() {
        assert_eq!(size(&SVT[..4]), None);
        assert_eq!(size(&SVT[..11]), None);
        let after_padding = [&SVT[..4], &[0x7a, 2, 0, 0], &SVT[4..]].concat();
        assert_eq!(size(&after_padding), Some((320, 180)));
    }

    #[test]
    fn timing_and_decoder_model_are_passed_over() {
        // 640x360 with timing info, a decoder model and display delays, bit for bit.
        let mut bits = String::from("00000");
        bits += &format!("1{:032b}{:032b}11", 1, 25);
        bits += &format!("1{:05b}{:032b}{:05b}{:05b}", 9, 1, 3, 4);
        bits += &format!("1{:05b}", 0);
        bits += &format!("{:012b}{:05b}01{:010b}{:010b}01{:04b}", 0, 8, 5, 6, 2);
        bits += &format!("{:04b}{:04b}{:010b}{:09b}", 9, 8, 639, 359);
        let bytes: Vec<u8> = bits
            .as_bytes()
            .chunks(8)
            .map(|c| c.iter().enumerate().map(|(i, b)| (b - b'0') << (7 - i)).sum())
            .collect();
        assert_eq!(frame_size(&bytes), Some((640, 360)));
    }

    #[test]
    fn fuzz_records_never_panic() {
        let mut random = Random::seeded(21);
        for _ in 0..10_000 {
            let _ = size(&random.mutate(&SVT));
        }
    }
}
