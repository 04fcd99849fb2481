//! Payloads to frames: one publisher's transport stream on the broadcast's timeline.

use crate::metrics::Metrics;
use crate::publishing::PublishError;
use hub::Producer;
use hub::health::Promise;
use media::{Kind, Timestamp};
use mux::ts::{Demuxer, Event, LeftOut};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// One publisher that was accepted.
#[derive(Debug)]
pub(super) struct Intake {
    producer: Producer,
    demuxer: Demuxer,
    metrics: Arc<Metrics>,
    /// Tracks that are known: pictures, sound.
    known: (bool, bool),
    promised: Option<(bool, bool)>,
    first_frame: Option<Instant>,
    is_ready: bool,
    repairs_counted: u64,
    damage_told: bool,
    /// What the log has already, each kind once.
    left_out_told: Vec<LeftOut>,
    pub(super) bytes: u64,
    /// When media came last.
    pub(super) heard: Instant,
}

/// Without a second track for so long, the first goes live alone.
const SECOND_TRACK_WAIT: Duration = Duration::from_millis(1000);
/// Continuity counters have four bits, so sixteen packets of a PID can be lost unseen; a payload has seven.
const HIDING_PAYLOADS: u64 = 3;

impl Intake {
    pub(super) fn new(producer: Producer, metrics: &Arc<Metrics>) -> Intake {
        let start = producer.resumes_at().unwrap_or(Timestamp::ZERO);
        Intake {
            producer,
            demuxer: Demuxer::new(start),
            metrics: Arc::clone(metrics),
            known: (false, false),
            promised: None,
            first_frame: None,
            is_ready: false,
            repairs_counted: 0,
            damage_told: false,
            left_out_told: Vec::new(),
            bytes: 0,
            heard: Instant::now(),
        }
    }

    /// Takes a payload in.
    ///
    /// # Errors
    /// For media that can't be taken in, and when somebody else publishes there now.
    pub(super) fn take(&mut self, payload: &[u8], now: Instant) -> Result<(), PublishError> {
        self.bytes += payload.len() as u64;
        self.heard = now;
        self.metrics.here().ingest(payload.len() as u64);
        self.demuxer.push(payload, now)?;
        self.drain(now)?;
        if !self.is_ready && self.is_open(now) {
            self.is_ready = true;
            self.producer.ready();
        }
        self.count_damage(now);
        self.tell_left_out();
        Ok(())
    }

    /// So many payloads are missing before the next one. What of it counters can't show, the demuxer has to be told.
    pub(super) fn lost(&mut self, payloads: u64, now: Instant) {
        if payloads >= HIDING_PAYLOADS {
            self.demuxer.lost(now);
        }
    }

    /// Leaves the seat with all that came; the broadcast waits for a while.
    pub(super) fn leave(mut self, now: Instant) {
        // What is wrong at the end is of no use to anybody any more.
        let _ = self.demuxer.finish(now);
        let _ = self.drain(now);
        self.producer.leave(now);
    }

    fn drain(&mut self, now: Instant) -> Result<(), PublishError> {
        if self.promised != self.demuxer.promised() {
            self.promised = self.demuxer.promised();
            let (video, audio) = self.promised.unwrap_or_default();
            self.producer.promise(Promise { video, audio, frames_per_s: None });
        }
        while let Some(event) = self.demuxer.poll() {
            match event {
                Event::Track(track) => {
                    match track.kind {
                        Kind::Video => self.known.0 = true,
                        Kind::Audio => self.known.1 = true,
                    }
                    self.producer.track(track)?;
                }
                Event::Frame { track, frame } => {
                    self.first_frame.get_or_insert(now);
                    self.producer.write(track, frame, now)?;
                }
            }
        }
        Ok(())
    }

    /// Whether all tracks are there, or the missing one was waited for.
    fn is_open(&self, now: Instant) -> bool {
        let Some(first) = self.first_frame else { return false };
        let (video, audio) = self.promised.unwrap_or((true, true));
        let whole = (self.known.0 || !video) && (self.known.1 || !audio);
        whole || now.saturating_duration_since(first) >= SECOND_TRACK_WAIT
    }

    /// Logs what nobody gets of this publisher, each kind once.
    fn tell_left_out(&mut self) {
        let told = self.left_out_told.len();
        for of in self.demuxer.left_out() {
            if !self.left_out_told.contains(of) {
                self.left_out_told.push(*of);
            }
        }
        let new: Vec<String> = self.left_out_told[told..].iter().map(LeftOut::to_string).collect();
        if !new.is_empty() {
            let (path, left_out) = (self.producer.broadcast().path(), new.join(", "));
            tracing::warn!(%path, left_out, "parts of the transport stream are not supported; the rest goes on");
        }
    }

    fn count_damage(&mut self, now: Instant) {
        let repairs = self.demuxer.repairs().total();
        if repairs > self.repairs_counted {
            let new = repairs - self.repairs_counted;
            self.metrics.timestamp_repairs.inc_by(new);
            self.producer.repaired(new, now);
            self.repairs_counted = repairs;
        }
        let damage = self.demuxer.damage();
        if damage.dropped > 0 && !self.damage_told {
            self.damage_told = true;
            let (path, lost) = (self.producer.broadcast().path(), damage.lost_packets);
            tracing::info!(%path, lost, "parts of the transport stream are missing: raise the latency of the encoder");
        }
    }
}
