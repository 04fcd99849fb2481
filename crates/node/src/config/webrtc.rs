//! WHIP and WHEP.

use super::values::any;
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr};

/// WebRTC: publishing by WHIP, playing by WHEP. See [webrtc.md](webrtc.md).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Webrtc {
    /// Whether it is served.
    pub enabled: bool,
    /// Where media goes in and out: one UDP port for everybody.
    pub listen: SocketAddr,
    /// Addresses that clients reach this machine by, when they are others than its own: behind a NAT, in a cloud, in a
    /// container. None: this machine's own towards the internet, and 127.0.0.1.
    pub addresses: Vec<IpAddr>,
    /// Threads. `0`: one for each core.
    pub workers: usize,
}

impl Default for Webrtc {
    fn default() -> Self {
        Webrtc { enabled: true, listen: any(8000), addresses: Vec::new(), workers: 0 }
    }
}
