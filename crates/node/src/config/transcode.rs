//! Sound in another codec, and pictures coded anew.

use super::values::Span;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Sound in another codec, and pictures coded anew.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Transcode {
    /// Threads that convert sound; 0: one for every four cores, at least one. They are the only ones that do.
    pub threads: usize,
    /// What players of FLV, WebSocket-FLV and RTMP get of a broadcast with Opus: `auto`: AAC with H.264 or without pictures, since
    /// players of the newer codecs know Opus; `off`: Opus as it is.
    pub audio_for_flv: ConvertSound,
    /// What players of HLS get of a broadcast with Opus: `auto`: AAC with H.264, HEVC or without
    /// pictures; `off`: Opus as it is (in the TS variant players may not know it).
    pub audio_for_hls: ConvertSound,
    /// Converting stops when nobody listened, or watched, for so long.
    pub idle: Span,
    /// The program that codes pictures anew where `b_frames` is `"transcode"`: ffmpeg with libx264. A name is looked for on `PATH`.
    /// Whoever begins after a reload gets the new one.
    pub ffmpeg: String,
    /// Broadcasts whose pictures are coded anew at a time, each by a process of its own that takes about one core at 720p; 0: one for
    /// every two cores, at least one. It changes at a reload.
    pub pictures_max: usize,
}

/// When sound is converted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ConvertSound {
    /// When players need it.
    #[default]
    Auto,
    /// Never.
    Off,
}

impl Default for Transcode {
    fn default() -> Self {
        Transcode {
            threads: 0,
            audio_for_flv: ConvertSound::Auto,
            audio_for_hls: ConvertSound::Auto,
            idle: Span(Duration::from_secs(5)),
            ffmpeg: "ffmpeg".to_owned(),
            pictures_max: 0,
        }
    }
}
