//! Claims about what is measured and what is advised.

use super::*;
use crate::health::meter::Meter;
use bytes::Bytes;
use media::{Frame, Kind, Timestamp};
use std::time::{Duration, Instant};

const MS: Duration = Duration::from_millis(1);

/// A publisher at virtual time: 25 pictures a second, 50 frames of sound.
struct Encoder {
    meter: Meter,
    start: Instant,
    at_ms: u64,
    keyframe_every_ms: u64,
    picture_bytes: usize,
    picture_every_ms: u64,
    /// Pairs of pictures change places in decode order.
    b_frames: bool,
    sound: bool,
    pictures: bool,
    /// How much later than its time a frame comes.
    delay_ms: fn(u64) -> u64,
}

impl Encoder {
    fn new() -> Encoder {
        let start = testkit::epoch();
        let mut meter = Meter::new(start);
        meter.seated(start);
        meter.announced(Kind::Video);
        meter.announced(Kind::Audio);
        Encoder {
            meter,
            start,
            at_ms: 0,
            keyframe_every_ms: 2000,
            picture_bytes: 5000,
            picture_every_ms: 40,
            b_frames: false,
            sound: true,
            pictures: true,
            delay_ms: |_| 0,
        }
    }

    fn now(&self) -> Instant {
        self.start + MS * u32::try_from(self.at_ms).unwrap()
    }

    fn run(&mut self, seconds: u64) {
        let end = self.at_ms + seconds * 1000;
        while self.at_ms < end {
            let now = self.now() + MS * u32::try_from((self.delay_ms)(self.at_ms)).unwrap();
            if self.pictures && self.at_ms.is_multiple_of(self.picture_every_ms) {
                let keyframe = self.at_ms.is_multiple_of(self.keyframe_every_ms);
                let dts = Timestamp::from_millis(self.at_ms as i64);
                let number = self.at_ms / self.picture_every_ms;
                let later = if self.b_frames { [80, 120, 40][(number % 3) as usize] } else { 0 };
                let pts = dts + MS * later;
                let payload = Bytes::from(vec![0; self.picture_bytes]);
                self.meter.frame(Kind::Video, &Frame { dts, pts, keyframe, payload }, now);
            }
            if self.sound && self.at_ms.is_multiple_of(20) {
                let dts = Timestamp::from_millis(self.at_ms as i64);
                let payload = Bytes::from_static(&[0; 250]);
                self.meter.frame(Kind::Audio, &Frame { dts, pts: dts, keyframe: true, payload }, now);
            }
            self.at_ms += 20;
        }
    }

    fn health(&self) -> Health {
        self.meter.clone().health(self.now())
    }

    fn codes(&self) -> Vec<AdviceCode> {
        advice(&self.health()).into_iter().map(|a| a.code).collect()
    }
}

#[test]
fn a_usual_publisher_is_measured_right_and_gets_no_advice() {
    let mut encoder = Encoder::new();
    encoder.meter.promised(Promise { video: true, audio: true, frames_per_s: Some(25.0) });
    encoder.run(90);
    let health = encoder.health();
    assert_eq!(health.video.frames_per_s, Some(25.0));
    assert_eq!(health.video.frames_per_s_nominal, Some(25.0));
    assert_eq!(health.video.bits_per_s, Some(1_000_000.0));
    assert_eq!(health.audio.bits_per_s, Some(100_000.0));
    assert_eq!(health.video.variation, Some(0.0));
    assert_eq!(health.video.seconds, vec![1_000_000; 60]);
    assert_eq!(health.groups.last, Some(Duration::from_secs(2)));
    assert_eq!((health.groups.last_frames, health.groups.longest_frames, health.groups.count), (50, 50, 16));
    assert_eq!(health.groups.mean, Some(Duration::from_secs(2)));
    assert_eq!((health.b_frames, health.repairs, health.reconnects), (false, 0, 0));
    assert_eq!((health.video.jitter, health.video.late), (Duration::ZERO, 0));
    assert_eq!(advice(&health), []);
}

#[test]
fn keyframes_ten_seconds_apart_are_told_with_the_setting_to_change() {
    let mut encoder = Encoder::new();
    encoder.keyframe_every_ms = 10_000;
    encoder.run(35);
    let told = advice(&encoder.health());
    assert_eq!(told.len(), 1);
    assert_eq!((told[0].code, told[0].severity), (AdviceCode::KeyframesRare, Severity::Warning));
    assert!(told[0].text.contains("10.0 s apart"), "{}", told[0].text);
    assert!(told[0].text.contains("Settings → Output → Keyframe Interval"), "{}", told[0].text);
    assert!(told[0].text.contains("-g 50"), "25 pictures a second: {}", told[0].text);
}

