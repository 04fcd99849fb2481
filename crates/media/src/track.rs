//! One coded sequence.

use crate::Codec;
use bytes::Bytes;

/// Names a track within its broadcast.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrackId(pub u8);

impl TrackId {
    /// The only video track of a single-quality broadcast.
    pub const VIDEO: TrackId = TrackId(0);
    /// The only audio track of a single-language broadcast.
    pub const AUDIO: TrackId = TrackId(1);
}

/// What a track carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Pictures.
    Video,
    /// Sound.
    Audio,
}

/// One coded video or audio sequence and what a decoder needs to start it.
///
/// A changed decoder configuration is a new value of the same `id`, effective at the next group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Track {
    /// Its name within the broadcast.
    pub id: TrackId,
    /// How it is coded.
    pub codec: Codec,
    /// The decoder configuration as ISO BMFF carries it, box header left off: `avcC`, `hvcC`, `av1C` and
    /// `vpcC` bodies for video, an AudioSpecificConfig for AAC, an `OpusHead` packet (RFC 7845 §5.1) for Opus,
    /// empty for MP3 and VP8.
    pub config: Bytes,
    /// Ticks a second of its native clock: the sample rate for audio, 90,000 for video.
    pub clock_hz: u32,
    /// Pictures or sound.
    pub kind: Kind,
}
