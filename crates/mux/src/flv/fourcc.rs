//! The names that enhanced RTMP gives codecs.

use media::Codec;

/// The codec of a FourCC, if it is supported.
pub(super) fn codec(fourcc: [u8; 4]) -> Option<Codec> {
    Some(match &fourcc {
        b"avc1" => Codec::H264,
        b"hvc1" => Codec::H265,
        b"av01" => Codec::Av1,
        b"vp09" => Codec::Vp9,
        b"mp4a" => Codec::Aac,
        b"Opus" => Codec::Opus,
        b".mp3" => Codec::Mp3,
        _ => return None,
    })
}

/// The FourCC of a codec; `None` for VP8, which has none in version 1.
pub(super) fn fourcc(codec: Codec) -> Option<[u8; 4]> {
    Some(match codec {
        Codec::H264 => *b"avc1",
        Codec::H265 => *b"hvc1",
        Codec::Av1 => *b"av01",
        Codec::Vp9 => *b"vp09",
        Codec::Aac => *b"mp4a",
        Codec::Opus => *b"Opus",
        Codec::Mp3 => *b".mp3",
        Codec::Vp8 => return None,
    })
}
