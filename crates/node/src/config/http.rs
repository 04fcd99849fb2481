//! HTTP, HTTPS and WebSocket.

use super::values::any;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// HTTP, HTTPS and WebSocket.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Http {
    /// Where HTTP is served.
    pub listen: SocketAddr,
    /// Where HTTPS is served, when a certificate is set.
    pub tls_listen: SocketAddr,
    /// Whether connections begin with a head of the PROXY protocol (version 1 or 2), which names the real client. Then they are
    /// accepted from `limits.trusted_proxies` only.
    pub proxy_protocol: bool,
}

impl Default for Http {
    fn default() -> Self {
        Http { listen: any(8080), tls_listen: any(8443), proxy_protocol: false }
    }
}
