//! Jobs with real processes: `cat` in the place of ffmpeg gives pictures back as it got them.

use super::*;
use crate::config::Span;
use crate::config::Transcode;
use crate::life::{Life, Phase, Phases};
use crate::metrics::Metrics;
use crate::sessions::Sessions;
use crate::transcode::{Audible, Settings, Transcodes};
use bytes::Bytes;
use hub::{Batch, Broadcast, BroadcastPath, Collision, Consumer, Hub, Item, Limits, Producer};
use media::{Codec, Frame, Kind, Timestamp, Track, TrackId};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

/// Longer than anything takes, so that a broken job fails the test.
const LIMIT: Duration = Duration::from_secs(20);
const SPS_PPS: &[u8] = &[1, 0x42, 0xc0, 0x1e, 0xff, 0xe1, 0, 4, 0x67, 0x42, 0xc0, 0x1e, 1, 0, 2, 0x68, 0xce];

/// A program that does what a shell is told.
struct Script(PathBuf);

impl Script {
    fn new(words: &str) -> Script {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("floodtide-pictures-{}-{number}", std::process::id()));
        std::fs::write(&path, format!("#!/bin/sh\n{words}\n")).expect("a file");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).expect("a program");
        Script(path)
    }

    /// Where it writes what the test wants to know.
    fn note(&self) -> PathBuf {
        self.0.with_extension("note")
    }

    fn noted(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.note()).unwrap_or_default();
        text.split_whitespace().map(str::to_owned).collect()
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
        let _ = std::fs::remove_file(self.note());
    }
}

/// A server's worth of it, and a broadcast with H.264 and Opus.
struct House {
    pictures: Pictures,
    transcodes: Transcodes,
    metrics: Metrics,
    producer: Producer,
    written: i64,
    phases: Phases,
    running: JoinHandle<()>,
}

impl House {
    fn new(program: &Path, max: usize) -> House {
        let config = Transcode {
            ffmpeg: program.to_string_lossy().into_owned(),
            pictures_max: max,
            idle: Span(Duration::from_millis(100)),
            ..Transcode::default()
        };
        let hub = Hub::new(Limits::default());
        let metrics = Metrics::new(&hub, &Sessions::new(1));
        let pictures = Pictures::new(&config, Limits::default(), &metrics.transcodes);
        let settings = Settings::new(&config, Limits::default());
        let transcodes = Transcodes::start(settings, &metrics.transcodes).expect("threads");
        let (phases, life): (Phases, Life) = Phases::new();
        let running = tokio::spawn(pictures.clone().run(life));
        let producer = publish(&hub, "live/x");
        House { pictures, transcodes, metrics, producer, written: 0, phases, running }
    }

    /// A viewer of what is published.
    async fn viewer(&self) -> Result<Audible, Unavailable> {
        self.pictures.recoded(self.transcodes.opus(self.producer.broadcast()).await)
    }

    /// One more picture, and sound of the same time.
    fn write(&mut self) {
        let at = Timestamp::from_micros(86_400_000_000 + self.written * 33_333);
        let frame = |payload, keyframe| Frame { dts: at, pts: at, keyframe, payload };
        let picture = frame(Bytes::from_static(&[0, 0, 0, 2, 0x65, 9]), self.written % 30 == 0);
        let (now, sound) = (Instant::now(), frame(Bytes::from_static(b"sound"), true));
        self.producer.write(TrackId::AUDIO, sound, now).expect("written");
        self.producer.write(TrackId::VIDEO, picture, now).expect("written");
        self.written += 1;
    }

    /// Writes and reads until so many pictures came; all frames by kind.
    async fn watch(&mut self, consumer: &mut Consumer, pictures: usize) -> Vec<(Kind, Frame)> {
        let (mut batch, mut frames, began) = (Batch::default(), Vec::new(), Instant::now());
        while frames.iter().filter(|(kind, _)| *kind == Kind::Video).count() < pictures {
            assert!(began.elapsed() < LIMIT, "{} frames came", frames.len());
            self.write();
            let came = tokio::time::timeout(Duration::from_millis(5), consumer.batch(&mut batch)).await;
            for item in batch.items.drain(..).filter(|_| came.is_ok()) {
                if let Item::Frame { track, frame, .. } = item {
                    let kind = if track == TrackId::VIDEO { Kind::Video } else { Kind::Audio };
                    frames.push((kind, frame));
                }
            }
            assert!(!batch.ended, "the derived broadcast ended");
        }
        frames
    }

