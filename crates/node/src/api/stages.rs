//! `/v1/stages`: co-hosts, who is invited, on the stage, muted, and what the audience is shown.

use super::extract::{Body, Named, NamedMember};
use super::guards::Guards;
use super::problem::Problem;
use super::time::rfc3339;
use super::{Api, Shared};
use crate::gateway::random_bytes;
use crate::stage::{Command, Done, Member, Nonce, Stage, StageError, Standing, State};
use axum::Json;
use axum::extract::State as Extracted;
use axum::http::StatusCode;
use hub::BroadcastPath;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// A stage.
#[derive(Debug, Serialize, ToSchema)]
struct StageView {
    path: String,
    title: String,
    /// Since when it is there, in RFC 3339.
    began: String,
    /// In the order in which they were invited.
    members: Vec<MemberView>,
    /// The members whom the audience is shown now, in this order.
    layout: Vec<String>,
    /// What was chosen for the audience; null: everybody who is on the stage.
    chosen: Option<Vec<String>>,
    /// The number of the match that it is in.
    #[serde(rename = "match")]
    matched: Option<u64>,
}

/// Somebody who was invited to a stage, or is on it.
#[derive(Debug, Serialize, ToSchema)]
struct MemberView {
    name: String,
    /// The broadcast that it publishes.
    path: String,
    /// `invited`, `on_stage`, or `away` with the seat kept.
    state: &'static str,
    /// When the invitation or the pass ends, in RFC 3339.
    until: String,
    /// Whether media comes from it.
    publishes: bool,
    /// Whether its sound reaches nobody.
    audio_muted: bool,
    /// Whether its pictures reach nobody.
    video_muted: bool,
}

/// An invitation. It is shown once, and lets one person in.
#[derive(Debug, Serialize, ToSchema)]
struct InvitationView {
    name: String,
    /// What is accepted by `POST /live/NAME/stage/accept` on the public listener.
    invitation: String,
    /// When it ends, in RFC 3339.
    expires: String,
    /// The page that accepts it, on the public listener. The part behind the # is sent to no server.
    page: String,
}

/// What a new stage shall be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "path": "live/talk", "title": "Evening talk" }))]
struct WantedStage {
    /// As of a broadcast: `live/talk`. Its members publish below it: `live/talk/alice`.
    path: String,
    /// What its page shows, at most 100 characters.
    #[serde(default)]
    title: String,
}

/// Whom to invite.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "name": "alice", "ttl_s": 3600 }))]
struct Guest {
    /// What it is called on the stage: 1 to 32 small letters, digits, - and _.
    name: String,
    /// How long the invitation holds, in seconds; as `stage.invitation` says if not said.
    #[schema(minimum = 1, maximum = 2_592_000)]
    ttl_s: Option<u64>,
}

/// What shall change of a stage.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "layout": null }))]
struct StageChange {
    /// The members whom the audience is shown, in this order; null: everybody who is on the stage.
    layout: Option<Vec<String>>,
}

/// What shall change of a member; what isn't said stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "audio_muted": true }))]
struct MemberChange {
    /// Whether its sound reaches nobody.
    audio_muted: Option<bool>,
    /// Whether its pictures reach nobody.
    video_muted: Option<bool>,
}

/// The longest time that an invitation may hold. The description has the number, too.
const TTL_S_MAX: u64 = 2_592_000;

pub(super) fn routes(guards: &Guards) -> OpenApiRouter<Shared> {
    let look = OpenApiRouter::new().routes(routes!(list)).routes(routes!(one));
    let act = OpenApiRouter::new()
        .routes(routes!(open))
        .routes(routes!(change, end))
        .routes(routes!(invite))
        .routes(routes!(change_member, remove));
    guards.viewer(look).merge(guards.operator(act))
}

/// All stages.
#[utoipa::path(get, path = "/v1/stages", tag = "stages",
    responses((status = 200, description = "Stages now", body = [StageView])))]
async fn list(Extracted(api): Extracted<Shared>) -> Json<Vec<StageView>> {
    let state = api.stages.now();
    Json(state.stages().map(|stage| StageView::of(stage, &state)).collect())
}

