//! An RTMP viewer's bytes, and what publishers share with it: how a URL becomes an app and a name.

use super::flv::ENDED;
use super::{MediaWatch, Seen};
use crate::clock::Nanos;
use crate::flv::{AUDIO, SCRIPT, Start, VIDEO};
use crate::stamp;
use rtmp::handshake::PACKET_BYTES;
use rtmp::{ClientConfig, ClientEvent, ClientOutput, ClientSession, MediaKind, MessageKind};

/// Plays by RTMP.
#[derive(Debug)]
pub(crate) struct RtmpViewer {
    session: Box<ClientSession>,
    media: MediaWatch,
    probe: bool,
}

impl RtmpViewer {
    /// A viewer that is about to connect, and the bytes it sends first.
    pub(super) fn open(host: &str, path: &str, number: usize, probe: bool, now: Nanos) -> (Self, Vec<u8>) {
        let session = ClientSession::play(config(host, path), &noise(number as u64 ^ now));
        let mut viewer = Self { session: Box::new(session), media: MediaWatch::default(), probe };
        let mut first = Vec::new();
        // Nothing has been received: there is nothing but the first bytes to send.
        let _ = viewer.outputs(&mut first, &mut Vec::new());
        (viewer, first)
    }

    pub(super) fn feed(
        &mut self,
        _now: Nanos,
        bytes: &[u8],
        out: &mut Vec<u8>,
        seen: &mut Vec<Seen>,
    ) -> Result<(), String> {
        let result = self.session.handle_input(bytes);
        self.outputs(out, seen)?;
        result.map_err(|error| format!("RTMP: {error}"))
    }

    /// Bytes after which a server may expect to hear from us.
    pub(super) fn acknowledgement_window(&self) -> u32 {
        ACKNOWLEDGE_BYTES
    }

    fn outputs(&mut self, out: &mut Vec<u8>, seen: &mut Vec<Seen>) -> Result<(), String> {
        while let Some(output) = self.session.poll_output() {
            match output {
                ClientOutput::Send(bytes) => out.extend_from_slice(&bytes),
                ClientOutput::Event(ClientEvent::Ready | ClientEvent::Reconnect) => {}
                ClientOutput::Event(ClientEvent::Rejected(code, text)) => return Err(rejected(&code, &text)),
                ClientOutput::Event(ClientEvent::Redirected(url)) => return Err(rejected("redirect", &url)),
                ClientOutput::Event(ClientEvent::Ended) => return Err(ENDED.to_owned()),
                ClientOutput::Event(ClientEvent::Media { kind, timestamp, body }) => {
                    self.media_message(kind, timestamp, &body, seen);
                }
            }
        }
        Ok(())
    }

    fn media_message(&mut self, kind: MediaKind, timestamp: u32, body: &[u8], seen: &mut Vec<Seen>) {
        let Some(start) = Start::parse(tag_kind(kind), body) else { return };
        if self.media.begins(start) {
            seen.push(Seen::Media);
        }
        if self.probe && start.frame {
            let stamp = stamp::find(body).map(|(sent, _)| sent);
            seen.push(Seen::Frame { video: kind == MediaKind::Video, timestamp, stamp });
        }
    }
}

/// App and stream name of an RTMP URL: the app is the first element of the path, the name is all the rest.
pub(crate) fn config(host: &str, path: &str) -> ClientConfig {
    let path = path.trim_start_matches('/');
    let (app, name) = path.split_once('/').unwrap_or((path, ""));
    ClientConfig { app: app.to_owned(), name: name.to_owned(), tc_url: format!("rtmp://{host}/{app}") }
}

/// A refusal in one line.
pub(crate) fn rejected(code: &str, text: &str) -> String {
    let shown: String = text.chars().filter(|c| !c.is_control()).take(60).collect();
    if shown.is_empty() { format!("refused: {code}") } else { format!("refused: {code} ({shown})") }
}

/// The acknowledgement of so many bytes (RTMP 1.0 §5.4.3).
pub(crate) fn acknowledgement(bytes: u64) -> Vec<u8> {
    let mut out = bytes::BytesMut::new();
    let count = (bytes as u32).to_be_bytes();
    let chunk = rtmp::chunk::DEFAULT_CHUNK_BYTES;
    rtmp::write_message(&mut out, CONTROL_CHUNK_STREAM, MessageKind::Acknowledgement, 0, 0, chunk, &[&count]);
    out.to_vec()
}

/// The bytes of a handshake; unequal is all they have to be.
pub(crate) fn noise(seed: u64) -> [u8; PACKET_BYTES] {
    let mut state = seed;
    std::array::from_fn(|_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    })
}

fn tag_kind(kind: MediaKind) -> u8 {
    match kind {
        MediaKind::Audio => AUDIO,
        MediaKind::Video => VIDEO,
        MediaKind::Data => SCRIPT,
    }
}

/// RTMP 1.0 §5.4: control messages go on chunk stream 2.
const CONTROL_CHUNK_STREAM: u8 = 2;
/// Below every window that servers ask for in practice (nginx-rtmp and SRS 2.5 MB and 5 MB).
const ACKNOWLEDGE_BYTES: u32 = 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_becomes_app_and_name() {
        let config = config("h:1935", "/live/x1?key=a/b");
        assert_eq!((config.app.as_str(), config.name.as_str()), ("live", "x1?key=a/b"));
        assert_eq!(config.tc_url, "rtmp://h:1935/live");
    }
}
