//! Jobs run on real threads here: the tests wait for what comes, not for time.

use super::*;
use crate::metrics::Metrics;
use crate::sessions::Sessions;
use bytes::Bytes;
use hub::{Collision, Consumer, Item, Producer};
use media::{Frame, Timestamp, TrackId};

/// A server's worth of it, and a broadcast with H.264 and the given sound.
struct House {
    hub: Hub,
    transcodes: Transcodes,
    metrics: Metrics,
    producer: Producer,
    sound: Vec<Bytes>,
    written: usize,
    /// Of a frame of sound.
    micros: i64,
}

const SPS_PPS: &[u8] = &[1, 0x42, 0xc0, 0x1e, 0xff, 0xe1, 0, 4, 0x67, 0x42, 0xc0, 0x1e, 1, 0, 2, 0x68, 0xce];
const HEAD: &[u8] = b"OpusHead\x01\x01\x38\x01\x80\xbb\0\0\0\0\0";

fn path() -> BroadcastPath {
    BroadcastPath::parse("live/x").expect("a path")
}

impl House {
    fn new(video: Codec, config: &Transcode) -> House {
        let mut encoder =
            opus_pure::OpusEncoder::new(48_000, 1, opus_pure::Application::Audio).expect("an encoder");
        let mut room = vec![0; 4000];
        let sound = (0..50)
            .map(|_| encoder.encode(&[0.1; 960], 960, &mut room).map(|n| Bytes::copy_from_slice(&room[..n])))
            .collect::<Result<_, _>>()
            .expect("sound");
        let track = Track::new(TrackId::AUDIO, Codec::Opus, Bytes::from_static(HEAD));
        House::of(video, (track, sound, 20_000), config)
    }

    /// With H.264 and AAC.
    fn of_aac(config: &Transcode) -> House {
        let mut encoder = syom::Encoder::new(48_000, 1, &syom::EncodeOptions::raw()).expect("an encoder");
        let mut sound = Vec::new();
        encoder
            .feed(&[&[0.1; 48 * 1024]], |unit| {
                sound.push(Bytes::copy_from_slice(unit.payload));
                Ok(())
            })
            .expect("sound");
        let track = Track::new(TrackId::AUDIO, Codec::Aac, Bytes::copy_from_slice(encoder.asc()));
        House::of(Codec::H264, (track, sound, 21_333), config)
    }

    fn of(video: Codec, (track, sound, micros): (Track, Vec<Bytes>, i64), config: &Transcode) -> House {
        let hub = Hub::new(Limits::default());
        let metrics = Metrics::new(&hub, &Sessions::new(1));
        let settings = Settings::new(config, Limits::default());
        let transcodes = Transcodes::start(settings, &metrics.transcodes).expect("threads");
        let mut producer = hub.publish(&path(), Collision::Reject, Instant::now()).expect("a free path");
        producer.track(Track::new(TrackId::VIDEO, video, Bytes::from_static(SPS_PPS))).expect("a track");
        producer.track(track).expect("a track");
        producer.ready();
        House { hub, transcodes, metrics, producer, sound, written: 0, micros }
    }

    fn source(&self) -> Arc<Broadcast> {
        self.hub.broadcast(&path()).expect("it is live")
    }

    /// More frames of pictures and sound.
    fn write(&mut self, count: usize) {
        self.write_late(count, Duration::ZERO);
    }

    /// The same, as if they had come so long ago.
    fn write_late(&mut self, count: usize, late: Duration) {
        let arrived = Instant::now().checked_sub(late).expect("the machine is older");
        for _ in 0..count {
            let at = Timestamp::from_micros(1_000_000 + self.written as i64 * self.micros);
            let frame = |payload, keyframe| Frame { dts: at, pts: at, keyframe, payload };
            let picture = frame(Bytes::from_static(&[0, 0, 0, 1, 0x65]), self.written.is_multiple_of(25));
            self.producer.write(TrackId::VIDEO, picture, arrived).expect("written");
            let sound = frame(self.sound[self.written % self.sound.len()].clone(), true);
            self.producer.write(TrackId::AUDIO, sound, arrived).expect("written");
            self.written += 1;
        }
    }
}

