//! What encoders do to time, and what viewers get.

use super::*;
use testkit::Random;

/// Feeds `(track, raw ms)` at the real time `at` ms; returns the mapped milliseconds.
fn run(frames: &[(Kind, u32, u64)]) -> (Vec<i64>, Repairs) {
    let start = testkit::epoch();
    let mut timeline = Timeline::new(Timestamp::ZERO);
    let out = frames
        .iter()
        .map(|(kind, raw, at)| timeline.map(*kind, *raw, start + Duration::from_millis(*at)).as_millis())
        .collect();
    (out, timeline.repairs())
}

#[test]
fn time_begins_at_zero_wherever_the_encoder_does() {
    let (out, repairs) =
        run(&[(Kind::Video, 90_000, 0), (Kind::Audio, 90_021, 5), (Kind::Video, 90_033, 33)]);
    assert_eq!((out, repairs.total()), (vec![0, 21, 33], 0));
}

#[test]
fn a_timeline_that_goes_on_keeps_the_times_as_they_are() {
    let (now, mut timeline) = (testkit::epoch(), Timeline::going_on());
    let frames = [(Kind::Audio, 90_021), (Kind::Video, 90_000), (Kind::Audio, 90_044), (Kind::Video, 90_033)];
    for (kind, raw) in frames {
        assert_eq!(timeline.map(kind, raw, now).as_millis(), i64::from(raw));
    }
    assert_eq!(timeline.repairs().total(), 0);
}

#[test]
fn a_wrap_is_no_jump() {
    let (out, repairs) = run(&[
        (Kind::Video, u32::MAX - 10, 0),
        (Kind::Audio, u32::MAX - 5, 0),
        (Kind::Video, 22, 33),
        (Kind::Audio, 16, 33),
    ]);
    assert_eq!((out, repairs.wraps, repairs.jumps), (vec![0, 5, 33, 27], 2, 0));
}

#[test]
fn a_reset_of_both_tracks_goes_on_in_real_time_and_in_sync() {
    let (out, repairs) = run(&[
        (Kind::Video, 100_000, 0),
        (Kind::Audio, 100_010, 10),
        (Kind::Video, 0, 40),
        (Kind::Audio, 10, 50),
        (Kind::Video, 33, 73),
    ]);
    assert_eq!((out, repairs.jumps), (vec![0, 10, 40, 50, 73], 2));
}

#[test]
fn tracks_with_different_bases_are_put_together() {
    let (out, _) = run(&[(Kind::Video, 0, 0), (Kind::Audio, 500_000, 5), (Kind::Audio, 500_021, 26)]);
    assert_eq!(out, [0, 0, 21]);
}

#[test]
fn a_long_pause_of_the_publisher_is_real_time() {
    let (out, repairs) = run(&[(Kind::Video, 0, 0), (Kind::Video, 60_000, 60_000)]);
    assert_eq!((out, repairs.jumps), (vec![0, 60_000], 0));
}

#[test]
fn fuzz_time_never_goes_back() {
    let start = testkit::epoch();
    let mut random = Random::seeded(9);
    for _ in 0..300 {
        let mut timeline = Timeline::new(Timestamp::ZERO);
        let mut last = [i64::MIN; 2];
        let (mut raw, mut at) = (random.next_u64() as u32, 0);
        for _ in 0..200 {
            at += random.below(100) as u64;
            raw = match random.below(20) {
                0 => random.next_u64() as u32,
                1 => raw.wrapping_sub(random.below(2000) as u32),
                _ => raw.wrapping_add(random.below(60) as u32),
            };
            let track = random.below(2);
            let kind = [Kind::Video, Kind::Audio][track];
            let out = timeline.map(kind, raw, start + Duration::from_millis(at)).as_micros();
            assert!(out >= last[track], "{out} after {}", last[track]);
            last[track] = out;
        }
    }
}

/// Sound and pictures of an encoder whose timestamps go at these paces for `seconds` of real time.
struct Drifting {
    /// The furthest that the tracks ever were apart, in ms.
    apart_max: i64,
    /// How far they were apart in the end.
    apart: i64,
    /// How far the pictures are ahead of real time in the end.
    ahead: i64,
    /// The largest step of each track.
    step_max: [i64; 2],
    repairs: Repairs,
}

