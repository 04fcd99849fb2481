//! AV1: OBUs, the `av1C` record (AV1 in ISOBMFF §2.3) and its sequence header.

use super::bits::Bits;
use bytes::{BufMut, Bytes, BytesMut};

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
    Some(Sequence::parse(header.body)?.size)
}

/// The record with this sequence header; `None` if it is none, or can't be read. AV1 in ISOBMFF §2.3.3.
pub fn record(header: &Obu<'_>) -> Option<Bytes> {
    let sequence = Sequence::parse(header.body).filter(|_| header.kind == obu::SEQUENCE_HEADER)?;
    let mut out = BytesMut::with_capacity(RECORD_HEAD_BYTES + 4 + header.body.len());
    let flags = sequence.colours | u8::from(sequence.has_high_tier) << 7;
    out.put_slice(&[0x81, sequence.profile << 5 | sequence.level, flags, 0]);
    header.put_sized(&mut out);
    Some(out.freeze())
}

/// Whether a temporal unit, as far as its first frame goes, is a keyframe that is shown, with its sequence header.
pub fn is_keyframe(unit: &[u8]) -> bool {
    let has_header = obus(unit).any(|o| o.kind == obu::SEQUENCE_HEADER);
    let frame = obus(unit).find(|o| matches!(o.kind, obu::FRAME | obu::FRAME_HEADER));
    // `show_existing_frame`, two bits of `frame_type`, `show_frame`. AV1 §5.9.2.
    has_header && frame.and_then(|o| o.body.first()).is_some_and(|b| b & 0xf0 == 0x10)
}

/// What a sequence header tells. AV1 §5.5.1.
#[derive(Debug)]
struct Sequence {
    profile: u8,
    /// Of the first operating point.
    level: u8,
    has_high_tier: bool,
    size: (u32, u32),
    /// The lower seven bits of the third byte of a record: depth, monochrome, subsampling, sample position.
    colours: u8,
}

impl Sequence {
    fn parse(header: &[u8]) -> Option<Sequence> {
        let mut bits = Bits::new(header);
        let profile = bits.take(3)? as u8;
        bits.skip(1)?;
        let is_reduced = bits.flag()?;
        let (level, has_high_tier) =
            if is_reduced { (bits.take(5)? as u8, false) } else { operating_points(&mut bits)? };
        let (width_bits, height_bits) = (bits.take(4)? + 1, bits.take(4)? + 1);
        let size = (bits.take(width_bits)? + 1, bits.take(height_bits)? + 1);
        skip_tools(&mut bits, is_reduced)?;
        let colours = colours(&mut bits, profile)?;
        Some(Sequence { profile, level, has_high_tier, size, colours })
    }
}

/// From the frame ids to the restoration filter.
fn skip_tools(bits: &mut Bits<'_>, is_reduced: bool) -> Option<()> {
    /// `SELECT_SCREEN_CONTENT_TOOLS`: each frame tells.
    const EACH: u32 = 2;
    if !is_reduced && bits.flag()? {
        bits.skip(4 + 3)?;
    }
    bits.skip(3)?;
    if !is_reduced {
        bits.skip(4)?;
        let has_order_hint = bits.flag()?;
        if has_order_hint {
            bits.skip(2)?;
        }
        let screen = if bits.flag()? { EACH } else { bits.take(1)? };
        if screen > 0 && !bits.flag()? {
            bits.skip(1)?;
        }
        if has_order_hint {
            bits.skip(3)?;
        }
    }
    bits.skip(3)
}

