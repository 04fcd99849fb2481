//! The next request of a connection, read without consuming it.

use super::caller::{Caller, X_FORWARDED_FOR, bearer, joined};
use super::hls;
use crate::auth::agent;
use crate::limits::Told;
use hub::BroadcastPath;

/// Longest request head that is looked at. Larger ones are refused.
pub(super) const HEAD_BYTES_MAX: usize = 16 << 10;
/// Header lines of one request.
const HEADERS_MAX: usize = 64;

/// What a connection's first bytes are.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum First {
    /// The head isn't all here.
    Incomplete,
    /// A long-lived play request.
    Play(Play),
    /// A request for a file of a broadcast.
    File(FileRequest),
    /// Anything else: hyper's work.
    Other,
}

/// A request for a long-lived response.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Play {
    pub(super) path: BroadcastPath,
    pub(super) query: String,
    pub(super) caller: Caller,
    /// `Sec-WebSocket-Key`, when the client asks for a WebSocket.
    pub(super) websocket_key: Option<String>,
    /// Bytes of the head.
    pub(super) head_bytes: usize,
}

/// A request for a file of a broadcast, without a body.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct FileRequest {
    /// Path of the URL.
    pub(super) path: String,
    pub(super) query: Option<String>,
    pub(super) caller: Caller,
    pub(super) accept_encoding: Option<String>,
    pub(super) range: Option<String>,
    /// `HEAD`.
    pub(super) head_only: bool,
    /// The client wants no further request on this connection.
    pub(super) close: bool,
    /// Bytes of the head.
    pub(super) head_bytes: usize,
}

/// Looks at the first bytes of a request.
pub(super) fn look(bytes: &[u8]) -> First {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut request = httparse::Request::new(&mut headers);
    match request.parse(bytes) {
        Ok(httparse::Status::Partial) if bytes.len() < HEAD_BYTES_MAX => First::Incomplete,
        Ok(httparse::Status::Complete(head_bytes)) => {
            let play = || play(&request, head_bytes).map(First::Play);
            let file = || file(&request, head_bytes).map(First::File);
            play().or_else(file).unwrap_or(First::Other)
        }
        // HTTP/2 prefaces end here too; hyper answers what is broken.
        _ => First::Other,
    }
}

fn play(request: &httparse::Request<'_, '_>, head_bytes: usize) -> Option<Play> {
    if request.method != Some("GET") {
        return None;
    }
    let (path, query) = split_target(request.path?);
    let path = flv_path(path)?;
    let upgrade = header(request, "upgrade").is_some_and(|u| u.eq_ignore_ascii_case("websocket"));
    let websocket_key = if upgrade { Some(header(request, "sec-websocket-key")?.to_owned()) } else { None };
    let caller = caller(request)?;
    Some(Play { path, query: query.to_owned(), caller, websocket_key, head_bytes })
}

/// A file request that needs nothing but its head; anything unusual is hyper's work.
fn file(request: &httparse::Request<'_, '_>, head_bytes: usize) -> Option<FileRequest> {
    let head_only = match request.method? {
        "GET" => false,
        "HEAD" => true,
        _ => return None,
    };
    let unusual = ["content-length", "transfer-encoding", "expect", "upgrade"];
    if request.version != Some(1) || unusual.iter().any(|name| header(request, name).is_some()) {
        return None;
    }
    let target = request.path?;
    let (path, query) = split_target(target);
    hls::target(path)?;
    let owned = |name| header(request, name).map(str::to_owned);
    let caller = caller(request)?;
    Some(FileRequest {
        caller,
        path: path.to_owned(),
        query: target.contains('?').then(|| query.to_owned()),
        accept_encoding: owned("accept-encoding"),
        range: owned("range"),
        head_only,
        close: header(request, "connection").is_some_and(|c| c.eq_ignore_ascii_case("close")),
        head_bytes,
    })
}

fn header<'a>(request: &httparse::Request<'_, 'a>, name: &str) -> Option<&'a str> {
    std::str::from_utf8(found(request, name)?).ok()
}

fn found<'a>(request: &httparse::Request<'_, 'a>, name: &str) -> Option<&'a [u8]> {
    request.headers.iter().find(|h| h.name.eq_ignore_ascii_case(name)).map(|h| h.value)
}

