//! What is written is a transport stream, read back by a small parser.

use super::*;
use crate::ts::PACKET_BYTES;
use bytes::Bytes;
use media::Codec;
use std::collections::BTreeMap;
use testkit::Random;

const AVCC: &[u8] = &[1, 0x4d, 0x40, 0x1e, 0xff, 0xe1, 0, 2, 0x67, 0x4d, 1, 0, 2, 0x68, 0xeb];
const VIDEO_PID: u16 = 0x100;
const AUDIO_PID: u16 = 0x101;

/// An `hvcC` with one set of each kind, two bytes each.
fn hvcc() -> Vec<u8> {
    let mut record = vec![1; 22];
    record.push(3);
    for kind in [32, 33, 34] {
        record.extend_from_slice(&[kind, 0, 1, 0, 2, kind << 1, 1]);
    }
    record
}

fn video(codec: Codec) -> Track {
    let config = if codec == Codec::H265 { hvcc() } else { AVCC.to_vec() };
    Track::new(TrackId::VIDEO, codec, config.into())
}

fn audio() -> Track {
    Track::new(TrackId::AUDIO, Codec::Aac, Bytes::from_static(&[0x11, 0x90]))
}

fn frame(ms: i64, keyframe: bool, payload: &[u8]) -> Frame {
    let dts = Timestamp::from_millis(ms);
    Frame { dts, pts: dts, keyframe, payload: Bytes::copy_from_slice(payload) }
}

/// An access unit of one slice.
fn picture(first: u8, length: usize) -> Vec<u8> {
    let mut payload = (length as u32 + 1).to_be_bytes().to_vec();
    payload.push(first);
    payload.resize(4 + 1 + length, 0xab);
    payload
}

/// A PES packet as it was put together again.
#[derive(Debug, PartialEq, Eq)]
struct Pes {
    pid: u16,
    stream_id: u8,
    pts: u64,
    dts: u64,
    pcr: Option<u64>,
    random_access: bool,
    payload: Vec<u8>,
}

/// Everything that was in the packets. Panics at what no transport stream has.
#[derive(Debug, Default)]
struct Parsed {
    /// Sections by PID, without pointer and stuffing.
    sections: Vec<(u16, Vec<u8>)>,
    frames: Vec<Pes>,
}

/// Remembers continuity counters over several segments.
#[derive(Default)]
struct Parser(BTreeMap<u16, u8>);

impl Parser {
    fn parse(&mut self, bytes: &[u8]) -> Parsed {
        assert_eq!(bytes.len() % PACKET_BYTES, 0);
        let mut parsed = Parsed::default();
        let mut open: BTreeMap<u16, (Vec<u8>, Option<u64>, bool)> = BTreeMap::new();
        for packet in bytes.chunks(PACKET_BYTES) {
            assert_eq!(packet[0], 0x47);
            let pid = u16::from_be_bytes([packet[1], packet[2]]) & 0x1fff;
            let (starts, control, counter) = (packet[1] & 0x40 != 0, packet[3] >> 4, packet[3] & 15);
            if let Some(last) = self.0.insert(pid, counter) {
                assert_eq!(counter, (last + 1) & 15, "continuity of {pid:#x}");
            }
            let (mut pcr, mut random_access, mut at) = (None, false, 4);
            if control == 3 {
                let length = usize::from(packet[4]);
                at = 5 + length;
                if length > 0 {
                    random_access = packet[5] & 0x40 != 0;
                    let clock = packet[6..12].iter().fold(0, |n, b| n << 8 | u64::from(*b)) >> 15;
                    pcr = (packet[5] & 0x10 != 0).then_some(clock);
                }
            } else {
                assert_eq!(control, 1);
            }
            let payload = &packet[at..];
            assert!(!payload.is_empty());
            if matches!(pid, 0 | 0x1000) {
                let length = usize::from(u16::from_be_bytes([payload[2], payload[3]]) & 0xfff);
                assert!(payload[4 + length..].iter().all(|b| *b == 0xff), "stuffing");
                parsed.sections.push((pid, payload[1..4 + length].to_vec()));
                continue;
            }
            if starts && let Some((bytes, pcr, access)) = open.remove(&pid) {
                parsed.frames.push(pes(pid, &bytes, pcr, access));
            }
            let entry = open.entry(pid).or_insert_with(|| {
                assert!(starts, "a PES packet begins with a start indicator");
                (Vec::new(), pcr, random_access)
            });
            entry.0.extend_from_slice(payload);
        }
        parsed
            .frames
            .extend(open.into_iter().map(|(pid, (bytes, pcr, access))| pes(pid, &bytes, pcr, access)));
        parsed.frames.sort_by_key(|f| f.dts);
        parsed
    }
}

