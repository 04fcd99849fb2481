//! Which broadcasts are derived now.

use super::job::Job;
use super::pool::{self, Inbox};
use crate::config::{ConvertSound, Transcode};
use crate::metrics::TranscodeMetrics;
use crate::start::cores;
use hub::{Batch, Broadcast, BroadcastPath, Catalog, Hub, Limits, ViewerGuard};
use media::{Codec, Kind, Track};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Gives viewers the sound that they can hear. Clones share.
#[derive(Clone, Debug)]
pub(crate) struct Transcodes(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    settings: Settings,
    inboxes: Vec<Arc<Inbox>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    table: Arc<Table>,
    metrics: TranscodeMetrics,
}

/// What an operator sets.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    threads: usize,
    flv: ConvertSound,
    hls: ConvertSound,
    idle: Duration,
    /// Bytes of frames kept per derived broadcast; its pictures are shared with the source.
    log_bytes_max: usize,
    broadcasts_max: usize,
}

/// A broadcast for one viewer: the source, or one derived from it. The lease counts the viewer of a derived one.
#[derive(Debug)]
pub(crate) struct Audible {
    pub(crate) broadcast: Arc<Broadcast>,
    pub(crate) lease: Option<ViewerGuard>,
    /// What the sound of a derived one became.
    pub(crate) transcoded: Option<Codec>,
    /// Whether its pictures are coded anew.
    pub(crate) recoded: bool,
}

/// The derived broadcasts of both codecs.
#[derive(Debug)]
pub(super) struct Table {
    aac: Derived,
    opus: Derived,
    idle: Duration,
}

/// Those of one codec. A hub of their own keeps them out of everybody's sight.
#[derive(Debug)]
struct Derived {
    hub: Hub,
    running: Mutex<Running>,
}

/// By path: source and derived.
type Running = HashMap<BroadcastPath, (Arc<Broadcast>, Arc<Broadcast>)>;

/// How long a viewer waits for the tracks of a broadcast to be known before it gets the broadcast as it is.
const TRACKS_MAX: Duration = Duration::from_secs(5);
/// Cores for each thread by default.
const CORES_PER_THREAD: usize = 4;

impl Settings {
    pub(crate) fn new(config: &Transcode, limits: Limits) -> Settings {
        Settings {
            threads: if config.threads == 0 { cores().div_ceil(CORES_PER_THREAD) } else { config.threads },
            flv: config.audio_for_flv,
            hls: config.audio_for_hls,
            idle: config.idle.0,
            log_bytes_max: limits.log_bytes_max,
            broadcasts_max: limits.broadcasts_max,
        }
    }
}

impl Transcodes {
    /// Starts the threads.
    ///
    /// # Errors
    /// When the system gives none.
    pub(crate) fn start(settings: Settings, metrics: &TranscodeMetrics) -> std::io::Result<Transcodes> {
        let limits = Limits {
            broadcasts_max: settings.broadcasts_max,
            log_bytes_max: settings.log_bytes_max,
            grace: Duration::ZERO,
        };
        let derived = || Derived { hub: Hub::new(limits), running: Mutex::default() };
        let table = Arc::new(Table { aac: derived(), opus: derived(), idle: settings.idle });
        let inboxes: Vec<Arc<Inbox>> = (0..settings.threads.max(1)).map(|_| Arc::default()).collect();
        let threads = inboxes.iter().enumerate().map(|(n, inbox)| pool::start(n, inbox, &table, metrics));
        let threads = Mutex::new(threads.collect::<Result<_, _>>()?);
        Ok(Transcodes(Arc::new(Shared { settings, inboxes, threads, table, metrics: metrics.clone() })))
    }

    /// For a player of FLV or RTMP: sound that it knows.
    pub(crate) async fn for_flv(&self, source: &Arc<Broadcast>) -> Audible {
        if self.0.settings.flv == ConvertSound::Off {
            return Audible::whole(source);
        }
        let catalog = tracks(source).await;
        let is_old = catalog.is_some_and(|catalog| {
            has_sound(&catalog, Codec::Opus)
                && catalog.first(Kind::Video).is_none_or(|video| video.codec == Codec::H264)
        });
        if is_old { self.derived(source, Codec::Aac) } else { Audible::whole(source) }
    }

    /// For a player of HLS.
    pub(crate) async fn for_hls(&self, source: &Arc<Broadcast>) -> Audible {
        if self.0.settings.hls == ConvertSound::Off {
            return Audible::whole(source);
        }
        let is_old = tracks(source).await.is_some_and(|catalog| {
            has_sound(&catalog, Codec::Opus) && catalog.first(Kind::Video).is_none_or(is_mpeg)
        });
        if is_old { self.derived(source, Codec::Aac) } else { Audible::whole(source) }
    }

