//! FLV in WebSocket messages (RFC 6455): the same tags, framed once for everybody.

use super::flv::FlvMuxer;
use crate::egress::{Format, Input, Muxer};
use crate::sessions::Protocol;
use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::{BufMut, Bytes, BytesMut};
use hub::Catalog;
use media::{Frame, Track};

/// The format of all WebSocket viewers.
pub(super) static MESSAGES: Messages = Messages;

/// FLV, one binary message per tag.
#[derive(Debug)]
pub(super) struct Messages;

#[derive(Debug, Default)]
struct MessageMuxer {
    flv: FlvMuxer,
    message: BytesMut,
}

/// Appended to the client's key before hashing. RFC 6455 §1.3.
const KEY_SUFFIX: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// First byte of a whole message by opcode. RFC 6455 §5.2.
const BINARY: u8 = 0x82;
const CLOSE: u8 = 0x88;
const PONG: u8 = 0x8a;
/// Opcodes of the client's frames that matter.
const OPCODE_CLOSE: u8 = 8;
const OPCODE_PING: u8 = 9;

/// The response head that opens the WebSocket.
pub(super) fn response_head(key: &str) -> Bytes {
    let hash = digest(&SHA1_FOR_LEGACY_USE_ONLY, format!("{key}{KEY_SUFFIX}").as_bytes());
    let accept = BASE64_STANDARD.encode(hash);
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\nServer: {}\r\n\r\n",
        crate::SERVER
    )
    .into()
}

impl Format for Messages {
    fn protocol(&self) -> Protocol {
        Protocol::WsFlv
    }

    fn muxer(&self) -> Box<dyn Muxer> {
        Box::new(MessageMuxer::default())
    }

    /// Pings are answered and closes obeyed. A client's control frames are short and come in one piece; of
    /// anything longer only the start is looked at, since a viewer has nothing else to say.
    fn input(&self, bytes: &[u8]) -> Input {
        let [first, second, rest @ ..] = bytes else { return Input::Ignore };
        let length = usize::from(second & 0x7f);
        match first & 0x0f {
            OPCODE_CLOSE => Input::Close,
            OPCODE_PING if second & 0x80 != 0 && rest.len() >= 4 + length && length < 126 => {
                let (mask, data) = rest.split_at(4);
                let mut pong = BytesMut::with_capacity(2 + length);
                pong.put_slice(&[PONG, length as u8]);
                pong.extend(data[..length].iter().zip(mask.iter().cycle()).map(|(d, m)| d ^ m));
                Input::Reply(pong.freeze())
            }
            _ => Input::Ignore,
        }
    }
}

impl MessageMuxer {
    /// Appends what was muxed as one binary message.
    fn put(&mut self, out: &mut BytesMut) {
        let length = self.message.len();
        if length == 0 {
            return;
        }
        out.put_u8(BINARY);
        match length {
            0..126 => out.put_u8(length as u8),
            126..65_536 => {
                out.put_u8(126);
                out.put_u16(length as u16);
            }
            _ => {
                out.put_u8(127);
                out.put_u64(length as u64);
            }
        }
        out.extend_from_slice(&self.message);
        self.message.clear();
    }
}

impl Muxer for MessageMuxer {
    fn head(&mut self, catalog: &Catalog, out: &mut BytesMut) {
        self.flv.head(catalog, &mut self.message);
        self.put(out);
    }

    fn catalog(&mut self, catalog: &Catalog, out: &mut BytesMut) {
        self.flv.catalog(catalog, &mut self.message);
        self.put(out);
    }

    fn frame(&mut self, track: &Track, frame: &Frame, out: &mut BytesMut) {
        self.flv.frame(track, frame, &mut self.message);
        self.put(out);
    }

    /// A close frame with the code 1000. RFC 6455 §7.4.1.
    fn end(&mut self, out: &mut BytesMut) {
        out.put_slice(&[CLOSE, 2, 0x03, 0xe8]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_handshake_answers_the_key_of_the_rfc() {
        let head = response_head("dGhlIHNhbXBsZSBub25jZQ==");
        assert!(String::from_utf8_lossy(&head).contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    }

    #[test]
    fn pings_are_answered_unmasked_and_closes_obeyed() {
        let Input::Reply(pong) = MESSAGES.input(&[0x89, 0x82, 1, 2, 3, 4, b'h' ^ 1, b'i' ^ 2]) else {
            panic!("no reply")
        };
        assert_eq!(&pong[..], b"\x8a\x02hi");
        assert!(matches!(MESSAGES.input(&[0x88, 0x80, 0, 0, 0, 0]), Input::Close));
        assert!(matches!(MESSAGES.input(&[0x89, 0xff, 1]), Input::Ignore));
    }
}
