//! Messages to chunks and back. RTMP 1.0 §5.3.

mod reader;
mod writer;

pub use reader::Reader;
pub use writer::write_message;

/// Chunk size before anybody sets one. RTMP 1.0 §5.4.1.
pub const DEFAULT_CHUNK_BYTES: usize = 128;
/// Largest chunk size that means anything: the length of a message has 24 bits. OBS sets 4096 and ffmpeg 60,000, but
/// libraries exist that set 128 MiB and all allow 2^31 - 1 (RTMP 1.0 §5.4.1), as they never cut a message. Whatever is set costs
/// nothing: what waits of a chunk grows with the bytes that came, and a message is at most [`MESSAGE_BYTES_MAX`] long.
pub const CHUNK_BYTES_MAX: u32 = 0xff_ffff;
/// Longest message that is taken in. A 4K keyframe at 50 Mbit/s stays below it.
pub const MESSAGE_BYTES_MAX: usize = 8 << 20;
/// Chunk streams per session. Encoders use fewer than ten.
pub const CHUNK_STREAMS_MAX: usize = 64;
/// Half-received messages of all chunk streams together.
pub const PARTIAL_BYTES_MAX: usize = 16 << 20;
/// A timestamp field of this value says that the real one follows in four bytes. RTMP 1.0 §5.3.1.3.
const EXTENDED: u32 = 0xff_ffff;
