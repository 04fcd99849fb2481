//! A publisher or player, seen from itself.

use crate::amf::{self, Value};
use crate::chunk::{self, Reader};
use crate::handshake::{self, PACKET_BYTES};
use crate::wire::{
    ACK_WINDOW_BYTES, AUDIO_CHUNK_STREAM, CAPS_RECONNECT, COMMAND_CHUNK_STREAM, CONTROL_CHUNK_STREAM,
    DATA_CHUNK_STREAM, OUT_CHUNK_BYTES, VIDEO_CHUNK_STREAM,
};
use crate::{Error, MediaKind, Message, MessageKind};
use bytes::{Bytes, BytesMut};
use std::collections::VecDeque;

/// What to ask the server for.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// The app.
    pub app: String,
    /// The stream name, with its query.
    pub name: String,
    /// `rtmp://host:port/app`.
    pub tc_url: String,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientEvent {
    /// The server accepted: media may flow.
    Ready,
    /// The server refused, with its code and description.
    Rejected(String, String),
    /// A media message, when playing.
    Media {
        /// What it carries.
        kind: MediaKind,
        /// Milliseconds, wrapping at 32 bits.
        timestamp: u32,
        /// The FLV tag body.
        body: Bytes,
    },
    /// The server ended what was played.
    Ended,
    /// The server is about to end: connect anew, then leave. Enhanced RTMP v2, "Reconnect Request".
    Reconnect,
}

/// What the session wants from its owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientOutput {
    /// Bytes to send.
    Send(Bytes),
    /// Something to act on.
    Event(ClientEvent),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Goal {
    Publish,
    Play,
}

/// One connection's protocol state, without IO.
#[derive(Debug)]
pub struct ClientSession {
    goal: Goal,
    config: ClientConfig,
    hello: Option<BytesMut>,
    reader: Reader,
    outputs: VecDeque<ClientOutput>,
    message_stream: u32,
    received: u64,
    acknowledged: u64,
}

const CONNECT: f64 = 1.0;
const CREATE: f64 = 4.0;

impl ClientSession {
    /// A session that wants to publish.
    pub fn publish(config: ClientConfig, random: &[u8; PACKET_BYTES]) -> ClientSession {
        ClientSession::new(Goal::Publish, config, random)
    }

    /// A session that wants to play.
    pub fn play(config: ClientConfig, random: &[u8; PACKET_BYTES]) -> ClientSession {
        ClientSession::new(Goal::Play, config, random)
    }

    fn new(goal: Goal, config: ClientConfig, random: &[u8; PACKET_BYTES]) -> ClientSession {
        let hello = ClientOutput::Send(handshake::open(random).into());
        ClientSession {
            goal,
            config,
            hello: Some(BytesMut::new()),
            reader: Reader::default(),
            outputs: VecDeque::from([hello]),
            message_stream: 0,
            received: 0,
            acknowledged: 0,
        }
    }

    /// Takes bytes of the server in.
    ///
    /// # Errors
    /// When the server breaks the protocol or a limit.
    pub fn handle_input(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.received += bytes.len() as u64;
        match self.hello.as_mut() {
            None => self.reader.push(bytes),
            Some(hello) => {
                hello.extend_from_slice(bytes);
                if hello.len() < 1 + 2 * PACKET_BYTES {
                    return Ok(());
                }
                if hello[0] != 3 {
                    return Err(Error::Version(hello[0]));
                }
                let c2 = Bytes::copy_from_slice(&hello[1..=PACKET_BYTES]);
                let rest = hello.split_off(1 + 2 * PACKET_BYTES);
                self.hello = None;
                self.reader.push(&rest);
                self.outputs.push_back(ClientOutput::Send(c2));
                self.connect();
            }
        }
        while let Some(message) = self.reader.message()? {
            self.message(&message)?;
        }
        if self.received - self.acknowledged >= u64::from(ACK_WINDOW_BYTES) {
            self.acknowledged = self.received;
            let count = (self.received as u32).to_be_bytes();
            self.send(MessageKind::Acknowledgement, CONTROL_CHUNK_STREAM, 0, 0, &[&count]);
        }
        Ok(())
    }

    /// The next thing to send or act on.
    pub fn poll_output(&mut self) -> Option<ClientOutput> {
        self.outputs.pop_front()
    }

    /// Queues a media message; `parts` are concatenated.
    pub fn send_media(&mut self, kind: MediaKind, timestamp: u32, parts: &[&[u8]]) {
        let chunk_stream = match kind {
            MediaKind::Audio => AUDIO_CHUNK_STREAM,
            MediaKind::Video => VIDEO_CHUNK_STREAM,
            MediaKind::Data => DATA_CHUNK_STREAM,
        };
        self.send(kind.message_kind(), chunk_stream, self.message_stream, timestamp, parts);
    }