#[test]
fn the_only_keyframe_of_a_broadcast_is_missed_before_the_next_one_comes() {
    let mut encoder = Encoder::new();
    encoder.keyframe_every_ms = 3_600_000;
    encoder.run(4);
    assert_eq!(encoder.codes(), []);
    encoder.run(8);
    let told = advice(&encoder.health());
    assert_eq!((told[0].code, told[0].severity), (AdviceCode::KeyframesRare, Severity::Problem));
}

#[test]
fn keyframes_at_scene_changes_are_uneven_and_many_keyframes_are_a_waste() {
    let mut encoder = Encoder::new();
    encoder.keyframe_every_ms = 1000;
    encoder.run(20);
    encoder.keyframe_every_ms = 3000;
    encoder.run(8);
    assert_eq!(encoder.health().groups.gaps_lately, 2);
    assert_eq!(encoder.codes(), [AdviceCode::KeyframesIrregular]);
    encoder.keyframe_every_ms = 200;
    encoder.run(65);
    assert_eq!(encoder.codes(), [AdviceCode::KeyframesFrequent]);
}

#[test]
fn b_frames_are_seen_by_their_order_and_not_by_a_constant_offset() {
    let mut encoder = Encoder::new();
    encoder.b_frames = true;
    encoder.run(6);
    assert!(encoder.health().b_frames);
    assert_eq!(encoder.health().reorder, MS * 120);
    assert_eq!(encoder.codes(), [AdviceCode::BFrames]);

    let mut meter = Meter::new(encoder.start);
    meter.seated(encoder.start);
    for n in 0..100 {
        let dts = Timestamp::from_millis(n * 40);
        let frame =
            Frame { dts, pts: dts + MS * 80, keyframe: n % 50 == 0, payload: Bytes::from_static(b"x") };
        meter.frame(Kind::Video, &frame, encoder.start);
    }
    assert!(!meter.health(encoder.start).b_frames);
}

#[test]
fn a_publisher_that_sends_fewer_pictures_than_it_says_is_told() {
    let mut encoder = Encoder::new();
    encoder.meter.promised(Promise { video: true, audio: true, frames_per_s: Some(60.0) });
    encoder.run(8);
    assert_eq!(encoder.codes(), [], "not before ten seconds");
    encoder.run(8);
    let told = advice(&encoder.health());
    assert_eq!((told[0].code, told[0].severity), (AdviceCode::FrameRateLow, Severity::Problem));
    assert!(told[0].text.contains("25.0 of 60"), "{}", told[0].text);
}

#[test]
fn a_bitrate_that_jumps_every_other_second_has_a_variation() {
    let mut encoder = Encoder::new();
    for _ in 0..20 {
        encoder.picture_bytes = 9000;
        encoder.run(1);
        encoder.picture_bytes = 1000;
        encoder.run(1);
    }
    let variation = encoder.health().video.variation.unwrap();
    assert!((variation - 0.8).abs() < 0.01, "{variation}");
    assert_eq!(encoder.codes(), [AdviceCode::BitRateUnsteady]);
}

#[test]
fn sound_that_stops_is_missed_after_two_seconds_and_forgiven_when_it_comes_back() {
    let mut encoder = Encoder::new();
    encoder.run(5);
    encoder.sound = false;
    encoder.run(1);
    assert_eq!(encoder.codes(), []);
    encoder.run(2);
    let told = advice(&encoder.health());
    assert_eq!((told[0].code, told[0].severity), (AdviceCode::AudioMissing, Severity::Problem));
    assert!(told[0].text.contains("stopped 3 s ago"), "{}", told[0].text);
    encoder.sound = true;
    encoder.run(1);
    assert_eq!(encoder.codes(), []);
}

#[test]
fn pictures_that_were_promised_and_never_come_are_missed() {
    let start = testkit::epoch();
    let mut encoder = Encoder::new();
    encoder.meter = Meter::new(start);
    (encoder.start, encoder.pictures) = (start, false);
    encoder.meter.seated(start);
    encoder.run(5);
    assert_eq!(encoder.codes(), [], "sound alone was promised");
    encoder.meter.promised(Promise { video: true, audio: true, frames_per_s: None });
    assert_eq!(encoder.health().video.presence, Presence::Promised);
    assert_eq!(encoder.codes(), [AdviceCode::VideoMissing]);
}

#[test]
fn a_connection_that_carries_nothing_is_one_advice_and_not_two() {
    let mut encoder = Encoder::new();
    encoder.run(3);
    (encoder.sound, encoder.pictures) = (false, false);
    encoder.run(3);
    assert_eq!(encoder.codes(), [AdviceCode::NothingComes]);
    encoder.meter.left();
    assert_eq!(encoder.codes(), [], "nobody to tell");
}