/// Who asks. A request with two hosts is hyper's to refuse: it could mean another vhost here than in a proxy.
fn caller(request: &httparse::Request<'_, '_>) -> Option<Caller> {
    let hosts = request.headers.iter().filter(|h| h.name.eq_ignore_ascii_case("host")).count();
    let authority = absolute(request.path?).map(|rest| rest.split('/').next().unwrap_or(rest));
    let lines = |name: &str| {
        joined(request.headers.iter().filter(|h| h.name.eq_ignore_ascii_case(name)).map(|h| h.value))
    };
    (hosts <= 1).then(|| Caller {
        host: authority.or_else(|| header(request, "host")).map(str::to_owned),
        bearer: header(request, "authorization").and_then(bearer).map(str::to_owned),
        agent: found(request, "user-agent").and_then(|value| agent(&String::from_utf8_lossy(value))),
        told: Told { x_forwarded_for: lines(X_FORWARDED_FOR), forwarded: lines("forwarded") },
    })
}

/// `/live/x.flv` is the broadcast `live/x`.
pub(super) fn flv_path(path: &str) -> Option<BroadcastPath> {
    broadcast_path(path.strip_suffix(".flv")?)
}

/// `/live/x` is the broadcast `live/x`; percent-encoding is decoded.
pub(super) fn broadcast_path(path: &str) -> Option<BroadcastPath> {
    BroadcastPath::parse(&decode(path.strip_prefix('/')?)?).ok()
}

/// Path and query of a request target, which may be in absolute form (RFC 9112 §3.2.2).
fn split_target(target: &str) -> (&str, &str) {
    let target = match absolute(target) {
        Some(rest) => rest.find('/').map_or("/", |slash| &rest[slash..]),
        None => target,
    };
    target.split_once('?').unwrap_or((target, ""))
}

/// What comes behind the scheme of a target in absolute form.
fn absolute(target: &str) -> Option<&str> {
    // Nearly none are, and a token is long to search.
    if target.starts_with('/') { None } else { Some(target.split_once("://")?.1) }
}

/// Percent-decodes. RFC 3986 §2.1.
fn decode(text: &str) -> Option<String> {
    if !text.contains('%') {
        return Some(text.to_owned());
    }
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let digit = |b: u8| char::from(b).to_digit(16);
            let (high, low) = (digit(bytes.next()?)?, digit(bytes.next()?)?);
            out.push((high << 4 | low) as u8);
        } else {
            out.push(byte);
        }
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn play_requests_are_told_from_others() {
        let play = |target: &str| match look(format!("GET {target} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()) {
            First::Play(play) => Some(play.path.as_str().to_owned()),
            _ => None,
        };
        assert_eq!(play("/live/x.flv").as_deref(), Some("live/x"));
        assert_eq!(play("http://host:1/live/x.flv?token=1").as_deref(), Some("live/x"));
        assert_eq!(play("/live/%E7%9B%B4.flv").as_deref(), Some("live/直"));
        assert_eq!(play("/live/%2e%2e.flv"), None);
        assert_eq!(play("/live/x/index.m3u8"), None);
        assert_eq!(look(b"GET /live/x.flv HTT"), First::Incomplete);
        assert_eq!(look(b"POST /live/x.flv HTTP/1.1\r\n\r\n"), First::Other);
        assert_eq!(look(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), First::Other);
        assert_eq!(look(&[b'a'; HEAD_BYTES_MAX]), First::Other);
    }

    #[test]
    fn files_of_broadcasts_are_read_whole_and_unusual_requests_left_to_hyper() {
        let file = |head: &str| match look(head.as_bytes()) {
            First::File(file) => Some(file),
            _ => None,
        };
        let target = "/live/x/video/index.m3u8?_HLS_msn=7";
        let found =
            file(&format!("GET {target} HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n")).unwrap();
        assert_eq!(
            (found.path.as_str(), found.query.as_deref()),
            ("/live/x/video/index.m3u8", Some("_HLS_msn=7"))
        );
        assert_eq!(
            (found.accept_encoding.as_deref(), found.head_only, found.close),
            (Some("gzip"), false, false)
        );
        assert!(file(&format!("HEAD {target} HTTP/1.1\r\nConnection: Close\r\n\r\n")).unwrap().close);
        assert_eq!(file(&format!("GET {target} HTTP/1.0\r\n\r\n")), None);
        assert_eq!(file(&format!("GET {target} HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc")), None);
        assert_eq!(file(&format!("POST {target} HTTP/1.1\r\n\r\n")), None);
        assert_eq!(file("GET / HTTP/1.1\r\n\r\n"), None);
    }

    #[test]
    fn fuzz_heads_never_panic() {
        let mut random = testkit::Random::seeded(5);
        let good =
            b"GET http://h/live/x%20y.flv?a=b HTTP/1.1\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\n\r\n";
        for _ in 0..5000 {
            look(&random.mutate(good));
        }
    }
}
