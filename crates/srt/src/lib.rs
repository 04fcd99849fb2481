//! SRT in live mode, as a listener has it: handshake, data in and out, encryption. Datagrams in, datagrams and payloads
//! out; no socket, no clock. Follows draft-sharabayko-srt-01, and libsrt where that says otherwise.
//!
//! - [`Listener`] what a datagram is: a handshake, which it answers without remembering anything, or a connection's
//! - [`Caller`] one that showed its address to be real; [`Request`] one that knows the passphrase, too
//! - [`Connection`] what was accepted
//! - [`StreamId`] what a caller asks for
//! - `receive`, `send` the two directions of a connection
//! - `packet`, `handshake` the bytes
//! - `cipher` keys by passphrase, AES in counter mode
//! - `sequence` numbers of 31 bits
//!
//! Not here: callers, rendezvous, file mode, groups, packet filters, AES-192 and AES-GCM.

mod cipher;
mod connection;
mod error;
mod handshake;
mod listener;
mod packet;
mod receive;
mod send;
mod sequence;
mod stats;
mod stream_id;

pub use cipher::Passphrase;
pub use connection::{CloseReason, Connection, Received};
pub use error::{Error, Fault};
pub use listener::{Arrival, Caller, Config, Listener, Refused, Request};
pub use packet::{DATAGRAM_BYTES_MAX, PAYLOAD_BYTES_MAX};
pub use stats::Stats;
pub use stream_id::{Mode, StreamId};

/// Why a caller is refused, as the wire has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal(pub u32);

impl Refusal {
    /// There is no room for more. Draft §3.2.1, table 7.
    pub const RESOURCE: Refusal = Refusal(1003);
    /// The handshake makes no sense.
    pub const ROGUE: Refusal = Refusal(1004);
    /// The listener is about to end.
    pub const CLOSE: Refusal = Refusal(1007);
    /// The caller is too old.
    pub const VERSION: Refusal = Refusal(1008);
    /// The passphrase is wrong.
    pub const BAD_SECRET: Refusal = Refusal(1010);
    /// One side has a passphrase and the other has none.
    pub const UNSECURE: Refusal = Refusal(1011);
    /// The caller wants a stream of bytes, not of messages.
    pub const MESSAGE_API: Refusal = Refusal(1012);
    /// The caller wants another congestion control than that of live mode.
    pub const CONGESTION: Refusal = Refusal(1013);
    /// The caller wants a packet filter.
    pub const FILTER: Refusal = Refusal(1014);
    /// The caller wants a group.
    pub const GROUP: Refusal = Refusal(1015);

    /// The stream id makes no sense. This and what follows are libsrt's `SRT_REJX_…`, like the statuses of HTTP.
    pub const BAD_REQUEST: Refusal = Refusal(2400);
    /// A key or token is needed, or it is wrong.
    pub const UNAUTHORIZED: Refusal = Refusal(2401);
    /// It isn't allowed.
    pub const FORBIDDEN: Refusal = Refusal(2403);
    /// Nobody publishes that.
    pub const NOT_FOUND: Refusal = Refusal(2404);
    /// Somebody else publishes that.
    pub const CONFLICT: Refusal = Refusal(2409);
    /// MPEG-TS can't carry that.
    pub const UNSUPPORTED: Refusal = Refusal(2415);
    /// Too much is going on.
    pub const OVERLOADED: Refusal = Refusal(2402);
}

#[cfg(test)]
mod tests;
