//! Connections by the name that their datagrams have: those that wait for their first one, and which worker has the others.

use super::inbox::Inbox;
use super::member::Arriving;
use crate::gateway::random_bytes;
use crate::limits::Prefix;
use std::borrow::Borrow;
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

/// Our half of a connection's user name in STUN. Every check has it, for whoever is on the way to read: a name, and no secret.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key(Arc<str>);

/// All connections of one process. Clones share.
#[derive(Clone, Debug, Default)]
pub(super) struct Registry(Arc<RwLock<Places>>);

#[derive(Debug, Default)]
struct Places {
    /// By each name that a connection has: one more with every ICE restart.
    places: HashMap<Key, Place>,
    /// By the first name.
    ice: HashMap<Key, Ice>,
    /// The first name, by the connection's own URL.
    urls: HashMap<Arc<str>, Key>,
    waiting: Waiting,
}

/// How many wait.
#[derive(Debug, Default)]
struct Waiting {
    all: usize,
    /// By the addresses that their offers came from; none has zero.
    by_prefix: HashMap<Prefix, usize>,
}

/// Why one more can't wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Overloaded {
    /// Too many do.
    All,
    /// Too many of the same address do.
    Address,
}

/// The ICE session of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ice {
    /// Where the connection is over HTTP. Who knows it may end the connection, so there are 128 random bits in it, and they go over
    /// nothing but HTTP.
    url: Arc<str>,
    /// What its peer calls it, as in the offer.
    pub(super) remote_user: String,
    /// What names it over HTTP. RFC 9725 §4.3.1.
    pub(super) tag: String,
    /// All names of the connection, the newest last.
    pub(super) names: Vec<Key>,
}

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
/// The same for one address, so that none takes the room of all. A crowd behind one NAT that joins within a second waits for a round trip
/// each.
const WAITING_PER_PREFIX_MAX: usize = 256;
/// From the answer to the first datagram: a slow phone on a slow network needs some seconds.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// ICE restarts of one connection; who needs more has no network.
const NAMES_MAX: usize = 100;

