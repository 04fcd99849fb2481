//! What goes through our muxer comes back; what ffmpeg wrote is read; what is damaged does no harm.

use super::*;
use crate::ts::{Muxer, PACKET_BYTES};
use bytes::BytesMut;
use media::codec::opus;
use std::time::Duration;
use testkit::Random;

/// By ffmpeg: ten pictures of H.264 with B-frames, two keyframes; 45 frames of AAC at 44.1 kHz.
const AVC_AAC: &[u8] = include_bytes!("../captures/avc-aac.ts");
/// By ffmpeg: ten pictures of HEVC, two keyframes; MP3 at 48 kHz.
const HEVC_MP3: &[u8] = include_bytes!("../captures/hevc-mp3.ts");
/// By ffmpeg: Opus alone, packets of 20 ms.
const OPUS: &[u8] = include_bytes!("../captures/opus.ts");

/// All that a demuxer makes of pieces of so many bytes.
fn demux(bytes: &[u8], piece: usize) -> (Vec<Event>, Damage) {
    let mut demuxer = Demuxer::new(Timestamp::ZERO);
    let mut events = Vec::new();
    for piece in bytes.chunks(piece) {
        demuxer.push(piece, testkit::epoch()).unwrap();
        events.extend(std::iter::from_fn(|| demuxer.poll()));
    }
    demuxer.finish(testkit::epoch()).unwrap();
    events.extend(std::iter::from_fn(|| demuxer.poll()));
    (events, demuxer.damage())
}

fn frames(events: &[Event], id: TrackId) -> Vec<Frame> {
    let of = |event: &Event| match event {
        Event::Frame { track, frame } if *track == id => Some(frame.clone()),
        _ => None,
    };
    events.iter().filter_map(of).collect()
}

fn tracks(events: &[Event]) -> Vec<Track> {
    let of = |event: &Event| match event {
        Event::Track(track) => Some(track.clone()),
        Event::Frame { .. } => None,
    };
    events.iter().filter_map(of).collect()
}

/// The configurations that the captures have.
fn captured_track(capture: &[u8], id: TrackId) -> Track {
    tracks(&demux(capture, 1316).0).into_iter().find(|track| track.id == id).unwrap()
}

fn tracks_of(codec: Codec) -> Vec<Track> {
    let audio = captured_track(AVC_AAC, TrackId::AUDIO);
    match codec {
        Codec::H264 => vec![captured_track(AVC_AAC, TrackId::VIDEO), audio],
        Codec::H265 => vec![captured_track(HEVC_MP3, TrackId::VIDEO), audio],
        Codec::Aac => vec![audio],
        Codec::Mp3 => vec![Track::new(TrackId::AUDIO, Codec::Mp3, Bytes::new())],
        _ => vec![Track::new(TrackId::AUDIO, Codec::Opus, opus::head(2).unwrap())],
    }
}

/// Frames of a track, a picture and a sound every 40 ms.
fn made(track: &Track, count: i64) -> Vec<Frame> {
    let one = |at: i64| {
        let dts = Timestamp::from_millis(at * 40);
        let keyframe = track.kind == Kind::Audio || at % 10 == 0;
        let payload = match (track.codec, keyframe) {
            (Codec::H264, true) => vec![0, 0, 0, 4, 0x65, 1, 2, at as u8 | 1],
            (Codec::H264, false) => vec![0, 0, 0, 2, 0x41, 9, 0, 0, 0, 3, 0x41, 7, at as u8 | 1],
            (Codec::H265, true) => vec![0, 0, 0, 4, 0x26, 1, 2, at as u8 | 1],
            (Codec::H265, false) => vec![0, 0, 0, 4, 0x02, 1, 2, at as u8 | 1],
            (Codec::Mp3, _) => [&[0xff, 0xfb, 0x94, 0x44][..], &[at as u8; 380]].concat(),
            (Codec::Opus, _) => [&[0xfc][..], &[at as u8; 300]].concat(),
            _ => vec![at as u8; 200],
        };
        let later = Duration::from_millis(if track.kind == Kind::Video { 80 } else { 0 });
        Frame { dts, pts: dts + later, keyframe, payload: payload.into() }
    };
    (0..count).map(one).collect()
}

