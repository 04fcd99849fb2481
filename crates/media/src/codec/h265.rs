//! H.265: the `hvcC` record (ISO 14496-15 §8.3.3.1) and what its sequence parameter set says.

use super::bits::Bits;
use super::h264::PARAMETER_SETS_MAX;
use bytes::Bytes;

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
        size(self.sps.first()?)
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

/// Bits of a general or sub-layer profile, level left off. ISO 23008-2 §7.3.3.
const PROFILE_BITS: usize = 88;
/// Bits of a level.
const LEVEL_BITS: usize = 8;

/// The size that a sequence parameter set tells, less its conformance window. ISO 23008-2 §7.3.2.2.
fn size(sps: &[u8]) -> Option<(u32, u32)> {
    let raw = without_emulation(sps.get(2..)?);
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
    bits.golomb()?;
    let chroma = bits.golomb()?;
    if chroma == 3 {
        bits.skip(1)?;
    }
    let (width, height) = (bits.golomb()?, bits.golomb()?);
    if !bits.flag()? {
        return Some((width, height));
    }
    // ISO 23008-2 table 6-1: SubWidthC and SubHeightC.
    let (unit_width, unit_height) = match chroma {
        1 => (2, 2),
        2 => (2, 1),
        _ => (1, 1),
    };
    let mut window = || bits.golomb()?.checked_add(bits.golomb()?);
    let (across, down) = (window()?, window()?);
    let width = width.checked_sub(across.checked_mul(unit_width)?)?;
    Some((width, height.checked_sub(down.checked_mul(unit_height)?)?))
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
