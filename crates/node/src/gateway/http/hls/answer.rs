//! Playlists, parts and segments as HTTP responses.

use super::super::caller::Caller;
use super::super::leaving::{REASON, RETRY_AFTER_S};
use super::credentials::credentials;
use super::packaging::{Packaging, Packagings};
use super::target::Target;
use crate::memory_file::MemoryFile;
use bytes::Bytes;
use hls::{BadRequest, Request, Text};
use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HeaderName,
    HeaderValue, LOCATION, RETRY_AFTER, VARY,
};
use http::{Response, StatusCode};
use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;
use tokio::time::{Instant, timeout_at};

/// A response to be sent by hyper, or by [`super::super::direct`].
#[derive(Debug)]
pub(in super::super) struct FileAnswer {
    pub(in super::super) status: StatusCode,
    /// Beside `Content-Length`. There are few, each once, so that a list is quicker than a map.
    pub(in super::super) headers: Vec<(HeaderName, Cow<'static, str>)>,
    pub(in super::super) content: Content,
}

/// The body of a response.
#[derive(Debug)]
pub(in super::super) enum Content {
    /// From memory.
    Bytes(Bytes),
    /// From a memory file.
    File { file: Arc<MemoryFile>, range: Range<usize> },
}

/// A request for a file of a broadcast.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct FileAsk<'a> {
    pub(in super::super) target: &'a Target<'a>,
    pub(in super::super) query: Option<&'a str>,
    pub(in super::super) caller: &'a Caller<'a>,
    pub(in super::super) wishes: Wishes<'a>,
}

/// What of a request's head matters here.
#[derive(Clone, Copy, Debug, Default)]
pub(in super::super) struct Wishes<'a> {
    /// `Accept-Encoding`.
    pub(in super::super) accept_encoding: Option<&'a str>,
    /// `Range`.
    pub(in super::super) range: Option<&'a str>,
    /// Whether a body may be a file.
    pub(in super::super) file: bool,
}

/// Headers of an answer, at most.
const HEADERS_USUAL: usize = 5;
const PLAYLIST_TYPE: &str = "application/vnd.apple.mpegurl";
/// A live playlist is stale after a part; a second keeps a cache in front useful without adding latency to players,
/// which ask by position.
const PLAYLIST_CACHE: &str = "public, max-age=1";
/// What has somebody's credentials in it is nobody else's.
const PRIVATE_CACHE: &str = "private, no-store";
const MULTIVARIANT_CACHE: &str = "public, max-age=5";
/// Parts, segments and init segments never change under their name.
const MEDIA_CACHE: &str = "public, max-age=1800, immutable";

/// Answers a request for `file` of a broadcast, holding it until the file exists.
pub(in super::super) async fn answer(
    packagings: &Packagings,
    packaging: &Packaging,
    file: &str,
    query: Option<&str>,
    wishes: Wishes<'_>,
) -> FileAnswer {
    let request = match Request::parse(file, query) {
        Ok(request) => request,
        Err(BadRequest::Unknown) => return missing(),
        Err(BadRequest::Directives(why)) => return bad(why),
    };
    let answer = match wait(packaging, &request).await {
        hls::Answer::Playlist { text, .. } => viewers_playlist(&text, &request, query, wishes),
        hls::Answer::Media(bytes) => {
            let stored = if wishes.file { packaging.files().file(file, &bytes) } else { None };
            media(&bytes, stored, media_type(file), wishes.range)
        }
        hls::Answer::NotFound => match packagings.fetched_before(packaging, &request, file).await {
            Some(bytes) => media(&bytes, None, media_type(file), wishes.range),
            None => return missing(),
        },
        hls::Answer::BadRequest(why) => return bad(why),
        hls::Answer::Wait => return late(),
    };
    packagings.count_egress(packaging, answer.content.len());
    answer
}

/// The answer once there is one; `Wait` if there is none in time. The target duration may become known only while a
/// request is held, and is long when keyframes are far apart: so the newest one says how long.
async fn wait(packaging: &Packaging, request: &Request) -> hls::Answer {
    match packaging.now(request) {
        hls::Answer::Wait => {}
        answer => return answer,
    }
    let mut snapshots = packaging.snapshots();
    let asked = Instant::now();
    loop {
        let hold_max = {
            let snapshot = snapshots.borrow_and_update();
            match snapshot.answer(request) {
                hls::Answer::Wait => snapshot.hold_max(),
                answer => return answer,
            }
        };
        match timeout_at(asked + hold_max, snapshots.changed()).await {
            Ok(Ok(())) => {}
            // Packaging ended: nothing will come.
            Ok(Err(_)) => return hls::Answer::NotFound,
            Err(_) => return hls::Answer::Wait,
        }
    }
}

