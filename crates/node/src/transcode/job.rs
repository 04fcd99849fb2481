//! One broadcast whose sound is converted.

use super::audio::Converter;
use crate::metrics::TranscodeMetrics;
use hub::{Batch, Broadcast, Collision, Consumer, Hub, Item, Producer};
use media::{Codec, Frame, Kind, Track, TrackId};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

/// Reads a broadcast as a viewer does and writes a derived one: pictures as they are, sound in another codec, in the order of
/// arrival.
///
/// Overflow policy: the hub's log is the only queue. A job that falls out of it goes on at the newest group, as any viewer;
/// before that, sound that waited for longer than [`WAIT_MAX`] is left out, and counted, so that pictures go on.
#[derive(Debug)]
pub(super) struct Job {
    source: Consumer,
    hub: Hub,
    producer: Producer,
    to: Codec,
    sound: Sound,
    batch: Batch,
    converted: Vec<Frame>,
    /// What is read before the first write may be old: it is the newest group.
    joining: bool,
    egress_told: u64,
    /// Since when nobody listens.
    unheard_since: Option<Instant>,
    metrics: TranscodeMetrics,
}

/// What happens to the sound track.
#[derive(Debug)]
enum Sound {
    /// It goes through: it has the wanted codec, or there is no converter for it.
    Whole,
    Converted {
        id: TrackId,
        track: Track,
        converter: Box<Converter>,
    },
}

/// Sound older than this, on its way from the publisher, is left out.
const WAIT_MAX: Duration = Duration::from_secs(1);

impl Job {
    pub(super) fn new(
        source: &Arc<Broadcast>,
        hub: &Hub,
        to: Codec,
        metrics: &TranscodeMetrics,
        now: Instant,
    ) -> Result<Job, hub::Error> {
        let producer = hub.publish(source.path(), Collision::Takeover, now)?;
        metrics.jobs(to).inc();
        Ok(Job {
            source: source.consumer(),
            hub: hub.clone(),
            producer,
            to,
            sound: Sound::Whole,
            batch: Batch::default(),
            converted: Vec::new(),
            joining: true,
            egress_told: 0,
            unheard_since: None,
            metrics: metrics.clone(),
        })
    }

    /// What it reads.
    pub(super) fn source(&self) -> &Arc<Broadcast> {
        self.source.broadcast()
    }

    /// What it writes.
    pub(super) fn derived(&self) -> &Arc<Broadcast> {
        self.producer.broadcast()
    }

    /// What its sound becomes.
    pub(super) fn to(&self) -> Codec {
        self.to
    }

    /// Takes all that is new; false when there is nothing left to do.
    pub(super) fn run(&mut self, waker: &Waker) -> bool {
        let mut cx = Context::from_waker(waker);
        let mut batch = std::mem::take(&mut self.batch);
        let mut goes_on = true;
        while goes_on && self.source.poll_batch(&mut cx, &mut batch).is_ready() {
            goes_on = !batch.ended;
            if batch.lost > 0 {
                self.metrics.dropped.inc_by(batch.lost);
                goes_on &= self.resume().is_ok();
                self.joining = true;
            }
            for item in batch.items.drain(..) {
                goes_on &= self.take(item).is_ok();
            }
            self.joining = false;
        }
        self.batch = batch;
        goes_on
    }

    /// Since when nobody listens; called now and then. Bytes that viewers got are the source's.
    pub(super) fn look(&mut self, now: Instant) -> Option<Instant> {
        let sent = self.derived().egress_bytes();
        self.source().add_egress_bytes(sent.saturating_sub(self.egress_told));
        self.egress_told = sent;
        self.unheard_since = match self.derived().viewers() {
            0 => self.unheard_since.or(Some(now)),
            _ => None,
        };
        self.unheard_since
    }

    fn take(&mut self, item: Item) -> Result<(), hub::Error> {
        match item {
            Item::Catalog(catalog) => {
                for track in &catalog.tracks {
                    let track = if track.kind == Kind::Audio { self.retrack(track) } else { track.clone() };
                    self.producer.track(track)?;
                }
                let ids: Vec<_> = catalog.tracks.iter().map(|track| track.id).collect();
                self.producer.only(&ids)?;
                self.producer.ready();
                Ok(())
            }
            Item::Resumed => self.resume(),
            Item::Frame { track, frame, arrived, .. } => match &self.sound {
                Sound::Converted { id, .. } if *id == track => self.convert(track, &frame, arrived),
                _ => self.producer.write(track, frame, arrived),
            },
        }
    }

    /// Decides what happens to the sound; the track that comes of it.
    fn retrack(&mut self, track: &Track) -> Track {
        if track.codec == self.to {
            self.sound = Sound::Whole;
            return track.clone();
        }
        if let Sound::Converted { id, track: known, converter } = &mut self.sound
            && *id == track.id
            && (*known == *track || known.codec == track.codec && converter.retrack(track).is_ok())
        {
            known.clone_from(track);
            return converter.track(track.id);
        }
        match Converter::new(track, self.to) {
            Ok(converter) => {
                let converted = converter.track(track.id);
                let (id, track, converter) = (track.id, track.clone(), Box::new(converter));
                self.sound = Sound::Converted { id, track, converter };
                converted
            }
            Err(error) => {
                tracing::warn!(path = %self.source().path(), %error, "sound is sent as it came");
                self.sound = Sound::Whole;
                track.clone()
            }
        }
    }

    fn convert(&mut self, id: TrackId, frame: &Frame, arrived: Instant) -> Result<(), hub::Error> {
        let Sound::Converted { track, converter, .. } = &mut self.sound else { return Ok(()) };
        if !self.joining && arrived.elapsed() > WAIT_MAX {
            self.metrics.dropped.inc();
            return Ok(());
        }
        let errors = converter.errors();
        let out = &mut self.converted;
        // The codecs are libraries; a panic in one must not end the sound of other broadcasts.
        if catch_unwind(AssertUnwindSafe(|| converter.convert(frame, out))).is_err() {
            tracing::error!(path = %self.source.broadcast().path(), "a codec panicked; it begins anew");
            self.metrics.errors.inc();
            self.converted.clear();
            match Converter::new(track, self.to) {
                Ok(fresh) => **converter = fresh,
                Err(_) => self.sound = Sound::Whole,
            }
            return Ok(());
        }
        self.metrics.errors.inc_by(converter.errors() - errors);
        self.metrics.frames(self.to).inc_by(self.converted.len() as u64);
        for frame in self.converted.drain(..) {
            self.producer.write(id, frame, arrived)?;
        }
        Ok(())
    }

    /// Tells viewers that the publisher came back, or that something is missing: a producer who takes the seat again does.
    fn resume(&mut self) -> Result<(), hub::Error> {
        let path = self.source().path().clone();
        self.producer = self.hub.publish(&path, Collision::Takeover, Instant::now())?;
        Ok(())
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        self.metrics.jobs(self.to).dec();
    }
}
