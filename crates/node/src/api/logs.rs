//! `/v1/logs`: the newest lines of the log.

use super::Shared;
use super::extract::Parameters;
use super::guards::Guards;
use super::live::{self, Accepts};
use super::problem::Problem;
use super::sessions::limit;
use super::time::rfc3339;
use crate::logs::Line;
use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use tracing::Level;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// A line of the log.
#[derive(Debug, Serialize, ToSchema)]
struct LineView {
    id: u64,
    /// When, in RFC 3339.
    time: String,
    level: LevelName,
    text: String,
    fields: BTreeMap<&'static str, String>,
}

/// How important a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum LevelName {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

/// Which lines are listed.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Which {
    /// How many at most, the newest; 100 if not said. For `text/event-stream`, how many of those that are there come first.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
    /// Only lines that are as important or more. What `log.level` leaves out is never there.
    level: Option<LevelName>,
}

const LIMIT_DEFAULT: usize = 100;

pub(super) fn routes(guards: &Guards) -> OpenApiRouter<Shared> {
    guards.viewer(OpenApiRouter::new().routes(routes!(logs)))
}

/// The newest lines as JSON, or lines as they come as server-sent events if `Accept` asks for `text/event-stream`.
#[utoipa::path(get, path = "/v1/logs", tag = "node", params(Which, ("Last-Event-ID" = Option<String>, Header, description = "The last `id` that came; what is none is overlooked")),
    responses((status = 200, description = "Lines, oldest first", content(
        ([LineView] = "application/json"), (String = "text/event-stream"))),
        (status = 404, description = "This server keeps no lines")))]
async fn logs(
    State(api): State<Shared>,
    Parameters(which): Parameters<Which>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let none = || Problem::not_found("this server keeps no lines");
    let ring = api.reloader.lines().ok_or_else(none)?;
    let limit = limit(which.limit, LIMIT_DEFAULT)?;
    let least = which.level.map_or(Level::TRACE, LevelName::level);
    // The more important a level, the less it is.
    let mut lines: Vec<_> = ring.all().into_iter().filter(|(_, line)| line.level <= least).collect();
    lines.drain(..lines.len().saturating_sub(limit));
    if live::accepts(&headers) == Accepts::Events {
        let before_first = lines.first().map_or(ring.last(), |(id, _)| id - 1);
        let from = live::last_event_id(&headers).unwrap_or(before_first);
        let line =
            move |id, line: &Line| (line.level <= least).then(|| ("line", serde_json::json!(line.view(id))));
        let metrics = Arc::clone(&api.metrics);
        let missed = move |count| {
            metrics.lines_missed(count);
            serde_json::json!({ "count": count })
        };
        return Ok(live::follow(&api, ring, from, line, missed));
    }
    Ok(Json(lines.iter().map(|(id, line)| line.view(*id)).collect::<Vec<_>>()).into_response())
}

impl LevelName {
    fn level(self) -> Level {
        match self {
            LevelName::Error => Level::ERROR,
            LevelName::Warn => Level::WARN,
            LevelName::Info => Level::INFO,
            LevelName::Debug => Level::DEBUG,
            LevelName::Trace => Level::TRACE,
        }
    }

    fn of(level: Level) -> LevelName {
        let all = [LevelName::Error, LevelName::Warn, LevelName::Info, LevelName::Debug, LevelName::Trace];
        all.into_iter().find(|name| name.level() == level).unwrap_or(LevelName::Trace)
    }
}

impl Line {
    fn view(&self, id: u64) -> LineView {
        LineView {
            id,
            time: rfc3339(self.at),
            level: LevelName::of(self.level),
            text: self.text.clone(),
            fields: self.fields.iter().cloned().collect(),
        }
    }
}
