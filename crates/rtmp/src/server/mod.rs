//! One publisher or player, seen from the server.
//!
//! `handle_input` takes bytes in; `poll_output` gives bytes to send and events to act on, in order. A `connect`,
//! and a request to publish or play, waits for `accept_*` or `reject*`. See `LIFECYCLE.md`.

mod commands;
mod control;
mod farewell;

pub use farewell::write_play_end;

use crate::adobe::Login;
use crate::aggregate::Aggregate;
use crate::amf::Value;
use crate::chunk::{self, Reader};
use crate::handshake::{self, PACKET_BYTES};
use crate::wire::{ACK_WINDOW_BYTES, OUT_CHUNK_BYTES};
use crate::{Error, MediaKind, Message, MessageKind};
use bytes::{Bytes, BytesMut};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// What a server session is told at its start.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// How long the peer has from connecting to its request.
    pub request_timeout: Duration,
}

impl Default for ServerConfig {
    fn default() -> Self {
        ServerConfig { request_timeout: Duration::from_secs(10) }
    }
}

/// What a peer that connects says, before it asks for anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connect {
    /// The app, without query.
    pub app: String,
    /// The query of the app, without the answer of [`Connect::login`].
    pub query: String,
    /// The `tcUrl` of the connection.
    pub tc_url: String,
    /// The `flashVer` of the connection: what the peer says that it is, as it says it.
    pub flash_ver: String,
    /// Whether it says that it is a publisher; players never do.
    pub publishes: bool,
    /// Which user it is.
    pub login: Login,
}

/// Names a request within its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestId(pub(crate) u32);

/// What a publisher or player asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// To answer it by.
    pub id: RequestId,
    /// The app, without query.
    pub app: String,
    /// The stream name, without query.
    pub name: String,
    /// The queries of app and name, joined by `&`.
    pub query: String,
    /// The `tcUrl` of the connection.
    pub tc_url: String,
    /// The `flashVer` of the connection: what the peer says that it is, as it says it.
    pub flash_ver: String,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The peer connects; it waits for `accept_connect` or `reject_connect`.
    Connect(Connect),
    /// The peer wants to publish.
    Publish(Request),
    /// The peer wants to play.
    Play(Request),
    /// A media message of an accepted publisher.
    Media {
        /// What it carries.
        kind: MediaKind,
        /// Milliseconds, wrapping at 32 bits.
        timestamp: u32,
        /// The FLV tag body.
        body: Bytes,
    },
    /// The publisher ended its broadcast and stays connected.
    PublishEnded,
    /// The player ended playing and stays connected.
    PlayEnded,
}

/// What the session wants from its owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Bytes to send.
    Send(Bytes),
    /// Something to act on.
    Event(Event),
}

/// Why a request is refused, as the peer is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RejectCode {
    /// Not allowed to publish.
    PublishDenied,
    /// The path is occupied or not a path.
    PublishBadName,
    /// Nobody publishes what is asked for.
    PlayNotFound,
    /// Not allowed to play, or no room.
    PlayFailed,
}