/// A transport stream of these tracks, in which tables come with every keyframe, and what was put into it.
fn muxed(tracks: &[Track], count: i64) -> (Vec<u8>, Vec<Vec<Frame>>) {
    let all: Vec<Vec<Frame>> = tracks.iter().map(|track| made(track, count)).collect();
    let mut muxer = Muxer::new(tracks);
    let mut out = BytesMut::new();
    for at in 0..count as usize {
        if at % 10 == 0 {
            muxer.segment_start(&mut out);
        }
        for (track, frames) in tracks.iter().zip(&all) {
            assert!(muxer.frame(track.id, &frames[at], &mut out));
        }
    }
    (out.to_vec(), all)
}

#[test]
fn every_codec_survives_muxing_and_demuxing() {
    for codec in [Codec::H264, Codec::H265, Codec::Aac, Codec::Mp3, Codec::Opus] {
        let sent = tracks_of(codec);
        let (bytes, all) = muxed(&sent, 30);
        for piece in [1, 100, 188, 1316, bytes.len()] {
            let (events, damage) = demux(&bytes, piece);
            assert_eq!(damage, Damage::default(), "{codec:?}");
            let mut got = tracks(&events);
            got.sort_by_key(|track| track.id);
            assert_eq!(got, sent, "{codec:?} in pieces of {piece}");
            for (track, frames_sent) in sent.iter().zip(&all) {
                assert_eq!(&frames(&events, track.id), frames_sent, "{codec:?} in pieces of {piece}");
            }
        }
    }
}

#[test]
fn what_ffmpeg_wrote_is_read_whole() {
    let check = |capture, video: Option<(Codec, [usize; 2])>, audio, sounds, rate: u32, samples: i64| {
        let (events, damage) = demux(capture, 1316);
        assert_eq!(damage, Damage::default());
        let found = tracks(&events);
        assert_eq!(found.len(), 1 + usize::from(video.is_some()), "no track is told twice");
        let track = found.iter().find(|t| t.id == TrackId::AUDIO).unwrap();
        assert_eq!(track.codec, audio);
        let heard = frames(&events, TrackId::AUDIO);
        assert_eq!(heard.len(), sounds);
        for (at, frame) in heard.iter().enumerate() {
            let late = frame.dts.as_micros() - heard[0].dts.as_micros();
            let expect = at as i64 * samples * 1_000_000 / i64::from(rate);
            assert!((late - expect).abs() < 30, "{at}: {late} against {expect}");
        }
        let Some((codec, expected_keys)) = video else { return };
        let track = found.iter().find(|t| t.id == TrackId::VIDEO).unwrap();
        assert_eq!((track.codec, track.video_size().map(|s| s.0)), (codec, Some(64)));
        let seen = frames(&events, TrackId::VIDEO);
        let keys: Vec<usize> = (0..seen.len()).filter(|at| seen[*at].keyframe).collect();
        assert_eq!((seen.len(), keys), (10, expected_keys.to_vec()));
        for (at, frame) in seen.iter().enumerate() {
            assert_eq!(frame.dts.as_micros() - seen[0].dts.as_micros(), at as i64 * 100_000);
            assert_eq!((frame.pts.as_micros() - frame.dts.as_micros()) % 100_000, 0);
        }
        let mut shown: Vec<i64> = seen.iter().map(|frame| frame.pts.as_millis()).collect();
        shown.sort_unstable();
        assert!(shown.windows(2).all(|two| two[1] - two[0] == 100), "{shown:?}");
    };
    check(AVC_AAC, Some((Codec::H264, [0, 5])), Codec::Aac, 45, 44_100, 1024);
    check(HEVC_MP3, Some((Codec::H265, [0, 1])), Codec::Mp3, 43, 48_000, 1152);
    check(OPUS, None, Codec::Opus, 51, 48_000, 960);
}

