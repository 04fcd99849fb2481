//! What other threads hand to a worker.

use super::engine::Credentials;
use super::registry::Key;
use super::socket::Route;
use super::tcp::Pipe;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Wake;

/// What other threads hand to a worker; the worker is woken once, however much comes.
#[derive(Debug)]
pub(super) struct Inbox {
    waker: mio::Waker,
    notified: AtomicBool,
    contents: Mutex<Contents>,
}

#[derive(Debug, Default)]
pub(super) struct Contents {
    /// Feeds with new frames, by their number on this worker.
    pub(super) feeds: Vec<usize>,
    /// Connections whose peers said goodbye over HTTP.
    pub(super) ended: Vec<Key>,
    /// Datagrams that came to another worker's socket.
    pub(super) strays: Vec<Stray>,
    /// Addresses whose datagrams come to this worker and belong to another one, as that one found out, or not any more.
    pub(super) elsewhere: Vec<Elsewhere>,
    /// Connections that begin their ICE anew.
    pub(super) restarts: Vec<Restart>,
    /// TCP connections that came to another worker.
    pub(super) pipes: Vec<Pipe>,
    /// Who wants to know when peers have sockets of their own.
    pub(super) pins: Vec<SyncSender<()>>,
    /// Another process has the port now.
    pub(super) leaves: bool,
    pub(super) shutdown: bool,
}

/// An ICE restart. RFC 9725 §4.3.3.
#[derive(Debug)]
pub(super) struct Restart {
    pub(super) key: Key,
    /// One more name of the connection.
    pub(super) name: Key,
    pub(super) local: Credentials,
    pub(super) remote: Credentials,
}

/// A datagram for a connection of another worker.
#[derive(Debug)]
pub(super) struct Stray {
    pub(super) key: Key,
    pub(super) from: Route,
    /// The worker that it came to.
    pub(super) by: usize,
    pub(super) to: SocketAddr,
    pub(super) bytes: Box<[u8]>,
}

/// Whose the datagrams of an address are.
#[derive(Debug)]
pub(super) struct Elsewhere {
    pub(super) from: Route,
    /// The worker and its connection; `None`: not any more.
    pub(super) owner: Option<(usize, Key)>,
}

/// Strays that wait; more are dropped like any datagram that the network has no room for.
const STRAYS_MAX: usize = 1024;

impl Inbox {
    pub(super) fn new(waker: mio::Waker) -> Inbox {
        Inbox { waker, notified: AtomicBool::new(false), contents: Mutex::default() }
    }

    pub(super) fn end(&self, key: Key) {
        self.lock().ended.push(key);
        self.notify();
    }

    pub(super) fn stray(&self, stray: Stray) {
        let mut contents = self.lock();
        if contents.strays.len() < STRAYS_MAX {
            contents.strays.push(stray);
        }
        drop(contents);
        self.notify();
    }

    pub(super) fn restart(&self, restart: Restart) {
        self.lock().restarts.push(restart);
        self.notify();
    }

    /// Gives a TCP connection to the worker who has what it is for.
    pub(super) fn pipe(&self, pipe: Pipe) {
        self.lock().pipes.push(pipe);
        self.notify();
    }

    /// Tells whose the datagrams of an address are. The owner tells it after the address has proved that it is its peer's, and for
    /// few addresses of each connection, so there are never more than these.
    pub(super) fn elsewhere(&self, elsewhere: Elsewhere) {
        self.lock().elsewhere.push(elsewhere);
        self.notify();
    }

    /// Asks the worker to give its peers sockets of their own, and to say when they have them.
    pub(super) fn pin(&self, done: SyncSender<()>) {
        self.lock().pins.push(done);
        self.notify();
    }

    /// Asks the worker to leave the port to another process.
    pub(super) fn leave(&self) {
        self.lock().leaves = true;
        self.notify();
    }

    /// Asks the worker to end.
    pub(super) fn shutdown(&self) {
        self.lock().shutdown = true;
        self.notify();
    }

    /// Takes all that came, into `contents` (whose vectors are reused). False if nothing did.
    pub(super) fn take(&self, contents: &mut Contents) -> bool {
        if !self.notified.swap(false, Ordering::AcqRel) {
            return false;
        }
        let mut mine = self.lock();
        std::mem::swap(&mut mine.feeds, &mut contents.feeds);
        std::mem::swap(&mut mine.ended, &mut contents.ended);
        std::mem::swap(&mut mine.strays, &mut contents.strays);
        std::mem::swap(&mut mine.pipes, &mut contents.pipes);
        std::mem::swap(&mut mine.restarts, &mut contents.restarts);
        std::mem::swap(&mut mine.elsewhere, &mut contents.elsewhere);
        std::mem::swap(&mut mine.pins, &mut contents.pins);
        contents.leaves = std::mem::take(&mut mine.leaves);
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
pub(super) struct FeedWaker {
    pub(super) inbox: Arc<Inbox>,
    pub(super) feed: usize,
}

impl Wake for FeedWaker {
    fn wake(self: Arc<Self>) {
        self.inbox.lock().feeds.push(self.feed);
        self.inbox.notify();
    }
}
