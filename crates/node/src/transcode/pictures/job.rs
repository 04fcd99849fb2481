//! One broadcast whose pictures are coded anew.

use super::coming::Coming;
use super::desk::Place;
use super::feeding::Feeding;
use super::program::{Program, shown};
use crate::gateway::random_bytes;
use crate::life::Life;
use crate::metrics::TranscodeMetrics;
use crate::outward::{Backoff, Retry};
use crate::transcode::Audible;
use bytes::BytesMut;
use hub::{Batch, Broadcast, Catalog, Item, Producer};
use media::{Codec, Frame, Kind, Timestamp, TrackId};
use mux::flv::{Demuxer, Event, TagReader};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Reads a broadcast as a viewer does, gives its pictures to the program, and writes a derived broadcast.
///
/// Overflow policy: the hub's log is the only queue before the program, whose pipes hold some hundred kilobytes. Pictures that waited
/// for longer than [`BEHIND_MAX`] are left out up to the newest keyframe, and counted.
#[derive(Debug)]
pub(super) struct Job {
    place: Place,
    source: Audible,
    coming: Coming,
    path: PathBuf,
    idle: Duration,
    metrics: TranscodeMetrics,
    egress_told: u64,
    /// Since when nobody watches.
    unseen_since: Option<Instant>,
    /// Programs, one after the other, that gave no picture back.
    barren: u32,
}

/// One program and what it is given, from its start to its end.
struct Run {
    feeding: Feeding,
    /// The pictures have another configuration from the next keyframe on.
    changes: bool,
    /// Of these pictures nothing is given before a keyframe.
    waits_for_keyframe: bool,
    /// What is read first may be old: it is the newest group.
    joining: bool,
    /// Since when it has pictures and gives none back.
    silent_since: Option<Instant>,
    reader: TagReader,
    demuxer: Demuxer,
}

/// Why a program is over.
enum Over {
    /// There is nothing left to do.
    Done,
    /// The pictures have another configuration, which another program begins with.
    Changed,
    Failed(String),
}

/// Pictures that waited for so long are of no use to who watches live.
const BEHIND_MAX: Duration = Duration::from_secs(2);
/// Without a picture for so long, although it was given some, a program stands still. On a busy machine the first takes a second.
const SILENCE_MAX: Duration = Duration::from_secs(8);
/// So many programs, one after the other, that gave no picture back are enough: a picture that stands still helps nobody.
const BARREN_MAX: u32 = 5;
/// How often is looked whether somebody watches.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Between two programs, when the first failed.
const RETRY: Retry = Retry { min: Duration::from_millis(200), max: Duration::from_secs(10) };
/// Read at a time.
const READ_BYTES: usize = 64 << 10;

impl Job {
    pub(super) fn new(
        place: Place,
        source: Audible,
        producer: Producer,
        path: PathBuf,
        idle: Duration,
        metrics: &TranscodeMetrics,
    ) -> Job {
        Job {
            place,
            source,
            coming: Coming::new(producer),
            path,
            idle,
            metrics: metrics.clone(),
            egress_told: 0,
            unseen_since: None,
            barren: 0,
        }
    }

    /// What it writes.
    pub(super) fn derived(&self) -> &Arc<Broadcast> {
        self.place.derived()
    }

    /// Runs until nobody watches, the broadcast ends, or everything does.
    pub(super) async fn run(mut self, mut life: Life) {
        let mut backoff = Backoff::new(RETRY);
        loop {
            let began = Instant::now();
            match self.attempt(&mut life).await {
                Over::Done => break,
                Over::Changed => {}
                Over::Failed(why) if self.barren + 1 >= BARREN_MAX => {
                    // Who watches sees the end, and who comes again is told what is wrong or gets another try.
                    let (path, program) = (self.place.path(), shown(&self.path));
                    tracing::error!(%path, program, why, "pictures can't be coded anew");
                    break;
                }
                Over::Failed(why) => {
                    self.barren += 1;
                    // Without random bytes, all come back at the same time.
                    let random = random_bytes().map_or(u32::MAX, u32::from_ne_bytes);
                    let rest = backoff.after(began.elapsed(), random);
                    let (path, program) = (self.place.path(), shown(&self.path));
                    let wait_ms = u64::try_from(rest.as_millis()).unwrap_or(u64::MAX);
                    tracing::warn!(%path, program, why, wait_ms, "what codes pictures anew ended; it is started again");
                    self.metrics.restarts.inc();
                    if !life.rest(rest).await || self.is_over(Instant::now()) {
                        break;
                    }
                }
            }
        }
        self.tell_egress();
    }

