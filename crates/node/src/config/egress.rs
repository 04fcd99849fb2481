//! How viewers are written to.

use super::values::{Size, Span};
use crate::egress::MergeWindow;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How viewers are written to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Egress {
    /// Threads that write to viewers; 0 is one per core.
    pub workers: usize,
    /// How long frames may wait to share one write: `"adaptive"`, or `"0ms"` to `"500ms"`.
    pub merge_window: MergeWindow,
    /// A viewer further behind skips to the newest group.
    pub lag_max: Span,
    /// A viewer that takes no byte for so long is closed.
    pub stall_max: Span,
    /// Bytes kept per broadcast and format; viewers that need older ones are closed.
    pub queue: Size,
}

impl Default for Egress {
    fn default() -> Self {
        Egress {
            workers: 0,
            merge_window: MergeWindow::Adaptive,
            lag_max: Span(Duration::from_secs(3)),
            stall_max: Span(Duration::from_secs(15)),
            queue: Size(16 << 20),
        }
    }
}
