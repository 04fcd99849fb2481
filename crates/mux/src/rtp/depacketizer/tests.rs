//! What ffmpeg sends, in order and out of order, whole and with losses; and what nobody should send.

use super::*;
use crate::rtp::tests::{frames as captured_frames, packets};
use crate::rtp::{Packetizer, Payload};
use bytes::BytesMut;
use media::codec::av1::put_leb128;
use media::codec::h264::{AvcConfig, nal_units};
use media::codec::{h265, vp8, vp9};
use media::{Frame, Timestamp, Track, TrackId};
use testkit::Random;

/// RTP packets of ffmpeg 9 with their lengths: `ffmpeg … -f rtp rtp://127.0.0.1:PORT?pkt_size=1012`, 160x120, ten
/// pictures a second, few of them.
const CAPTURES: &[(Codec, &[u8])] = &[
    // libx264: three slices, a group of four pictures.
    (Codec::H264, include_bytes!("../captures/h264.bin")),
    // libopus, 20 ms a packet.
    (Codec::Opus, include_bytes!("../captures/opus.bin")),
    // libx265, libvpx, libaom: groups of three pictures.
    (Codec::H265, include_bytes!("../captures/h265.bin")),
    (Codec::Vp8, include_bytes!("../captures/vp8.bin")),
    (Codec::Vp9, include_bytes!("../captures/vp9.bin")),
    (Codec::Av1, include_bytes!("../captures/av1.bin")),
];

/// Bytes and checksums of the frames of some captures, as the encoder gave them: `-f framecrc` of the same run.
const CHECKSUMS: [(Codec, [(usize, u32); 6]); 3] = [
    (
        Codec::Vp8,
        [
            (1780, 0x1e40_8c71),
            (234, 0x887b_6a83),
            (212, 0xdf48_6b64),
            (1608, 0x809d_25f7),
            (242, 0xa313_6bb8),
            (226, 0x6fc5_670e),
        ],
    ),
    (
        Codec::Vp9,
        [
            (1138, 0x488d_38dc),
            (78, 0x9b73_2784),
            (134, 0x20d3_456d),
            (1204, 0xf16c_5a24),
            (103, 0x6ae9_30e2),
            (102, 0x3fb8_35e5),
        ],
    ),
    (
        Codec::Av1,
        [
            (2119, 0xd23d_1b42),
            (392, 0x0f87_c21f),
            (206, 0x469b_634c),
            (1727, 0x8edd_5015),
            (428, 0x583d_d33b),
            (262, 0x9461_7bb8),
        ],
    ),
];

fn capture(codec: Codec) -> &'static [u8] {
    CAPTURES.iter().find(|(c, _)| *c == codec).unwrap().1
}

/// Adler-32 that begins with zero.
fn checksum(bytes: &[u8]) -> u32 {
    let (low, high) = bytes.iter().fold((0, 0), |(low, high), byte| {
        let low = (low + u32::from(*byte)) % 65_521;
        (low, (high + low) % 65_521)
    });
    high << 16 | low
}

/// All that comes out after these packets.
fn events(depacketizer: &mut Depacketizer, packets: impl IntoIterator<Item = Received>) -> Vec<Event> {
    let mut events = vec![];
    for packet in packets {
        depacketizer.push(packet);
        events.extend(std::iter::from_fn(|| depacketizer.poll()));
    }
    events.extend(std::iter::from_fn(|| depacketizer.poll()));
    events
}

fn all_events(codec: Codec, packets: impl IntoIterator<Item = Received>) -> Vec<Event> {
    events(&mut Depacketizer::new(codec).unwrap(), packets)
}

fn units(events: &[Event]) -> Vec<Unit> {
    let unit = |e: &Event| if let Event::Unit(unit) = e { Some(unit.clone()) } else { None };
    events.iter().filter_map(unit).collect()
}