/// Writes and reads until so many frames of sound came; gives the codec of the sound and all frames by kind.
async fn listen(
    house: &mut House,
    consumer: &mut Consumer,
    sounds: usize,
) -> (Option<Codec>, Vec<(TrackId, Frame)>) {
    let (mut batch, mut codec, mut frames) = (Batch::default(), None, Vec::new());
    while frames.iter().filter(|(id, _)| *id == TrackId::AUDIO).count() < sounds {
        house.write(1);
        // Longer than anything takes, so that a broken job fails the test.
        let came = tokio::time::timeout(TRACKS_MAX, consumer.batch(&mut batch)).await;
        came.expect("something new");
        for item in batch.items.drain(..) {
            match item {
                Item::Catalog(catalog) => codec = catalog.first(Kind::Audio).map(|t| t.codec),
                Item::Frame { track, frame, .. } => frames.push((track, frame)),
                Item::Resumed => {}
            }
        }
        assert!(!batch.ended, "the derived broadcast ended after {} frames", frames.len());
    }
    (codec, frames)
}

/// Reads to the end.
async fn ended(consumer: &mut Consumer) {
    let mut batch = Batch::default();
    while !batch.ended {
        let came = tokio::time::timeout(TRACKS_MAX, consumer.batch(&mut batch)).await;
        came.expect("something new, or the end");
    }
}

#[tokio::test]
async fn viewers_of_opus_share_one_job_that_makes_aac_and_leaves_pictures_alone() {
    let mut house = House::new(Codec::H264, &Transcode::default());
    house.write(30);
    let (first, second) =
        (house.transcodes.for_flv(&house.source()).await, house.transcodes.for_hls(&house.source()).await);
    assert!(Arc::ptr_eq(&first.broadcast, &second.broadcast));
    assert!(!Arc::ptr_eq(&first.broadcast, &house.source()));
    assert_eq!(house.transcodes.running(&path()), [Codec::Aac]);
    assert_eq!(house.metrics.transcodes.jobs(Codec::Aac).get(), 1);
    let mut consumer = first.broadcast.consumer();
    let (codec, frames) = listen(&mut house, &mut consumer, 40).await;
    assert_eq!(codec, Some(Codec::Aac));
    let pictures = frames.iter().filter(|(id, _)| *id == TrackId::VIDEO);
    assert!(pictures.clone().count() >= 40);
    assert!(pictures.clone().all(|(_, f)| f.payload[..] == [0, 0, 0, 1, 0x65]));
    // Nobody else sees it.
    assert_eq!(house.hub.broadcasts().len(), 1);
    house.transcodes.stop();
    assert!(first.broadcast.is_ended());
}

#[tokio::test]
async fn a_job_ends_after_the_last_listener_and_begins_anew_for_the_next() {
    let idle = crate::config::Span(Duration::from_millis(10));
    let mut house = House::new(Codec::H264, &Transcode { idle, ..Transcode::default() });
    house.write(10);
    let (first, second) =
        (house.transcodes.for_flv(&house.source()).await, house.transcodes.for_flv(&house.source()).await);
    drop(first.lease);
    listen(&mut house, &mut second.broadcast.consumer(), 20).await;
    assert!(!second.broadcast.is_ended(), "somebody still listens");
    drop(second.lease);
    let mut consumer = second.broadcast.consumer();
    ended(&mut consumer).await;
    assert_eq!(house.transcodes.running(&path()), []);
    let third = house.transcodes.for_flv(&house.source()).await;
    assert!(!third.broadcast.is_ended());
    listen(&mut house, &mut third.broadcast.consumer(), 20).await;
    house.transcodes.stop();
}