fn drifting(video_percent: u64, audio_percent: u64, seconds: u64) -> Drifting {
    let start = testkit::epoch();
    let mut timeline = Timeline::new(Timestamp::ZERO);
    let (mut last, mut next) = ([0, 0], [0, 0]);
    let mut out =
        Drifting { apart_max: 0, apart: 0, ahead: 0, step_max: [0; 2], repairs: Repairs::default() };
    loop {
        // 25 pictures a second; sound of 1024 samples at 48 kHz.
        let due = [next[0] * 40, next[1] * 1024 / 48];
        let track = usize::from(due[1] < due[0]);
        let at = due[track];
        if at >= seconds * 1000 {
            break;
        }
        next[track] += 1;
        let raw = at * [video_percent, audio_percent][track] / 100;
        let kind = [Kind::Video, Kind::Audio][track];
        let time = timeline.map(kind, 7_000_000 + raw as u32, start + Duration::from_millis(at)).as_millis();
        assert!(time >= last[track], "{kind:?} goes back at {at} ms: {time} after {}", last[track]);
        out.step_max[track] = out.step_max[track].max(time - last[track]);
        last[track] = time;
        out.apart = last[0] - last[1];
        out.apart_max = out.apart_max.max(out.apart.abs());
        out.ahead = last[0] - at as i64;
    }
    Drifting { repairs: timeline.repairs(), ..out }
}

#[test]
fn a_healthy_encoder_is_never_touched() {
    let out = drifting(100, 100, 3600);
    assert_eq!((out.repairs.total(), out.step_max), (0, [40, 22]));
    // What a wrong clock of a sound card does in an evening: some parts in ten thousand are no drift yet.
    let start = testkit::epoch();
    let mut timeline = Timeline::new(Timestamp::ZERO);
    for i in 0..100_000_u64 {
        let now = start + Duration::from_millis(i * 40);
        assert_eq!(timeline.map(Kind::Video, i as u32 * 40, now).as_millis(), i as i64 * 40);
        let raw = i * 40 + i * 40 / 10_000;
        assert_eq!(timeline.map(Kind::Audio, raw as u32, now).as_millis(), raw as i64);
    }
    assert_eq!(timeline.repairs().total(), 0);
}

#[test]
fn pictures_that_wait_in_the_encoders_queue_are_no_drift() {
    // Sound goes first over a narrow network; pictures are up to two seconds late, and their times are right.
    let late = |i: u32| u64::from(i.saturating_sub(250).min(50).min(800_u32.saturating_sub(i)) * 40);
    let mut frames: Vec<_> = (0..1000).map(|i| (Kind::Video, i * 40, u64::from(i) * 40 + late(i))).collect();
    frames.extend((0..1000).map(|i| (Kind::Audio, i * 40, u64::from(i) * 40)));
    frames.sort_by_key(|f| f.2);
    let (out, repairs) = run(&frames);
    assert_eq!(repairs.total(), 0);
    assert!(out.iter().zip(&frames).all(|(out, (_, raw, _))| *out == i64::from(*raw)));
}

#[test]
fn tracks_that_drift_are_put_together_again_and_counted() {
    for (video, audio) in [(100, 110), (90, 100), (100, 90), (110, 100), (100, 101), (99, 100), (105, 95)] {
        let out = drifting(video, audio, 650);
        let name = format!("pictures at {video} %, sound at {audio} %");
        assert!(out.apart_max <= 3_100, "{name}: {} ms apart", out.apart_max);
        // Three seconds of drift are let pass, twice; then one, as it is known that the clocks differ.
        let known = out.repairs.drifts > 1;
        assert!(out.apart.abs() <= if known { 1_100 } else { 3_100 }, "{name}: {} ms apart", out.apart);
        let drift_seconds = 650 * video.abs_diff(audio) / 100;
        let drifts = out.repairs.drifts;
        assert!((1..=drift_seconds).contains(&drifts), "{name}: {drifts} repairs of {drift_seconds} s");
        assert_eq!(out.repairs.total(), drifts, "{name}: {:?}", out.repairs);
        assert!(out.ahead.abs() <= 3_100, "{name}: the broadcast is {} ms ahead of real time", out.ahead);
    }
}

