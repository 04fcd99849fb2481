//! How each connection to another server is doing, for people and metrics.

use super::Failure;
use crate::metrics::OutwardMetrics;
use hub::BroadcastPath;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};
use tokio::sync::watch;

/// All of one kind: pulls, or restreams. Clones share.
#[derive(Clone, Debug)]
pub(crate) struct Board(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// In the order in which they began.
    lines: Mutex<(u64, BTreeMap<u64, Report>)>,
    /// The number of the one that shall try again now.
    nudge: watch::Sender<u64>,
    metrics: OutwardMetrics,
    /// `"restream"`, in logs.
    kind: &'static str,
}

/// How one is doing.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    /// Its number on this board, from 1 on.
    pub(crate) number: u64,
    pub(crate) path: BroadcastPath,
    /// The other server, without secrets.
    pub(crate) remote: String,
    pub(crate) state: State,
    /// Since when it has this state.
    pub(crate) since: SystemTime,
    /// When it tries again, if it waits.
    pub(crate) retries_at: Option<SystemTime>,
    pub(crate) attempts: u64,
    pub(crate) last_error: Option<String>,
    /// Media bytes that went through.
    pub(crate) bytes: u64,
}

/// What it does now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Connecting,
    Live,
    Waiting,
}

/// One line; dropping it takes it off the board.
#[derive(Debug)]
pub(crate) struct Entry {
    board: Board,
    number: u64,
    nudges: watch::Receiver<u64>,
}

impl Board {
    pub(crate) fn new(kind: &'static str, metrics: OutwardMetrics) -> Board {
        Board(Arc::new(Shared {
            lines: Mutex::new((1, BTreeMap::new())),
            nudge: watch::Sender::new(0),
            metrics,
            kind,
        }))
    }

    /// All, in the order in which they began.
    pub(crate) fn snapshot(&self) -> Vec<Report> {
        self.lock().1.values().cloned().collect()
    }

    /// Asks one that waits to try again now. False if it isn't there, or doesn't wait.
    pub(crate) fn retry(&self, number: u64) -> bool {
        let waits = self.lock().1.get(&number).is_some_and(|report| report.state == State::Waiting);
        if waits {
            self.0.nudge.send_replace(number);
        }
        waits
    }

    /// A new line, which is about to connect.
    pub(crate) fn enter(&self, path: &BroadcastPath, remote: String) -> Entry {
        let mut lines = self.lock();
        let number = lines.0;
        lines.0 += 1;
        let (path, since) = (path.clone(), SystemTime::now());
        let state = State::Connecting;
        self.0.metrics.state(state).inc();
        let report = Report {
            number,
            path,
            remote,
            state,
            since,
            retries_at: None,
            attempts: 0,
            last_error: None,
            bytes: 0,
        };
        lines.1.insert(number, report);
        drop(lines);
        Entry { board: self.clone(), number, nudges: self.0.nudge.subscribe() }
    }

    fn lock(&self) -> MutexGuard<'_, (u64, BTreeMap<u64, Report>)> {
        self.0.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    /// Waits until somebody wants that it tries again now.
    pub(crate) async fn nudged(&mut self) {
        let number = self.number;
        loop {
            match self.nudges.changed().await {
                Ok(()) if *self.nudges.borrow_and_update() == number => return,
                Ok(()) => {}
                // The board lives as long as its entries.
                Err(_) => std::future::pending().await,
            }
        }
    }

    /// It begins an attempt.
    pub(crate) fn connecting(&self) {
        self.metrics().attempts.inc();
        self.change(State::Connecting, |report| {
            report.attempts += 1;
            report.retries_at = None;
        });
    }

    /// Media flows.
    pub(crate) fn live(&self) {
        let (path, remote) = self.names();
        tracing::info!(kind = self.board.0.kind, %path, %remote, "media flows");
        self.change(State::Live, |report| report.last_error = None);
    }

    /// It failed, and tries again after a while. What failed before in the same way is not told again.
    pub(crate) fn waiting(&mut self, why: &Failure, rest: Duration) {
        // What was wanted before it began to wait is done.
        self.nudges.mark_unchanged();
        self.metrics().failed(why.label());
        let (error, (path, remote)) = (why.to_string(), self.names());
        let mut is_new = false;
        self.change(State::Waiting, |report| {
            report.retries_at = SystemTime::now().checked_add(rest);
            is_new = report.last_error.as_ref() != Some(&error);
            report.last_error = Some(error.clone());
        });
        let (kind, retry_ms) = (self.board.0.kind, rest.as_millis());
        if is_new {
            tracing::warn!(kind, %path, %remote, %error, retry_ms, "it fails; tried again until it works");
        } else {
            tracing::debug!(kind, %path, %remote, %error, retry_ms, "it fails again");
        }
    }

    /// Media bytes went through.
    pub(crate) fn count(&self, bytes: u64) {
        self.metrics().bytes.inc_by(bytes);
        if let Some(report) = self.board.lock().1.get_mut(&self.number) {
            report.bytes += bytes;
        }
    }

    fn change(&self, state: State, note: impl FnOnce(&mut Report)) {
        if let Some(report) = self.board.lock().1.get_mut(&self.number) {
            if report.state != state {
                self.metrics().state(report.state).dec();
                self.metrics().state(state).inc();
                report.state = state;
                report.since = SystemTime::now();
            }
            note(report);
        }
    }

    fn names(&self) -> (String, String) {
        let lines = self.board.lock();
        lines.1.get(&self.number).map(|r| (r.path.to_string(), r.remote.clone())).unwrap_or_default()
    }

    fn metrics(&self) -> &OutwardMetrics {
        &self.board.0.metrics
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let Some(report) = self.board.lock().1.remove(&self.number) else { return };
        self.metrics().state(report.state).dec();
        let (kind, path, remote) = (self.board.0.kind, report.path, report.remote);
        tracing::info!(kind, %path, %remote, attempts = report.attempts, bytes = report.bytes, "it is over");
    }
}

impl State {
    /// All of them.
    pub(crate) const ALL: [State; 3] = [State::Connecting, State::Live, State::Waiting];

    /// In labels and answers.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            State::Connecting => "connecting",
            State::Live => "live",
            State::Waiting => "waiting",
        }
    }
}
