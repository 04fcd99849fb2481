//! `/v1/tokens` and `/v1/urls`: credentials that expire.

use super::Shared;
use super::extract::Body;
use super::guards::Guards;
use super::problem::Problem;
use crate::auth::jwt::{Mint, Network, Right, Role, Signer};
use crate::auth::pattern::Pattern;
use crate::auth::signed_url::{UrlKeys, UrlRight};
use crate::config::Moment;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use std::time::{Duration, SystemTime};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// What a new token shall allow.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "act": "play", "path": "live/*", "ttl_s": 3600 }))]
struct WantedToken {
    act: Act,
    /// The paths that it is for: `live/alice`, `live/*` or `live/**`. Not for `admin`.
    path: Option<String>,
    /// For `admin`: what it may do.
    role: Option<RoleName>,
    /// How long it holds, in seconds.
    #[schema(minimum = 1, maximum = 3_153_600_000_i64)]
    ttl_s: u64,
    /// Whom it is for, in lists and logs.
    subject: Option<String>,
    /// The only address or network that it is good for.
    ip: Option<String>,
    /// Which `[[auth.jwt]]` signs it; the first that can if not said.
    kid: Option<String>,
}

/// What a signed URL shall allow.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "act": "publish", "path": "live/alice", "ttl_s": 3600 }))]
struct WantedUrl {
    act: UrlAct,
    /// The paths that it is for: `live/alice`, `live/*` or `live/**`.
    path: String,
    /// How long it holds, in seconds.
    #[schema(minimum = 1, maximum = 3_153_600_000_i64)]
    ttl_s: u64,
    /// The only address or network that it is good for.
    ip: Option<String>,
    /// Which `[[auth.url]]` signs it; the first if not said.
    kid: Option<String>,
}

#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Act {
    Publish,
    Play,
    Admin,
}

#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum UrlAct {
    Publish,
    Play,
}

#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum RoleName {
    Viewer,
    Operator,
    Admin,
}

/// A token that was made.
#[derive(Debug, Serialize, ToSchema)]
struct MadeToken {
    /// For `?token=…` or `Authorization: Bearer …`.
    token: String,
    /// When it ends, in RFC 3339.
    expires: String,
}

/// A query that was signed.
#[derive(Debug, Serialize, ToSchema)]
struct MadeUrl {
    /// What belongs behind the `?` of a URL or stream name.
    query: String,
    /// When it ends, in RFC 3339.
    expires: String,
}

/// How long a credential may hold. The description has the number, too.
const TTL_S_MAX: u64 = 3_153_600_000;

pub(super) fn routes(guards: &Guards) -> OpenApiRouter<Shared> {
    guards.admin(OpenApiRouter::new().routes(routes!(token)).routes(routes!(url)))
}

/// Signs a token (JWT) by the secret of an `[[auth.jwt]]`.
#[utoipa::path(post, path = "/v1/tokens", tag = "keys", request_body = WantedToken,
    responses((status = 201, description = "The token", body = MadeToken),
        (status = 409, description = "No `[[auth.jwt]]` can sign it")))]
async fn token(
    State(api): State<Shared>,
    Body(wanted): Body<WantedToken>,
) -> Result<(StatusCode, Json<MadeToken>), Problem> {
    let path = || match wanted.path.as_deref() {
        Some(path) => pattern(path),
        None => Err(Problem::bad_field("path", "missing; which broadcasts is it for?")),
    };
    let right = match wanted.act {
        Act::Publish => Right::Publish(path()?),
        Act::Play => Right::Play(path()?),
        Act::Admin => {
            let missing = || Problem::bad_field("role", "missing; viewer, operator or admin");
            Right::Administrate(wanted.role.ok_or_else(missing)?.into())
        }
    };
    let (expires, ip) = (end(wanted.ttl_s)?, network(wanted.ip.as_deref())?);
    let unable = |error: crate::auth::jwt::MintError| Problem::new(StatusCode::CONFLICT, error.to_string());
    let config = api.reloader.running();
    let signer = Signer::choose(&config.auth.jwt, wanted.kid.as_deref(), &right).map_err(unable)?;
    let token = signer.mint(&Mint { right, expires, subject: wanted.subject, ip }).map_err(unable)?;
    Ok((StatusCode::CREATED, Json(MadeToken { token, expires: Moment(expires).to_string() })))
}

/// Signs a URL's query by the secret of an `[[auth.url]]`.
#[utoipa::path(post, path = "/v1/urls", tag = "keys", request_body = WantedUrl,
    responses((status = 201, description = "The query", body = MadeUrl),
        (status = 409, description = "No `[[auth.url]]` can sign it")))]
async fn url(
    State(api): State<Shared>,
    Body(wanted): Body<WantedUrl>,
) -> Result<(StatusCode, Json<MadeUrl>), Problem> {
    let (expires, ip) = (end(wanted.ttl_s)?, network(wanted.ip.as_deref())?);
    let publish = matches!(wanted.act, UrlAct::Publish);
    let right = UrlRight { publish, path: pattern(&wanted.path)?, expires, ip };
    let query = UrlKeys::new(&api.reloader.running().auth.url).sign(wanted.kid.as_deref(), &right);
    let unable = "no [[auth.url]] signs this: add one with kid and secret to the configuration, or check kid";
    let query = query.ok_or_else(|| Problem::new(StatusCode::CONFLICT, unable))?;
    Ok((StatusCode::CREATED, Json(MadeUrl { query, expires: Moment(expires).to_string() })))
}

fn pattern(text: &str) -> Result<Pattern, Problem> {
    text.parse().map_err(|error| Problem::bad_field("path", error))
}

fn network(text: Option<&str>) -> Result<Option<Network>, Problem> {
    let network = text.map(str::parse).transpose();
    network.map_err(|error: &str| Problem::bad_field("ip", error))
}

/// The moment in so many seconds.
fn end(ttl_s: u64) -> Result<SystemTime, Problem> {
    let end = SystemTime::now().checked_add(Duration::from_secs(ttl_s));
    match end.filter(|_| (1..=TTL_S_MAX).contains(&ttl_s)) {
        Some(end) => Ok(end),
        None => Err(Problem::bad_field(
            "ttl_s",
            format!("{ttl_s} is not within 1 to {TTL_S_MAX}, a hundred years"),
        )),
    }
}

impl From<RoleName> for Role {
    fn from(role: RoleName) -> Role {
        match role {
            RoleName::Viewer => Role::Viewer,
            RoleName::Operator => Role::Operator,
            RoleName::Admin => Role::Admin,
        }
    }
}
