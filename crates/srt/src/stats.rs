//! What is known of a connection.

use std::time::Duration;

/// Counts from the start of a connection, and how it is now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// How long a packet takes there and back, smoothed.
    pub rtt: Duration,
    /// How much that varies.
    pub rtt_variance: Duration,
    /// How long a lost packet is waited for, in the direction in which media goes.
    pub latency: Duration,
    /// Data packets that came in, those that were sent again among them.
    pub received: u64,
    /// Their media bytes.
    pub received_bytes: u64,
    /// Packets that were missing when a later one came.
    pub missed: u64,
    /// Packets that came again, asked for or not.
    pub resent_to_us: u64,
    /// Packets that came twice, or too late.
    pub useless: u64,
    /// Packets that never came in time.
    pub lost: u64,
    /// Packets that couldn't be decrypted.
    pub undecryptable: u64,
    /// Data packets that were sent, the first time.
    pub sent: u64,
    /// Their media bytes.
    pub sent_bytes: u64,
    /// Packets that the peer asked for again.
    pub asked_again: u64,
    /// Packets that were sent again.
    pub resent: u64,
    /// Packets that were too old to be sent, or sent again.
    pub given_up: u64,
}
