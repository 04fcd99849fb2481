//! Which broadcasts' pictures are coded anew now.

use super::job::Job;
use super::program;
use crate::config::Transcode;
use crate::life::Life;
use crate::metrics::TranscodeMetrics;
use crate::start::cores;
use crate::transcode::Audible;
use hub::{Broadcast, BroadcastPath, Collision, Hub, Limits};
use media::Codec;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// Gives viewers pictures that they can see. Clones share.
#[derive(Clone, Debug)]
pub(crate) struct Pictures(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    table: Arc<Table>,
    settings: Mutex<Settings>,
    /// To the task that jobs run in.
    jobs: mpsc::Sender<Job>,
    new: Mutex<Option<mpsc::Receiver<Job>>>,
    metrics: TranscodeMetrics,
    idle: Duration,
}

/// What an operator sets, and may change while the server runs.
#[derive(Clone, Debug)]
struct Settings {
    ffmpeg: String,
    max: usize,
}

/// The derived broadcasts. A hub of their own keeps them out of everybody's sight.
#[derive(Debug)]
struct Table {
    hub: Hub,
    running: Mutex<ByPath>,
}

type ByPath = HashMap<BroadcastPath, Running>;

#[derive(Debug)]
struct Running {
    source: Arc<Broadcast>,
    derived: Arc<Broadcast>,
}

/// A job's line in the table; dropping it takes it off, and its derived broadcast is over.
#[derive(Debug)]
pub(super) struct Place {
    table: Arc<Table>,
    path: BroadcastPath,
    derived: Arc<Broadcast>,
    metrics: TranscodeMetrics,
}

/// Why pictures aren't coded anew; the text is for who wanted to see them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unavailable {
    #[error("they would be coded anew, but there is no {0} on this server (transcode.ffmpeg)")]
    NotInstalled(String),
    #[error(
        "they would be coded anew, but that is done for {0} broadcasts already, which is the most (transcode.pictures_max)"
    )]
    Full(usize),
    #[error("they are being coded anew, and the first isn't there yet")]
    NotYet,
}

/// Jobs that wait to be begun; they do within microseconds.
const NEW_MAX: usize = 64;
/// One program takes about a core at 720p, and the server needs the others.
const CORES_PER_PROGRAM: usize = 2;

impl Settings {
    fn new(config: &Transcode) -> Settings {
        let max =
            if config.pictures_max == 0 { cores().div_ceil(CORES_PER_PROGRAM) } else { config.pictures_max };
        Settings { ffmpeg: config.ffmpeg.clone(), max }
    }
}

impl Pictures {
    /// None yet. `limits` are those of derived broadcasts.
    pub(crate) fn new(config: &Transcode, limits: Limits, metrics: &TranscodeMetrics) -> Pictures {
        let limits = Limits { grace: Duration::ZERO, ..limits };
        let (jobs, new) = mpsc::channel(NEW_MAX);
        Pictures(Arc::new(Shared {
            table: Arc::new(Table { hub: Hub::new(limits), running: Mutex::default() }),
            settings: Mutex::new(Settings::new(config)),
            jobs,
            new: Mutex::new(Some(new)),
            metrics: metrics.clone(),
            idle: config.idle.0,
        }))
    }

    /// Takes other settings, for jobs that begin from now on.
    pub(crate) fn apply(&self, config: &Transcode) {
        *self.settings() = Settings::new(config);
    }

    /// Whether somebody who came now for that broadcast would get its pictures coded anew.
    pub(crate) fn available(&self, path: &BroadcastPath) -> Result<(), Unavailable> {
        let running = self.0.table.lock();
        if running.contains_key(path) { Ok(()) } else { self.program(&running, path).map(drop) }
    }

    /// Whether a broadcast's pictures are coded anew now.
    pub(crate) fn is_running(&self, path: &BroadcastPath) -> bool {
        self.0.table.lock().contains_key(path)
    }

