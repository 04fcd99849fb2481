//! What publishers and viewers of one broadcast may rely on.
#![allow(clippy::unwrap_used, reason = "a test ends where it fails")]

use bytes::Bytes;
use hub::{Batch, BroadcastPath, Collision, Consumer, Error, Hub, Item, Limits, Producer};
use media::{Codec, Frame, Timestamp, Track, TrackId};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

const FRAME_BYTES: usize = 1000;

fn hub(log_bytes_max: usize) -> Hub {
    Hub::new(Limits { broadcasts_max: 3, log_bytes_max, grace: Duration::from_secs(10) })
}

fn path(name: &str) -> BroadcastPath {
    BroadcastPath::parse(&format!("live/{name}")).unwrap()
}

/// A publisher of one video track, at virtual time.
struct Studio {
    producer: Producer,
    now: Instant,
    frames: i64,
}

impl Studio {
    fn on(hub: &Hub, name: &str, now: Instant) -> Studio {
        let mut producer = hub.publish(&path(name), Collision::Reject, now).unwrap();
        producer.track(Track::new(TrackId::VIDEO, Codec::H264, Bytes::new())).unwrap();
        producer.ready();
        Studio { producer, now, frames: 0 }
    }

    fn send(&mut self, keyframe: bool) -> Result<(), Error> {
        let dts = Timestamp::from_millis(self.frames * 40);
        self.frames += 1;
        let frame = Frame { dts, pts: dts, keyframe, payload: Bytes::from(vec![0; FRAME_BYTES]) };
        self.producer.write(TrackId::VIDEO, frame, self.now)
    }

    /// A keyframe and `count - 1` others.
    fn send_group(&mut self, count: usize) {
        for n in 0..count {
            self.send(n == 0).unwrap();
        }
    }
}

/// Everything that is there: milliseconds of frames, how much was lost, and whether it is over.
fn read(consumer: &mut Consumer) -> (Vec<i64>, u64, bool) {
    let mut batch = Batch::default();
    let mut cx = Context::from_waker(Waker::noop());
    if consumer.poll_batch(&mut cx, &mut batch).is_pending() {
        return (Vec::new(), 0, false);
    }
    let time = |item: &Item| match item {
        Item::Frame { frame, .. } => Some(frame.dts.as_millis()),
        _ => None,
    };
    (batch.items.iter().filter_map(time).collect(), batch.lost, batch.ended)
}

#[test]
fn a_viewer_starts_at_the_newest_group_and_then_sees_every_frame() {
    let hub = hub(1 << 20);
    let mut studio = Studio::on(&hub, "x", testkit::epoch());
    studio.send_group(5);
    studio.send_group(3);
    let mut viewer = hub.subscribe(&path("x")).unwrap();
    assert_eq!(read(&mut viewer), (vec![200, 240, 280], 0, false));
    studio.send(false).unwrap();
    assert_eq!(read(&mut viewer), (vec![320], 0, false));
    assert_eq!(read(&mut viewer), (vec![], 0, false));
}

#[test]
fn a_viewer_can_tell_since_when_frames_wait_for_it() {
    let hub = hub(1 << 20);
    let mut studio = Studio::on(&hub, "x", testkit::epoch());
    studio.send_group(2);
    let mut viewer = hub.subscribe(&path("x")).unwrap();
    read(&mut viewer);
    assert_eq!(viewer.waiting_since(), None);
    studio.producer.track(Track::new(TrackId::AUDIO, Codec::Opus, Bytes::new())).unwrap();
    assert_eq!(viewer.waiting_since(), None, "a catalog is no frame");
    let first = studio.now + Duration::from_millis(40);
    studio.now = first;
    studio.send(false).unwrap();
    studio.now += Duration::from_millis(40);
    studio.send(false).unwrap();
    assert_eq!(viewer.waiting_since(), Some(first));
    read(&mut viewer);
    assert_eq!(viewer.waiting_since(), None);
}

#[test]
fn a_catalog_comes_before_the_first_frame() {
    let hub = hub(1 << 20);
    let mut studio = Studio::on(&hub, "x", testkit::epoch());
    studio.send_group(1);
    let mut batch = Batch::default();
    let mut viewer = hub.subscribe(&path("x")).unwrap();
    assert!(viewer.poll_batch(&mut Context::from_waker(Waker::noop()), &mut batch).is_ready());
    assert!(matches!(&batch.items[0], Item::Catalog(c) if c.tracks.len() == 1));
}

