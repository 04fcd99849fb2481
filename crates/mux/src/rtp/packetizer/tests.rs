//! Payloads byte for byte, their bounds, and damaged frames.

use super::*;
use media::Timestamp;
use testkit::Random;

const MTU: usize = 64;
/// An SPS of two bytes and a PPS of two bytes.
const AVCC: &[u8] = &[1, 0x4d, 0x40, 0x1e, 0xff, 0xe1, 0, 2, 0x67, 0x4d, 1, 0, 2, 0x68, 0xeb];
/// A VPS, an SPS and a PPS of three bytes each.
const HVCC: &[u8] = &[
    1, 1, 0x60, 0, 0, 0, 0x90, 0, 0, 0, 0, 0, 0x3c, 0xf0, 0, 0xfc, 0xfd, 0xf8, 0xf8, 0, 0, 0x0f, 3, 0xa0, 0,
    1, 0, 3, 0x40, 1, 0xc, 0xa1, 0, 1, 0, 3, 0x42, 1, 1, 0xa2, 0, 1, 0, 3, 0x44, 1, 0xc1,
];
/// A sequence header of 11 bytes.
const AV1C: &[u8] = &[0x81, 0, 0x0c, 0, 0x0a, 0x0b, 0, 0, 0, 4, 0x3c, 0xfe, 0xcc, 0x02, 0xf8, 0, 0x40];
/// The begin of a VP9 keyframe of 160x90.
const VP9: &[u8] = &[0x82, 0x49, 0x83, 0x42, 0x20, 0x09, 0xf0, 0x05, 0x98, 0x00];

fn frame(keyframe: bool, payload: &[u8]) -> Frame {
    let payload = Bytes::copy_from_slice(payload);
    Frame { dts: Timestamp::ZERO, pts: Timestamp::ZERO, keyframe, payload }
}

/// A unit with its length: `header`, then `length` bytes that count up.
fn unit(header: &[u8], length: usize) -> Vec<u8> {
    let mut bytes = ((header.len() + length) as u32).to_be_bytes().to_vec();
    bytes.extend_from_slice(header);
    bytes.extend((0..length).map(|i| i as u8));
    bytes
}

/// The payloads of one frame; checks bounds and marker.
fn packetize(codec: Codec, config: &'static [u8], keyframe: bool, payload: &[u8]) -> Vec<Bytes> {
    let mut packetizer = Packetizer::new(codec, MTU).unwrap();
    let payloads = packetizer.packetize(&Bytes::from_static(config), &frame(keyframe, payload)).unwrap();
    let last = payloads.len() - 1;
    assert!(payloads.iter().enumerate().all(|(i, p)| p.marker == (i == last && codec != Codec::Opus)));
    assert!(payloads.iter().all(|p| !p.bytes.is_empty() && p.bytes.len() <= MTU));
    payloads.into_iter().map(|p| p.bytes).collect()
}

#[test]
fn an_h264_keyframe_comes_behind_its_parameter_sets() {
    let payloads = packetize(Codec::H264, AVCC, true, &unit(&[0x65], 3));
    let stap = [0x78, 0, 2, 0x67, 0x4d, 0, 2, 0x68, 0xeb, 0, 4, 0x65, 0, 1, 2];
    assert_eq!(payloads, [&stap[..]], "all of them in one aggregate, with the highest nal_ref_idc");
    let payloads = packetize(Codec::H264, AVCC, true, &unit(&[0x65], 70));
    assert_eq!(payloads.len(), 3);
    assert_eq!(payloads[0][..], stap[..9], "the parameter sets alone if the slice is too long");
    assert_eq!(payloads[1][..5], [0x7c, 0x85, 0, 1, 2]);
    assert_eq!(payloads[2][..3], [0x7c, 0x45, 35]);
    assert_eq!(payloads[1].len(), payloads[2].len(), "fragments of the same length");
}

#[test]
fn h264_pictures_go_alone_together_or_in_pieces() {
    let one = packetize(Codec::H264, AVCC, false, &unit(&[0x41], 63));
    assert_eq!(one.iter().map(Bytes::len).collect::<Vec<_>>(), [64]);
    assert_eq!(one[0][..3], [0x41, 0, 1]);
    let slices = [unit(&[0x01], 27), unit(&[0x41], 28), unit(&[0x41], 1)].concat();
    let two = packetize(Codec::H264, AVCC, false, &slices);
    assert_eq!(two.iter().map(Bytes::len).collect::<Vec<_>>(), [62, 2]);
    assert_eq!((two[0][0], two[1][0]), (0x58, 0x41));
    let three = packetize(Codec::H264, AVCC, false, &unit(&[0x61], 125));
    let heads: Vec<_> = three.iter().map(|p| [p[0], p[1]]).collect();
    assert_eq!(heads, [[0x7c, 0x81], [0x7c, 0x01], [0x7c, 0x41]]);
    let body: Vec<u8> = three.iter().flat_map(|p| p[2..].to_vec()).collect();
    assert_eq!(body, (0..125).collect::<Vec<u8>>());
}

