//! All metrics of one process.

use super::classic::classic;
use super::outward::OutwardMetrics;
use super::process::Process;
use super::scrape::{Lines, Polling, Scrape};
use super::shard::{Shard, Shards};
use super::transcode::TranscodeMetrics;
use crate::auth::Refusal;
use crate::limits::Limit;
use crate::logs::LogControl;
use crate::sessions::Sessions;
use hub::Hub;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// All metrics of one process. What happens often is counted by [`Shard`]; what happens now and then, here.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    shards: Arc<Shards>,
    polling: Arc<Polling>,
    lines: Arc<Lines>,
    pub(crate) timestamp_repairs: Counter,
    pub(crate) unsent_datagrams: Counter,
    pub(crate) publishes: Counter,
    /// Connections of peers now.
    pub(crate) connections: Gauge,
    pub(crate) connections_max: Gauge,
    pub(crate) certificate_ends: Gauge,
    pub(crate) restreams: OutwardMetrics,
    pub(crate) pulls: OutwardMetrics,
    pub(crate) transcodes: TranscodeMetrics,
    refusals: Family<[(&'static str, &'static str); 1], Counter>,
    limited: Family<[(&'static str, &'static str); 1], Counter>,
}

/// The format that a scraper wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    OpenMetrics,
    /// Version 0.0.4 of the older text format.
    Classic,
}

impl Wanted {
    /// What an `Accept` header asks for.
    pub(crate) fn by(accept: Option<&str>) -> Wanted {
        match accept {
            Some(accept) if accept.contains("application/openmetrics-text") => Wanted::OpenMetrics,
            _ => Wanted::Classic,
        }
    }

    /// Its content type.
    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Wanted::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Wanted::Classic => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

impl Metrics {
    pub(crate) fn new(hub: &Hub, sessions: &Sessions) -> Metrics {
        let mut registry = Registry::default();
        let ours = registry.sub_registry_with_prefix("floodtide");
        let restreams = OutwardMetrics::registered(ours, "restream", "Restreams to other servers");
        let pulls = OutwardMetrics::registered(ours, "pull", "Pulls from other servers");
        let transcodes = TranscodeMetrics::registered(ours);
        let mut metrics = Metrics {
            registry,
            certificate_ends: Gauge::default(),
            restreams,
            pulls,
            transcodes,
            shards: Arc::default(),
            polling: Arc::default(),
            lines: Arc::default(),
            timestamp_repairs: Counter::default(),
            unsent_datagrams: Counter::default(),
            publishes: Counter::default(),
            connections: Gauge::default(),
            connections_max: Gauge::default(),
            refusals: Family::default(),
            limited: Family::default(),
        };
        for code in Refusal::CODES {
            // Seen before the first one of its kind.
            drop(metrics.refusals.get_or_create(&[("reason", code)]));
        }
        for limit in Limit::ALL {
            drop(metrics.limited.get_or_create(&[("limit", limit.label())]));
        }
        metrics.register(hub, sessions);
        metrics
    }

    fn register(&mut self, hub: &Hub, sessions: &Sessions) {
        self.registry.register_collector(Box::new(Process::new()));
        let ours = self.registry.sub_registry_with_prefix("floodtide");
        ours.register_collector(Box::new(Scrape {
            hub: hub.clone(),
            sessions: sessions.clone(),
            shards: Arc::clone(&self.shards),
            polling: Arc::clone(&self.polling),
            lines: Arc::clone(&self.lines),
        }));
        ours.register("build", "What runs", Info::new([("version", env!("CARGO_PKG_VERSION"))]));
        ours.register(
            "timestamp_repairs",
            "Timestamps re-anchored after a wrap, jump or reset",
            self.timestamp_repairs.clone(),
        );
        ours.register(
            "unsent_datagrams",
            "Datagrams to WebRTC viewers that the system had no room for; they ask for them again",
            self.unsent_datagrams.clone(),
        );
        ours.register_with_unit(
            "certificate_ends",
            "Unix time at which the first of the TLS certificates ends; 0 without one",
            Unit::Seconds,
            self.certificate_ends.clone(),
        );
        ours.register("publishes", "Publishers accepted", self.publishes.clone());
        ours.register("refusals", "Publishers and viewers refused, by reason", self.refusals.clone());
        let (connections, max) = (self.connections.clone(), self.connections_max.clone());
        ours.register("connections", "Connections of publishers, viewers and others now", connections);
        ours.register("connections_max", "Connections that there may be", max);
        ours.register(
            "limited",
            "Connections and requests that ran into a limit, by limit",
            self.limited.clone(),
        );
    }

    /// A block for an egress worker.
    pub(crate) fn worker(&self) -> Arc<Shard> {
        self.shards.worker()
    }

    /// Gives the calling thread a block of its own, until it ends.
    pub(crate) fn own_thread(&self) {
        self.shards.own();
    }

    /// The block of the calling thread.
    pub(crate) fn here(&self) -> Arc<Shard> {
        self.shards.here()
    }

    /// Viewers on the egress plane now.
    pub(crate) fn egress_viewers(&self) -> u64 {
        self.shards.workers().iter().map(|shard| shard.viewers()).sum()
    }

    /// Counts somebody who was refused.
    pub(crate) fn refused(&self, refusal: &Refusal) {
        self.refusals.get_or_create(&[("reason", refusal.code())]).inc();
    }

    /// From now on it knows which lines of the log are lost.
    pub(crate) fn set_logs(&self, logs: LogControl) {
        // Only the first are taken: a process has one.
        let _ = self.lines.logs.set(logs);
    }

    /// Counts lines that a follower of the log came too late for.
    pub(crate) fn lines_missed(&self, count: u64) {
        self.lines.missed.fetch_add(count, Ordering::Relaxed);
    }

    /// Counts somebody who ran into a limit.
    pub(crate) fn limited(&self, limit: Limit) {
        self.limited.get_or_create(&[("limit", limit.label())]).inc();
    }

    /// How often limits were run into, all together.
    pub(crate) fn limited_all(&self) -> u64 {
        Limit::ALL.iter().map(|l| self.limited.get_or_create(&[("limit", l.label())]).get()).sum()
    }

    /// Those who were refused, by reason.
    pub(crate) fn refusals(&self) -> Vec<(&'static str, u64)> {
        Refusal::CODES.map(|code| (code, self.refusals.get_or_create(&[("reason", code)]).get())).into()
    }

    pub(super) fn shards(&self) -> &Shards {
        &self.shards
    }

    /// Takes in that an estimate of viewers by playlists changed.
    pub(crate) fn polling(&self, low_latency: bool, before: u64, now: u64) {
        let count: &AtomicU64 = if low_latency { &self.polling.low_latency } else { &self.polling.usual };
        count.fetch_add(now.wrapping_sub(before), Ordering::Relaxed);
    }

    /// All metrics as text.
    pub(crate) fn text(&self, wanted: Wanted) -> String {
        let mut text = String::new();
        // Writing to a String can't fail.
        let _ = encode(&mut text, &self.registry);
        match wanted {
            Wanted::OpenMetrics => text,
            Wanted::Classic => classic(&text),
        }
    }
}