#[test]
fn what_was_taken_back_is_for_nobody_who_joins_then_until_it_is_announced_again() {
    let hub = hub(1 << 20);
    let mut studio = Studio::on(&hub, "x", testkit::epoch());
    studio.producer.track(Track::new(TrackId::AUDIO, Codec::Opus, Bytes::new())).unwrap();
    studio.send_group(3);
    studio.producer.only(&[TrackId::AUDIO]).unwrap();
    assert_eq!(studio.send(true), Err(Error::UnknownTrack));
    let sound = |millis: i64| {
        let dts = Timestamp::from_millis(millis);
        Frame { dts, pts: dts, keyframe: true, payload: Bytes::from_static(b"x") }
    };
    for millis in [200, 220] {
        studio.producer.write(TrackId::AUDIO, sound(millis), studio.now).unwrap();
    }
    let broadcast = hub.broadcast(&path("x")).unwrap();
    assert_eq!(read(&mut broadcast.consumer()).0, [220], "the newest sound, and no picture");
    let catalog = broadcast.catalog().unwrap();
    assert_eq!(catalog.tracks.iter().map(|track| track.id).collect::<Vec<_>>(), [TrackId::AUDIO]);
    studio.producer.track(Track::new(TrackId::VIDEO, Codec::H264, Bytes::new())).unwrap();
    studio.frames = 10;
    studio.send_group(2);
    assert_eq!(read(&mut broadcast.consumer()).0, [400, 440]);
}

#[test]
fn a_slow_viewer_goes_on_at_the_newest_group_and_learns_what_it_lost() {
    let hub = hub(20 * (FRAME_BYTES + 200));
    let mut studio = Studio::on(&hub, "x", testkit::epoch());
    studio.send_group(2);
    let mut viewer = hub.subscribe(&path("x")).unwrap();
    read(&mut viewer);
    for _ in 0..10 {
        studio.send_group(5);
    }
    let (frames, lost, _) = read(&mut viewer);
    assert_eq!(frames, [1880, 1920, 1960, 2000, 2040], "the newest group, whole");
    assert_eq!(lost, 45);
}

#[test]
fn the_log_stays_within_its_byte_budget_whatever_the_group_length() {
    let budget = 10 * FRAME_BYTES;
    let hub = hub(budget);
    let mut studio = Studio::on(&hub, "x", testkit::epoch());
    studio.send_group(1000);
    assert!(studio.producer.broadcast().queue_bytes() <= budget);
    let mut viewer = hub.subscribe(&path("x")).unwrap();
    assert_eq!(read(&mut viewer).0, [0; 0], "the group's start is gone, so nobody can join it");
    studio.send_group(2);
    assert_eq!(read(&mut viewer).0.len(), 2);
}

#[test]
fn the_log_holds_two_groups_and_no_more_than_a_few_seconds() {
    let hub = hub(1 << 20);
    let mut studio = Studio::on(&hub, "x", testkit::epoch());
    for _ in 0..10 {
        studio.send_group(50);
    }
    studio.send_group(1);
    let frames = studio.producer.broadcast().queue_bytes() / FRAME_BYTES;
    assert!((75..=115).contains(&frames), "{frames} frames of 40 ms");
}

#[test]
fn a_waiting_viewer_is_woken_once_per_write() {
    #[derive(Default)]
    struct Count(AtomicUsize);
    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    let hub = hub(1 << 20);
    let mut studio = Studio::on(&hub, "x", testkit::epoch());
    let count = Arc::new(Count::default());
    let waker = Waker::from(Arc::clone(&count));
    let mut viewer = hub.subscribe(&path("x")).unwrap();
    let mut batch = Batch::default();
    let mut poll = || viewer.poll_batch(&mut Context::from_waker(&waker), &mut batch);
    assert!(poll().is_ready(), "the catalog");
    assert_eq!((poll(), poll()), (Poll::Pending, Poll::Pending));
    studio.send_group(3);
    assert_eq!(count.0.load(Ordering::Relaxed), 1);
}

#[test]
fn an_occupied_path_is_refused_or_taken_over_by_policy() {
    let (hub, now) = (hub(1 << 20), testkit::epoch());
    let mut first = Studio::on(&hub, "x", now);
    first.send_group(2);
    let mut viewer = hub.subscribe(&path("x")).unwrap();
    read(&mut viewer);
    assert_eq!(hub.publish(&path("x"), Collision::Reject, now).unwrap_err(), Error::Occupied);
    let second = hub.publish(&path("x"), Collision::Takeover, now).unwrap();
    assert_eq!(first.send(true), Err(Error::Superseded));
    drop(first);
    assert!(!second.broadcast().is_ended(), "who was replaced can't end it");
    assert!(second.resumes_at().unwrap() > Timestamp::from_millis(40), "time goes on");
}