#[test]
fn delimiters_filler_and_reserved_types_are_left_out() {
    let units = [unit(&[0x09], 1), unit(&[0x41], 1), unit(&[0x0c], 200), unit(&[0x7c], 4)].concat();
    assert_eq!(packetize(Codec::H264, AVCC, false, &units), [&[0x41, 0][..]]);
    let units =
        [unit(&[0x46, 1], 1), unit(&[0x02, 1], 1), unit(&[0x4c, 1], 90), unit(&[0x62, 1], 4)].concat();
    assert_eq!(packetize(Codec::H265, HVCC, false, &units), [&[0x02, 1, 0][..]]);
    let mut packetizer = Packetizer::new(Codec::H264, MTU).unwrap();
    let nothing = packetizer.packetize(&Bytes::from_static(AVCC), &frame(false, &unit(&[0x09], 1)));
    assert_eq!(nothing, Ok(vec![]));
}

#[test]
fn h265_has_headers_of_two_bytes() {
    let payloads = packetize(Codec::H265, HVCC, true, &unit(&[0x26, 1], 70));
    let sets = [0x60, 1, 0, 3, 0x40, 1, 0xc, 0, 3, 0x42, 1, 1, 0, 3, 0x44, 1, 0xc1];
    assert_eq!(payloads[0][..], sets);
    assert_eq!(payloads[1][..5], [0x62, 1, 0x93, 0, 1]);
    assert_eq!(payloads[2][..4], [0x62, 1, 0x53, 35]);
}

#[test]
fn vp8_has_a_picture_id_and_a_start() {
    let mut packetizer = Packetizer::new(Codec::Vp8, MTU).unwrap();
    let mut head = |length| {
        let payloads = packetizer.packetize(&Bytes::new(), &frame(false, &vec![1; length])).unwrap();
        payloads.iter().map(|p| p.bytes[..4].to_vec()).collect::<Vec<_>>()
    };
    assert_eq!(head(60), [[0x90, 0x80, 0x80, 0]]);
    assert_eq!(head(61), [[0x90, 0x80, 0x80, 1], [0x80, 0x80, 0x80, 1]]);
    (2..0x7fff).for_each(|_| drop(head(1)));
    assert_eq!([head(1), head(1)], [[[0x90, 0x80, 0xff, 0xff]], [[0x90, 0x80, 0x80, 0]]], "15 bits");
}

#[test]
fn vp9_keyframes_tell_the_structure() {
    let mut packetizer = Packetizer::new(Codec::Vp9, MTU).unwrap();
    let mut payloads = |keyframe, length| {
        let payload = [VP9, &vec![7; length][..]].concat();
        packetizer.packetize(&Bytes::new(), &frame(keyframe, &payload)).unwrap()
    };
    let key = payloads(true, 80);
    let structure = [0x18, 0, 160, 0, 90, 1, 4, 1];
    assert_eq!(key[0].bytes[..5], [0xaa, 0x80, 0, 0, 0]);
    assert_eq!(key[0].bytes[5..13], structure);
    assert_eq!(key[0].bytes[13..23], *VP9);
    assert_eq!(key[1].bytes[..6], [0xa4, 0x80, 0, 0, 0, 7]);
    let inter = payloads(false, 10);
    assert_eq!(inter[0].bytes[..6], [0xec, 0x80, 1, 0, 1, 0x82]);
}

#[test]
fn av1_drops_sizes_and_delimiters() {
    // A delimiter, the sequence header, a frame of three bytes.
    let unit = [&[0x12, 0][..], &AV1C[4..], &[0x32, 3, 0x10, 1, 2]].concat();
    let payloads = packetize(Codec::Av1, AV1C, true, &unit);
    let expect = [&[0x28, 12, 0x08][..], &AV1C[6..], &[0x30, 0x10, 1, 2]].concat();
    assert_eq!(payloads, [&expect[..]], "W = 2, so the last one has no length; N is set");
    let bare = packetize(Codec::Av1, AV1C, true, &unit[15..]);
    assert_eq!(bare, payloads, "a keyframe without sequence header gets that of the configuration");
    let four = [&[0x32, 1, 9][..]; 4].concat();
    let expect = [&[0x00][..], &[2, 0x30, 9].repeat(4)].concat();
    assert_eq!(packetize(Codec::Av1, AV1C, false, &four), [&expect[..]], "W can't count four");
}

