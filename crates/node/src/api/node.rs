//! `/v1/node` and `/v1/version`: how this server fares.

use super::Shared;
use super::guards::Guards;
use super::health::{rounded, seconds};
use super::samples::{NodeSample, lately};
use crate::life::Phase;
use crate::metrics::{Process, WorkerLoad};
use crate::sessions::{Protocol, Role};
use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// This server.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct NodeView {
    version: &'static str,
    /// `serving`, `draining` or `stopping`.
    phase: &'static str,
    uptime_s: f64,
    cpu: Cpu,
    memory: Memory,
    descriptors: Descriptors,
    egress: NodeEgress,
    ingest: NodeIngest,
    /// Broadcasts now, with those that wait for their publisher.
    broadcasts: usize,
    /// The last minute, a second each, oldest first.
    history: Vec<NodeMoment>,
}

#[derive(Clone, Debug, Serialize, ToSchema)]
struct Cpu {
    /// Cores that the process may use.
    cores: usize,
    /// Share of all of them that it used over the last four seconds, 0 to 1.
    busy: f64,
}

#[derive(Clone, Debug, Serialize, ToSchema)]
struct Memory {
    /// Bytes in RAM.
    rss: u64,
}

#[derive(Clone, Debug, Serialize, ToSchema)]
struct Descriptors {
    open: u64,
    /// Null if there is no limit.
    max: Option<u64>,
}

#[derive(Clone, Debug, Serialize, ToSchema)]
struct NodeEgress {
    /// Over the last four seconds.
    kbit_s: f64,
    /// With an estimate of those by HLS.
    viewers: u64,
    /// Threads of the egress plane.
    workers: Vec<Worker>,
}

/// A thread that writes to viewers.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct Worker {
    /// Share of the last 200 ms that it worked, 0 to 1.
    busy: f64,
    /// How long frames wait to share a write.
    window_ms: f64,
    viewers: u64,
    /// Chunks that it keeps for its viewers.
    queue_bytes: u64,
}

#[derive(Clone, Debug, Serialize, ToSchema)]
struct NodeIngest {
    publishers: u64,
    /// Over the last four seconds.
    kbit_s: f64,
}

/// One second.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct NodeMoment {
    /// When, in RFC 3339.
    t: String,
    /// Share of all cores, 0 to 1.
    cpu: f64,
    memory_bytes: u64,
    ingest_kbit_s: f64,
    egress_kbit_s: f64,
    viewers: u64,
}

/// What runs.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct Version {
    version: &'static str,
}

pub(super) fn routes(guards: &Guards) -> OpenApiRouter<Shared> {
    guards.viewer(OpenApiRouter::new().routes(routes!(node)).routes(routes!(version)))
}

/// How this server fares.
#[utoipa::path(get, path = "/v1/node", tag = "node",
    responses((status = 200, description = "This server", body = NodeView)))]
async fn node(State(api): State<Shared>) -> Json<NodeView> {
    let history = api.samples.node();
    let rate = |of: fn(&NodeSample) -> f64| rounded(lately(&history, of));
    let publishers = Protocol::ALL.map(|p| api.sessions.live(Role::Publisher, p)).iter().sum();
    let broadcasts = api.hub.broadcasts();
    Json(NodeView {
        version: env!("CARGO_PKG_VERSION"),
        phase: match api.life.phase() {
            Phase::Serving => "serving",
            Phase::Draining | Phase::HandedOver => "draining",
            Phase::Stopping => "stopping",
        },
        uptime_s: seconds(api.anchor.began().elapsed()),
        cpu: Cpu { cores: crate::start::cores(), busy: rate(|s| s.cpu) },
        memory: Memory { rss: Process::resident_bytes() },
        descriptors: Descriptors { open: Process::open_descriptors(), max: Process::descriptors_max() },
        egress: NodeEgress {
            kbit_s: rate(|s| s.egress_kbit_s),
            viewers: broadcasts.iter().map(|b| b.viewers()).sum(),
            workers: api.metrics.workers().iter().map(Worker::of).collect(),
        },
        ingest: NodeIngest { publishers, kbit_s: rate(|s| s.ingest_kbit_s) },
        broadcasts: broadcasts.len(),
        history: history
            .iter()
            .map(|s| NodeMoment {
                t: api.anchor.text(s.at),
                cpu: rounded(s.cpu),
                memory_bytes: s.memory_bytes,
                ingest_kbit_s: rounded(s.ingest_kbit_s),
                egress_kbit_s: rounded(s.egress_kbit_s),
                viewers: s.viewers,
            })
            .collect(),
    })
}

/// What runs.
#[utoipa::path(get, path = "/v1/version", tag = "node",
    responses((status = 200, description = "The version", body = Version)))]
async fn version() -> Json<Version> {
    Json(Version { version: env!("CARGO_PKG_VERSION") })
}

impl Worker {
    fn of(load: &WorkerLoad) -> Worker {
        Worker {
            busy: rounded(load.busy),
            window_ms: rounded(load.window_s * 1000.0),
            viewers: load.viewers,
            queue_bytes: load.queue_bytes,
        }
    }
}