#[test]
fn sound_and_pictures_keep_their_distance() {
    let (events, _) = demux(AVC_AAC, 1316);
    // By ffprobe: sound from 1.577 s on, pictures from 1.6 s on.
    let (seen, heard) = (&frames(&events, TrackId::VIDEO)[0], &frames(&events, TrackId::AUDIO)[0]);
    let apart = seen.pts.as_micros() - heard.pts.as_micros();
    assert!((apart - i64::from(AVC_AAC_APART_TICKS) * 100 / 9).abs() <= 11, "{apart}");
}

/// By ffprobe, of the first picture and the first sound.
const AVC_AAC_APART_TICKS: u32 = 144_000 - 141_910;

#[test]
fn times_go_on_over_the_wrap_of_33_bits() {
    let tracks = tracks_of(Codec::H264);
    let mut muxer = Muxer::new(&tracks);
    let mut out = BytesMut::new();
    muxer.segment_start(&mut out);
    // Our muxer adds a second; two seconds before it wraps.
    let start = (1 << 33) * 100 / 9 - 3_000_000;
    for frame in made(&tracks[0], 100) {
        let at = |time: Timestamp| Timestamp::from_micros(time.as_micros() + start);
        let frame = Frame { dts: at(frame.dts), pts: at(frame.pts), ..frame };
        muxer.frame(TrackId::VIDEO, &frame, &mut out);
    }
    let got = frames(&demux(&out, 1316).0, TrackId::VIDEO);
    for (got, sent) in got.iter().zip(made(&tracks[0], 100)) {
        let late = got.dts.as_micros() - got.dts.as_micros().min(sent.dts.as_micros());
        assert!(late < 1_000, "{got:?} {sent:?}");
        assert_eq!(got.pts.as_micros() - got.dts.as_micros(), 80_000);
    }
    assert_eq!(got.len(), 100);
}

#[test]
fn a_lost_packet_costs_its_frame_only() {
    let (bytes, all) = muxed(&tracks_of(Codec::Mp3), 30);
    let packets: Vec<&[u8]> = bytes.chunks(PACKET_BYTES).collect();
    // Two tables, then three packets a frame; the second packet of the fifth frame is lost.
    let lost = 2 + 4 * 3 + 1;
    let left: Vec<u8> =
        packets.iter().enumerate().filter(|(at, _)| *at != lost).flat_map(|(_, p)| p.to_vec()).collect();
    let (events, damage) = demux(&left, 1316);
    assert_eq!((damage.lost_packets, damage.dropped), (1, 1));
    let got = frames(&events, TrackId::AUDIO);
    let expect: Vec<Frame> =
        all[0].iter().enumerate().filter(|(at, _)| *at != 4).map(|(_, f)| f.clone()).collect();
    assert_eq!(got, expect);
    let twice: Vec<u8> = packets.iter().flat_map(|p| [*p, *p].concat()).collect();
    let (events, damage) = demux(&twice, 1316);
    assert_eq!(
        (frames(&events, TrackId::AUDIO), damage),
        (all[0].clone(), Damage::default()),
        "packets may come twice"
    );
}

#[test]
fn packets_are_found_again_after_bytes_that_are_none() {
    let (bytes, all) = muxed(&tracks_of(Codec::Mp3), 30);
    let at = (2 + 10 * 3) * PACKET_BYTES;
    // A sync byte in the rubbish doesn't deceive.
    let rubbish = [&[1, 2, 0x47, 3][..], &[0x47; 5], &[9; 30]].concat();
    let broken = [&bytes[..at], &rubbish, &bytes[at..]].concat();
    for piece in [7, 188, 1316] {
        let (events, damage) = demux(&broken, piece);
        assert!(damage.resyncs >= 1, "{damage:?}");
        assert!(frames(&events, TrackId::AUDIO).len() >= all[0].len() - 2, "in pieces of {piece}");
    }
}

