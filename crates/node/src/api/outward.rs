//! `/v1/restreams` and `/v1/pulls`: connections that we open to other servers.

use super::Shared;
use super::extract::Id;
use super::guards::Guards;
use super::problem::Problem;
use super::time::rfc3339;
use crate::outward::Report;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// A broadcast on its way to or from another server.
#[derive(Debug, Serialize, ToSchema)]
struct OutwardView {
    id: u64,
    /// The broadcast.
    path: String,
    /// The other server, without secrets.
    remote: String,
    /// `connecting`, `live` or `waiting`.
    state: &'static str,
    /// Since when it has this state, in RFC 3339.
    since: String,
    /// When it tries again, if it waits.
    retries_at: Option<String>,
    attempts: u64,
    /// What failed last; null while media flows.
    last_error: Option<String>,
    /// Media bytes that went through.
    bytes: u64,
}

pub(super) fn routes(guards: &Guards) -> OpenApiRouter<Shared> {
    let look = OpenApiRouter::new().routes(routes!(restreams)).routes(routes!(pulls));
    let act = OpenApiRouter::new().routes(routes!(retry_restream)).routes(routes!(retry_pull));
    guards.viewer(look).merge(guards.operator(act))
}

/// Broadcasts that are pushed to other servers.
#[utoipa::path(get, path = "/v1/restreams", tag = "outward",
    responses((status = 200, description = "Restreams now", body = [OutwardView])))]
async fn restreams(State(api): State<Shared>) -> Json<Vec<OutwardView>> {
    Json(api.reloader.restreams().snapshot().into_iter().map(OutwardView::of).collect())
}

/// Broadcasts that are fetched from other servers.
#[utoipa::path(get, path = "/v1/pulls", tag = "outward",
    responses((status = 200, description = "Pulls now", body = [OutwardView])))]
async fn pulls(State(api): State<Shared>) -> Json<Vec<OutwardView>> {
    Json(api.reloader.pulls().snapshot().into_iter().map(OutwardView::of).collect())
}

/// Tries one that waits again now.
#[utoipa::path(post, path = "/v1/restreams/{id}/retry", tag = "outward",
    params(("id" = u64, Path, description = "Its id", example = 7)),
    responses((status = 204, description = "It tries")))]
async fn retry_restream(State(api): State<Shared>, Id(id): Id) -> Result<StatusCode, Problem> {
    tried(api.reloader.restreams().retry(number(&id)?))
}

/// Tries one that waits again now.
#[utoipa::path(post, path = "/v1/pulls/{id}/retry", tag = "outward",
    params(("id" = u64, Path, description = "Its id", example = 7)),
    responses((status = 204, description = "It tries")))]
async fn retry_pull(State(api): State<Shared>, Id(id): Id) -> Result<StatusCode, Problem> {
    tried(api.reloader.pulls().retry(number(&id)?))
}

fn number(text: &str) -> Result<u64, Problem> {
    text.parse().map_err(|_| Problem::bad_request("an id is a number here"))
}

fn tried(waits: bool) -> Result<StatusCode, Problem> {
    match waits {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(Problem::not_found("none of this id waits to try again")),
    }
}

impl OutwardView {
    fn of(report: Report) -> OutwardView {
        OutwardView {
            id: report.number,
            path: report.path.to_string(),
            remote: report.remote,
            state: report.state.as_str(),
            since: rfc3339(report.since),
            retries_at: report.retries_at.map(rfc3339),
            attempts: report.attempts,
            last_error: report.last_error,
            bytes: report.bytes,
        }
    }
}