impl Key {
    /// A new one.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub(super) fn new() -> std::io::Result<Key> {
        Ok(Key(secret()?.into()))
    }

    pub(super) fn named(text: &str) -> Key {
        Key(text.into())
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// What came in a datagram is looked up as it is.
impl Borrow<str> for Key {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl Registry {
    /// One more waits, and has this URL.
    ///
    /// # Errors
    /// When too many do.
    pub(super) fn wait(
        &self,
        url: &str,
        arriving: Arriving,
        remote_user: String,
        now: Instant,
    ) -> Result<Ice, Overloaded> {
        let mut all = self.lock();
        all.waiting.enter(arriving.admission.prefix())?;
        let (key, url) = (arriving.key.clone(), Arc::<str>::from(url));
        all.places.insert(key.clone(), Place::Waiting(Box::new(arriving), now));
        let ice = Ice { url: Arc::clone(&url), remote_user, tag: tag_of(&key), names: vec![key.clone()] };
        all.ice.insert(key.clone(), ice.clone());
        all.urls.insert(url, key);
        Ok(ice)
    }

    /// The ICE session of the connection with that URL.
    pub(super) fn ice(&self, url: &str) -> Option<Ice> {
        let all = self.read();
        all.ice.get(all.urls.get(url)?).cloned()
    }

    /// All names of a connection, by its first one.
    pub(super) fn names(&self, key: &Key) -> Vec<Key> {
        self.read().ice.get(key).map(|ice| ice.names.clone()).unwrap_or_default()
    }

    /// A connection begins its ICE anew: `name` is one more name of it. Its worker, if it has one, is told by `tell`; who still
    /// waits is changed by `change`. None if there is no such connection, or it begins anew too often.
    pub(super) fn restart(
        &self,
        url: &str,
        name: &Key,
        remote_user: &str,
        change: impl FnOnce(&mut Arriving),
        tell: impl FnOnce(usize, &Key),
    ) -> Option<Ice> {
        let mut all = self.lock();
        let Places { places, ice, urls, .. } = &mut *all;
        let key = urls.get(url)?;
        let ice = ice.get_mut(key).filter(|ice| ice.names.len() < NAMES_MAX)?;
        match places.get_mut(ice.names.last()?)? {
            Place::On(worker) => {
                let worker = *worker;
                places.insert(name.clone(), Place::On(worker));
                tell(worker, key);
            }
            // Nothing came by the old name, so it isn't needed any more.
            Place::Waiting(arriving, _) => {
                change(arriving);
                let waiting = places.remove(&ice.names.pop()?)?;
                places.insert(name.clone(), waiting);
            }
        }
        ice.names.push(name.clone());
        (ice.remote_user, ice.tag) = (remote_user.to_owned(), tag_of(name));
        Some(ice.clone())
    }

    /// Whose datagram this is, by the name in it. Who waits is given to the caller, if the datagram proves to be its peer's. Names
    /// that nobody has keep nobody else waiting: workers look for them beside each other.
    pub(super) fn find(&self, user: &str, proved: impl FnOnce(&Arriving) -> bool, worker: usize) -> Found {
        match self.read().places.get(user) {
            None => return Found::Nowhere,
            Some(Place::On(other)) => return Found::Elsewhere(*other),
            Some(Place::Waiting(arriving, _)) if !proved(arriving) => return Found::Nowhere,
            Some(Place::Waiting(..)) => {}
        }
        let mut all = self.lock();
        match all.places.get_mut(user).map(|place| std::mem::replace(place, Place::On(worker))) {
            Some(Place::Waiting(arriving, _)) => {
                all.waiting.leave(arriving.admission.prefix());
                Found::Arrives(arriving)
            }
            // Another worker was quicker.
            Some(Place::On(other)) => {
                all.places.insert(Key::named(user), Place::On(other));
                Found::Elsewhere(other)
            }
            None => Found::Nowhere,
        }
    }

    /// A connection is over.
    pub(super) fn forget(&self, key: &Key) {
        let mut all = self.lock();
        let Some(ice) = all.ice.remove(key) else { return };
        all.urls.remove(&ice.url);
        let gone: Vec<_> = ice.names.iter().chain([key]).filter_map(|name| all.places.remove(name)).collect();
        for place in &gone {
            if let Place::Waiting(arriving, _) = place {
                all.waiting.leave(arriving.admission.prefix());
            }
        }
        drop(all);
        // Dropping what waited ends its session, which takes locks of its own.
        drop(gone);
    }

    /// Ends the one with that URL by the wish of its peer. False if there is none.
    pub(super) fn end(&self, url: &str, inboxes: &[Arc<Inbox>]) -> bool {
        let all = self.lock();
        let Some(key) = all.urls.get(url).cloned() else { return false };
        let Some(ice) = all.ice.get(&key) else { return false };
        let worker = ice.names.last().and_then(|name| match all.places.get(name) {
            Some(Place::On(worker)) => Some(*worker),
            _ => None,
        });
        drop(all);
        match worker.and_then(|worker| inboxes.get(worker)) {
            Some(inbox) => inbox.end(key),
            None => self.forget(&key),
        }
        true
    }

    /// Lets those go that didn't come in time.
    pub(super) fn sweep(&self, now: Instant) {
        let late = |place: &Place| matches!(place, Place::Waiting(_, since) if now.saturating_duration_since(*since) > WAIT_MAX);
        let all = self.lock();
        let is_late = |ice: &Ice| ice.names.last().and_then(|name| all.places.get(name)).is_some_and(late);
        let keys: Vec<Key> =
            all.ice.iter().filter(|(_, ice)| is_late(ice)).map(|(key, _)| key.clone()).collect();
        drop(all);
        keys.iter().for_each(|key| self.forget(key));
    }

    fn lock(&self) -> RwLockWriteGuard<'_, Places> {
        // Nothing is left half done by a panic.
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self) -> RwLockReadGuard<'_, Places> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    /// One more.
    fn enter(&mut self, prefix: Option<Prefix>) -> Result<(), Overloaded> {
        if self.all >= WAITING_MAX {
            return Err(Overloaded::All);
        }
        if let Some(prefix) = prefix {
            let count = self.by_prefix.entry(prefix).or_default();
            if *count >= WAITING_PER_PREFIX_MAX {
                return Err(Overloaded::Address);
            }
            *count += 1;
        }
        self.all += 1;
        Ok(())
    }

    /// One less.
    fn leave(&mut self, prefix: Option<Prefix>) {
        self.all = self.all.saturating_sub(1);
        let Some(prefix) = prefix else { return };
        match self.by_prefix.get_mut(&prefix) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(self.by_prefix.remove(&prefix)),
        }
    }
}

/// 128 random bits.
///
/// # Errors
/// When the system gives no random bytes.
pub(super) fn secret() -> std::io::Result<String> {
    let bytes: [u8; 16] = random_bytes()?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Another one for every name.
fn tag_of(key: &Key) -> String {
    format!("\"{}\"", key.0.get(..8).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(number: u8) -> Option<Prefix> {
        Some(Prefix::of([192, 0, 2, number].into(), 32, 64))
    }

    #[test]
    fn one_address_takes_its_share_of_who_waits_and_leaves_room_for_others() {
        let mut waiting = Waiting::default();
        assert!((0..WAITING_PER_PREFIX_MAX).all(|_| waiting.enter(address(1)).is_ok()));
        assert_eq!(waiting.enter(address(1)), Err(Overloaded::Address));
        assert_eq!(waiting.enter(address(2)), Ok(()));
        waiting.leave(address(1));
        assert_eq!(
            (waiting.enter(address(1)), waiting.enter(address(1))),
            (Ok(()), Err(Overloaded::Address))
        );
        // Who isn't counted for an address has the room of all.
        while waiting.all < WAITING_MAX {
            waiting.enter(None).unwrap();
        }
        assert_eq!(
            (waiting.enter(None), waiting.enter(address(3))),
            (Err(Overloaded::All), Err(Overloaded::All))
        );
    }

    #[test]
    fn nothing_is_kept_of_addresses_of_which_nobody_waits() {
        let mut waiting = Waiting::default();
        for number in 0..200 {
            waiting.enter(address(number)).unwrap();
        }
        (0..200).for_each(|number| waiting.leave(address(number)));
        assert!(waiting.all == 0 && waiting.by_prefix.is_empty());
    }
}
