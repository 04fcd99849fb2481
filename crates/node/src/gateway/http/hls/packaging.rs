//! One task per broadcast that somebody watches by HLS. It starts with the first request and stops when nobody
//! asked for a while.

use super::audience::{Audience, Estimate, People};
use super::files::Files;
use super::succession::Before;
use super::target::Sound;
use crate::config::Hls;
use crate::metrics::Metrics;
use crate::sessions::Protocol;
use crate::transcode::Transcodes;
use hls::{Config, Packager, Snapshot};
use hub::{Batch, Broadcast, BroadcastPath, Item};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// How broadcasts are cut, and for how long after the last request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cutting {
    config: Config,
    idle: Duration,
}

/// All packagings of a server.
#[derive(Debug)]
pub(crate) struct Packagings {
    cutting: Cutting,
    metrics: Arc<Metrics>,
    transcodes: Transcodes,
    began: Instant,
    running: Mutex<Running>,
    /// Segments of packagings that are over, here or in a process before this one, have numbers below.
    numbers_end: AtomicU32,
    /// The process that this one took over from.
    pub(super) before: OnceLock<Before>,
    /// Whether all playlists say that it is over.
    finished: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct Running {
    by_path: HashMap<(BroadcastPath, Sound), Arc<Packaging>>,
    /// Dropped with the server, which ends them.
    tasks: JoinSet<()>,
}

/// One broadcast's.
#[derive(Debug)]
pub(crate) struct Packaging {
    broadcast: Arc<Broadcast>,
    sound: Sound,
    snapshots: watch::Receiver<Arc<Snapshot>>,
    /// When it was last asked for, in milliseconds of the server's life.
    asked_ms: AtomicU64,
    files: Files,
    audience: Audience,
    config: Config,
}

/// How often a packaging looks who asks.
const TICK: Duration = Duration::from_secs(1);
/// Beside the time between two looks at a playlist: the way of the request, and what is loaded afterwards.
const FAREWELL_SLACK: Duration = Duration::from_secs(1);

impl Cutting {
    pub(crate) fn new(hls: &Hls) -> Cutting {
        // Video and sound may each use half of the budget; sound leaves most of its half to memory files.
        let config = Config {
            part_target: hls.part.0,
            segment_target: hls.segment.0,
            bytes_max: hls.memory.0 / 2,
            ..Config::default()
        };
        Cutting { config, idle: hls.idle.0 }
    }
}

impl Packagings {
    pub(crate) fn new(cutting: Cutting, metrics: &Arc<Metrics>, transcodes: &Transcodes) -> Packagings {
        let transcodes = transcodes.clone();
        Packagings {
            cutting,
            metrics: Arc::clone(metrics),
            transcodes,
            began: Instant::now(),
            running: Mutex::default(),
            numbers_end: AtomicU32::new(0),
            before: OnceLock::new(),
            finished: watch::Sender::new(false),
        }
    }

    /// The packaging of a live broadcast; started if there is none.
    pub(crate) fn of(self: &Arc<Self>, broadcast: &Arc<Broadcast>, sound: Sound) -> Arc<Packaging> {
        let key = (broadcast.path().clone(), sound);
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let found = running.by_path.get(&key).filter(|p| Arc::ptr_eq(&p.broadcast, broadcast));
        if let Some(packaging) = found {
            self.touch(packaging);
            return Arc::clone(packaging);
        }
        let config = Config { first_number: self.first_number(), ..self.cutting.config };
        let packager = Packager::new(config);
        let (sender, snapshots) = watch::channel(packager.snapshot());
        let packaging = Arc::new(Packaging {
            broadcast: Arc::clone(broadcast),
            sound,
            snapshots,
            asked_ms: AtomicU64::new(0),
            files: Files::default(),
            audience: Audience::default(),
            config,
        });
        self.touch(&packaging);
        running.by_path.insert(key, Arc::clone(&packaging));
        while running.tasks.try_join_next().is_some() {}
        running.tasks.spawn(package(Arc::clone(self), Arc::clone(&packaging), packager, sender));
        packaging
    }

