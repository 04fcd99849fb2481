//! The newest of something, for those who follow it. Who is slower than that misses the oldest, and is told.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// The newest of something, with numbers that only grow. Clones share.
#[derive(Debug)]
pub(crate) struct Ring<T>(Arc<Shared<T>>);

#[derive(Debug)]
struct Shared<T> {
    kept: Mutex<Kept<T>>,
    /// Number of the newest.
    newest: watch::Sender<u64>,
    max: usize,
}

#[derive(Debug)]
struct Kept<T> {
    last: u64,
    items: VecDeque<(u64, Arc<T>)>,
}

/// What comes after a number.
#[derive(Debug)]
pub(crate) struct After<T> {
    /// Oldest first.
    pub(crate) items: Vec<(u64, Arc<T>)>,
    /// How many were there and are no longer kept.
    pub(crate) missed: u64,
}

impl<T> Ring<T> {
    /// Keeps the newest `max`. The first number is the one after `before`; larger with every start of the process, so that who
    /// goes on after a restart is told from who comes late.
    pub(crate) fn new(max: usize, before: u64) -> Ring<T> {
        let kept = Mutex::new(Kept { last: before, items: VecDeque::new() });
        Ring(Arc::new(Shared { kept, newest: watch::Sender::new(before), max }))
    }

    pub(crate) fn push(&self, item: T) {
        let mut kept = self.lock();
        if kept.items.len() >= self.0.max {
            kept.items.pop_front();
        }
        kept.last += 1;
        let number = kept.last;
        kept.items.push_back((number, Arc::new(item)));
        drop(kept);
        self.0.newest.send_modify(|newest| *newest = number.max(*newest));
    }

    /// Number of the newest.
    pub(crate) fn last(&self) -> u64 {
        self.lock().last
    }

    /// All that are kept, oldest first.
    pub(crate) fn all(&self) -> Vec<(u64, Arc<T>)> {
        self.lock().items.iter().cloned().collect()
    }

    /// What comes after the one of this number. A number that is not of this process is before all.
    pub(crate) fn after(&self, number: u64) -> After<T> {
        let kept = self.lock();
        let number = if number > kept.last { 0 } else { number };
        let oldest = kept.items.front().map_or(kept.last + 1, |(first, _)| *first);
        let items = kept.items.iter().filter(|(n, _)| *n > number).cloned().collect();
        After { items, missed: if number == 0 { 0 } else { oldest.saturating_sub(number + 1) } }
    }

    /// Hears of newer ones.
    pub(crate) fn follow(&self) -> watch::Receiver<u64> {
        self.0.newest.subscribe()
    }

    fn lock(&self) -> MutexGuard<'_, Kept<T>> {
        // Nothing here can be half done.
        self.0.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Clone for Ring<T> {
    fn clone(&self) -> Ring<T> {
        Ring(Arc::clone(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(after: &After<&str>) -> (Vec<u64>, u64) {
        (after.items.iter().map(|(n, _)| *n).collect(), after.missed)
    }

    #[test]
    fn who_follows_gets_what_is_newer_and_learns_what_it_missed() {
        let ring = Ring::new(3, 100);
        assert_eq!(numbers(&ring.after(100)), (vec![], 0));
        ["a", "b", "c", "d", "e"].into_iter().for_each(|item| ring.push(item));
        assert_eq!(numbers(&ring.after(104)), (vec![105], 0));
        assert_eq!(numbers(&ring.after(102)), (vec![103, 104, 105], 0));
        assert_eq!(numbers(&ring.after(100)), (vec![103, 104, 105], 2));
        assert_eq!(numbers(&ring.after(7_000)), (vec![103, 104, 105], 0), "of a process after this one");
        assert_eq!(ring.all().len(), 3);
        assert_eq!(*ring.follow().borrow(), ring.last());
    }
}
