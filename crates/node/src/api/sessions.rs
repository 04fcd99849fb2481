//! `/v1/sessions`: who is connected, and who was.

use super::broadcasts::codec;
use super::extract::{Id, Parameters};
use super::guards::Guards;
use super::health::{millis, seconds};
use super::problem::Problem;
use super::time::rfc3339;
use super::{Api, Shared};
use crate::sessions::{self, Ended, Ending, Link, Protocol, Role, Session, SessionId, Sessions};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use std::time::Instant;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// A publisher or a viewer.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct SessionView {
    id: String,
    role: SessionRole,
    /// `rtmp`, `flv`, `ws-flv`, `whip`, `whep` or `srt`. Viewers by HLS come by single requests and have no session: a broadcast
    /// has their number.
    protocol: &'static str,
    /// The broadcast.
    path: String,
    /// Address and port of the other side.
    peer: String,
    /// When it began, in RFC 3339.
    since: String,
    age_s: f64,
    /// Media bytes that went through it.
    bytes: u64,
    /// How often it was too slow and went on at the newest group.
    skips: u32,
    /// Codec that its sound is converted to, such as `aac`.
    #[serde(skip_serializing_if = "Option::is_none")]
    transcoded: Option<String>,
    /// The name of its key, or the subject of its token.
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    /// What it says that it is: `User-Agent`, or the `flashVer` of RTMP; at most 200 characters, without control characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    user_agent: Option<String>,
    /// When its right ends, in RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<String>,
    /// How the way to the other side is, where the protocol measures it (SRT).
    #[serde(skip_serializing_if = "Option::is_none")]
    link: Option<LinkView>,
}

/// How the way to the other side is.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct LinkView {
    /// There and back, in milliseconds.
    rtt_ms: f64,
    /// How long a lost packet is waited for, in milliseconds.
    latency_ms: f64,
    /// Packets of media so far.
    packets: u64,
    /// Packets that were missing when a later one came, or that the other side asked for again.
    missed: u64,
    /// Packets that were sent again.
    resent: u64,
    /// Packets that never came in time.
    lost: u64,
    /// Media bits in the second before.
    bits_per_s: u64,
    /// Whether media is encrypted.
    encrypted: bool,
}

/// A session that is over.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct EndedView {
    id: String,
    role: SessionRole,
    protocol: &'static str,
    path: String,
    peer: String,
    /// When it began, in RFC 3339.
    since: String,
    /// How long it was.
    duration_s: f64,
    bytes: u64,
    skips: u32,
    /// What it said that it is, as in the list of sessions.
    #[serde(skip_serializing_if = "Option::is_none")]
    user_agent: Option<String>,
    /// Why it ended, for programs.
    reason: &'static str,
    /// The same for people.
    reason_text: &'static str,
}

/// What a session is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum SessionRole {
    Publisher,
    Viewer,
}

/// Which sessions are listed.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Which {
    /// Only these.
    role: Option<SessionRole>,
    /// Only those of this broadcast.
    path: Option<String>,
    /// Only those of this protocol.
    protocol: Option<String>,
    /// How many at most; 100 if not said.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
    /// Only those that began after the session of this id; the last id of one answer continues it in the next.
    #[param(pattern = "^[0-9a-fA-F]{1,16}$")]
    after: Option<String>,
}

/// How many of those that are over are listed.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct HowMany {
    /// How many at most; all 1000 that are kept if not said.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
}

const LIMIT_DEFAULT: usize = 100;
const LIMIT_MAX: usize = 1000;

pub(super) fn routes(guards: &Guards) -> OpenApiRouter<Shared> {
    let look = OpenApiRouter::new().routes(routes!(list)).routes(routes!(ended)).routes(routes!(one));
    let act = OpenApiRouter::new().routes(routes!(kick));
    guards.viewer(look).merge(guards.operator(act))
}

/// Sessions, in the order in which they came.
#[utoipa::path(get, path = "/v1/sessions", tag = "sessions", params(Which),
    responses((status = 200, description = "Sessions now", body = [SessionView])))]
async fn list(
    State(api): State<Shared>,
    Parameters(which): Parameters<Which>,
) -> Result<Json<Vec<SessionView>>, Problem> {
    let after = which.after.as_deref().map(session_id).transpose()?;
    let limit = limit(which.limit, LIMIT_DEFAULT)?;
    let is_wanted = |session: &&std::sync::Arc<Session>| {
        which.role.is_none_or(|role| role == session.role.into())
            && which.path.as_deref().is_none_or(|path| path == session.path.as_str())
            && which.protocol.as_deref().is_none_or(|protocol| protocol == session.ask.protocol.as_str())
            && after.is_none_or(|after| after < session.id)
    };
    let (all, now) = (api.sessions.list(), Instant::now());
    Ok(Json(all.iter().filter(is_wanted).take(limit).map(|s| SessionView::of(s, &api, now)).collect()))
}