    /// The packaging that a path has already, also of a broadcast that is over, as long as its last segments are kept.
    pub(crate) fn kept(&self, path: &BroadcastPath, sound: Sound) -> Option<Arc<Packaging>> {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let packaging = running.by_path.get(&(path.clone(), sound))?;
        self.touch(packaging);
        Some(Arc::clone(packaging))
    }

    /// Whether anything is packaged.
    pub(crate) fn any(&self) -> bool {
        !self.running.lock().unwrap_or_else(PoisonError::into_inner).by_path.is_empty()
    }

    /// How long those who watch now need to hear that it is over; zero if nobody watches.
    pub(crate) fn farewell(&self) -> Duration {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let snapshots = running.by_path.values().filter_map(|packaging| {
            let snapshot = packaging.snapshots.borrow();
            // Who is held asked so long ago at most; who isn't asks more often.
            (self.unasked(packaging) <= snapshot.hold_max()).then(|| snapshot.target() + FAREWELL_SLACK)
        });
        snapshots.max().unwrap_or_default()
    }

    /// Ends all playlists, as if the broadcasts were over.
    pub(crate) fn finish(&self) {
        self.finished.send_replace(true);
    }

    /// Counts bytes that go out.
    pub(super) fn count_egress(&self, packaging: &Packaging, bytes: usize) {
        self.metrics.here().egress(Protocol::Hls, bytes as u64);
        packaging.broadcast.add_egress_bytes(bytes as u64);
    }

    /// Ends all tasks, for shutdown.
    pub(crate) fn stop(&self) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.tasks.abort_all();
        running.by_path.clear();
    }

    /// Segments by the clock, as if there had always been one: whenever packaging starts anew, under the same path or
    /// after a restart of the server, its names are above those that caches may still hold. Segments that are a little
    /// shorter than the target run ahead of the clock, so what was before is kept in mind.
    fn first_number(&self) -> u32 {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let by_clock = since.as_millis() / self.cutting.config.segment_target.as_millis().max(1);
        u32::try_from(by_clock).unwrap_or(0).max(self.numbers_end.load(Ordering::Relaxed))
    }

    /// Above the numbers of all segments so far.
    pub(crate) fn numbers_end(&self) -> u32 {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let ends = running.by_path.values().map(|packaging| packaging.numbers_end());
        ends.max().unwrap_or(0).max(self.numbers_end.load(Ordering::Relaxed))
    }

    /// All segments from now on have numbers of at least that.
    pub(super) fn begin_at(&self, number: u32) {
        self.numbers_end.fetch_max(number, Ordering::Relaxed);
    }

    /// The playlist that players begin with, of everything that is packaged for somebody.
    pub(crate) fn playlists(&self) -> Vec<String> {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.by_path.keys().map(|(path, sound)| sound.playlist(path)).collect()
    }

    fn touch(&self, packaging: &Packaging) {
        packaging.asked_ms.store(self.began.elapsed().as_millis() as u64, Ordering::Relaxed);
    }

    /// Since when nobody asked for it.
    fn unasked(&self, packaging: &Packaging) -> Duration {
        let asked = Duration::from_millis(packaging.asked_ms.load(Ordering::Relaxed));
        self.began.elapsed().saturating_sub(asked)
    }

    fn is_idle(&self, packaging: &Packaging) -> bool {
        self.unasked(packaging) >= self.cutting.idle
    }

    fn forget(&self, packaging: &Arc<Packaging>) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (packaging.broadcast.path().clone(), packaging.sound);
        self.begin_at(packaging.numbers_end());
        if running.by_path.get(&key).is_some_and(|p| Arc::ptr_eq(p, packaging)) {
            running.by_path.remove(&key);
        }
    }
}

