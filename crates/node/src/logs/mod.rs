//! Logs: lines to the standard error, and traces.
//!
//! - [`lines`] what is written, and how that changes at run time
//! - [`access`] one line per session or request that is over
//! - [`otlp`] sessions as traces

pub(crate) mod access;
mod lines;
#[cfg(feature = "otlp")]
mod otlp;

pub(crate) use access::AccessLog;
pub use lines::{LogControl, LogError, Logs};
