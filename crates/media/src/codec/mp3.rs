//! MPEG audio: the header of a frame. ISO 11172-3 §2.4.1.3, ISO 13818-3 §2.4.1.3.

/// What a frame's header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    /// 1, 2 or 3; only layer III is what is called MP3.
    pub layer: u8,
    /// Samples a second.
    pub sample_rate: u32,
    /// Samples that the frame decodes to.
    pub samples: u32,
    /// Bytes of the frame, its header among them.
    pub bytes: usize,
}

/// Bytes of a header.
pub const HEADER_BYTES: usize = 4;
/// Kilobits a second by index, of layers I to III of MPEG-1, of layer I and of layers II and III of MPEG-2.
const BIT_RATES: [[u16; 15]; 5] = [
    [0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448],
    [0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384],
    [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320],
    [0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256],
    [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
];
const SAMPLE_RATES: [u32; 3] = [44_100, 48_000, 32_000];

impl FrameHeader {
    /// Reads it; `None` if it is none, or one of free format.
    pub fn parse(bytes: &[u8]) -> Option<FrameHeader> {
        let [first, second, third, _] = *bytes.first_chunk::<HEADER_BYTES>()?;
        if first != 0xff || second & 0xe0 != 0xe0 {
            return None;
        }
        // MPEG-2.5 halves the rates of MPEG-2 once more.
        let (is_first, halvings) = match second >> 3 & 3 {
            3 => (true, 0),
            2 => (false, 1),
            0 => (false, 2),
            _ => return None,
        };
        let layer = 4 - (second >> 1 & 3);
        let row = match (is_first, layer) {
            (_, 4) => return None,
            (true, layer) => usize::from(layer) - 1,
            (false, 1) => 3,
            (false, _) => 4,
        };
        let bit_rate = u32::from(*BIT_RATES[row].get(usize::from(third >> 4))?) * 1000;
        let sample_rate = SAMPLE_RATES.get(usize::from(third >> 2 & 3))? >> halvings;
        let padding = u32::from(third >> 1 & 1);
        let (samples, bytes) = match layer {
            1 => (384, (12 * bit_rate / sample_rate + padding) * 4),
            3 if !is_first => (576, 72 * bit_rate / sample_rate + padding),
            _ => (1152, 144 * bit_rate / sample_rate + padding),
        };
        let bytes = bytes as usize;
        (bit_rate > 0 && bytes > HEADER_BYTES).then_some(FrameHeader { layer, sample_rate, samples, bytes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_tell_the_size_of_the_frame() {
        let check = |bytes: [u8; 4], expect| {
            let got = FrameHeader::parse(&bytes).map(|h| (h.layer, h.sample_rate, h.samples, h.bytes));
            assert_eq!(got, expect, "{bytes:x?}");
        };
        check([0xff, 0xfb, 0x90, 0x44], Some((3, 44_100, 1152, 417)));
        check([0xff, 0xfb, 0x94, 0x44], Some((3, 48_000, 1152, 384)));
        check([0xff, 0xf3, 0x84, 0x44], Some((3, 24_000, 576, 192)));
        check([0xff, 0xfd, 0xa4, 0x04], Some((2, 48_000, 1152, 576)));
        check([0xff, 0xfb, 0x04, 0x44], None);
        check([0xff, 0xfb, 0xf4, 0x44], None);
        check([0x47, 0xfb, 0x94, 0x44], None);
    }
}