/// Packets of these payloads; the frames are 3000 ticks apart.
fn sent(frames: &[Vec<Payload>]) -> Vec<Received> {
    let mut sequence = 7;
    let mut packets = vec![];
    for (i, frame) in frames.iter().enumerate() {
        for payload in frame {
            sequence += 1;
            let timestamp = 3000 * i as u32;
            packets.push(Received {
                sequence,
                timestamp,
                marker: payload.marker,
                payload: payload.bytes.clone(),
            });
        }
    }
    packets
}

#[test]
fn captures_become_frames() {
    for (codec, capture) in CAPTURES {
        let packets = packets(capture);
        let start = i64::from(packets[0].timestamp);
        let events = all_events(*codec, packets);
        assert!(matches!(events[0], Event::Config(_)), "{codec:?} begins with a configuration");
        let configs = events.iter().filter(|e| matches!(e, Event::Config(_))).count();
        let units = units(&events);
        assert_eq!(configs + units.len(), events.len(), "{codec:?}: one configuration, and nothing was lost");
        assert_eq!(configs, 1, "{codec:?}");
        let step = if *codec == Codec::Opus { 960 } else { 9000 };
        let times = (0..units.len() as i64).map(|i| start + i * step);
        assert!(units.iter().map(|u| u.timestamp).eq(times), "{codec:?}");
    }
}

#[test]
fn h264_comes_in_normal_form() {
    let events = all_events(Codec::H264, packets(capture(Codec::H264)));
    let Event::Config(record) = &events[0] else { panic!("{events:?}") };
    let config = AvcConfig::parse(record).unwrap();
    assert_eq!((config.size(), config.sps.len(), config.pps.len()), (Some((160, 120)), 1, 1));
    let units = units(&events);
    let keys: Vec<_> = units.iter().map(|u| u.keyframe).collect();
    assert_eq!(keys, [true, false, false, false, true, false, false, false]);
    for unit in units {
        let slices: Vec<_> = nal_kinds(&unit.payload).into_iter().filter(|k| *k != 6).collect();
        assert_eq!(slices, [if unit.keyframe { 5 } else { 1 }; 3], "three slices, no parameter sets");
    }
}

#[test]
fn frames_are_what_the_encoder_gave() {
    for (codec, frames) in CHECKSUMS {
        let units = units(&all_events(codec, packets(capture(codec))));
        let found = units.iter().map(|u| {
            // AV1 encoders put a temporal delimiter before each unit.
            let delimiter = if codec == Codec::Av1 { &[0x12, 0][..] } else { &[] };
            let given = [delimiter, &u.payload].concat();
            (given.len(), checksum(&given))
        });
        assert_eq!(found.collect::<Vec<_>>(), frames, "{codec:?}");
        let keys: Vec<_> = units.iter().map(|u| u.keyframe).collect();
        assert_eq!(keys, [true, false, false, true, false, false], "{codec:?}");
    }
}

#[test]
fn configurations_tell_what_was_coded() {
    let track = |codec| {
        let Event::Config(config) = all_events(codec, packets(capture(codec)))[0].clone() else { panic!() };
        Track::new(TrackId::VIDEO, codec, config)
    };
    let size = Some((160, 120));
    assert_eq!(track(Codec::H265).video_size(), size);
    assert_eq!(track(Codec::Av1).video_size(), size);
    let names = [Codec::H264, Codec::H265, Codec::Av1, Codec::Vp9].map(|c| track(c).codecs_string());
    assert_eq!(names, ["avc1.4d400a", "hvc1.1.6.L30.90", "av01.0.00M.08", "vp09.00.10.08"]);
    let sound = track(Codec::Opus).audio_format();
    assert_eq!((sound.sample_rate, sound.channels), (48_000, 2));
    assert_eq!(track(Codec::Vp8).config, Bytes::new());
    let keyframe = |codec| units(&all_events(codec, packets(capture(codec))))[0].payload.clone();
    assert_eq!(vp8::size(&keyframe(Codec::Vp8)), size);
    assert_eq!(vp9::size(&keyframe(Codec::Vp9)), size);
}

