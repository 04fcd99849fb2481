//! The running server: gateways, egress plane, configuration, metrics.
//!
//! - [`auth`] keys, tokens and signed URLs
//! - [`config`] what an operator can set
//! - [`Node`] start and stop

mod api;
pub mod auth;
pub mod config;
mod egress;
mod follow;
mod gateway;
mod gather;
mod handover;
mod ingest;
mod life;
mod limits;
mod listening;
mod logs;
mod memory_file;
mod metrics;
mod outward;
mod publishing;
mod pull;
mod reload;
mod restream;
mod ring;
mod sessions;
mod shutdown;
mod stage;
mod start;
mod state_file;
mod tls;
mod transcode;

pub use egress::MergeWindow;
pub use gateway::webrtc::{Known, Reach};
pub use handover::TakeOverError;
pub use logs::{LogControl, LogError, Logs};
pub use reload::{ReloadError, Reloaded, Reloader};
pub use start::{Addresses, Coming, Node};
pub use tls::check_certificate;
pub use transcode::find_program;

/// How the server names itself on the wire.
const SERVER: &str = concat!("Floodtide/", env!("CARGO_PKG_VERSION"));