#[test]
fn a_changed_table_changes_the_track_and_a_late_one_is_waited_for() {
    let (first, _) = muxed(&tracks_of(Codec::H264), 20);
    let mut muxer = Muxer::new(&tracks_of(Codec::H264));
    muxer.set_tracks(&tracks_of(Codec::H265));
    let mut out = BytesMut::new();
    muxer.segment_start(&mut out);
    let hevc = tracks_of(Codec::H265);
    for frame in made(&hevc[0], 5) {
        muxer.frame(TrackId::VIDEO, &frame, &mut out);
    }
    // The first half second has no tables.
    let late = &first[2 * PACKET_BYTES..];
    let (events, _) = demux(&[late, &out[..]].concat(), 1316);
    let codecs: Vec<Codec> = tracks(&events).iter().map(|track| track.codec).collect();
    assert_eq!(codecs, [Codec::Aac, Codec::H264, Codec::H265]);
    assert_eq!(frames(&events, TrackId::VIDEO).len(), 10 + 5);
}

/// A PAT and a PMT with these elementary streams, from PID 0x100 on, by type and descriptors.
fn tables(streams: &[(u8, &[u8])]) -> Vec<u8> {
    let (opus, mut out) = (tracks_of(Codec::Opus), BytesMut::new());
    Muxer::new(&opus).segment_start(&mut out);
    let pmt = PACKET_BYTES + 5;
    let at = pmt + 12;
    let mut section = out[pmt..at].to_vec();
    for (pid, (stream_type, descriptors)) in streams.iter().enumerate() {
        section.extend_from_slice(&[*stream_type, 0xe1, pid as u8, 0xf0, descriptors.len() as u8]);
        section.extend_from_slice(descriptors);
    }
    section[2] = (section.len() + 4 - 3) as u8;
    let checksum = crate::ts::tables::crc(&section);
    section.extend_from_slice(&checksum.to_be_bytes());
    out[pmt..].fill(0xff);
    out[pmt..pmt + section.len()].copy_from_slice(&section);
    out.to_vec()
}

#[test]
fn a_program_with_nothing_known_is_refused_in_words() {
    let check = |streams: &[(u8, &[u8])], expect: &str| {
        let mut demuxer = Demuxer::new(Timestamp::ZERO);
        let got = demuxer.push(&tables(streams), testkit::epoch());
        let told = got.err().map_or(String::new(), |error| error.to_string());
        assert!(told.contains(expect) && told.is_empty() == expect.is_empty(), "{streams:x?}: {told}");
    };
    check(&[(0x02, &[])], "stream type 0x02 (MPEG-2 video) isn't; H.264");
    check(&[(0x11, &[])], "AAC in LATM");
    check(&[(0x81, &[])], "AC-3");
    check(&[(0x86, &[]), (0x33, &[])], "SCTE-35");
    check(&[(0x06, b"\x05\x04AC-3")], "private data");
    check(&[(0x06, b"\x59\x01\x00")], "private data");
    check(&[(0x06, b"\x05\x04Opus")], "");
    check(&[], "");
    let (mut bytes, _) = muxed(&tracks_of(Codec::Mp3), 3);
    bytes[2 * PACKET_BYTES + 3] |= 0x80;
    let mut demuxer = Demuxer::new(Timestamp::ZERO);
    assert_eq!(demuxer.push(&bytes, testkit::epoch()), Err(Error::Scrambled));
}

