//! How a broadcast comes in, for whoever may publish it: `GET /live/NAME/health` on the public listener, with the credential that
//! publishes there. It says what the administrators' API says of it, and nothing else of the broadcast.

use super::caller::Caller;
use super::head::broadcast_path;
use super::offers::with_key;
use super::service::{Answer, Service, json, preflight, text};
use crate::api::HealthFull;
use crate::auth::Action;
use crate::sessions::Protocol;
use http::header::{ALLOW, HeaderValue};
use http::{Method, Request, StatusCode};
use hub::BroadcastPath;
use std::time::Instant;

/// Reads the path of a URL.
pub(super) fn target(path: &str) -> Option<BroadcastPath> {
    broadcast_path(path.strip_suffix("/health")?)
}

impl Service {
    /// Answers a request about the input of one broadcast.
    pub(super) async fn health<B>(&self, path: BroadcastPath, request: &Request<B>) -> Answer {
        match *request.method() {
            Method::GET | Method::HEAD => {}
            Method::OPTIONS => return preflight(),
            _ => {
                let mut answer = text(StatusCode::METHOD_NOT_ALLOWED, "answered here: GET, HEAD, OPTIONS\n");
                answer.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD, OPTIONS"));
                return answer;
            }
        }
        let caller = Caller::of(request);
        let query =
            with_key(request.uri().query().unwrap_or_default(), Action::Publish, caller.bearer.as_deref());
        // No media goes this way, and no session begins; what asks is a page.
        let ask = caller.asks(Action::Publish, path, &query, (self.peer, Protocol::Hls));
        let grant = match self.gateway.auth.oversee(ask).await {
            Ok(grant) => grant,
            Err(refusal) => return text(StatusCode::FORBIDDEN, &format!("{refusal}\n")),
        };
        match grant.broadcast() {
            Some(broadcast) => json(&HealthFull::of(&broadcast.health(Instant::now()))),
            None => text(StatusCode::NOT_FOUND, &format!("nobody publishes {}\n", grant.path())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_the_broadcast_whose_health_is_wanted() {
        let check = |path: &str, expect: Option<&str>| {
            assert_eq!(target(path).as_ref().map(BroadcastPath::as_str), expect, "{path}");
        };
        check("/live/show/health", Some("live/show"));
        check("/a/b/%63/health", Some("a/b/c"));
        check("/live/health", None);
        check("/health", None);
        check("/live/../health", None);
        check("/live/show/health/", None);
    }
}
