//! HLS and LL-HLS.

use super::values::{Size, Span};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// HLS and LL-HLS.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Hls {
    /// Target duration of a part, 200 ms to 1 s. Where whole frames don't fill it, as five pictures a second, another near it is
    /// announced.
    pub part: Span,
    /// Shortest duration of a segment; it ends at the next keyframe.
    pub segment: Span,
    /// Bytes of segments kept per broadcast.
    pub memory: Size,
    /// Packaging stops when nobody asked for so long.
    pub idle: Span,
}

impl Default for Hls {
    fn default() -> Self {
        Hls {
            part: Span(Duration::from_millis(500)),
            segment: Span(Duration::from_secs(2)),
            memory: Size(32 << 20),
            idle: Span(Duration::from_secs(60)),
        }
    }
}
