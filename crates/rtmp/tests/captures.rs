//! What real encoders sent, whole and damaged.
#![allow(clippy::unwrap_used, reason = "a test ends where it fails")]

use rtmp::handshake::PACKET_BYTES;
use rtmp::{Event, MediaKind, Output, Request, ServerConfig, ServerSession};
use testkit::Random;

const CAPTURES: [(&str, &[u8]); 2] = [
    ("ffmpeg 5.1", include_bytes!("captures/ffmpeg5-h264-aac.bin")),
    ("ffmpeg 9", include_bytes!("captures/ffmpeg9-hevc-opus.bin")),
];
const HELLO_BYTES: usize = 1 + 2 * PACKET_BYTES;

/// What a server makes of a publisher's bytes, given in pieces.
#[derive(Debug, Default, PartialEq)]
struct Seen {
    request: Option<(String, String, String)>,
    video: usize,
    audio: usize,
    last_ms: u32,
    ended: bool,
    broken: bool,
}

fn see(bytes: &[u8], mut piece: impl FnMut() -> usize) -> Seen {
    let mut server = ServerSession::new(&ServerConfig::default(), testkit::epoch(), [7; PACKET_BYTES]);
    let mut seen = Seen::default();
    let mut rest = bytes;
    while !rest.is_empty() {
        let (now, later) = rest.split_at(piece().clamp(1, rest.len()));
        if hear(&mut server, &mut seen, now).is_err() {
            seen.broken = true;
            return seen;
        }
        rest = later;
    }
    seen
}

fn hear(server: &mut ServerSession, seen: &mut Seen, bytes: &[u8]) -> Result<(), rtmp::Error> {
    server.handle_input(bytes)?;
    while let Some(output) = server.poll_output() {
        if let Output::Event(event) = output {
            let is_request = matches!(event, Event::Connect(_) | Event::Publish(_));
            take(server, seen, event);
            if is_request {
                server.handle_input(&[])?;
            }
        }
    }
    Ok(())
}

fn take(server: &mut ServerSession, seen: &mut Seen, event: Event) {
    match event {
        Event::Connect(_) => server.accept_connect(),
        Event::Publish(Request { id, app, name, query, .. }) => {
            server.accept_publish(id);
            seen.request = Some((app, name, query));
        }
        Event::Media { kind, timestamp, .. } => {
            match kind {
                MediaKind::Video => seen.video += 1,
                MediaKind::Audio => seen.audio += 1,
                MediaKind::Data => return,
            }
            seen.last_ms = seen.last_ms.max(timestamp);
        }
        Event::PublishEnded => seen.ended = true,
        _ => {}
    }
}

#[test]
fn every_frame_of_real_encoders_is_seen_however_the_bytes_are_cut() {
    for (name, bytes) in CAPTURES {
        let whole = see(bytes, || usize::MAX);
        assert!(!whole.broken && whole.ended, "{name}: {whole:?}");
        // A sequence header, 15 pictures, perhaps an end of sequence.
        assert!((16..=18).contains(&whole.video), "{name}: {whole:?}");
        assert!(whole.audio > 60 && (1300..1800).contains(&whole.last_ms), "{name}: {whole:?}");
        for size in [1, 7, 128, 1000] {
            assert_eq!(see(bytes, || size), whole, "{name} in pieces of {size}");
        }
    }
    let (app, stream, query) = see(CAPTURES[0].1, || 4096).request.unwrap();
    assert_eq!((app.as_str(), stream.as_str(), query.as_str()), ("live", "cap1", "key=x"));
}

#[test]
fn fuzz_damaged_captures_never_panic_the_server() {
    let mut random = Random::seeded(9);
    for case in 0..1500 {
        let (_, bytes) = CAPTURES[case % CAPTURES.len()];
        // The handshake stays, or nearly all cases would end there.
        let bytes = [&bytes[..HELLO_BYTES], &random.mutate(&bytes[HELLO_BYTES..])].concat();
        let size = 1 + random.below(4000);
        see(&bytes, || size);
    }
}
