//! WHIP and WHEP as HTTP. RFC 9725; draft-ietf-wish-whep.

use super::caller::Caller;
use super::service::{Answer, Service, empty, full, preflight, refused, text};
use crate::auth::Action;
use crate::gateway::{Changed, Created, NotCreated, OfferTarget, Offers};
use crate::transcode::Unavailable;
use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderValue, IF_MATCH, LINK, LOCATION, RETRY_AFTER,
};
use http::{Method, Request, Response, StatusCode, Uri};
use hyper::body::Incoming;

/// A browser's offer has some 7 kB; with a dozen sections it has 40.
const OFFER_BYTES_MAX: usize = 64 << 10;
/// What is said to who comes when there is no room.
const RETRY_AFTER_S: u64 = 5;
const SDP: &str = "application/sdp";
const FRAGMENT: &str = "application/trickle-ice-sdpfrag";

impl Service {
    /// Answers a request to one of the two endpoints, or to a connection.
    pub(super) async fn offer(&self, target: &OfferTarget, request: &mut Request<Incoming>) -> Answer {
        let Some(offers) = &self.gateway.offers else {
            return text(StatusCode::NOT_FOUND, "WebRTC is turned off here (webrtc.enabled)\n");
        };
        match (&target.connection, request.method()) {
            (_, &Method::OPTIONS) => accepting(preflight()),
            (None, &Method::POST) => self.create(target, request).await,
            (None, _) => not_allowed("OPTIONS, POST"),
            (Some(_), &Method::DELETE) => {
                if offers.end(target) {
                    answer(StatusCode::OK)
                } else {
                    gone()
                }
            }
            (Some(_), &Method::PATCH) => self.change(offers, target, request).await,
            (Some(_), _) => not_allowed("DELETE, OPTIONS, PATCH"),
        }
    }

    async fn create(&self, target: &OfferTarget, request: &mut Request<Incoming>) -> Answer {
        let Some(offers) = &self.gateway.offers else { return gone() };
        let is_sdp = |value: &HeaderValue| {
            value.to_str().is_ok_and(|v| v.trim().to_ascii_lowercase().starts_with(SDP))
        };
        if !request.headers().get(CONTENT_TYPE).is_some_and(is_sdp) {
            return text(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "an offer is wanted: Content-Type: application/sdp\n",
            );
        }
        let offer = match self.sdp(request).await {
            Ok(offer) => offer,
            Err(answer) => return answer,
        };
        let caller = Caller::of(request);
        let action = target.action();
        let query = with_key(request.uri().query().unwrap_or_default(), action, caller.bearer.as_deref());
        let ask = caller.asks(action, target.path.clone(), &query, (self.peer, target.protocol));
        match offers.create(target, ask, &offer, self.peer).await {
            Ok(created) => created_answer(created),
            Err(why) => {
                tracing::debug!(path = %target.path, protocol = target.protocol.as_str(), %why, "no connection");
                let answer = not_created(&why);
                let full = matches!(why, NotCreated::TooMuch(_) | NotCreated::Overloaded);
                let elsewhere = offers
                    .overflow
                    .as_ref()
                    .filter(|_| full && answer.status() == StatusCode::SERVICE_UNAVAILABLE);
                elsewhere.and_then(|server| sent_on(server, request.uri())).unwrap_or(answer)
            }
        }
    }

    /// More candidates of a client, or an ICE restart. RFC 9725 §4.3.
    async fn change(&self, offers: &Offers, target: &OfferTarget, request: &mut Request<Incoming>) -> Answer {
        if !request
            .headers()
            .get(CONTENT_TYPE)
            .is_some_and(|value| value.as_bytes().starts_with(FRAGMENT.as_bytes()))
        {
            return text(StatusCode::UNSUPPORTED_MEDIA_TYPE, &format!("wanted: Content-Type: {FRAGMENT}\n"));
        }
        let matched =
            request.headers().get(IF_MATCH).and_then(|value| value.to_str().ok()).map(str::to_owned);
        match self.sdp(request).await {
            Ok(fragment) => changed_answer(offers.change(target, matched.as_deref(), &fragment)),
            Err(answer) => answer,
        }
    }

    /// The body of a request: an offer, or a part of one.
    async fn sdp(&self, request: &mut Request<Incoming>) -> Result<String, Answer> {
        let body = self.whole(request, OFFER_BYTES_MAX).await?;
        String::from_utf8(body.into()).map_err(|_| text(StatusCode::BAD_REQUEST, "the body is no text\n"))
    }
}