    async fn until(&self, what: &str, happened: impl Fn(&House) -> bool) {
        let began = Instant::now();
        while !happened(self) {
            assert!(began.elapsed() < LIMIT, "not yet: {what}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

fn publish(hub: &Hub, path: &str) -> Producer {
    let path = BroadcastPath::parse(path).expect("a path");
    let mut producer = hub.publish(&path, Collision::Reject, Instant::now()).expect("a free path");
    producer.track(Track::new(TrackId::VIDEO, Codec::H264, Bytes::from_static(SPS_PPS))).expect("a track");
    producer.track(Track::new(TrackId::AUDIO, Codec::Opus, Bytes::new())).expect("a track");
    producer.ready();
    producer
}

fn is_alive(pid: &str) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // One that is dead and not yet buried has a Z behind its name.
    status.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with('Z'))
}

#[tokio::test]
async fn pictures_come_back_with_their_own_times_and_sound_in_its_place() {
    let script = Script::new("exec cat");
    let mut house = House::new(&script.0, 1);
    house.write();
    let viewer = house.viewer().await.expect("a job");
    assert!(viewer.recoded && !Arc::ptr_eq(&viewer.broadcast, house.producer.broadcast()));
    let again = house.viewer().await.expect("the same job");
    assert!(Arc::ptr_eq(&again.broadcast, &viewer.broadcast));
    let mut consumer = viewer.broadcast.consumer();
    let frames = house.watch(&mut consumer, 40).await;
    let of = |kind| frames.iter().filter(move |(k, _)| *k == kind).map(|(_, frame)| frame);
    for pictures in of(Kind::Video).collect::<Vec<_>>().windows(2) {
        assert_eq!(pictures[1].pts.since(pictures[0].pts).as_micros().abs_diff(33_333), 0);
        assert_eq!(pictures[1].dts, pictures[1].pts);
    }
    let first = frames.iter().position(|(kind, _)| *kind == Kind::Audio).expect("sound");
    let mut heard = Timestamp::ZERO;
    for (kind, frame) in &frames[first..] {
        match kind {
            Kind::Audio => heard = frame.pts,
            Kind::Video => assert_eq!(heard, frame.pts, "sound of the same time is before it"),
        }
    }
    assert!(of(Kind::Video).any(|frame| frame.keyframe), "keyframes stay");
    house.running.abort();
    house.transcodes.stop();
}

#[tokio::test]
async fn a_program_that_dies_is_started_again_while_viewers_stay() {
    let script = Script::new("echo $$ >> \"$0.note\"; exec cat");
    let mut house = House::new(&script.0, 1);
    house.write();
    let viewer = house.viewer().await.expect("a job");
    let mut consumer = viewer.broadcast.consumer();
    house.watch(&mut consumer, 10).await;
    let first = script.noted().pop().expect("it runs");
    let killed = std::process::Command::new("kill").args(["-9", &first]).status().expect("kill");
    assert!(killed.success());
    house.until("started again", |house| house.metrics.transcodes.restarts.get() == 1).await;
    let frames = house.watch(&mut consumer, 40).await;
    let times: Vec<_> =
        frames.iter().filter(|(kind, _)| *kind == Kind::Video).map(|(_, frame)| frame.pts).collect();
    assert!(times.is_sorted_by(|a, b| a < b), "times go on");
    assert!(script.noted().len() >= 2 && !is_alive(&first));
    house.phases.go_to(Phase::Stopping);
    house.running.await.expect("it ends");
    let last = script.noted().pop().expect("it ran");
    assert!(!is_alive(&last), "no program is left behind");
    house.transcodes.stop();
}

#[tokio::test]
async fn a_job_and_its_program_end_after_the_last_viewer() {
    let script = Script::new("echo $$ >> \"$0.note\"; exec cat");
    let mut house = House::new(&script.0, 1);
    let path = house.producer.broadcast().path().clone();
    house.write();
    let viewer = house.viewer().await.expect("a job");
    house.watch(&mut viewer.broadcast.consumer(), 10).await;
    assert!(house.pictures.is_running(&path));
    assert_eq!(house.metrics.transcodes.jobs(Codec::H264).get(), 1);
    viewer.broadcast.add_egress_bytes(1000);
    drop(viewer);
    house.until("over", |house| !house.pictures.is_running(&path)).await;
    house.until("uncounted", |house| house.metrics.transcodes.jobs(Codec::H264).get() == 0).await;
    assert_eq!(house.producer.broadcast().egress_bytes(), 1000, "what viewers got is the source's");
    let pid = script.noted().pop().expect("it ran");
    house.until("gone", |_| !is_alive(&pid)).await;
    house.running.abort();
    house.transcodes.stop();
}

#[tokio::test]
async fn a_program_that_fails_or_says_nonsense_is_tried_some_times_and_then_given_up() {
    for words in ["echo broken >&2; exit 3", "echo this is no flv; sleep 60"] {
        let script = Script::new(words);
        let mut house = House::new(&script.0, 1);
        house.write();
        let viewer = house.viewer().await.expect("a job");
        house.until("started again", |house| house.metrics.transcodes.restarts.get() >= 2).await;
        assert!(viewer.broadcast.catalog().is_none() && !viewer.broadcast.is_ended());
        house.until("given up", |_| viewer.broadcast.is_ended()).await;
        assert_eq!(house.metrics.transcodes.restarts.get(), 4);
        assert!(
            !house.pictures.is_running(house.producer.broadcast().path()),
            "who comes again gets another try"
        );
        house.phases.go_to(Phase::Stopping);
        house.running.await.expect("it ends");
        house.transcodes.stop();
    }
}

#[tokio::test]
async fn without_the_program_or_without_room_the_answer_says_so() {
    let house = House::new(Path::new("/no/such/ffmpeg"), 1);
    let path = house.producer.broadcast().path().clone();
    let missing = Unavailable::NotInstalled("/no/such/ffmpeg".to_owned());
    assert_eq!(house.viewer().await.err(), Some(missing.clone()));
    assert_eq!(house.pictures.available(&path), Err(missing));
    let script = Script::new("exec cat");
    let config = Transcode {
        ffmpeg: script.0.to_string_lossy().into_owned(),
        pictures_max: 1,
        ..Transcode::default()
    };
    house.pictures.apply(&config);
    let _viewer = house.viewer().await.expect("the new setting holds at once");
    let other: Producer = publish(&Hub::new(Limits::default()), "live/y");
    let full = house.pictures.recoded(house.transcodes.opus(other.broadcast()).await);
    assert_eq!(full.err(), Some(Unavailable::Full(1)));
    assert_eq!(house.pictures.available(&path), Ok(()), "who comes to the first one shares its program");
    let broadcast: &Arc<Broadcast> = other.broadcast();
    assert_eq!(house.pictures.available(broadcast.path()), Err(Unavailable::Full(1)));
    house.running.abort();
    house.transcodes.stop();
}
