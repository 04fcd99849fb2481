//! In-process fan-out of frames: a [`Hub`] of broadcasts, each a short log of frames.
//!
//! ```text
//! Producer::write ──► log (newest group kept, byte budget) ──► Consumer::poll_batch (one cursor each)
//! ```
//!
//! - [`path`] what a broadcast is called
//! - [`Hub`] who is live; publish, subscribe, demands
//! - [`Producer`] the write half: one at a time per broadcast
//! - [`Consumer`] the read half: any number, each with its own cursor
//! - [`health`] how a broadcast comes in, and what its publisher could do better
//!
//! Writing never waits for a reader. A reader that falls out of the log continues at the newest group and
//! is told how much it lost. The hub knows frames, not formats, and reads no clock.

mod broadcast;
mod catalog;
mod consumer;
mod demand;
mod error;
pub mod health;
mod hub;
mod log;
pub mod path;
mod producer;

pub use broadcast::{Broadcast, ViewerGuard};
pub use catalog::Catalog;
pub use consumer::{Batch, Consumer};
pub use demand::Demand;
pub use error::Error;
pub use hub::{Collision, Hub, Limits};
pub use log::Item;
pub use path::BroadcastPath;
pub use producer::Producer;
