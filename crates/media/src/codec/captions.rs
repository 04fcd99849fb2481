//! Closed captions inside the pictures: CEA-608 and CEA-708 in SEI messages. ANSI/SCTE 128-1 §8.1, ATSC A/53 part 4 §6.2.3.

use super::h264::{self, nal_units};
use super::{Codec, h265};

/// How captions begin in a message: country (United States), provider (ATSC), `GA94`, `cc_data`.
const BEGINS: [u8; 8] = [0xb5, 0x00, 0x31, b'G', b'A', b'9', b'4', 0x03];

/// Whether this access unit, in normal form (4-byte lengths), carries captions.
pub fn carried(codec: Codec, payload: &[u8]) -> bool {
    let is_message: fn(u8) -> bool = match codec {
        Codec::H264 => |first| first & 0x1f == h264::nal::SEI,
        Codec::H265 => |first| h265::nal::kind(first) == h265::nal::PREFIX_SEI,
        _ => return false,
    };
    // Slices come last: what is behind the first one needs no look.
    let mut messages =
        nal_units(payload).take_while(|unit| !is_slice(codec, unit[0])).filter(|unit| is_message(unit[0]));
    messages.any(|unit| unit.windows(BEGINS.len()).any(|bytes| bytes == BEGINS))
}

fn is_slice(codec: Codec, first: u8) -> bool {
    match codec {
        Codec::H265 => h265::nal::kind(first) < h265::nal::VPS,
        _ => (1..=h264::nal::IDR).contains(&(first & 0x1f)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(first: &[u8], rest: &[u8]) -> Vec<u8> {
        let length = (first.len() + rest.len()) as u32;
        [&length.to_be_bytes()[..], first, rest].concat()
    }

    #[test]
    fn captions_are_found_in_messages_before_the_picture() {
        let message = [&[4, 20][..], &BEGINS, &[0x41, 0xff, 0xfc, 0x94, 0x20]].concat();
        let slice = unit(&[0x65], &[0x88]);
        let other = unit(&[0x06], &[5, 4, 1, 2, 3, 4]);
        let captioned = [other.clone(), unit(&[0x06], &message), slice.clone()].concat();
        assert!(carried(Codec::H264, &captioned));
        assert!(!carried(Codec::H264, &[other, slice.clone()].concat()), "another message");
        assert!(
            !carried(Codec::H264, &[slice, unit(&[0x65], &message)].concat()),
            "bytes of a picture that look alike"
        );
        let hevc = [unit(&[0x4e, 1], &message), unit(&[0x26, 1], &[0x88])].concat();
        assert!(carried(Codec::H265, &hevc));
        assert!(!carried(Codec::Av1, &captioned), "captions of AV1 are not looked for");
    }

    #[test]
    fn fuzz_any_bytes_are_searched_without_a_panic() {
        let mut random = testkit::Random::seeded(31);
        let seed = [unit(&[0x06], &BEGINS), unit(&[0x65], &[1; 40])].concat();
        for _ in 0..5_000 {
            let bytes = random.mutate(&seed);
            let _ = (carried(Codec::H264, &bytes), carried(Codec::H265, &bytes));
        }
    }
}
