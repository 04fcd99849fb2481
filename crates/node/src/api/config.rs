//! `/v1/config`: what holds, and taking new settings.

use super::access::Caller;
use super::extract::{Parameters, in_time};
use super::guards::Guards;
use super::problem::Problem;
use super::{Api, Shared, blocking};
use crate::auth::jwt::Role;
use crate::config::{Change, masked, problems};
use axum::extract::{FromRequest, Request, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// How the configuration is shown.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct How {
    /// Shows secrets as they are; for the role admin only.
    secrets: Option<bool>,
}

/// What a reload did.
#[derive(Debug, Serialize, ToSchema)]
struct ReloadedView {
    /// Keys whose new values hold from now on.
    applied: Vec<String>,
    /// Keys whose new values hold after a restart.
    needs_restart: Vec<String>,
    /// Sessions that the new rules don't allow any more; they end within a second.
    revoked: usize,
}

/// Whether a configuration would be taken.
#[derive(Debug, Serialize, ToSchema)]
struct Verdict {
    /// Whether nothing is wrong.
    good: bool,
    /// What is wrong.
    problems: Vec<Mistake>,
}

/// Something that is wrong in a configuration.
#[derive(Debug, Serialize, ToSchema)]
struct Mistake {
    line: Option<usize>,
    /// As `section.key`.
    key: Option<String>,
    message: String,
    /// What was meant, perhaps.
    hint: Option<String>,
}

/// A key whose value would change.
#[derive(Debug, Serialize, ToSchema)]
struct ChangeView {
    /// As `section.key`.
    key: String,
    /// What the running server has; secrets are masked. Null if it is not set.
    from: Option<Value>,
    /// What it would have.
    to: Option<Value>,
    /// Whether that holds only after a restart.
    needs_restart: bool,
}

pub(super) fn routes(guards: &Guards) -> OpenApiRouter<Shared> {
    let look = OpenApiRouter::new().routes(routes!(show));
    let act = OpenApiRouter::new().routes(routes!(reload)).routes(routes!(check)).routes(routes!(diff));
    guards.viewer(look).merge(guards.operator(act))
}

/// The configuration that holds, as one tree. Secrets are masked.
#[utoipa::path(get, path = "/v1/config", tag = "config", params(How),
    responses((status = 200, description = "The tree", body = serde_json::Value)))]
async fn show(
    State(api): State<Shared>,
    Extension(caller): Extension<Caller>,
    Parameters(how): Parameters<How>,
) -> Result<Json<Value>, Problem> {
    let secrets = how.secrets.unwrap_or(false);
    if secrets && caller.role < Role::Admin {
        return Err(Problem::forbidden("secrets are shown to the role admin only"));
    }
    let failed =
        |error: String| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, format!("can't write it: {error}"));
    let tree = toml::Value::try_from(&*api.reloader.running()).map_err(|error| failed(error.to_string()))?;
    let tree = if secrets { tree } else { masked("", &tree) };
    Ok(Json(serde_json::to_value(tree).map_err(|error| failed(error.to_string()))?))
}

/// Reads the configuration again, and takes what may change at run time. When something is wrong in it, the old one stays.
#[utoipa::path(post, path = "/v1/config/reload", tag = "config",
    responses((status = 200, description = "What it did", body = ReloadedView),
        (status = 409, description = "Something is wrong in it; the old one stays")))]
async fn reload(State(api): State<Shared>) -> Result<Json<ReloadedView>, Problem> {
    let reloader = api.reloader.clone();
    let reloaded = blocking(move || reloader.reload()).await?;
    let reloaded = reloaded.map_err(|error| Problem::new(StatusCode::CONFLICT, error.to_string()))?;
    Ok(Json(ReloadedView {
        applied: reloaded.applied,
        needs_restart: reloaded.needs_restart,
        revoked: reloaded.revoked,
    }))
}

/// Tells what is wrong in a configuration (TOML), without taking it.
#[utoipa::path(post, path = "/v1/config/check", tag = "config",
    request_body(content = Option<String>, content_type = "application/toml"),
    responses((status = 200, description = "What is wrong", body = Verdict)))]
async fn check(State(api): State<Shared>, request: Request) -> Result<Json<Verdict>, Problem> {
    let text = body(&api, request).await?;
    let found = blocking(move || problems(&text)).await?;
    let mistake = |problem: crate::config::Problem| Mistake {
        line: problem.line,
        key: problem.key,
        message: problem.message,
        hint: problem.hint,
    };
    Ok(Json(Verdict { good: found.is_empty(), problems: found.into_iter().map(mistake).collect() }))
}

/// Tells what a reload would change if the server's file were this one (TOML), or, with an empty body, as its file is now.
/// The server's environment and flags lie above it, as always. Nothing is taken.
#[utoipa::path(post, path = "/v1/config/diff", tag = "config",
    request_body(content = Option<String>, content_type = "application/toml"),
    responses((status = 200, description = "What differs from what the server runs with", body = [ChangeView]),
        (status = 409, description = "Something is wrong in the file as it is now")))]
async fn diff(State(api): State<Shared>, request: Request) -> Result<Json<Vec<ChangeView>>, Problem> {
    let text = Some(body(&api, request).await?).filter(|text| !text.trim().is_empty());
    let wrong = if text.is_some() { StatusCode::BAD_REQUEST } else { StatusCode::CONFLICT };
    let reloader = api.reloader.clone();
    let changes = blocking(move || reloader.changes(text.as_deref())).await?;
    let changes = changes.map_err(|error| Problem::new(wrong, error.to_string()))?;
    let value = |value: Option<toml::Value>| value.and_then(|value| serde_json::to_value(value).ok());
    let view = |change: Change| ChangeView {
        key: change.key,
        from: value(change.from),
        to: value(change.to),
        needs_restart: change.needs_restart,
    };
    Ok(Json(changes.into_iter().map(Change::without_secrets).map(view).collect()))
}

/// The text of a request's body.
async fn body(api: &Api, request: Request) -> Result<String, Problem> {
    let text = in_time(api, String::from_request(request, &())).await?;
    text.map_err(|error| Problem::new(error.status(), error.body_text()))
}