/// A playlist for one viewer, if it shows credentials, or for everybody.
fn viewers_playlist(text: &Text, request: &Request, query: Option<&str>, wishes: Wishes<'_>) -> FileAnswer {
    let gzip = wishes.accept_encoding.is_some_and(accepts_gzip);
    match credentials(query) {
        Some(credentials) if gzip => playlist(text.with_query_gzip(&credentials), gzip, PRIVATE_CACHE),
        Some(credentials) => playlist(text.with_query(&credentials), gzip, PRIVATE_CACHE),
        None => {
            let cache = if *request == Request::Multivariant { MULTIVARIANT_CACHE } else { PLAYLIST_CACHE };
            let body = if gzip { &text.gzip } else { &text.plain };
            playlist(body.clone(), gzip, cache)
        }
    }
}

fn playlist(body: Bytes, gzip: bool, cache: &'static str) -> FileAnswer {
    let mut answer = with(StatusCode::OK, Content::Bytes(body));
    put(&mut answer, CONTENT_TYPE, PLAYLIST_TYPE);
    put(&mut answer, CACHE_CONTROL, cache);
    put(&mut answer, VARY, "accept-encoding");
    if gzip {
        put(&mut answer, CONTENT_ENCODING, "gzip");
    }
    answer
}

/// The whole or the asked range. RFC 9110 §14.
fn media(
    bytes: &Bytes,
    stored: Option<Arc<MemoryFile>>,
    media_type: &'static str,
    asked: Option<&str>,
) -> FileAnswer {
    let size = bytes.len();
    let wanted = asked.and_then(|r| range(r, size));
    let (status, shown, range) = match wanted {
        None => (StatusCode::OK, None, 0..size),
        Some(Wanted::Part(range)) => {
            let shown = format!("bytes {}-{}/{size}", range.start, range.end - 1);
            (StatusCode::PARTIAL_CONTENT, Some(shown), range)
        }
        Some(Wanted::Outside) => (StatusCode::RANGE_NOT_SATISFIABLE, Some(format!("bytes */{size}")), 0..0),
    };
    let content = match stored {
        Some(file) => Content::File { file, range },
        None => Content::Bytes(bytes.slice(range)),
    };
    let mut answer = with(status, content);
    if let Some(shown) = shown {
        put(&mut answer, CONTENT_RANGE, shown);
    }
    if status != StatusCode::RANGE_NOT_SATISFIABLE {
        put(&mut answer, CONTENT_TYPE, media_type);
        put(&mut answer, CACHE_CONTROL, MEDIA_CACHE);
        put(&mut answer, ACCEPT_RANGES, "bytes");
    }
    answer
}

#[derive(Debug, PartialEq, Eq)]
enum Wanted {
    Part(Range<usize>),
    Outside,
}

/// A single byte range; several, or a unit other than bytes, are as none (RFC 9110 §14.2 lets a server).
fn range(text: &str, size: usize) -> Option<Wanted> {
    let (first, last) = text.trim().strip_prefix("bytes=")?.split_once('-')?;
    let (first, last) = (first.trim(), last.trim());
    let number = |digits: &str| digits.parse::<usize>().ok();
    let range = match (first.is_empty(), last.is_empty()) {
        (true, true) => return None,
        (true, false) => size.saturating_sub(number(last)?)..size,
        (false, true) => number(first)?..size,
        (false, false) => number(first)?..number(last)?.checked_add(1)?.min(size),
    };
    if first.is_empty() || last.is_empty() || number(first) <= number(last) {
        return Some(if range.start < range.end { Wanted::Part(range) } else { Wanted::Outside });
    }
    None
}

fn media_type(file: &str) -> &'static str {
    if file.ends_with(".ts") { "video/mp2t" } else { "video/mp4" }
}

/// Whether an `Accept-Encoding` takes gzip.
pub(in super::super) fn accepts_gzip(accepted: &str) -> bool {
    accepted.split(',').any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        name.trim().eq_ignore_ascii_case("gzip")
            && !matches!(weight.trim(), "q=0" | "q=0.0" | "q=0.00" | "q=0.000")
    })
}

impl Content {
    /// Bytes of the body.
    pub(in super::super) fn len(&self) -> usize {
        match self {
            Content::Bytes(bytes) => bytes.len(),
            Content::File { range, .. } => range.len(),
        }
    }
}

/// Nobody publishes that path.
pub(in super::super) fn absent(path: &hub::BroadcastPath) -> FileAnswer {
    refusal(StatusCode::NOT_FOUND, format!("nobody publishes {path}\n"))
}

/// Nobody watches that path here, and nobody begins to: the server is about to end.
pub(in super::super) fn about_to_end() -> FileAnswer {
    let mut answer = refusal(StatusCode::SERVICE_UNAVAILABLE, REASON);
    put(&mut answer, RETRY_AFTER, RETRY_AFTER_S.to_string());
    answer
}