    /// The same broadcast with its pictures coded anew; a job begins if there is none.
    pub(crate) fn recoded(&self, source: Audible) -> Result<Audible, Unavailable> {
        let path = source.broadcast.path().clone();
        let transcoded = source.transcoded;
        // Viewers are counted under the lock, so that no job ends for want of them meanwhile.
        let mut running = self.0.table.lock();
        if let Some(known) = running.get(&path).filter(|known| known.serves(&source.broadcast)) {
            return Ok(Audible::recoded(&known.derived, transcoded));
        }
        let program = self.program(&running, &path)?;
        let job = self.job(&mut running, source, program)?;
        let recoded = Audible::recoded(job.derived(), transcoded);
        drop(running);
        tracing::debug!(%path, "pictures are coded anew from now on");
        // What isn't taken is dropped, which takes it off the table.
        self.0.jobs.try_send(job).map_err(|_| Unavailable::Full(NEW_MAX))?;
        Ok(recoded)
    }

    /// Runs jobs until shutdown.
    pub(crate) async fn run(self, mut life: Life) {
        let taken = self.0.new.lock().unwrap_or_else(PoisonError::into_inner).take();
        let (Some(mut new), mut tasks) = (taken, JoinSet::new()) else { return };
        loop {
            tokio::select! {
                Some(job) = new.recv() => drop(tasks.spawn(job.run(life.clone()))),
                Some(ended) = tasks.join_next(), if !tasks.is_empty() => {
                    if ended.is_err() {
                        tracing::error!("what codes pictures anew panicked");
                    }
                }
                () = life.stopping() => break,
            }
        }
        // Each ends its program, and is waited for, so that none is left behind.
        while tasks.join_next().await.is_some() {}
    }

    /// The program for one more job.
    fn program(&self, running: &ByPath, path: &BroadcastPath) -> Result<PathBuf, Unavailable> {
        let Settings { ffmpeg, max } = self.settings().clone();
        if running.keys().filter(|other| *other != path).count() >= max {
            return Err(Unavailable::Full(max));
        }
        program::find(&ffmpeg).ok_or(Unavailable::NotInstalled(ffmpeg))
    }

    fn job(&self, running: &mut ByPath, source: Audible, program: PathBuf) -> Result<Job, Unavailable> {
        let (shared, path) = (&self.0, source.broadcast.path().clone());
        // What is left of a source that is over makes way.
        shared.table.hub.end(&path);
        let producer = shared.table.hub.publish(&path, Collision::Takeover, Instant::now());
        let producer = producer.map_err(|_| Unavailable::Full(running.len()))?;
        let derived = Arc::clone(producer.broadcast());
        let entry = Running { source: Arc::clone(&source.broadcast), derived: Arc::clone(&derived) };
        running.insert(path.clone(), entry);
        shared.metrics.jobs(Codec::H264).inc();
        let place =
            Place { table: Arc::clone(&shared.table), path, derived, metrics: shared.metrics.clone() };
        Ok(Job::new(place, source, producer, program, shared.idle, &shared.metrics))
    }

    fn settings(&self) -> MutexGuard<'_, Settings> {
        self.0.settings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Running {
    fn serves(&self, source: &Arc<Broadcast>) -> bool {
        Arc::ptr_eq(&self.source, source) && !self.derived.is_ended()
    }
}

impl Table {
    fn lock(&self) -> MutexGuard<'_, ByPath> {
        // Nothing is left half done by a panic.
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn forget(running: &mut ByPath, path: &BroadcastPath, derived: &Arc<Broadcast>) {
    if running.get(path).is_some_and(|running| Arc::ptr_eq(&running.derived, derived)) {
        running.remove(path);
    }
}

impl Place {
    pub(super) fn path(&self) -> &BroadcastPath {
        &self.path
    }

    pub(super) fn derived(&self) -> &Arc<Broadcast> {
        &self.derived
    }

    /// Takes the job off, unless somebody came in the meantime.
    pub(super) fn leave_if_unseen(&self) -> bool {
        let mut running = self.table.lock();
        if self.derived.viewers() > 0 {
            return false;
        }
        forget(&mut running, &self.path, &self.derived);
        true
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        forget(&mut self.table.lock(), &self.path, &self.derived);
        let current = self.table.hub.broadcast(&self.path);
        if current.is_none_or(|current| Arc::ptr_eq(&current, &self.derived)) {
            self.table.hub.end(&self.path);
        }
        self.metrics.jobs(Codec::H264).dec();
        tracing::debug!(path = %self.path, "pictures are not coded anew any more");
    }
}
