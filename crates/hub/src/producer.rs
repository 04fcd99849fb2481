//! The write half of a broadcast.

use crate::health::Promise;
use crate::{Broadcast, Catalog, Error};
use media::{Frame, Timestamp, Track, TrackId};
use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};

/// Writes one broadcast. There is one at a time; dropping it without [`Producer::leave`] ends the broadcast
/// at once, as a publisher that is gone without a time of leaving has no grace.
#[derive(Debug)]
pub struct Producer {
    broadcast: Arc<Broadcast>,
    seat: u64,
    resumes_at: Option<Timestamp>,
    left: bool,
    /// Wakers on their way; empty between writes.
    woken: Vec<Waker>,
}

impl Producer {
    /// Takes the publisher's seat. `None` for the first publisher of a broadcast, else how long it was vacant.
    pub(crate) fn take_seat(broadcast: &Arc<Broadcast>, now: Instant) -> Producer {
        let mut state = broadcast.lock();
        state.seat += 1;
        state.open_until = None;
        let vacant =
            state.vacant_since.take().map_or(Duration::ZERO, |since| now.saturating_duration_since(since));
        let resumes_at = (state.seat > 1).then(|| state.log.newest_dts() + vacant.max(RESUME_GAP_MIN));
        if resumes_at.is_some() {
            state.log.push_resumed();
        }
        state.meter.seated(now);
        let seat = state.seat;
        drop(state);
        Producer { broadcast: Arc::clone(broadcast), seat, resumes_at, left: false, woken: Vec::new() }
    }

    /// What it writes to.
    pub fn broadcast(&self) -> &Arc<Broadcast> {
        &self.broadcast
    }

    /// Where on the timeline a publisher who came back has to go on; `None` for the first.
    pub fn resumes_at(&self) -> Option<Timestamp> {
        self.resumes_at
    }

    /// Adds a track, or replaces the one of the same id.
    ///
    /// # Errors
    /// [`Error::Superseded`] when another publisher has the seat.
    pub fn track(&mut self, track: Track) -> Result<(), Error> {
        let mut state = self.broadcast.lock();
        if state.seat != self.seat {
            return Err(Error::Superseded);
        }
        state.meter.announced(track.kind);
        if state.log.catalog().track(track.id) != Some(&track) {
            let catalog: Catalog = state.log.catalog().with(track);
            state.log.push_catalog(Arc::new(catalog));
        }
        Ok(())
    }

    /// Takes back all tracks but these, until they are announced again. Who joins then gets nothing of the others, also not what came
    /// before, as soon as a group of what is left begins.
    ///
    /// # Errors
    /// [`Error::Superseded`] when another publisher has the seat.
    pub fn only(&mut self, ids: &[TrackId]) -> Result<(), Error> {
        let mut state = self.broadcast.lock();
        if state.seat != self.seat {
            return Err(Error::Superseded);
        }
        let catalog = state.log.catalog().only(ids);
        if catalog.tracks.len() < state.log.catalog().tracks.len() {
            state.log.push_catalog(Arc::new(catalog));
        }
        Ok(())
    }

    /// The tracks are known: readers may start.
    pub fn ready(&mut self) {
        let mut state = self.broadcast.lock();
        state.ready = true;
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        waiting.into_iter().for_each(Waker::wake);
    }

    /// Notes what the publisher says that it will send, for [`Broadcast::health`].
    pub fn promise(&self, promise: Promise) {
        let mut state = self.broadcast.lock();
        if state.seat == self.seat {
            state.meter.promised(promise);
        }
    }

    /// Notes that so many timestamps were mended on the way here, for [`Broadcast::health`].
    pub fn repaired(&self, count: u64, now: Instant) {
        let mut state = self.broadcast.lock();
        if state.seat == self.seat {
            state.meter.repaired(count, now);
        }
    }

    /// Appends a frame and wakes who waits for it. Never blocks on a reader.
    ///
    /// # Errors
    /// [`Error::Superseded`] when another publisher has the seat, [`Error::UnknownTrack`] before its track.
    pub fn write(&mut self, track: TrackId, frame: Frame, now: Instant) -> Result<(), Error> {
        let mut state = self.broadcast.lock();
        if state.seat != self.seat {
            return Err(Error::Superseded);
        }
        let Some(kind) = state.log.catalog().track(track).map(|t| t.kind) else {
            return Err(Error::UnknownTrack);
        };
        if state.meter.frame(kind, &frame, now) {
            self.broadcast.count_gap();
        }
        state.log.push_frame(track, frame, now);
        if !state.ready || state.waiting.is_empty() {
            return Ok(());
        }
        // Both vectors keep their room, so that waking allocates nothing.
        std::mem::swap(&mut state.waiting, &mut self.woken);
        drop(state);
        self.woken.drain(..).for_each(Waker::wake);
        Ok(())
    }

    /// Leaves the seat; the grace window starts at `now`.
    pub fn leave(mut self, now: Instant) {
        self.left = true;
        let mut state = self.broadcast.lock();
        if state.seat == self.seat {
            state.vacant_since = Some(now);
            state.meter.left();
        }
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        if self.left {
            return;
        }
        let mine = self.broadcast.lock().seat == self.seat;
        if mine {
            self.broadcast.end();
        }
    }
}

/// A publisher who comes back at once still goes on after the last frame.
const RESUME_GAP_MIN: Duration = Duration::from_millis(20);
