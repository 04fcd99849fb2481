//! Requests that hyper reads: pages, lists, files of broadcasts, and FLV where the egress plane can't take the
//! connection.

use super::body::FlvBody;
use super::caller::Caller;
use super::leaving::Polls;
use super::listen::Gateway;
use super::{head, health, hls, pages, stage};
use crate::auth::Again;
use crate::gateway::offer_target;
use crate::life::{Life, Phase};
use crate::limits::TooMuch;
use crate::logs::access::{Answered, RequestKind};
use crate::sessions::Protocol;
use crate::tls::Challenges;
use bytes::Bytes;
use http::header::{
    ACCEPT_ENCODING, ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ALLOW, CACHE_CONTROL,
    CONNECTION, CONTENT_TYPE, HOST, HeaderValue, RANGE, RETRY_AFTER, SERVER,
};
use http::{Method, Request, Response, StatusCode, Version};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use serde::Serialize;
use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

/// What hyper is answered with.
pub(crate) type Answer = Response<UnsyncBoxBody<Bytes, Infallible>>;

/// The service of one connection.
#[derive(Clone, Debug)]
pub(super) struct Service {
    pub(super) gateway: Arc<Gateway>,
    /// Who is at the other end of the connection; while a request is answered, its client.
    pub(super) peer: SocketAddr,
    pub(super) life: Life,
    pub(super) polls: Polls,
}

impl Service {
    pub(super) fn new(gateway: Arc<Gateway>, peer: SocketAddr, life: Life, polls: Polls) -> Service {
        Service { gateway, peer, life, polls }
    }

    async fn answer(&self, request: &Request<Incoming>) -> Answer {
        let path = request.uri().path();
        // Two hosts could mean one vhost here and another in a proxy (RFC 9112 §3.2).
        if request.headers().get_all(HOST).iter().count() > 1 {
            return text(StatusCode::BAD_REQUEST, "one Host is enough\n");
        }
        if request.method() == Method::OPTIONS {
            return preflight();
        }
        if request.method() != Method::GET && request.method() != Method::HEAD {
            let mut answer = text(StatusCode::METHOD_NOT_ALLOWED, "GET and HEAD are answered here\n");
            answer.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD, OPTIONS"));
            return answer;
        }
        if path == "/api/broadcasts" {
            return json(&self.broadcasts(request));
        }
        if let Some(token) = path.strip_prefix(Challenges::PATH) {
            return match self.gateway.challenges.answer(token) {
                Some(answer) => text(StatusCode::OK, &answer),
                None => text(StatusCode::NOT_FOUND, "no such challenge\n"),
            };
        }
        if let Some(path) = head::flv_path(path) {
            return self.flv(path, request).await;
        }
        pages::answer(path, request.headers())
    }

    /// A file below a broadcast, held until it exists; anything else is answered at once.
    async fn answer_when_there(&self, request: &Request<Incoming>) -> Answer {
        let uri = request.uri();
        let playable = matches!(*request.method(), Method::GET | Method::HEAD);
        match hls::target(uri.path()).filter(|_| playable) {
            Some(target) => {
                let header = |name| request.headers().get(name).and_then(|v: &HeaderValue| v.to_str().ok());
                let wishes = hls::Wishes {
                    accept_encoding: header(ACCEPT_ENCODING),
                    range: header(RANGE),
                    file: false,
                };
                let caller = Caller::of(request);
                // Who has one connection for all is told on that connection that there is another process.
                let one_for_all = request.version() >= Version::HTTP_2;
                let phase = self.life.phase();
                let phase = if one_for_all { phase.min(Phase::Draining) } else { phase };
                let at = (self.peer, phase);
                let file = hls::FileAsk { target: &target, query: uri.query(), caller: &caller, wishes };
                // One connection may carry requests of many clients.
                let answer = self.gateway.file(file, at, &mut Again::default()).await;
                Response::from(answer).map(body)
            }
            None => self.answer(request).await,
        }
    }

