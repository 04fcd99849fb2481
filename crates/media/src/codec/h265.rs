//! H.265: the `hvcC` record (ISO 14496-15 §8.3.3.1) and what its sequence parameter set says.

use super::bits::Bits;
use super::h264::{PARAMETER_SETS_MAX, put_sets, replace};
use bytes::{BufMut, Bytes, BytesMut};

/// NAL unit types. ISO 23008-2 table 7-1.
pub mod nal {
    /// Video parameter set.
    pub const VPS: u8 = 32;
    /// Sequence parameter set.
    pub const SPS: u8 = 33;
    /// Picture parameter set.
    pub const PPS: u8 = 34;
    /// Access unit delimiter.
    pub const AUD: u8 = 35;
    /// Supplemental enhancement information before the picture.
    pub const PREFIX_SEI: u8 = 39;

    /// The type in the first byte of a NAL unit.
    pub const fn kind(first: u8) -> u8 {
        first >> 1 & 0x3f
    }
}

/// What an `hvcC` record holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HevcConfig {
    /// Video parameter sets.
    pub vps: Vec<Bytes>,
    /// Sequence parameter sets.
    pub sps: Vec<Bytes>,
    /// Picture parameter sets.
    pub pps: Vec<Bytes>,
}

/// Bytes before the arrays of a record; the last one counts the arrays.
pub const RECORD_HEAD_BYTES: usize = 23;

impl HevcConfig {
    /// Reads the record; `None` when it is cut short or isn't one. Units that are no parameter sets are left out.
    pub fn parse(record: &Bytes) -> Option<HevcConfig> {
        if *record.first()? != 1 {
            return None;
        }
        let mut config = HevcConfig::default();
        let mut at = RECORD_HEAD_BYTES;
        for _ in 0..*record.get(RECORD_HEAD_BYTES - 1)? {
            let kind = *record.get(at)? & 0x3f;
            let count = u16::from_be_bytes([*record.get(at + 1)?, *record.get(at + 2)?]);
            at += 3;
            for _ in 0..count {
                let length = usize::from(u16::from_be_bytes([*record.get(at)?, *record.get(at + 1)?]));
                let unit = at + 2..at + 2 + length;
                at = unit.end;
                if length < 2 || at > record.len() {
                    return None;
                }
                if let Some(sets) = config.sets(kind).filter(|sets| sets.len() < PARAMETER_SETS_MAX) {
                    sets.push(record.slice(unit));
                }
            }
        }
        config.sps.first().filter(|s| nal::kind(s[0]) == nal::SPS)?;
        Some(config)
    }

    /// Width and height in pixels; `None` when the sequence parameter set can't be read.
    pub fn size(&self) -> Option<(u32, u32)> {
        Some(Sps::parse(self.sps.first()?)?.size)
    }

    /// Whether it has exactly this parameter set.
    pub fn holds(&self, unit: &[u8]) -> bool {
        [&self.vps, &self.sps, &self.pps].into_iter().flatten().any(|set| set == unit)
    }

    /// With this parameter set in the place of the one of its kind and number, and first of its kind; `None` if it
    /// can't be read.
    pub fn with(&self, unit: &Bytes) -> Option<HevcConfig> {
        set_id(unit)?;
        let mut config = self.clone();
        replace(config.sets(nal::kind(unit[0]))?, unit, set_id);
        Some(config)
    }

    /// The record; `None` if the first sequence parameter set can't be read.
    pub fn to_record(&self) -> Option<Bytes> {
        let sps = Sps::parse(self.sps.first()?)?;
        let depth = |less_eight: u32| 0xf8 | (less_eight & 7) as u8;
        let mut out = BytesMut::with_capacity(256);
        out.put_u8(1);
        out.put_slice(&sps.profile_level);
        // No spatial segmentation, parallelism unknown.
        out.put_slice(&[
            0xf0,
            0,
            0xfc,
            0xfc | (sps.chroma & 3) as u8,
            depth(sps.depths.0),
            depth(sps.depths.1),
        ]);
        // Frame rate unknown, one temporal layer, lengths of 4 bytes.
        out.put_slice(&[0, 0, 0x0b, 3]);
        for (kind, sets) in [(nal::VPS, &self.vps), (nal::SPS, &self.sps), (nal::PPS, &self.pps)] {
            // The array is complete: frames bring no further ones.
            out.put_u8(0x80 | kind);
            out.put_u16(sets.len() as u16);
            put_sets(&mut out, sets);
        }
        Some(out.freeze())
    }

