//! Stages on the public listener: members accept their invitation, come and go; they and the audience read who is there and wait for
//! what changes.
//!
//! `GET /live/NAME/stage`, `POST /live/NAME/stage/accept`, `…/join`, `…/leave`. What administrators do is not here.

use super::caller::Caller;
use super::head::broadcast_path;
use super::service::{Answer, Service, json, text};
use crate::auth::{Action, Ask, Looker, Refusal};
use crate::gateway::random_bytes;
use crate::sessions::Protocol;
use crate::stage::{Member, Nonce, Stage, StageError};
use http::header::{ALLOW, HeaderValue};
use http::{Method, Request, StatusCode};
use hub::BroadcastPath;
use hyper::body::Incoming;
use serde::{Deserialize, Serialize};
use std::time::{Duration, SystemTime};
use tokio::time::Instant;

/// What a request is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    path: BroadcastPath,
    verb: Verb,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verb {
    Look,
    Accept,
    Join,
    Leave,
}

/// What is accepted.
#[derive(Deserialize)]
struct Invited {
    invitation: String,
}

/// A member's pass, and what it opens.
#[derive(Serialize)]
struct Accepted {
    /// For `Authorization: Bearer …` and `?token=…`.
    pass: String,
    expires: String,
    #[serde(flatten)]
    stage: StageDocument,
}

/// A stage, or a broadcast that is in a match, as members and audience see it. Paths are without vhost, as URLs are.
#[derive(Debug, Serialize)]
struct StageDocument {
    path: String,
    title: String,
    /// Another one after every change.
    version: u64,
    /// Whose pass was shown.
    you: Option<String>,
    members: Vec<MemberEntry>,
    /// The members whom the audience is shown, in this order.
    layout: Vec<String>,
    #[serde(rename = "match")]
    matched: Option<MatchEntry>,
}

#[derive(Debug, Serialize)]
struct MemberEntry {
    name: String,
    path: String,
    /// `invited`, `on_stage` or `away`; the audience sees those on the stage only.
    state: &'static str,
    publishes: bool,
    audio_muted: bool,
    video_muted: bool,
}

#[derive(Debug, Serialize)]
struct MatchEntry {
    with: String,
    /// What is to be shown of the other side.
    pictures: Vec<String>,
    ends: String,
    ends_in_s: f64,
    /// A `?token=…` that plays the pictures until the match ends, where playing needs one.
    token: Option<String>,
}

/// An invitation has some 300 bytes.
const BODY_BYTES_MAX: usize = 8 << 10;
/// How long a request waits for a change; proxies close connections on which nothing happens for a minute.
const HOLD_MAX: Duration = Duration::from_secs(20);

/// Reads the path of a URL.
pub(super) fn target(path: &str) -> Option<Target> {
    let (front, last) = path.rsplit_once('/')?;
    let (broadcast, verb) = match last {
        "stage" => (front, Verb::Look),
        _ => {
            let verb = match last {
                "accept" => Verb::Accept,
                "join" => Verb::Join,
                "leave" => Verb::Leave,
                _ => return None,
            };
            (front.strip_suffix("/stage")?, verb)
        }
    };
    Some(Target { path: broadcast_path(broadcast)?, verb })
}

impl Service {
    /// Answers a request about a stage.
    pub(super) async fn stage(&self, target: &Target, request: &mut Request<Incoming>) -> Answer {
        let allowed = if target.verb == Verb::Look { Method::GET } else { Method::POST };
        if *request.method() == Method::OPTIONS {
            return super::service::preflight();
        }
        if *request.method() != allowed {
            let mut answer =
                text(StatusCode::METHOD_NOT_ALLOWED, &format!("answered here: {allowed}, OPTIONS\n"));
            let allow = if allowed == Method::GET { "GET, OPTIONS" } else { "OPTIONS, POST" };
            answer.headers_mut().insert(ALLOW, HeaderValue::from_static(allow));
            return answer;
        }
        let query = request.uri().query().unwrap_or_default().to_owned();
        let caller = Caller::of(request);
        // No media goes this way, and no session begins; what asks is a page.
        let ask = caller.asks(Action::Play, target.path.clone(), &query, (self.peer, Protocol::Hls));
        let answered = match target.verb {
            Verb::Look => self.look(&ask, &query).await,
            Verb::Accept => self.accept(&ask, request).await,
            Verb::Join => self.step(&ask, true).await,
            Verb::Leave => self.step(&ask, false).await,
        };
        answered.unwrap_or_else(|refusal| refused(&refusal))
    }

