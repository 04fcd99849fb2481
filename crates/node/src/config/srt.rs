//! SRT.

use super::values::{Span, any};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::time::Duration;

/// SRT: publishing and playing MPEG-TS over UDP. See [srt.md](srt.md).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Srt {
    /// Whether it is served.
    pub enabled: bool,
    /// Where it listens: one UDP port for everybody.
    pub listen: SocketAddr,
    /// How long lost packets are waited for at least, in both directions; a client may ask for more, up to 8s. Four times the
    /// round trip mends almost everything.
    pub latency: Span,
    /// With one, all media is encrypted (AES-128 or AES-256, as the client chooses), and who doesn't know it is refused. 10 to
    /// 79 bytes. Empty: nothing is encrypted.
    pub passphrase: String,
}

impl Default for Srt {
    fn default() -> Self {
        let latency = Span(Duration::from_millis(120));
        Srt { enabled: true, listen: any(10080), latency, passphrase: String::new() }
    }
}

impl Srt {
    /// What a type alone can't say.
    pub(super) fn check(&self) -> Result<(), String> {
        if self.latency.0 > LATENCY_MAX {
            return Err(format!("srt.latency is {}; it must be at most 8s", self.latency));
        }
        match srt::Passphrase::new(&self.passphrase) {
            Err(error) if !self.passphrase.is_empty() => Err(format!("srt.passphrase: {error}")),
            _ => Ok(()),
        }
    }
}

/// What a client gets at most: buffers of both sides are made for seconds, not for minutes.
pub(crate) const LATENCY_MAX: Duration = Duration::from_secs(8);
