//! What players are sent: the same chunks for everybody.

use crate::egress::{Format, Input, Muxer};
use crate::sessions::Protocol;
use bytes::BytesMut;
use hub::Catalog;
use media::{Frame, Track};
use mux::flv::{self, TagBody, TagType};
use rtmp::{
    AUDIO_CHUNK_STREAM, DATA_CHUNK_STREAM, MessageKind, OUT_CHUNK_BYTES, PLAY_MESSAGE_STREAM,
    VIDEO_CHUNK_STREAM, write_message,
};

/// The format of all players.
pub(super) static PLAY_FORMAT: PlayFormat = PlayFormat;

/// Chunks with absolute times and whole headers, so that a player can join before any message.
#[derive(Debug)]
pub(super) struct PlayFormat;

#[derive(Debug, Default)]
struct PlayMuxer {
    /// Time of the newest frame.
    newest_ms: u32,
}

impl Format for PlayFormat {
    fn protocol(&self) -> Protocol {
        Protocol::Rtmp
    }

    fn muxer(&self) -> Box<dyn Muxer> {
        Box::new(PlayMuxer::default())
    }

    /// Acknowledgements and statistics of a player need no answer; it leaves by closing the connection.
    fn input(&self, _bytes: &[u8]) -> Input {
        Input::Ignore
    }
}

impl Muxer for PlayMuxer {
    fn head(&mut self, catalog: &Catalog, out: &mut BytesMut) {
        put(&flv::metadata(&catalog.tracks, crate::SERVER), out);
        headers(catalog, 0, out);
    }

    fn catalog(&mut self, catalog: &Catalog, out: &mut BytesMut) {
        headers(catalog, self.newest_ms, out);
    }

    fn frame(&mut self, track: &Track, frame: &Frame, out: &mut BytesMut) {
        if let Some(body) = flv::frame(track, frame) {
            self.newest_ms = body.timestamp_ms;
            put(&body, out);
        }
    }

    fn end(&mut self, out: &mut BytesMut) {
        rtmp::write_play_end(out);
    }
}

fn headers(catalog: &Catalog, at_ms: u32, out: &mut BytesMut) {
    catalog.tracks.iter().filter_map(|t| flv::sequence_header(t, at_ms)).for_each(|body| put(&body, out));
}

fn put(body: &TagBody, out: &mut BytesMut) {
    let (kind, chunk_stream) = match body.tag {
        TagType::Audio => (MessageKind::Audio, AUDIO_CHUNK_STREAM),
        TagType::Video => (MessageKind::Video, VIDEO_CHUNK_STREAM),
        TagType::Script => (MessageKind::DataAmf0, DATA_CHUNK_STREAM),
    };
    write_message(
        out,
        chunk_stream,
        kind,
        PLAY_MESSAGE_STREAM,
        body.timestamp_ms,
        OUT_CHUNK_BYTES,
        &body.parts(),
    );
}
