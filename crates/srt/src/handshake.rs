//! The body of a handshake, and what extends it. Draft §3.2.1.

use bytes::{BufMut, BytesMut};

/// Draft figure 5.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Handshake {
    pub(crate) version: u32,
    pub(crate) encryption: u16,
    pub(crate) extension: u16,
    pub(crate) first_sequence: u32,
    pub(crate) mtu: u32,
    pub(crate) window: u32,
    /// Draft table 4; from 1000 on, why a caller is refused.
    pub(crate) kind: u32,
    pub(crate) socket: u32,
    pub(crate) cookie: u32,
    pub(crate) address: [u8; 16],
}

/// What stands behind the body.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Extensions<'a> {
    pub(crate) capabilities: Option<Capabilities>,
    pub(crate) key_material: Option<&'a [u8]>,
    pub(crate) stream_id: String,
    /// Another one than that of live mode.
    pub(crate) has_other_congestion: bool,
    pub(crate) has_filter: bool,
    pub(crate) has_group: bool,
}

/// Draft §3.2.1.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Capabilities {
    pub(crate) version: u32,
    pub(crate) flags: u32,
    /// Milliseconds that the one who says so waits for what it receives.
    pub(crate) receives_ms: u16,
    /// Milliseconds that the other one is asked to wait at least.
    pub(crate) sends_ms: u16,
}

pub(crate) const BYTES: usize = 48;
pub(crate) const INDUCTION: u32 = 1;
pub(crate) const CONCLUSION: u32 = 0xffff_ffff;
/// What the answer to an induction has in its extension field. Draft §4.3.1.1.
pub(crate) const MAGIC: u16 = 0x4a17;
/// Extension field of a conclusion: there are capabilities; there is key material.
pub(crate) const HAS_CAPABILITIES: u16 = 1;
pub(crate) const HAS_KEYS: u16 = 2;
/// Bytes of a stream id. Draft §3.2.1.3.
const STREAM_ID_BYTES_MAX: usize = 512;
/// Types of extensions. Draft table 6.
const CAPABILITIES_REQUEST: u16 = 1;
const CAPABILITIES_RESPONSE: u16 = 2;
const KEY_REQUEST: u16 = 3;
const KEY_RESPONSE: u16 = 4;
const STREAM_ID: u16 = 5;
const CONGESTION: u16 = 6;
const FILTER: u16 = 7;
const GROUP: u16 = 8;

/// Flags of capabilities. Draft table 5.
pub(crate) mod flags {
    /// Times of what is sent, and of what is received, are kept.
    pub(crate) const TIMES: u32 = 0x03;
    /// Encryption is understood.
    pub(crate) const CRYPT: u32 = 0x04;
    /// What is too late is dropped.
    pub(crate) const DROPS: u32 = 0x08;
    /// Losses are reported again and again.
    pub(crate) const PERIODIC_NAK: u32 = 0x10;
    /// Packets that are sent again say so.
    pub(crate) const RESENT: u32 = 0x20;
    /// A stream of bytes is wanted.
    pub(crate) const STREAM: u32 = 0x40;
}

impl Handshake {
    /// Reads the body, and what is behind it.
    pub(crate) fn parse(bytes: &[u8]) -> Option<(Handshake, &[u8])> {
        let (body, rest) = bytes.split_first_chunk::<BYTES>()?;
        let word = |at: usize| u32::from_be_bytes([body[at], body[at + 1], body[at + 2], body[at + 3]]);
        let mut address = [0; 16];
        address.copy_from_slice(&body[32..48]);
        let handshake = Handshake {
            version: word(0),
            encryption: (word(4) >> 16) as u16,
            extension: word(4) as u16,
            first_sequence: word(8),
            mtu: word(12),
            window: word(16),
            kind: word(20),
            socket: word(24),
            cookie: word(28),
            address,
        };
        Some((handshake, rest))
    }

    pub(crate) fn write(&self, out: &mut BytesMut) {
        out.put_u32(self.version);
        out.put_u16(self.encryption);
        out.put_u16(self.extension);
        let words = [self.first_sequence, self.mtu, self.window, self.kind, self.socket, self.cookie];
        words.iter().for_each(|word| out.put_u32(*word));
        out.put_slice(&self.address);
    }
}

impl<'a> Extensions<'a> {
    /// Reads them; `None` if one is cut short.
    pub(crate) fn parse(mut bytes: &'a [u8]) -> Option<Extensions<'a>> {
        let mut all = Extensions::default();
        while let Some((head, rest)) = bytes.split_first_chunk::<4>() {
            let kind = u16::from_be_bytes([head[0], head[1]]);
            let length = usize::from(u16::from_be_bytes([head[2], head[3]])) * 4;
            let (body, later) = rest.split_at_checked(length)?;
            bytes = later;
            match kind {
                CAPABILITIES_REQUEST => all.capabilities = Some(Capabilities::parse(body)?),
                KEY_REQUEST => all.key_material = Some(body),
                STREAM_ID if length <= STREAM_ID_BYTES_MAX => all.stream_id = text(body)?,
                STREAM_ID => return None,
                CONGESTION => all.has_other_congestion = text(body)? != "live",
                FILTER => all.has_filter = true,
                GROUP => all.has_group = true,
                _ => {}
            }
        }
        Some(all)
    }
}

impl Capabilities {
    fn parse(body: &[u8]) -> Option<Capabilities> {
        let (words, _) = body.as_chunks::<4>();
        let word = |at: usize| Some(u32::from_be_bytes(*words.get(at)?));
        let delays = word(2)?;
        Some(Capabilities {
            version: word(0)?,
            flags: word(1)?,
            receives_ms: (delays >> 16) as u16,
            sends_ms: delays as u16,
        })
    }

    /// Appends it as an answer.
    pub(crate) fn write(&self, out: &mut BytesMut) {
        out.put_u16(CAPABILITIES_RESPONSE);
        out.put_u16(3);
        out.put_u32(self.version);
        out.put_u32(self.flags);
        out.put_u16(self.receives_ms);
        out.put_u16(self.sends_ms);
    }
}

/// Appends key material as an answer.
pub(crate) fn write_keys(out: &mut BytesMut, material: &[u8]) {
    out.put_u16(KEY_RESPONSE);
    out.put_u16((material.len() / 4) as u16);
    out.put_slice(material);
}

/// Text has its bytes in the order of a little-endian machine, word by word, and zeros at its end. Draft §3.2.1.3.
fn text(body: &[u8]) -> Option<String> {
    let (words, _) = body.as_chunks::<4>();
    let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.iter().rev().copied()).collect();
    while bytes.last() == Some(&0) {
        bytes.pop();
    }
    String::from_utf8(bytes).ok()
}
