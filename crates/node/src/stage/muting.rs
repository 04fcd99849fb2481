//! What of a member's media is left out.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

/// Which of somebody's tracks reach nobody. Set by whoever decides, read by whoever takes the media in; clones share.
#[derive(Clone, Debug, Default)]
pub(crate) struct Muting(Arc<AtomicU8>);

const AUDIO: u8 = 1;
const VIDEO: u8 = 2;

impl Muting {
    /// Whether its sound is left out.
    pub(crate) fn audio(&self) -> bool {
        self.0.load(Ordering::Relaxed) & AUDIO != 0
    }

    /// Whether its pictures are left out.
    pub(crate) fn video(&self) -> bool {
        self.0.load(Ordering::Relaxed) & VIDEO != 0
    }

    /// Changes what is said and leaves the rest.
    pub(crate) fn set(&self, audio: Option<bool>, video: Option<bool>) {
        for (bit, muted) in [(AUDIO, audio), (VIDEO, video)] {
            match muted {
                Some(true) => drop(self.0.fetch_or(bit, Ordering::Relaxed)),
                Some(false) => drop(self.0.fetch_and(!bit, Ordering::Relaxed)),
                None => {}
            }
        }
    }
}
