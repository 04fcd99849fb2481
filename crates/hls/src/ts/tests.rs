//! What old players get, beside the same broadcast's CMAF renditions.

use super::*;
use crate::show::{Show, audio, check_playlist, playlist, video};
use crate::{Answer, Packager, Request, Role, Snapshot};
use media::Codec;
use std::time::UNIX_EPOCH;

fn ask(snapshot: &Snapshot) -> Answer {
    snapshot.answer(&Request::TsPlaylist)
}

fn ts_playlist(snapshot: &Snapshot) -> String {
    match ask(snapshot) {
        Answer::Playlist { text } => String::from_utf8(text.plain.to_vec()).unwrap(),
        other => panic!("no playlist: {other:?}"),
    }
}

fn segment(snapshot: &Snapshot, msn: u64) -> Bytes {
    match snapshot.answer(&Request::TsSegment { msn }) {
        Answer::Media(bytes) => bytes,
        other => panic!("no segment {msn}: {other:?}"),
    }
}

/// Goes on while a player asks for the playlist before every second of the broadcast.
fn watched(mut show: Show, from: i64, until: i64) -> Show {
    for second in from..until {
        let _ = ask(&show.packager.snapshot());
        show = show.play(second + 1);
    }
    show
}

/// Date and duration of every complete segment, by media sequence number.
fn segments(text: &str) -> Vec<(u64, String, String)> {
    let first = text.lines().find_map(|l| l.strip_prefix("#EXT-X-MEDIA-SEQUENCE:")).unwrap();
    let dates = text.lines().filter(|l| l.starts_with("#EXT-X-PROGRAM-DATE-TIME:"));
    let durations = text.lines().filter(|l| l.starts_with("#EXTINF:"));
    (first.parse().unwrap()..).zip(dates.zip(durations)).map(|(n, (a, b))| (n, a.into(), b.into())).collect()
}

#[test]
fn nothing_is_muxed_until_somebody_asks_and_the_first_whole_segment_answers() {
    let show = Show::new(30, 60).play(9);
    assert!(!show.packager.ts.is_on());
    assert!(matches!(ask(&show.packager.snapshot()), Answer::Wait));
    let show = show.play(11);
    assert!(
        matches!(ask(&show.packager.snapshot()), Answer::Wait),
        "the segment in which it was asked is lost"
    );
    let show = show.play(13);
    let text = ts_playlist(&show.packager.snapshot());
    assert!(text.contains("#EXT-X-MEDIA-SEQUENCE:5\n") && text.contains("seg-5.ts"), "{text}");
}

#[test]
fn muxing_stops_when_nobody_asks_any_more() {
    let show = watched(Show::new(30, 60), 0, 10);
    assert!(show.packager.ts.is_on());
    let show = show.play(50);
    assert!(!show.packager.ts.is_on());
    assert!(show.packager.ts.buffer.capacity() == 0 && show.packager.ts.segments.is_empty());
    assert!(matches!(ask(&show.packager.snapshot()), Answer::Wait));
    let show = watched(show, 50, 60);
    ts_playlist(&show.packager.snapshot());
}

#[test]
fn numbers_dates_and_durations_are_those_of_the_lead_rendition() {
    for (fps, group) in [(30, 60), (25, 75), (24, 240)] {
        let show = watched(Show::new(fps, group), 0, 61);
        let snapshot = show.packager.snapshot();
        let (ts, lead) =
            (segments(&ts_playlist(&snapshot)), segments(&playlist(&snapshot, Role::Video, false)));
        let shared: Vec<_> =
            lead.iter().filter(|s| s.0 >= ts[0].0 && s.0 <= ts[ts.len() - 1].0).cloned().collect();
        assert_eq!(ts, shared);
        assert_eq!(ts.last().map(|s| s.0), lead.last().map(|s| s.0), "both end at the same segment");
        assert!(ts.len() >= 5);
    }
}

#[test]
fn playlists_have_version_3_and_nothing_newer() {
    let mut show = watched(Show::new(30, 60), 0, 40);
    show.packager.end();
    show.snapshots.push(show.packager.snapshot());
    let mut listed = 0;
    for snapshot in &show.snapshots {
        let Answer::Playlist { .. } = ask(snapshot) else { continue };
        let text = ts_playlist(snapshot);
        check_playlist(&text);
        assert!(text.starts_with("#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:2\n"));
        for newer in ["PART", "MAP", "SERVER-CONTROL", "PRELOAD", "REPORT", "SKIP"] {
            assert!(!text.contains(newer), "{text}");
        }
        listed += 1;
    }
    assert!(listed > 50);
    assert!(ts_playlist(&show.packager.snapshot()).ends_with("#EXT-X-ENDLIST\n"));
}

