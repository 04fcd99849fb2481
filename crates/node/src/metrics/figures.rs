//! Figures for who doesn't read text.

use super::registry::Metrics;
use crate::sessions::Protocol;

/// How one egress worker fares.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WorkerLoad {
    /// Share of the last 200 ms that it worked.
    pub(crate) busy: f64,
    /// How long frames wait to share a write, in seconds.
    pub(crate) window_s: f64,
    pub(crate) viewers: u64,
    pub(crate) queue_bytes: u64,
}

impl Metrics {
    /// Media bytes taken in since the start.
    pub(crate) fn ingest_bytes(&self) -> u64 {
        self.shards().all().iter().map(|shard| shard.ingest_bytes()).sum()
    }

    /// Bytes sent to viewers since the start.
    pub(crate) fn egress_bytes(&self) -> [(&'static str, u64); Protocol::ALL.len()] {
        let shards = self.shards().all();
        Protocol::ALL.map(|p| (p.as_str(), shards.iter().map(|shard| shard.egress_bytes(p)).sum()))
    }

    /// The egress workers.
    pub(crate) fn workers(&self) -> Vec<WorkerLoad> {
        let shards = self.shards().workers();
        let load = |shard: &std::sync::Arc<super::Shard>| WorkerLoad {
            busy: shard.busy(),
            window_s: shard.window_seconds(),
            viewers: shard.viewers(),
            queue_bytes: shard.queue_bytes(),
        };
        shards.iter().map(load).collect()
    }
}
