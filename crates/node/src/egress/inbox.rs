//! What other threads hand to a worker.

use super::plane::NewViewer;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Wake;

/// New viewers that a worker has not taken yet; more are refused, since a worker this late is overloaded.
const NEW_VIEWERS_MAX: usize = 16_384;

/// The worker is too far behind to take anybody; the viewer is let go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Overloaded;

/// What other threads hand to a worker; the worker is woken once, however much comes.
#[derive(Debug)]
pub(crate) struct Inbox {
    waker: mio::Waker,
    notified: AtomicBool,
    contents: Mutex<Contents>,
}

#[derive(Debug, Default)]
pub(crate) struct Contents {
    pub(crate) viewers: Vec<NewViewer>,
    /// Feeds with new frames, by their number on this worker.
    pub(crate) feeds: Vec<usize>,
    pub(crate) shutdown: bool,
}

impl Inbox {
    pub(crate) fn new(waker: mio::Waker) -> Inbox {
        Inbox { waker, notified: AtomicBool::new(false), contents: Mutex::default() }
    }

    /// Hands a viewer over, unless the worker is too far behind.
    pub(crate) fn viewer(&self, viewer: NewViewer) -> Result<(), Overloaded> {
        let mut contents = self.lock();
        if contents.viewers.len() >= NEW_VIEWERS_MAX || contents.shutdown {
            return Err(Overloaded);
        }
        contents.viewers.push(viewer);
        drop(contents);
        self.notify();
        Ok(())
    }

    /// Asks the worker to end.
    pub(crate) fn shutdown(&self) {
        self.lock().shutdown = true;
        self.notify();
    }

    /// Takes all that came, into `contents` (whose vectors are reused). False if nothing did.
    pub(crate) fn take(&self, contents: &mut Contents) -> bool {
        if !self.notified.swap(false, Ordering::AcqRel) {
            return false;
        }
        let mut mine = self.lock();
        std::mem::swap(&mut mine.viewers, &mut contents.viewers);
        std::mem::swap(&mut mine.feeds, &mut contents.feeds);
        contents.shutdown = mine.shutdown;
        true
    }

    fn notify(&self) {
        if !self.notified.swap(true, Ordering::AcqRel) {
            // An eventfd that can't be written to means the worker is gone; there is nobody left to tell.
            let _ = self.waker.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Contents> {
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells a worker that one of its feeds has new frames. The hub calls it at most once per batch.
#[derive(Debug)]
pub(crate) struct FeedWaker {
    pub(crate) inbox: Arc<Inbox>,
    pub(crate) feed: usize,
}

impl Wake for FeedWaker {
    fn wake(self: Arc<Self>) {
        self.inbox.lock().feeds.push(self.feed);
        self.inbox.notify();
    }
}
