//! All workers, and which of them takes a new viewer.

use super::inbox::{Inbox, Overloaded};
use super::worker::{self, Worker};
use super::{Format, MergeWindow, Transport};
use crate::limits::Admission;
use crate::metrics::Metrics;
use crate::sessions::SessionGuard;
use bytes::Bytes;
use hub::{Broadcast, ViewerGuard};
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How the plane treats its viewers.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) workers: usize,
    pub(crate) merge_window: MergeWindow,
    /// A viewer further behind skips to the newest group.
    pub(crate) lag_max: Duration,
    /// A viewer that takes no byte for so long is closed.
    pub(crate) stall_max: Duration,
    /// Bytes kept per feed; viewers that need more are closed.
    pub(crate) feed_bytes_max: usize,
}

/// A connection whose request was granted, on its way to a worker.
#[derive(Debug)]
pub(crate) struct NewViewer {
    pub(crate) transport: Transport,
    pub(crate) broadcast: Arc<Broadcast>,
    pub(crate) format: &'static dyn Format,
    /// Sent first, before the format's own head.
    pub(crate) preface: Bytes,
    pub(crate) session: SessionGuard,
    /// Counts it as a listener of a derived broadcast.
    pub(crate) lease: Option<ViewerGuard>,
    /// Counts its connection.
    pub(crate) admission: Admission,
    /// When its request was complete.
    pub(crate) asked: Instant,
}

/// The egress plane. Clones share.
#[derive(Clone, Debug)]
pub(crate) struct Plane {
    workers: Arc<[Arc<Inbox>]>,
    metrics: Arc<Metrics>,
}

/// The threads of a plane; joined at shutdown.
#[derive(Debug)]
pub(crate) struct Threads(Vec<JoinHandle<()>>);

impl Plane {
    /// Starts the workers.
    ///
    /// # Errors
    /// When the system gives no thread or no epoll.
    pub(crate) fn start(settings: &Settings, metrics: &Arc<Metrics>) -> std::io::Result<(Plane, Threads)> {
        let mut inboxes = Vec::new();
        let mut threads = Vec::new();
        for number in 0..settings.workers.max(1) {
            let poll = mio::Poll::new()?;
            let inbox = Arc::new(Inbox::new(mio::Waker::new(poll.registry(), worker::WAKE)?));
            let worker = Worker::new(poll, Arc::clone(&inbox), settings.clone(), metrics.worker());
            inboxes.push(inbox);
            threads.push(
                std::thread::Builder::new().name(format!("egress-{number}")).spawn(move || worker.run())?,
            );
        }
        Ok((Plane { workers: inboxes.into(), metrics: Arc::clone(metrics) }, Threads(threads)))
    }

    /// Gives a viewer to a worker. A small audience stays on one worker, which then wakes alone for the
    /// broadcast; a large one is spread over all. While there are few viewers at all, one worker serves them:
    /// waking several threads for little work costs more than the work.
    pub(crate) fn hand_over(&self, viewer: NewViewer) -> Result<(), Overloaded> {
        let home = BuildHasherDefault::<DefaultHasher>::default().hash_one(viewer.broadcast.path()) as usize;
        let spread = viewer.broadcast.viewers() as usize / SMALL_AUDIENCE;
        let all = usize::try_from(self.metrics.egress_viewers()).unwrap_or(usize::MAX);
        let open = (1 + all / VIEWERS_PER_OPEN_WORKER).min(self.workers.len());
        self.workers[home.wrapping_add(spread) % open].viewer(viewer)
    }

    /// Asks all workers to end.
    pub(crate) fn shutdown(&self) {
        self.workers.iter().for_each(|w| w.shutdown());
    }
}

impl Threads {
    /// Waits for the workers to end.
    pub(crate) fn join(self) {
        for thread in self.0 {
            if thread.join().is_err() {
                tracing::error!("an egress worker panicked");
            }
        }
    }
}

/// Viewers of one broadcast that a worker takes in a row before the next worker's turn.
const SMALL_AUDIENCE: usize = 64;
/// With so many viewers more, one more worker gets some.
const VIEWERS_PER_OPEN_WORKER: usize = 256;
