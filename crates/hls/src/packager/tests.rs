//! The points of the LL-HLS server profile, each as a test, over broadcasts of several shapes.

use super::*;
use crate::show::{AVCC, Show, audio, check_snapshot, playlist, video};
use crate::{Answer, Position, Request};
use bytes::Bytes;
use media::Codec;
use std::time::UNIX_EPOCH;

fn attribute(line: &str, name: &str) -> f64 {
    let rest = line.split(&format!("{name}=")).nth(1).unwrap_or_else(|| panic!("no {name} in {line}"));
    rest.split(',').next().unwrap().parse().unwrap()
}

/// All (duration, independent) of parts by URI, over all snapshots.
fn parts_of(show: &Show, role: Role) -> Vec<(String, f64, bool)> {
    let mut parts: Vec<(String, f64, bool)> = Vec::new();
    for snapshot in
        show.snapshots.iter().filter(|s| matches!(s.answer(&Request::Multivariant), Answer::Playlist { .. }))
    {
        for line in playlist(snapshot, role, false).lines().filter(|l| l.starts_with("#EXT-X-PART:")) {
            let uri = line.split('"').nth(1).unwrap().to_owned();
            if parts.iter().all(|p| p.0 != uri) {
                parts.push((uri, attribute(line, "DURATION"), line.contains("INDEPENDENT=YES")));
            }
        }
    }
    parts
}

#[test]
fn point_1_version_and_server_control() {
    let show = Show::new(30, 60).play(30);
    let text = playlist(&show.packager.snapshot(), Role::Video, false);
    let line = |prefix: &str| text.lines().find(|l| l.starts_with(prefix)).unwrap().to_owned();
    assert!(line("#EXT-X-VERSION:")["#EXT-X-VERSION:".len()..].parse::<u32>().unwrap() >= 9);
    let control = line("#EXT-X-SERVER-CONTROL:");
    assert!(control.contains("CAN-BLOCK-RELOAD=YES"));
    let part_target = attribute(&line("#EXT-X-PART-INF:"), "PART-TARGET");
    assert!(attribute(&control, "PART-HOLD-BACK") >= 3.0 * part_target);
    let target: f64 = line("#EXT-X-TARGETDURATION:")["#EXT-X-TARGETDURATION:".len()..].parse().unwrap();
    assert!(attribute(&control, "CAN-SKIP-UNTIL") >= 6.0 * target);
    for extinf in text.lines().filter_map(|l| l.strip_prefix("#EXTINF:")) {
        assert!(extinf.trim_end_matches(',').parse::<f64>().unwrap().round() <= target);
    }
}

/// The part target that is announced, and the same in all playlists.
fn part_target_of(show: &Show) -> f64 {
    let mut found = Vec::new();
    for snapshot in
        show.snapshots.iter().filter(|s| matches!(s.answer(&Request::Multivariant), Answer::Playlist { .. }))
    {
        for role in [Role::Video, Role::Audio] {
            let text = playlist(snapshot, role, false);
            found.push(attribute(
                text.lines().find(|l| l.starts_with("#EXT-X-PART-INF:")).unwrap(),
                "PART-TARGET",
            ));
        }
    }
    assert!(found.windows(2).all(|pair| pair[0] == pair[1]), "it changed: {found:?}");
    found[0]
}

