//! `/v1/events`: what happens, as it happens.

use super::extract::Parameters;
use super::guards::Guards;
use super::health::{Status, seconds};
use super::live::{self, Accepts};
use super::problem::Problem;
use super::sessions::{SessionRole, limit};
use super::stage_events::OnStage;
use super::time::rfc3339;
use super::{Api, Shared};
use crate::reload::Reloaded;
use crate::ring::Ring;
use crate::sessions::{Ended, Session};
use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use hub::{Broadcast, BroadcastPath};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Instant, SystemTime};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Something that happened.
#[derive(Debug)]
pub(super) struct Event {
    at: SystemTime,
    what: What,
}

#[derive(Debug)]
enum What {
    SessionBegan(Arc<Session>),
    SessionEnded(Ended),
    BroadcastBegan(BroadcastPath),
    BroadcastEnded(BroadcastPath),
    HealthChanged(BroadcastPath, Status, Vec<&'static str>),
    ConfigReloaded(Reloaded),
    OnStage(OnStage),
    Missed(u64),
}

/// An event. Which fields it has depends on its type.
#[derive(Debug, Default, Serialize, ToSchema)]
struct EventView {
    /// Grows with every event; `Last-Event-ID` goes on behind it.
    id: u64,
    /// When, in RFC 3339.
    time: String,
    /// `session.began`, `session.ended`, `broadcast.began`, `broadcast.ended`, `health.changed`, `config.reloaded`,
    /// `stage.began`, `stage.ended`, `stage.joined`, `stage.left`, `match.began`, `match.ended`, or `events.missed` where too much
    /// happened at once.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The broadcast.
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    /// The session's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<SessionRole>,
    #[serde(skip_serializing_if = "Option::is_none")]
    protocol: Option<&'static str>,
    /// Address and port of the session's other side.
    #[serde(skip_serializing_if = "Option::is_none")]
    peer: Option<String>,
    /// Who went on the stage or left it.
    #[serde(skip_serializing_if = "Option::is_none")]
    member: Option<String>,
    /// Whom the broadcast is matched with.
    #[serde(skip_serializing_if = "Option::is_none")]
    opposite: Option<String>,
    /// Why the session ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    /// How long the session was.
    #[serde(skip_serializing_if = "Option::is_none")]
    duration_s: Option<f64>,
    /// Media bytes that went through it.
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
    /// The broadcast's health now.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Status>,
    /// Codes of what the publisher could do better.
    #[serde(skip_serializing_if = "Option::is_none")]
    advice: Option<Vec<&'static str>>,
    /// Keys that hold from now on.
    #[serde(skip_serializing_if = "Option::is_none")]
    applied: Option<Vec<String>>,
    /// Keys that hold after a restart.
    #[serde(skip_serializing_if = "Option::is_none")]
    needs_restart: Option<Vec<String>>,
    /// Events that are missing here.
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<u64>,
}

/// Which events are listed.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Which {
    /// How many at most, the newest; all 1000 that are kept if not said. Not for `text/event-stream`.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
    /// Only those of these types, parted by commas; `session` means all that begin so.
    types: Option<String>,
}

/// What is known of broadcasts, to see what changes.
#[derive(Debug, Default)]
pub(super) struct Known(HashMap<BroadcastPath, (Instant, Status)>);

/// Events that are kept for who comes back.
const EVENTS_MAX: usize = 1000;
/// The health of a fifth of all broadcasts is looked at in each second: it costs some microseconds each.
const HEALTH_EVERY: u64 = 5;

pub(super) fn routes(guards: &Guards) -> OpenApiRouter<Shared> {
    guards.viewer(OpenApiRouter::new().routes(routes!(events)))
}

/// The ring of all events.
pub(super) fn ring() -> Ring<Event> {
    // Below 2^53, so that scripts can read it, and larger at the next start unless there were a million events a second.
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    Ring::new(EVENTS_MAX, now << 20)
}

/// What happened lately as JSON, or what happens as server-sent events if `Accept` asks for `text/event-stream`; they go on
/// behind `Last-Event-ID`. A connection lasts ten minutes, or until the configuration is reloaded; then come back.
#[utoipa::path(get, path = "/v1/events", tag = "node", params(Which, ("Last-Event-ID" = Option<String>, Header, description = "The last `id` that came; what is none is overlooked")),
    responses((status = 200, description = "Events, oldest first", content(
        ([EventView] = "application/json"), (String = "text/event-stream")))))]
