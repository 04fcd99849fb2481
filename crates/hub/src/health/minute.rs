//! The last minute, second by second.

use std::time::{Duration, Instant};

/// Whole seconds that are kept, beside the one that runs.
pub(super) const SECONDS: usize = 60;
const SLOTS: usize = SECONDS + 1;

/// What happened in one second, by arrival.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Second {
    /// Pictures and sound.
    pub(super) lanes: [LaneSecond; 2],
    pub(super) repairs: u32,
    pub(super) gaps: u16,
    pub(super) reconnects: u16,
}

/// What came of one kind of media.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct LaneSecond {
    pub(super) bytes: u32,
    pub(super) frames: u16,
    /// Frames that came late.
    pub(super) late: u16,
    /// The latest of them.
    pub(super) lateness_ms: u16,
}

/// A ring of seconds. Memory is fixed (about 2.5 kB); what is older than a minute is forgotten.
#[derive(Clone, Debug)]
pub(super) struct Minute {
    began: Instant,
    slots: [Second; SLOTS],
    /// The second that runs, counted from `began`.
    current: u64,
}

impl Minute {
    pub(super) fn new(began: Instant) -> Minute {
        Minute { began, slots: [Second::default(); SLOTS], current: 0 }
    }

    /// When counting began.
    pub(super) fn began(&self) -> Instant {
        self.began
    }

    /// The second that runs at `now`. A clock that steps back counts in the newest one.
    pub(super) fn at(&mut self, now: Instant) -> &mut Second {
        let second = now.saturating_duration_since(self.began).as_secs();
        // At most one turn of the ring, however long nothing happened.
        let first = (self.current + 1).max(second.saturating_sub(SECONDS as u64));
        for passed in first..=second {
            self.slots[(passed % SLOTS as u64) as usize] = Second::default();
        }
        self.current = self.current.max(second);
        &mut self.slots[(self.current % SLOTS as u64) as usize]
    }

    /// The last whole seconds up to `now`, oldest first; none from before `since`.
    pub(super) fn whole(&self, since: Instant) -> impl Iterator<Item = &Second> {
        let since = since.saturating_duration_since(self.began);
        // The second in which somebody came is not whole.
        let came = since.as_secs() + u64::from(since > Duration::from_secs(since.as_secs()));
        let first = self.current.saturating_sub(SECONDS as u64).max(came);
        (first..self.current).map(|second| &self.slots[(second % SLOTS as u64) as usize])
    }

    /// All that is kept, with the second that runs.
    pub(super) fn all(&self) -> impl Iterator<Item = &Second> {
        self.slots.iter()
    }
}
