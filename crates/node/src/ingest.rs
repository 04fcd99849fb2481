//! The threads that publishers' sessions run on. Publishers send dozens of small messages a second each; on threads of
//! their own, messages may gather without delaying anything else.
//!
//! How long they may gather follows the merge window of those who watch. A thread that rests for one window finds all that a
//! window would have merged, and the egress plane, whose last write lies a window back, writes it at once: so frames wait
//! here instead of there, not here and there.

use crate::gather::Gather;
use crate::metrics::{Metrics, WorkerLoad};
use std::cell::RefCell;
use std::io::Result;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::{EnterGuard, Handle, Runtime};

/// A runtime that may be dropped anywhere, also by a task of another one.
#[derive(Debug)]
pub(crate) struct Ingest(Option<Runtime>, Handle);

/// How long messages of publishers may gather, when hundreds of them send and many of them are watched.
const REST_MAX: Duration = Duration::from_millis(55);
/// The same when nobody watches but by files.
const UNWATCHED_REST_MAX: Duration = Duration::from_millis(20);
/// The same when somebody is to get every frame at once: half of what the server may add at all, since writing takes time too.
const REST_MIN: Duration = Duration::from_millis(5);
/// Tasks that run until sockets are looked at again. Above the publishers that one rest finds, so that those who send meanwhile
/// aren't read twice.
const TASKS_PER_LOOK: u32 = 1024;

/// What one of the threads keeps.
struct Rests {
    gather: Gather,
    /// Reads since the last rest.
    reads: u32,
    /// When the last rest began, if the thread rested when it waited last.
    began: Option<Instant>,
    /// Somebody who isn't a publisher yet was read since the last rest.
    opening: bool,
}

thread_local! {
    static RESTS: RefCell<Rests> = RefCell::new(Rests {
        gather: Gather::new(Instant::now(), REST_MAX),
        reads: 0,
        began: None,
        opening: false,
    });
}

/// Notes that a peer was read at `now`. Returns since when it may have waited: what the thread rested counts for latency like
/// any other time.
pub(crate) fn arrived(now: Instant, is_publisher: bool) -> Instant {
    RESTS.with_borrow_mut(|rests| {
        rests.reads = rests.reads.saturating_add(1);
        rests.opening |= !is_publisher;
        rests.began.unwrap_or(now)
    })
}

impl Ingest {
    /// Starts the threads: publishers are few beside viewers, and one thread takes in hundreds.
    ///
    /// # Errors
    /// When the system gives no threads or no epoll.
    pub(crate) fn start(metrics: &Arc<Metrics>) -> Result<Ingest> {
        let (metrics, watched) = (Arc::clone(metrics), Arc::clone(metrics));
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads((cores / 2).max(1))
            .enable_all()
            .thread_name("ingest")
            .on_thread_start(move || metrics.own_thread())
            .on_thread_park(move || rest(&watched))
            .event_interval(TASKS_PER_LOOK)
            .build()?;
        let handle = runtime.handle().clone();
        Ok(Ingest(Some(runtime), handle))
    }

    /// Where tasks are spawned.
    pub(crate) fn handle(&self) -> &Handle {
        &self.1
    }

    /// Sockets that are opened while the guard lives belong to these threads.
    pub(crate) fn enter(&self) -> EnterGuard<'_> {
        self.1.enter()
    }
}

impl Drop for Ingest {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

fn rest(metrics: &Metrics) {
    RESTS.with_borrow_mut(|rests| {
        let now = Instant::now();
        let (reads, opening) = (std::mem::take(&mut rests.reads), std::mem::take(&mut rests.opening));
        let wanted = rests.gather.rest(now, reads);
        rests.began = wanted.map(|_| now);
        if let Some(wanted) = wanted {
            std::thread::sleep(wanted.min(rest_max(&metrics.workers(), opening)));
        }
    });
}

/// How long messages may gather for those who watch now, and for those who are about to: opening a connection takes several turns.
/// Workers whose viewers get every frame at once have a window of zero.
fn rest_max(workers: &[WorkerLoad], opening: bool) -> Duration {
    let windows = workers.iter().filter(|worker| worker.viewers > 0).map(|worker| worker.window_s);
    match windows.reduce(f64::min) {
        _ if opening => REST_MIN,
        Some(shortest) => Duration::from_secs_f64(shortest).clamp(REST_MIN, REST_MAX),
        None => UNWATCHED_REST_MAX,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_gather_as_long_as_the_most_impatient_viewer_waits_anyway() {
        let worker = |viewers, window_s| WorkerLoad { busy: 0.1, window_s, viewers, queue_bytes: 0 };
        let rest_ms = |workers: &[WorkerLoad]| rest_max(workers, false).as_millis();
        assert_eq!(rest_ms(&[worker(0, 0.0), worker(0, 0.008)]), 20, "nobody watches");
        assert_eq!(rest_ms(&[worker(0, 0.008), worker(200, 0.058)]), 55);
        assert_eq!(rest_ms(&[worker(10, 0.0105), worker(200, 0.058)]), 10);
        assert_eq!(rest_ms(&[worker(10, 0.35)]), 55);
        assert_eq!(rest_ms(&[worker(200, 0.058), worker(1, 0.0)]), 5, "one by WebRTC");
        assert_eq!(rest_max(&[worker(200, 0.058)], true).as_millis(), 5, "somebody is about to");
    }
}