#[test]
fn h265_comes_in_normal_form() {
    let units = units(&all_events(Codec::H265, packets(capture(Codec::H265))));
    let keys: Vec<_> = units.iter().map(|u| u.keyframe).collect();
    assert_eq!(keys, [true, false, false, true, false, false]);
    for unit in units {
        let kinds: Vec<_> = nal_units(&unit.payload).map(|u| h265::nal::kind(u[0])).collect();
        assert_eq!(kinds.len(), 1, "one slice, no parameter sets");
        assert_eq!((16..=21).contains(&kinds[0]), unit.keyframe, "an IDR or a CRA picture");
    }
}

fn nal_kinds(payload: &[u8]) -> Vec<u8> {
    let units: Vec<_> = nal_units(payload).collect();
    assert_eq!(units.iter().map(|u| u.len() + 4).sum::<usize>(), payload.len());
    units.iter().map(|u| u[0] & 0x1f).collect()
}

/// Packetises the frames of a capture again.
fn again(codec: Codec, capture: &[u8], mtu: usize) -> (Vec<Event>, Vec<Received>) {
    let events = all_events(codec, packets(capture));
    let Event::Config(config) = &events[0] else { panic!("{events:?}") };
    let mut packetizer = Packetizer::new(codec, mtu).unwrap();
    let frames: Vec<_> = units(&events)
        .into_iter()
        .map(|u| {
            let time = Timestamp::from_micros(u.timestamp);
            let frame = Frame { dts: time, pts: time, keyframe: u.keyframe, payload: u.payload };
            packetizer.packetize(config, &frame).unwrap()
        })
        .collect();
    (events, sent(&frames))
}

#[test]
fn frames_are_the_same_after_a_round_trip() {
    let without_time = |events: &[Event]| -> Vec<Event> {
        let bare = |e: &Event| match e {
            Event::Unit(u) => Event::Unit(Unit { timestamp: 0, ..u.clone() }),
            other => other.clone(),
        };
        events.iter().map(bare).collect()
    };
    for (codec, capture) in CAPTURES {
        for mtu in [64, 65, 100, 333, 1200, 9000] {
            if *codec == Codec::Opus && mtu < 100 {
                continue;
            }
            let (events, packets) = again(*codec, capture, mtu);
            let others = all_events(*codec, packets);
            assert!(without_time(&others) == without_time(&events), "{codec:?} in {mtu} bytes");
        }
    }
}

/// A keyframe whose begin is that of `key`, and then units of any number and length.
fn any_shape(codec: Codec, key: &[u8], random: &mut Random) -> Vec<u8> {
    let mut frame = key.to_vec();
    for _ in 0..random.below(6) {
        let limit = [4, 60, 300, 4000][random.below(4)];
        let length = random.below(limit);
        let body = random.bytes(length);
        let size = length as u32;
        match codec {
            Codec::H264 => frame.extend([&(size + 1).to_be_bytes()[..], &[0x65], &body].concat()),
            Codec::H265 => frame.extend([&(size + 2).to_be_bytes()[..], &[0x28, 1], &body].concat()),
            Codec::Av1 => {
                let mut tiles = BytesMut::from(&[0x22][..]);
                put_leb128(&mut tiles, length);
                frame.extend([&tiles[..], &body].concat());
            }
            _ => frame.extend(body),
        }
    }
    frame
}

#[test]
fn frames_of_any_shape_round_trip() {
    let mut random = Random::seeded(77);
    for codec in [Codec::H264, Codec::H265, Codec::Vp8, Codec::Vp9, Codec::Av1] {
        let (config, frames) = captured_frames(codec, capture(codec));
        for _ in 0..200 {
            let mtu = 64 + random.below(600);
            let mut packetizer = Packetizer::new(codec, mtu).unwrap();
            let shapes: Vec<_> = (0..5)
                .map(|_| {
                    let payload = any_shape(codec, &frames[0].payload, &mut random).into();
                    Frame { payload, ..frames[0].clone() }
                })
                .collect();
            let payloads: Vec<_> =
                shapes.iter().map(|frame| packetizer.packetize(&config, frame).unwrap()).collect();
            assert!(payloads.iter().flatten().all(|p| p.bytes.len() <= mtu));
            let units = units(&all_events(codec, sent(&payloads)));
            let same = units.iter().map(|u| &u.payload).eq(shapes.iter().map(|f| &f.payload));
            assert!(same && units.iter().all(|u| u.keyframe), "{codec:?} in {mtu} bytes");
        }
    }
}

