//! The sections of the tree, each with its defaults.

use super::values::{Size, Span};
use crate::egress::MergeWindow;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// The whole tree.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Publishing.
    pub publish: Publish,
    /// RTMP and RTMPS.
    pub rtmp: Rtmp,
    /// HTTP, HTTPS and WebSocket.
    pub http: Http,
    /// The administrators' listener.
    pub admin: Admin,
    /// Certificate of the TLS listeners.
    pub tls: Tls,
    /// How viewers are written to.
    pub egress: Egress,
    /// HLS and LL-HLS.
    pub hls: Hls,
}

impl Config {
    /// What a type alone can't say. The text names the key and what is allowed.
    pub(super) fn check(&self) -> Result<(), String> {
        let spans = [
            ("hls.part", self.hls.part, PART_RANGE_MS),
            ("hls.segment", self.hls.segment, SEGMENT_RANGE_MS),
            ("publish.idle", self.publish.idle, (1000, u128::MAX)),
            ("egress.stall_max", self.egress.stall_max, (1000, u128::MAX)),
        ];
        for (key, span, (least, most)) in spans {
            let ms = span.0.as_millis();
            if ms < least || ms > most {
                let most = if most == u128::MAX { String::new() } else { format!(", at most {most}ms") };
                return Err(format!("{key} is {span}; it must be at least {least}ms{most}"));
            }
        }
        let sizes = [
            ("publish.log", self.publish.log),
            ("egress.queue", self.egress.queue),
            ("hls.memory", self.hls.memory),
        ];
        match sizes.into_iter().find(|(_, size)| size.0 < BUDGET_BYTES_MIN) {
            Some((key, size)) => Err(format!("{key} is {size}; it must be at least 1MiB")),
            None => Ok(()),
        }
    }
}

/// RFC 8216bis: shorter parts cost more requests than they save latency, longer ones are no low latency.
const PART_RANGE_MS: (u128, u128) = (200, 1000);
const SEGMENT_RANGE_MS: (u128, u128) = (1000, 10_000);
/// Less doesn't hold a group of pictures.
const BUDGET_BYTES_MIN: usize = 1 << 20;

/// Who may publish, and what happens when a publisher comes or goes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Publish {
    /// The secret that every publisher presents as `?key=…`. Without one nobody can publish.
    pub stream_key: Option<String>,
    /// Lets anyone publish. Only the demo sets it.
    #[serde(skip)]
    pub anyone: bool,
    /// What happens to a publisher who comes to an occupied path.
    pub collision: Collision,
    /// How long a broadcast waits for a publisher who left.
    pub grace: Span,
    /// A publisher that sends nothing for so long is closed.
    pub idle: Span,
    /// Broadcasts at a time.
    pub broadcasts_max: usize,
    /// Bytes of frames kept per broadcast.
    pub log: Size,
}

impl Default for Publish {
    fn default() -> Self {
        Publish {
            stream_key: None,
            anyone: false,
            collision: Collision::Reject,
            grace: Span(Duration::from_secs(10)),
            idle: Span(Duration::from_secs(20)),
            broadcasts_max: 10_000,
            log: Size(8 << 20),
        }
    }
}

/// What happens to a publisher who comes to an occupied path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Collision {
    /// The newcomer is refused.
    #[default]
    Reject,
    /// The newcomer replaces the one who is there; viewers stay.
    Takeover,
}

/// RTMP and RTMPS.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rtmp {
    /// Where RTMP is served.
    pub listen: SocketAddr,
    /// Where RTMPS is served, when a certificate is set.
    pub tls_listen: SocketAddr,
}

impl Default for Rtmp {
    fn default() -> Self {
        Rtmp { listen: any(1935), tls_listen: any(1936) }
    }
}

/// HTTP, HTTPS and WebSocket.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Http {
    /// Where HTTP is served.
    pub listen: SocketAddr,
    /// Where HTTPS is served, when a certificate is set.
    pub tls_listen: SocketAddr,
}

impl Default for Http {
    fn default() -> Self {
        Http { listen: any(8080), tls_listen: any(8443) }
    }
}

/// The administrators' listener: metrics and health.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Admin {
    /// Where it listens; loopback, since it asks for no credential.
    pub listen: SocketAddr,
}

impl Default for Admin {
    fn default() -> Self {
        Admin { listen: SocketAddr::from(([127, 0, 0, 1], 9080)) }
    }
}

/// Certificate of the TLS listeners.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tls {
    /// PEM file with the certificate chain, leaf first.
    pub certificate: Option<PathBuf>,
    /// PEM file with its private key.
    pub key: Option<PathBuf>,
}

/// How viewers are written to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Egress {
    /// Threads that write to viewers; 0 is one per core.
    pub workers: usize,
    /// How long frames may wait to share one write: `"adaptive"`, or `"0ms"` to `"500ms"`.
    pub merge_window: MergeWindow,
    /// A viewer further behind skips to the newest group.
    pub lag_max: Span,
    /// A viewer that takes no byte for so long is closed.
    pub stall_max: Span,
    /// Bytes kept per broadcast and format; viewers that need older ones are closed.
    pub queue: Size,
}

impl Default for Egress {
    fn default() -> Self {
        Egress {
            workers: 0,
            merge_window: MergeWindow::Adaptive,
            lag_max: Span(Duration::from_secs(3)),
            stall_max: Span(Duration::from_secs(15)),
            queue: Size(16 << 20),
        }
    }
}

/// HLS and LL-HLS.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Hls {
    /// Target duration of a part, 200 ms to 1 s.
    pub part: Span,
    /// Shortest duration of a segment; it ends at the next keyframe.
    pub segment: Span,
    /// Bytes of segments kept per broadcast.
    pub memory: Size,
    /// Packaging stops when nobody asked for so long.
    pub idle: Span,
}

impl Default for Hls {
    fn default() -> Self {
        Hls {
            part: Span(Duration::from_millis(500)),
            segment: Span(Duration::from_secs(2)),
            memory: Size(32 << 20),
            idle: Span(Duration::from_secs(60)),
        }
    }
}

fn any(port: u16) -> SocketAddr {
    SocketAddr::from(([0, 0, 0, 0], port))
}
