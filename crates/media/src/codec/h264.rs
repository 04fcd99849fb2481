//! H.264: the `avcC` record (ISO 14496-15 §5.3.3.1) and NAL units.

use bytes::Bytes;
use h264_reader::nal::{Nal, RefNal, sps::SeqParameterSet};

/// NAL unit types. ITU-T H.264 table 7-1.
pub mod nal {
    /// A slice of an IDR picture.
    pub const IDR: u8 = 5;
    /// Supplemental enhancement information.
    pub const SEI: u8 = 6;
    /// Sequence parameter set.
    pub const SPS: u8 = 7;
    /// Picture parameter set.
    pub const PPS: u8 = 8;
    /// Access unit delimiter.
    pub const AUD: u8 = 9;
}

/// Parameter sets of one record; encoders send one of each.
pub const PARAMETER_SETS_MAX: usize = 64;

/// What an `avcC` record holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AvcConfig {
    /// Profile, compatibility and level, as in the `codecs` string.
    pub profile: [u8; 3],
    /// Sequence parameter sets.
    pub sps: Vec<Bytes>,
    /// Picture parameter sets.
    pub pps: Vec<Bytes>,
}

impl AvcConfig {
    /// Reads the record; `None` when it is cut short or isn't one.
    pub fn parse(record: &Bytes) -> Option<AvcConfig> {
        if *record.first()? != 1 {
            return None;
        }
        let profile = [*record.get(1)?, *record.get(2)?, *record.get(3)?];
        let mut at = 5;
        let sps = sets(record, &mut at, 0x1f)?;
        let pps = sets(record, &mut at, 0xff)?;
        sps.first().filter(|s| s[0] & 0x1f == nal::SPS)?;
        Some(AvcConfig { profile, sps, pps })
    }

    /// Width and height in pixels; `None` when the sequence parameter set can't be read.
    pub fn size(&self) -> Option<(u32, u32)> {
        let sps = RefNal::new(self.sps.first()?, &[], true);
        SeqParameterSet::from_bits(sps.rbsp_bits()).ok()?.pixel_dimensions().ok()
    }
}

fn sets(record: &Bytes, at: &mut usize, count_mask: u8) -> Option<Vec<Bytes>> {
    let count = usize::from(*record.get(*at)? & count_mask).min(PARAMETER_SETS_MAX);
    *at += 1;
    let mut sets = Vec::with_capacity(count);
    for _ in 0..count {
        let length = usize::from(u16::from_be_bytes([*record.get(*at)?, *record.get(*at + 1)?]));
        let start = *at + 2;
        if length == 0 || start + length > record.len() {
            return None;
        }
        sets.push(record.slice(start..start + length));
        *at = start + length;
    }
    Some(sets)
}

/// The NAL units of an access unit in normal form (4-byte lengths). Ends at the first length that overruns.
pub fn nal_units(payload: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = payload;
    std::iter::from_fn(move || {
        let (length, tail) = rest.split_at_checked(4)?;
        let length = u32::from_be_bytes([length[0], length[1], length[2], length[3]]) as usize;
        let (unit, later) = tail.split_at_checked(length)?;
        rest = later;
        Some(unit)
    })
    .filter(|unit| !unit.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 640x360, Main, as x264 writes it.
    const AVCC: [u8; 40] = [
        0x01, 0x4d, 0x40, 0x1e, 0xff, 0xe1, 0x00, 0x18, 0x67, 0x4d, 0x40, 0x1e, 0xec, 0xa0, 0x50, 0x17, 0xfc,
        0xb8, 0x08, 0x80, 0x00, 0x00, 0x03, 0x00, 0x80, 0x00, 0x00, 0x19, 0x07, 0x8b, 0x16, 0xcb, 0x01, 0x00,
        0x05, 0x68, 0xeb, 0xe3, 0xcb, 0x20,
    ];

    #[test]
    fn records_are_read_and_cut_ones_refused() {
        let record = Bytes::copy_from_slice(&AVCC);
        let config = AvcConfig::parse(&record).unwrap();
        assert_eq!((config.profile, config.sps.len(), config.pps.len()), ([0x4d, 0x40, 0x1e], 1, 1));
        assert!((0..AVCC.len()).all(|n| AvcConfig::parse(&record.slice(..n)).is_none()));
    }

    #[test]
    fn units_end_where_a_length_overruns() {
        let payload = [0, 0, 0, 2, 0x65, 1, 0, 0, 0, 0, 0, 0, 0, 9, 1];
        assert_eq!(nal_units(&payload).collect::<Vec<_>>(), [&[0x65, 1][..]]);
    }

    #[test]
    fn the_size_is_read() {
        assert_eq!(AvcConfig::parse(&Bytes::copy_from_slice(&AVCC)).unwrap().size(), Some((640, 360)));
    }

    #[test]
    fn fuzz_records_never_panic() {
        let mut random = testkit::Random::seeded(23);
        for _ in 0..10_000 {
            let record = Bytes::from(random.mutate(&AVCC));
            if let Some(config) = AvcConfig::parse(&record) {
                assert!(config.sps.len() + config.pps.len() <= 2 * PARAMETER_SETS_MAX);
                let _ = config.size();
            }
            let _ = nal_units(&record).count();
        }
    }
}