    /// With Opus, whatever the publisher sends: the source itself if it sends Opus or no sound. For viewers by WebRTC.
    pub(crate) async fn opus(&self, source: &Arc<Broadcast>) -> Audible {
        let has_aac = tracks(source).await.is_some_and(|catalog| has_sound(&catalog, Codec::Aac));
        if has_aac { self.derived(source, Codec::Opus) } else { Audible::whole(source) }
    }

    /// To what the sound of a path is converted now.
    pub(crate) fn running(&self, path: &BroadcastPath) -> Vec<Codec> {
        let is_running = |codec: &Codec| self.0.table.of(*codec).lock().contains_key(path);
        [Codec::Aac, Codec::Opus].into_iter().filter(is_running).collect()
    }

    /// Ends all jobs and waits for the threads.
    pub(crate) fn stop(&self) {
        self.0.inboxes.iter().for_each(|inbox| inbox.shutdown());
        let threads = std::mem::take(&mut *self.0.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("a thread that converts sound panicked");
            }
        }
    }

    /// The derived broadcast of a source; a job begins if there is none.
    fn derived(&self, source: &Arc<Broadcast>, to: Codec) -> Audible {
        let derived = self.0.table.of(to);
        let mut running = derived.lock();
        if let Some((of, broadcast)) = running.get(source.path())
            && Arc::ptr_eq(of, source)
            && !broadcast.is_ended()
        {
            return Audible::derived(broadcast, to);
        }
        // What is left of a source that is over makes way.
        derived.hub.end(source.path());
        let job = match Job::new(source, &derived.hub, to, &self.0.metrics, Instant::now()) {
            Ok(job) => job,
            Err(error) => {
                tracing::warn!(path = %source.path(), %error, "sound is sent as it came");
                return Audible::whole(source);
            }
        };
        let broadcast = Arc::clone(job.derived());
        running.insert(source.path().clone(), (Arc::clone(source), Arc::clone(&broadcast)));
        let audible = Audible::derived(&broadcast, to);
        tracing::debug!(path = %source.path(), ?to, "converting sound begins");
        if let Some(inbox) = self.0.inboxes.iter().min_by_key(|inbox| inbox.jobs()) {
            inbox.give(job);
        }
        audible
    }
}

impl Audible {
    fn whole(source: &Arc<Broadcast>) -> Audible {
        Audible { broadcast: Arc::clone(source), lease: None, transcoded: None, recoded: false }
    }

    fn derived(broadcast: &Arc<Broadcast>, to: Codec) -> Audible {
        let lease = Some(broadcast.count_viewer());
        Audible { broadcast: Arc::clone(broadcast), lease, transcoded: Some(to), recoded: false }
    }

    /// One whose pictures are coded anew; `transcoded` is what its sound became.
    pub(super) fn recoded(broadcast: &Arc<Broadcast>, transcoded: Option<Codec>) -> Audible {
        let lease = Some(broadcast.count_viewer());
        Audible { broadcast: Arc::clone(broadcast), lease, transcoded, recoded: true }
    }
}

impl Table {
    fn of(&self, codec: Codec) -> &Derived {
        if codec == Codec::Opus { &self.opus } else { &self.aac }
    }

    /// How long nobody has to listen until a job ends.
    pub(super) fn idle(&self) -> Duration {
        self.idle
    }

    /// Takes a job off, unless somebody came in the meantime.
    pub(super) fn remove_unheard(&self, job: &Job) -> bool {
        let mut running = self.of(job.to()).lock();
        if job.derived().viewers() > 0 {
            return false;
        }
        forget(&mut running, job);
        true
    }

    /// Takes a job off; its derived broadcast is over.
    pub(super) fn remove(&self, job: &Job) {
        let derived = self.of(job.to());
        let mut running = derived.lock();
        forget(&mut running, job);
        let current = derived.hub.broadcast(job.source().path());
        if current.is_none_or(|current| Arc::ptr_eq(&current, job.derived())) {
            derived.hub.end(job.source().path());
        }
    }
}

fn forget(running: &mut Running, job: &Job) {
    let path = job.source().path();
    if running.get(path).is_some_and(|(_, derived)| Arc::ptr_eq(derived, job.derived())) {
        running.remove(path);
    }
}

impl Derived {
    fn lock(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether pictures are of a codec that players know which don't know Opus in HLS: those of Apple.
fn is_mpeg(video: &Track) -> bool {
    matches!(video.codec, Codec::H264 | Codec::H265)
}

fn has_sound(catalog: &Catalog, codec: Codec) -> bool {
    catalog.first(Kind::Audio).is_some_and(|track| track.codec == codec)
}

/// The tracks, waited for if the publisher has only just begun.
async fn tracks(source: &Arc<Broadcast>) -> Option<Arc<Catalog>> {
    if let Some(catalog) = source.catalog() {
        return Some(catalog);
    }
    let (mut consumer, mut batch) = (source.consumer(), Batch::default());
    let known = tokio::time::timeout(TRACKS_MAX, consumer.batch(&mut batch));
    known.await.ok().and_then(|()| source.catalog())
}

#[cfg(test)]
mod tests;