#[tokio::test]
async fn only_what_players_do_not_know_is_converted() {
    let check = async |video, config: Transcode, flv: bool, hls: bool| {
        let mut house = House::new(video, &config);
        house.write(5);
        let is_whole = |audible: Audible| audible.lease.is_none();
        assert_eq!(!is_whole(house.transcodes.for_flv(&house.source()).await), flv, "{video:?} {config:?}");
        assert_eq!(!is_whole(house.transcodes.for_hls(&house.source()).await), hls, "{video:?} {config:?}");
        assert!(is_whole(house.transcodes.opus(&house.source()).await), "it is Opus already");
        house.transcodes.stop();
    };
    let off = ConvertSound::Off;
    check(Codec::H264, Transcode::default(), true, true).await;
    check(Codec::H265, Transcode::default(), false, true).await;
    check(Codec::Av1, Transcode::default(), false, false).await;
    check(Codec::H264, Transcode { audio_for_flv: off, ..Transcode::default() }, false, true).await;
    check(Codec::H264, Transcode { audio_for_hls: off, ..Transcode::default() }, true, false).await;
}

#[tokio::test]
async fn a_publisher_who_comes_back_and_broken_sound_do_not_end_it() {
    let mut house = House::new(Codec::H264, &Transcode::default());
    house.write(10);
    let audible = house.transcodes.for_flv(&house.source()).await;
    let mut consumer = audible.broadcast.consumer();
    listen(&mut house, &mut consumer, 10).await;
    let whole = std::mem::replace(&mut house.sound, vec![Bytes::from_static(&[0xff; 9])]);
    house.write(5);
    house.sound = whole;
    let again = house.hub.publish(&path(), Collision::Takeover, Instant::now()).expect("the seat");
    house.producer = again;
    house.written += 100;
    let (_, frames) = listen(&mut house, &mut consumer, 30).await;
    assert!(frames.iter().any(|(_, frame)| frame.dts > Timestamp::from_millis(3500)), "it goes on");
    assert!(house.metrics.transcodes.errors.get() >= 5);
    assert!(house.metrics.transcodes.frames(Codec::Aac).get() > 30);
    // The end of the source is the end of what was derived.
    house.hub.end(&path());
    ended(&mut consumer).await;
    house.transcodes.stop();
}

#[tokio::test]
async fn aac_becomes_opus_for_who_needs_it() {
    let mut house = House::of_aac(&Transcode::default());
    house.write(10);
    assert!(house.transcodes.for_flv(&house.source()).await.lease.is_none());
    assert!(house.transcodes.for_hls(&house.source()).await.lease.is_none());
    let audible = house.transcodes.opus(&house.source()).await;
    let (codec, frames) = listen(&mut house, &mut audible.broadcast.consumer(), 30).await;
    assert_eq!(codec, Some(Codec::Opus));
    let sound: Vec<_> = frames.iter().filter(|(id, _)| *id == TrackId::AUDIO).collect();
    let steps = sound.iter().zip(&sound[1..]).map(|((_, a), (_, b))| b.dts.as_micros() - a.dts.as_micros());
    assert!(steps.clone().all(|step| (19_500..20_500).contains(&step)), "{:?}", steps.collect::<Vec<_>>());
    house.transcodes.stop();
}

#[tokio::test]
async fn when_the_threads_are_late_sound_is_left_out_and_pictures_go_on() {
    let mut house = House::new(Codec::H264, &Transcode::default());
    house.write(10);
    let audible = house.transcodes.for_flv(&house.source()).await;
    let mut consumer = audible.broadcast.consumer();
    listen(&mut house, &mut consumer, 10).await;
    house.write_late(20, Duration::from_secs(3));
    let mut pictures = 0;
    let until_dropped = async {
        // The job is behind by what the thread had no time for yet.
        while house.metrics.transcodes.dropped.get() < 20 {
            let (_, frames) = listen(&mut house, &mut consumer, 1).await;
            pictures += frames.iter().filter(|(id, _)| *id == TrackId::VIDEO).count();
        }
        listen(&mut house, &mut consumer, 10).await
    };
    let (_, frames) = tokio::time::timeout(TRACKS_MAX, until_dropped).await.expect("sound is left out");
    pictures += frames.iter().filter(|(id, _)| *id == TrackId::VIDEO).count();
    assert!(pictures >= 20, "only {pictures} pictures");
    assert_eq!(house.metrics.transcodes.dropped.get(), 20, "what comes in time is heard again");
    house.transcodes.stop();
}
