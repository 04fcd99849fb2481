//! The `codecs` parameter of RFC 6381 for every codec.

use super::{Codec, aac, vp9};
use crate::Track;
use std::fmt::Write;

impl Track {
    /// Its `codecs` value, as playlists and players name it. A configuration that can't be read gives the most
    /// common value of the codec, since a player can still try.
    pub fn codecs_string(&self) -> String {
        let c = &self.config;
        match self.codec {
            // ISO 14496-15 annex E.3.
            Codec::H264 => match c.get(1..4) {
                Some([profile, constraints, level]) => {
                    format!("avc1.{profile:02x}{constraints:02x}{level:02x}")
                }
                _ => "avc1.42e01e".to_owned(),
            },
            Codec::H265 => hevc(c).unwrap_or_else(|| "hvc1.1.6.L93.B0".to_owned()),
            Codec::Av1 => av1(c).unwrap_or_else(|| "av01.0.04M.08".to_owned()),
            Codec::Vp9 => vp(c).unwrap_or_else(|| "vp09.00.10.08".to_owned()),
            Codec::Vp8 => "vp8".to_owned(),
            Codec::Aac => {
                let object_type = aac::AudioSpecificConfig::parse(c).map_or(2, |a| a.object_type);
                format!("mp4a.40.{object_type}")
            }
            Codec::Opus => "opus".to_owned(),
            Codec::Mp3 => "mp4a.6B".to_owned(),
        }
    }
}

/// ISO 14496-15 annex E.3: profile space, profile, reversed compatibility, tier, level, constraints.
fn hevc(record: &[u8]) -> Option<String> {
    let profile = *record.get(1)?;
    let compatibility = u32::from_be_bytes(record.get(2..6)?.try_into().ok()?).reverse_bits();
    let space = ["", "A", "B", "C"][usize::from(profile >> 6)];
    let tier = if profile & 0x20 == 0 { 'L' } else { 'H' };
    let mut name = format!("hvc1.{space}{}.{compatibility:X}.{tier}{}", profile & 0x1f, record.get(12)?);
    let constraints = record.get(6..12)?;
    let used = constraints.iter().rposition(|b| *b != 0).map_or(0, |i| i + 1);
    for byte in &constraints[..used] {
        // Writing to a String can't fail.
        let _ = write!(name, ".{byte:X}");
    }
    Some(name)
}

/// AV1 codec ISO media file format binding §5: profile, level, tier, bit depth.
fn av1(record: &[u8]) -> Option<String> {
    let (levels, depths) = (*record.get(1)?, *record.get(2)?);
    let tier = if depths & 0x80 == 0 { 'M' } else { 'H' };
    let depth = match (depths & 0x40 != 0, depths & 0x20 != 0) {
        (false, _) => 8,
        (true, false) => 10,
        (true, true) => 12,
    };
    Some(format!("av01.{}.{:02}{tier}.{depth:02}", levels >> 5, levels & 0x1f))
}

/// VP codec ISO media file format binding: profile, level, bit depth. The record may lack version and flags.
fn vp(record: &[u8]) -> Option<String> {
    let body = if vp9::has_version(record) { &record[4..] } else { record };
    Some(format!("vp09.{:02}.{:02}.{:02}", body.first()?, body.get(1)?, body.get(2)? >> 4))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TrackId;
    use bytes::Bytes;

    #[test]
    fn names_follow_the_configuration() {
        let check = |codec, config: &'static [u8], expect: &str| {
            let track = Track::new(TrackId::VIDEO, codec, Bytes::from_static(config));
            assert_eq!(track.codecs_string(), expect);
        };
        check(Codec::H264, &[1, 0x64, 0, 0x1f], "avc1.64001f");
        check(Codec::H265, &[1, 1, 0x60, 0, 0, 0, 0xb0, 0, 0, 0, 0, 0, 93], "hvc1.1.6.L93.B0");
        check(Codec::Av1, &[0x81, 0x05, 0x0c, 0], "av01.0.05M.08");
        check(Codec::Vp9, &[0, 31, 0x82], "vp09.00.31.08");
        check(Codec::Aac, &[0x11, 0x90], "mp4a.40.2");
        check(Codec::H264, &[], "avc1.42e01e");
    }
}
