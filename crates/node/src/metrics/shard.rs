//! What threads count that have no time to share: a block each, added up when somebody asks.

use super::histogram::Histogram;
use crate::logs::access::RequestKind;
use crate::sessions::Protocol;
use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// One thread's block. Aligned to two cache lines, since processors fetch them in pairs.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Shard {
    egress_bytes: [AtomicU64; Protocol::ALL.len()],
    ingest_bytes: AtomicU64,
    skipped_groups: AtomicU64,
    /// Viewers of an egress worker now.
    viewers: AtomicU64,
    /// Chunks that an egress worker keeps now.
    queue_bytes: AtomicU64,
    /// Merge window of an egress worker now.
    window_micros: AtomicU64,
    /// How busy an egress worker was lately, in thousandths.
    busy_permille: AtomicU64,
    /// By kind and hundreds of the status.
    requests: [[AtomicU64; STATUSES.len()]; RequestKind::ALL.len()],
    pub(super) first_byte: Histogram,
    pub(super) frame_age: Histogram,
}

/// Hundreds of a status, as labels.
pub(super) const STATUSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// All blocks of one process. Totals of threads that ended stay, and their blocks are used again.
#[derive(Debug, Default)]
pub(super) struct Shards {
    /// Of threads that have none of their own.
    common: Arc<Shard>,
    owned: Mutex<Owned>,
}

#[derive(Debug, Default)]
struct Owned {
    workers: Vec<Arc<Shard>>,
    threads: Vec<Arc<Shard>>,
    free: Vec<Arc<Shard>>,
}

/// A thread's own block, until the thread ends.
#[derive(Debug)]
struct Lease {
    shard: Arc<Shard>,
    shards: Arc<Shards>,
}

thread_local! {
    static OWN: RefCell<Option<Lease>> = const { RefCell::new(None) };
}

impl Shard {
    /// Bytes that went to viewers.
    pub(crate) fn egress(&self, protocol: Protocol, bytes: u64) {
        add(&self.egress_bytes[protocol as usize], bytes);
    }

    /// Bytes of media that came from a publisher.
    pub(crate) fn ingest(&self, bytes: u64) {
        add(&self.ingest_bytes, bytes);
    }

    /// A request that was answered.
    pub(crate) fn request(&self, kind: RequestKind, status: u16) {
        let class = usize::from(status / 100).clamp(1, STATUSES.len()) - 1;
        add(&self.requests[kind as usize][class], 1);
    }

    /// A slow viewer's jump to the newest group.
    pub(crate) fn skipped(&self) {
        add(&self.skipped_groups, 1);
    }

    /// How long a viewer waited for its first byte of media.
    pub(crate) fn first_byte(&self, after: Duration) {
        self.first_byte.observe(after, 1);
    }

    /// So many viewers were given a frame of that age.
    pub(crate) fn frame_written(&self, age: Duration, viewers: u64) {
        self.frame_age.observe(age, viewers);
    }

    /// Sets how many viewers this worker has.
    pub(crate) fn set_viewers(&self, viewers: usize) {
        self.viewers.store(viewers as u64, Ordering::Relaxed);
    }

    /// Sets how this worker fares.
    pub(crate) fn set_load(&self, busy: f64, window: Duration, queue_bytes: usize) {
        self.busy_permille.store((busy * 1000.0) as u64, Ordering::Relaxed);
        self.window_micros.store(u64::try_from(window.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
        self.queue_bytes.store(queue_bytes as u64, Ordering::Relaxed);
    }

    pub(super) fn egress_bytes(&self, protocol: Protocol) -> u64 {
        self.egress_bytes[protocol as usize].load(Ordering::Relaxed)
    }

    pub(super) fn ingest_bytes(&self) -> u64 {
        self.ingest_bytes.load(Ordering::Relaxed)
    }

    /// Requests of a kind by [`STATUSES`].
    pub(super) fn requests(&self, kind: RequestKind) -> [u64; STATUSES.len()] {
        self.requests[kind as usize].each_ref().map(|count| count.load(Ordering::Relaxed))
    }

    pub(super) fn skipped_groups(&self) -> u64 {
        self.skipped_groups.load(Ordering::Relaxed)
    }

    pub(super) fn viewers(&self) -> u64 {
        self.viewers.load(Ordering::Relaxed)
    }

    pub(super) fn queue_bytes(&self) -> u64 {
        self.queue_bytes.load(Ordering::Relaxed)
    }

    pub(super) fn window_seconds(&self) -> f64 {
        self.window_micros.load(Ordering::Relaxed) as f64 / 1e6
    }

    pub(super) fn busy(&self) -> f64 {
        self.busy_permille.load(Ordering::Relaxed) as f64 / 1000.0
    }
}

impl Shards {
    /// A block for an egress worker; never given back.
    pub(super) fn worker(&self) -> Arc<Shard> {
        let shard = Arc::new(Shard::default());
        self.lock().workers.push(Arc::clone(&shard));
        shard
    }

    /// Gives the calling thread a block of its own, until it ends.
    pub(super) fn own(self: &Arc<Self>) {
        let shard = {
            let mut owned = self.lock();
            owned.free.pop().unwrap_or_else(|| {
                let shard = Arc::new(Shard::default());
                owned.threads.push(Arc::clone(&shard));
                shard
            })
        };
        OWN.set(Some(Lease { shard, shards: Arc::clone(self) }));
    }

    /// The calling thread's block, or the common one.
    pub(super) fn here(&self) -> Arc<Shard> {
        OWN.with_borrow(|own| Arc::clone(own.as_ref().map_or(&self.common, |lease| &lease.shard)))
    }

    /// The blocks of egress workers.
    pub(super) fn workers(&self) -> Vec<Arc<Shard>> {
        self.lock().workers.clone()
    }

    /// All blocks.
    pub(super) fn all(&self) -> Vec<Arc<Shard>> {
        let owned = self.lock();
        [&self.common].into_iter().chain(&owned.workers).chain(&owned.threads).cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Owned> {
        self.owned.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.shards.lock().free.push(Arc::clone(&self.shard));
    }
}

fn add(counter: &AtomicU64, count: u64) {
    counter.fetch_add(count, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_of_threads_that_ended_stay_and_their_blocks_are_used_again() {
        let shards = Arc::new(Shards::default());
        for _ in 0..20 {
            let shards = Arc::clone(&shards);
            let work = move || {
                shards.own();
                shards.here().ingest(5);
            };
            std::thread::spawn(work).join().unwrap();
        }
        shards.here().ingest(1);
        assert_eq!(shards.all().iter().map(|s| s.ingest_bytes()).sum::<u64>(), 101);
        assert_eq!(shards.all().len(), 2, "the common one, and one that all threads had in turn");
    }
}