#[test]
fn point_2_parts_have_the_target_duration_and_tell_where_they_are_independent() {
    for (fps, group, expect) in [
        (30, 60, 0.5),
        (30, 45, 0.5),
        (25, 50, 0.5),
        (24, 48, 0.5),
        (15, 30, 0.5),
        (60, 120, 0.5),
        (24, 240, 0.5),
        (12, 24, 0.501),
        (5, 10, 0.4),
        (3, 6, 0.334),
        (1, 2, 1.0),
    ] {
        let show = Show::new(fps, group).play(if fps == 1 { 60 } else { 32 });
        let target = part_target_of(&show);
        assert_eq!(target, expect, "{fps} fps");
        for role in [Role::Video, Role::Audio] {
            let parts = parts_of(&show, role);
            assert!(parts.len() > 50, "{fps} fps: {} parts", parts.len());
            for pair in parts.windows(2) {
                let (uri, duration, _) = &pair[0];
                let last_of_segment = pair[1].0.ends_with("-0.m4s");
                assert!(*duration <= target, "{fps} fps {uri}: {duration}");
                assert!(last_of_segment || *duration >= 0.85 * target, "{fps} fps {uri}: {duration}");
            }
            for (uri, _, independent) in &parts {
                // A group of 1.5 s has its second keyframe at the start of the fourth part, too.
                let keyframe_inside = group == 45 && uri.ends_with("-3.m4s");
                let expected = role == Role::Audio || uri.ends_with("-0.m4s") || keyframe_inside;
                assert_eq!(*independent, expected, "{fps} fps {uri}");
            }
        }
        show.snapshots.iter().step_by(8).for_each(|snapshot| {
            check_snapshot(snapshot);
        });
    }
}

/// Decode time of the first frame and of the end, in 90 kHz, as a fragment itself tells.
fn span(fragment: &[u8]) -> (u64, u64) {
    let at = |name: &[u8]| fragment.windows(4).position(|w| w == name).unwrap() + 8;
    let word = |at: usize| u64::from(u32::from_be_bytes(fragment[at..at + 4].try_into().unwrap()));
    let (start, run) = (at(b"tfdt"), at(b"trun"));
    let start = (word(start) << 32) | word(start + 4);
    // Count and offset, then 16 bytes a frame, of which the first four are its duration.
    let durations = (0..word(run) as usize).map(|i| word(run + 8 + 16 * i));
    (start, start + durations.sum::<u64>())
}

/// Pictures that come after these pauses, in ms, with a keyframe every 40; all parts that were listed.
fn paused(steps: impl Iterator<Item = usize>) -> (Packager, Vec<Bytes>) {
    let mut packager = Packager::new(Config::default());
    packager.tracks(&[video()]);
    let (mut at, mut position, mut parts) = (0, (0, 0), Vec::new());
    for (i, step) in steps.enumerate() {
        let dts = Timestamp::from_millis(at);
        let frame = Frame { dts, pts: dts, keyframe: i % 40 == 0, payload: Bytes::from_static(b"x") };
        let news = packager.frame(TrackId::VIDEO, &frame, UNIX_EPOCH);
        let snapshot = packager.snapshot();
        if news {
            check_snapshot(&snapshot);
        }
        loop {
            let (msn, part) = position;
            match snapshot.answer(&Request::Part { role: Role::Video, msn, part }) {
                Answer::Media(bytes) => {
                    parts.push(bytes);
                    position = (msn, part + 1);
                }
                // Another segment has begun.
                Answer::NotFound => position = (msn + 1, 0),
                _ => break,
            }
        }
        at += step as i64;
    }
    (packager, parts)
}

#[test]
fn gaps_between_pictures_break_no_promise_and_leave_no_hole() {
    let mut random = testkit::Random::seeded(21);
    for _ in 0..8 {
        let steps = (0..300).map(|i| match random.below(30) {
            0 if i > 60 => 400 + random.below(7000),
            1 | 2 => 90 + random.below(200),
            _ => 30 + random.below(8),
        });
        // Every playlist was checked as it came.
        let (_, parts) = paused(steps);
        assert!(parts.len() > 30);
        for pair in parts.windows(2) {
            assert_eq!(span(&pair[0]).1, span(&pair[1]).0, "the frame before a gap lasts until the next one");
        }
    }
}

