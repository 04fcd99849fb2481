//! `/v1/matches`: two broadcasts that show each other for a while ("PK").

use super::Shared;
use super::extract::{Body, Id};
use super::guards::Guards;
use super::problem::Problem;
use super::time::rfc3339;
use crate::stage::{Command, Done, Match, StageError};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use hub::BroadcastPath;
use serde::{Deserialize, Serialize};
use std::time::{Duration, SystemTime};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// A match.
#[derive(Debug, Serialize, ToSchema)]
struct MatchView {
    id: u64,
    /// The two broadcasts or stages.
    between: [String; 2],
    /// When it began, in RFC 3339.
    began: String,
    /// When it ends by itself, in RFC 3339.
    ends: String,
}

/// What a new match shall be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "between": ["live/show", "live/again"], "length_s": 180 }))]
struct WantedMatch {
    /// Two broadcasts, or stages; they needn't be live yet.
    #[schema(min_items = 2, max_items = 2)]
    between: Vec<String>,
    /// How long it lasts, in seconds, and no longer than `stage.match_max`.
    #[schema(minimum = 1, maximum = 2_592_000)]
    length_s: u64,
}

pub(super) fn routes(guards: &Guards) -> OpenApiRouter<Shared> {
    let look = OpenApiRouter::new().routes(routes!(list));
    let act = OpenApiRouter::new().routes(routes!(begin)).routes(routes!(end));
    guards.viewer(look).merge(guards.operator(act))
}

/// All matches.
#[utoipa::path(get, path = "/v1/matches", tag = "stages", operation_id = "matches",
    responses((status = 200, description = "Matches now", body = [MatchView])))]
async fn list(State(api): State<Shared>) -> Json<Vec<MatchView>> {
    Json(api.stages.now().matches().map(|found| MatchView::of(found)).collect())
}

/// Begins a match: until it ends, whoever watches one of the two sees the other, too.
#[utoipa::path(post, path = "/v1/matches", tag = "stages", operation_id = "begin_match", request_body = WantedMatch,
    responses((status = 201, description = "The match", body = MatchView),
        (status = 409, description = "One of them is in a match, or there are too many")))]
async fn begin(
    State(api): State<Shared>,
    Body(wanted): Body<WantedMatch>,
) -> Result<(StatusCode, Json<MatchView>), Problem> {
    let paths = wanted.between.iter().map(|path| BroadcastPath::parse(path));
    let paths: Vec<_> =
        paths.collect::<Result<_, _>>().map_err(|error| Problem::bad_field("between", error))?;
    let between = <[BroadcastPath; 2]>::try_from(paths)
        .map_err(|_| Problem::bad_field("between", "a match is between two broadcasts"))?;
    let longest = api.reloader.running().stage.match_max;
    let length = Duration::from_secs(wanted.length_s);
    if length.is_zero() || length > longest.0 {
        return Err(Problem::bad_field(
            "length_s",
            format!("a match lasts from 1s to {longest} (stage.match_max)"),
        ));
    }
    match api.stages.tell(Command::Match { between, ends: SystemTime::now() + length }).await? {
        Done::Match(found) => Ok((StatusCode::CREATED, Json(MatchView::of(&found)))),
        // It is no command of a stage.
        Done::Stage(_) => Err(StageError::Closing.into()),
    }
}

/// Ends a match before its time.
#[utoipa::path(delete, path = "/v1/matches/{id}", tag = "stages", operation_id = "end_match",
    params(("id" = u64, Path, description = "Its number", example = 1)),
    responses((status = 204, description = "It is over")))]
async fn end(State(api): State<Shared>, Id(id): Id) -> Result<StatusCode, Problem> {
    let id = id.parse().map_err(|_| Problem::bad_request("an id is a number here"))?;
    api.stages.tell(Command::EndMatch { id }).await?;
    Ok(StatusCode::NO_CONTENT)
}

impl MatchView {
    fn of(found: &Match) -> MatchView {
        MatchView {
            id: found.id,
            between: found.between.each_ref().map(ToString::to_string),
            began: rfc3339(found.began),
            ends: rfc3339(found.ends),
        }
    }
}