/// One stage.
#[utoipa::path(get, path = "/v1/stages/{path}", tag = "stages",
    params(("path" = String, Path, description = "Its path, slashes written %2F", example = "live/stage")),
    responses((status = 200, description = "The stage", body = StageView)))]
async fn one(Extracted(api): Extracted<Shared>, Named(path): Named) -> Result<Json<StageView>, Problem> {
    let state = api.stages.now();
    let stage = state.stage(&path).ok_or(StageError::NoStage(path))?;
    Ok(Json(StageView::of(stage, &state)))
}

/// Opens a stage. Publishers at paths below it end: from then on only its members publish there.
#[utoipa::path(post, path = "/v1/stages", tag = "stages", request_body = WantedStage,
    responses((status = 201, description = "The stage", body = StageView),
        (status = 409, description = "There is one, or there are too many"), (status = 503, description = "The server is about to end, or a key of `[[auth.jwt]]` can't be read")))]
async fn open(
    Extracted(api): Extracted<Shared>,
    Body(wanted): Body<WantedStage>,
) -> Result<(StatusCode, Json<StageView>), Problem> {
    let path = BroadcastPath::parse(&wanted.path).map_err(|error| Problem::bad_field("path", error))?;
    let stage = changed(&api, Command::Open { path, title: wanted.title }).await?;
    Ok((StatusCode::CREATED, Json(stage)))
}

/// Chooses what the audience is shown.
#[utoipa::path(patch, path = "/v1/stages/{path}", tag = "stages", request_body = StageChange,
    params(("path" = String, Path, description = "Its path, slashes written %2F", example = "live/stage")),
    responses((status = 200, description = "The stage", body = StageView)))]
async fn change(
    Extracted(api): Extracted<Shared>,
    Named(path): Named,
    Body(change): Body<StageChange>,
) -> Result<Json<StageView>, Problem> {
    changed(&api, Command::Choose { path, names: change.layout }).await.map(Json)
}

/// Ends a stage. Its members' sessions end within a second.
#[utoipa::path(delete, path = "/v1/stages/{path}", tag = "stages",
    params(("path" = String, Path, description = "Its path, slashes written %2F", example = "live/stage")),
    responses((status = 204, description = "It is over")))]
async fn end(Extracted(api): Extracted<Shared>, Named(path): Named) -> Result<StatusCode, Problem> {
    api.stages.tell(Command::End { path }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Invites somebody. Who was invited by this name before and didn't come can't any more by the earlier invitation.
#[utoipa::path(post, path = "/v1/stages/{path}/members", tag = "stages", request_body = Guest,
    params(("path" = String, Path, description = "The stage's path, slashes written %2F", example = "live/stage")),
    responses((status = 201, description = "The invitation", body = InvitationView),
        (status = 409, description = "The name is on the stage, or all seats are taken")))]
async fn invite(
    Extracted(api): Extracted<Shared>,
    Named(path): Named,
    Body(guest): Body<Guest>,
) -> Result<(StatusCode, Json<InvitationView>), Problem> {
    let config = api.reloader.running();
    let hold = match guest.ttl_s {
        Some(ttl) if !(1..=TTL_S_MAX).contains(&ttl) => {
            return Err(Problem::bad_field("ttl_s", format!("it must be from 1 to {TTL_S_MAX}")));
        }
        Some(ttl) => Duration::from_secs(ttl),
        None => config.stage.invitation.0,
    };
    let expires = SystemTime::now() + hold;
    let broken = |error: std::io::Error| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string());
    let nonce = Nonce(u128::from_ne_bytes(random_bytes().map_err(broken)?));
    let command =
        Command::Invite { path: path.clone(), name: guest.name.clone(), invitation: nonce, until: expires };
    api.stages.tell(command).await?;
    let signed = api.auth.invitation(&path, &guest.name, nonce, expires);
    let invitation = signed.ok_or_else(|| broken(std::io::Error::other("the invitation can't be signed")))?;
    // On the public listener, a vhost is a host and no part of a path.
    let shown = match path.as_str().split_once('/') {
        Some((first, rest)) if rest.contains('/') && config.vhost.contains_key(first) => rest,
        _ => path.as_str(),
    };
    let mut query = form_urlencoded::Serializer::new(String::new());
    let page = format!("/stage?{}#invitation={invitation}", query.append_pair("path", shown).finish());
    let made = InvitationView { name: guest.name, invitation, expires: rfc3339(expires), page };
    Ok((StatusCode::CREATED, Json(made)))
}

