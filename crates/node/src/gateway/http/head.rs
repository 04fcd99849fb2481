//! The next request of a connection, read without consuming it.

use super::caller::{Caller, X_FORWARDED_FOR, bearer, joined};
use super::hls::{self, Target};
use crate::limits::Told;
use hub::BroadcastPath;
use std::borrow::Cow;
use std::mem::MaybeUninit;

/// Longest request head that is looked at. Larger ones are refused.
pub(super) const HEAD_BYTES_MAX: usize = 16 << 10;
/// Header lines of one request.
const HEADERS_MAX: usize = 64;

/// What a connection's first bytes are.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum First<'a> {
    /// The head isn't all here.
    Incomplete,
    /// A long-lived play request.
    Play(Play<'a>),
    /// A request for a file of a broadcast.
    File(FileRequest<'a>),
    /// Anything else: hyper's work.
    Other,
}

/// A request for a long-lived response.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Play<'a> {
    pub(super) path: BroadcastPath,
    pub(super) query: &'a str,
    pub(super) caller: Caller<'a>,
    /// `Sec-WebSocket-Key`, when the client asks for a WebSocket.
    pub(super) websocket_key: Option<&'a str>,
}

/// A request for a file of a broadcast, without a body.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct FileRequest<'a> {
    /// Path of the URL.
    pub(super) path: &'a str,
    /// What it means.
    pub(super) target: Target<'a>,
    pub(super) query: Option<&'a str>,
    pub(super) caller: Caller<'a>,
    pub(super) accept_encoding: Option<&'a str>,
    pub(super) range: Option<&'a str>,
    /// `HEAD`.
    pub(super) head_only: bool,
    /// The client wants no further request on this connection.
    pub(super) close: bool,
    /// Bytes of the head.
    pub(super) head_bytes: usize,
}

/// Looks at the first bytes of a request.
pub(super) fn look(bytes: &[u8]) -> First<'_> {
    let mut headers = [const { MaybeUninit::uninit() }; HEADERS_MAX];
    let mut request = httparse::Request::new(&mut []);
    match request.parse_with_uninit_headers(bytes, &mut headers) {
        Ok(httparse::Status::Partial) if bytes.len() < HEAD_BYTES_MAX => First::Incomplete,
        Ok(httparse::Status::Complete(head_bytes)) => first(&request, head_bytes).unwrap_or(First::Other),
        // HTTP/2 prefaces end here too; hyper answers what is broken.
        _ => First::Other,
    }
}

fn first<'a>(request: &httparse::Request<'_, 'a>, head_bytes: usize) -> Option<First<'a>> {
    let head_only = match request.method? {
        "GET" => false,
        "HEAD" => true,
        _ => return None,
    };
    let target = request.path?;
    let (path, query) = split_target(target);
    if let Some(path) = flv_path(path).filter(|_| !head_only) {
        let lines = Lines::of(request);
        let websocket_key = if lines.wants_websocket() { Some(text(lines.websocket_key)?) } else { None };
        let caller = lines.caller(target)?;
        return Some(First::Play(Play { path, query: query.unwrap_or_default(), caller, websocket_key }));
    }
    // A file request that needs nothing but its head; anything unusual is hyper's work.
    let found = hls::target(path)?;
    let lines = Lines::of(request);
    if request.version != Some(1) || lines.is_unusual() {
        return None;
    }
    Some(First::File(FileRequest {
        path,
        target: found,
        query,
        accept_encoding: text(lines.accept_encoding),
        range: text(lines.range),
        head_only,
        close: text(lines.connection).is_some_and(|c| c.eq_ignore_ascii_case("close")),
        caller: lines.caller(target)?,
        head_bytes,
    }))
}

/// The header lines that matter here. Of lines with one name the first counts.
#[derive(Default)]
struct Lines<'a> {
    host: Option<&'a [u8]>,
    hosts: usize,
    authorization: Option<&'a [u8]>,
    user_agent: Option<&'a [u8]>,
    accept_encoding: Option<&'a [u8]>,
    range: Option<&'a [u8]>,
    connection: Option<&'a [u8]>,
    upgrade: Option<&'a [u8]>,
    websocket_key: Option<&'a [u8]>,
    /// There is a body, or something is expected of us.
    body: bool,
    /// All lines of these: proxies add one each.
    forwarded_for: Vec<&'a [u8]>,
    forwarded: Vec<&'a [u8]>,
}