#[test]
fn slides_make_parts_of_one_frame_each_of_their_own_duration() {
    let (packager, parts) = paused(std::iter::repeat_n(2500, 100));
    assert!(parts.iter().all(|part| span(part).1 - span(part).0 == 225_000));
    let text = playlist(&packager.snapshot(), Role::Video, false);
    assert!(text.contains("PART-HOLD-BACK=7.500,") && text.contains("PART-TARGET=2.500\n"), "{text}");
    assert!(text.contains("#EXT-X-PART:DURATION=2.50000,"), "{text}");
}

#[test]
fn point_3_blocking_requests_wait_and_absurd_ones_are_refused() {
    let show = Show::new(30, 60).play(9);
    let snapshot = show.packager.snapshot();
    let ask = |msn, part| {
        let block = Some(Position { msn, part });
        snapshot.answer(&Request::Playlist { role: Role::Video, block, skip: false })
    };
    // Segments 0 to 3 are complete; of segment 4, some parts.
    assert!(matches!(ask(3, None), Answer::Playlist { .. }));
    assert!(matches!(ask(4, None), Answer::Wait));
    assert!(matches!(ask(4, Some(0)), Answer::Playlist { .. }));
    assert!(matches!(ask(4, Some(3)), Answer::Wait));
    assert!(
        matches!(ask(3, Some(99)), Answer::Playlist { .. }),
        "a part beyond the end is the next segment's first"
    );
    assert!(matches!(ask(6, Some(0)), Answer::Wait));
    assert!(matches!(ask(7, None), Answer::BadRequest(_)));
    assert_eq!(snapshot.hold_max(), Duration::from_secs(6));
}

#[test]
fn point_3_skipping_leaves_old_segments_out() {
    let show = Show::new(30, 60).play(40);
    let snapshot = show.packager.snapshot();
    let (full, delta) = (playlist(&snapshot, Role::Video, false), playlist(&snapshot, Role::Video, true));
    let skipped = delta.lines().find_map(|l| l.strip_prefix("#EXT-X-SKIP:SKIPPED-SEGMENTS=")).unwrap();
    let count = |text: &str| text.matches("#EXTINF:").count();
    assert_eq!(count(&full), count(&delta) + skipped.parse::<usize>().unwrap());
    assert!(skipped.parse::<usize>().unwrap() > 0);
}

#[test]
fn point_4_the_hinted_part_waits_and_is_the_part_that_is_listed_later() {
    let show = Show::new(30, 60).play(20);
    let mut hinted = 0;
    for pair in show.snapshots.windows(2) {
        let Answer::Playlist { .. } = pair[0].answer(&Request::Multivariant) else { continue };
        let text = playlist(&pair[0], Role::Video, false);
        let hint = text.lines().find(|l| l.starts_with("#EXT-X-PRELOAD-HINT")).unwrap();
        let uri = format!("video/{}", hint.split('"').nth(1).unwrap());
        let request = Request::parse(&uri, None).unwrap();
        assert!(matches!(pair[0].answer(&request), Answer::Wait), "{uri} must wait");
        if let Answer::Media(first) = pair[1].answer(&request) {
            let Answer::Media(later) = show.packager.snapshot().answer(&request) else { continue };
            assert_eq!(first, later, "{uri}");
            hinted += 1;
        }
    }
    assert!(hinted > 10);
}