fn pes(pid: u16, bytes: &[u8], pcr: Option<u64>, random_access: bool) -> Pes {
    assert_eq!(bytes[..3], [0, 0, 1]);
    let length = usize::from(u16::from_be_bytes([bytes[4], bytes[5]]));
    assert!(length == 0 && bytes[3] == 0xe0 || length == bytes.len() - 6);
    let time = |at: usize| {
        let b = |i: usize| u64::from(bytes[at + i]);
        assert_eq!((b(0) & 1, b(2) & 1, b(4) & 1), (1, 1, 1), "markers");
        (b(0) >> 1 & 7) << 30 | b(1) << 22 | (b(2) >> 1) << 15 | b(3) << 7 | b(4) >> 1
    };
    let pts = time(9);
    let dts = if bytes[7] & 0x40 == 0 { pts } else { time(14) };
    let payload = bytes[9 + usize::from(bytes[8])..].to_vec();
    Pes { pid, stream_id: bytes[3], pts, dts, pcr, random_access, payload }
}

/// Muxes one segment and reads it.
fn one(tracks: &[Track], frames: &[(TrackId, Frame)]) -> Parsed {
    let mut muxer = Muxer::new(tracks);
    let mut out = BytesMut::new();
    muxer.segment_start(&mut out);
    for (track, frame) in frames {
        assert!(muxer.frame(*track, frame, &mut out));
    }
    Parser::default().parse(&out)
}

#[test]
fn a_segment_begins_with_tables_that_name_every_track() {
    let parsed = one(&[video(Codec::H264), audio()], &[]);
    let [(0, pat), (0x1000, pmt)] = &parsed.sections[..] else { panic!("{parsed:?}") };
    assert!([pat, pmt].iter().all(|s| tables::crc(s) == 0), "checksums");
    assert_eq!(pat[8..12], [0, 1, 0xf0, 0x00]);
    assert_eq!(pmt[8..12], [0xe1, 0x00, 0xf0, 0], "pictures carry the clock");
    assert_eq!(pmt[12..pmt.len() - 4], [0x1b, 0xe1, 0x00, 0xf0, 0, 0x0f, 0xe1, 0x01, 0xf0, 0]);
}

#[test]
fn every_codec_has_its_stream_type_and_others_are_left_out() {
    let check = |codec, config: &[u8], expect: &[u8]| {
        let id = if codec == Codec::H265 || codec == Codec::Av1 { TrackId::VIDEO } else { TrackId::AUDIO };
        let track = Track::new(id, codec, Bytes::copy_from_slice(config));
        let pmt = one(std::slice::from_ref(&track), &[]).sections.remove(1).1;
        assert_eq!(&pmt[12..pmt.len() - 4], expect, "{codec:?}");
        assert_eq!(can_carry(&track), !expect.is_empty());
        assert_eq!(Muxer::new(&[track]).carries(id), !expect.is_empty());
    };
    check(Codec::H265, &hvcc(), &[0x24, 0xe1, 0, 0xf0, 0]);
    check(Codec::Mp3, &[], &[0x03, 0xe1, 1, 0xf0, 0]);
    let opus = b"\x06\xe1\x01\xf0\x0a\x05\x04Opus\x7f\x02\x80\x02";
    check(Codec::Opus, b"OpusHead\x01\x02\0\0\0\0\0\0\0\0\0", opus);
    check(Codec::Av1, &[0x81, 0, 0x0c, 0], &[]);
    check(Codec::Aac, &[0x11], &[]);
    assert!(Muxer::new(&[]).is_empty());
}

