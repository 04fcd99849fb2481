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
    /// What viewers get of pictures that are shown in another order than they are coded (B-frames), which WebRTC can't carry; vhosts
    /// and apps may say otherwise. `"drop"`: those that no other picture builds on are left out, and a broadcast with others is refused
    /// with a text that names LL-HLS; `"transcode"`: they are coded anew by a process of its own (`transcode.ffmpeg`), HEVC too;
    /// `"refuse"`: a broadcast with any is refused with that text. It changes at a reload, for viewers who come after it.
    pub b_frames: BFrames,
    /// TURN servers that clients are told of: for networks that let nothing through to `listen`.
    pub turn: Vec<Turn>,
}

/// What viewers by WebRTC get of pictures that are shown in another order than they are coded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BFrames {
    /// Those that nothing builds on are left out; a broadcast with others is refused.
    #[default]
    Drop,
    /// All pictures, coded anew.
    Transcode,
    /// A broadcast with any is refused.
    Refuse,
}

impl BFrames {
    /// As it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            BFrames::Drop => "drop",
            BFrames::Transcode => "transcode",
            BFrames::Refuse => "refuse",
        }
    }
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
            b_frames: BFrames::Drop,
            turn: Vec::new(),
        }
    }
}
