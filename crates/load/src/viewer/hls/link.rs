//! One HTTP connection of an HLS viewer: one request at a time, kept alive, opened again when the server closes it.

use crate::clock::Nanos;
use crate::crowd::Shared;
use crate::http::{BodyEnd, Chunks, Head, HeadReader};
use crate::socket::{self, Received};
use crate::viewer::Record;
use flate2::read::GzDecoder;
use mio::net::TcpStream;
use std::io::Read as _;
use std::net::SocketAddr;

/// A connection and the answer it is reading.
#[derive(Debug)]
pub(super) struct Link {
    address: SocketAddr,
    /// Its viewer's number, which chooses the source address.
    number: usize,
    token: usize,
    /// Read at once rather than on the tick.
    prompt: bool,
    stream: Option<TcpStream>,
    out: Vec<u8>,
    state: State,
    /// Asked on a connection that has answered before: it may be gone by now, which is no fault.
    reused: bool,
    head: Option<Head>,
    /// The body, when someone wants to see it.
    kept: Option<Vec<u8>>,
    request: Vec<u8>,
}

#[derive(Debug)]
enum State {
    Idle,
    Head(HeadReader),
    Sized(u64),
    Chunked(Chunks),
    UntilClose,
}

/// What reading led to.
#[derive(Debug)]
pub(super) enum Outcome {
    /// Nothing yet.
    Waiting,
    Answer(Answer),
    Failed(&'static str),
}

/// An answer in full.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) head: Head,
    /// Unpacked; empty when nobody wanted it.
    pub(super) body: Vec<u8>,
}

impl Link {
    pub(super) fn new(address: SocketAddr, number: usize, token: usize) -> Self {
        Self {
            address,
            number,
            token,
            prompt: true,
            stream: None,
            out: Vec::new(),
            state: State::Idle,
            reused: false,
            head: None,
            kept: None,
            request: Vec::new(),
        }
    }

    /// Sends a request, over the connection at hand or a new one. `false` when there is no connection to be had.
    pub(super) fn ask(&mut self, request: Vec<u8>, keep: bool, shared: &Shared) -> bool {
        self.kept = keep.then(Vec::new);
        self.head = None;
        self.state = State::Head(HeadReader::default());
        self.reused = self.stream.is_some();
        self.out.clone_from(&request);
        self.request = request;
        if self.stream.is_none() {
            return self.connect(shared);
        }
        self.flush() || self.again(shared)
    }

    fn connect(&mut self, shared: &Shared) -> bool {
        let source = socket::source_address(self.address, self.number, shared.sources);
        self.stream = socket::connect(self.address, source, None)
            .and_then(|mut stream| shared.watch(&mut stream, self.token, self.prompt).map(|()| stream))
            .ok();
        self.stream.is_some()
    }

    /// The connection was gone before it could answer: once more over a new one.
    fn again(&mut self, shared: &Shared) -> bool {
        let untouched = matches!(self.state, State::Head(_)) && std::mem::take(&mut self.reused);
        if !untouched {
            return false;
        }
        self.state = State::Head(HeadReader::default());
        self.out.clone_from(&self.request);
        self.connect(shared)
    }

    fn flush(&mut self) -> bool {
        self.stream.as_ref().is_some_and(|stream| socket::send_some(stream, &mut self.out))
    }

    /// Reads what has come. `media` marks the viewer's first media with the first byte of the body.
    pub(super) fn read(
        &mut self,
        media: bool,
        record: &mut Record,
        shared: &mut Shared,
        now: Nanos,
    ) -> Outcome {
        if !self.out.is_empty() && self.stream.is_some() && !self.flush() {
            return self.broken("connection reset", shared);
        }
        loop {
            let Some(stream) = &self.stream else { return Outcome::Waiting };
            let received = match (&self.state, &self.kept) {
                (State::Sized(left), None) => {
                    let room = usize::try_from(*left).unwrap_or(usize::MAX).min(shared.buffer.len());
                    socket::discard(stream, &mut shared.buffer[..room])
                }
                _ => socket::receive(stream, &mut shared.buffer[..READ_BYTES]),
            };
            let count = match received {
                Received::Bytes(count) => count,
                Received::Later => return Outcome::Waiting,
                Received::End => return self.end(shared),
                Received::Broken(reason) => return self.broken(reason, shared),
            };
            record.connected = true;
            record.received(now, count);
            let taken = match &mut self.state {
                State::Sized(left) if self.kept.is_none() => {
                    *left -= count as u64;
                    Ok(*left == 0)
                }
                _ => self.take(&shared.buffer[..count]),
            };
            if media && record.first_media == 0 && self.has_body() {
                record.first_media = now;
            }
            match taken {
                Ok(false) => {}
                Ok(true) => return self.finish(),
                Err(reason) => return self.fail(reason),
            }
        }
    }

