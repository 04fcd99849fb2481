//! What the server counts about itself, as Prometheus reads it.

use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use std::sync::atomic::AtomicU64;
use std::time::Duration;

/// All metrics of one process. Labels are bounded: no path, address or session among them.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    pub(crate) viewers: Gauge,
    pub(crate) broadcasts: Gauge,
    pub(crate) egress_bytes: Counter,
    pub(crate) ingest_bytes: Counter,
    pub(crate) skipped_groups: Counter,
    pub(crate) queue_bytes: Gauge,
    pub(crate) timestamp_repairs: Counter,
    pub(crate) publishes: Counter,
    pub(crate) refusals: Counter,
    closes: Family<ReasonLabel, Counter>,
    first_byte_seconds: Histogram,
    frame_age_seconds: Histogram,
    window_seconds: Gauge<f64, AtomicU64>,
}

/// Why a viewer's session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub(crate) enum CloseReason {
    /// The viewer closed the connection.
    Left,
    /// The broadcast is over.
    Ended,
    /// It took no byte for too long.
    Stalled,
    /// It fell behind by more than the byte budget.
    TooSlow,
    /// The server shuts down.
    Shutdown,
    /// An operator ended it.
    Kicked,
    /// Its grant ran out.
    Expired,
    /// The rule that allowed it is gone.
    Revoked,
    /// Another publisher took the seat.
    Superseded,
    /// A publisher that sent nothing for too long.
    Idle,
    /// The peer broke the protocol.
    Broken,
}

impl CloseReason {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            CloseReason::Left => "left",
            CloseReason::Ended => "broadcast ended",
            CloseReason::Stalled => "stopped reading",
            CloseReason::TooSlow => "too slow for the byte budget",
            CloseReason::Shutdown => "server shuts down",
            CloseReason::Kicked => "ended by an operator",
            CloseReason::Expired => "its grant ran out",
            CloseReason::Revoked => "the rule that allowed it is gone",
            CloseReason::Superseded => "another publisher took over",
            CloseReason::Idle => "nothing came for too long",
            CloseReason::Broken => "the peer broke the protocol",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabel {
    reason: CloseReason,
}

/// 1 ms to 10 s; the usual merge windows plus 10 ms are bounds.
const LATENCY_BUCKETS: [f64; 18] = [
    0.001, 0.002, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.04, 0.05, 0.075, 0.11, 0.2, 0.36, 0.5, 1.0, 2.5,
    10.0,
];

impl Metrics {
    pub(crate) fn new() -> Metrics {
        let mut metrics = Metrics {
            registry: Registry::with_prefix("floodtide"),
            viewers: Gauge::default(),
            broadcasts: Gauge::default(),
            egress_bytes: Counter::default(),
            ingest_bytes: Counter::default(),
            skipped_groups: Counter::default(),
            queue_bytes: Gauge::default(),
            timestamp_repairs: Counter::default(),
            publishes: Counter::default(),
            refusals: Counter::default(),
            closes: Family::default(),
            first_byte_seconds: Histogram::new(LATENCY_BUCKETS),
            frame_age_seconds: Histogram::new(LATENCY_BUCKETS),
            window_seconds: Gauge::default(),
        };
        metrics.register();
        metrics
    }

    fn register(&mut self) {
        let r = &mut self.registry;
        r.register("viewers", "Viewers on the egress plane now", self.viewers.clone());
        r.register("broadcasts", "Broadcasts live or within their grace window", self.broadcasts.clone());
        r.register_with_unit("egress", "Sent to viewers", Unit::Bytes, self.egress_bytes.clone());
        r.register_with_unit("ingest", "Frames taken in", Unit::Bytes, self.ingest_bytes.clone());
        r.register(
            "skipped_groups",
            "Skips of slow viewers to the newest group",
            self.skipped_groups.clone(),
        );
        r.register_with_unit("queue", "Chunks kept for viewers", Unit::Bytes, self.queue_bytes.clone());
        r.register(
            "timestamp_repairs",
            "Timestamps re-anchored after a wrap, jump or reset",
            self.timestamp_repairs.clone(),
        );
        r.register("publishes", "Publishers accepted", self.publishes.clone());
        r.register("refusals", "Requests refused", self.refusals.clone());
        r.register("viewer_closes", "Viewers whose session ended, by reason", self.closes.clone());
        r.register_with_unit(
            "time_to_first_byte",
            "From a viewer's request to its first byte of media",
            Unit::Seconds,
            self.first_byte_seconds.clone(),
        );
        r.register_with_unit(
            "frame_age",
            "From a frame's arrival to its write to all viewers of a worker",
            Unit::Seconds,
            self.frame_age_seconds.clone(),
        );
        r.register_with_unit(
            "merge_window",
            "Merge window of the worker that reported last",
            Unit::Seconds,
            self.window_seconds.clone(),
        );
    }

    pub(crate) fn first_byte(&self, after: Duration) {
        self.first_byte_seconds.observe(after.as_secs_f64());
    }

    pub(crate) fn frames_written(&self, ages: impl Iterator<Item = Duration>) {
        ages.for_each(|age| self.frame_age_seconds.observe(age.as_secs_f64()));
    }

    pub(crate) fn merge_window(&self, window: Duration) {
        self.window_seconds.set(window.as_secs_f64());
    }

    pub(crate) fn viewer_closed(&self, reason: CloseReason) {
        self.viewers.dec();
        self.closes.get_or_create(&ReasonLabel { reason }).inc();
    }

    /// All metrics in the OpenMetrics text format.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a String can't fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}