#[test]
fn an_open_seat_is_taken_once_and_not_after_its_time() {
    let (hub, now) = (hub(1 << 20), testkit::epoch());
    let mut first = Studio::on(&hub, "x", now);
    let (broadcast, minute) = (hub.broadcast(&path("x")).unwrap(), Duration::from_secs(60));
    let refused = |at| hub.publish(&path("x"), Collision::Reject, at).err();
    broadcast.open_seat(now + minute);
    assert_eq!(refused(now + minute * 2), Some(Error::Occupied), "a minute too late");
    let second = hub.publish(&path("x"), Collision::Reject, now + minute).unwrap();
    assert_eq!(first.send(true), Err(Error::Superseded));
    assert_eq!(refused(now + minute), Some(Error::Occupied), "the seat is open for one");
    second.leave(now);
}

#[test]
fn a_broadcast_that_is_ended_has_no_grace_and_its_path_is_free() {
    let (hub, now) = (hub(1 << 20), testkit::epoch());
    let mut first = Studio::on(&hub, "x", now);
    first.send(true).unwrap();
    let mut viewer = hub.subscribe(&path("x")).unwrap();
    assert!(hub.end(&path("x")));
    assert!(!hub.end(&path("x")), "it is over");
    assert_eq!(read(&mut viewer), (vec![0], 0, true));
    let mut second = Studio::on(&hub, "x", now);
    first.producer.leave(now);
    second.send(true).unwrap();
    assert!(hub.broadcast(&path("x")).unwrap().is_published(), "whoever was ended disturbs nobody");
}

#[test]
fn a_publisher_who_comes_back_within_the_grace_window_finds_its_viewers() {
    let (hub, now) = (hub(1 << 20), testkit::epoch());
    let mut studio = Studio::on(&hub, "x", now);
    studio.send_group(2);
    let mut viewer = hub.subscribe(&path("x")).unwrap();
    read(&mut viewer);
    studio.producer.leave(now);
    hub.expire(now + Duration::from_secs(9));
    let back = hub.publish(&path("x"), Collision::Reject, now + Duration::from_secs(9)).unwrap();
    assert!(Arc::ptr_eq(back.broadcast(), viewer.broadcast()));
    assert_eq!(back.resumes_at(), Some(Timestamp::from_millis(9040)));
    assert!(!read(&mut viewer).2);
}

#[test]
fn a_broadcast_ends_when_its_grace_runs_out() {
    let (hub, now) = (hub(1 << 20), testkit::epoch());
    let mut studio = Studio::on(&hub, "x", now);
    studio.send_group(1);
    let mut viewer = hub.subscribe(&path("x")).unwrap();
    read(&mut viewer);
    studio.producer.leave(now);
    hub.expire(now + Duration::from_secs(10));
    assert!(read(&mut viewer).2, "viewers are told");
    assert!(hub.broadcasts().is_empty());
    assert!(hub.subscribe(&path("x")).is_none());
}

#[test]
fn a_publisher_that_is_dropped_ends_its_broadcast_at_once() {
    let hub = hub(1 << 20);
    let studio = Studio::on(&hub, "x", testkit::epoch());
    let mut viewer = hub.subscribe(&path("x")).unwrap();
    read(&mut viewer);
    drop(studio);
    assert!(read(&mut viewer).2);
}

#[test]
fn frames_of_an_unknown_track_and_broadcasts_beyond_the_limit_are_refused() {
    let (hub, now) = (hub(1 << 20), testkit::epoch());
    let mut studio = Studio::on(&hub, "a", now);
    let frame = Frame {
        dts: Timestamp::ZERO,
        pts: Timestamp::ZERO,
        keyframe: true,
        payload: Bytes::from_static(b"x"),
    };
    assert_eq!(studio.producer.write(TrackId::AUDIO, frame, now), Err(Error::UnknownTrack));
    let _b = Studio::on(&hub, "b", now);
    let _c = Studio::on(&hub, "c", now);
    assert_eq!(hub.publish(&path("d"), Collision::Reject, now).unwrap_err(), Error::TooManyBroadcasts(3));
}

