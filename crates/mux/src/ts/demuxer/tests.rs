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

/// A PAT and a PMT with this one elementary stream.
fn tables(stream_type: u8, descriptors: &[u8]) -> Vec<u8> {
    let (opus, mut out) = (tracks_of(Codec::Opus), BytesMut::new());
    Muxer::new(&opus).segment_start(&mut out);
    let pmt = PACKET_BYTES + 5;
    let at = pmt + 12;
    let mut section = out[pmt..at].to_vec();
    section.extend_from_slice(&[stream_type, 0xe1, 0x01, 0xf0, descriptors.len() as u8]);
    section.extend_from_slice(descriptors);
    section[2] = (section.len() + 4 - 3) as u8;
    let checksum = crate::ts::tables::crc(&section);
    section.extend_from_slice(&checksum.to_be_bytes());
    out[pmt..].fill(0xff);
    out[pmt..pmt + section.len()].copy_from_slice(&section);
    out.to_vec()
}

#[test]
fn what_cannot_be_taken_in_is_refused_in_words() {
    let check = |stream_type, descriptors: &[u8], expect| {
        let mut demuxer = Demuxer::new(Timestamp::ZERO);
        let got = demuxer.push(&tables(stream_type, descriptors), testkit::epoch());
        assert_eq!(got, expect, "{stream_type:#x}");
    };
    for stream_type in [0x02, 0x11, 0x33, 0x81] {
        check(stream_type, &[], Err(Error::StreamType(stream_type)));
    }
    check(0x06, b"\x05\x04AC-3", Err(Error::StreamType(6)));
    check(0x06, b"\x05\x04Opus", Ok(()));
    check(0x06, b"\x59\x01\x00", Ok(()));
    check(0x86, &[], Ok(()));
    let (mut bytes, _) = muxed(&tracks_of(Codec::Mp3), 3);
    bytes[2 * PACKET_BYTES + 3] |= 0x80;
    let mut demuxer = Demuxer::new(Timestamp::ZERO);
    assert_eq!(demuxer.push(&bytes, testkit::epoch()), Err(Error::Scrambled));
    let (mut bytes, _) = muxed(&tracks_of(Codec::Mp3), 3);
    // Layer II.
    let header = bytes.windows(4).position(|w| w == [0xff, 0xfb, 0x94, 0x44]).unwrap();
    bytes[header + 1] = 0xfd;
    let mut demuxer = Demuxer::new(Timestamp::ZERO);
    assert_eq!(demuxer.push(&bytes, testkit::epoch()), Err(Error::AudioLayer(2)));
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
