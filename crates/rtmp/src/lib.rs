//! The RTMP wire: handshake, chunks, AMF, client and server session, without IO.
//!
//! It carries bytes: what is inside audio and video messages (FLV tag bodies) is not its business.
//!
//! - [`handshake`] C0..S2, plain and with digests
//! - [`chunk`] messages to chunks and back
//! - [`amf`] AMF0 values, and AMF3 as far as commands use it
//! - [`adobe`] authentication by user and password
//! - [`ServerSession`] one publisher or player, seen from the server
//! - [`ClientSession`] the other side

pub mod adobe;
mod aggregate;
pub mod amf;
pub mod chunk;
mod client;
mod error;
pub mod handshake;
mod message;
mod server;
mod wire;

pub use chunk::write_message;
pub use client::{ClientConfig, ClientEvent, ClientOutput, ClientSession};
pub use error::{Error, Fault};
pub use message::{MediaKind, Message, MessageKind};
pub use server::{
    Connect, Event, Output, RejectCode, Request, RequestId, ServerConfig, ServerSession, write_play_end,
};
pub use wire::{
    AUDIO_CHUNK_STREAM, DATA_CHUNK_STREAM, OUT_CHUNK_BYTES, PLAY_MESSAGE_STREAM, VIDEO_CHUNK_STREAM,
};