    /// The stage now, or, `after` a version that is still the newest, as soon as it changes.
    async fn look(&self, ask: &Ask, query: &str) -> Result<Answer, Refusal> {
        let after = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "after");
        let after = after.and_then(|(_, version)| version.parse::<u64>().ok());
        let deadline = Instant::now() + HOLD_MAX;
        let mut hold = after.and_then(|_| self.gateway.auth.stages().hold());
        loop {
            let (path, looker) = self.gateway.auth.looks(ask).await?;
            let Some(document) = self.document(ask, &path, &looker) else {
                return Err(StageError::NoStage(ask.path.clone()).into());
            };
            let is_known = after == Some(document.version);
            match hold.as_mut().filter(|_| is_known) {
                None => return Ok(json(&document)),
                Some(held) => {
                    if !matches!(tokio::time::timeout_at(deadline, held.changed()).await, Ok(true)) {
                        hold = None;
                    }
                }
            }
        }
    }

    async fn accept(&self, ask: &Ask, request: &mut Request<Incoming>) -> Result<Answer, Refusal> {
        let body = match self.whole(request, BODY_BYTES_MAX).await {
            Ok(body) => body,
            Err(answer) => return Ok(answer),
        };
        let Ok(invited) = serde_json::from_slice::<Invited>(&body) else {
            return Ok(text(StatusCode::BAD_REQUEST, "wanted: {\"invitation\": \"…\"}\n"));
        };
        let Ok(random) = random_bytes() else {
            return Ok(text(StatusCode::INTERNAL_SERVER_ERROR, "the system gives no random bytes\n"));
        };
        let (nonce, until) = (Nonce(u128::from_ne_bytes(random)), SystemTime::now() + self.gateway.pass);
        let signed = self.gateway.auth.accept(ask, &invited.invitation, (nonce, until)).await?;
        let looker = Looker::Member(signed.name);
        let Some(stage) = self.document(ask, &signed.stage.path, &looker) else {
            return Err(StageError::NoStage(ask.path.clone()).into());
        };
        let expires = humantime::format_rfc3339_seconds(signed.expires).to_string();
        Ok(json(&Accepted { pass: signed.token, expires, stage }))
    }

    async fn step(&self, ask: &Ask, on_stage: bool) -> Result<Answer, Refusal> {
        let (stage, name) = self.gateway.auth.step(ask, on_stage).await?;
        let document = self.document(ask, &stage.path, &Looker::Member(name));
        document.map(|document| json(&document)).ok_or_else(|| StageError::NoStage(ask.path.clone()).into())
    }

    /// What `looker` sees of the stage or broadcast of this whole path; `None` if it is neither a stage nor in a match.
    fn document(&self, ask: &Ask, path: &BroadcastPath, looker: &Looker) -> Option<StageDocument> {
        let state = self.gateway.auth.stages().now();
        let stage = state.stage(path);
        let found = state.match_of(path);
        let shown = Shown::new(path, &ask.path);
        let entry = |found: &std::sync::Arc<crate::stage::Match>| {
            let other = found.other(path)?;
            Some(MatchEntry {
                with: shown.of(other)?,
                pictures: state.pictures(other).iter().filter_map(|path| shown.of(path)).collect(),
                ends: humantime::format_rfc3339_seconds(found.ends).to_string(),
                ends_in_s: found.ends.duration_since(SystemTime::now()).unwrap_or_default().as_secs_f64(),
                token: self.gateway.auth.match_pass(found, path),
            })
        };
        let version = stage.map(|stage| stage.version).or(found.map(|found| found.version))?;
        Some(StageDocument {
            path: ask.path.to_string(),
            title: stage.map(|stage| stage.title.clone()).unwrap_or_default(),
            version,
            you: match looker {
                Looker::Member(name) => Some(name.clone()),
                Looker::Audience => None,
            },
            members: stage.map(|stage| members(stage, &shown, looker)).unwrap_or_default(),
            layout: stage
                .map(|stage| stage.layout().iter().map(|member| member.name.to_string()).collect())
                .unwrap_or_default(),
            matched: found.and_then(entry),
        })
    }
}

fn members(stage: &Stage, shown: &Shown, looker: &Looker) -> Vec<MemberEntry> {
    let is_shown = |member: &&Member| *looker != Looker::Audience || member.is_on_stage();
    let entry = |member: &Member| {
        Some(MemberEntry {
            name: member.name.to_string(),
            path: shown.of(&member.path)?,
            state: match (member.is_invited(), member.is_on_stage()) {
                (true, _) => "invited",
                (_, true) => "on_stage",
                (_, false) => "away",
            },
            publishes: member.publishes,
            audio_muted: member.muting.audio(),
            video_muted: member.muting.video(),
        })
    };
    stage.members.iter().filter(is_shown).filter_map(entry).collect()
}

/// How whole paths are called in URLs of the caller's vhost.
struct Shown {
    /// The vhost and a slash, or nothing.
    before: String,
}

impl Shown {
    fn new(whole: &BroadcastPath, asked: &BroadcastPath) -> Shown {
        Shown { before: whole.as_str().strip_suffix(asked.as_str()).unwrap_or_default().to_owned() }
    }

    /// None for a path of another vhost.
    fn of(&self, path: &BroadcastPath) -> Option<String> {
        path.as_str().strip_prefix(self.before.as_str()).map(str::to_owned)
    }
}

fn refused(refusal: &Refusal) -> Answer {
    let status = match refusal {
        Refusal::Stage(StageError::NoStage(_)) => StatusCode::NOT_FOUND,
        Refusal::Stage(StageError::InvitationSpent) => StatusCode::CONFLICT,
        Refusal::Stage(StageError::Closing) => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::FORBIDDEN,
    };
    text(status, &format!("{refusal}\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_name_a_stage_and_what_is_wanted_of_it() {
        let check = |path: &str, expect: Option<(&str, Verb)>| {
            let found = target(path);
            assert_eq!(found.as_ref().map(|t| (t.path.as_str(), t.verb)), expect, "{path}");
        };
        check("/live/show/stage", Some(("live/show", Verb::Look)));
        check("/live/show/stage/accept", Some(("live/show", Verb::Accept)));
        check("/a/b/c/stage/leave", Some(("a/b/c", Verb::Leave)));
        check("/live/show/stage/kick", None);
        check("/stage", None);
        check("/live/stage", None);
        check("/live/../stage", None);
        check("/live/show/accept", None);
    }

    #[test]
    fn a_vhost_stands_in_no_url_and_another_one_is_not_shown() {
        let path = |text: &str| BroadcastPath::parse(text).unwrap();
        let own = Shown::new(&path("shop/live/show"), &path("live/show"));
        assert_eq!(own.of(&path("shop/live/show/alice")).as_deref(), Some("live/show/alice"));
        assert_eq!(own.of(&path("live/other")), None);
        let default = Shown::new(&path("live/show"), &path("live/show"));
        assert_eq!(default.of(&path("live/other")).as_deref(), Some("live/other"));
    }
}