#[test]
fn every_listed_segment_is_there_and_begins_with_tables_and_a_keyframe() {
    let show = watched(Show::new(30, 60), 0, 40);
    let snapshot = show.packager.snapshot();
    let mut counters = [None; 0x200];
    for (msn, ..) in segments(&ts_playlist(&snapshot)) {
        let bytes = segment(&snapshot, msn);
        assert_eq!(bytes.len() % mux::ts::PACKET_BYTES, 0);
        let packets: Vec<_> = bytes.chunks(mux::ts::PACKET_BYTES).collect();
        let pid = |packet: &[u8]| usize::from(u16::from_be_bytes([packet[1] & 0x1f, packet[2]]));
        assert_eq!([pid(packets[0]), pid(packets[1]), pid(packets[2])], [0, 0x1000, 0x100]);
        assert_eq!(packets[2][5] & 0x50, 0x50, "random access and a clock");
        for packet in packets.iter().filter(|p| pid(p) < 0x200) {
            let counter = packet[3] & 15;
            let last = counters[pid(packet)].replace(counter);
            assert!(last.is_none_or(|l| (l + 1) & 15 == counter), "continuity over segments");
        }
        // Two seconds of pictures at 30 frames a second, and sound at 46.9.
        let starts = |wanted| packets.iter().filter(|p| pid(p) == wanted && p[1] & 0x40 != 0).count();
        assert_eq!(starts(0x100), 60);
        assert!((93..=95).contains(&starts(0x101)), "{}", starts(0x101));
    }
    assert!(matches!(snapshot.answer(&Request::TsSegment { msn: 999 }), Answer::NotFound));
}

#[test]
fn a_changed_decoder_or_a_break_makes_a_discontinuity() {
    let mut show = watched(Show::new(30, 60), 0, 9);
    let mut changed = video();
    changed.config =
        Bytes::from_static(&[1, 0x64, 0, 0x1f, 0xff, 0xe1, 0, 2, 0x67, 0x64, 1, 0, 2, 0x68, 0xeb]);
    show.packager.tracks(&[changed, audio()]);
    show.next_video = (show.next_video + 59) / 60 * 60;
    let mut show = watched(show, 10, 14);
    show.packager.resumed();
    show.next_video = (show.next_video + 59) / 60 * 60;
    let show = watched(show, 14, 20);
    let text = ts_playlist(&show.packager.snapshot());
    check_playlist(&text);
    assert_eq!(text.matches("#EXT-X-DISCONTINUITY\n").count(), 2, "{text}");
    let lead = playlist(&show.packager.snapshot(), Role::Video, false);
    let first_after_breaks = |text: &str| -> Vec<String> {
        let breaks = text.split("#EXT-X-DISCONTINUITY\n").skip(1);
        let uris = breaks.map(|after| after.lines().find(|l| l.starts_with("seg-")).unwrap());
        uris.map(|uri| uri.split('.').next().unwrap().to_owned()).collect()
    };
    assert_eq!(first_after_breaks(&text), first_after_breaks(&lead));
}

#[test]
fn pictures_that_come_late_take_the_lead() {
    let mut packager = Packager::new(crate::Config::default());
    let play = |packager: &mut Packager, seconds: std::ops::Range<i64>, id: TrackId| {
        for i in seconds.start * 25..seconds.end * 25 {
            let dts = Timestamp::from_millis(i * 40);
            let payload = Bytes::from_static(&[0, 0, 0, 2, 0x65, 1]);
            let frame = Frame { dts, pts: dts, keyframe: true, payload };
            packager.frame(id, &frame, UNIX_EPOCH);
            let _ = ask(&packager.snapshot());
        }
    };
    packager.tracks(&[audio()]);
    play(&mut packager, 0..9, TrackId::AUDIO);
    assert_eq!(segments(&ts_playlist(&packager.snapshot())).len(), 3);
    packager.tracks(&[audio(), video()]);
    play(&mut packager, 9..20, TrackId::VIDEO);
    play(&mut packager, 9..20, TrackId::AUDIO);
    packager.end();
    let snapshot = packager.snapshot();
    let (ts, lead) = (ts_playlist(&snapshot), playlist(&snapshot, Role::Video, false));
    assert_eq!(segments(&ts).last(), segments(&lead).last());
    assert!(ts.contains("#EXT-X-DISCONTINUITY\n"));
}

#[test]
fn what_ts_cannot_carry_is_left_out_or_refused() {
    let av1 = Track::new(TrackId::VIDEO, Codec::Av1, Bytes::from_static(&[0x81, 0, 0x0c, 0]));
    let mut show = Show::new(30, 60);
    show.packager = Packager::new(crate::Config::default());
    show.packager.tracks(&[av1.clone(), audio()]);
    let show = watched(show, 0, 12);
    let snapshot = show.packager.snapshot();
    let bytes = segment(&snapshot, segments(&ts_playlist(&snapshot))[0].0);
    assert!(bytes.chunks(188).all(|p| p[1] & 0x1f != 1 || p[2] != 0), "sound alone");
    let mut show = Show::new(30, 60);
    show.packager = Packager::new(crate::Config::default());
    show.packager.tracks(&[av1]);
    let show = watched(show, 0, 12);
    assert!(matches!(ask(&show.packager.snapshot()), Answer::NotFound));
}

#[test]
fn the_budget_holds() {
    let bytes_max = 600_000;
    let mut show = Show::new(30, 60);
    show.packager = Packager::new(crate::Config { bytes_max, ..crate::Config::default() });
    show.packager.tracks(&[video(), audio()]);
    let show = watched(show, 0, 40);
    let snapshot = show.packager.snapshot();
    let kept: usize = segments(&ts_playlist(&snapshot)).iter().map(|s| segment(&snapshot, s.0).len()).sum();
    assert!(kept <= bytes_max / 3 * 2 && kept > bytes_max / 3, "{kept}");
}