/// Somebody else has this port now: the same once more, over another connection. Where in the playlist the player is goes
/// unsaid, since the other numbers segments by itself.
pub(in super::super) fn come_over(file: &str, query: Option<&str>) -> FileAnswer {
    // Relative, whatever a proxy calls it.
    let name = file.rsplit('/').next().unwrap_or(file);
    let location = credentials(query).map_or_else(|| name.to_owned(), |query| format!("{name}?{query}"));
    let mut answer = refusal(StatusCode::TEMPORARY_REDIRECT, "another process serves this now\n");
    // What the path was decoded from is no part of it; a name that no header can have has no file either.
    if HeaderValue::from_str(&location).is_ok() {
        put(&mut answer, LOCATION, location);
    }
    answer
}

/// Whether that is a file that changes.
pub(in super::super) fn is_playlist(file: &str) -> bool {
    file.ends_with(".m3u8")
}

/// Not allowed.
pub(in super::super) fn forbidden(why: &str) -> FileAnswer {
    refusal(StatusCode::FORBIDDEN, format!("{why}\n"))
}

fn missing() -> FileAnswer {
    refusal(StatusCode::NOT_FOUND, "no such playlist or segment, or it is gone already\n")
}

fn bad(why: &str) -> FileAnswer {
    refusal(StatusCode::BAD_REQUEST, format!("{why}\n"))
}

/// RFC 8216bis §6.2.5.2: what did not come in three target durations.
fn late() -> FileAnswer {
    refusal(StatusCode::SERVICE_UNAVAILABLE, "the publisher sent nothing in time; ask again\n")
}

fn refusal(status: StatusCode, why: impl Into<Bytes>) -> FileAnswer {
    let mut answer = with(status, Content::Bytes(why.into()));
    put(&mut answer, CONTENT_TYPE, "text/plain; charset=utf-8");
    put(&mut answer, CACHE_CONTROL, "no-store");
    answer
}

fn with(status: StatusCode, content: Content) -> FileAnswer {
    FileAnswer { status, headers: Vec::with_capacity(HEADERS_USUAL), content }
}

fn put(answer: &mut FileAnswer, name: HeaderName, value: impl Into<Cow<'static, str>>) {
    answer.headers.push((name, value.into()));
}

impl From<FileAnswer> for Response<Content> {
    fn from(answer: FileAnswer) -> Self {
        let length = HeaderValue::from(answer.content.len());
        let mut response = Response::new(answer.content);
        *response.status_mut() = answer.status;
        response.headers_mut().insert(CONTENT_LENGTH, length);
        for (name, value) in answer.headers {
            let value = match value {
                Cow::Borrowed(text) => HeaderValue::from_static(text),
                Cow::Owned(text) => match HeaderValue::try_from(text) {
                    Ok(value) => value,
                    Err(_) => continue,
                },
            };
            response.headers_mut().insert(name, value);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_follow_rfc_9110() {
        let check = |text, expect| assert_eq!(range(text, 100), expect, "{text}");
        check("bytes=0-9", Some(Wanted::Part(0..10)));
        check("bytes=90-", Some(Wanted::Part(90..100)));
        check("bytes=-10", Some(Wanted::Part(90..100)));
        check("bytes=-1000", Some(Wanted::Part(0..100)));
        check("bytes=50-1000", Some(Wanted::Part(50..100)));
        check("bytes=100-", Some(Wanted::Outside));
        check("bytes=-0", Some(Wanted::Outside));
        check("bytes=9-0", None);
        check("bytes=-", None);
        check("bytes=0-1,5-6", None);
        check("lines=0-1", None);
        check("bytes=0-18446744073709551615", None);
    }

    #[test]
    fn players_who_come_over_keep_their_credentials_and_not_their_place() {
        let check = |query, expect: &str| {
            let answer = Response::from(come_over("video/index.m3u8", query));
            assert_eq!(
                (answer.status().as_u16(), &answer.headers()[LOCATION]),
                (307, &expect.parse().unwrap())
            );
        };
        check(None, "index.m3u8");
        check(Some("_HLS_msn=7&_HLS_part=1"), "index.m3u8");
        check(Some("token=abc&_HLS_msn=7&vhost=v"), "index.m3u8?token=abc&vhost=v");
    }

    #[test]
    fn gzip_is_sent_only_to_those_who_take_it() {
        let check = |value, expect| {
            assert_eq!(accepts_gzip(value), expect, "{value}");
        };
        check("gzip, deflate, br", true);
        check("br;q=1.0, GZIP;q=0.8", true);
        check("gzip;q=0", false);
        check("identity", false);
    }

    #[test]
    fn fuzz_ranges_never_panic_and_stay_inside() {
        let mut random = testkit::Random::seeded(8);
        for _ in 0..5000 {
            let text = random.mutate(b"bytes=10-20");
            if let Some(Wanted::Part(part)) = range(&String::from_utf8_lossy(&text), 15) {
                assert!(part.start < part.end && part.end <= 15);
            }
        }
    }
}
