//! One coded sequence.

use crate::Codec;
use crate::codec::{aac, av1, h264, h265};
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
    /// Width and height in pixels that frames told, for a codec whose configuration doesn't (VP9).
    pub told_size: Option<(u32, u32)>,
}

/// What a sound track decodes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AudioFormat {
    /// Samples a second.
    pub sample_rate: u32,
    /// Channels.
    pub channels: u8,
}

/// The clock of video in every container that has one.
const VIDEO_CLOCK_HZ: u32 = 90_000;

impl Track {
    /// A track of that configuration; clock and kind follow from codec and configuration.
    pub fn new(id: TrackId, codec: Codec, config: Bytes) -> Track {
        let kind = codec.kind();
        let mut track = Track { id, codec, config, clock_hz: VIDEO_CLOCK_HZ, kind, told_size: None };
        if kind == Kind::Audio {
            track.clock_hz = track.audio_format().sample_rate;
        }
        track
    }

    /// Width and height in pixels, where the configuration or a frame has told.
    pub fn video_size(&self) -> Option<(u32, u32)> {
        match self.codec {
            Codec::H264 => h264::AvcConfig::parse(&self.config)?.size(),
            Codec::H265 => h265::HevcConfig::parse(&self.config)?.size(),
            Codec::Av1 => av1::size(&self.config),
            _ => self.told_size,
        }
    }

    /// What a sound track decodes to; 48 kHz stereo where the configuration doesn't tell.
    pub fn audio_format(&self) -> AudioFormat {
        let default = AudioFormat { sample_rate: 48_000, channels: 2 };
        match self.codec {
            Codec::Aac => aac::AudioSpecificConfig::parse(&self.config)
                .map_or(default, |c| AudioFormat { sample_rate: c.sample_rate, channels: c.channels.max(1) }),
            // Opus always decodes at 48 kHz; its head tells the channels (RFC 7845 §5.1).
            Codec::Opus => AudioFormat { channels: self.config.get(9).map_or(2, |c| (*c).max(1)), ..default },
            Codec::Mp3 => AudioFormat { sample_rate: 44_100, channels: 2 },
            _ => default,
        }
    }
}
