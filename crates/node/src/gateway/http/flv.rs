//! HTTP-FLV: one endless response.

use crate::egress::{Format, Input, Muxer};
use crate::sessions::Protocol;
use bytes::{Bytes, BytesMut};
use hub::Catalog;
use media::{Frame, Kind, Track};
use mux::flv;

/// The format of all HTTP-FLV viewers.
pub(super) static FLV: Flv = Flv;

/// Plain FLV.
#[derive(Debug)]
pub(super) struct Flv;

/// Writes FLV tags.
#[derive(Debug, Default)]
pub(super) struct FlvMuxer {
    /// Time of the newest frame.
    newest_ms: u32,
}

/// Response headers of a play request. Without a length, the body ends with the connection.
pub(super) const HEADERS: &str = "Content-Type: video/x-flv\r\n\
    Cache-Control: no-store\r\n\
    Access-Control-Allow-Origin: *\r\n";

/// The response head of HTTP/1.
pub(super) fn response_head() -> Bytes {
    format!("HTTP/1.1 200 OK\r\nServer: {}\r\n{HEADERS}Connection: close\r\n\r\n", crate::SERVER).into()
}

impl Format for Flv {
    fn protocol(&self) -> Protocol {
        Protocol::Flv
    }

    fn muxer(&self) -> Box<dyn Muxer> {
        Box::new(FlvMuxer::default())
    }

    fn input(&self, _bytes: &[u8]) -> Input {
        Input::Ignore
    }
}

impl Muxer for FlvMuxer {
    fn head(&mut self, catalog: &Catalog, out: &mut BytesMut) {
        let has = |kind| catalog.first(kind).is_some();
        out.extend_from_slice(&flv::file_header(has(Kind::Video), has(Kind::Audio)));
        flv::write_tag(out, &flv::metadata(&catalog.tracks, crate::SERVER));
        headers(catalog, 0, out);
    }

    fn catalog(&mut self, catalog: &Catalog, out: &mut BytesMut) {
        headers(catalog, self.newest_ms, out);
    }

    fn frame(&mut self, track: &Track, frame: &Frame, out: &mut BytesMut) {
        if let Some(body) = flv::frame(track, frame) {
            self.newest_ms = body.timestamp_ms;
            flv::write_tag(out, &body);
        }
    }

    fn end(&mut self, _out: &mut BytesMut) {}
}

fn headers(catalog: &Catalog, at_ms: u32, out: &mut BytesMut) {
    let headers = catalog.tracks.iter().filter_map(|track| flv::sequence_header(track, at_ms));
    headers.for_each(|body| flv::write_tag(out, &body));
}
