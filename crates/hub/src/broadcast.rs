//! One live programme: its log, its publisher's seat, who waits for it.

use crate::health::{Health, Meter};
use crate::log::Log;
use crate::path::BroadcastPath;
use crate::{Catalog, Consumer};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Instant;

/// One live programme. Lives from the first publish until its grace runs out.
#[derive(Debug)]
pub struct Broadcast {
    path: BroadcastPath,
    created: Instant,
    viewers: AtomicU64,
    polling_viewers: AtomicU64,
    egress_bytes: AtomicU64,
    /// Of all broadcasts of the hub.
    keyframe_gaps: Arc<AtomicU64>,
    state: Mutex<State>,
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) log: Log,
    /// Counts publishers; only the newest may write.
    pub(crate) seat: u64,
    /// Since when nobody publishes.
    pub(crate) vacant_since: Option<Instant>,
    /// Whether the tracks are known, so that readers may start.
    pub(crate) ready: bool,
    pub(crate) ended: bool,
    pub(crate) waiting: Vec<Waker>,
    pub(crate) meter: Meter,
    /// Until when the next publisher may take the seat, whatever the policy.
    pub(crate) open_until: Option<Instant>,
}

impl Broadcast {
    pub(crate) fn new(
        path: BroadcastPath,
        bytes_max: usize,
        keyframe_gaps: &Arc<AtomicU64>,
        now: Instant,
    ) -> Broadcast {
        Broadcast {
            path,
            created: now,
            viewers: AtomicU64::new(0),
            polling_viewers: AtomicU64::new(0),
            egress_bytes: AtomicU64::new(0),
            keyframe_gaps: Arc::clone(keyframe_gaps),
            state: Mutex::new(State {
                log: Log::new(bytes_max),
                seat: 0,
                vacant_since: Some(now),
                ready: false,
                ended: false,
                waiting: Vec::new(),
                meter: Meter::new(now),
                open_until: None,
            }),
        }
    }

    /// What it is called.
    pub fn path(&self) -> &BroadcastPath {
        &self.path
    }

    /// When it was first published.
    pub fn created(&self) -> Instant {
        self.created
    }

    /// Its tracks now; `None` until they are known.
    pub fn catalog(&self) -> Option<Arc<Catalog>> {
        let state = self.lock();
        state.ready.then(|| Arc::clone(state.log.catalog()))
    }

    /// Frames and payload bytes that ever came in.
    pub fn ingest_totals(&self) -> (u64, u64) {
        self.lock().log.totals()
    }

    /// How its media comes in.
    pub fn health(&self, now: Instant) -> Health {
        let meter = self.lock().meter.clone();
        meter.health(now)
    }

    /// Counts a group that lasted too long.
    pub(crate) fn count_gap(&self) {
        self.keyframe_gaps.fetch_add(1, Ordering::Relaxed);
    }

    /// Bytes of frames that the log holds now.
    pub fn queue_bytes(&self) -> usize {
        self.lock().log.bytes()
    }

    /// Whether somebody publishes now (false within the grace window).
    pub fn is_published(&self) -> bool {
        let state = self.lock();
        state.vacant_since.is_none() && !state.ended
    }

    /// Whether it is over: no consumer will see another frame.
    pub fn is_ended(&self) -> bool {
        self.lock().ended
    }

    /// A reader that starts at the newest group.
    pub fn consumer(self: &Arc<Self>) -> Consumer {
        Consumer::new(Arc::clone(self))
    }

    /// People who watch now: those with a connection, and an estimate of those who poll.
    pub fn viewers(&self) -> u64 {
        self.viewers.load(Ordering::Relaxed) + self.polling_viewers.load(Ordering::Relaxed)
    }

    /// Counts people who poll, and so have no guard: one of those who count them says now `people` where it said `before`.
    pub fn change_polling_viewers(&self, before: u64, people: u64) {
        // Adding the difference modulo 2^64 subtracts too.
        self.polling_viewers.fetch_add(people.wrapping_sub(before), Ordering::Relaxed);
    }

    /// Those of [`Broadcast::viewers`] who poll.
    pub fn polling_viewers(&self) -> u64 {
        self.polling_viewers.load(Ordering::Relaxed)
    }

    /// Lets the next publisher who comes until then take the seat, whatever the policy.
    pub fn open_seat(&self, until: Instant) {
        self.lock().open_until = Some(until);
    }

    /// Whether somebody opened the seat and nobody took it yet.
    pub(crate) fn seat_is_open(&self, now: Instant) -> bool {
        self.lock().open_until.is_some_and(|until| now <= until)
    }

    /// Counts one viewer until the guard is dropped.
    pub fn count_viewer(self: &Arc<Self>) -> ViewerGuard {
        self.viewers.fetch_add(1, Ordering::Relaxed);
        ViewerGuard(Arc::clone(self))
    }

    /// Bytes that were sent to its viewers.
    pub fn egress_bytes(&self) -> u64 {
        self.egress_bytes.load(Ordering::Relaxed)
    }

    /// Adds to [`Broadcast::egress_bytes`]; called once per batch, not per write.
    pub fn add_egress_bytes(&self, bytes: u64) {
        self.egress_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// The state holds no invariant across a panic that a reader could break, so poison is ignored.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends it for all consumers.
    pub(crate) fn end(&self) {
        let waiting = {
            let mut state = self.lock();
            state.ended = true;
            std::mem::take(&mut state.waiting)
        };
        waiting.into_iter().for_each(Waker::wake);
    }
}

/// Counts one viewer of a broadcast; dropping uncounts.
#[derive(Debug)]
pub struct ViewerGuard(Arc<Broadcast>);

impl Drop for ViewerGuard {
    fn drop(&mut self) {
        self.0.viewers.fetch_sub(1, Ordering::Relaxed);
    }
}