#[test]
fn disorder_and_repeats_change_nothing() {
    let mut random = Random::seeded(5);
    for (codec, capture) in CAPTURES {
        let (_, packets) = again(*codec, capture, 120);
        let expect = all_events(*codec, packets.clone());
        for _ in 0..50 {
            let mut mixed = packets.clone();
            for at in 1..mixed.len() {
                // Nothing comes before the first one: a depacketizer begins with what comes first.
                let to = (at + random.below(30)).min(mixed.len() - 1);
                mixed.swap(at, to);
                let copy = mixed[random.below(at)].clone();
                if random.below(4) == 0 {
                    mixed.insert(at, copy);
                }
            }
            assert!(all_events(*codec, mixed) == expect, "{codec:?}");
        }
    }
}

#[test]
fn a_lost_packet_costs_the_pictures_until_the_next_keyframe() {
    for (codec, capture) in CAPTURES.iter().filter(|(codec, _)| *codec != Codec::Opus) {
        let (_, packets) = again(*codec, capture, 300);
        let all = units(&all_events(*codec, packets.clone()));
        for lost in 1..packets.len() - 1 {
            let mut depacketizer = Depacketizer::new(*codec).unwrap();
            let mut rest = packets.clone();
            let gone = rest.remove(lost);
            let mut out = events(&mut depacketizer, rest);
            assert_eq!(depacketizer.missing(), Some(gone.sequence), "{codec:?} waits");
            depacketizer.give_up_before(gone.sequence + 1);
            out.extend(std::iter::from_fn(|| depacketizer.poll()));
            let damaged = usize::try_from(gone.timestamp / 3000).unwrap();
            let key = (damaged + 1..all.len()).find(|i| all[*i].keyframe).unwrap_or(all.len());
            let expect = [&all[..damaged], &all[key..]].concat();
            assert!(units(&out) == expect, "{codec:?} without {lost}: other frames");
            let losses: Vec<_> = out.iter().filter(|e| matches!(e, Event::Lost { .. })).collect();
            // Before the first frame came out, a keyframe is wanted anyway.
            let told = if damaged == 0 { vec![] } else { vec![&Event::Lost { packets: 1 }] };
            assert_eq!(losses, told, "{codec:?} without {lost}");
            assert_eq!(depacketizer.wants_keyframe(), key == all.len());
        }
    }
}

#[test]
fn lost_sound_costs_only_itself() {
    let packets = packets(capture(Codec::Opus));
    let all = units(&all_events(Codec::Opus, packets.clone()));
    let mut depacketizer = Depacketizer::new(Codec::Opus).unwrap();
    let left = packets.iter().enumerate().filter(|(i, _)| ![3, 4, 7].contains(i));
    let left: Vec<_> = left.map(|(_, p)| p.clone()).collect();
    let mut out = events(&mut depacketizer, left);
    assert_eq!(depacketizer.missing(), Some(packets[3].sequence));
    depacketizer.give_up_before(packets[8].sequence);
    out.extend(std::iter::from_fn(|| depacketizer.poll()));
    let unit = |i: usize| Event::Unit(all[i].clone());
    let expect = [unit(2), Event::Lost { packets: 2 }, unit(5), unit(6), Event::Lost { packets: 1 }, unit(8)];
    assert_eq!(out[3..9], expect);
    assert!(!depacketizer.wants_keyframe());
    assert_eq!(all.iter().map(|u| u.keyframe).collect::<Vec<_>>(), vec![true; all.len()]);
}

#[test]
fn timestamps_go_on_over_their_wrap() {
    let mut packets = packets(capture(Codec::Opus));
    let start = u32::MAX - 1500;
    packets.iter_mut().enumerate().for_each(|(i, p)| p.timestamp = start.wrapping_add(960 * i as u32));
    let times: Vec<_> = units(&all_events(Codec::Opus, packets)).iter().map(|u| u.timestamp).collect();
    assert!(times.windows(2).all(|w| w[1] - w[0] == 960), "{times:?}");
    let mut timestamps = Timestamps::default();
    let raw = [10, 5, u32::MAX - 4, 3];
    assert_eq!(raw.map(|r| timestamps.extend(r)), [10, 5, -5, 3], "back over the wrap too");
}

