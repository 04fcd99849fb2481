//! What can be wrong with what publishers send, and what can't be muxed.

use crate::ts::LeftOut;
use media::Codec;

/// Whose fault an error is; decides the log level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The publisher's.
    Peer,
    /// Ours, or that of our settings.
    Local,
}

/// What can be wrong with what publishers send, and what can't be muxed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A codec that isn't supported, by its legacy id.
    #[error("unsupported FLV codec id {0}; H.264, HEVC, AV1, VP9, AAC, Opus and MP3 are")]
    Codec(u8),
    /// A codec that isn't supported, by its FourCC.
    #[error("unsupported codec {}; H.264, HEVC, AV1, VP9, AAC, Opus and MP3 are", .0.escape_ascii())]
    FourCc([u8; 4]),
    /// A tag that ends before its own header does.
    #[error("an FLV tag is cut short")]
    Short,
    /// A file that begins like no FLV does.
    #[error("not FLV: it begins otherwise")]
    NotFlv,
    /// A tag longer than [`crate::flv::TAG_BYTES_MAX`].
    #[error("an FLV tag of {0} bytes is over the limit")]
    TagTooLong(usize),
    /// An encrypted tag.
    #[error("an FLV tag is encrypted")]
    Encrypted,
    /// A program of which nothing can be taken in, not even this.
    #[error(
        "nothing in the transport stream is supported: {0} isn't; H.264, HEVC, AAC in ADTS, MP3 (layer 3) and Opus are"
    )]
    NothingKnown(LeftOut),
    /// A scrambled transport stream.
    #[error("the transport stream is scrambled")]
    Scrambled,
    /// A codec that RTP doesn't carry here.
    #[error("RTP can't carry {0:?}; H.264, H.265, AV1, VP9, VP8 and Opus go")]
    NoRtp(Codec),
    /// A limit of payloads outside of [`crate::rtp::MTU_MIN`] to [`crate::rtp::MTU_MAX`].
    #[error("RTP payloads of at most {0} bytes can't be made; 64 to 9000 can, 1200 is usual")]
    RtpMtu(usize),
    /// A frame that RTP can't cut is longer than a payload may be.
    #[error("a frame of {0} bytes doesn't fit into one RTP payload and can't be cut; lower its bitrate")]
    RtpTooLong(usize),
    /// A decoder configuration that can't be read.
    #[error("the decoder configuration of {0:?} can't be read")]
    Config(Codec),
    /// A frame that isn't in normal form.
    #[error("a frame of {0:?} is not in normal form")]
    NotNormal(Codec),
}

impl Error {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Error::NoRtp(_) | Error::RtpMtu(_) => Fault::Local,
            _ => Fault::Peer,
        }
    }
}
