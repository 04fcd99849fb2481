//! A publisher or player, seen from itself.

mod commands;
mod control;

use crate::aggregate::Aggregate;
use crate::amf;
use crate::chunk::{self, Reader};
use crate::handshake::{self, PACKET_BYTES};
use crate::wire::{
    ACK_WINDOW_BYTES, AUDIO_CHUNK_STREAM, DATA_CHUNK_STREAM, OUT_CHUNK_BYTES, VIDEO_CHUNK_STREAM,
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
    /// The server sends us to another URL, as Adobe's and Wowza's do when they refuse `connect`.
    Redirected(String),
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
    /// Bytes after which the server wants to hear from us.
    ack_window: u32,
}

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
            ack_window: ACK_WINDOW_BYTES,
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
        self.acknowledge();
        Ok(())
    }

    /// The next thing to send or act on.
    pub fn poll_output(&mut self) -> Option<ClientOutput> {
        self.outputs.pop_front()
    }

    /// Queues a media message; `parts` are concatenated. Metadata is given as a player gets it.
    pub fn send_media(&mut self, kind: MediaKind, timestamp: u32, parts: &[&[u8]]) {
        let chunk_stream = match kind {
            MediaKind::Audio => AUDIO_CHUNK_STREAM,
            MediaKind::Video => VIDEO_CHUNK_STREAM,
            MediaKind::Data => DATA_CHUNK_STREAM,
        };
        let (kind, message_stream) = (kind.message_kind(), self.message_stream);
        self.send(kind, chunk_stream, message_stream, timestamp, parts);
    }

    /// Queues `onMetaData` as publishers send it: servers keep it for those who play later.
    pub fn send_metadata(&mut self, timestamp: u32, body: &[u8]) {
        let mut name = BytesMut::new();
        amf::Value::from("@setDataFrame").write(&mut name);
        self.send_media(MediaKind::Data, timestamp, &[&name, body]);
    }

    /// Queues the goodbye of a publisher; its owner sends it and closes.
    pub fn finish(&mut self) {
        if self.goal == Goal::Publish && self.message_stream != 0 {
            self.unpublish();
        }
    }

    fn message(&mut self, message: &Message) -> Result<(), Error> {
        let Some(kind) = MessageKind::from_id(message.kind) else { return Ok(()) };
        match kind {
            MessageKind::Audio => self.media(MediaKind::Audio, message.timestamp, message.payload.clone()),
            MessageKind::Video => self.media(MediaKind::Video, message.timestamp, message.payload.clone()),
            MessageKind::DataAmf0 => self.media(MediaKind::Data, message.timestamp, message.payload.clone()),
            MessageKind::DataAmf3 => {
                self.media(MediaKind::Data, message.timestamp, amf::skip_format(&message.payload));
            }
            MessageKind::CommandAmf0 => return self.command(&message.payload),
            MessageKind::CommandAmf3 => return self.command(&amf::skip_format(&message.payload)),
            MessageKind::Aggregate => {
                for (kind, timestamp, body) in Aggregate::new(message) {
                    self.media(kind, timestamp, body);
                }
            }
            _ => return self.control(kind, &message.payload),
        }
        Ok(())
    }

    fn media(&mut self, kind: MediaKind, timestamp: u32, body: Bytes) {
        if self.goal == Goal::Play && !body.is_empty() {
            self.event(ClientEvent::Media { kind, timestamp, body });
        }
    }

    fn event(&mut self, event: ClientEvent) {
        self.outputs.push_back(ClientOutput::Event(event));
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

#[cfg(test)]
mod tests;