    fn sets(&mut self, kind: u8) -> Option<&mut Vec<Bytes>> {
        match kind {
            nal::VPS => Some(&mut self.vps),
            nal::SPS => Some(&mut self.sps),
            nal::PPS => Some(&mut self.pps),
            _ => None,
        }
    }
}

/// Bytes of a general profile and level.
const PROFILE_LEVEL_BYTES: usize = 12;
/// Bits of a general or sub-layer profile, level left off. ISO 23008-2 §7.3.3.
const PROFILE_BITS: usize = 88;
/// Bits of a level.
const LEVEL_BITS: usize = 8;

/// What a sequence parameter set says. ISO 23008-2 §7.3.2.2.
#[derive(Debug)]
struct Sps {
    id: u32,
    /// As in the record.
    profile_level: [u8; PROFILE_LEVEL_BYTES],
    chroma: u32,
    /// Less the conformance window.
    size: (u32, u32),
    /// Of luma and chroma, less eight.
    depths: (u32, u32),
}

impl Sps {
    fn parse(unit: &[u8]) -> Option<Sps> {
        let raw = without_emulation(unit.get(2..)?);
        let mut bits = Bits::new(&raw);
        bits.skip(4)?;
        let sub_layers = bits.take(3)?;
        bits.skip(1 + PROFILE_BITS + LEVEL_BITS)?;
        let mut skip = 0;
        if sub_layers > 0 {
            // Two flags for each of the eight sub-layers there could be, the last of them reserved.
            for layer in 0..8 {
                let (profile, level) = (bits.flag()?, bits.flag()?);
                if layer < sub_layers {
                    skip += usize::from(profile) * PROFILE_BITS + usize::from(level) * LEVEL_BITS;
                }
            }
        }
        bits.skip(skip)?;
        let (id, chroma) = (bits.golomb()?, bits.golomb()?);
        if chroma == 3 {
            bits.skip(1)?;
        }
        let coded = (bits.golomb()?, bits.golomb()?);
        let cropped = if bits.flag()? { crop(&mut bits, chroma)? } else { (0, 0) };
        Some(Sps {
            id,
            profile_level: raw.get(1..=PROFILE_LEVEL_BYTES)?.try_into().ok()?,
            chroma,
            size: (coded.0.checked_sub(cropped.0)?, coded.1.checked_sub(cropped.1)?),
            depths: (bits.golomb()?, bits.golomb()?),
        })
    }
}

/// Width and height that the conformance window takes away. ISO 23008-2 §7.4.3.2.1.
fn crop(bits: &mut Bits<'_>, chroma: u32) -> Option<(u32, u32)> {
    // ISO 23008-2 table 6-1: SubWidthC and SubHeightC.
    let (unit_width, unit_height) = match chroma {
        1 => (2, 2),
        2 => (2, 1),
        _ => (1, 1),
    };
    let mut both = |unit: u32| bits.golomb()?.checked_add(bits.golomb()?)?.checked_mul(unit);
    Some((both(unit_width)?, both(unit_height)?))
}

/// The number of a parameter set among those of its kind; `None` when it can't be read, or is too long for a record.
fn set_id(unit: &[u8]) -> Option<u32> {
    match nal::kind(*unit.first()?) {
        _ if unit.len() > usize::from(u16::MAX) => None,
        nal::VPS => unit.get(2).map(|b| u32::from(b >> 4)),
        nal::SPS => Sps::parse(unit).map(|s| s.id),
        nal::PPS => Bits::new(unit.get(2..)?).golomb(),
        _ => None,
    }
}

/// The payload of a NAL unit without emulation prevention bytes. ISO 23008-2 §7.4.2.1.
fn without_emulation(unit: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(unit.len());
    let mut zeros = 0;
    for &byte in unit {
        if zeros >= 2 && byte == 3 {
            zeros = 0;
            continue;
        }
        zeros = if byte == 0 { zeros + 1 } else { 0 };
        out.push(byte);
    }
    out
}

#[cfg(test)]
mod tests;