/// What came of a change, as HTTP says it.
fn changed_answer(changed: Changed) -> Answer {
    match changed {
        Changed::Noted => answer(StatusCode::NO_CONTENT),
        Changed::Gone => gone(),
        Changed::Restarted { etag, fragment } => {
            let mut answer = Response::new(full(fragment));
            answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(FRAGMENT));
            if let Ok(etag) = HeaderValue::try_from(etag) {
                answer.headers_mut().insert(ETAG, etag);
            }
            answer
        }
        Changed::Unconditional => {
            text(StatusCode::PRECONDITION_REQUIRED, "If-Match is wanted: the ETag of the ICE session, or *\n")
        }
        Changed::Other => {
            text(StatusCode::PRECONDITION_FAILED, "the connection has another ICE session by now\n")
        }
        Changed::Unreadable => {
            text(StatusCode::BAD_REQUEST, "a=ice-ufrag and a=ice-pwd are wanted (RFC 8839)\n")
        }
    }
}

/// Encoders that know WHIP have one field for a secret and send it as a bearer token, a stream key too. Tokens have two dots
/// (RFC 7519 §7.1), stream keys have none.
pub(super) fn with_key(query: &str, action: Action, bearer: Option<&str>) -> String {
    let has_key = form_urlencoded::parse(query.as_bytes()).any(|(name, _)| name == "key");
    match bearer.filter(|secret| action == Action::Publish && !has_key && !secret.contains('.')) {
        Some(key) => {
            let mut with = form_urlencoded::Serializer::new(query.to_owned());
            with.append_pair("key", key).finish()
        }
        None => query.to_owned(),
    }
}

fn created_answer(created: Created) -> Answer {
    let mut answer = Response::new(full(created.answer));
    *answer.status_mut() = StatusCode::CREATED;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(SDP));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    for link in created.links.iter().filter_map(|link| HeaderValue::try_from(link).ok()) {
        headers.append(LINK, link);
    }
    for (name, value) in [(LOCATION, created.location), (ETAG, created.etag)] {
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(name, value);
        }
    }
    answer
}

/// The same at another server. RFC 9725 §4.5.
fn sent_on(server: &str, uri: &Uri) -> Option<Answer> {
    let there = HeaderValue::try_from(format!("{server}{}", uri.path_and_query()?)).ok()?;
    let mut answer =
        text(StatusCode::TEMPORARY_REDIRECT, "there is no room here right now; another server has some\n");
    answer.headers_mut().insert(LOCATION, there);
    Some(answer)
}

fn not_created(why: &NotCreated) -> Answer {
    let status = match why {
        NotCreated::TooMuch(too_much) => return refused(too_much),
        NotCreated::Refused(crate::auth::Refusal::Hub(_)) => StatusCode::CONFLICT,
        NotCreated::Refused(_) => StatusCode::FORBIDDEN,
        NotCreated::Offer(_) => StatusCode::BAD_REQUEST,
        NotCreated::NotLive(_) => StatusCode::NOT_FOUND,
        NotCreated::NothingToSend(_)
        | NotCreated::Reordered(_)
        | NotCreated::Unwanted(_)
        | NotCreated::NotRecoded(_, Unavailable::NotInstalled(_)) => StatusCode::NOT_ACCEPTABLE,
        NotCreated::NotRecoded(..) | NotCreated::Overloaded => StatusCode::SERVICE_UNAVAILABLE,
    };
    let mut answer = text(status, &format!("{why}\n"));
    if status == StatusCode::SERVICE_UNAVAILABLE {
        answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from(RETRY_AFTER_S));
    }
    answer
}

/// RFC 9725 §4.2: `Accept-Post` tells what an endpoint takes.
fn accepting(mut answer: Answer) -> Answer {
    answer.headers_mut().insert("accept-post", HeaderValue::from_static(SDP));
    answer
}

fn not_allowed(allowed: &'static str) -> Answer {
    let mut answer = text(StatusCode::METHOD_NOT_ALLOWED, &format!("answered here: {allowed}\n"));
    answer.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    accepting(answer)
}

fn gone() -> Answer {
    text(StatusCode::NOT_FOUND, "no such connection: it ended, or never was\n")
}

fn answer(status: StatusCode) -> Answer {
    let mut answer = Response::new(empty());
    *answer.status_mut() = status;
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bearer_that_is_no_token_is_a_stream_key() {
        assert_eq!(with_key("", Action::Publish, Some("s3cret")), "key=s3cret");
        assert_eq!(with_key("a=b", Action::Publish, Some("s3&cret")), "a=b&key=s3%26cret");
        assert_eq!(with_key("key=x", Action::Publish, Some("s3cret")), "key=x");
        assert_eq!(with_key("", Action::Publish, Some("a.b.c")), "");
        assert_eq!(with_key("", Action::Play, Some("s3cret")), "");
    }
}
