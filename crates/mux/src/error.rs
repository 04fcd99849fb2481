//! What can be wrong with what publishers send.

/// Whose fault an error is; decides the log level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The publisher's.
    Peer,
}

/// What can be wrong with what publishers send.
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
}

impl Error {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        Fault::Peer
    }
}
