//! Numbers that both sides of a session share.

/// Chunk payload that we send. Large, so that few headers are made; within what every player takes.
pub const OUT_CHUNK_BYTES: usize = 60_000;
/// The message stream that `createStream` answers with, and that play uses.
pub const PLAY_MESSAGE_STREAM: u32 = 1;
/// Chunk stream for audio at play.
pub const AUDIO_CHUNK_STREAM: u8 = 4;
/// Chunk stream for video at play.
pub const VIDEO_CHUNK_STREAM: u8 = 6;
/// Chunk stream for metadata and stream status at play.
pub const DATA_CHUNK_STREAM: u8 = 5;
/// Chunk stream for protocol control. RTMP 1.0 §5.4.
pub(crate) const CONTROL_CHUNK_STREAM: u8 = 2;
/// Chunk stream for commands.
pub(crate) const COMMAND_CHUNK_STREAM: u8 = 3;
/// Acknowledge after so many bytes, until the peer says otherwise.
pub(crate) const ACK_WINDOW_BYTES: u32 = 2_500_000;
/// Acknowledgement windows below this are taken as this, or a peer could make us answer every byte.
pub(crate) const ACK_WINDOW_MIN_BYTES: u32 = 10_000;

/// `capsEx` of `connect`: the peer can be asked to connect anew. Enhanced RTMP v2.
pub(crate) const CAPS_RECONNECT: u32 = 1;