async fn events(
    State(api): State<Shared>,
    Parameters(which): Parameters<Which>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let types = which.types.unwrap_or_default();
    let is_wanted = move |event: &Event| {
        types.is_empty() || types.split(',').any(|wanted| event.kind().starts_with(wanted.trim()))
    };
    if live::accepts(&headers) == Accepts::Events {
        let from = live::last_event_id(&headers).unwrap_or_else(|| api.events.last());
        let line = move |id: u64, event: &Event| {
            is_wanted(event).then(|| (event.kind(), serde_json::json!(event.view(id))))
        };
        let missed = |count| serde_json::json!(Event::now(What::Missed(count)).view(0));
        return Ok(live::follow(&api, &api.events, from, line, missed));
    }
    let limit = limit(which.limit, EVENTS_MAX)?;
    let all: Vec<_> = api.events.all().into_iter().filter(|(_, event)| is_wanted(event)).collect();
    let newest = &all[all.len().saturating_sub(limit)..];
    Ok(Json(newest.iter().map(|(id, event)| event.view(*id)).collect::<Vec<_>>()).into_response())
}

impl Api {
    /// Notes what changed among broadcasts. `second` counts seconds.
    pub(super) fn compare(
        &self,
        known: &mut Known,
        broadcasts: &[Arc<Broadcast>],
        second: u64,
        now: Instant,
    ) {
        let before = std::mem::take(&mut known.0);
        for broadcast in broadcasts.iter().filter(|b| !b.is_ended()) {
            let (path, created) = (broadcast.path(), broadcast.created());
            let mut status = match before.get(path) {
                Some((at, status)) if *at == created => *status,
                other => {
                    if other.is_some() {
                        self.events.push(Event::now(What::BroadcastEnded(path.clone())));
                    }
                    self.events.push(Event::now(What::BroadcastBegan(path.clone())));
                    Status::Ok
                }
            };
            let turn = created.duration_since(self.anchor.began().min(created)).subsec_nanos();
            if (u64::from(turn) + second).is_multiple_of(HEALTH_EVERY) {
                let advice = hub::health::advice(&broadcast.health(now));
                let newer = Status::of(&advice);
                if newer != status {
                    status = newer;
                    let codes = advice.iter().map(|a| a.code.as_str()).collect();
                    self.events.push(Event::now(What::HealthChanged(path.clone(), status, codes)));
                }
            }
            known.0.insert(path.clone(), (created, status));
        }
        for path in before.keys().filter(|path| !known.0.contains_key(*path)) {
            self.events.push(Event::now(What::BroadcastEnded(path.clone())));
        }
    }
}

impl Event {
    fn now(what: What) -> Event {
        Event { at: SystemTime::now(), what }
    }

    pub(super) fn began(session: Arc<Session>) -> Event {
        Event::now(What::SessionBegan(session))
    }

    pub(super) fn ended(ended: Ended) -> Event {
        Event::now(What::SessionEnded(ended))
    }

    pub(super) fn reloaded(reloaded: Reloaded) -> Event {
        Event::now(What::ConfigReloaded(reloaded))
    }

    pub(super) fn on_stage(what: OnStage) -> Event {
        Event::now(What::OnStage(what))
    }

    pub(super) fn missed(count: u64) -> Event {
        Event::now(What::Missed(count))
    }

    fn kind(&self) -> &'static str {
        match &self.what {
            What::SessionBegan(_) => "session.began",
            What::SessionEnded(_) => "session.ended",
            What::BroadcastBegan(_) => "broadcast.began",
            What::BroadcastEnded(_) => "broadcast.ended",
            What::HealthChanged(..) => "health.changed",
            What::ConfigReloaded(_) => "config.reloaded",
            What::OnStage(what) => what.kind,
            What::Missed(_) => "events.missed",
        }
    }

    fn view(&self, id: u64) -> EventView {
        let view = EventView { id, time: rfc3339(self.at), kind: self.kind(), ..EventView::default() };
        match &self.what {
            What::SessionBegan(session) => view.of(session),
            What::SessionEnded(ended) => EventView {
                reason: Some(ended.reason.label()),
                duration_s: Some(seconds(ended.after)),
                bytes: Some(ended.session.bytes()),
                ..view.of(&ended.session)
            },
            What::BroadcastBegan(path) | What::BroadcastEnded(path) => {
                EventView { path: Some(path.to_string()), ..view }
            }
            What::HealthChanged(path, status, codes) => EventView {
                path: Some(path.to_string()),
                status: Some(*status),
                advice: Some(codes.clone()),
                ..view
            },
            What::ConfigReloaded(reloaded) => EventView {
                applied: Some(reloaded.applied.clone()),
                needs_restart: Some(reloaded.needs_restart.clone()),
                ..view
            },
            What::OnStage(what) => EventView {
                path: Some(what.path.to_string()),
                member: what.member.as_ref().map(ToString::to_string),
                opposite: what.opposite.as_ref().map(ToString::to_string),
                ..view
            },
            What::Missed(count) => EventView { count: Some(*count), ..view },
        }
    }
}

impl EventView {
    fn of(self, session: &Session) -> EventView {
        EventView {
            path: Some(session.path.to_string()),
            session: Some(session.id.to_string()),
            role: Some(session.role.into()),
            protocol: Some(session.ask.protocol.as_str()),
            peer: Some(session.ask.peer.to_string()),
            ..self
        }
    }
}