#[test]
fn pictures_are_annex_b_with_parameter_sets_before_keyframes() {
    let key = [picture(0x65, 3), vec![0, 0, 0, 2, 9, 0xf0], vec![0, 0, 0, 2, 0x67, 0x4d]].concat();
    let frames =
        [(TrackId::VIDEO, frame(0, true, &key)), (TrackId::VIDEO, frame(40, false, &picture(0x41, 1)))];
    let parsed = one(&[video(Codec::H264)], &frames);
    let expect = b"\0\0\0\x01\x09\xf0\0\0\0\x01\x67\x4d\0\0\0\x01\x68\xeb\0\0\0\x01\x65\xab\xab\xab";
    assert_eq!(parsed.frames[0].payload, expect);
    assert_eq!(parsed.frames[1].payload, b"\0\0\0\x01\x09\xf0\0\0\0\x01\x41\xab");
    assert_eq!([0, 1].map(|i| parsed.frames[i].random_access), [true, false]);
    let hevc = one(&[video(Codec::H265)], &[(TrackId::VIDEO, frame(0, true, &picture(0x26, 1)))]);
    let expect =
        b"\0\0\0\x01\x46\x01\x50\0\0\0\x01\x40\x01\0\0\0\x01\x42\x01\0\0\0\x01\x44\x01\0\0\0\x01\x26\xab";
    assert_eq!(hevc.frames[0].payload, expect);
}

#[test]
fn sound_has_its_headers_and_a_length() {
    let parsed = one(&[audio()], &[(TrackId::AUDIO, frame(0, true, &[7; 300]))]);
    let [sound] = &parsed.frames[..] else { panic!() };
    assert_eq!((sound.pid, sound.stream_id, sound.random_access), (AUDIO_PID, 0xc0, true));
    assert_eq!(sound.payload, [&[0xff, 0xf1, 0x4c, 0x80, 0x26, 0x7f, 0xfc][..], &[7; 300]].concat());
    assert!(sound.pcr.is_some(), "sound alone carries the clock");
    let opus = Track::new(TrackId::AUDIO, Codec::Opus, Bytes::new());
    let parsed = one(&[opus], &[(TrackId::AUDIO, frame(0, true, &[7; 510]))]);
    assert_eq!(parsed.frames[0].payload, [&[0x7f, 0xe0, 0xff, 0xff, 0][..], &[7; 510]].concat());
}

#[test]
fn sound_that_is_too_long_for_its_header_is_left_out() {
    let mut muxer = Muxer::new(&[audio()]);
    let mut out = BytesMut::new();
    assert!(!muxer.frame(TrackId::AUDIO, &frame(0, true, &[7; 8185]), &mut out));
    assert!(!muxer.frame(TrackId::VIDEO, &frame(0, true, &[7; 1]), &mut out));
    assert!(out.is_empty());
    assert!(muxer.frame(TrackId::AUDIO, &frame(0, true, &[7; 8184]), &mut out));
    let mut muxer = Muxer::new(&[Track::new(TrackId::AUDIO, Codec::Mp3, Bytes::new())]);
    assert!(!muxer.frame(TrackId::AUDIO, &frame(0, true, &[7; 65_536]), &mut out));
}

#[test]
fn times_have_33_bits_and_the_clock_runs_ahead() {
    let check = |dts: i64, pts: i64, expect: (u64, u64, u64)| {
        let mut shown = frame(0, true, &picture(0x65, 1));
        (shown.dts, shown.pts) = (Timestamp::from_micros(dts), Timestamp::from_micros(pts));
        let parsed = one(&[video(Codec::H264)], &[(TrackId::VIDEO, shown)]);
        let got = &parsed.frames[0];
        assert_eq!((got.dts, got.pts, got.pcr.unwrap()), expect, "{dts} {pts}");
    };
    check(0, 0, (90_000, 90_000, 45_000));
    check(1_000_000, 1_080_000, (180_000, 187_200, 135_000));
    check(1_000_000, 900_000, (180_000, 180_000, 135_000));
    // 2^33 ticks at 90 kHz are 26.5 hours.
    let wrap = (1 << 33) * 100 / 9;
    check(wrap, wrap + 80_000, (90_000, 97_200, 45_000));
    check(wrap - 1_000_000, wrap, (0, 90_000, (1 << 33) - 45_000));
}

