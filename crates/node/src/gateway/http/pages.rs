//! The pages, embedded in the binary.

use super::hls::accepts_gzip;
use super::service::{Answer, full, text};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderMap,
    HeaderName, HeaderValue, IF_NONE_MATCH, VARY, X_CONTENT_TYPE_OPTIONS,
};
use http::{Response, StatusCode};
use rust_embed::RustEmbed;
use std::collections::HashMap;
use std::io::Write;
use std::sync::{LazyLock, Mutex, PoisonError};

/// The player page and what it loads.
#[derive(RustEmbed)]
#[folder = "$CARGO_MANIFEST_DIR/../../web"]
struct Web;

/// What a page for administrators may load, and that no other page may show it in a frame. CSP Level 3.
const CONSOLE_POLICY: &str =
    "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The file of a request path: `/` is the player, `/publish` sends from a browser, `/stage` is for co-hosts and their audience,
/// `/console` is for administrators, everything else lies below `/web/`.
pub(crate) fn answer(path: &str, headers: &HeaderMap) -> Answer {
    let name = match path {
        "/" => "index.html",
        "/publish" | "/publish/" => "studio/index.html",
        "/stage" | "/stage/" => "stage/index.html",
        "/console" | "/console/" => "console/index.html",
        path => path.strip_prefix("/web/").unwrap_or_default(),
    };
    let Some(file) = Web::get(name) else {
        return text(StatusCode::NOT_FOUND, "there is nothing here; the player is at /\n");
    };
    let asked = |header: HeaderName| headers.get(header).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let tag = entity_tag(&file.metadata.sha256_hash());
    if asked(IF_NONE_MATCH).split(',').any(|known| known.trim().trim_start_matches("W/") == tag) {
        let mut answer = Response::new(full(Bytes::new()));
        *answer.status_mut() = StatusCode::NOT_MODIFIED;
        put_cache_headers(&mut answer, &tag);
        return answer;
    }
    let gzip = accepts_gzip(asked(ACCEPT_ENCODING));
    let body = if gzip { compressed(&tag, &file.data) } else { file.data.into_owned().into() };
    let mut answer = Response::new(full(body));
    put_cache_headers(&mut answer, &tag);
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type(name)));
    answer.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if name == "console/index.html" {
        answer.headers_mut().insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(CONSOLE_POLICY));
    }
    if gzip {
        answer.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    answer
}

/// Pages are asked for again at every visit and sent again only if they changed. RFC 9110 §13.1.2.
fn put_cache_headers(answer: &mut Answer, tag: &str) {
    let headers = answer.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
    if let Ok(tag) = HeaderValue::from_str(tag) {
        headers.insert(ETAG, tag);
    }
}

fn entity_tag(hash: &[u8; 32]) -> String {
    let hex: String = hash[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("\"{hex}\"")
}

/// Compressed once per content; there are as many entries as pages.
fn compressed(tag: &str, data: &[u8]) -> Bytes {
    static DONE: LazyLock<Mutex<HashMap<String, Bytes>>> = LazyLock::new(Mutex::default);
    let mut done = DONE.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(bytes) = done.get(tag) {
        return bytes.clone();
    }
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    // Writing to a vector can't fail.
    let _ = encoder.write_all(data);
    let bytes = Bytes::from(encoder.finish().unwrap_or_default());
    done.insert(tag.to_owned(), bytes.clone());
    bytes
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("js" | "mjs") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "text/plain; charset=utf-8",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_sent_once_and_then_only_if_it_changed() {
        let first = answer("/", &HeaderMap::new());
        assert_eq!(first.status(), StatusCode::OK);
        let known = HeaderMap::from_iter([(IF_NONE_MATCH, first.headers()[ETAG].clone())]);
        assert_eq!(answer("/", &known).status(), StatusCode::NOT_MODIFIED);
        assert_eq!(answer("/web/../Cargo.toml", &HeaderMap::new()).status(), StatusCode::NOT_FOUND);
    }

    #[test]
    fn no_other_page_shows_the_console_in_a_frame() {
        for path in ["/console", "/console/", "/web/console/index.html"] {
            let answer = answer(path, &HeaderMap::new());
            assert_eq!(answer.status(), StatusCode::OK);
            assert!(
                answer.headers()[CONTENT_SECURITY_POLICY]
                    .to_str()
                    .unwrap()
                    .ends_with("frame-ancestors 'none'")
            );
        }
        assert!(
            !answer("/", &HeaderMap::new()).headers().contains_key(CONTENT_SECURITY_POLICY),
            "players may"
        );
    }
}
