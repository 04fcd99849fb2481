//! The threads that convert sound. Each waits for the jobs it was given, and runs one that is woken.

use super::desk::Table;
use super::job::Job;
use crate::metrics::TranscodeMetrics;
use rustix::time::{ClockId, clock_gettime};
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Wake, Waker};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// What others hand to a thread. Jobs are as many as broadcasts that are listened to; each is woken once until it ran.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    contents: Mutex<Contents>,
    filled: Condvar,
    /// Jobs it has.
    jobs: AtomicUsize,
}

#[derive(Debug, Default)]
struct Contents {
    new: Vec<Job>,
    woken: Vec<u64>,
    shutdown: bool,
}

/// Wakes a job.
#[derive(Debug)]
struct JobWaker {
    inbox: Arc<Inbox>,
    job: u64,
}

/// How often jobs are looked at whether somebody listens.
const LOOK_EVERY: Duration = Duration::from_millis(500);

impl Inbox {
    /// Hands a job over.
    pub(super) fn give(&self, job: Job) {
        self.jobs.fetch_add(1, Ordering::Relaxed);
        self.lock().new.push(job);
        self.filled.notify_one();
    }

    /// Jobs it has.
    pub(super) fn jobs(&self) -> usize {
        self.jobs.load(Ordering::Relaxed)
    }

    /// Asks the thread to end.
    pub(super) fn shutdown(&self) {
        self.lock().shutdown = true;
        self.filled.notify_one();
    }

    /// What came, at the latest at `until`.
    fn wait(&self, until: Instant) -> Contents {
        let mut contents = self.lock();
        while contents.new.is_empty() && contents.woken.is_empty() && !contents.shutdown {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            contents = self.filled.wait_timeout(contents, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        let shutdown = contents.shutdown;
        let taken = std::mem::take(&mut *contents);
        contents.shutdown = shutdown;
        taken
    }

    fn lock(&self) -> MutexGuard<'_, Contents> {
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for JobWaker {
    fn wake(self: Arc<Self>) {
        let mut contents = self.inbox.lock();
        if !contents.woken.contains(&self.job) {
            contents.woken.push(self.job);
        }
        drop(contents);
        self.inbox.filled.notify_one();
    }
}

/// Starts a thread for `inbox`.
///
/// # Errors
/// When the system gives none.
pub(super) fn start(
    number: usize,
    inbox: &Arc<Inbox>,
    table: &Arc<Table>,
    metrics: &TranscodeMetrics,
) -> std::io::Result<JoinHandle<()>> {
    let worker = Worker {
        inbox: Arc::clone(inbox),
        table: Arc::clone(table),
        metrics: metrics.clone(),
        jobs: HashMap::new(),
        next: 0,
        cpu_told: 0.0,
    };
    std::thread::Builder::new().name(format!("transcode-{number}")).spawn(move || worker.run())
}

struct Worker {
    inbox: Arc<Inbox>,
    table: Arc<Table>,
    metrics: TranscodeMetrics,
    jobs: HashMap<u64, (Job, Waker)>,
    next: u64,
    cpu_told: f64,
}

impl Worker {
    fn run(mut self) {
        let mut look_at = Instant::now() + LOOK_EVERY;
        loop {
            let contents = self.inbox.wait(look_at);
            if contents.shutdown {
                break;
            }
            for job in contents.new {
                let number = self.next;
                self.next += 1;
                let waker = Waker::from(Arc::new(JobWaker { inbox: Arc::clone(&self.inbox), job: number }));
                self.jobs.insert(number, (job, waker));
                self.advance(number);
            }
            for number in contents.woken {
                self.advance(number);
            }
            if Instant::now() >= look_at {
                look_at = Instant::now() + LOOK_EVERY;
                self.look();
            }
        }
        let all: Vec<u64> = self.jobs.keys().copied().collect();
        all.into_iter().for_each(|number| self.end(number));
    }

    fn advance(&mut self, number: u64) {
        // A job that ended may still be woken.
        let Some((job, waker)) = self.jobs.get_mut(&number) else { return };
        if !job.run(waker) {
            self.end(number);
        }
    }

    /// Ends jobs that nobody listened to for a while.
    fn look(&mut self) {
        let now = Instant::now();
        let mut unheard = Vec::new();
        for (number, (job, _)) in &mut self.jobs {
            if job.look(now).is_some_and(|since| now.saturating_duration_since(since) >= self.table.idle())
                && self.table.remove_unheard(job)
            {
                unheard.push(*number);
            }
        }
        unheard.into_iter().for_each(|number| self.end(number));
        let cpu = clock_gettime(ClockId::ThreadCPUTime);
        let cpu = cpu.tv_sec as f64 + cpu.tv_nsec as f64 / 1e9;
        self.metrics.cpu.inc_by((cpu - self.cpu_told).max(0.0));
        self.cpu_told = cpu;
    }

    fn end(&mut self, number: u64) {
        let Some((mut job, _)) = self.jobs.remove(&number) else { return };
        job.look(Instant::now());
        self.table.remove(&job);
        self.inbox.jobs.fetch_sub(1, Ordering::Relaxed);
        tracing::debug!(path = %job.source().path(), to = ?job.to(), "converting sound ends");
    }
}
