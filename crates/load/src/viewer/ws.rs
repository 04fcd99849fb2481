//! A WebSocket viewer's bytes (RFC 6455): FLV in binary messages, cut anywhere.

use super::Seen;
use super::flv::{ENDED, Tags};
use crate::http::HeadReader;

/// Reads the answer to the upgrade, then frames.
#[derive(Debug)]
pub(crate) struct WsViewer {
    state: State,
    tags: Tags,
}

#[derive(Debug)]
enum State {
    Head(HeadReader),
    /// Header bytes of a WebSocket frame so far.
    FrameHeader(Vec<u8>),
    /// Payload of a data frame that is still to come.
    Data(u64),
    /// A control frame's payload so far.
    Control {
        opcode: u8,
        length: usize,
        payload: Vec<u8>,
    },
}

/// The upgrade request. Any 16 bytes make a key; it only has to be answered.
pub(super) fn request(host: &str, path: &str, number: usize) -> Vec<u8> {
    let key = base64_16((number as u128 + 1).wrapping_mul(KEY_SPREAD).to_be_bytes());
    format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: floodtide-load\r\nConnection: Upgrade\r\n\
         Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n"
    )
    .into_bytes()
}

/// A client's control frame. A mask of zero is a mask (RFC 6455 §5.3); a load generator hides nothing from proxies.
pub(super) fn control(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let payload = &payload[..payload.len().min(CONTROL_BYTES_MAX)];
    let mut out = vec![0x80 | opcode, 0x80 | payload.len() as u8, 0, 0, 0, 0];
    out.extend_from_slice(payload);
    out
}

impl WsViewer {
    pub(super) fn new(probe: bool) -> Self {
        Self { state: State::Head(HeadReader::default()), tags: Tags::new(probe) }
    }

    pub(super) fn feed(
        &mut self,
        bytes: &[u8],
        out: &mut Vec<u8>,
        seen: &mut Vec<Seen>,
    ) -> Result<(), String> {
        let mut rest = bytes;
        if let State::Head(reader) = &mut self.state {
            let Some(head) = reader.read(&mut rest)? else { return Ok(()) };
            match (head.status, head.location) {
                (101, _) => {}
                (301 | 302 | 303 | 307 | 308, Some(location)) => {
                    seen.push(Seen::Redirect(location));
                    return Ok(());
                }
                _ => return Err(format!("HTTP {}", head.status_text)),
            }
            self.state = State::FrameHeader(Vec::new());
        }
        while !rest.is_empty() {
            self.step(&mut rest, out, seen)?;
        }
        Ok(())
    }

    fn step(&mut self, rest: &mut &[u8], out: &mut Vec<u8>, seen: &mut Vec<Seen>) -> Result<(), String> {
        match &mut self.state {
            State::Head(_) => {}
            State::FrameHeader(header) => {
                header.push(rest[0]);
                *rest = &rest[1..];
                if let Some(next) = after_header(header)? {
                    self.state = next;
                    // An empty control frame is complete here, and no byte may follow for a while.
                    self.finish_control(out)?;
                }
            }
            State::Data(left) => {
                let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(rest.len());
                let (data, after) = rest.split_at(taken);
                *rest = after;
                *left -= taken as u64;
                if *left == 0 {
                    self.state = State::FrameHeader(Vec::new());
                }
                self.tags.feed(data, seen)?;
            }
            State::Control { length, payload, .. } => {
                let taken = (*length - payload.len()).min(rest.len());
                payload.extend_from_slice(&rest[..taken]);
                *rest = &rest[taken..];
                self.finish_control(out)?;
            }
        }
        Ok(())
    }

    fn finish_control(&mut self, out: &mut Vec<u8>) -> Result<(), String> {
        let State::Control { opcode, length, payload } = &self.state else { return Ok(()) };
        if payload.len() < *length {
            return Ok(());
        }
        match *opcode {
            OPCODE_CLOSE => {
                let code = payload.first_chunk().map_or(1005, |code| u16::from_be_bytes(*code));
                return Err(if code == 1000 { ENDED.to_owned() } else { format!("WebSocket close {code}") });
            }
            OPCODE_PING => out.extend_from_slice(&control(OPCODE_PONG, payload)),
            _ => {}
        }
        self.state = State::FrameHeader(Vec::new());
        Ok(())
    }
}