    /// Takes bytes in; true when the answer is complete.
    fn take(&mut self, bytes: &[u8]) -> Result<bool, &'static str> {
        let mut rest = bytes;
        self.reused = false;
        if let State::Head(reader) = &mut self.state {
            let Some(head) = reader.read(&mut rest)? else { return Ok(false) };
            self.state = match head.body {
                BodyEnd::Length(length) => State::Sized(length),
                BodyEnd::Chunked => State::Chunked(Chunks::default()),
                BodyEnd::Close => State::UntilClose,
            };
            if !(200..300).contains(&head.status) {
                self.kept = None;
            }
            self.head = Some(head);
        }
        match &mut self.state {
            State::Idle | State::Head(_) => Err("an answer that nobody asked for"),
            State::Sized(left) => {
                let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(rest.len());
                *left -= taken as u64;
                let done = *left == 0;
                keep(&mut self.kept, &rest[..taken])?;
                Ok(done)
            }
            State::Chunked(chunks) => {
                while let Some(data) = chunks.next(&mut rest)? {
                    keep(&mut self.kept, data)?;
                }
                Ok(chunks.is_done())
            }
            State::UntilClose => keep(&mut self.kept, rest).map(|()| false),
        }
    }

    fn has_body(&self) -> bool {
        self.head.as_ref().is_some_and(|head| (200..300).contains(&head.status))
    }

    fn finish(&mut self) -> Outcome {
        self.state = State::Idle;
        let Some(head) = self.head.take() else { return self.fail("an answer without head") };
        if head.close {
            self.stream = None;
        }
        match self.kept.take().map(|body| if head.gzip { unpacked(&body) } else { Some(body) }) {
            None => Outcome::Answer(Answer { head, body: Vec::new() }),
            Some(Some(body)) => Outcome::Answer(Answer { head, body }),
            Some(None) => self.fail("broken gzip"),
        }
    }

    fn end(&mut self, shared: &Shared) -> Outcome {
        self.stream = None;
        match self.state {
            State::UntilClose => self.finish(),
            State::Idle => Outcome::Waiting,
            _ => self.broken("closed by the server", shared),
        }
    }

    fn broken(&mut self, reason: &'static str, shared: &Shared) -> Outcome {
        self.stream = None;
        if matches!(self.state, State::Idle) || self.again(shared) {
            Outcome::Waiting
        } else {
            self.fail(reason)
        }
    }

    /// Gives the answer up, and the connection with it.
    pub(super) fn fail(&mut self, reason: &'static str) -> Outcome {
        self.state = State::Idle;
        self.stream = None;
        self.head = None;
        self.kept = None;
        self.out.clear();
        Outcome::Failed(reason)
    }

    /// From now on the tick is enough.
    pub(super) fn calm(&mut self, shared: &Shared) {
        if std::mem::take(&mut self.prompt)
            && let Some(stream) = &mut self.stream
            && shared.calm(stream, self.token).is_err()
        {
            // Like any lost connection: the next request opens a new one, or the answer times out.
            self.stream = None;
        }
    }

    /// Why the connection did not come up, if it did not.
    pub(super) fn connect_failure(&self) -> Option<&'static str> {
        self.stream.as_ref().and_then(socket::connect_failure)
    }
}

fn keep(kept: &mut Option<Vec<u8>>, bytes: &[u8]) -> Result<(), &'static str> {
    if let Some(kept) = kept {
        if kept.len() + bytes.len() > KEPT_BYTES_MAX {
            return Err("an answer that is too long");
        }
        kept.extend_from_slice(bytes);
    }
    Ok(())
}

fn unpacked(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let read = GzDecoder::new(bytes).take(KEPT_BYTES_MAX as u64).read_to_end(&mut out);
    read.is_ok().then_some(out)
}

/// Playlists are far smaller, and one segment of a probe fits.
const KEPT_BYTES_MAX: usize = 16 << 20;
const READ_BYTES: usize = 64 << 10;
