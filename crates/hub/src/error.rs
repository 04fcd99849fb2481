//! Why the hub refuses.

/// Why the hub refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Somebody publishes there, and the policy is to refuse the newcomer.
    #[error("the path is occupied by another publisher")]
    Occupied,
    /// A newer publisher took the broadcast over.
    #[error("another publisher took the broadcast over")]
    Superseded,
    /// The hub holds as many broadcasts as it may.
    #[error("the limit of {0} broadcasts is reached")]
    TooManyBroadcasts(usize),
    /// A frame of a track that the catalog does not list.
    #[error("frame of an unknown track")]
    UnknownTrack,
}
