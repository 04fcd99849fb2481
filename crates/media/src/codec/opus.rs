//! Opus: the head of a track (RFC 7845 §5.1), and how long a packet lasts (RFC 6716 §3.1).

use bytes::{BufMut, Bytes, BytesMut};

/// Samples a second that Opus decodes to, and counts time in.
pub const SAMPLE_RATE: u32 = 48_000;
/// Channels that [`head`] has an order for.
pub const CHANNELS_MAX: u8 = 8;
/// Samples at the start that decoders throw away: what libopus says, in a head that nobody sent.
const PRE_SKIP: u16 = 312;
/// Samples of the longest packet: 120 ms. RFC 6716 §3.2.5.
const PACKET_SAMPLES_MAX: u32 = 5760;
/// Streams, how many of them are stereo, and where each output channel comes from, by channels less one. The Vorbis
/// order of RFC 7845 §5.1.1.2.
const LAYOUTS: [(u8, u8, &[u8]); CHANNELS_MAX as usize] = [
    (1, 0, &[0]),
    (1, 1, &[0, 1]),
    (2, 1, &[0, 2, 1]),
    (2, 2, &[0, 1, 2, 3]),
    (3, 2, &[0, 4, 1, 2, 3]),
    (4, 2, &[0, 4, 1, 2, 3, 5]),
    (4, 3, &[0, 4, 1, 2, 3, 5, 6]),
    (5, 3, &[0, 6, 1, 2, 3, 4, 5, 7]),
];

/// An `OpusHead` for so many channels; `None` for none or more than [`CHANNELS_MAX`].
pub fn head(channels: u8) -> Option<Bytes> {
    let (streams, coupled, mapping) = LAYOUTS.get(usize::from(channels.checked_sub(1)?))?;
    let mut out = BytesMut::with_capacity(32);
    out.put_slice(b"OpusHead\x01");
    out.put_u8(channels);
    out.put_u16_le(PRE_SKIP);
    out.put_u32_le(SAMPLE_RATE);
    out.put_u16_le(0);
    if channels <= 2 {
        out.put_u8(0);
    } else {
        out.put_slice(&[1, *streams, *coupled]);
        out.put_slice(mapping);
    }
    Some(out.freeze())
}

/// Samples of 48 kHz that a packet decodes to; `None` if it is none. RFC 6716 §3.1, §3.2.
pub fn samples(packet: &[u8]) -> Option<u32> {
    let toc = *packet.first()?;
    let config = toc >> 3;
    let frame = match config {
        0..=11 => [480, 960, 1920, 2880][usize::from(config & 3)],
        12..=15 => [480, 960][usize::from(config & 1)],
        _ => [120, 240, 480, 960][usize::from(config & 3)],
    };
    let frames = match toc & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => u32::from(packet.get(1)? & 0x3f),
    };
    Some(frame * frames).filter(|samples| (1..=PACKET_SAMPLES_MAX).contains(samples))
}

/// A packet of silence that lasts as long as this one; `None` if it is none, or lasts as long as no even number of frames does. RFC 6716
/// §3.2.
pub fn silence(packet: &[u8]) -> Option<Bytes> {
    /// What a silent frame of CELT says: no more than that it is silent.
    const SILENT: [u8; 2] = [0xff, 0xfe];
    /// Fullband CELT of 20 ms, mono, one frame in a packet; one less for each halving.
    const TOC_20_MS: u8 = 31 << 3;
    let samples = samples(packet)?;
    let mut out = BytesMut::new();
    match samples {
        120 | 240 | 480 | 960 => {
            // 960 is halved three times at most.
            let halvings = (960 / samples).trailing_zeros() as u8;
            out.put_u8(TOC_20_MS - (halvings << 3));
            out.put_slice(&SILENT);
        }
        longer if longer.is_multiple_of(960) => {
            let frames = u8::try_from(longer / 960).ok()?;
            // Code 3: as many frames of one size as the second byte says.
            out.put_slice(&[TOC_20_MS | 3, frames]);
            (0..frames).for_each(|_| out.put_slice(&SILENT));
        }
        _ => return None,
    }
    Some(out.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_tell_how_long_they_last() {
        let check = |packet: &[u8], expect| assert_eq!(samples(packet), expect, "{packet:x?}");
        check(&[0xfc, 0xff, 0xfe], Some(960));
        check(&[0xe0], Some(120));
        check(&[0x09], Some(1920));
        check(&[0x7b, 3], Some(2880));
        check(&[0x7b], None);
        check(&[0x1b, 48], None);
        check(&[], None);
    }

    #[test]
    fn silence_lasts_as_long_as_what_it_stands_for() {
        for packet in [&[0xfc, 1, 2, 3][..], &[0xe0, 9], &[0x09, 1], &[0x7b, 3, 1], &[0x78, 5], &[0x1b, 2, 7]]
        {
            let silent = silence(packet).unwrap();
            assert_eq!(samples(&silent), samples(packet), "{packet:x?}");
        }
        assert_eq!(silence(&[0xfc, 1, 2, 3]).unwrap()[..], [0xf8, 0xff, 0xfe]);
        assert_eq!(silence(&[]), None);
        assert_eq!(silence(&[0xf3, 3]), None, "30 ms, which no number of 20 ms makes");
    }

    #[test]
    fn heads_tell_the_channels() {
        assert_eq!(head(2).unwrap()[..], *b"OpusHead\x01\x02\x38\x01\x80\xbb\0\0\0\0\0");
        assert_eq!(head(6).unwrap()[18..], [1, 4, 2, 0, 4, 1, 2, 3, 5]);
        assert_eq!((head(0), head(9)), (None, None));
    }
}