#[test]
fn what_waits_is_bounded() {
    let packet = |sequence, bytes| Received {
        sequence,
        timestamp: 0,
        marker: false,
        payload: Bytes::from(vec![0; bytes]),
    };
    // Nobody polls.
    let mut reorder = Reorder::default();
    (0..3000).filter(|s| *s != 5).for_each(|s| reorder.push(packet(s, 1)));
    let all: Vec<_> = std::iter::from_fn(|| reorder.next()).collect();
    assert_eq!(all.len(), 1 + REORDER_PACKETS_MAX + 1);
    assert_eq!(all[0], Next::Lost(3000 - REORDER_PACKETS_MAX as u64 - 1), "the oldest were dropped");
    // Somebody polls, and one is missing.
    let mut reorder = Reorder::default();
    let mut out = vec![];
    for sequence in (0..3000).filter(|s| *s != 5) {
        reorder.push(packet(sequence, 1));
        out.extend(std::iter::from_fn(|| reorder.next()));
    }
    assert_eq!((out.len(), &out[5]), (3000, &Next::Lost(1)));
    let mut reorder = Reorder::default();
    (1..100).for_each(|s| reorder.push(packet(2 * s, 60_000)));
    reorder.give_up_before(u64::MAX);
    let bytes = |next| if let Next::Received(packet) = next { packet.payload.len() } else { 0 };
    let held: usize = std::iter::from_fn(|| reorder.next()).map(bytes).sum();
    assert!(held > 0 && held <= REORDER_BYTES_MAX, "{held}");
    // Far away: the numbers between cost nothing.
    let mut reorder = Reorder::default();
    reorder.push(packet(1, 1));
    reorder.push(packet(u64::MAX, 1));
    reorder.give_up_before(u64::MAX);
    let all: Vec<_> = std::iter::from_fn(|| reorder.next()).collect();
    assert_eq!(all[1], Next::Lost(u64::MAX - 2));
}

/// A packet of H.264 by its payload.
fn h264(sequence: u64, timestamp: u32, marker: bool, payload: &[u8]) -> Received {
    Received { sequence, timestamp, marker, payload: Bytes::copy_from_slice(payload) }
}

/// Parameter sets of the capture as one STAP-A.
fn h264_sets() -> Vec<u8> {
    let Event::Config(record) = all_events(Codec::H264, packets(capture(Codec::H264)))[0].clone() else {
        panic!()
    };
    let config = AvcConfig::parse(&record).unwrap();
    let mut stap = vec![24];
    for set in [&config.sps[0], &config.pps[0]] {
        stap.extend((set.len() as u16).to_be_bytes());
        stap.extend_from_slice(set);
    }
    stap
}

#[test]
fn h264_payloads_of_every_kind_are_taken() {
    // A picture by STAP-A, single unit and FU-A; one without marker; the fragments of RFC 6184 §5.8.
    let out = all_events(
        Codec::H264,
        [
            h264(1, 0, false, &h264_sets()),
            h264(2, 0, false, &[24, 0, 2, 0x06, 5, 0, 2, 0x65, 0x80]),
            h264(3, 0, false, &[0x65, 1]),
            h264(4, 0, false, &[0x7c, 0x85, 2, 3]),
            h264(5, 0, false, &[0x7c, 0x05, 4]),
            h264(6, 0, false, &[0x7c, 0x45, 5]),
            h264(7, 3000, true, &[0x41, 0x80]),
        ],
    );
    let key = [
        &[0, 0, 0, 2, 6, 5, 0, 0, 0, 2, 0x65, 0x80, 0, 0, 0, 2, 0x65, 1][..],
        &[0, 0, 0, 5],
        &[0x65, 2, 3, 4, 5],
    ];
    let units = units(&out);
    assert_eq!(units[0].payload[..], key.concat());
    assert_eq!(units[1].payload[..], [0, 0, 0, 2, 0x41, 0x80]);
    assert_eq!((units[0].keyframe, units[1].keyframe, units[1].timestamp), (true, false, 3000));
}