    /// Starts the program and works with it until one of both is over.
    async fn attempt(&mut self, life: &mut Life) -> Over {
        let mut consumer = self.source.broadcast.consumer();
        let mut batch = Batch::default();
        // The tracks are known before the program is called.
        tokio::select! {
            () = consumer.batch(&mut batch) => {}
            () = life.stopping() => return Over::Done,
        }
        let Some(mut run) = Run::new(&batch) else {
            // Its publisher changed the codec, or it is over.
            return Over::Done;
        };
        let (container, size) = (run.feeding.container(), run.feeding.track().video_size());
        let mut program = match Program::start(&self.path, container, size) {
            Ok(program) => program,
            Err(error) => return Over::Failed(error.to_string()),
        };
        tracing::debug!(path = %self.place.path(), pid = program.id(), "a program codes pictures anew");
        let over = self.work(&mut run, &mut program, (consumer, batch), life).await;
        let complaints = program.end().await;
        match over {
            Over::Failed(why) if complaints.is_empty() => Over::Failed(why),
            Over::Failed(why) => Over::Failed(format!("{why}: {complaints}")),
            over => over,
        }
    }

    async fn work(
        &mut self,
        run: &mut Run,
        program: &mut Program,
        (mut consumer, mut batch): (hub::Consumer, Batch),
        life: &mut Life,
    ) -> Over {
        let (mut look, mut read) = (tokio::time::interval(LOOK_EVERY), BytesMut::with_capacity(READ_BYTES));
        if let Some(over) = self.take(run, &mut batch, Instant::now()) {
            return over;
        }
        loop {
            let drained = run.feeding.is_drained();
            tokio::select! {
                wrote = program.stdin.write_buf(&mut run.feeding.pending), if !drained => {
                    if let Err(error) = wrote {
                        return Over::Failed(format!("it takes no more pictures ({error})"));
                    }
                }
                () = consumer.batch(&mut batch), if drained => {
                    if let Some(over) = self.take(run, &mut batch, Instant::now()) {
                        return over;
                    }
                }
                count = program.stdout.read_buf(&mut read) => match count {
                    Ok(0) => return Over::Failed("it ended".to_owned()),
                    Ok(_) => {
                        if let Err(why) = self.came(run, &mut read) {
                            return why;
                        }
                    }
                    Err(error) => return Over::Failed(error.to_string()),
                },
                () = program.complaints.next() => {}
                _ = look.tick() => {
                    if let Some(over) = self.look(run, Instant::now()) {
                        return over;
                    }
                }
                () = life.stopping() => return Over::Done,
            }
        }
    }

    /// Gives what is new to the program. Something if it is over.
    fn take(&mut self, run: &mut Run, batch: &mut Batch, now: Instant) -> Option<Over> {
        if batch.lost > 0 {
            self.metrics.dropped_pictures.inc_by(batch.lost);
            run.waits_for_keyframe = true;
        }
        let ended = batch.ended;
        let first = batch.items.iter().position(is_picture);
        let late = first.is_some_and(|at| match &batch.items[at] {
            Item::Frame { arrived, .. } => now.saturating_duration_since(*arrived) > BEHIND_MAX,
            _ => false,
        });
        // Too late: all before the newest keyframe is left out, if there is one.
        let from = match late && !run.joining {
            false => 0,
            true => {
                run.waits_for_keyframe = true;
                batch.items.iter().rposition(is_keyframe).unwrap_or(batch.items.len())
            }
        };
        run.joining = false;
        for (at, item) in batch.items.drain(..).enumerate() {
            let over = match item {
                Item::Catalog(catalog) => self.learn(run, &catalog),
                Item::Frame { track: TrackId::AUDIO, frame, arrived, .. } => {
                    self.coming.hear(frame, arrived, now).err().map(|_| Over::Done)
                }
                Item::Frame { track: TrackId::VIDEO, frame, .. } if run.changes && frame.keyframe => {
                    Some(Over::Changed)
                }
                Item::Frame { track: TrackId::VIDEO, frame, arrived, .. } => {
                    self.give(run, &frame, arrived, at < from);
                    None
                }
                Item::Frame { .. } | Item::Resumed => None,
            };
            if over.is_some() {
                return over;
            }
        }
        ended.then_some(Over::Done)
    }

