//! The threads that publishers' sessions run on. Publishers send dozens of small messages a second each; on threads of
//! their own, messages may gather without delaying anything else.

use crate::gather::Gather;
use crate::metrics::Metrics;
use std::cell::RefCell;
use std::io::Result;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::{EnterGuard, Handle, Runtime};

/// A runtime that may be dropped anywhere, also by a task of another one.
#[derive(Debug)]
pub(crate) struct Ingest(Option<Runtime>, Handle);

/// How long messages of publishers may gather, when hundreds of them send.
const REST_MAX: Duration = Duration::from_millis(20);

thread_local! {
    static GATHER: RefCell<Gather> = RefCell::new(Gather::new(Instant::now(), REST_MAX));
}

impl Ingest {
    /// Starts the threads: publishers are few beside viewers, and one thread takes in hundreds.
    ///
    /// # Errors
    /// When the system gives no threads or no epoll.
    pub(crate) fn start(metrics: &Arc<Metrics>) -> Result<Ingest> {
        let metrics = Arc::clone(metrics);
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads((cores / 2).max(1))
            .enable_all()
            .thread_name("ingest")
            .on_thread_start(move || metrics.own_thread())
            .on_thread_park(rest)
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

fn rest() {
    if let Some(rest) = GATHER.with_borrow_mut(|gather| gather.rest(Instant::now())) {
        std::thread::sleep(rest);
    }
}
