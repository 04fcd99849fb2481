//! What goes through a muxer comes out of a demuxer; what is damaged does no harm.

use super::*;
use crate::flv::{self, TagBody};
use testkit::Random;

fn config_of(codec: Codec) -> Bytes {
    match codec {
        Codec::H264 => {
            Bytes::from_static(&[1, 0x4d, 0x40, 0x1e, 0xff, 0xe1, 0, 2, 0x67, 0x4d, 1, 0, 2, 0x68, 0xeb])
        }
        Codec::Aac => Bytes::from_static(&[0x11, 0x90]),
        Codec::Mp3 => Bytes::new(),
        _ => Bytes::from_static(b"configuration"),
    }
}

fn push(demuxer: &mut Demuxer, body: &TagBody) -> Option<Event> {
    demuxer.push(body.tag, body.timestamp_ms, &body.to_bytes(), testkit::epoch()).unwrap()
}

const CODECS: [Codec; 7] =
    [Codec::H264, Codec::H265, Codec::Av1, Codec::Vp9, Codec::Aac, Codec::Opus, Codec::Mp3];

#[test]
fn every_codec_survives_muxing_and_demuxing() {
    for codec in CODECS {
        let id = if codec.kind() == Kind::Video { TrackId::VIDEO } else { TrackId::AUDIO };
        let track = Track::new(id, codec, config_of(codec));
        let mut demuxer = Demuxer::new(Timestamp::ZERO);
        let reorders = matches!(codec, Codec::H264 | Codec::H265);
        let frames: Vec<Frame> = (0..3)
            .map(|i| Frame {
                dts: Timestamp::from_millis(i * 33),
                pts: Timestamp::from_millis(i * 33 + if reorders { 66 } else { 0 }),
                keyframe: i == 0 || codec.kind() == Kind::Audio,
                payload: Bytes::from(vec![i as u8 + 1; 50]),
            })
            .collect();
        match flv::sequence_header(&track, 0) {
            Some(header) => {
                assert_eq!(push(&mut demuxer, &header), Some(Event::Track(track.clone())));
                assert_eq!(push(&mut demuxer, &header), None, "a repeated header of {codec:?} is no news");
            }
            None => {
                let first = push(&mut demuxer, &flv::frame(&track, &frames[0]).unwrap());
                assert_eq!(first, Some(Event::Track(track.clone())));
            }
        }
        for frame in frames {
            let got = push(&mut demuxer, &flv::frame(&track, &frame).unwrap());
            assert_eq!(got, Some(Event::Frame { track: id, frame }), "{codec:?}");
        }
    }
}

#[test]
fn old_hevc_labelled_as_codec_7_is_recognised() {
    let mut record = vec![1; 23];
    record.extend_from_slice(&[32, 0, 1, 0, 1, 0]);
    let body = [&[0x17, 0, 0, 0, 0][..], &record].concat();
    let event = Demuxer::new(Timestamp::ZERO).push(TagType::Video, 0, &body.into(), testkit::epoch());
    let Ok(Some(Event::Track(track))) = event else { panic!("{event:?}") };
    assert_eq!(track.codec, Codec::H265);
}

#[test]
fn metadata_may_name_codecs_by_number_or_text() {
    let track = Track::new(TrackId::VIDEO, Codec::H264, config_of(Codec::H264));
    let body = flv::metadata(&[track], "test").to_bytes();
    let metadata = Metadata::parse(&body).unwrap();
    assert!(metadata.has_video && !metadata.has_audio);
    assert_eq!(metadata.encoder.as_deref(), Some("test"));
    let text = b"\x02\0\x0aonMetaData\x08\0\0\0\x01\0\x0cvideocodecid\x02\0\x04hvc1\0\0\x09";
    assert!(Metadata::parse(text).unwrap().has_video);
}

#[test]
fn unsupported_codecs_are_named() {
    let mut demuxer = Demuxer::new(Timestamp::ZERO);
    let mut check = |tag, body: &'static [u8], expect| {
        assert_eq!(demuxer.push(tag, 0, &Bytes::from_static(body), testkit::epoch()), Err(expect));
    };
    check(TagType::Video, &[0x12, 0, 0, 0, 0], Error::Codec(2));
    check(TagType::Audio, &[0xb2, 0], Error::Codec(11));
    check(TagType::Video, b"\x90vvc1xx", Error::FourCc(*b"vvc1"));
    check(TagType::Video, &[0x17, 1], Error::Short);
}

/// 640x360, as x264 writes it.
const AVCC: [u8; 40] = [
    0x01, 0x4d, 0x40, 0x1e, 0xff, 0xe1, 0x00, 0x18, 0x67, 0x4d, 0x40, 0x1e, 0xec, 0xa0, 0x50, 0x17, 0xfc,
    0xb8, 0x08, 0x80, 0x00, 0x00, 0x03, 0x00, 0x80, 0x00, 0x00, 0x19, 0x07, 0x8b, 0x16, 0xcb, 0x01, 0x00,
    0x05, 0x68, 0xeb, 0xe3, 0xcb, 0x20,
];

