//! VP9: what a frame tells that the `vpcC` record doesn't. VP9 bitstream specification §6.2.

use super::bits::Bits;

/// Marks the header of a keyframe. §7.2.
const SYNC_CODE: u32 = 0x49_83_42;
/// The colour space whose pictures have no range. §7.2.2.
const RGB: u32 = 7;

/// Width and height in pixels of a keyframe; `None` for other frames, or when the header can't be read.
pub fn size(frame: &[u8]) -> Option<(u32, u32)> {
    let mut bits = Bits::new(frame);
    (bits.take(2)? == 2).then_some(())?;
    let profile = bits.take(1)? | bits.take(1)? << 1;
    if profile == 3 {
        bits.skip(1)?;
    }
    let (shows_another, is_inter) = (bits.flag()?, bits.flag()?);
    bits.skip(2)?;
    (!shows_another && !is_inter && bits.take(24)? == SYNC_CODE).then_some(())?;
    skip_colours(&mut bits, profile)?;
    Some((bits.take(16)? + 1, bits.take(16)? + 1))
}

/// `color_config()`, §6.2.2.
fn skip_colours(bits: &mut Bits<'_>, profile: u32) -> Option<()> {
    if profile >= 2 {
        bits.skip(1)?;
    }
    let subsampled_freely = profile % 2 == 1;
    match (bits.take(3)? == RGB, subsampled_freely) {
        (false, false) | (true, true) => bits.skip(1),
        (false, true) => bits.skip(4),
        (true, false) => Some(()),
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
    fn fuzz_frames_never_panic() {
        let mut random = Random::seeded(9);
        for _ in 0..4000 {
            let _ = size(&random.mutate(&KEYFRAME));
        }
    }
}
