//! The qualities of one publisher (simulcast, RFC 8853): each is a broadcast of its own that nobody can name.

use super::engine::Rid;
use hub::{Broadcast, BroadcastPath, Collision, Hub, Limits, Producer};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The ladders of all publishers who send several qualities. Clones share.
#[derive(Clone, Debug, Default)]
pub(super) struct Renditions(Arc<Mutex<HashMap<BroadcastPath, Arc<Ladder>>>>);

/// The qualities of one publisher.
#[derive(Debug)]
pub(super) struct Ladder {
    path: BroadcastPath,
    hub: Hub,
    rungs: Mutex<Vec<Arc<Rung>>>,
    /// Which one the broadcast itself has.
    base: Mutex<Option<Rid>>,
}

/// One quality: pictures only.
#[derive(Debug)]
pub(super) struct Rung {
    pub(super) rid: Rid,
    pub(super) broadcast: Arc<Broadcast>,
    bits_per_second: AtomicU64,
    keyframe_wanted: AtomicBool,
}

/// A quality, as it is told to people.
#[derive(Clone, Debug)]
pub(crate) struct Rendition {
    /// What its publisher calls it (RFC 8851).
    pub(crate) name: String,
    pub(crate) broadcast: Arc<Broadcast>,
    pub(crate) bits_per_second: u64,
    /// Whether the broadcast itself has it, for who plays by anything else.
    pub(crate) is_base: bool,
}

/// A ladder that is there as long as its publisher.
#[derive(Debug)]
pub(super) struct Published {
    renditions: Renditions,
    ladder: Arc<Ladder>,
}

/// Bytes of frames kept per quality.
const LOG_BYTES_MAX: usize = 4 << 20;
/// RFC 8853 names no limit; browsers send three.
const RUNGS_MAX: usize = 4;

impl Renditions {
    /// The ladder of a broadcast, if its publisher offered several qualities.
    pub(super) fn of(&self, path: &BroadcastPath) -> Option<Arc<Ladder>> {
        self.lock().get(path).cloned()
    }

    /// A new publisher; one before it on that path is forgotten.
    pub(super) fn publish(&self, path: &BroadcastPath) -> Published {
        let limits =
            Limits { broadcasts_max: RUNGS_MAX, log_bytes_max: LOG_BYTES_MAX, grace: Duration::ZERO };
        let ladder = Arc::new(Ladder {
            path: path.clone(),
            hub: Hub::new(limits),
            rungs: Mutex::default(),
            base: Mutex::default(),
        });
        self.lock().insert(path.clone(), Arc::clone(&ladder));
        Published { renditions: self.clone(), ladder }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<BroadcastPath, Arc<Ladder>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Published {
    /// A new quality, and where its frames go. None when there are too many.
    pub(super) fn rung(&self, rid: Rid, now: Instant) -> Option<(Arc<Rung>, Producer)> {
        let path = BroadcastPath::parse(&format!("{}/{}", self.ladder.path, &*rid)).ok()?;
        let producer = self.ladder.hub.publish(&path, Collision::Takeover, now).ok()?;
        let rung = Arc::new(Rung {
            rid,
            broadcast: Arc::clone(producer.broadcast()),
            bits_per_second: AtomicU64::new(0),
            keyframe_wanted: AtomicBool::new(false),
        });
        self.ladder.lock().push(Arc::clone(&rung));
        Some((rung, producer))
    }

    /// A quality isn't sent any more; its viewers go to another one.
    pub(super) fn remove(&self, rung: &Rung) {
        self.ladder.lock().retain(|other| other.rid != rung.rid);
        self.ladder.hub.end(rung.broadcast.path());
        self.ladder.hub.expire(Instant::now());
    }

    /// Which quality the broadcast itself has.
    pub(super) fn set_base(&self, rid: Rid) {
        *self.ladder.base.lock().unwrap_or_else(PoisonError::into_inner) = Some(rid);
    }
}

impl Drop for Published {
    fn drop(&mut self) {
        let mut all = self.renditions.lock();
        // Somebody else may publish there by now.
        if all.get(&self.ladder.path).is_some_and(|ladder| Arc::ptr_eq(ladder, &self.ladder)) {
            all.remove(&self.ladder.path);
        }
        drop(all);
        self.ladder.lock().clear();
        self.ladder.hub.end_all();
    }
}

impl Ladder {
    /// The qualities, the one with the fewest bits first. Those that weren't measured yet are left out.
    pub(super) fn rungs(&self) -> Vec<Arc<Rung>> {
        let mut rungs: Vec<_> =
            self.lock().iter().filter(|rung| rung.bits_per_second() > 0).cloned().collect();
        rungs.sort_by_key(|rung| rung.bits_per_second());
        rungs
    }

    /// The same, for people.
    pub(super) fn told(&self) -> Vec<Rendition> {
        let base = self.base();
        let tell = |rung: &Arc<Rung>| Rendition {
            name: rung.rid.to_string(),
            broadcast: Arc::clone(&rung.broadcast),
            bits_per_second: rung.bits_per_second(),
            is_base: base == Some(rung.rid),
        };
        self.rungs().iter().map(tell).collect()
    }

    /// Which quality the broadcast itself has.
    pub(super) fn base(&self) -> Option<Rid> {
        *self.base.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Rung>>> {
        self.rungs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Rung {
    /// Measured over the last seconds; zero before that.
    pub(super) fn bits_per_second(&self) -> u64 {
        self.bits_per_second.load(Ordering::Relaxed)
    }

    pub(super) fn set_bits_per_second(&self, rate: u64) {
        self.bits_per_second.store(rate, Ordering::Relaxed);
    }

    /// A viewer is about to come here and can begin at a keyframe only.
    pub(super) fn want_keyframe(&self) {
        self.keyframe_wanted.store(true, Ordering::Relaxed);
    }

    /// Whether somebody wanted one since the last call.
    pub(super) fn take_wanted(&self) -> bool {
        self.keyframe_wanted.swap(false, Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ladder_is_there_as_long_as_its_publisher_and_sorted_by_rate() {
        let (renditions, now) = (Renditions::default(), Instant::now());
        let path = BroadcastPath::parse("live/x").unwrap();
        let published = renditions.publish(&path);
        let ladder = renditions.of(&path).unwrap();
        let (high, _high) = published.rung(Rid::from("f"), now).unwrap();
        let (low, _low) = published.rung(Rid::from("q"), now).unwrap();
        assert!(ladder.rungs().is_empty(), "not measured yet");
        high.set_bits_per_second(900);
        low.set_bits_per_second(100);
        let rids = || ladder.rungs().iter().map(|rung| rung.rid).collect::<Vec<_>>();
        assert_eq!(rids(), [Rid::from("q"), Rid::from("f")]);
        published.remove(&low);
        assert!(low.broadcast.is_ended() && !high.broadcast.is_ended());
        assert_eq!(rids(), [Rid::from("f")]);
        let next = renditions.publish(&path);
        drop(published);
        assert!(high.broadcast.is_ended() && renditions.of(&path).is_some(), "the next one stays");
        drop(next);
        assert!(renditions.of(&path).is_none());
    }

    #[test]
    fn a_peer_cannot_have_more_qualities_than_there_may_be() {
        let renditions = Renditions::default();
        let published = renditions.publish(&BroadcastPath::parse("live/x").unwrap());
        let made: Vec<_> = (0..9)
            .filter_map(|n| published.rung(Rid::from(format!("r{n}").as_str()), Instant::now()))
            .collect();
        assert_eq!(made.len(), RUNGS_MAX);
    }
}