/// A legacy H.264 keyframe of these units.
fn keyframe(units: &[&[u8]]) -> Bytes {
    let mut body = vec![0x17, 1, 0, 0, 0];
    for unit in units {
        body.extend_from_slice(&(unit.len() as u32).to_be_bytes());
        body.extend_from_slice(unit);
    }
    body.into()
}

#[test]
fn frames_have_parameter_sets_only_in_the_configuration() {
    let header: Bytes = [&[0x17, 0, 0, 0, 0][..], &AVCC].concat().into();
    let (sps, pps, slice) = (&AVCC[8..32], &AVCC[35..], &[0x65, 1, 2][..]);
    let mut demuxer = Demuxer::new(Timestamp::ZERO);
    let mut push = |body: &Bytes| {
        let event = demuxer.push(TagType::Video, 0, body, testkit::epoch()).unwrap();
        (event, demuxer.held())
    };
    assert!(matches!(push(&header), (Some(Event::Track(_)), None)));
    assert_eq!(push(&keyframe(&[&[9, 0xf0], sps, pps])), (None, None), "nothing but what is known");
    let stripped = |event| match event {
        Some(Event::Frame { frame, .. }) => assert_eq!(frame.payload[..], [0, 0, 0, 3, 0x65, 1, 2]),
        other => panic!("{other:?}"),
    };
    let (frame, held) = push(&keyframe(&[&[9, 0xf0], sps, pps, slice]));
    stripped(frame);
    assert_eq!(held, None);

    // An encoder that changes its level in band, and goes on to repeat its first sequence header.
    let mut changed = sps.to_vec();
    changed[3] += 1;
    let body = keyframe(&[&changed, pps, slice]);
    let (Some(Event::Track(track)), held) = push(&body) else { panic!() };
    assert_eq!((track.config[3], track.video_size()), (changed[3], Some((640, 360))));
    stripped(held);
    assert_eq!(push(&header), (None, None));
    stripped(push(&body).0);
}

/// `vpcC` has no size, and players want one in the sample entry.
#[test]
fn keyframes_of_vp9_tell_its_size() {
    let mut demuxer = Demuxer::new(Timestamp::ZERO);
    let mut push = |body: &[u8]| {
        let body = Bytes::copy_from_slice(body);
        let event = demuxer.push(TagType::Video, 0, &body, testkit::epoch()).unwrap();
        (event, demuxer.held())
    };
    let header = b"\x90vp09\x01\0\0\0\0\x0a\x82\x02\x02\x02\0\0";
    let (Some(Event::Track(track)), None) = push(header) else { panic!() };
    assert_eq!(track.video_size(), None);
    let keyframe = b"\x91vp09\x82\x49\x83\x42\x20\x09\xf0\x05\x98\0";
    let (Some(Event::Track(track)), Some(Event::Frame { .. })) = push(keyframe) else { panic!() };
    assert_eq!(track.video_size(), Some((160, 90)));
    // The same again is nothing new, nor is a keyframe whose header can't be read.
    for known in [&keyframe[..], header, b"\x91vp09\x82\0", b"\xa1vp09\x86\0"] {
        let (event, held) = push(known);
        assert!(!matches!(event, Some(Event::Track(_))) && held.is_none(), "{event:?}");
    }
    let (Some(Event::Track(track)), Some(_)) = push(b"\x91vp09\x82\x49\x83\x42\x20\x13\xf0\x0b\x30\0") else {
        panic!()
    };
    assert_eq!(track.video_size(), Some((320, 180)));
}

#[test]
fn fuzz_damaged_tags_never_panic() {
    let mut random = Random::seeded(4);
    let mut good = Vec::new();
    for codec in CODECS {
        let id = if codec.kind() == Kind::Video { TrackId::VIDEO } else { TrackId::AUDIO };
        let track = Track::new(id, codec, config_of(codec));
        good.extend(flv::sequence_header(&track, 0));
        let payload = Bytes::from_static(&[0x12, 0, 3, 4, 5]);
        let frame = Frame { dts: Timestamp::ZERO, pts: Timestamp::ZERO, keyframe: true, payload };
        good.extend(flv::frame(&track, &frame));
        good.push(flv::metadata(&[track], "fuzz"));
    }
    let mut demuxer = Demuxer::new(Timestamp::ZERO);
    for _ in 0..10_000 {
        let body = &good[random.below(good.len())];
        let bytes: Bytes = random.mutate(&body.to_bytes()).into();
        if let Ok(Some(Event::Track(track))) =
            demuxer.push(body.tag, random.next_u64() as u32, &bytes, testkit::epoch())
        {
            let _ = (track.video_size(), track.audio_format());
        }
    }
}