/// Those that ended last, newest first.
#[utoipa::path(get, path = "/v1/sessions/ended", tag = "sessions", params(HowMany),
    responses((status = 200, description = "At most 1000 sessions that are over", body = [EndedView])))]
async fn ended(
    State(api): State<Shared>,
    Parameters(many): Parameters<HowMany>,
) -> Result<Json<Vec<EndedView>>, Problem> {
    let limit = limit(many.limit, LIMIT_MAX)?;
    Ok(Json(api.sessions.ended().iter().take(limit).map(EndedView::of).collect()))
}

/// One session.
#[utoipa::path(get, path = "/v1/sessions/{id}", tag = "sessions",
    params(("id" = String, Path, description = "Its id", example = "66b1f7a3", pattern = "^[0-9a-fA-F]{1,16}$")),
    responses((status = 200, description = "The session", body = SessionView)))]
async fn one(State(api): State<Shared>, Id(id): Id) -> Result<Json<SessionView>, Problem> {
    let session = find(&api, &id)?;
    Ok(Json(SessionView::of(&session, &api, Instant::now())))
}

/// Ends a session. A publisher may come back, and its broadcast waits for it as long as `publish.grace` says.
#[utoipa::path(delete, path = "/v1/sessions/{id}", tag = "sessions",
    params(("id" = String, Path, description = "Its id", example = "66b1f7a3", pattern = "^[0-9a-fA-F]{1,16}$")),
    responses((status = 204, description = "It ends within a second")))]
async fn kick(State(api): State<Shared>, Id(id): Id) -> Result<StatusCode, Problem> {
    Sessions::end(&*find(&api, &id)?, Ending::Kicked);
    Ok(StatusCode::NO_CONTENT)
}

fn find(api: &Api, id: &str) -> Result<std::sync::Arc<Session>, Problem> {
    let found = api.sessions.find(session_id(id)?);
    found.ok_or_else(|| {
        Problem::not_found("there is no such session; /v1/sessions/ended lists those that are over")
    })
}

fn session_id(text: &str) -> Result<SessionId, Problem> {
    text.parse().map_err(|_| Problem::bad_request("an id of a session has hexadecimal digits only"))
}

/// How many are listed.
pub(super) fn limit(asked: Option<usize>, default: usize) -> Result<usize, Problem> {
    match asked.unwrap_or(default) {
        limit @ 1..=LIMIT_MAX => Ok(limit),
        other => Err(Problem::bad_request(format!("limit is {other}; it must be 1 to {LIMIT_MAX}"))),
    }
}

impl SessionView {
    pub(super) fn of(session: &Session, api: &Api, now: Instant) -> SessionView {
        SessionView {
            id: session.id.to_string(),
            role: session.role.into(),
            protocol: session.ask.protocol.as_str(),
            path: session.path.to_string(),
            peer: session.ask.peer.to_string(),
            since: rfc3339(session.began),
            age_s: seconds(now.saturating_duration_since(session.since)),
            bytes: session.bytes(),
            skips: session.skips(),
            transcoded: session.transcoded().map(codec),
            user: session.who.clone(),
            user_agent: session.ask.agent.clone(),
            expires: session.expires.map(|at| api.anchor.text(at)),
            link: session.link().map(|link| LinkView::of(&link)),
        }
    }
}

impl LinkView {
    fn of(link: &Link) -> LinkView {
        LinkView {
            rtt_ms: millis(link.rtt),
            latency_ms: millis(link.latency),
            packets: link.packets,
            missed: link.missed,
            resent: link.resent,
            lost: link.lost,
            bits_per_s: link.bits_per_s,
            encrypted: link.is_encrypted,
        }
    }
}

impl EndedView {
    fn of(ended: &Ended) -> EndedView {
        let session = &ended.session;
        EndedView {
            id: session.id.to_string(),
            role: session.role.into(),
            protocol: session.ask.protocol.as_str(),
            path: session.path.to_string(),
            peer: session.ask.peer.to_string(),
            since: rfc3339(session.began),
            duration_s: seconds(ended.after),
            bytes: session.bytes(),
            skips: session.skips(),
            user_agent: session.ask.agent.clone(),
            reason: ended.reason.label(),
            reason_text: ended.reason.as_str(),
        }
    }
}

impl From<sessions::Role> for SessionRole {
    fn from(role: sessions::Role) -> SessionRole {
        match role {
            Role::Publisher => SessionRole::Publisher,
            Role::Viewer => SessionRole::Viewer,
        }
    }
}

/// Viewers of a protocol that has no connection that lasts are an estimate.
pub(super) const ESTIMATED: &str = Protocol::Hls.as_str();