#[test]
fn frames_that_gather_on_the_way_are_late() {
    let mut encoder = Encoder::new();
    // Every five seconds the network stops for a second and a half.
    encoder.delay_ms = |at| 1500u64.saturating_sub(at % 5000);
    encoder.run(30);
    let health = encoder.health();
    assert!(health.video.late > 100, "{health:?}");
    assert_eq!(health.video.lateness, MS * 1500);
    assert!(health.video.jitter > Duration::ZERO);
    let told = advice(&health);
    assert_eq!((told[0].code, told[0].severity), (AdviceCode::ArrivalsLate, Severity::Warning));
    encoder.delay_ms = |_| 0;
    encoder.run(62);
    assert_eq!(encoder.health().video.late, 0, "a minute later it is forgotten");
}

#[test]
fn a_delay_that_stays_is_not_late_for_ever() {
    let mut encoder = Encoder::new();
    encoder.run(10);
    encoder.delay_ms = |_| 900;
    encoder.run(90);
    assert_eq!(encoder.health().video.late, 0);
}

#[test]
fn mended_timestamps_and_reconnects_are_told_for_a_minute() {
    let mut encoder = Encoder::new();
    encoder.run(2);
    encoder.meter.repaired(3, encoder.now());
    for _ in 0..2 {
        encoder.meter.left();
        encoder.meter.seated(encoder.now());
        encoder.run(2);
    }
    assert_eq!(encoder.codes(), [AdviceCode::TimestampsMended, AdviceCode::Reconnecting]);
    let health = encoder.health();
    assert_eq!((health.repairs, health.reconnects), (3, 2));
    encoder.run(61);
    assert_eq!(encoder.codes(), []);
    assert_eq!(encoder.health().repairs, 3);
}

#[test]
fn a_publisher_who_comes_back_without_sound_is_told() {
    let mut encoder = Encoder::new();
    encoder.run(3);
    encoder.meter.left();
    encoder.meter.seated(encoder.now());
    encoder.sound = false;
    encoder.run(3);
    let told = advice(&encoder.health());
    assert_eq!(told[0].code, AdviceCode::AudioMissing);
    assert!(told[0].text.contains("since the publisher came back"), "{}", told[0].text);
}

#[test]
fn every_code_has_a_name_of_its_own() {
    let names: std::collections::HashSet<_> = AdviceCode::ALL.iter().map(|c| c.as_str()).collect();
    assert_eq!(names.len(), AdviceCode::ALL.len());
}

#[test]
fn fuzz_figures_stay_finite_whatever_comes() {
    let mut random = testkit::Random::seeded(31);
    for _ in 0..2000 {
        let start = testkit::epoch();
        let mut meter = Meter::new(start);
        let mut now = start;
        for _ in 0..random.below(60) {
            now += Duration::from_micros([0, 40_000, 3_000_000, 400_000_000_000][random.below(4)]);
            let extreme = [i64::MIN, i64::MAX, 0, 1, -1, 5_000_000][random.below(6)];
            let time = |random: &mut testkit::Random| match random.below(3) {
                0 => Timestamp::from_micros(extreme),
                1 => Timestamp::from_micros(random.next_u64() as i64),
                _ => Timestamp::from_millis(random.below(100_000) as i64),
            };
            match random.below(8) {
                0 => meter.seated(now),
                1 => meter.left(),
                2 => meter.repaired(random.next_u64() >> 8, now),
                3 => {
                    let frames_per_s = [None, Some(f64::NAN), Some(-1.0), Some(1e300)][random.below(4)];
                    meter.promised(Promise { video: true, audio: random.below(2) == 0, frames_per_s });
                }
                _ => {
                    let (dts, pts) = (time(&mut random), time(&mut random));
                    let kind = [Kind::Video, Kind::Audio][random.below(2)];
                    let payload = Bytes::from(vec![0; random.below(2000)]);
                    meter.frame(kind, &Frame { dts, pts, keyframe: random.below(2) == 0, payload }, now);
                }
            }
        }
        let health = meter.clone().health(now);
        let figures = [&health.video, &health.audio].map(|f| {
            [f.bits_per_s, f.variation, f.frames_per_s, f.frames_per_s_nominal].into_iter().flatten()
        });
        assert!(figures.into_iter().flatten().all(f64::is_finite), "{health:?}");
        assert!(health.video.seconds.len() <= 60 && health.groups.mean_frames.is_finite());
        assert!(advice(&health).len() <= AdviceCode::ALL.len());
    }
}

#[test]
fn a_broadcast_carries_no_more_than_a_few_kilobytes_of_figures() {
    assert!(std::mem::size_of::<Meter>() < 4096, "{}", std::mem::size_of::<Meter>());
}
