//! VP9: what a frame tells that the `vpcC` record doesn't. VP9 bitstream specification §6.2.

use super::bits::Bits;
use bytes::Bytes;

/// Marks the header of a keyframe. §7.2.
const SYNC_CODE: u32 = 0x49_83_42;
/// The colour space whose pictures have no range. §7.2.2.
const RGB: u32 = 7;

/// Width and height in pixels of a keyframe; `None` for other frames, or when the header can't be read.
pub fn size(frame: &[u8]) -> Option<(u32, u32)> {
    Some(Header::parse(frame)?.size)
}

/// The configuration record that fits to a keyframe, without the version and flags of its box; `None` for other
/// frames, or when the header can't be read. VP codec ISO media file format binding.
pub fn record(keyframe: &[u8]) -> Option<Bytes> {
    let header = Header::parse(keyframe)?;
    let chroma = match header.subsampling {
        // Where the samples lie isn't told; collocated with luma is usual.
        (true, true) => 1,
        (true, false) => 2,
        // 4:4:0 has no number of its own.
        (false, _) => 3,
    };
    // Primaries, transfer and matrix. ITU-T H.273.
    let colours = match header.space {
        1 | 3 => [6, 6, 6],
        2 => [1, 1, 1],
        4 => [7, 7, 7],
        5 => [9, 14, 9],
        RGB => [1, 13, 0],
        _ => [2, 2, 2],
    };
    let sample = header.depth << 4 | chroma << 1 | u8::from(header.is_full_range);
    let head = [header.profile, header.level(), sample];
    // The record ends with the length of initialization data, which VP9 has none of.
    Some(Bytes::from([&head[..], &colours, &[0, 0]].concat()))
}

/// Whether a record begins with version and flags of its box: some publishers send it so, some without.
pub fn has_version(record: &[u8]) -> bool {
    record.first() == Some(&1) && record.len() >= 12
}

/// The header of a keyframe. §6.2.
#[derive(Debug)]
struct Header {
    profile: u8,
    depth: u8,
    space: u32,
    is_full_range: bool,
    /// Whether chroma has half the width and half the height.
    subsampling: (bool, bool),
    size: (u32, u32),
}

/// Pixels of a picture, pixels a second, and the level that allows them. Annex A.
const LEVELS: [(u64, u64, u8); 11] = [
    (36_864, 829_440, 10),
    (73_728, 2_764_800, 11),
    (122_880, 4_608_000, 20),
    (245_760, 9_216_000, 21),
    (552_960, 20_736_000, 30),
    (983_040, 36_864_000, 31),
    (2_228_224, 83_558_400, 40),
    (2_228_224, 160_432_128, 41),
    (8_912_896, 311_951_360, 50),
    (8_912_896, 588_251_136, 51),
    (35_651_584, 1_176_502_272, 60),
];
/// Frames a second that a level is chosen for, since a keyframe doesn't tell.
const RATE: u64 = 30;

impl Header {
    fn parse(frame: &[u8]) -> Option<Header> {
        let mut bits = Bits::new(frame);
        (bits.take(2)? == 2).then_some(())?;
        let profile = bits.take(1)? | bits.take(1)? << 1;
        if profile == 3 {
            bits.skip(1)?;
        }
        let (shows_another, is_inter) = (bits.flag()?, bits.flag()?);
        bits.skip(2)?;
        (!shows_another && !is_inter && bits.take(24)? == SYNC_CODE).then_some(())?;
        // `color_config()`, §6.2.2.
        let depth = match profile >= 2 {
            true => 10 + 2 * bits.take(1)? as u8,
            false => 8,
        };
        let space = bits.take(3)?;
        let is_full_range = space == RGB || bits.flag()?;
        let subsampling = match (space == RGB, profile % 2 == 1) {
            (false, true) => (bits.flag()?, bits.flag()?),
            (is_rgb, _) => (!is_rgb, !is_rgb),
        };
        if profile % 2 == 1 {
            bits.skip(1)?;
        }
        let size = (bits.take(16)? + 1, bits.take(16)? + 1);
        Some(Header { profile: profile as u8, depth, space, is_full_range, subsampling, size })
    }

    /// The lowest level that allows pictures of this size.
    fn level(&self) -> u8 {
        let pixels = u64::from(self.size.0) * u64::from(self.size.1);
        let fits = |(picture, second, _): &&(u64, u64, u8)| pixels <= *picture && pixels * RATE <= *second;
        LEVELS.iter().find(fits).map_or(62, |(_, _, level)| *level)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use testkit::Random;

    /// The begin of a keyframe of 160x90 by libvpx, profile 0.
    const KEYFRAME: [u8; 10] = [0x82, 0x49, 0x83, 0x42, 0x20, 0x09, 0xf0, 0x05, 0x98, 0x00];

    #[test]
    fn keyframes_tell_their_size_and_other_frames_do_not() {
        assert_eq!(size(&KEYFRAME), Some((160, 90)));
        // An inter frame, a frame that shows another, and a header that is cut.
        assert_eq!(size(&[0x86, 0x49, 0x83, 0x42, 0x20, 0x09, 0xf0, 0x05, 0x98]), None);
        assert_eq!(size(&[0x88]), None);
        assert_eq!(size(&KEYFRAME[..7]), None);
    }

    #[test]
    fn profiles_with_more_colours_have_longer_headers() {
        // Profile 1, 4:4:4: three bits of subsampling more. Profile 2: a bit of depth more.
        let bits = |text: &str| -> Vec<u8> {
            let bits: String = text.split_whitespace().collect();
            bits.as_bytes()
                .chunks(8)
                .map(|c| c.iter().fold(0, |v, b| v << 1 | b & 1) << (8 - c.len()))
                .collect()
        };
        let sync = "01001001 10000011 01000010";
        let (width, height) = (format!("{:016b}", 1919), format!("{:016b}", 1079));
        let one = bits(&format!("10 1 0 0 0 1 0 {sync} 001 0 000 {width} {height}"));
        let two = bits(&format!("10 0 1 0 0 1 0 {sync} 0 001 0 {width} {height}"));
        assert_eq!([size(&one), size(&two)], [Some((1920, 1080)); 2]);
    }

    #[test]
    fn records_fit_to_the_keyframe() {
        // Profile 0, 8 bits, 4:2:0; the colours are 1: ITU-R BT.601.
        assert_eq!(record(&KEYFRAME).unwrap()[..], [0, 10, 0x82, 6, 6, 6, 0, 0]);
        assert_eq!(record(&[0x86, 0x49, 0x83, 0x42, 0x20, 0x09, 0xf0, 0x05, 0x98]), None);
        assert!(has_version(&[1; 12]) && !has_version(&[1; 8]), "a record of profile 1 has no version");
    }

    #[test]
    fn fuzz_frames_never_panic() {
        let mut random = Random::seeded(9);
        for _ in 0..4000 {
            let frame = random.mutate(&KEYFRAME);
            assert_eq!(size(&frame).is_some(), record(&frame).is_some());
        }
    }
}