#[test]
fn counters_go_on_over_segments_and_changed_tracks() {
    let mut muxer = Muxer::new(&[video(Codec::H264), audio()]);
    let mut parser = Parser::default();
    let mut versions = Vec::new();
    for segment in 0..40 {
        match segment {
            20 => muxer.set_tracks(&[video(Codec::H265), audio()]),
            30 => muxer.set_tracks(&[video(Codec::H265), audio()]),
            _ => {}
        }
        let mut out = BytesMut::new();
        muxer.segment_start(&mut out);
        for i in 0..10 {
            let at = segment * 400 + i * 40;
            muxer.frame(TrackId::VIDEO, &frame(at, i == 0, &picture(0x65, 700 + i as usize)), &mut out);
            muxer.frame(TrackId::AUDIO, &frame(at, true, &[1; 150]), &mut out);
        }
        let parsed = parser.parse(&out);
        assert_eq!(parsed.frames.iter().filter(|f| f.pid == VIDEO_PID).count(), 10);
        assert_eq!(parsed.frames.iter().filter(|f| f.pid == AUDIO_PID && f.pcr.is_none()).count(), 10);
        versions.push(parsed.sections[1].1[5] >> 1 & 0x1f);
    }
    assert_eq!((versions[19], versions[20], versions[39]), (0, 1, 1), "the table changes with the tracks");
}

#[test]
fn frames_of_every_size_come_back_whole() {
    let track = Track::new(TrackId::AUDIO, Codec::Mp3, Bytes::new());
    let frames: Vec<_> =
        (1..600).map(|n| (TrackId::AUDIO, frame(n as i64, true, &vec![n as u8; n]))).collect();
    let parsed = one(&[track], &frames);
    assert_eq!(parsed.frames.len(), frames.len());
    for (got, (_, sent)) in parsed.frames.iter().zip(&frames) {
        assert_eq!(got.payload, sent.payload);
    }
}

#[test]
fn fuzz_any_frame_of_any_track_makes_whole_packets() {
    let mut random = Random::seeded(31);
    let configs =
        [AVCC.to_vec(), hvcc(), vec![0x11, 0x90], b"OpusHead\x01\x02\0\0\0\0\0\0\0\0\0".to_vec(), vec![]];
    let codecs = [Codec::H264, Codec::H265, Codec::Aac, Codec::Opus, Codec::Mp3, Codec::Av1];
    for _ in 0..400 {
        let any_tracks = |random: &mut Random| -> Vec<Track> {
            (0..random.below(12))
                .map(|_| {
                    let at = random.below(codecs.len());
                    let config = configs.get(at).cloned().unwrap_or_default();
                    let config = if random.below(2) == 0 { config } else { random.mutate(&config) };
                    Track::new(TrackId(random.below(5) as u8), codecs[at], config.into())
                })
                .collect()
        };
        let mut muxer = Muxer::new(&any_tracks(&mut random));
        let mut parser = Parser::default();
        let mut out = BytesMut::new();
        for _ in 0..30 {
            if random.below(8) == 0 {
                muxer.segment_start(&mut out);
            }
            let length = [0, 1, 200, 70_000][random.below(4)] + random.below(200);
            let good = picture(0x65, length);
            let payload = if random.below(2) == 0 { good } else { random.mutate(&good) };
            let mut wild = frame(0, random.below(2) == 0, &payload);
            wild.dts = Timestamp::from_micros(random.next_u64() as i64);
            wild.pts = Timestamp::from_micros(random.next_u64() as i64);
            let before = out.len();
            let written = muxer.frame(TrackId(random.below(5) as u8), &wild, &mut out);
            assert_eq!(out.len() > before, written);
            assert_eq!(out.len() % PACKET_BYTES, 0);
        }
        let _ = parser.parse(&out);
        muxer.set_tracks(&any_tracks(&mut random));
    }
}
