//! `/v1/stats`: totals since the start.

use super::Shared;
use super::guards::Guards;
use super::health::seconds;
use crate::metrics::CloseReason;
use crate::sessions::Role;
use axum::Json;
use axum::extract::State;
use serde::Serialize;
use std::collections::BTreeMap;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Totals since the start.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct Stats {
    uptime_s: f64,
    /// Media bytes taken in.
    ingest_bytes: u64,
    /// Bytes sent to viewers, by protocol.
    egress_bytes: BTreeMap<&'static str, u64>,
    /// Publishers who were let in.
    publishes: u64,
    /// Publishers and viewers who were refused, by reason; reasons that never happened are left out.
    refusals: BTreeMap<&'static str, u64>,
    /// Timestamps that were mended.
    timestamp_repairs: u64,
    /// Publishers' sessions that are over, by reason.
    publisher_ends: BTreeMap<&'static str, u64>,
    /// Viewers' sessions that are over, by reason.
    viewer_ends: BTreeMap<&'static str, u64>,
}

pub(super) fn routes(guards: &Guards) -> OpenApiRouter<Shared> {
    guards.viewer(OpenApiRouter::new().routes(routes!(stats)))
}

/// Totals since the start.
#[utoipa::path(get, path = "/v1/stats", tag = "node",
    responses((status = 200, description = "Totals", body = Stats)))]
async fn stats(State(api): State<Shared>) -> Json<Stats> {
    let ends = |role: Role| {
        let of = |reason: CloseReason| (reason.label(), api.sessions.ends(role, reason));
        CloseReason::ALL.map(of).into_iter().filter(|(_, count)| *count > 0).collect()
    };
    Json(Stats {
        uptime_s: seconds(api.anchor.began().elapsed()),
        ingest_bytes: api.metrics.ingest_bytes(),
        egress_bytes: api.metrics.egress_bytes().into_iter().collect(),
        publishes: api.metrics.publishes.get(),
        refusals: api.metrics.refusals().into_iter().filter(|(_, count)| *count > 0).collect(),
        timestamp_repairs: api.metrics.timestamp_repairs.get(),
        publisher_ends: ends(Role::Publisher),
        viewer_ends: ends(Role::Viewer),
    })
}