#[test]
fn changed_parameter_sets_become_a_configuration() {
    let (sets, idr) = (h264_sets(), [0x65, 0x80]);
    let mut depacketizer = Depacketizer::new(Codec::H264).unwrap();
    let first = events(
        &mut depacketizer,
        [h264(1, 0, false, &sets), h264(2, 0, true, &idr), h264(3, 1, true, &sets)],
    );
    assert_eq!(first.len(), 2, "a repeat is nothing: {first:?}");
    let changed = events(
        &mut depacketizer,
        [h264(4, 2, false, &[0x68, 0xee, 1]), h264(5, 2, true, &idr), h264(6, 3, true, &[0x41, 0x80])],
    );
    let Event::Config(record) = &changed[0] else { panic!("{changed:?}") };
    assert_eq!(AvcConfig::parse(record).unwrap().pps[0][..], [0x68, 0xee, 1]);
    assert_eq!(units(&changed)[0].payload[..], [0, 0, 0, 2, 0x65, 0x80]);
    assert_eq!(changed.len(), 3);
}

#[test]
fn a_keyframe_without_its_begin_is_none() {
    let out = |packets: &[Received]| all_events(Codec::H264, packets.to_vec());
    let sets = h264(1, 0, true, &h264_sets());
    assert_eq!(out(&[sets.clone(), h264(2, 1, true, &[0x65, 0x40])]), [], "first_mb_in_slice isn't zero");
    assert_eq!(out(&[sets.clone(), h264(2, 1, true, &[0x7c, 0x45, 0x80])]), [], "the last fragment alone");
    assert_eq!(out(&[sets.clone(), h264(2, 1, true, &[0x41, 0x80])]), [], "no keyframe");
    assert_eq!(out(&[h264(2, 1, true, &[0x65, 0x80])]), [], "no parameter sets");
    assert_eq!(out(&[sets, h264(2, 1, true, &[0x65, 0x80])]).len(), 2);
}

#[test]
fn a_keyframe_whose_parameter_sets_may_be_lost_is_none() {
    let (sets, idr) = (h264_sets(), [0x65, 0x80]);
    // Parameter sets came with the first keyframe; packet 3 could have brought other ones.
    let mut depacketizer = Depacketizer::new(Codec::H264).unwrap();
    let begin = [h264(1, 0, false, &sets), h264(2, 0, true, &idr), h264(4, 1, true, &idr)];
    assert_eq!(events(&mut depacketizer, begin).len(), 2);
    depacketizer.give_up_before(4);
    assert_eq!(events(&mut depacketizer, []), [Event::Lost { packets: 1 }]);
    let later = [h264(5, 2, false, &sets), h264(6, 2, true, &idr)];
    assert_eq!(units(&events(&mut depacketizer, later)).len(), 1);
    // They came once and for all.
    let mut depacketizer = Depacketizer::new(Codec::H264).unwrap();
    let begin = [h264(1, 0, true, &sets), h264(2, 1, true, &idr), h264(4, 2, true, &idr)];
    assert_eq!(events(&mut depacketizer, begin).len(), 2);
    depacketizer.give_up_before(4);
    assert_eq!(units(&events(&mut depacketizer, [])).len(), 1);
}

