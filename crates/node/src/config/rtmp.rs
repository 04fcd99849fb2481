//! RTMP and RTMPS.

use super::values::any;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// RTMP and RTMPS.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rtmp {
    /// Where RTMP is served.
    pub listen: SocketAddr,
    /// Where RTMPS is served, when a certificate is set.
    pub tls_listen: SocketAddr,
    /// Whether connections begin with a head of the PROXY protocol (version 1 or 2), which names the real client. Then they are
    /// accepted from `limits.trusted_proxies` only.
    pub proxy_protocol: bool,
}

impl Default for Rtmp {
    fn default() -> Self {
        Rtmp { listen: any(1935), tls_listen: any(1936), proxy_protocol: false }
    }
}