    async fn flv(&self, path: hub::BroadcastPath, request: &Request<Incoming>) -> Answer {
        let query = request.uri().query().unwrap_or_default();
        let ask = Caller::of(request).asks_to_play(path, query, self.peer, Protocol::Flv);
        let grant = match self.gateway.auth.play(ask).await {
            Ok(grant) => grant,
            Err(refusal) => return text(StatusCode::FORBIDDEN, &format!("{refusal}\n")),
        };
        match grant.play().await {
            Err(demand) => text(StatusCode::NOT_FOUND, &format!("nobody publishes {}\n", demand.path())),
            Ok(playing) => {
                let head_only = request.method() == Method::HEAD;
                let body = if head_only {
                    empty()
                } else {
                    FlvBody::new(playing, &self.gateway.metrics).boxed_unsync()
                };
                let mut answer = Response::new(body);
                let headers = answer.headers_mut();
                headers.insert(CONTENT_TYPE, HeaderValue::from_static("video/x-flv"));
                headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
                answer
            }
        }
    }

    fn answered(&self, request: &Request<Incoming>, answer: &Answer, began: Instant) {
        let path = request.uri().path();
        let kind = if hls::target(path).is_some() {
            RequestKind::Hls
        } else if head::flv_path(path).is_some() {
            RequestKind::Flv
        } else {
            RequestKind::Other
        };
        self.gateway.answered(&Answered {
            kind,
            method: request.method().as_str(),
            path,
            status: answer.status().as_u16(),
            bytes: http_body::Body::size_hint(answer.body()).exact(),
            after: began.elapsed(),
            peer: self.peer,
        });
    }

    /// What anyone may play in the caller's vhost.
    fn broadcasts(&self, request: &Request<Incoming>) -> BroadcastList {
        let host = Caller::of(request).host;
        let query = request.uri().query().unwrap_or_default();
        let listing = self.gateway.auth.listing(host.as_deref(), query);
        let all = self.gateway.hub.broadcasts();
        let state = self.gateway.auth.stages().now();
        let entry = |b: &Arc<hub::Broadcast>| {
            let opposite = state.match_of(b.path()).and_then(|found| found.other(b.path()));
            let pictures = opposite.map(|opposite| state.pictures(opposite)).unwrap_or_default();
            let pictures = pictures.iter().filter_map(|path| listing.shown(path));
            BroadcastEntry::of(b, &listing.shown(b.path())?, pictures.map(|path| path.to_string()).collect())
        };
        let mut broadcasts: Vec<_> = all.iter().filter_map(entry).collect();
        broadcasts.sort_by(|a, b| a.path.cmp(&b.path));
        BroadcastList { publish_port: self.gateway.publish_port, broadcasts }
    }
}

/// What pages of other origins may read, beside the headers that they always may (Fetch standard, §2.2.2).
pub(super) const EXPOSED: &str =
    "Age, Content-Encoding, Content-Length, Content-Range, Date, ETag, Link, Location, Retry-After, Server";

impl hyper::service::Service<Request<Incoming>> for Service {
    type Response = Answer;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Answer, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let mut service = self.clone();
        let mut request = request;
        Box::pin(async move {
            let began = Instant::now();
            // Requests of many clients may come through one connection of a proxy.
            let limits = service.gateway.limits.clone();
            service.peer = limits.client(service.peer, &Caller::of(&request).told);
            let offer = offer_target(request.uri().path());
            let mut answer = match limits.request(service.peer.ip()).map(|()| service.too_late(&request)) {
                Ok(Some(too_late)) => too_late,
                Ok(None) => match offer {
                    Some(target) => service.offer(&target, &mut request).await,
                    None => match stage::target(request.uri().path()) {
                        Some(target) => service.stage(&target, &mut request).await,
                        None => match health::target(request.uri().path()) {
                            Some(path) => service.health(path, &request).await,
                            None => service.answer_when_there(&request).await,
                        },
                    },
                },
                Err(too_much) => refused(&too_much),
            };
            service.answered(&request, &answer, began);
            let comes_over = answer.status() == StatusCode::TEMPORARY_REDIRECT;
            if comes_over && service.life.phase() > Phase::Draining && request.version() < Version::HTTP_2 {
                answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            let headers = answer.headers_mut();
            headers.insert(SERVER, HeaderValue::from_static(crate::SERVER));
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
            Ok(answer)
        })
    }
}

