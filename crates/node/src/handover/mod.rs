//! An upgrade in place: a new process takes the listening sockets of the old one over a Unix socket, so that no connection
//! is refused, and plays what the old one still has until publishers come over. The old one drains.
//!
//! ```text
//! new → old   floodtide take-over 1⏎
//! old → new   the listening sockets (SCM_RIGHTS) with one line of JSON: Offer
//!             one line per broadcast, then an empty one
//! new → old   ready⏎          when it serves; without it the old one goes on as if nothing had been
//! ```
//!
//! - [`wire`] lines and sockets
//! - [`give`] the old one's side
//! - [`take`] the new one's side

mod give;
mod take;
mod wire;

pub(crate) use give::{Given, Giving, Sockets};
pub use take::TakeOverError;
pub(crate) use take::Taken;

use std::path::{Path, PathBuf};

/// Where a running server waits for its successor.
pub(crate) fn socket_path(state: &Path) -> PathBuf {
    state.join("handover.sock")
}
