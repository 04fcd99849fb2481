//! Playlists, parts and segments as HTTP responses.

use super::super::service::{Answer, full, text};
use super::packaging::{Packaging, Packagings};
use bytes::Bytes;
use hls::{BadRequest, Request};
use http::header::{
    ACCEPT_ENCODING, ACCEPT_RANGES, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE,
    CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RANGE, VARY,
};
use http::{Response, StatusCode};
use std::ops::Range;
use tokio::time::{Instant, timeout_at};

const PLAYLIST_TYPE: &str = "application/vnd.apple.mpegurl";
/// A live playlist is stale after a part; a second keeps a cache in front useful without adding latency to players,
/// which ask by position.
const PLAYLIST_CACHE: &str = "public, max-age=1";
const MULTIVARIANT_CACHE: &str = "public, max-age=5";
/// Parts, segments and init segments never change under their name.
const MEDIA_CACHE: &str = "public, max-age=1800, immutable";

/// Answers a request for `file` of a broadcast, holding it until the file exists.
pub(in super::super) async fn answer(
    packagings: &Packagings,
    packaging: &Packaging,
    file: &str,
    query: Option<&str>,
    headers: &HeaderMap,
) -> Answer {
    let request = match Request::parse(file, query) {
        Ok(request) => request,
        Err(BadRequest::Unknown) => return missing(),
        Err(BadRequest::Directives(why)) => return text(StatusCode::BAD_REQUEST, &format!("{why}\n")),
    };
    let answer = match wait(packaging, &request).await {
        hls::Answer::Playlist { text, .. } => {
            let gzip = accepts_gzip(headers);
            let cache = if request == Request::Multivariant { MULTIVARIANT_CACHE } else { PLAYLIST_CACHE };
            playlist(if gzip { text.gzip } else { text.plain }, gzip, cache)
        }
        hls::Answer::Media(bytes) => media(bytes, media_type(file), headers),
        hls::Answer::NotFound => return missing(),
        hls::Answer::BadRequest(why) => return text(StatusCode::BAD_REQUEST, &format!("{why}\n")),
        hls::Answer::Wait => return late(),
    };
    let bytes = answer.headers().get(CONTENT_LENGTH).and_then(|l| l.to_str().ok()?.parse().ok());
    packagings.count_egress(packaging, bytes.unwrap_or(0));
    answer
}

/// The answer once there is one; `Wait` if there is none in time.
async fn wait(packaging: &Packaging, request: &Request) -> hls::Answer {
    let mut snapshots = packaging.snapshots();
    let mut deadline = None;
    loop {
        let hold_max = {
            let snapshot = snapshots.borrow_and_update();
            match snapshot.answer(request) {
                hls::Answer::Wait => snapshot.hold_max(),
                answer => return answer,
            }
        };
        let deadline = *deadline.get_or_insert_with(|| Instant::now() + hold_max);
        match timeout_at(deadline, snapshots.changed()).await {
            Ok(Ok(())) => {}
            // Packaging ended: nothing will come.
            Ok(Err(_)) => return hls::Answer::NotFound,
            Err(_) => return hls::Answer::Wait,
        }
    }
}

fn playlist(body: Bytes, gzip: bool, cache: &'static str) -> Answer {
    let mut answer = with_length(body);
    put(&mut answer, CONTENT_TYPE, PLAYLIST_TYPE);
    put(&mut answer, CACHE_CONTROL, cache);
    put(&mut answer, VARY, "accept-encoding");
    if gzip {
        put(&mut answer, CONTENT_ENCODING, "gzip");
    }
    answer
}

/// The whole or the asked range. RFC 9110 §14.
fn media(bytes: Bytes, media_type: &'static str, headers: &HeaderMap) -> Answer {
    let size = bytes.len();
    let wanted = headers.get(RANGE).and_then(|r| r.to_str().ok()).and_then(|r| range(r, size));
    let mut answer = match wanted {
        None => with_length(bytes),
        Some(Wanted::Part(range)) => {
            let shown = format!("bytes {}-{}/{size}", range.start, range.end - 1);
            let mut answer = with_length(bytes.slice(range));
            *answer.status_mut() = StatusCode::PARTIAL_CONTENT;
            put_text(&mut answer, CONTENT_RANGE, &shown);
            answer
        }
        Some(Wanted::Outside) => {
            let mut answer = with_length(Bytes::new());
            *answer.status_mut() = StatusCode::RANGE_NOT_SATISFIABLE;
            put_text(&mut answer, CONTENT_RANGE, &format!("bytes */{size}"));
            return answer;
        }
    };
    put(&mut answer, CONTENT_TYPE, media_type);
    put(&mut answer, CACHE_CONTROL, MEDIA_CACHE);
    put(&mut answer, ACCEPT_RANGES, "bytes");
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

fn accepts_gzip(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|v| v.to_str().ok());
    accepted.flat_map(|v| v.split(',')).any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        name.trim().eq_ignore_ascii_case("gzip")
            && !matches!(weight.trim(), "q=0" | "q=0.0" | "q=0.00" | "q=0.000")
    })
}

fn missing() -> Answer {
    no_store(text(StatusCode::NOT_FOUND, "no such playlist or segment, or it is gone already\n"))
}

/// RFC 8216bis §6.2.5.2: what did not come in three target durations.
fn late() -> Answer {
    no_store(text(StatusCode::SERVICE_UNAVAILABLE, "the publisher sent nothing in time; ask again\n"))
}

fn no_store(mut answer: Answer) -> Answer {
    put(&mut answer, CACHE_CONTROL, "no-store");
    answer
}

fn with_length(body: Bytes) -> Answer {
    let length = HeaderValue::from(body.len());
    let mut answer = Response::new(full(body));
    answer.headers_mut().insert(CONTENT_LENGTH, length);
    answer
}

fn put(answer: &mut Answer, name: HeaderName, value: &'static str) {
    answer.headers_mut().insert(name, HeaderValue::from_static(value));
}

fn put_text(answer: &mut Answer, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        answer.headers_mut().insert(name, value);
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
    fn gzip_is_sent_only_to_those_who_take_it() {
        let check = |value: &'static str, expect| {
            let headers = HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static(value))]);
            assert_eq!(accepts_gzip(&headers), expect, "{value}");
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
