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
}

impl Default for Rtmp {
    fn default() -> Self {
        Rtmp { listen: any(1935), tls_listen: any(1936) }
    }
}