    fn give(&mut self, run: &mut Run, frame: &Frame, arrived: Instant, is_late: bool) {
        run.waits_for_keyframe &= is_late || !frame.keyframe;
        if run.waits_for_keyframe {
            self.metrics.dropped_pictures.inc();
            return;
        }
        run.feeding.give(frame, arrived);
        run.silent_since.get_or_insert_with(Instant::now);
    }

    /// The sound passes; pictures of another configuration are for another program.
    fn learn(&mut self, run: &mut Run, catalog: &Catalog) -> Option<Over> {
        if let Some(sound) = catalog.first(Kind::Audio)
            && self.coming.sound_is(sound.clone()).is_err()
        {
            return Some(Over::Done);
        }
        run.changes = catalog.first(Kind::Video) != Some(run.feeding.track());
        None
    }

    /// Takes what the program gave back.
    fn came(&mut self, run: &mut Run, read: &mut BytesMut) -> Result<(), Over> {
        let broken = |error: mux::Error| Over::Failed(format!("what it gives back can't be read: {error}"));
        run.reader.push(read);
        read.clear();
        while let Some(tag) = run.reader.tag().map_err(broken)? {
            let now = Instant::now();
            let event = run.demuxer.push(tag.tag, tag.timestamp_ms, &tag.body, now).map_err(broken)?;
            let held = run.demuxer.held();
            for event in event.into_iter().chain(held) {
                self.event(run, event, tag.timestamp_ms, now).map_err(|_| Over::Done)?;
            }
        }
        Ok(())
    }

    fn event(&mut self, run: &mut Run, event: Event, time_ms: u32, now: Instant) -> Result<(), hub::Error> {
        match event {
            Event::Track(track) if track.kind == Kind::Video => self.coming.pictures_are(track),
            Event::Frame { track: TrackId::VIDEO, frame } => {
                // It makes none of its own, so each has its time from one that it was given.
                let Some(given) = run.feeding.take(time_ms) else { return Ok(()) };
                (run.silent_since, self.barren) = (None, 0);
                self.metrics.frames(Codec::H264).inc();
                self.coming.picture(Frame { dts: given.pts, pts: given.pts, ..frame }, given.arrived, now)
            }
            _ => Ok(()),
        }
    }

    /// Called now and then.
    fn look(&mut self, run: &Run, now: Instant) -> Option<Over> {
        if self.is_over(now) || self.coming.release(None, now).is_err() {
            return Some(Over::Done);
        }
        let silent = run.silent_since.map(|since| now.saturating_duration_since(since));
        let silent = silent.filter(|silent| *silent >= SILENCE_MAX)?;
        Some(Over::Failed(format!("it gave no picture back for {} s", silent.as_secs())))
    }

    /// Whether nobody watched for a while, or there is nothing to watch any more.
    fn is_over(&mut self, now: Instant) -> bool {
        self.tell_egress();
        self.unseen_since = match self.derived().viewers() {
            0 => self.unseen_since.or(Some(now)),
            _ => None,
        };
        let unseen = self.unseen_since.is_some_and(|since| now.saturating_duration_since(since) >= self.idle);
        self.source.broadcast.is_ended() || unseen && self.place.leave_if_unseen()
    }

    /// Bytes that viewers got are the source's.
    fn tell_egress(&mut self) {
        let sent = self.derived().egress_bytes();
        self.source.broadcast.add_egress_bytes(sent.saturating_sub(self.egress_told));
        self.egress_told = sent;
    }
}

impl Run {
    /// None if the first batch has no pictures that can be coded anew.
    fn new(batch: &Batch) -> Option<Run> {
        let catalog = batch.items.iter().find_map(|item| match item {
            Item::Catalog(catalog) => Some(catalog),
            _ => None,
        })?;
        Some(Run {
            feeding: Feeding::new(catalog.first(Kind::Video)?)?,
            changes: false,
            waits_for_keyframe: true,
            joining: true,
            silent_since: None,
            reader: TagReader::default(),
            demuxer: Demuxer::new(Timestamp::ZERO),
        })
    }
}

fn is_picture(item: &Item) -> bool {
    matches!(item, Item::Frame { track: TrackId::VIDEO, .. })
}

fn is_keyframe(item: &Item) -> bool {
    matches!(item, Item::Frame { track: TrackId::VIDEO, frame, .. } if frame.keyframe)
}