/// The public list of what is live.
#[derive(Debug, Serialize)]
struct BroadcastList {
    /// Where publishers connect to, for the page that says how.
    publish_port: u16,
    broadcasts: Vec<BroadcastEntry>,
}

#[derive(Debug, Serialize)]
struct BroadcastEntry {
    path: String,
    viewers: u64,
    /// Mean bitrate since it began.
    kbit_s: u64,
    video: Option<String>,
    audio: Option<String>,
    since_s: u64,
    /// What is to be shown beside it, while it is in a match.
    opposite: Vec<String>,
}

impl BroadcastEntry {
    fn of(
        broadcast: &Arc<hub::Broadcast>,
        shown: &hub::BroadcastPath,
        opposite: Vec<String>,
    ) -> Option<BroadcastEntry> {
        let catalog = broadcast.catalog()?;
        let since = broadcast.created().elapsed();
        let name = |kind| catalog.first(kind).map(|track| format!("{:?}", track.codec).to_uppercase());
        let size = catalog.first(media::Kind::Video).and_then(media::Track::video_size);
        let video = name(media::Kind::Video).map(|n| size.map_or(n.clone(), |(w, h)| format!("{n} {w}x{h}")));
        let rate = catalog.first(media::Kind::Audio).map(|t| t.audio_format().sample_rate / 1000);
        let audio = name(media::Kind::Audio).zip(rate).map(|(n, r)| format!("{n} {r} kHz"));
        Some(BroadcastEntry {
            path: shown.to_string(),
            viewers: broadcast.viewers(),
            kbit_s: (broadcast.ingest_totals().1 as f64 * 8.0 / 1000.0 / since.as_secs_f64().max(0.5)) as u64,
            video,
            audio,
            since_s: since.as_secs(),
            opposite,
        })
    }
}

/// Anything, as JSON.
pub(super) fn json(value: &impl Serialize) -> Answer {
    let body = serde_json::to_vec(value).unwrap_or_default();
    let mut answer = Response::new(full(body));
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

/// A short text for a person.
pub(super) fn text(status: StatusCode, text: &str) -> Answer {
    let mut answer = Response::new(full(text.to_owned()));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    answer
}

pub(super) fn refused(too_much: &TooMuch) -> Answer {
    let mut answer = text(too_much.status(), &format!("{too_much}\n"));
    answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from(too_much.retry_after_s()));
    answer
}

/// Memory files are only asked for where hyper isn't.
fn body(content: hls::Content) -> UnsyncBoxBody<Bytes, Infallible> {
    match content {
        hls::Content::Bytes(bytes) => full(bytes),
        hls::Content::File { .. } => empty(),
    }
}

pub(super) fn full(bytes: impl Into<Bytes>) -> UnsyncBoxBody<Bytes, Infallible> {
    Full::new(bytes.into()).boxed_unsync()
}

pub(super) fn empty() -> UnsyncBoxBody<Bytes, Infallible> {
    full(Bytes::new())
}

/// Everybody may play from any page. Fetch standard, §3.2.
pub(super) fn preflight() -> Answer {
    let mut answer = Response::new(empty());
    *answer.status_mut() = StatusCode::NO_CONTENT;
    let headers = answer.headers_mut();
    headers.insert(
        "access-control-allow-methods",
        HeaderValue::from_static("GET, HEAD, OPTIONS, POST, PATCH, DELETE"),
    );
    // The star doesn't stand for Authorization (Fetch standard §3.3.3).
    headers.insert("access-control-allow-headers", HeaderValue::from_static("Authorization, *"));
    headers.insert("access-control-max-age", HeaderValue::from_static("86400"));
    answer
}