impl RejectCode {
    fn as_str(self) -> &'static str {
        match self {
            RejectCode::PublishDenied => "NetStream.Publish.Denied",
            RejectCode::PublishBadName => "NetStream.Publish.BadName",
            RejectCode::PlayNotFound => "NetStream.Play.StreamNotFound",
            RejectCode::PlayFailed => "NetStream.Play.Failed",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Waiting for C0 and C1.
    Hello,
    /// Waiting for C2.
    Echo,
    /// Messages.
    Open,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    None,
    Asked(RequestId, Asks),
    Publishing,
    Playing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asks {
    Publish,
    Play,
}

/// One connection's protocol state, without IO.
#[derive(Debug)]
pub struct ServerSession {
    phase: Phase,
    role: Role,
    random: Box<[u8; PACKET_BYTES]>,
    hello: BytesMut,
    reader: Reader,
    outputs: VecDeque<Output>,
    /// The `connect` that waits for an answer: its transaction and command object.
    connecting: Option<(f64, Value)>,
    app: String,
    app_query: String,
    tc_url: String,
    flash_ver: String,
    /// The peer can be asked to connect anew.
    reconnects: bool,
    requests: u32,
    message_streams: u32,
    message_stream: u32,
    out_chunk_bytes: usize,
    received: u64,
    acknowledged: u64,
    ack_window: u32,
    /// When the peer must have been accepted as publisher or player.
    deadline: Option<Instant>,
}

/// Outputs that may wait; a peer that makes us answer more without reading is closed by its owner's back-pressure.
const OUTPUTS_HINT: usize = 8;

impl ServerSession {
    /// A session whose peer has just connected. `random` fills the handshake.
    pub fn new(config: &ServerConfig, now: Instant, random: [u8; PACKET_BYTES]) -> ServerSession {
        ServerSession {
            phase: Phase::Hello,
            role: Role::None,
            random: Box::new(random),
            hello: BytesMut::new(),
            reader: Reader::default(),
            outputs: VecDeque::with_capacity(OUTPUTS_HINT),
            connecting: None,
            app: String::new(),
            app_query: String::new(),
            tc_url: String::new(),
            flash_ver: String::new(),
            reconnects: false,
            requests: 0,
            message_streams: 0,
            message_stream: 0,
            out_chunk_bytes: chunk::DEFAULT_CHUNK_BYTES,
            received: 0,
            acknowledged: 0,
            ack_window: ACK_WINDOW_BYTES,
            deadline: now.checked_add(config.request_timeout),
        }
    }

    /// Takes bytes of the peer in. What follows a `connect` or a request in the same bytes waits until that is answered, as some
    /// encoders send their first media without waiting; then call this once more, with no bytes.
    ///
    /// # Errors
    /// When the peer breaks the protocol or a limit; the connection has to be closed then.
    pub fn handle_input(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.received += bytes.len() as u64;
        if self.phase == Phase::Open {
            self.reader.push(bytes);
        } else {
            self.hello.extend_from_slice(bytes);
            self.shake_hands()?;
        }
        if self.phase == Phase::Open {
            while !matches!(self.role, Role::Asked(..))
                && self.connecting.is_none()
                && let Some(message) = self.reader.message()?
            {
                self.message(&message)?;
            }
            self.acknowledge();
        }
        Ok(())
    }

    /// Tells the session what time it is.
    ///
    /// # Errors
    /// [`Error::Timeout`] when the peer took too long to say what it wants.
    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), Error> {
        if self.deadline.is_some_and(|d| d <= now) { Err(Error::Timeout) } else { Ok(()) }
    }

    /// When to call [`ServerSession::handle_timeout`].
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.deadline
    }

    /// The next thing to send or act on.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Lets the peer connect.
    pub fn accept_connect(&mut self) {
        if let Some((transaction, object)) = self.connecting.take() {
            self.connected(transaction, &object);
        }
    }

    /// Refuses a peer that connects. It reads why, then connects anew with what it lacked, or gives up; its owner closes.
    pub fn reject_connect(&mut self, description: &str) {
        if let Some((transaction, _)) = self.connecting.take() {
            self.error(transaction, "NetConnection.Connect.Rejected", description);
        }
    }

    /// Lets the publisher begin.
    pub fn accept_publish(&mut self, id: RequestId) {
        if self.role != Role::Asked(id, Asks::Publish) {
            return;
        }
        self.role = Role::Publishing;
        self.deadline = None;
        self.stream_begin();
        self.status("status", "NetStream.Publish.Start", "publishing");
    }

    /// Lets the player begin. The owner sends the media after what [`ServerSession::poll_output`] still has, in
    /// chunks of [`OUT_CHUNK_BYTES`] on message stream [`ServerSession::message_stream`].
    pub fn accept_play(&mut self, id: RequestId) {
        if self.role != Role::Asked(id, Asks::Play) {
            return;
        }
        self.role = Role::Playing;
        self.deadline = None;
        self.stream_begin();
        self.status("status", "NetStream.Play.Reset", "reset");
        self.status("status", "NetStream.Play.Start", "playing");
        self.send_values(
            MessageKind::DataAmf0,
            &["|RtmpSampleAccess".into(), Value::Boolean(true), Value::Boolean(true)],
        );
    }

