//! Somebody wants what nobody has.

use crate::path::BroadcastPath;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// Paths that are wanted and absent, and who waits for what.
#[derive(Debug, Default)]
pub(crate) struct Demands(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    wishes: HashMap<BroadcastPath, Wish>,
    /// Numbers demands.
    next: u64,
    /// Counts new wishes and taken seats.
    changes: u64,
    watching: Vec<Waker>,
}

#[derive(Debug, Default)]
struct Wish {
    count: usize,
    /// How often somebody said that it isn't to be had.
    declined: u64,
    /// Who waits for it, by the number of the demand.
    waiting: HashMap<u64, Waker>,
}

impl Demands {
    pub(crate) fn list(&self) -> Vec<(BroadcastPath, usize)> {
        self.lock().wishes.iter().map(|(path, wish)| (path.clone(), wish.count)).collect()
    }

    pub(crate) fn add(self: &Arc<Self>, path: &BroadcastPath) -> Demand {
        let mut state = self.lock();
        let number = state.next;
        state.next += 1;
        let wish = state.wishes.entry(path.clone()).or_default();
        wish.count += 1;
        let (declined, is_first) = (wish.declined, wish.count == 1);
        let watching = if is_first { state.change() } else { Vec::new() };
        drop(state);
        watching.into_iter().for_each(Waker::wake);
        Demand { path: path.clone(), number, declined, demands: Arc::clone(self) }
    }

    pub(crate) fn has(&self, path: &BroadcastPath) -> bool {
        self.lock().wishes.contains_key(path)
    }

    /// Somebody took the seat of a path.
    pub(crate) fn published(&self, path: &BroadcastPath) {
        let mut state = self.lock();
        let waiting = state.wishes.get_mut(path).map(|wish| std::mem::take(&mut wish.waiting));
        let watching = state.change();
        drop(state);
        waiting.into_iter().flatten().map(|(_, waker)| waker).chain(watching).for_each(Waker::wake);
    }

    pub(crate) fn decline(&self, path: &BroadcastPath) {
        let mut state = self.lock();
        let Some(wish) = state.wishes.get_mut(path) else { return };
        wish.declined += 1;
        let waiting = std::mem::take(&mut wish.waiting);
        drop(state);
        waiting.into_values().for_each(Waker::wake);
    }

    pub(crate) fn poll_changed(&self, cx: &mut Context<'_>, seen: u64) -> Poll<u64> {
        let mut state = self.lock();
        if state.changes != seen {
            return Poll::Ready(state.changes);
        }
        if !state.watching.iter().any(|waker| waker.will_wake(cx.waker())) {
            state.watching.push(cx.waker().clone());
        }
        Poll::Pending
    }

    /// No invariant of the map can be broken by a panic between two statements.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn change(&mut self) -> Vec<Waker> {
        self.changes += 1;
        std::mem::take(&mut self.watching)
    }
}

/// A wish for a broadcast that is not here; whoever can fetch it (a relay, a pull) reads the wishes from the hub.
/// Dropping it takes the wish back.
#[derive(Debug)]
pub struct Demand {
    path: BroadcastPath,
    number: u64,
    /// How often the path had been declined when the wish was made.
    declined: u64,
    demands: Arc<Demands>,
}

impl Demand {
    /// What is wanted.
    pub fn path(&self) -> &BroadcastPath {
        &self.path
    }

    /// Ready when it was declined; else the waker is called when it is, or when somebody publishes.
    pub(crate) fn poll_declined(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.demands.lock();
        match state.wishes.get_mut(&self.path) {
            Some(wish) if wish.declined == self.declined => {
                wish.waiting.insert(self.number, cx.waker().clone());
                Poll::Pending
            }
            _ => Poll::Ready(()),
        }
    }
}

impl Drop for Demand {
    fn drop(&mut self) {
        let mut state = self.demands.lock();
        if let Some(wish) = state.wishes.get_mut(&self.path) {
            wish.count -= 1;
            wish.waiting.remove(&self.number);
            if wish.count == 0 {
                state.wishes.remove(&self.path);
            }
        }
    }
}
