//! Connections by the name that their datagrams have: those that wait for their first one, and which worker has the others.

use super::inbox::Inbox;
use super::member::Arriving;
use crate::gateway::random_bytes;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Our half of a connection's user name in STUN; also what names it over HTTP. Whoever doesn't know it can't reach the
/// connection: 128 random bits.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key(Arc<str>);

/// All connections of one process. Clones share.
#[derive(Clone, Debug, Default)]
pub(super) struct Registry(Arc<Mutex<HashMap<Key, Place>>>);

#[derive(Debug)]
enum Place {
    /// Answered over HTTP; no datagram came yet.
    Waiting(Box<Arriving>, Instant),
    /// On this worker.
    On(usize),
}

/// Where a datagram belongs.
pub(super) enum Found {
    /// It is the first one of this connection.
    Arrives(Box<Arriving>),
    /// Another worker has it.
    Elsewhere(usize),
    Nowhere,
}

/// Connections that were answered and don't come; the oldest would be gone within [`WAIT_MAX`] anyway.
const WAITING_MAX: usize = 4096;
/// From the answer to the first datagram: a slow phone on a slow network needs some seconds.
const WAIT_MAX: Duration = Duration::from_secs(30);

impl Key {
    /// A new one.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub(super) fn new() -> std::io::Result<Key> {
        let bytes: [u8; 16] = random_bytes()?;
        let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Key(text.into()))
    }

    pub(super) fn named(text: &str) -> Key {
        Key(text.into())
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl Registry {
    /// One more waits. False if too many do.
    pub(super) fn wait(&self, key: Key, arriving: Arriving, now: Instant) -> bool {
        let mut places = self.lock();
        if places.len() >= WAITING_MAX {
            let waiting = places.values().filter(|place| matches!(place, Place::Waiting(..))).count();
            if waiting >= WAITING_MAX {
                return false;
            }
        }
        places.insert(key, Place::Waiting(Box::new(arriving), now));
        true
    }

    /// Whose datagram this is. Who waits is given to the caller, if the datagram proves to be its peer's.
    pub(super) fn find(&self, key: &Key, proved: impl FnOnce(&Arriving) -> bool, worker: usize) -> Found {
        let mut places = self.lock();
        match places.get(key) {
            None => Found::Nowhere,
            Some(Place::On(other)) => Found::Elsewhere(*other),
            Some(Place::Waiting(arriving, _)) if !proved(arriving) => Found::Nowhere,
            Some(Place::Waiting(..)) => match places.insert(key.clone(), Place::On(worker)) {
                Some(Place::Waiting(arriving, _)) => Found::Arrives(arriving),
                _ => Found::Nowhere,
            },
        }
    }

    /// It is over. What waited is returned.
    pub(super) fn forget(&self, key: &Key) -> Option<Box<Arriving>> {
        match self.lock().remove(key) {
            Some(Place::Waiting(arriving, _)) => Some(arriving),
            _ => None,
        }
    }

    /// Ends one by the wish of its peer. False if there is none.
    pub(super) fn end(&self, key: &Key, inboxes: &[Arc<Inbox>]) -> bool {
        let mut places = self.lock();
        let Some(place) = places.get(key) else { return false };
        match place {
            Place::On(worker) => {
                if let Some(inbox) = inboxes.get(*worker) {
                    inbox.end(key.clone());
                }
            }
            Place::Waiting(..) => {
                let gone = places.remove(key);
                drop(places);
                drop(gone);
            }
        }
        true
    }

    /// Whether there is such a connection.
    pub(super) fn has(&self, key: &Key) -> bool {
        self.lock().contains_key(key)
    }

    /// Lets those go that didn't come in time.
    pub(super) fn sweep(&self, now: Instant) -> Vec<Box<Arriving>> {
        let mut places = self.lock();
        let late: Vec<Key> = places
            .iter()
            .filter(|(_, place)| {
                matches!(place, Place::Waiting(_, since) if now.saturating_duration_since(*since) > WAIT_MAX)
            })
            .map(|(key, _)| key.clone())
            .collect();
        let gone = late.iter().filter_map(|key| match places.remove(key) {
            Some(Place::Waiting(arriving, _)) => Some(arriving),
            _ => None,
        });
        gone.collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Place>> {
        // Nothing is left half done by a panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
