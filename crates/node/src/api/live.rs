//! Answers that go on: server-sent events (HTML standard, §9.2).

use super::Api;
use crate::reload::Reloader;
use crate::ring::Ring;
use axum::http::HeaderMap;
use axum::http::header::{ACCEPT, HeaderName};
use axum::response::sse::{self, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde_json::Value;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// What a client wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Accepts {
    Json,
    Events,
}

/// One follower.
struct Follower<T, F, M> {
    ring: Ring<T>,
    newer: watch::Receiver<u64>,
    last: u64,
    waiting: VecDeque<sse::Event>,
    until: Instant,
    reloader: Reloader,
    /// The configuration with which it was let in.
    config: Arc<crate::config::Config>,
    line: F,
    missed: M,
}

/// How long a follower may stay before it has to show its credential again.
const FOLLOW_TIME_MAX: Duration = Duration::from_secs(600);
/// Comments keep proxies from closing a connection on which nothing happens.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

pub(super) fn accepts(headers: &HeaderMap) -> Accepts {
    let asks =
        |value: &axum::http::HeaderValue| value.to_str().is_ok_and(|v| v.contains("text/event-stream"));
    if headers.get_all(ACCEPT).iter().any(asks) { Accepts::Events } else { Accepts::Json }
}

/// Where a client that comes back goes on.
pub(super) fn last_event_id(headers: &HeaderMap) -> Option<u64> {
    headers.get(LAST_EVENT_ID)?.to_str().ok()?.parse().ok()
}

/// All that comes into the ring behind `from`. `line` makes type and data of each, or leaves it out.
pub(super) fn follow<T, F, M>(api: &Api, ring: &Ring<T>, from: u64, line: F, missed: M) -> Response
where
    T: Send + Sync + 'static,
    F: Fn(u64, &T) -> Option<(&'static str, Value)> + Send + 'static,
    M: Fn(u64) -> Value + Send + 'static,
{
    let follower = Follower {
        newer: ring.follow(),
        ring: ring.clone(),
        last: from,
        // Without data it is no event, but who comes back before the first one knows where to go on.
        waiting: VecDeque::from([sse::Event::default().id(from.to_string())]),
        until: Instant::now() + FOLLOW_TIME_MAX,
        reloader: api.reloader.clone(),
        config: api.reloader.running(),
        line,
        missed,
    };
    let events = stream::unfold(follower, |mut follower| async move {
        let event = follower.next().await?;
        Some((Ok::<_, Infallible>(event), follower))
    });
    Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response()
}

impl<T, F, M> Follower<T, F, M>
where
    F: Fn(u64, &T) -> Option<(&'static str, Value)>,
    M: Fn(u64) -> Value,
{
    async fn next(&mut self) -> Option<sse::Event> {
        loop {
            if let Some(event) = self.waiting.pop_front() {
                return Some(event);
            }
            // Who was let in by one configuration may not be by another.
            if !Arc::ptr_eq(&self.config, &self.reloader.running()) {
                return None;
            }
            self.newer.mark_unchanged();
            self.take();
            if self.waiting.is_empty() {
                tokio::select! {
                    changed = self.newer.changed() => changed.ok()?,
                    () = tokio::time::sleep_until(self.until) => return None,
                }
            }
        }
    }

    /// Everything that is new, which is no more than the ring keeps.
    fn take(&mut self) {
        let after = self.ring.after(self.last);
        if after.missed > 0 {
            let data = (self.missed)(after.missed).to_string();
            self.waiting.push_back(sse::Event::default().event("events.missed").data(data));
        }
        for (id, item) in after.items {
            self.last = id;
            if let Some((kind, data)) = (self.line)(id, &item) {
                let event = sse::Event::default().id(id.to_string()).event(kind).data(data.to_string());
                self.waiting.push_back(event);
            }
        }
    }
}
