//! H.264: the `avcC` record (ISO 14496-15 §5.3.3.1) and NAL units.

use super::bits::Bits;
use bytes::{BufMut, Bytes, BytesMut};
use h264_reader::nal::sps::{ChromaFormat, PicOrderCntType, SeqParameterSet};
use h264_reader::nal::{Nal, RefNal};

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

/// `profile_idc` of Baseline. ITU-T H.264 §A.2.1.
const BASELINE: u8 = 66;

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
        read_sps(self.sps.first()?)?.pixel_dimensions().ok()
    }

    /// How many frames may precede another one in decoding order and follow it in order of output; `None` if the sequence
    /// parameter set doesn't tell. ITU-T H.264 §E.2.1, `max_num_reorder_frames`.
    pub fn reorder_frames(&self) -> Option<u32> {
        let sps = read_sps(self.sps.first()?)?;
        // Where the order of output is that of decoding, or there are no B-slices, nothing needs to be told.
        if matches!(sps.pic_order_cnt, PicOrderCntType::TypeTwo) || self.profile[0] == BASELINE {
            return Some(0);
        }
        Some(sps.vui_parameters?.bitstream_restrictions?.max_num_reorder_frames)
    }

    /// Whether it has exactly this parameter set.
    pub fn holds(&self, unit: &[u8]) -> bool {
        self.sps.iter().chain(&self.pps).any(|set| set == unit)
    }

    /// With this parameter set in the place of the one of its kind and number, and first of its kind; `None` if it
    /// can't be read.
    pub fn with(&self, unit: &Bytes) -> Option<AvcConfig> {
        set_id(unit)?;
        let mut config = self.clone();
        let is_sps = unit[0] & 0x1f == nal::SPS;
        replace(if is_sps { &mut config.sps } else { &mut config.pps }, unit, set_id);
        if let Some([profile, constraints, level]) = unit.get(1..4).filter(|_| is_sps) {
            config.profile = [*profile, *constraints, *level];
        }
        Some(config)
    }

    /// The record, for access units with 4-byte lengths.
    pub fn to_record(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(256);
        out.put_u8(1);
        out.put_slice(&self.profile);
        out.put_u8(0xff);
        out.put_u8(0xe0 | self.sps.len() as u8);
        put_sets(&mut out, &self.sps);
        out.put_u8(self.pps.len() as u8);
        put_sets(&mut out, &self.pps);
        if matches!(self.profile[0], 100 | 110 | 122 | 244)
            && let Some(sps) = self.sps.first().and_then(|sps| read_sps(sps))
        {
            let chroma = &sps.chroma_info;
            let format = match chroma.chroma_format {
                ChromaFormat::Monochrome => 0,
                ChromaFormat::YUV422 => 2,
                ChromaFormat::YUV444 => 3,
                ChromaFormat::YUV420 | ChromaFormat::Invalid(_) => 1,
            };
            let depths = [chroma.bit_depth_luma_minus8, chroma.bit_depth_chroma_minus8];
            out.put_slice(&[0xfc | format, 0xf8 | depths[0] & 7, 0xf8 | depths[1] & 7, 0]);
        }
        out.freeze()
    }
}

/// Parameter sets of one kind that a configuration takes over from frames; an `avcC` can count 31.
const REPLACED_SETS_MAX: usize = 16;

/// Puts `unit` first, in the place of the set of the same number.
pub(super) fn replace(sets: &mut Vec<Bytes>, unit: &Bytes, id: impl Fn(&[u8]) -> Option<u32>) {
    sets.retain(|set| id(set) != id(unit));
    sets.truncate(REPLACED_SETS_MAX - 1);
    sets.insert(0, unit.clone());
}

/// Appends parameter sets with their lengths.
pub(super) fn put_sets(out: &mut BytesMut, sets: &[Bytes]) {
    for set in sets {
        out.put_u16(set.len() as u16);
        out.put_slice(set);
    }
}

fn read_sps(unit: &[u8]) -> Option<SeqParameterSet> {
    SeqParameterSet::from_bits(RefNal::new(unit, &[], true).rbsp_bits()).ok()
}

/// The number of a parameter set among those of its kind; `None` when it can't be read, or is too long for a record.
fn set_id(unit: &[u8]) -> Option<u32> {
    match unit.first()? & 0x1f {
        _ if unit.len() > usize::from(u16::MAX) => None,
        nal::SPS => read_sps(unit).map(|sps| u32::from(sps.seq_parameter_set_id.id())),
        nal::PPS => Bits::new(&unit[1..]).golomb(),
        _ => None,
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
        let config = AvcConfig::parse(&Bytes::copy_from_slice(&AVCC)).unwrap();
        assert_eq!(config.size(), Some((640, 360)));
        assert_eq!(config.reorder_frames(), Some(2), "x264 with B-frames");
    }

    #[test]
    fn a_set_takes_the_place_of_the_one_of_its_number() {
        let config = AvcConfig::parse(&Bytes::from_static(&AVCC)).unwrap();
        assert_eq!(config.to_record()[..], AVCC[..], "a record is what it was read from");
        assert!(config.holds(&config.sps[0]) && !config.holds(&[0x68, 0xeb]));
        // Number 0 like the one that is there, then number 1.
        let same = config.with(&Bytes::from_static(&[0x68, 0xee, 1])).unwrap();
        assert_eq!((same.pps.len(), &same.pps[0][..]), (1, &[0x68, 0xee, 1][..]));
        let other = same.with(&Bytes::from_static(&[0x68, 0x4f])).unwrap();
        assert_eq!((other.pps.len(), &other.pps[0][..]), (2, &[0x68, 0x4f][..]));
        assert_eq!(AvcConfig::parse(&other.to_record()), Some(other));
        assert_eq!(config.with(&Bytes::from_static(&[0x67, 0x4d])), None, "a set that can't be read");
        assert_eq!(config.with(&Bytes::from_static(&[0x65, 0x4d])), None, "no parameter set");
    }

    #[test]
    fn fuzz_records_never_panic() {
        let mut random = testkit::Random::seeded(23);
        for _ in 0..10_000 {
            let record = Bytes::from(random.mutate(&AVCC));
            if let Some(config) = AvcConfig::parse(&record) {
                assert!(config.sps.len() + config.pps.len() <= 2 * PARAMETER_SETS_MAX);
                let _ = (config.size(), config.reorder_frames());
                let unit = Bytes::from(random.mutate(&AVCC[8..32]));
                if let Some(config) = config.with(&unit) {
                    assert!(config.holds(&unit) && AvcConfig::parse(&config.to_record()).is_some());
                }
            }
            let _ = nal_units(&record).count();
        }
    }
}
