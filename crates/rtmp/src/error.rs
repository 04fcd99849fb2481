//! What can go wrong on the wire.

/// Whose fault an error is; decides the log level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The other side broke the protocol or its limits.
    Peer,
    /// We did.
    Local,
}

/// What can go wrong on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// C0 or S0 names another version than 3.
    #[error("not RTMP: the first byte is {0}, not 3")]
    Version(u8),
    /// A message longer than the limit.
    #[error("a message of {0} bytes is over the limit")]
    MessageTooLong(usize),
    /// More chunk streams than the limit.
    #[error("too many chunk streams")]
    TooManyChunkStreams,
    /// Half-received messages of all chunk streams are over the session's budget.
    #[error("half-received messages are over the session's budget")]
    OverBudget,
    /// A chunk continues a message that never began.
    #[error("a chunk continues a message that never began")]
    NoHeader,
    /// A chunk size of zero.
    #[error("a chunk size of {0} is not allowed")]
    ChunkSize(u32),
    /// A control message that is too short.
    #[error("a control message is too short")]
    ShortControl,
    /// AMF that ends early, nests too deep or has an unknown marker.
    #[error("broken AMF")]
    Amf,
    /// A command without what it needs.
    #[error("a command lacks an argument")]
    Command,
    /// The peer took too long to say what it wants.
    #[error("the peer took too long to say what it wants")]
    Timeout,
    /// The system gave no digest.
    #[error("no digest could be made")]
    Digest,
}

impl Error {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Error::Digest => Fault::Local,
            _ => Fault::Peer,
        }
    }
}