    fn connect(&mut self) {
        let size = (OUT_CHUNK_BYTES as u32).to_be_bytes();
        let mut out = BytesMut::new();
        let small = chunk::DEFAULT_CHUNK_BYTES;
        chunk::write_message(
            &mut out,
            CONTROL_CHUNK_STREAM,
            MessageKind::SetChunkSize,
            0,
            0,
            small,
            &[&size],
        );
        self.outputs.push_back(ClientOutput::Send(out.freeze()));
        let object = Value::object(&[
            ("app", self.config.app.as_str().into()),
            ("type", "nonprivate".into()),
            ("flashVer", "FMLE/3.0 (compatible; floodtide)".into()),
            ("tcUrl", self.config.tc_url.as_str().into()),
            ("capsEx", f64::from(CAPS_RECONNECT).into()),
        ]);
        self.call("connect", CONNECT, &[object], 0);
    }

    fn message(&mut self, message: &Message) -> Result<(), Error> {
        let body = message.payload.clone();
        let media = |kind| {
            ClientOutput::Event(ClientEvent::Media { kind, timestamp: message.timestamp, body: body.clone() })
        };
        match MessageKind::from_id(message.kind) {
            Some(MessageKind::SetChunkSize) => {
                let size = body.get(..4).ok_or(Error::ShortControl)?;
                self.reader.set_chunk_bytes(u32::from_be_bytes([
                    size[0] & 0x7f,
                    size[1],
                    size[2],
                    size[3],
                ]))?;
            }
            Some(MessageKind::CommandAmf0) => self.command(&body)?,
            Some(MessageKind::Audio) => self.outputs.push_back(media(MediaKind::Audio)),
            Some(MessageKind::Video) => self.outputs.push_back(media(MediaKind::Video)),
            Some(MessageKind::DataAmf0) => self.outputs.push_back(media(MediaKind::Data)),
            _ => {}
        }
        Ok(())
    }

    fn command(&mut self, payload: &[u8]) -> Result<(), Error> {
        let values = amf::read_all(payload)?;
        let transaction = values.get(1).and_then(Value::as_number).unwrap_or(0.0);
        let info = |name: &str| {
            let text = values.get(3).and_then(|v| v.member(name)).and_then(Value::as_str);
            text.unwrap_or_default().to_owned()
        };
        match values.first().and_then(Value::as_str).ok_or(Error::Command)? {
            "_result" if transaction == CONNECT => {
                if self.goal == Goal::Publish {
                    self.call("releaseStream", 2.0, &[Value::Null, self.config.name.as_str().into()], 0);
                    self.call("FCPublish", 3.0, &[Value::Null, self.config.name.as_str().into()], 0);
                }
                self.call("createStream", CREATE, &[Value::Null], 0);
            }
            "_result" if transaction == CREATE => {
                self.message_stream = values.get(3).and_then(Value::as_number).unwrap_or(1.0) as u32;
                let name = Value::from(self.config.name.as_str());
                match self.goal {
                    Goal::Publish => {
                        self.call("publish", 5.0, &[Value::Null, name, "live".into()], self.message_stream);
                    }
                    Goal::Play => self.call("play", 5.0, &[Value::Null, name], self.message_stream),
                }
            }
            "_error" if transaction == CONNECT || transaction == CREATE => {
                let event = ClientEvent::Rejected(info("code"), info("description"));
                self.outputs.push_back(ClientOutput::Event(event));
            }
            "onStatus" => self.status(&info("level"), info("code"), info("description")),
            _ => {}
        }
        Ok(())
    }

    fn status(&mut self, level: &str, code: String, description: String) {
        let event = match code.as_str() {
            "NetStream.Publish.Start" | "NetStream.Play.Start" => ClientEvent::Ready,
            "NetStream.Play.UnpublishNotify" | "NetStream.Play.Stop" => ClientEvent::Ended,
            "NetConnection.Connect.ReconnectRequest" => ClientEvent::Reconnect,
            _ if level == "error" => ClientEvent::Rejected(code, description),
            _ => return,
        };
        self.outputs.push_back(ClientOutput::Event(event));
    }

    fn call(&mut self, name: &str, transaction: f64, values: &[Value], message_stream: u32) {
        let mut body = BytesMut::new();
        Value::from(name).write(&mut body);
        Value::from(transaction).write(&mut body);
        values.iter().for_each(|v| v.write(&mut body));
        self.send(MessageKind::CommandAmf0, COMMAND_CHUNK_STREAM, message_stream, 0, &[&body]);
    }

    fn send(
        &mut self,
        kind: MessageKind,
        chunk_stream: u8,
        message_stream: u32,
        timestamp: u32,
        parts: &[&[u8]],
    ) {
        let mut out = BytesMut::new();
        chunk::write_message(&mut out, chunk_stream, kind, message_stream, timestamp, OUT_CHUNK_BYTES, parts);
        self.outputs.push_back(ClientOutput::Send(out.freeze()));
    }
}
