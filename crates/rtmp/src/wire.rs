//! Numbers that both sides of a session share.

use crate::Error;

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

/// Codecs of enhanced RTMP that we can carry, in `fourCcList` of `connect`.
pub(crate) const FOURCCS: [&str; 6] = ["hvc1", "av01", "vp09", "avc1", "Opus", "mp4a"];

/// User control events. RTMP 1.0 §7.1.7: a message stream begins,
pub(crate) const STREAM_BEGIN: u16 = 0;
/// it is over,
pub(crate) const STREAM_EOF: u16 = 1;
/// a player's buffer,
pub(crate) const SET_BUFFER_LENGTH: u16 = 3;
/// please answer,
pub(crate) const PING_REQUEST: u16 = 6;
/// the answer.
pub(crate) const PING_RESPONSE: u16 = 7;

/// The number that a control message begins with.
pub(crate) fn number(payload: &[u8]) -> Result<u32, Error> {
    let bytes = payload.get(..4).ok_or(Error::ShortControl)?;
    Ok(u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
}
