//! Moments as text.

use std::time::{Instant, SystemTime};

/// Turns moments of this process into moments of the world, always the same way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Anchor {
    instant: Instant,
    wall: SystemTime,
}

impl Anchor {
    pub(super) fn now() -> Anchor {
        Anchor { instant: Instant::now(), wall: SystemTime::now() }
    }

    /// When this process began.
    pub(super) fn began(self) -> Instant {
        self.instant
    }

    /// That moment, in RFC 3339.
    pub(super) fn text(self, at: Instant) -> String {
        let wall = match at.checked_duration_since(self.instant) {
            Some(after) => self.wall.checked_add(after),
            None => self.wall.checked_sub(self.instant.saturating_duration_since(at)),
        };
        rfc3339(wall.unwrap_or(self.wall))
    }
}

/// To the millisecond, in UTC.
pub(super) fn rfc3339(at: SystemTime) -> String {
    humantime::format_rfc3339_millis(at).to_string()
}
