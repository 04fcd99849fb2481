//! Who is live.

use crate::demand::Demands;
use crate::path::BroadcastPath;
use crate::{Broadcast, Consumer, Demand, Error, Producer};
use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::task::Poll;
use std::time::{Duration, Instant};

/// What happens to a publisher who comes to an occupied path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Collision {
    /// The newcomer is refused.
    #[default]
    Reject,
    /// The newcomer replaces the one who is there; viewers stay.
    Takeover,
}

/// What a hub may hold.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Broadcasts at a time; one more is refused.
    pub broadcasts_max: usize,
    /// Bytes of frames kept per broadcast; beyond it the oldest go.
    pub log_bytes_max: usize,
    /// How long a broadcast waits for a publisher who left.
    pub grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { broadcasts_max: 10_000, log_bytes_max: 8 << 20, grace: Duration::from_secs(10) }
    }
}

/// All broadcasts of one process. Clones share.
#[derive(Clone, Debug)]
pub struct Hub {
    limits: Arc<RwLock<Limits>>,
    broadcasts: Arc<RwLock<HashMap<BroadcastPath, Arc<Broadcast>>>>,
    demands: Arc<Demands>,
    keyframe_gaps: Arc<AtomicU64>,
}

impl Hub {
    /// An empty hub.
    pub fn new(limits: Limits) -> Hub {
        Hub {
            limits: Arc::new(RwLock::new(limits)),
            broadcasts: Arc::default(),
            demands: Arc::default(),
            keyframe_gaps: Arc::default(),
        }
    }

    /// Takes new limits. Broadcasts that are there keep their byte budget.
    pub fn set_limits(&self, limits: Limits) {
        *self.limits.write().unwrap_or_else(PoisonError::into_inner) = limits;
    }

    fn limits(&self) -> Limits {
        *self.limits.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the publisher's seat of `path`; a broadcast within its grace window goes on.
    ///
    /// # Errors
    /// [`Error::Occupied`] by the policy, [`Error::TooManyBroadcasts`] at the limit.
    pub fn publish(&self, path: &BroadcastPath, policy: Collision, now: Instant) -> Result<Producer, Error> {
        let producer = self.take_seat(path, policy, now)?;
        self.demands.published(path);
        Ok(producer)
    }

    fn take_seat(&self, path: &BroadcastPath, policy: Collision, now: Instant) -> Result<Producer, Error> {
        let mut map = self.broadcasts.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(broadcast) = map.get(path).filter(|b| !b.is_ended()) {
            if broadcast.is_published() && policy == Collision::Reject && !broadcast.seat_is_open(now) {
                return Err(Error::Occupied);
            }
            return Ok(Producer::take_seat(broadcast, now));
        }
        let limits = self.limits();
        if map.len() >= limits.broadcasts_max {
            return Err(Error::TooManyBroadcasts(limits.broadcasts_max));
        }
        let broadcast =
            Arc::new(Broadcast::new(path.clone(), limits.log_bytes_max, &self.keyframe_gaps, now));
        map.insert(path.clone(), Arc::clone(&broadcast));
        Ok(Producer::take_seat(&broadcast, now))
    }

    /// The broadcast of that path, if it is live or within its grace window.
    pub fn broadcast(&self, path: &BroadcastPath) -> Option<Arc<Broadcast>> {
        let map = self.broadcasts.read().unwrap_or_else(PoisonError::into_inner);
        map.get(path).filter(|b| !b.is_ended()).cloned()
    }

    /// A reader of that path, from its newest group on.
    pub fn subscribe(&self, path: &BroadcastPath) -> Option<Consumer> {
        self.broadcast(path).map(|b| b.consumer())
    }

    /// Groups that lasted more than 4 s or more than twice the usual, of all broadcasts that ever were here.
    pub fn keyframe_gaps(&self) -> u64 {
        self.keyframe_gaps.load(Ordering::Relaxed)
    }

    /// Says that somebody wants a path that nobody publishes here.
    pub fn demand(&self, path: &BroadcastPath) -> Demand {
        self.demands.add(path)
    }

    /// What is wanted and not here, with how many want it.
    pub fn demands(&self) -> Vec<(BroadcastPath, usize)> {
        self.demands.list().into_iter().filter(|(path, _)| self.broadcast(path).is_none()).collect()
    }

    /// Whether somebody wants a path, be it here or not.
    pub fn is_wanted(&self, path: &BroadcastPath) -> bool {
        self.demands.has(path)
    }

    /// Waits until somebody publishes what is wanted; `None` when it is declined before.
    pub async fn arrival(&self, demand: &Demand) -> Option<Arc<Broadcast>> {
        poll_fn(|cx| {
            // First, so that nothing happens between the look and the wait.
            let declined = demand.poll_declined(cx);
            match self.broadcast(demand.path()) {
                Some(broadcast) => Poll::Ready(Some(broadcast)),
                None => declined.map(|()| None),
            }
        })
        .await
    }

    /// Says that a path can't be had now, to those who wait for it.
    pub fn decline(&self, path: &BroadcastPath) {
        self.demands.decline(path);
    }

    /// Waits until something is wanted, or published, that wasn't when this returned `seen`; begin with zero.
    pub async fn changed(&self, seen: u64) -> u64 {
        poll_fn(|cx| self.demands.poll_changed(cx, seen)).await
    }

    /// All broadcasts, in no order.
    pub fn broadcasts(&self) -> Vec<Arc<Broadcast>> {
        self.broadcasts.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// Ends broadcasts whose grace ran out and forgets those that are over. Called a few times a second.
    pub fn expire(&self, now: Instant) {
        let grace = self.limits().grace;
        let mut map = self.broadcasts.write().unwrap_or_else(PoisonError::into_inner);
        map.retain(|_, broadcast| {
            let state = broadcast.lock();
            let expired =
                state.vacant_since.is_some_and(|since| now.saturating_duration_since(since) >= grace);
            let ended = state.ended;
            drop(state);
            if expired && !ended {
                broadcast.end();
            }
            !expired && !ended
        });
    }

    /// Ends a broadcast at once, without grace; its publisher writes to nobody from then on. False if there is none.
    pub fn end(&self, path: &BroadcastPath) -> bool {
        let ended = self.broadcasts.write().unwrap_or_else(PoisonError::into_inner).remove(path);
        ended.inspect(|broadcast| broadcast.end()).is_some()
    }

    /// Ends all broadcasts, for shutdown.
    pub fn end_all(&self) {
        for (_, broadcast) in self.broadcasts.write().unwrap_or_else(PoisonError::into_inner).drain() {
            broadcast.end();
        }
    }
}