/// Mutes a member for everybody, or not any more.
#[utoipa::path(patch, path = "/v1/stages/{path}/members/{name}", tag = "stages", request_body = MemberChange,
    params(("path" = String, Path, description = "The stage's path, slashes written %2F", example = "live/stage"),
        ("name" = String, Path, description = "The member's name", example = "alice")),
    responses((status = 200, description = "The stage", body = StageView)))]
async fn change_member(
    Extracted(api): Extracted<Shared>,
    NamedMember(path, name): NamedMember,
    Body(change): Body<MemberChange>,
) -> Result<Json<StageView>, Problem> {
    let MemberChange { audio_muted: audio, video_muted: video } = change;
    changed(&api, Command::Mute { path, name, audio, video }).await.map(Json)
}

/// Removes a member, or takes an invitation back. Its sessions end within a second, and its pass is worth nothing any more.
#[utoipa::path(delete, path = "/v1/stages/{path}/members/{name}", tag = "stages",
    params(("path" = String, Path, description = "The stage's path, slashes written %2F", example = "live/stage"),
        ("name" = String, Path, description = "The member's name", example = "alice")),
    responses((status = 204, description = "It is gone")))]
async fn remove(
    Extracted(api): Extracted<Shared>,
    NamedMember(path, name): NamedMember,
) -> Result<StatusCode, Problem> {
    api.stages.tell(Command::Remove { path, name }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Changes a stage; how it is then.
async fn changed(api: &Api, command: Command) -> Result<StageView, Problem> {
    match api.stages.tell(command).await? {
        Done::Stage(stage) => Ok(StageView::of(&stage, &api.stages.now())),
        // No command of a stage is about a match.
        Done::Match(_) => Err(StageError::Closing.into()),
    }
}

impl StageView {
    fn of(stage: &Arc<Stage>, state: &State) -> StageView {
        let names = |names: &Vec<Arc<str>>| names.iter().map(ToString::to_string).collect();
        StageView {
            path: stage.path.to_string(),
            title: stage.title.clone(),
            began: rfc3339(stage.began),
            members: stage.members.iter().map(MemberView::of).collect(),
            layout: stage.layout().iter().map(|member| member.name.to_string()).collect(),
            chosen: stage.chosen.as_ref().map(names),
            matched: state.match_of(&stage.path).map(|found| found.id),
        }
    }
}

impl MemberView {
    fn of(member: &Member) -> MemberView {
        MemberView {
            name: member.name.to_string(),
            path: member.path.to_string(),
            state: match member.standing {
                Standing::Invited { .. } => "invited",
                Standing::Joined { on_stage: true, .. } => "on_stage",
                Standing::Joined { .. } => "away",
            },
            until: rfc3339(member.until()),
            publishes: member.publishes,
            audio_muted: member.muting.audio(),
            video_muted: member.muting.video(),
        }
    }
}

impl From<StageError> for Problem {
    fn from(error: StageError) -> Problem {
        let text = error.to_string();
        match error {
            StageError::NoStage(_) | StageError::NoMember(_) | StageError::NoMatch(_) => {
                Problem::not_found(text)
            }
            StageError::Name => Problem::bad_field("name", text),
            StageError::Title(_) => Problem::bad_field("title", text),
            StageError::SameBroadcast => Problem::bad_field("between", text),
            StageError::Path(_) => Problem::bad_request(text),
            StageError::Closing => Problem::new(StatusCode::SERVICE_UNAVAILABLE, text),
            _ => Problem::new(StatusCode::CONFLICT, text),
        }
    }
}
