//! The administrators' listener.

use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

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