#[test]
fn what_is_not_known_is_left_out_and_the_rest_goes_on() {
    let (bytes, all) = muxed(&tracks_of(Codec::H264), 20);
    let media: Vec<u8> = bytes.chunks(PACKET_BYTES).filter(|p| p[1] & 0x1f == 1).collect::<Vec<_>>().concat();
    let teletext: (u8, &[u8]) = (0x06, b"\x56\x05eng\x09\x00");
    let ac3: (u8, &[u8]) = (0x81, &[]);
    let latm: (u8, &[u8]) = (0x11, &[]);
    let check = |streams: &[(u8, &[u8])], known: [bool; 2], left_out: &[u8]| {
        let mut demuxer = Demuxer::new(Timestamp::ZERO);
        let program = tables(streams);
        demuxer.push(&[&program[..], &media[..], &program[..]].concat(), testkit::epoch()).unwrap();
        demuxer.finish(testkit::epoch()).unwrap();
        let events: Vec<Event> = std::iter::from_fn(|| demuxer.poll()).collect();
        assert_eq!(demuxer.promised(), Some(known.into()));
        let expect: Vec<LeftOut> = left_out.iter().map(|of| LeftOut::StreamType(*of)).collect();
        assert_eq!(demuxer.left_out(), expect, "told once, though the table comes twice");
        for (id, is_known) in [TrackId::VIDEO, TrackId::AUDIO].into_iter().zip(known) {
            let expect = if is_known { all[usize::from(id.0)].len() } else { 0 };
            assert_eq!(frames(&events, id).len(), expect, "{streams:x?}");
        }
    };
    check(&[(0x1b, &[]), ac3], [true, false], &[0x81]);
    check(&[(0x1b, &[]), latm, teletext], [true, false], &[0x11, 0x06]);
    check(&[(0x1b, &[]), (0x0f, &[]), teletext, ac3], [true, true], &[0x06, 0x81]);
    check(&[(0x02, &[]), (0x0f, &[])], [false, true], &[0x02]);
}

#[test]
fn sound_of_another_layer_is_left_out_beside_pictures_and_refused_alone() {
    let of_layer_2 = |tracks: &[Track]| {
        let (mut bytes, _) = muxed(tracks, 30);
        let heads: Vec<usize> =
            (0..bytes.len() - 4).filter(|at| bytes[*at..*at + 4] == [0xff, 0xfb, 0x94, 0x44]).collect();
        assert_eq!(heads.len(), 30);
        // As long as the frames of layer III were.
        heads.into_iter().for_each(|at| bytes[at + 1..at + 3].copy_from_slice(&[0xfd, 0x84]));
        bytes
    };
    let mp3 = tracks_of(Codec::Mp3);
    let mut demuxer = Demuxer::new(Timestamp::ZERO);
    let refused = Err(Error::NothingKnown(LeftOut::AudioLayer(2)));
    assert_eq!(demuxer.push(&of_layer_2(&mp3), testkit::epoch()), refused);
    let both = [tracks_of(Codec::H264).swap_remove(0), mp3[0].clone()];
    let (events, _) = demux(&of_layer_2(&both), 1316);
    let counts = [TrackId::VIDEO, TrackId::AUDIO].map(|id| frames(&events, id).len());
    assert_eq!((counts, tracks(&events).len()), ([30, 0], 1));
    let mut demuxer = Demuxer::new(Timestamp::ZERO);
    demuxer.push(&of_layer_2(&both), testkit::epoch()).unwrap();
    assert_eq!(demuxer.left_out(), [LeftOut::AudioLayer(2)], "told once, though the tables come three times");
    assert_eq!(demuxer.promised(), Some((true, false)));
}