#[test]
fn av1_frames_are_cut_and_continued() {
    let frame = [&[0x36, 8, 100][..], &[5; 100]].concat();
    let payloads = packetize(Codec::Av1, AV1C, false, &frame);
    let heads: Vec<_> = payloads.iter().map(|p| p[0]).collect();
    assert_eq!(heads, [CONTINUED_ONE, CONTINUES_ONE]);
    assert_eq!(payloads[0][1..4], [0x34, 8, 5], "the extension byte stays");
    assert_eq!(payloads.iter().map(|p| p.len() - 1).sum::<usize>(), 102);
    const CONTINUED_ONE: u8 = av1::CONTINUED | 0x10;
    const CONTINUES_ONE: u8 = av1::CONTINUES | 0x10;
}

#[test]
fn no_later_av1_payload_begins_with_a_whole_obu() {
    for first in 2..200 {
        let size = |n: usize| [0x80 | (n & 0x7f) as u8, (n >> 7) as u8];
        let unit =
            [&[0x1a][..], &size(first), &vec![1; first], &[0x22], &size(150), &[2; 150], &[0x22, 9], &[3; 9]];
        let payloads = packetize(Codec::Av1, AV1C, false, &unit.concat());
        assert!(payloads[1..].iter().all(|p| p[0] & av1::CONTINUES != 0), "first of {first}");
    }
}

#[test]
fn opus_goes_as_it_is() {
    assert_eq!(packetize(Codec::Opus, b"", true, &[0xfc; 40]), [&[0xfc; 40][..]]);
    let mut packetizer = Packetizer::new(Codec::Opus, MTU).unwrap();
    let error = packetizer.packetize(&Bytes::new(), &frame(true, &[0xfc; 65])).unwrap_err();
    assert_eq!(error, Error::RtpTooLong(65));
}

#[test]
fn what_cannot_be_is_told() {
    assert_eq!(Packetizer::new(Codec::Aac, 1200).unwrap_err(), Error::NoRtp(Codec::Aac));
    for mtu in [0, MTU_MIN - 1, MTU_MAX + 1] {
        assert_eq!(Packetizer::new(Codec::H264, mtu).unwrap_err(), Error::RtpMtu(mtu));
    }
    let error = |codec, keyframe, payload| {
        Packetizer::new(codec, MTU).unwrap().packetize(&Bytes::new(), &frame(keyframe, payload)).unwrap_err()
    };
    for codec in [Codec::H264, Codec::H265] {
        assert_eq!(error(codec, true, &[0, 0, 0, 2, 0x65, 1]), Error::Config(codec));
        assert_eq!(error(codec, false, &[0, 0, 0, 9, 0x65, 1]), Error::NotNormal(codec));
    }
    assert_eq!(error(Codec::Av1, true, &[0x32, 1, 9]), Error::Config(Codec::Av1));
    assert_eq!(error(Codec::Av1, false, &[0x32, 9]), Error::NotNormal(Codec::Av1));
}

#[test]
fn a_changed_configuration_goes_in_band_with_the_next_keyframe() {
    let mut packetizer = Packetizer::new(Codec::H264, MTU).unwrap();
    let mut other = AVCC.to_vec();
    other[14] = 0xee;
    let key = frame(true, &unit(&[0x65], 3));
    let mut pps = |config: &Bytes| packetizer.packetize(config, &key).unwrap()[0].bytes[8];
    let (first, second) = (Bytes::from_static(AVCC), Bytes::from(other));
    assert_eq!([pps(&first), pps(&second), pps(&first)], [0xeb, 0xee, 0xeb]);
}

#[test]
fn fuzz_frames_never_panic_and_payloads_keep_the_limit() {
    let avc = [unit(&[0x09], 1), unit(&[0x65], 150), unit(&[0x41], 20)].concat();
    let hevc = [unit(&[0x26, 1], 150), unit(&[0x02, 1], 20)].concat();
    let av1 = [&AV1C[4..], &[0x32, 90], &[1; 90], &[0x36, 8, 3, 1, 2, 3]].concat();
    let vp9 = [VP9, &[7; 100]].concat();
    let all = [
        (Codec::H264, AVCC, avc),
        (Codec::H265, HVCC, hevc),
        (Codec::Av1, AV1C, av1),
        (Codec::Vp9, &[][..], vp9.clone()),
        (Codec::Vp8, &[][..], vp9),
        (Codec::Opus, &[][..], vec![0xfc; 40]),
    ];
    let mut random = Random::seeded(41);
    for (codec, config, payload) in all {
        for _ in 0..2000 {
            let mtu = MTU_MIN + random.below(60);
            let mut packetizer = Packetizer::new(codec, mtu).unwrap();
            let config =
                if random.below(3) == 0 { random.mutate(config).into() } else { Bytes::from_static(config) };
            let frame = frame(random.below(2) == 0, &random.mutate(&payload));
            if let Ok(payloads) = packetizer.packetize(&config, &frame) {
                assert!(payloads.iter().all(|p| !p.bytes.is_empty() && p.bytes.len() <= mtu), "{codec:?}");
            }
        }
    }
}
