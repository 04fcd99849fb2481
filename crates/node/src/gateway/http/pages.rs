//! The pages, embedded in the binary.

use super::service::{Answer, full, text};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};
use rust_embed::RustEmbed;

/// The player page and what it loads.
#[derive(RustEmbed)]
#[folder = "$CARGO_MANIFEST_DIR/../../web"]
struct Web;

/// The file of a request path: `/` is the player, everything else lies below `/web/`.
pub(super) fn answer(path: &str) -> Answer {
    let name = if path == "/" { "index.html" } else { path.strip_prefix("/web/").unwrap_or_default() };
    let Some(file) = Web::get(name) else {
        return text(StatusCode::NOT_FOUND, "there is nothing here; the player is at /\n");
    };
    let mut answer = Response::new(full(file.data.into_owned()));
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type(name)));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    answer
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