#[test]
fn point_4_a_segment_is_its_parts_one_after_another() {
    let show = Show::new(30, 60).play(12);
    let snapshot = show.packager.snapshot();
    let Answer::Media(segment) = snapshot.answer(&Request::Segment { role: Role::Video, msn: 4 }) else {
        panic!()
    };
    let parts: Vec<Bytes> = (0..4)
        .map(|part| match snapshot.answer(&Request::Part { role: Role::Video, msn: 4, part }) {
            Answer::Media(bytes) => bytes,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(segment, parts.concat());
}

#[test]
fn point_5_renditions_report_each_other_and_share_numbers_and_dates() {
    let show = Show::new(30, 60).play(21);
    let snapshot = show.packager.snapshot();
    let (video, audio) = (playlist(&snapshot, Role::Video, false), playlist(&snapshot, Role::Audio, false));
    assert!(video.contains("#EXT-X-RENDITION-REPORT:URI=\"../audio/index.m3u8\",LAST-MSN=10,LAST-PART="));
    assert!(audio.contains("#EXT-X-RENDITION-REPORT:URI=\"../video/index.m3u8\",LAST-MSN=10,LAST-PART="));
    let line = |text: &str, prefix: &str| text.lines().find(|l| l.starts_with(prefix)).unwrap().to_owned();
    assert_eq!(line(&video, "#EXT-X-MEDIA-SEQUENCE"), line(&audio, "#EXT-X-MEDIA-SEQUENCE"));
    assert!(
        line(&video, "#EXT-X-PROGRAM-DATE-TIME").starts_with("#EXT-X-PROGRAM-DATE-TIME:2026-11-23T00:00:0")
    );
    assert_eq!(video.matches("#EXT-X-PROGRAM-DATE-TIME").count(), video.matches("#EXTINF").count() + 1);
}

/// A process that takes over fetches the newest group, which comes all at once.
#[test]
fn dates_are_right_although_the_first_frames_came_late() {
    let date = |joined_at| {
        let show = Show { joined_at, ..Show::new(30, 60) }.play(8);
        let video = playlist(&show.packager.snapshot(), Role::Video, false);
        video.lines().find(|l| l.starts_with("#EXT-X-PROGRAM-DATE-TIME")).unwrap().to_owned()
    };
    assert_eq!(date(0), "#EXT-X-PROGRAM-DATE-TIME:2026-11-23T00:00:00.000Z");
    assert_eq!(date(1), date(0));
}

#[test]
fn point_6_old_parts_leave_the_list_and_playlists_are_compressed() {
    let show = Show::new(30, 60).play(40);
    let snapshot = show.packager.snapshot();
    let text = playlist(&snapshot, Role::Video, false);
    let parts = text.matches("#EXT-X-PART:").count();
    assert!(
        (8..12).contains(&parts),
        "{parts} parts of 0.5 s in the last two segments of 2 s and a growing one"
    );
    let request = Request::Playlist { role: Role::Video, block: None, skip: false };
    let Answer::Playlist { text, .. } = snapshot.answer(&request) else { panic!() };
    assert!(text.gzip.len() * 2 < text.plain.len());
}

#[test]
fn point_7_a_changed_decoder_makes_a_discontinuity_and_a_new_init_segment() {
    let mut show = Show::new(30, 60).play(9);
    let mut changed = video();
    changed.config =
        Bytes::from_static(&[1, 0x64, 0, 0x1f, 0xff, 0xe1, 0, 2, 0x67, 0x64, 1, 0, 2, 0x68, 0xeb]);
    show.packager.tracks(&[changed, audio()]);
    show.next_video = (show.next_video + 59) / 60 * 60;
    let show = show.play(16);
    let text = playlist(&show.packager.snapshot(), Role::Video, false);
    assert_eq!(text.matches("#EXT-X-DISCONTINUITY\n").count(), 1);
    assert!(text.contains("init-0.mp4") && text.contains("init-1.mp4"));
    let audio = playlist(&show.packager.snapshot(), Role::Audio, false);
    assert_eq!(audio.matches("#EXT-X-DISCONTINUITY\n").count(), 1, "both renditions start anew together");
    let sequence =
        |text: &str| text.lines().find(|l| l.starts_with("#EXT-X-MEDIA-SEQUENCE")).map(str::to_owned);
    assert_eq!(sequence(&text), sequence(&audio));
}

/// Checks all playlists of a broadcast that has a break, a changed decoder and an end; most in one snapshot.
fn check_to_the_end(tracks: &[Track], changed: &[Track], fps: i64, group: i64) -> usize {
    let next_group = |show: &mut Show| show.next_video = (show.next_video + group - 1) / group * group;
    let ask = |show: &Show| drop(show.packager.snapshot().answer(&Request::TsPlaylist));
    let mut show = Show::of(tracks, fps, group);
    for until in 1..12 {
        ask(&show);
        show = show.play(until * 3);
        match until {
            4 => show.packager.resumed(),
            8 => show.packager.tracks(changed),
            _ => continue,
        }
        next_group(&mut show);
    }
    show.packager.end();
    show.snapshots.push(show.packager.snapshot());
    show.snapshots.iter().step_by(3).map(|snapshot| check_snapshot(snapshot)).max().unwrap_or(0)
}

#[test]
fn a_strict_parser_takes_every_playlist() {
    let track = |id, codec, config: &'static [u8]| Track::new(id, codec, Bytes::from_static(config));
    let other = track(TrackId::VIDEO, Codec::H264, b"\x01\x64\0\x1f\xff\xe1\0\x02\x67\x64\x01\0\x02\x68\xeb");
    let av1 = track(TrackId::VIDEO, Codec::Av1, &[0x81, 0, 0x0c, 0]);
    let opus = track(TrackId::AUDIO, Codec::Opus, b"\x01\x02\0\0\0\0\xbb\x80\0\0\0");
    let other_opus = track(TrackId::AUDIO, Codec::Opus, b"\x01\x01\0\0\0\0\xbb\x80\0\0\0");
    // The multivariant one, two of each rendition, and TS where it can carry the tracks.
    for (fps, group) in [(30, 60), (25, 250), (1, 2), (3, 6)] {
        assert_eq!(check_to_the_end(&[video(), audio()], &[other.clone(), audio()], fps, group), 6);
    }
    assert_eq!(check_to_the_end(&[audio()], &[audio()], 30, 60), 4, "sound alone");
    assert_eq!(check_to_the_end(&[video()], &[other], 30, 60), 4, "pictures alone");
    assert_eq!(check_to_the_end(&[av1.clone(), opus.clone()], &[av1.clone(), other_opus], 30, 60), 6);
    assert_eq!(
        check_to_the_end(std::slice::from_ref(&av1), std::slice::from_ref(&av1), 30, 60),
        3,
        "TS can't carry it"
    );
}

const TAG: &str = "#EXT-X-INDEPENDENT-SEGMENTS\n";

#[test]
fn segments_are_called_independent_only_where_all_that_are_listed_are() {
    let says = |packager: &Packager, role| playlist(&packager.snapshot(), role, false).contains(TAG);
    let mut show = Show::new(30, 60).play(30);
    assert!(says(&show.packager, Role::Video) && says(&show.packager, Role::Audio));
    let Answer::Playlist { text, .. } = show.packager.snapshot().answer(&Request::Multivariant) else {
        panic!()
    };
    assert!(
        !text.plain.windows(TAG.len()).any(|w| w == TAG.as_bytes()),
        "it would be about segments to come"
    );
    // One group of 20 s, then 2 s again.
    show.group = 600;
    let mut show = show.play(43);
    show.group = 60;
    let before = show.snapshots.len();
    let show = show.play(120);
    assert!(!says(&show.packager, Role::Video) && says(&show.packager, Role::Audio));
    for snapshot in &show.snapshots[before..] {
        assert!(!playlist(snapshot, Role::Video, true).contains(TAG), "said again");
    }
    let mut listed = 0;
    for snapshot in &show.snapshots {
        let Answer::Playlist { .. } = snapshot.answer(&Request::Multivariant) else { continue };
        let text = playlist(snapshot, Role::Video, false);
        let dependent =
            |l: &&str| l.contains("-0.m4s\"") && l.starts_with("#EXT-X-PART:") && !l.contains("INDEPENDENT");
        if text.contains(TAG) {
            assert_eq!(text.lines().find(dependent), None);
            listed += 1;
        }
    }
    assert!(listed > 50);
}

#[test]
fn open_groups_are_not_called_independent() {
    let says = |leading: bool| {
        let mut packager = Packager::new(Config::default());
        packager.tracks(&[video()]);
        for i in 0..200 {
            let dts = Timestamp::from_millis(i * 40);
            // Pictures are shown two frames later than they are coded; one behind a keyframe is shown before it.
            let early = leading && i % 50 == 1;
            let pts = Timestamp::from_millis(i * 40 + if early { 20 } else { 80 });
            let frame = Frame { dts, pts, keyframe: i % 50 == 0, payload: Bytes::from_static(b"x") };
            packager.frame(TrackId::VIDEO, &frame, UNIX_EPOCH);
        }
        playlist(&packager.snapshot(), Role::Video, false).contains(TAG)
    };
    assert!(says(false));
    assert!(!says(true));
}

/// Frames at 25 a second, with keyframes at these ones; durations and independence of the segments they make.
fn cut_at(keyframes: &[i64], until: i64) -> Vec<(f64, bool)> {
    let mut packager = Packager::new(Config::default());
    packager.tracks(&[video()]);
    for i in 0..until {
        let dts = Timestamp::from_millis(i * 40);
        let frame =
            Frame { dts, pts: dts, keyframe: keyframes.contains(&i), payload: Bytes::from_static(b"x") };
        packager.frame(TrackId::VIDEO, &frame, UNIX_EPOCH);
    }
    let segments = &packager.video.as_ref().unwrap().segments;
    segments.iter().map(|s| (s.duration.as_secs_f64(), s.parts[0].independent)).collect()
}

#[test]
fn groups_a_little_longer_than_the_target_duration_are_not_cut() {
    // Open groups of HEVC are a frame or two longer or shorter, as pictures are reordered.
    let segments = cut_at(&[0, 50, 101, 150, 202, 260], 300);
    let lengths: Vec<_> = segments.iter().map(|s| s.0).collect();
    assert_eq!(lengths, [2.0, 2.04, 1.96, 2.08, 2.32]);
    assert!(segments.iter().all(|s| s.1));
}

#[test]
fn after_a_cut_without_keyframe_the_next_keyframe_begins_a_segment() {
    // A cut of the scene, then groups of 2 s again.
    let segments = cut_at(&[0, 50, 80, 130, 180, 230], 260);
    assert_eq!(segments, [(2.0, true), (2.48, true), (0.72, false), (2.0, true), (2.0, true)]);
    // Groups of 5 s after one of 2 s.
    let segments = cut_at(&[0, 50, 175, 300, 425], 430);
    let starts: Vec<_> = segments.iter().map(|s| s.1).collect();
    assert_eq!(starts, [true, true, false, false, true, false, false, true, false, false]);
    assert!(segments.iter().all(|s| s.0.round() <= 2.0), "{segments:?}");
}

#[test]
fn captions_inside_the_pictures_are_not_denied() {
    let says_none = |payload: &'static [u8]| {
        let mut packager = Packager::new(Config::default());
        packager.tracks(&[video()]);
        for i in 0..100 {
            let dts = Timestamp::from_millis(i * 40);
            let frame = Frame { dts, pts: dts, keyframe: i % 50 == 0, payload: Bytes::from_static(payload) };
            packager.frame(TrackId::VIDEO, &frame, UNIX_EPOCH);
        }
        let Answer::Playlist { text, .. } = packager.snapshot().answer(&Request::Multivariant) else {
            panic!()
        };
        std::str::from_utf8(&text.plain).unwrap().contains("CLOSED-CAPTIONS=NONE")
    };
    assert!(says_none(&[0, 0, 0, 2, 0x65, 0x88]));
    let captions = b"\0\0\0\x0e\x06\x04\x0b\xb5\0\x31GA94\x03\x41\xff\x80\0\0\0\x02\x65\x88";
    assert!(!says_none(captions));
}

/// First number and count of segments that each rendition lists.
fn numbers(packager: &Packager) -> [(u64, usize); 2] {
    [&packager.video, &packager.audio].map(|r| r.as_ref().map(|r| (r.first_msn, r.segments.len())).unwrap())
}

#[test]
fn a_break_between_the_cuts_of_pictures_and_sound_keeps_their_numbers_together() {
    let show = Show::new(30, 60).play(4);
    let _ = show.packager.snapshot().answer(&Request::TsPlaylist);
    let mut show = show.play(8);
    let keyframe = |at| {
        let dts = Timestamp::from_millis(at);
        Frame { dts, pts: dts, keyframe: true, payload: Bytes::from_static(&[0, 0, 0, 1, 0x65]) }
    };
    show.packager.frame(TrackId::VIDEO, &keyframe(8000), UNIX_EPOCH);
    assert_eq!(numbers(&show.packager), [(0, 4), (0, 3)], "sound is about to be cut");
    show.packager.resumed();
    assert_eq!(numbers(&show.packager), [(0, 4), (0, 4)]);
    let _ = show.packager.snapshot().answer(&Request::TsPlaylist);
    show.next_video = 300;
    show.next_audio = 470;
    let show = show.play(15);
    assert_eq!(numbers(&show.packager), [(0, 6), (0, 6)]);
    let Answer::Playlist { text, .. } = show.packager.snapshot().answer(&Request::TsPlaylist) else {
        panic!()
    };
    let text = String::from_utf8(text.plain.to_vec()).unwrap();
    assert!(text.contains("seg-3.ts\n#EXT-X-DISCONTINUITY\n"), "{text}");
}

#[test]
fn sound_that_paused_before_a_break_goes_on_with_the_number_of_the_pictures() {
    let mut show = Show::new(30, 60).play(4);
    let sound_at = show.next_audio;
    show.next_audio = i64::MAX / 10_000_000;
    let mut show = show.play(9);
    show.packager.resumed();
    (show.next_video, show.next_audio) = (300, sound_at + 280);
    let show = show.play(15);
    let [video, audio] = numbers(&show.packager);
    assert_eq!(video.0 + video.1 as u64, audio.0 + audio.1 as u64);
    assert!(audio.0 > 0 && audio.1 > 0);
}

#[test]
fn the_end_is_told() {
    let mut show = Show::new(30, 60).play(9);
    show.packager.end();
    assert!(playlist(&show.packager.snapshot(), Role::Video, false).ends_with("#EXT-X-ENDLIST\n"));
}

#[test]
fn fuzz_wild_frames_never_panic() {
    let mut random = testkit::Random::seeded(8);
    for _ in 0..200 {
        let mut packager = Packager::new(Config::default());
        packager.tracks(&[video(), audio()]);
        let mut at = 0;
        for _ in 0..200 {
            let step_max = if random.below(20) == 0 { 20_000 } else { 60 };
            at += random.below(step_max) as i64;
            let dts = Timestamp::from_millis(at);
            let payload = Bytes::from(vec![0; 1 + random.below(500)]);
            let frame = Frame { dts, pts: dts, keyframe: random.below(10) == 0, payload };
            let news = packager.frame(TrackId(random.below(3) as u8), &frame, UNIX_EPOCH);
            if random.below(50) == 0 {
                let _ = packager.snapshot().answer(&Request::TsPlaylist);
            }
            match random.below(100) {
                0 => packager.resumed(),
                1 => {
                    let mut track = video();
                    track.config = Bytes::from(random.mutate(AVCC));
                    packager.tracks(&[track]);
                }
                _ => {}
            }
            if news && random.below(5) == 0 {
                check_snapshot(&packager.snapshot());
            }
        }
        packager.end();
        check_snapshot(&packager.snapshot());
    }
}
