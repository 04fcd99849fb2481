//! What the server counts about itself, as Prometheus reads it. Labels are bounded: no path, address or session among them.
//!
//! - [`registry`] all metrics of one process, and their text
//! - [`shard`] what threads count that have no time to share: a block each, added up when somebody asks
//! - [`figures`] figures for who doesn't read text
//! - [`histogram`] durations in buckets
//! - [`scrape`] what is looked up when somebody asks: sessions, broadcasts, shards
//! - [`input`] how broadcasts come in, all together
//! - [`mod@process`] what the system says about the process
//! - [`outward`] restreams and pulls
//! - [`transcode`] the conversion of sound
//! - [`reason`] why sessions end
//! - [`classic`] the text format that is older than OpenMetrics

mod classic;
#[cfg(test)]
mod deploy;
mod figures;
mod histogram;
mod input;
mod outward;
mod process;
mod reason;
#[cfg(test)]
mod reference;
mod registry;
mod scrape;
mod shard;
mod transcode;

pub(crate) use figures::WorkerLoad;
pub(crate) use outward::OutwardMetrics;
pub(crate) use process::Process;
pub(crate) use reason::CloseReason;
pub(crate) use registry::{Metrics, Wanted};
pub(crate) use shard::Shard;
pub(crate) use transcode::TranscodeMetrics;
