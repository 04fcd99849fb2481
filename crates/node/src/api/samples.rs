//! The last minute: once a second, what came in and went out, of every broadcast and of the node.

use super::watch::EVERY;
use crate::metrics::{Metrics, Process};
use hub::{Broadcast, BroadcastPath};
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The last minute of everything. Bounded by the broadcasts that there may be, 24 bytes a second each.
#[derive(Debug, Default)]
pub(super) struct Samples(Mutex<All>);

#[derive(Debug, Default)]
struct All {
    broadcasts: HashMap<BroadcastPath, Track>,
    node: VecDeque<NodeSample>,
    totals: Option<Totals>,
}

/// One broadcast's minute.
#[derive(Debug)]
struct Track {
    /// Which broadcast it is: a path may be used again.
    created: Instant,
    last: (u64, u64),
    samples: VecDeque<Sample>,
}

/// One second of one broadcast.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    pub(super) at: Instant,
    pub(super) ingest_kbit_s: u32,
    pub(super) egress_kbit_s: u32,
    pub(super) viewers: u32,
}

/// One second of the node.
#[derive(Clone, Copy, Debug)]
pub(super) struct NodeSample {
    pub(super) at: Instant,
    pub(super) ingest_kbit_s: f64,
    pub(super) egress_kbit_s: f64,
    pub(super) viewers: u64,
    /// Share of all cores that the process used.
    pub(super) cpu: f64,
    pub(super) memory_bytes: u64,
}

#[derive(Clone, Copy, Debug)]
struct Totals {
    at: Instant,
    ingest: u64,
    egress: u64,
    cpu: Duration,
}

/// Samples that are kept of each.
pub(super) const SAMPLES_MAX: usize = 60;
/// A rate over less says nothing.
const FIRST_MIN: Duration = Duration::from_millis(500);
/// Rates are means over so many samples, since groups of pictures make single seconds jump.
const RATE_SAMPLES: usize = 4;

impl Samples {
    /// Takes one of each. Called once a second.
    pub(super) fn look(&self, broadcasts: &[Arc<Broadcast>], metrics: &Metrics, now: Instant) {
        let viewers = broadcasts.iter().map(|b| b.viewers()).sum();
        let totals = Totals {
            at: now,
            ingest: metrics.ingest_bytes(),
            egress: metrics.egress_bytes().iter().map(|(_, bytes)| bytes).sum(),
            cpu: Process::cpu_time(),
        };
        let mut all = self.lock();
        let gone = |path: &BroadcastPath, track: &Track| {
            !broadcasts.iter().any(|b| b.path() == path && b.created() == track.created)
        };
        if broadcasts.len() != all.broadcasts.len() || broadcasts.iter().any(|b| all.is_new(b)) {
            all.broadcasts.retain(|path, track| !gone(path, track));
        }
        let elapsed = all.totals.map_or(EVERY, |last| now.saturating_duration_since(last.at));
        for broadcast in broadcasts {
            all.broadcast(broadcast, now, elapsed);
        }
        if let Some(last) = all.totals {
            let cores = crate::start::cores() as f64;
            let seconds = elapsed.as_secs_f64().max(1e-3);
            let sample = NodeSample {
                at: now,
                ingest_kbit_s: kbit_s(totals.ingest, last.ingest, elapsed),
                egress_kbit_s: kbit_s(totals.egress, last.egress, elapsed),
                viewers,
                cpu: totals.cpu.saturating_sub(last.cpu).as_secs_f64() / seconds / cores,
                memory_bytes: Process::resident_bytes(),
            };
            push(&mut all.node, sample);
        }
        all.totals = Some(totals);
    }

    /// A broadcast's last minute, oldest first.
    pub(super) fn of(&self, path: &BroadcastPath) -> Vec<Sample> {
        self.lock()
            .broadcasts
            .get(path)
            .map(|track| track.samples.iter().copied().collect())
            .unwrap_or_default()
    }

    /// The node's last minute, oldest first.
    pub(super) fn node(&self) -> Vec<NodeSample> {
        self.lock().node.iter().copied().collect()
    }