impl<'a> Lines<'a> {
    /// Looks at each line once: a browser sends some fifteen, four times a second.
    fn of(request: &httparse::Request<'_, 'a>) -> Lines<'a> {
        let mut lines = Lines::default();
        for header in &*request.headers {
            let is = |name: &str| header.name.eq_ignore_ascii_case(name);
            let first = |place: &mut Option<&'a [u8]>| {
                place.get_or_insert(header.value);
            };
            match header.name.len() {
                4 if is("host") => {
                    first(&mut lines.host);
                    lines.hosts += 1;
                }
                5 if is("range") => first(&mut lines.range),
                6 if is("expect") => lines.body = true,
                7 if is("upgrade") => first(&mut lines.upgrade),
                9 if is("forwarded") => lines.forwarded.push(header.value),
                10 if is("user-agent") => first(&mut lines.user_agent),
                10 if is("connection") => first(&mut lines.connection),
                13 if is("authorization") => first(&mut lines.authorization),
                14 if is("content-length") => lines.body = true,
                15 if is("accept-encoding") => first(&mut lines.accept_encoding),
                15 if is(X_FORWARDED_FOR) => lines.forwarded_for.push(header.value),
                17 if is("transfer-encoding") => lines.body = true,
                17 if is("sec-websocket-key") => first(&mut lines.websocket_key),
                _ => {}
            }
        }
        lines
    }

    fn is_unusual(&self) -> bool {
        self.body || self.upgrade.is_some()
    }

    fn wants_websocket(&self) -> bool {
        text(self.upgrade).is_some_and(|upgrade| upgrade.eq_ignore_ascii_case("websocket"))
    }

    /// Who asks. A request with two hosts is hyper's to refuse: it could mean another vhost here than in a proxy.
    fn caller(self, target: &'a str) -> Option<Caller<'a>> {
        let authority = absolute(target).map(|rest| rest.split('/').next().unwrap_or(rest));
        (self.hosts <= 1).then(|| Caller {
            host: authority.or_else(|| text(self.host)).map(Cow::Borrowed),
            bearer: text(self.authorization).and_then(bearer).map(Cow::Borrowed),
            agent: self.user_agent.map(Cow::Borrowed),
            told: Told {
                x_forwarded_for: joined(self.forwarded_for.into_iter()),
                forwarded: joined(self.forwarded.into_iter()),
            },
        })
    }
}

fn text(value: Option<&[u8]>) -> Option<&str> {
    std::str::from_utf8(value?).ok()
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
fn split_target(target: &str) -> (&str, Option<&str>) {
    let target = match absolute(target) {
        Some(rest) => rest.find('/').map_or("/", |slash| &rest[slash..]),
        None => target,
    };
    target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)))
}

/// What comes behind the scheme of a target in absolute form.
fn absolute(target: &str) -> Option<&str> {
    // Nearly none are, and a token is long to search.
    if target.starts_with('/') { None } else { Some(target.split_once("://")?.1) }
}

/// Percent-decodes. RFC 3986 §2.1.
fn decode(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('%') {
        return Some(text.into());
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
    String::from_utf8(out).ok().map(Cow::Owned)
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
        fn file(head: &str) -> Option<FileRequest<'_>> {
            match look(head.as_bytes()) {
                First::File(file) => Some(file),
                _ => None,
            }
        }
        let target = "/live/x/video/index.m3u8?_HLS_msn=7";
        let head = format!("GET {target} HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n");
        let found = file(&head).unwrap();
        assert_eq!((found.path, found.query), ("/live/x/video/index.m3u8", Some("_HLS_msn=7")));
        assert_eq!((found.accept_encoding, found.head_only, found.close), (Some("gzip"), false, false));
        assert!(file(&format!("HEAD {target} HTTP/1.1\r\nConnection: Close\r\n\r\n")).unwrap().close);
        assert_eq!(file(&format!("GET {target} HTTP/1.0\r\n\r\n")), None);
        assert_eq!(file(&format!("GET {target} HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc")), None);
        assert_eq!(file(&format!("POST {target} HTTP/1.1\r\n\r\n")), None);
        assert_eq!(file("GET / HTTP/1.1\r\n\r\n"), None);
        assert_eq!(file(&format!("GET {target} HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n")), None);
    }

    #[test]
    fn a_head_says_who_asks_and_through_which_proxies() {
        let head = b"GET /live/x/index.m3u8 HTTP/1.1\r\nHOST: a.example:81\r\nAuthorization: Bearer abc\r\n\
                     User-Agent: Player/1\r\nUser-Agent: Player/2\r\nX-Forwarded-For: 1.2.3.4\r\n\
                     x-forwarded-for: 10.0.0.1\r\nForwarded: for=9.9.9.9\r\nRange: bytes=0-9\r\n\r\n";
        let First::File(file) = look(head) else { panic!("it is a file's") };
        assert_eq!(file.range, Some("bytes=0-9"));
        let told = Told {
            x_forwarded_for: Some("1.2.3.4,10.0.0.1".to_owned()),
            forwarded: Some("for=9.9.9.9".to_owned()),
        };
        let agent = Some(Cow::Borrowed(&b"Player/1"[..]));
        assert_eq!(
            file.caller,
            Caller { host: Some("a.example:81".into()), bearer: Some("abc".into()), agent, told }
        );
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
