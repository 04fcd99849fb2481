//! VP8: what a keyframe tells. RFC 6386 §9.1.

/// Marks the header of a keyframe.
const START_CODE: [u8; 3] = [0x9d, 0x01, 0x2a];

/// Width and height in pixels of a keyframe; `None` for other frames, or when the header can't be read.
pub fn size(frame: &[u8]) -> Option<(u32, u32)> {
    let [tag, _, _, a, b, c, width @ .., h, i] = frame.first_chunk::<10>()?;
    // The lowest bit of the tag is clear in keyframes; the upper two bits of each side are for scaling.
    let side = |low, high| u32::from(u16::from_le_bytes([low, high]) & 0x3fff);
    (tag & 1 == 0 && [*a, *b, *c] == START_CODE).then(|| (side(width[0], width[1]), side(*h, *i)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use testkit::Random;

    /// The begin of a keyframe of 160x120 by libvpx.
    const KEYFRAME: [u8; 10] = [0x50, 0x3a, 0x00, 0x9d, 0x01, 0x2a, 0xa0, 0x00, 0x78, 0x00];

    #[test]
    fn keyframes_tell_their_size_and_other_frames_do_not() {
        assert_eq!(size(&KEYFRAME), Some((160, 120)));
        assert_eq!(size(&KEYFRAME[..9]), None);
        assert_eq!(size(&[0x51, 0x3a, 0x00, 0x9d, 0x01, 0x2a, 0xa0, 0x00, 0x78, 0x00]), None);
        assert_eq!(size(&[0x50, 0x3a, 0x00, 0x9d, 0x01, 0x2b, 0xa0, 0x00, 0x78, 0x00]), None);
        let scaled = [0x50, 0x3a, 0x00, 0x9d, 0x01, 0x2a, 0xa0, 0x40, 0x78, 0x80];
        assert_eq!(size(&scaled), Some((160, 120)), "scaling is not the size");
    }

    #[test]
    fn fuzz_frames_never_panic() {
        let mut random = Random::seeded(8);
        for _ in 0..4000 {
            let _ = size(&random.mutate(&KEYFRAME));
        }
    }
}