    fn lock(&self) -> MutexGuard<'_, All> {
        // Nothing here can be half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl All {
    fn is_new(&self, broadcast: &Broadcast) -> bool {
        self.broadcasts.get(broadcast.path()).is_none_or(|track| track.created != broadcast.created())
    }

    fn broadcast(&mut self, broadcast: &Arc<Broadcast>, now: Instant, elapsed: Duration) {
        let totals = (broadcast.ingest_totals().1, broadcast.egress_bytes());
        let fresh = || Track { created: broadcast.created(), last: (0, 0), samples: VecDeque::new() };
        let track = self.broadcasts.entry(broadcast.path().clone()).or_insert_with(fresh);
        if track.created != broadcast.created() {
            *track = fresh();
        }
        let elapsed = match track.samples.is_empty() {
            true => now.saturating_duration_since(track.created).max(FIRST_MIN),
            false => elapsed,
        };
        let sample = Sample {
            at: now,
            ingest_kbit_s: kbit_s(totals.0, track.last.0, elapsed) as u32,
            egress_kbit_s: kbit_s(totals.1, track.last.1, elapsed) as u32,
            viewers: u32::try_from(broadcast.viewers()).unwrap_or(u32::MAX),
        };
        track.last = totals;
        push(&mut track.samples, sample);
    }
}

/// The mean of the newest samples.
pub(super) fn lately<T>(samples: &[T], of: impl Fn(&T) -> f64) -> f64 {
    let newest = &samples[samples.len().saturating_sub(RATE_SAMPLES)..];
    if newest.is_empty() { 0.0 } else { newest.iter().map(of).sum::<f64>() / newest.len() as f64 }
}

fn push<T>(samples: &mut VecDeque<T>, sample: T) {
    if samples.len() >= SAMPLES_MAX {
        samples.pop_front();
    }
    samples.push_back(sample);
}

fn kbit_s(now: u64, before: u64, elapsed: Duration) -> f64 {
    now.saturating_sub(before) as f64 * 8.0 / 1000.0 / elapsed.as_secs_f64().max(1e-3)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sessions::Sessions;
    use bytes::Bytes;
    use hub::{Collision, Hub, Limits};
    use media::{Codec, Frame, Timestamp, Track, TrackId};

    #[test]
    fn a_minute_is_kept_and_a_path_that_is_used_again_begins_anew() {
        let hub = Hub::new(Limits { grace: Duration::ZERO, ..Limits::default() });
        let metrics = Metrics::new(&hub, &Sessions::new(1));
        let (path, samples, begin) =
            (BroadcastPath::parse("live/x").unwrap(), Samples::default(), Instant::now());
        let mut producer = hub.publish(&path, Collision::Reject, begin).unwrap();
        producer.track(Track::new(TrackId::VIDEO, Codec::H264, Bytes::new())).unwrap();
        let at = |second| begin + EVERY * second;
        for second in 0..70 {
            let dts = Timestamp::from_millis(i64::from(second) * 1000);
            let frame = Frame { dts, pts: dts, keyframe: true, payload: Bytes::from(vec![0; 1000]) };
            samples.look(&hub.broadcasts(), &metrics, at(second));
            producer.write(TrackId::VIDEO, frame, at(second)).unwrap();
        }
        let kept = samples.of(&path);
        assert_eq!(kept.len(), SAMPLES_MAX);
        assert_eq!(lately(&kept, |s| f64::from(s.ingest_kbit_s)), 8.0);
        assert_eq!(samples.node().len(), SAMPLES_MAX);
        producer.leave(at(70));
        hub.expire(at(70));
        let _again = hub.publish(&path, Collision::Reject, at(71)).unwrap();
        samples.look(&hub.broadcasts(), &metrics, at(71));
        assert_eq!(samples.of(&path).len(), 1);
        hub.end(&path);
        samples.look(&hub.broadcasts(), &metrics, at(72));
        assert!(samples.of(&path).is_empty() && samples.lock().broadcasts.is_empty());
    }
}