    /// Refuses a request; the peer stays connected until its owner closes.
    pub fn reject(&mut self, id: RequestId, code: RejectCode, description: &str) {
        if matches!(self.role, Role::Asked(asked, _) if asked == id) {
            self.role = Role::None;
            self.status("error", code.as_str(), description);
        }
    }

    /// The message stream that the player plays on.
    pub fn message_stream(&self) -> u32 {
        self.message_stream
    }

    fn shake_hands(&mut self) -> Result<(), Error> {
        if let Some(first) = self.hello.first().filter(|b| **b != 3 && self.phase == Phase::Hello) {
            return Err(Error::Version(*first));
        }
        if self.phase == Phase::Hello && self.hello.len() > PACKET_BYTES {
            let hello = self.hello.split_to(1 + PACKET_BYTES);
            let c1: &[u8; PACKET_BYTES] = hello[1..].try_into().map_err(|_| Error::NoHeader)?;
            let answer = handshake::answer(hello[0], c1, &self.random)?;
            self.outputs.push_back(Output::Send(answer.into()));
            self.phase = Phase::Echo;
        }
        if self.phase == Phase::Echo && self.hello.len() >= PACKET_BYTES {
            // C2 is not compared: encoders exist that send anything there.
            let rest = self.hello.split_off(PACKET_BYTES);
            self.hello = BytesMut::new();
            self.reader.push(&rest);
            self.phase = Phase::Open;
        }
        Ok(())
    }

    fn message(&mut self, message: &Message) -> Result<(), Error> {
        let Some(kind) = MessageKind::from_id(message.kind) else { return Ok(()) };
        match kind {
            MessageKind::Audio => self.media(MediaKind::Audio, message.timestamp, message.payload.clone()),
            MessageKind::Video => self.media(MediaKind::Video, message.timestamp, message.payload.clone()),
            MessageKind::DataAmf0 => self.data(message.timestamp, &message.payload),
            MessageKind::DataAmf3 => self.data(message.timestamp, &crate::amf::skip_format(&message.payload)),
            MessageKind::CommandAmf0 => return self.command(&message.payload, message.message_stream),
            MessageKind::CommandAmf3 => {
                return self.command(&crate::amf::skip_format(&message.payload), message.message_stream);
            }
            MessageKind::Aggregate => {
                for (kind, timestamp, body) in Aggregate::new(message) {
                    match kind {
                        MediaKind::Data => self.data(timestamp, &body),
                        kind => self.media(kind, timestamp, body),
                    }
                }
            }
            _ => return self.control(kind, &message.payload),
        }
        Ok(())
    }

    fn media(&mut self, kind: MediaKind, timestamp: u32, body: Bytes) {
        if self.role == Role::Publishing && !body.is_empty() {
            self.outputs.push_back(Output::Event(Event::Media { kind, timestamp, body }));
        }
    }

    fn data(&mut self, timestamp: u32, payload: &Bytes) {
        let body = match crate::amf::strip_string(payload, "@setDataFrame") {
            Some(rest) => payload.slice_ref(rest),
            None => payload.clone(),
        };
        self.media(MediaKind::Data, timestamp, body);
    }

    fn send(&mut self, kind: MessageKind, chunk_stream: u8, message_stream: u32, payload: &[u8]) {
        let mut out = BytesMut::new();
        chunk::write_message(
            &mut out,
            chunk_stream,
            kind,
            message_stream,
            0,
            self.out_chunk_bytes,
            &[payload],
        );
        self.outputs.push_back(Output::Send(out.freeze()));
    }

    fn use_large_chunks(&mut self) {
        self.send(
            MessageKind::SetChunkSize,
            crate::wire::CONTROL_CHUNK_STREAM,
            0,
            &(OUT_CHUNK_BYTES as u32).to_be_bytes(),
        );
        self.out_chunk_bytes = OUT_CHUNK_BYTES;
    }
}

#[cfg(test)]
mod tests;