impl Packaging {
    /// What a request is answered with now. It counts towards the audience.
    pub(super) fn now(&self, request: &hls::Request) -> hls::Answer {
        let snapshot = self.snapshots.borrow();
        // A player blocks once a part of the announced duration, which may be another than the wanted one.
        let part = snapshot.part_target().unwrap_or(self.config.part_target);
        self.audience.count(request, part, self.config.segment_target);
        snapshot.answer(request)
    }

    /// The target of a file of it.
    pub(super) fn target(&self, file: &str) -> String {
        let playlist = self.sound.playlist(self.broadcast.path());
        let folder = playlist.rsplit_once('/').map_or("", |(folder, _)| folder);
        format!("{folder}/{file}")
    }

    /// Its segments that a crowd loads.
    pub(super) fn files(&self) -> &Files {
        &self.files
    }

    fn numbers_end(&self) -> u32 {
        u32::try_from(self.snapshots.borrow().numbers_end()).unwrap_or(u32::MAX)
    }

    /// A view of the newest snapshot that can be waited on.
    pub(super) fn snapshots(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.snapshots.clone()
    }
}

async fn package(
    all: Arc<Packagings>,
    packaging: Arc<Packaging>,
    mut packager: Packager,
    snapshots: watch::Sender<Arc<Snapshot>>,
) {
    let path = packaging.broadcast.path();
    tracing::debug!(%path, "HLS packaging begins");
    let audible = match packaging.sound {
        Sound::Usual => all.transcodes.for_hls(&packaging.broadcast).await,
        Sound::Opus => all.transcodes.opus(&packaging.broadcast).await,
    };
    let mut consumer = audible.broadcast.consumer();
    let mut batch = Batch::default();
    let mut tick = tokio::time::interval(TICK);
    let mut people = Estimate::default();
    let mut counted = Counted {
        broadcast: Arc::clone(&packaging.broadcast),
        metrics: Arc::clone(&all.metrics),
        people: People::default(),
    };
    let mut finished = all.finished.subscribe();
    let mut over = false;
    while !over {
        tokio::select! {
            // An error would mean that all packagings are gone.
            _ = finished.wait_for(|finished| *finished) => over = true,
            () = consumer.batch(&mut batch) => {
                if take(&mut packager, &batch) {
                    snapshots.send_replace(packager.snapshot());
                }
                over = batch.ended;
            }
            _ = tick.tick() => {
                counted.set(packaging.audience.estimate(&mut people, TICK));
                if all.is_idle(&packaging) {
                    break;
                }
            }
        }
    }
    drop(audible);
    if over {
        // The last segments stay for those who are still watching them.
        packager.end();
        snapshots.send_replace(packager.snapshot());
        tokio::time::sleep(all.cutting.idle).await;
    }
    drop(counted);
    all.forget(&packaging);
    tracing::debug!(%path, "HLS packaging ends");
}

/// Counts the people who watch a packaging; dropping uncounts.
struct Counted {
    broadcast: Arc<Broadcast>,
    metrics: Arc<Metrics>,
    people: People,
}

impl Counted {
    fn set(&mut self, people: People) {
        let before = std::mem::replace(&mut self.people, people);
        self.broadcast.change_polling_viewers(before.all(), people.all());
        self.metrics.polling(true, before.low_latency, people.low_latency);
        self.metrics.polling(false, before.usual, people.usual);
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.set(People::default());
    }
}

/// Packages a batch; true when something new can be loaded.
fn take(packager: &mut Packager, batch: &Batch) -> bool {
    let mut changed = false;
    if batch.lost > 0 {
        packager.resumed();
        changed = true;
    }
    let (wall, now) = (SystemTime::now(), Instant::now());
    for item in &batch.items {
        match item {
            Item::Catalog(catalog) => packager.tracks(&catalog.tracks),
            Item::Resumed => {
                packager.resumed();
                changed = true;
            }
            Item::Frame { track, frame, arrived, .. } => {
                changed |= packager.frame(*track, frame, wall - now.saturating_duration_since(*arrived));
            }
        }
    }
    changed
}
