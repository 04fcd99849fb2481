//! Logs: lines to the standard error, and traces.
//!
//! - [`lines`] what is written, and how that changes at run time
//! - [`access`] one line per session or request that is over
//! - [`requests`] lines of requests, put together by a shorter way
//! - [`ring`] the newest lines, for who looks from elsewhere
//! - `otlp` sessions as traces

pub(crate) mod access;
mod lines;
#[cfg(feature = "otlp")]
mod otlp;
mod requests;
mod ring;

pub(crate) use access::AccessLog;
pub use lines::{LogControl, LogError, Logs};
pub(crate) use ring::{Line, LogRing};
