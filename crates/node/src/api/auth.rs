//! `/v1/login`, `/v1/logout`, `/v1/whoami`: a cookie for pages.

use super::Shared;
use super::access::{COOKIE_NAME, Caller, LOGIN_TIME_MAX, Peer};
use super::extract::Body;
use super::guards::Guards;
use super::problem::Problem;
use crate::auth::jwt::Role;
use axum::extract::State;
use axum::http::header::{HeaderMap, SET_COOKIE};
use axum::http::{HeaderName, StatusCode};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// A credential.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Login {
    /// An `admin.token`, or an administrator's JWT.
    token: String,
}

/// Who asks.
#[derive(Debug, Serialize, ToSchema)]
struct Whoami {
    /// The token's name or the JWT's subject.
    name: String,
    /// What it may do: `viewer`, `operator` or `admin`.
    role: &'static str,
    /// Whether a credential exists, so that one was needed.
    credential: bool,
}

pub(super) fn routes(guards: &Guards) -> OpenApiRouter<Shared> {
    let open = OpenApiRouter::new().routes(routes!(login)).routes(routes!(logout));
    guards.open(open).merge(guards.viewer(OpenApiRouter::new().routes(routes!(whoami))))
}

/// Trades a credential for a cookie, for pages. It lasts 12 h, or as long as the credential is good.
#[utoipa::path(post, path = "/v1/login", tag = "auth", request_body = Login,
    responses((status = 200, description = "A cookie is set", body = Whoami),
        (status = 401, description = "The credential is wrong, or its time is over"),
        (status = 429, description = "Too many wrong credentials; `Retry-After` says when")))]
async fn login(
    State(api): State<Shared>,
    Extension(peer): Extension<Peer>,
    Body(login): Body<Login>,
) -> Result<([(HeaderName, String); 1], Json<Whoami>), Problem> {
    let (caller, value) = api.access.login(peer, &login.token)?;
    tracing::info!(admin = %caller.name, "administrator logged in");
    let cookie = format!(
        "{COOKIE_NAME}={value}; Path=/v1; HttpOnly; SameSite=Strict; Max-Age={}",
        LOGIN_TIME_MAX.as_secs()
    );
    Ok(([(SET_COOKIE, cookie)], Json(Whoami::of(&caller))))
}

/// Ends the login that the cookie names.
#[utoipa::path(post, path = "/v1/logout", tag = "auth",
    responses((status = 204, description = "The cookie is worth nothing any more")))]
async fn logout(
    State(api): State<Shared>,
    headers: HeaderMap,
) -> Result<(StatusCode, [(HeaderName, String); 1]), Problem> {
    api.access.logout(&headers)?;
    let cookie = format!("{COOKIE_NAME}=; Path=/v1; HttpOnly; SameSite=Strict; Max-Age=0");
    Ok((StatusCode::NO_CONTENT, [(SET_COOKIE, cookie)]))
}

/// Who asks, and what it may do.
#[utoipa::path(get, path = "/v1/whoami", tag = "auth",
    responses((status = 200, description = "Who asks", body = Whoami)))]
async fn whoami(Extension(caller): Extension<Caller>) -> Json<Whoami> {
    Json(Whoami::of(&caller))
}

impl Whoami {
    fn of(caller: &Caller) -> Whoami {
        let role: Role = caller.role;
        Whoami { name: caller.name.clone(), role: role.as_str(), credential: caller.known }
    }
}