#[test]
fn damaged_payloads_count_as_lost() {
    for payload in [
        // Types that packetization-mode 1 has not, reserved ones, cut aggregates, fragments without begin or header.
        &[25, 0, 0, 0, 2, 0x41, 1][..],
        &[26, 0, 0],
        &[29, 0x81, 1],
        &[0, 1],
        &[30, 1],
        &[24, 0, 9, 0x41, 1],
        &[24, 0],
        &[24, 0, 0],
        &[24, 0, 1, 24],
        &[0x7c, 0x05, 1],
        &[0x7c],
        &[0x7c, 0x98, 1],
    ] {
        let mut depacketizer = Depacketizer::new(Codec::H264).unwrap();
        let begin = [h264(1, 0, false, &h264_sets()), h264(2, 0, true, &[0x65, 0x80])];
        assert_eq!(events(&mut depacketizer, begin).len(), 2);
        let out = events(
            &mut depacketizer,
            [h264(3, 1, true, payload), h264(4, 2, true, &[0x41, 0x80]), h264(5, 3, true, &[0x65, 0x80])],
        );
        assert_eq!(out[0], Event::Lost { packets: 0 }, "{payload:02x?}");
        assert_eq!((out.len(), units(&out)[0].timestamp), (2, 3), "{payload:02x?}");
    }
}

#[test]
fn endless_frames_are_dropped() {
    let mut depacketizer = Depacketizer::new(Codec::H264).unwrap();
    let begin = [h264(1, 0, false, &h264_sets()), h264(2, 0, true, &[0x65, 0x80])];
    assert_eq!(events(&mut depacketizer, begin).len(), 2);
    let piece = [&[0x7c, 0x01][..], &[0; 60_000]].concat();
    let mut out = events(&mut depacketizer, [h264(3, 1, false, &[0x7c, 0x81, 0x80])]);
    for sequence in 4..100 {
        out.extend(events(&mut depacketizer, [h264(sequence, 1, false, &piece)]));
    }
    assert_eq!(out, [Event::Lost { packets: 0 }]);
}

#[test]
fn codecs_without_payload_format_are_refused() {
    for codec in [Codec::Aac, Codec::Mp3] {
        assert_eq!(Depacketizer::new(codec).unwrap_err(), Error::NoRtp(codec));
    }
}

/// Damages, loses, repeats and mixes packets; whatever comes out keeps the promises.
fn fuzz(codec: Codec, seed: u64) {
    let mut random = Random::seeded(seed);
    let (_, small) = again(codec, capture(codec), 100);
    let large = packets(capture(codec));
    for _ in 0..2000 {
        let mut mixed = if random.below(2) == 0 { small.clone() } else { large.clone() };
        for _ in 0..random.below(12) {
            let at = random.below(mixed.len());
            match random.below(6) {
                0 => drop(mixed.remove(at)),
                1 => mixed[at].sequence = mixed[at].sequence.wrapping_add(random.below(4) as u64),
                2 => mixed[at].timestamp = random.next_u64() as u32,
                3 => mixed[at].marker ^= true,
                _ => mixed[at].payload = random.mutate(&mixed[at].payload).into(),
            }
        }
        let mut depacketizer = Depacketizer::new(codec).unwrap();
        let (mut has_config, mut in_order) = (false, false);
        for packet in mixed {
            let sequence = packet.sequence;
            depacketizer.push(packet);
            if random.below(8) == 0 {
                depacketizer.give_up_before(sequence);
            }
            while let Some(event) = depacketizer.poll() {
                match event {
                    Event::Config(_) => has_config = true,
                    Event::Lost { .. } => in_order = codec == Codec::Opus,
                    Event::Unit(unit) => {
                        in_order |= unit.keyframe;
                        assert!(has_config && in_order && !unit.payload.is_empty());
                        assert!(unit.payload.len() <= UNIT_BYTES_MAX);
                    }
                }
            }
        }
    }
}

#[test]
fn fuzz_h264_never_panics_and_begins_with_keyframes() {
    fuzz(Codec::H264, 61);
}

#[test]
fn fuzz_opus_never_panics() {
    fuzz(Codec::Opus, 62);
}

#[test]
fn fuzz_vp8_never_panics_and_begins_with_keyframes() {
    fuzz(Codec::Vp8, 63);
}

#[test]
fn fuzz_vp9_never_panics_and_begins_with_keyframes() {
    fuzz(Codec::Vp9, 64);
}

#[test]
fn fuzz_av1_never_panics_and_begins_with_keyframes() {
    fuzz(Codec::Av1, 65);
}

#[test]
fn fuzz_h265_never_panics_and_begins_with_keyframes() {
    fuzz(Codec::H265, 66);
}