/// `color_config()` as a record has it. AV1 §5.5.2.
fn colours(bits: &mut Bits<'_>, profile: u8) -> Option<u8> {
    let is_deep = bits.flag()?;
    let has_twelve = profile == 2 && is_deep && bits.flag()?;
    let is_mono = profile != 1 && bits.flag()?;
    // BT.709 primaries, sRGB transfer, identity matrix: that is RGB.
    let is_rgb = bits.flag()? && bits.take(24)? == 0x01_0d_00;
    let (mut wide, mut high, mut position) = (true, true, 0);
    if is_rgb && !is_mono {
        (wide, high) = (false, false);
    } else {
        bits.skip(1)?;
        if !is_mono {
            if profile == 2 && has_twelve {
                wide = bits.flag()?;
                high = wide && bits.flag()?;
            } else {
                (wide, high) = (profile != 1, profile == 0);
            }
            if wide && high {
                position = bits.take(2)? as u8;
            }
        }
    }
    let flags = [is_deep, has_twelve, is_mono, wide, high];
    Some(flags.iter().fold(0, |bits, flag| bits << 1 | u8::from(*flag)) << 2 | position)
}

/// Timing, decoder model and operating points; level and tier of the first of them.
fn operating_points(bits: &mut Bits<'_>) -> Option<(u8, bool)> {
    let mut delay_bits = None;
    let mut first = None;
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
        let tier = level > 7 && bits.flag()?;
        first.get_or_insert((level as u8, tier));
        if let Some(delay_bits) = delay_bits
            && bits.flag()?
        {
            bits.skip(2 * delay_bits + 1)?;
        }
        if has_display_delay && bits.flag()? {
            bits.skip(4)?;
        }
    }
    first
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
    fn records_are_made_of_their_sequence_headers() {
        for expect in [SVT, AOM] {
            let header = obus(&expect[4..]).next().unwrap();
            assert_eq!(record(&header).unwrap()[..], expect);
        }
        let (frame, _) = Obu::parse(&[0x32, 1, 0x10]).unwrap();
        assert_eq!(record(&frame), None);
    }

    #[test]
    fn keyframes_have_a_sequence_header_and_are_shown() {
        let unit = |frame: &[u8]| [&SVT[4..], frame].concat();
        assert!(is_keyframe(&unit(&[0x32, 1, 0x10])));
        assert!(is_keyframe(&unit(&[0x1a, 1, 0x1f])), "a frame header of its own");
        assert!(!is_keyframe(&[0x32, 1, 0x10]));
        assert!(!is_keyframe(&unit(&[0x32, 1, 0x30])), "an inter frame");
        assert!(!is_keyframe(&unit(&[0x32, 1, 0x90])), "an existing frame is shown");
        assert!(!is_keyframe(&unit(&[0x32, 0])));
    }

    #[test]
    fn numbers_of_seven_bits_round_trip() {
        for value in [0, 1, 127, 128, 16_383, 16_384, u32::MAX as usize] {
            let mut out = BytesMut::new();
            put_leb128(&mut out, value);
            out.put_u8(9);
            assert_eq!(leb128(&out), Some((value, &[9][..])));
        }
        assert_eq!(leb128(&[0x80; 8]), None, "endless");
        assert_eq!(leb128(&[0xff, 0xff, 0xff, 0xff, 0x1f]), None, "above 32 bits");
        assert_eq!(leb128(&[0x80]), None);
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
        // Frame ids, no order hint, forced tools, high depth, BT.2020, no sample position.
        bits += &format!("1{:04b}{:03b}000{:04b}00100000{}{:08b}{:08b}{:08b}000", 3, 4, 0, "101", 9, 16, 9);
        let bytes: Vec<u8> = bits
            .as_bytes()
            .chunks(8)
            .map(|c| c.iter().enumerate().map(|(i, b)| (b - b'0') << (7 - i)).sum())
            .collect();
        let sequence = Sequence::parse(&bytes).unwrap();
        assert_eq!((sequence.size, sequence.level, sequence.has_high_tier), ((640, 360), 8, false));
        assert_eq!(sequence.colours, 0b100_1100, "ten bits, 4:2:0");
    }

    #[test]
    fn fuzz_records_never_panic() {
        let mut random = Random::seeded(21);
        for _ in 0..10_000 {
            let bytes = random.mutate(&SVT);
            let _ = (size(&bytes), is_keyframe(&bytes));
            for obu in obus(&bytes) {
                let mut out = BytesMut::new();
                obu.put_sized(&mut out);
                assert_eq!(Obu::parse(&out).unwrap().0.body, obu.body);
                let _ = record(&obu);
            }
        }
    }
}
