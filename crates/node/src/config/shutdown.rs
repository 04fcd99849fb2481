//! The end of a server.

use super::values::Span;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What happens between SIGTERM and the end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Shutdown {
    /// How long publishers and viewers may go on after SIGTERM, while nobody new is let in and `/readyz` says no. HLS
    /// playlists that somebody watches end a target duration and a second before, so that players hear of it. The server
    /// ends before when nobody is left; a second signal ends it at once.
    pub drain: Span,
    /// How long they may go on when a new process has taken over (`floodtide serve --take-over`).
    pub handover: Span,
}

impl Default for Shutdown {
    fn default() -> Self {
        Shutdown { drain: Span(Duration::from_secs(10)), handover: Span(Duration::from_secs(600)) }
    }
}