/// RFC 6455 §5.2. `None` while the header is not complete.
fn after_header(header: &[u8]) -> Result<Option<State>, String> {
    let [first, second, extended @ ..] = header else { return Ok(None) };
    if second & 0x80 != 0 || first & 0x70 != 0 {
        return Err("broken WebSocket frame".to_owned());
    }
    let wanted = match second & 0x7f {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    if extended.len() < wanted {
        return Ok(None);
    }
    let length = match wanted {
        0 => u64::from(second & 0x7f),
        _ => extended.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)),
    };
    let opcode = first & 15;
    Ok(Some(match opcode {
        8.. if length <= CONTROL_BYTES_MAX as u64 => {
            State::Control { opcode, length: length as usize, payload: Vec::new() }
        }
        0 | 2 if length > 0 => State::Data(length),
        0 | 2 => State::FrameHeader(Vec::new()),
        _ => return Err("unexpected WebSocket frame".to_owned()),
    }))
}

fn base64_16(bytes: [u8; 16]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let number = u128::from_be_bytes(bytes);
    // 16 bytes are 21 digits of 6 bits, 2 bits that fill the 22nd from above, and two signs of padding.
    let mut text: String =
        (0..21).map(|digit| char::from(ALPHABET[(number >> (122 - 6 * digit)) as usize & 63])).collect();
    text.push(char::from(ALPHABET[((number & 3) << 4) as usize]));
    text.push_str("==");
    text
}

pub(super) const OPCODE_PONG: u8 = 10;
const OPCODE_PING: u8 = 9;
const OPCODE_CLOSE: u8 = 8;
/// RFC 6455 §5.5.
const CONTROL_BYTES_MAX: usize = 125;
/// Spreads small numbers over the key's bits.
const KEY_SPREAD: u128 = 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flv::tests::tiny_clip;
    use crate::testing::Seeded;

    fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
        let mut out = vec![0x80 | opcode];
        match payload.len() {
            0..126 => out.push(payload.len() as u8),
            126..65536 => {
                out.push(126);
                out.extend_from_slice(&(payload.len() as u16).to_be_bytes());
            }
            _ => {
                out.push(127);
                out.extend_from_slice(&(payload.len() as u64).to_be_bytes());
            }
        }
        out.extend_from_slice(payload);
        out
    }

    #[test]
    fn keys_are_base64() {
        assert_eq!(base64_16(*b"the sample nonce"), "dGhlIHNhbXBsZSBub25jZQ==", "RFC 6455 section 1.3");
    }

    #[test]
    fn flv_in_messages_is_seen_and_pings_are_answered_however_it_is_cut() {
        let clip = tiny_clip(6, 3);
        let mut bytes = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n".to_vec();
        bytes.extend(frame(2, &clip[..100]));
        bytes.extend(frame(OPCODE_PING, b"hi"));
        bytes.extend(frame(OPCODE_PING, b""));
        bytes.extend(frame(2, &clip[100..]));
        for step in [1, 2, 7, 100, bytes.len()] {
            let (mut viewer, mut out, mut seen) = (WsViewer::new(true), vec![], vec![]);
            for piece in bytes.chunks(step) {
                viewer.feed(piece, &mut out, &mut seen).unwrap();
            }
            assert_eq!(seen.iter().filter(|seen| **seen == Seen::Media).count(), 1);
            assert_eq!(seen.iter().filter(|seen| matches!(seen, Seen::Frame { video: true, .. })).count(), 6);
            assert_eq!(out, [control(OPCODE_PONG, b"hi"), control(OPCODE_PONG, b"")].concat());
        }
    }

    #[test]
    fn a_close_and_a_refusal_say_why() {
        let fed = |bytes: &[u8]| WsViewer::new(false).feed(bytes, &mut vec![], &mut vec![]);
        assert_eq!(fed(b"HTTP/1.1 404 Not Found\r\n\r\n"), Err("HTTP 404 Not Found".to_owned()));
        let mut bytes = b"HTTP/1.1 101 x\r\n\r\n".to_vec();
        bytes.extend(frame(OPCODE_CLOSE, &[0x03, 0xf0]));
        assert_eq!(fed(&bytes), Err("WebSocket close 1008".to_owned()));
    }

    #[test]
    fn garbage_never_panics() {
        let mut random = Seeded(5);
        for _ in 0..3000 {
            let mut bytes = b"HTTP/1.1 101 x\r\n\r\n".to_vec();
            bytes.extend((0..random.below(60)).map(|_| random.next() as u8));
            let _ = WsViewer::new(true).feed(&bytes, &mut vec![], &mut vec![]);
        }
    }
}