/// A big keyframe, two pictures, a keyframe and one more, of some 60 packets each behind two of tables; and the pictures.
fn big_pictures() -> (Vec<u8>, Vec<Frame>) {
    let track = captured_track(AVC_AAC, TrackId::VIDEO);
    let (mut muxer, mut out) = (Muxer::new(std::slice::from_ref(&track)), BytesMut::new());
    muxer.segment_start(&mut out);
    let one = |(at, first): (usize, u8)| {
        let length = 58 * 184 + 40;
        let mut payload = (length as u32).to_be_bytes().to_vec();
        payload.extend_from_slice(&[first, at as u8 + 1]);
        // No packet is like another one, and nothing looks like a sync byte or a start code.
        payload.extend((2..length).map(|at| (at % 61) as u8 | 0x80));
        let dts = Timestamp::from_millis(at as i64 * 40);
        Frame { dts, pts: dts, keyframe: first == 0x65, payload: payload.into() }
    };
    let all: Vec<Frame> = [0x65, 0x41, 0x41, 0x65, 0x41].into_iter().enumerate().map(one).collect();
    for frame in &all {
        assert!(muxer.frame(TrackId::VIDEO, frame, &mut out));
    }
    (out.to_vec(), all)
}

/// Which of the big pictures came, each whole.
fn came(events: &[Event]) -> Vec<usize> {
    let (_, all) = big_pictures();
    let of = |frame| all.iter().position(|sent| *sent == frame).expect("a picture as it was sent");
    frames(events, TrackId::VIDEO).into_iter().map(of).collect()
}

/// Those packets only for which `stays` says so.
fn without(bytes: &[u8], stays: impl Fn(usize) -> bool) -> Vec<u8> {
    let packets = bytes.chunks(PACKET_BYTES).enumerate().filter(|(at, _)| stays(*at));
    packets.flat_map(|(_, packet)| packet.to_vec()).collect()
}

#[test]
fn a_picture_with_a_hole_never_passes_and_the_next_one_is_a_keyframe() {
    let (bytes, _) = big_pictures();
    for lost in [1, 2, 14, 15, 17, 31] {
        // Within the second picture.
        let left = without(&bytes, |at| !(80..80 + lost).contains(&at));
        let (events, damage) = demux(&left, 1316);
        assert_eq!(came(&events), [0, 3, 4], "{lost} packets are lost");
        // Counters have four bits.
        assert_eq!((damage.lost_packets, damage.skipped), ((lost & 15) as u64, 1));
    }
}

#[test]
fn a_loss_that_counters_do_not_show_can_be_told() {
    let (bytes, _) = big_pictures();
    let mut demuxer = Demuxer::new(Timestamp::ZERO);
    demuxer.push(&bytes[..80 * PACKET_BYTES], testkit::epoch()).unwrap();
    demuxer.lost(testkit::epoch());
    demuxer.push(&bytes[96 * PACKET_BYTES..], testkit::epoch()).unwrap();
    demuxer.finish(testkit::epoch()).unwrap();
    let events: Vec<Event> = std::iter::from_fn(|| demuxer.poll()).collect();
    assert_eq!(came(&events), [0, 3, 4]);
}

#[test]
fn a_keyframe_is_not_waited_for_forever() {
    let (bytes, _) = big_pictures();
    let left = without(&bytes, |at| at != 80);
    let mut demuxer = Demuxer::new(Timestamp::ZERO);
    let (before, after) = left.split_at(130 * PACKET_BYTES);
    demuxer.push(before, testkit::epoch()).unwrap();
    demuxer.push(after, testkit::epoch() + KEYFRAME_WAIT).unwrap();
    assert_eq!(demuxer.damage().skipped, 0);
    let events: Vec<Event> = std::iter::from_fn(|| demuxer.poll()).collect();
    let keyframes: Vec<bool> = frames(&events, TrackId::VIDEO).iter().map(|frame| frame.keyframe).collect();
    assert_eq!(keyframes, [true, false, true]);
}

