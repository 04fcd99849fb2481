//! WHIP and WHEP.

use super::values::{Span, any};
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// WebRTC: publishing by WHIP, playing by WHEP. See [webrtc.md](webrtc.md).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Webrtc {
    /// Whether it is served.
    pub enabled: bool,
    /// Where media goes in and out: one port for everybody, UDP and TCP.
    pub listen: SocketAddr,
    /// Addresses that clients reach this machine by, when they are others than its own: behind a NAT, in a cloud, in a
    /// container. None: this machine's own towards the internet, and 127.0.0.1.
    pub addresses: Vec<IpAddr>,
    /// Threads. `0`: one for each core.
    pub workers: usize,
    /// When a publisher sends several qualities (simulcast): the shortest time that a viewer stays at one before it gets a
    /// better one. A worse one, when the network carries no more, comes at once.
    pub rendition_stay: Span,
    /// TURN servers that clients are told of: for networks that let nothing through to `listen`.
    pub turn: Vec<Turn>,
}

/// A TURN server that clients are told of (RFC 9725 §4.6). Its password is told to everybody who may publish or play.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Turn {
    /// Its URL (RFC 7065): `turn:turn.example.net?transport=udp` or `turns:…`; `stun:…` too.
    pub url: String,
    pub username: String,
    pub password: String,
}

impl Default for Webrtc {
    fn default() -> Self {
        Webrtc {
            enabled: true,
            listen: any(8000),
            addresses: Vec::new(),
            workers: 0,
            rendition_stay: Span(Duration::from_secs(30)),
            turn: Vec::new(),
        }
    }
}