#[test]
fn demands_name_what_is_wanted_and_absent_as_long_as_somebody_wants_it() {
    let (hub, now) = (hub(1 << 20), testkit::epoch());
    let wish = hub.demand(&path("x"));
    let again = hub.demand(&path("x"));
    assert_eq!(hub.demands(), [(path("x"), 2)]);
    drop(again);
    let studio = Studio::on(&hub, "x", now);
    assert_eq!(hub.demands(), []);
    drop((studio, wish));
    hub.expire(now);
    assert_eq!(hub.demands(), []);
}

/// Polls once; how often it was woken since is `wakes`.
fn poll<T>(future: std::pin::Pin<&mut impl Future<Output = T>>, wakes: &Arc<Wakes>) -> Poll<T> {
    future.poll(&mut Context::from_waker(&Waker::from(Arc::clone(wakes))))
}

#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn who_wants_a_broadcast_can_wait_for_it_and_hears_when_it_is_declined() {
    let (hub, now) = (hub(1 << 20), testkit::epoch());
    let (wish, other) = (hub.demand(&path("x")), hub.demand(&path("y")));
    let wakes = Arc::new(Wakes::default());
    {
        let mut waiting = pin!(hub.arrival(&wish));
        assert!(poll(waiting.as_mut(), &wakes).is_pending());
        hub.decline(&path("y"));
        assert_eq!(wakes.0.load(Ordering::Relaxed), 0, "another path");
        let _studio = Studio::on(&hub, "x", now);
        assert_eq!(wakes.0.load(Ordering::Relaxed), 1);
        let Poll::Ready(Some(broadcast)) = poll(waiting.as_mut(), &wakes) else { panic!("not there") };
        assert_eq!(broadcast.path(), &path("x"));
    }
    assert!(matches!(poll(pin!(hub.arrival(&other)), &wakes), Poll::Ready(None)), "declined before");
    let again = hub.demand(&path("y"));
    assert!(poll(pin!(hub.arrival(&again)), &wakes).is_pending(), "who comes later waits anew");
}

#[test]
fn new_wishes_and_new_publishers_are_told() {
    let (hub, now) = (hub(1 << 20), testkit::epoch());
    let wakes = Arc::new(Wakes::default());
    let mut changed = Box::pin(hub.changed(0));
    assert!(poll(changed.as_mut(), &wakes).is_pending());
    let _wish = hub.demand(&path("x"));
    let Poll::Ready(seen) = poll(changed.as_mut(), &wakes) else { panic!("a wish is told") };
    let mut changed = Box::pin(hub.changed(seen));
    let _again = hub.demand(&path("x"));
    assert!(poll(changed.as_mut(), &wakes).is_pending(), "it is wanted already");
    let _studio = Studio::on(&hub, "z", now);
    assert!(poll(changed.as_mut(), &wakes).is_ready());
    assert_eq!(wakes.0.load(Ordering::Relaxed), 2);
}

#[test]
fn a_broadcast_tells_how_it_comes_in_and_forgets_nothing_when_its_publisher_comes_back() {
    let hub = hub(1 << 20);
    let mut studio = Studio::on(&hub, "x", testkit::epoch());
    studio.producer.promise(hub::health::Promise { video: true, audio: true, frames_per_s: Some(25.0) });
    for _ in 0..5 {
        studio.send_group(25);
        studio.now += Duration::from_secs(1);
    }
    studio.producer.repaired(2, studio.now);
    let broadcast = hub.broadcast(&path("x")).unwrap();
    let health = broadcast.health(studio.now);
    assert_eq!(health.groups.mean, Some(Duration::from_secs(1)));
    assert_eq!(health.video.bits_per_s, Some((25 * FRAME_BYTES * 8) as f64));
    assert_eq!((health.repairs, health.reconnects), (2, 0));
    let codes: Vec<_> = hub::health::advice(&health).into_iter().map(|a| a.code.as_str()).collect();
    assert_eq!(codes, ["audio_missing", "arrivals_late"]);
    studio.producer.leave(studio.now);
    assert_eq!(broadcast.health(studio.now).publishing_for, None);
    let later = studio.now + Duration::from_secs(1);
    let _back = hub.publish(&path("x"), Collision::Reject, later).unwrap();
    let health = broadcast.health(later);
    assert_eq!((health.repairs, health.reconnects, health.publishing_for), (2, 1, Some(Duration::ZERO)));
}
