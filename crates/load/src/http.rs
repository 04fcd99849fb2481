//! As much HTTP/1.1 as a viewer needs (RFC 9112): a request, the head of an answer, chunked bodies.

use std::fmt::Write as _;

/// A GET as a player sends it.
pub(crate) fn get(host: &str, path: &str, extra: &str) -> Vec<u8> {
    let mut text =
        format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: floodtide-load\r\nAccept: */*\r\n");
    let _ = write!(text, "{extra}Connection: keep-alive\r\n\r\n");
    text.into_bytes()
}

/// The head of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Head {
    /// The status code.
    pub(crate) status: u16,
    /// Status code and phrase, shortened.
    pub(crate) status_text: String,
    /// How the body ends.
    pub(crate) body: BodyEnd,
    /// Where a redirect leads.
    pub(crate) location: Option<String>,
    /// The server closes after this answer.
    pub(crate) close: bool,
    /// The body is packed with gzip.
    pub(crate) gzip: bool,
}

/// How a body ends (RFC 9112 §6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyEnd {
    /// After so many bytes.
    Length(u64),
    /// With the last chunk.
    Chunked,
    /// With the connection.
    Close,
}

/// Gathers a head that arrives in pieces.
#[derive(Debug, Default)]
pub(crate) struct HeadReader {
    bytes: Vec<u8>,
}

impl HeadReader {
    /// Takes the head's bytes from the front of `bytes`. `None` while it is not complete.
    ///
    /// # Errors
    /// When it is no HTTP or longer than a head should be.
    pub(crate) fn read(&mut self, bytes: &mut &[u8]) -> Result<Option<Head>, &'static str> {
        let before = self.bytes.len();
        let room = HEAD_BYTES_MAX - before;
        let taken = room.min(bytes.len());
        self.bytes.extend_from_slice(&bytes[..taken]);
        let from = before.saturating_sub(3);
        let Some(at) = self.bytes[from..].windows(4).position(|window| window == b"\r\n\r\n") else {
            *bytes = &bytes[taken..];
            return if self.bytes.len() == HEAD_BYTES_MAX { Err("endless HTTP head") } else { Ok(None) };
        };
        let end = from + at + 4;
        *bytes = &bytes[end - before..];
        let head = parse_head(&String::from_utf8_lossy(&self.bytes[..end])).ok_or("not HTTP");
        self.bytes = Vec::new();
        head.map(Some)
    }
}

fn parse_head(text: &str) -> Option<Head> {
    let mut lines = text.split("\r\n");
    let (version, rest) = lines.next()?.split_once(' ')?;
    if !version.starts_with("HTTP/1.") {
        return None;
    }
    let status: u16 = rest.get(..3)?.parse().ok()?;
    let mut head = Head {
        status,
        status_text: rest.chars().take(STATUS_TEXT_CHARS).collect(),
        body: if status == 204 || status == 304 { BodyEnd::Length(0) } else { BodyEnd::Close },
        location: None,
        close: version == "HTTP/1.0",
        gzip: false,
    };
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        let value = value.trim();
        match name.to_ascii_lowercase().as_str() {
            "content-length" if head.body == BodyEnd::Close => {
                head.body = BodyEnd::Length(value.parse().ok()?);
            }
            "transfer-encoding" if value.to_ascii_lowercase().contains("chunked") => {
                head.body = BodyEnd::Chunked;
            }
            "content-encoding" => head.gzip = value.eq_ignore_ascii_case("gzip"),
            "location" => head.location = Some(value.to_owned()),
            "connection" => head.close = value.eq_ignore_ascii_case("close"),
            _ => {}
        }
    }
    Some(head)
}

/// Takes chunks apart (RFC 9112 §7.1).
#[derive(Debug, Default)]
pub(crate) struct Chunks {
    state: ChunkState,
}

#[derive(Debug, Default, Clone, Copy)]
enum ChunkState {
    /// In the size line; `true` after a semicolon.
    #[default]
    Start,
    Size(u64, bool),
    Data(u64),
    /// The line end behind the data.
    After,
    /// In the trailer; `true` while the line is empty so far.
    Trailer(bool),
    Done,
}

impl Chunks {
    /// The next run of body bytes at the front of `bytes`; `None` when all are taken.
    ///
    /// # Errors
    /// When the chunking is broken.
    pub(crate) fn next<'a>(&mut self, bytes: &mut &'a [u8]) -> Result<Option<&'a [u8]>, &'static str> {
        while let Some((&first, rest)) = bytes.split_first() {
            if let ChunkState::Data(left) = self.state {
                let taken = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                let (data, rest) = bytes.split_at(taken);
                *bytes = rest;
                let left = left - taken as u64;
                self.state = if left == 0 { ChunkState::After } else { ChunkState::Data(left) };
                return Ok(Some(data));
            }
            if matches!(self.state, ChunkState::Done) {
                return Ok(None);
            }
            *bytes = rest;
            self.state = self.state.step(first)?;
        }
        Ok(None)
    }

    /// True after the last chunk.
    pub(crate) fn is_done(&self) -> bool {
        matches!(self.state, ChunkState::Done)
    }
}

impl ChunkState {
    fn step(self, byte: u8) -> Result<Self, &'static str> {
        const BROKEN: &str = "broken chunked encoding";
        Ok(match (self, byte) {
            (Self::Start, byte) => Self::Size(u64::from(char::from(byte).to_digit(16).ok_or(BROKEN)?), false),
            (Self::Size(0, _), b'\n') => Self::Trailer(true),
            (Self::Size(size, _), b'\n') => Self::Data(size),
            (Self::Size(size, true), _) => Self::Size(size, true),
            (Self::Size(size, false), b';' | b' ' | b'\t' | b'\r') => Self::Size(size, true),
            (Self::Size(size, false), byte) => {
                let digit = u64::from(char::from(byte).to_digit(16).ok_or(BROKEN)?);
                let size = size.checked_mul(16).and_then(|size| size.checked_add(digit)).ok_or(BROKEN)?;
                Self::Size(size, false)
            }
            (Self::After, b'\r') => Self::After,
            (Self::After, b'\n') => Self::Start,
            (Self::Trailer(true), b'\n') => Self::Done,
            (Self::Trailer(empty), b'\r') => Self::Trailer(empty),
            (Self::Trailer(_), b'\n') => Self::Trailer(true),
            (Self::Trailer(_), _) => Self::Trailer(false),
            _ => return Err(BROKEN),
        })
    }
}

/// Longer heads are an error.
const HEAD_BYTES_MAX: usize = 16 << 10;
/// What a report shows of a status line.
const STATUS_TEXT_CHARS: usize = 40;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Seeded;

    #[test]
    fn a_head_in_pieces_leaves_the_body_alone() {
        let bytes =
            b"HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc";
        for step in 1..bytes.len() {
            let mut reader = HeadReader::default();
            let mut body = vec![];
            let mut head = None;
            for piece in bytes.chunks(step) {
                let mut rest = piece;
                if head.is_none() {
                    head = reader.read(&mut rest).unwrap();
                }
                if head.is_some() {
                    body.extend_from_slice(rest);
                }
            }
            let head = head.unwrap();
            assert_eq!((head.status, head.body, head.close), (302, BodyEnd::Length(3), true));
            assert_eq!((head.location.as_deref(), body.as_slice()), (Some("/x"), &b"abc"[..]), "step {step}");
        }
    }

    #[test]
    fn chunks_come_apart_however_they_are_cut() {
        let bytes = b"4;x=y\r\nWiki\r\n5\r\npedia\r\n0\r\nTrailer: x\r\n\r\nrest";
        for step in 1..bytes.len() {
            let (mut chunks, mut body) = (Chunks::default(), vec![]);
            for piece in bytes.chunks(step) {
                let mut rest = piece;
                while let Some(data) = chunks.next(&mut rest).unwrap() {
                    body.extend_from_slice(data);
                }
            }
            assert!(chunks.is_done());
            assert_eq!(body, b"Wikipedia", "step {step}");
        }
    }

    #[test]
    fn other_bytes_are_errors_and_never_panics() {
        assert_eq!(HeadReader::default().read(&mut &b"SSH-2.0-x\r\n\r\n"[..]), Err("not HTTP"));
        assert!(HeadReader::default().read(&mut &vec![b'a'; 40_000][..]).is_err());
        assert!(Chunks::default().next(&mut &b"xyz"[..]).is_err());
        assert!(Chunks::default().next(&mut &b"fffffffffffffffff\r\n"[..]).is_err());
        let mut random = Seeded(3);
        for _ in 0..5000 {
            let alphabet = b"HTTP/1.1 2050\r\n:;aF-Content-Length";
            let bytes: Vec<u8> =
                (0..random.below(80)).map(|_| alphabet[random.below(alphabet.len())]).collect();
            let _ = HeadReader::default().read(&mut &bytes[..]);
            let (mut chunks, mut rest) = (Chunks::default(), &bytes[..]);
            while let Ok(Some(_)) = chunks.next(&mut rest) {}
        }
    }
}