#[test]
fn a_packet_may_come_twice_with_another_clock_but_not_three_times() {
    let (bytes, _) = big_pictures();
    let repeat = |at: usize, times: usize, change: &dyn Fn(&mut [u8])| {
        let (before, after) = bytes.split_at((at + 1) * PACKET_BYTES);
        let mut packet = before[at * PACKET_BYTES..].to_vec();
        change(&mut packet);
        demux(&[before, &packet.repeat(times), after].concat(), 1316)
    };
    let begins = |packet: &[u8]| packet[1..3] == [0x41, 0];
    let second =
        bytes.chunks(PACKET_BYTES).enumerate().filter(|(_, packet)| begins(packet)).nth(1).unwrap().0;
    let (events, damage) = repeat(second, 1, &|packet| packet[6..12].fill(0));
    assert_eq!(came(&events), [0, 1, 2, 3, 4], "the program clock of the second picture");
    assert_eq!(damage, Damage::default());
    for (times, change) in [(2, &(|_: &mut [u8]| {}) as &dyn Fn(&mut [u8])), (1, &|packet| packet[100] ^= 1)]
    {
        let (events, damage) = repeat(80, times, change);
        assert_eq!(came(&events), [0, 3, 4], "{times}");
        assert_eq!((damage.dropped, damage.skipped), (1, 1));
    }
}

#[test]
fn a_lost_sync_byte_costs_all_that_is_open() {
    let (bytes, _) = big_pictures();
    let mut broken = bytes.clone();
    // With the one before them, sixteen packets: counters go on as if nothing was.
    (80..95).for_each(|at| broken[at * PACKET_BYTES] = 0);
    for piece in [7, 188, 1316] {
        let (events, damage) = demux(&broken, piece);
        assert_eq!(came(&events), [0, 3, 4]);
        assert_eq!((damage.resyncs, damage.dropped, damage.skipped), (1, 1, 1), "in pieces of {piece}");
    }
}

#[test]
fn bytes_that_look_like_a_header_are_none() {
    // Of layer II and 576 bytes; of mono at 44.1 kHz and 57 bytes.
    let layer_2 = [0xff, 0xfd, 0xa4, 0x04];
    let of = |sample_rate, channels| media::codec::aac::AudioSpecificConfig {
        object_type: 2,
        sample_rate,
        channels,
    };
    let (stereo, mono) = (of(48_000, 2), of(44_100, 1).adts_header(50));
    let mp3 = |fill: u8| [&[0xff, 0xfb, 0x94, 0x44][..], &[fill; 380]].concat();
    let adts = |fill: u8| [&stereo.adts_header(300)[..], &[fill; 300]].concat();
    let check = |coded, wild: &[u8], frame: &dyn Fn(u8) -> Vec<u8>, stripped: usize| {
        let real: Vec<Vec<u8>> = (1..=4).map(frame).collect();
        let whole = [&[9; 5], wild, &[9; 20], &real.concat()[..]].concat();
        // In one piece, cut in the false frame, in its header, in a real frame, in a real header.
        let behind = 25 + wild.len();
        for cut in [whole.len(), 5 + wild.len() + 3, 5 + 2, behind + 100, behind + real[0].len() + 2] {
            let (mut sound, mut out, mut got) = (Sound::new(coded), Vec::new(), Vec::new());
            for piece in [&whole[..cut], &whole[cut..]] {
                sound.take(Bytes::copy_from_slice(piece), &mut out).unwrap();
                got.append(&mut out);
            }
            let payloads: Vec<&[u8]> = got.iter().map(|sample| &sample.payload[..]).collect();
            let expect: Vec<&[u8]> = real.iter().map(|frame| &frame[stripped..]).collect();
            assert_eq!(payloads, expect, "cut at {cut}");
            assert_eq!(got.iter().filter(|sample| sample.config.is_some()).count(), 1, "one track");
            assert!((1..=2).contains(&sound.resyncs()), "{}", sound.resyncs());
        }
    };
    check(Coded::MpegAudio, &layer_2, &mp3, 0);
    check(Coded::Adts, &mono, &adts, 7);
}

