//! Codecs by name, and what is inside their decoder configurations.

pub mod aac;
pub mod av1;
mod bits;
pub mod captions;
pub mod h264;
pub mod h265;
pub mod mp3;
mod names;
pub mod opus;
pub mod vp8;
pub mod vp9;

use crate::Kind;

/// How a track is coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Codec {
    /// H.264 / AVC.
    H264,
    /// H.265 / HEVC.
    H265,
    /// AV1.
    Av1,
    /// VP9.
    Vp9,
    /// VP8.
    Vp8,
    /// AAC in any profile.
    Aac,
    /// Opus.
    Opus,
    /// MPEG-1/2 layer III.
    Mp3,
}

impl Codec {
    /// Pictures or sound.
    pub const fn kind(self) -> Kind {
        match self {
            Codec::H264 | Codec::H265 | Codec::Av1 | Codec::Vp9 | Codec::Vp8 => Kind::Video,
            Codec::Aac | Codec::Opus | Codec::Mp3 => Kind::Audio,
        }
    }
}