#[test]
fn one_pause_does_not_make_it_a_drift() {
    // Sound pauses, and goes on where it was. Later pictures are 1.5 s ahead of it, as they may be.
    let mut frames: Vec<_> = (0..50).flat_map(|i| both(i * 40, i * 40)).collect();
    frames.extend((50..200).map(|i| (Kind::Video, i * 40, u64::from(i) * 40)));
    frames.extend((200..300).flat_map(|i| {
        let [video, (_, raw, at)] = both(i * 40, i * 40);
        [video, (Kind::Audio, raw - 6_000, at)]
    }));
    frames.extend((300..600).flat_map(|i| {
        let [(_, raw, at), (_, sound, _)] = both(i * 40, i * 40);
        [(Kind::Video, raw + 1_500, at), (Kind::Audio, sound - 6_000, at)]
    }));
    let (out, repairs) = run(&frames);
    assert_eq!(repairs.drifts, 1);
    assert_eq!(out[out.len() - 2..], [599 * 40 + 1_500, 599 * 40]);
}

#[test]
fn the_track_that_keeps_real_time_is_the_one_that_stays() {
    let check = |video, audio, moved: usize, jumps: bool| {
        let out = drifting(video, audio, 120);
        let usual = [40, 22];
        assert_eq!(out.step_max[1 - moved], usual[1 - moved] + i64::from(moved == 1 && video != 100));
        assert_eq!(out.step_max[moved] > 900, jumps, "{video} % {audio} %: {:?}", out.step_max);
    };
    // What is late jumps forward; what is early can't go back, so it is slowed until the other is there.
    check(100, 90, 1, true);
    check(100, 110, 1, false);
    check(90, 100, 0, true);
    check(110, 100, 0, false);
}

#[test]
fn a_leading_step_of_one_track_is_undone_at_once() {
    let mut frames: Vec<_> = (0..100).flat_map(|i| both(i * 40, i * 40)).collect();
    frames.extend((100..200).flat_map(|i| {
        let [video, (_, raw, at)] = both(i * 40, i * 40);
        [video, (Kind::Audio, raw + 4_000, at)]
    }));
    let (out, repairs) = run(&frames);
    assert_eq!((repairs.drifts, repairs.total()), (1, 1));
    assert_eq!(out[200..202], [4_000, 4_000]);
    assert_eq!(out[398..400], [7_960, 7_960]);
}

#[test]
fn a_track_that_paused_and_goes_on_where_it_was_is_put_beside_the_other() {
    let mut frames: Vec<_> = (0..50).flat_map(|i| both(i * 40, i * 40)).collect();
    frames.extend((50..200).map(|i| (Kind::Video, i * 40, u64::from(i) * 40)));
    frames.extend((200..250).flat_map(|i| {
        let [video, (_, raw, at)] = both(i * 40, i * 40);
        [video, (Kind::Audio, raw - 6_000, at)]
    }));
    let (out, repairs) = run(&frames);
    assert_eq!((repairs.drifts, repairs.total()), (1, 1));
    assert_eq!(out[out.len() - 2..], [9_960, 9_960]);
}

/// A picture and sound of the same time.
fn both(raw: u32, at: u32) -> [(Kind, u32, u64); 2] {
    [(Kind::Video, raw, at.into()), (Kind::Audio, raw, at.into())]
}

#[test]
fn fuzz_drift_of_any_pace_ends_close_together_and_never_goes_back() {
    let mut random = Random::seeded(12);
    for _ in 0..60 {
        let paces = [80 + random.below(41) as u64, 80 + random.below(41) as u64];
        let out = drifting(paces[0], paces[1], 200);
        assert!(out.apart_max <= 3_200, "{paces:?}: {} ms apart", out.apart_max);
        assert!(
            out.apart.abs() <= if out.repairs.drifts < 2 { 3_100 } else { 1_100 },
            "{paces:?}: {}",
            out.apart
        );
        assert!(
            out.repairs.drifts <= 200 * paces[0].abs_diff(paces[1]) / 100,
            "{paces:?}: {:?}",
            out.repairs
        );
    }
}
