//! Tag bodies to the hub, whoever brings them: a publisher, or a pull.

use crate::metrics::{CloseReason, Metrics};
use bytes::Bytes;
use hub::Producer;
use hub::health::Promise;
use media::{Kind, Timestamp};
use mux::flv::{Demuxer, Event, TagType};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// One publisher that was accepted.
#[derive(Debug)]
pub(crate) struct Publishing {
    producer: Producer,
    demuxer: Demuxer,
    metrics: Arc<Metrics>,
    opening: Opening,
    repairs_counted: u64,
    ignored_logged: bool,
    bytes: u64,
}

/// Why media is not taken in.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PublishError {
    #[error("{0}")]
    Media(#[from] mux::Error),
    #[error("{0}")]
    Hub(#[from] hub::Error),
}

/// When the tracks count as known.
#[derive(Debug)]
struct Opening {
    /// What `onMetaData` promises: video, audio.
    promised: Option<(bool, bool)>,
    video: bool,
    audio: bool,
    first_frame: Option<Instant>,
    done: bool,
}

/// A broadcast with one track goes live this long after its first frame; the other track may still come.
const SECOND_TRACK_WAIT: Duration = Duration::from_millis(1000);

impl PublishError {
    /// The same, as sessions are counted.
    pub(crate) fn reason(&self) -> CloseReason {
        match self {
            PublishError::Media(_) => CloseReason::Broken,
            PublishError::Hub(_) => CloseReason::Superseded,
        }
    }
}

impl Publishing {
    pub(crate) fn new(producer: Producer, metrics: Arc<Metrics>) -> Publishing {
        let start = producer.resumes_at().unwrap_or(Timestamp::ZERO);
        let opening = Opening { promised: None, video: false, audio: false, first_frame: None, done: false };
        let demuxer = Demuxer::new(start);
        Publishing {
            producer,
            demuxer,
            metrics,
            opening,
            repairs_counted: 0,
            ignored_logged: false,
            bytes: 0,
        }
    }

    /// The same with the times of what comes, if it doesn't go on with a broadcast that has some already.
    pub(crate) fn keeping_times(mut self) -> Publishing {
        if self.producer.resumes_at().is_none() {
            self.demuxer = Demuxer::going_on();
        }
        self
    }

    pub(crate) fn path(&self) -> hub::BroadcastPath {
        self.producer.broadcast().path().clone()
    }

    /// Media bytes taken in.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Leaves the seat; the broadcast waits for a while.
    pub(crate) fn leave(self, now: Instant) {
        self.producer.leave(now);
    }

    /// Takes one tag body in.
    pub(crate) fn tag(
        &mut self,
        tag: TagType,
        time_ms: u32,
        body: &Bytes,
        now: Instant,
    ) -> Result<(), PublishError> {
        self.bytes += body.len() as u64;
        self.metrics.here().ingest(body.len() as u64);
        let mut event = self.demuxer.push(tag, time_ms, body, now)?;
        if event.is_none() {
            self.note_ignored();
        }
        while let Some(happened) = event {
            self.take(happened, now)?;
            event = self.demuxer.held();
        }
        if !self.opening.done && self.opening.is_over(now) {
            self.opening.done = true;
            self.producer.ready();
        }
        self.count_repairs(now);
        Ok(())
    }

    fn take(&mut self, event: Event, now: Instant) -> Result<(), hub::Error> {
        match event {
            Event::Track(track) => {
                match track.kind {
                    Kind::Video => self.opening.video = true,
                    Kind::Audio => self.opening.audio = true,
                }
                self.producer.track(track)
            }
            Event::Frame { track, frame } => {
                self.opening.first_frame.get_or_insert(now);
                self.producer.write(track, frame, now)
            }
            Event::Metadata(m) => {
                self.opening.promised = Some((m.has_video, m.has_audio));
                let (video, audio, frames_per_s) = (m.has_video, m.has_audio, m.framerate);
                self.producer.promise(Promise { video, audio, frames_per_s });
                Ok(())
            }
        }
    }

    fn count_repairs(&mut self, now: Instant) {
        let repairs = self.demuxer.repairs().total();
        if repairs > self.repairs_counted {
            let new = repairs - self.repairs_counted;
            self.metrics.timestamp_repairs.inc_by(new);
            self.producer.repaired(new, now);
            self.repairs_counted = repairs;
        }
    }

    fn note_ignored(&mut self) {
        if self.demuxer.ignored() > 0 && !self.ignored_logged {
            self.ignored_logged = true;
            tracing::info!(path = %self.path(), "the publisher sends tags that are not taken in");
        }
    }
}

impl Opening {
    fn is_over(&self, now: Instant) -> bool {
        let Some(first) = self.first_frame else { return false };
        let promised = match self.promised {
            Some((video, audio)) if video || audio => (self.video || !video) && (self.audio || !audio),
            _ => self.video && self.audio,
        };
        promised || now.saturating_duration_since(first) >= SECOND_TRACK_WAIT
    }
}