#[test]
fn sound_changes_where_two_frames_say_so() {
    let of = |sample_rate, channels| media::codec::aac::AudioSpecificConfig {
        object_type: 2,
        sample_rate,
        channels,
    };
    let frame =
        |config: media::codec::aac::AudioSpecificConfig| [&config.adts_header(100)[..], &[1; 100]].concat();
    let (stereo, mono) = (frame(of(48_000, 2)), frame(of(44_100, 1)));
    let bytes = [&stereo[..], &stereo, &mono, &mono].concat();
    let (mut sound, mut out) = (Sound::new(Coded::Adts), Vec::new());
    sound.take(bytes.into(), &mut out).unwrap();
    let rates: Vec<u32> = out.iter().map(|sample| sample.sample_rate).collect();
    assert_eq!((rates, sound.resyncs()), (vec![48_000, 48_000, 44_100, 44_100], 0));
}

#[test]
fn parameter_sets_may_come_one_by_one() {
    let config =
        media::codec::h264::AvcConfig::parse(&captured_track(AVC_AAC, TrackId::VIDEO).config).unwrap();
    let mut pictures = Pictures::new(Codec::H264);
    let one = |unit: &[u8]| [&[0, 0, 1], unit].concat();
    assert!(pictures.take(&one(&config.sps[0]), false).is_none());
    let picture = pictures.take(&[one(&config.pps[0]), one(&[0x65, 1, 2])].concat(), true).unwrap();
    assert!(picture.keyframe && picture.config.is_some_and(|record| record == config.to_record()));
}

#[test]
fn sound_may_be_cut_anywhere() {
    // Two ADTS frames in three PES packets; only one of them tells a time for a frame that begins in it.
    let config = media::codec::aac::AudioSpecificConfig { object_type: 2, sample_rate: 48_000, channels: 2 };
    let one = |fill: u8| [&config.adts_header(100)[..], &[fill; 100]].concat();
    let bytes = [one(1), one(2), one(3)].concat();
    let mut sound = Sound::new(Coded::Adts);
    let mut out = Vec::new();
    let mut got = Vec::new();
    for (piece, carried) in [(0..50, vec![]), (50..150, vec![true]), (150..321, vec![true, false])] {
        sound.take(Bytes::copy_from_slice(&bytes[piece]), &mut out).unwrap();
        assert_eq!(out.iter().map(|s| s.is_carried).collect::<Vec<_>>(), carried);
        got.extend(out.drain(..).map(|s| s.payload));
    }
    assert_eq!(got, [1, 2, 3].map(|fill| Bytes::from(vec![fill; 100])));
}

#[test]
fn fuzz_damaged_streams_never_panic_and_stay_in_bounds() {
    let mut random = Random::seeded(41);
    let made = muxed(&tracks_of(Codec::H264), 12).0;
    for round in 0..3000 {
        let whole = [AVC_AAC, HEVC_MP3, OPUS, &made[..]][round % 4];
        let mut bytes = whole.to_vec();
        for _ in 0..=random.below(3) {
            let at = random.below(bytes.len());
            let end = (at + 1 + random.below(600)).min(bytes.len());
            let piece = random.mutate(&bytes[at..end]);
            bytes.splice(at..end, piece);
        }
        let mut demuxer = Demuxer::new(Timestamp::ZERO);
        let mut last = [i64::MIN; 2];
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let (piece, later) = rest.split_at((1 + random.below(2000)).min(rest.len()));
            rest = later;
            if random.below(16) == 0 {
                demuxer.lost(testkit::epoch());
            }
            if demuxer.push(piece, testkit::epoch()).is_err() {
                break;
            }
            while let Some(event) = demuxer.poll() {
                let Event::Frame { track, frame } = event else { continue };
                assert!(!frame.payload.is_empty());
                let last = &mut last[usize::from(track.0)];
                assert!(frame.dts.as_micros() >= *last, "time goes back");
                *last = frame.dts.as_micros();
            }
        }
        let _ = demuxer.finish(testkit::epoch());
    }
}
