//! What can be wrong with what callers send, and with settings.

use crate::Refusal;

/// Whose fault an error is; decides the log level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The caller's.
    Peer,
    /// Ours, or that of our settings.
    Local,
}

/// What can be wrong with what callers send, and with settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A caller that is too old, or speaks something else.
    #[error("the caller is older than SRT 1.3")]
    Version,
    /// A handshake that is cut short or lacks what it needs.
    #[error("the handshake makes no sense")]
    Handshake,
    /// A passphrase on one side only.
    #[error("one side has a passphrase and the other has none: see srt.passphrase")]
    Unsecure,
    /// A stream of bytes is wanted, not of messages.
    #[error("the caller wants file or stream mode; only live mode is supported")]
    MessageApi,
    /// Another congestion control than that of live mode is wanted.
    #[error("the caller wants another congestion control than that of live mode")]
    Congestion,
    /// A packet filter is wanted.
    #[error("the caller wants a packet filter (FEC); turn it off")]
    Filter,
    /// A group is wanted.
    #[error("the caller wants a group (bonding); turn it off")]
    Group,
    /// A passphrase that SRT doesn't allow.
    #[error("a passphrase has 10 to 79 bytes, not {0}")]
    Passphrase(usize),
    /// Key material that is cut short or contradicts itself.
    #[error("the key material is broken")]
    KeyMaterial,
    /// Another cipher or length than AES-128 or AES-256 in counter mode.
    #[error("only AES-128 and AES-256 in counter mode are supported")]
    Cipher,
    /// The passphrase doesn't open the key.
    #[error("the passphrase is wrong")]
    BadSecret,
    /// A stream id without a resource.
    #[error("the stream id names no broadcast: use APP/NAME?key=KEY or #!::r=APP/NAME,m=publish,key=KEY")]
    NoResource,
    /// A stream id with a mode that is neither publish nor request.
    #[error("the stream id asks for a mode that isn't supported: m=publish and m=request are")]
    Mode,
}

impl Error {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Error::Passphrase(_) => Fault::Local,
            _ => Fault::Peer,
        }
    }

    /// What the caller is told.
    pub(crate) fn refusal(self) -> Refusal {
        match self {
            Error::BadSecret => Refusal::BAD_SECRET,
            Error::Cipher | Error::Unsecure => Refusal::UNSECURE,
            Error::Version => Refusal::VERSION,
            Error::MessageApi => Refusal::MESSAGE_API,
            Error::Congestion => Refusal::CONGESTION,
            Error::Filter => Refusal::FILTER,
            Error::Group => Refusal::GROUP,
            _ => Refusal::ROGUE,
        }
    }
}
