//! What is remembered of each viewer; small, as there are many.

use crate::clock::{MICROS, Nanos, SECONDS};
use crate::profile::Temper;
use crate::stats::{Tally, count};

/// One viewer's history.
#[derive(Debug, Default)]
pub(crate) struct Record {
    /// When it first tried to connect.
    pub(crate) joined: Nanos,
    pub(crate) connected: bool,
    /// 0: not yet.
    pub(crate) first_byte: Nanos,
    /// 0: not yet.
    pub(crate) first_media: Nanos,
    /// When data came last.
    pub(crate) last_data: Nanos,
    /// All bytes.
    pub(crate) bytes: u64,
    /// Of them, those before the window.
    pub(crate) bytes_before: u64,
    pub(crate) stalls: u32,
    /// In the middle of a stall.
    pub(crate) stalled: bool,
    /// Why it is gone.
    pub(crate) end: Option<Box<str>>,
}

impl Record {
    /// A viewer that joins now.
    pub(crate) fn join(now: Nanos) -> Self {
        Self { joined: now, ..Self::default() }
    }

    /// Counts bytes that arrived.
    pub(crate) fn received(&mut self, now: Nanos, bytes: usize) {
        if self.first_byte == 0 {
            self.first_byte = now;
        }
        self.last_data = now;
        self.bytes += bytes as u64;
    }

    /// The measured window begins.
    pub(crate) fn open_window(&mut self) {
        self.bytes_before = self.bytes;
        self.stalled = false;
        self.stalls = 0;
    }

    /// Notes whether the viewer is without data; a gap counts once.
    pub(crate) fn judge_stall(&mut self, starved: bool) {
        if starved && !self.stalled {
            self.stalls += 1;
        }
        self.stalled = starved;
    }

    /// Adds this viewer to the counts.
    pub(crate) fn add_to(&self, tally: &mut Tally, temper: Temper, playing: bool, window: Nanos) {
        tally.viewers += 1;
        tally.connected += u64::from(self.connected);
        let bytes = self.bytes - self.bytes_before;
        tally.bytes_total += self.bytes;
        tally.bytes += bytes;
        if temper != Temper::Steady {
            tally.slow += 1;
            if let Some(reason) = &self.end {
                count(&mut tally.slow_closed, reason);
            }
            return;
        }
        tally.steady += 1;
        tally.playing += u64::from(playing);
        if self.first_byte > 0 {
            tally.first_byte.record((self.first_byte - self.joined) / MICROS);
        }
        if self.first_media > 0 {
            tally.first_media.record((self.first_media - self.joined) / MICROS);
        }
        tally.stalls += u64::from(self.stalls);
        tally.stalled_viewers += u64::from(self.stalls > 0);
        if let Some(reason) = &self.end {
            count(&mut tally.disconnects, reason);
        } else {
            tally.silent += u64::from(bytes == 0);
            tally.viewer_rate.record((bytes as f64 * 8.0 * SECONDS as f64 / window.max(1) as f64) as u64);
        }
    }
}
