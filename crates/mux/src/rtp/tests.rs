//! What the tests of both directions share: packets that ffmpeg sent.

use super::{Depacketizer, Event, Received};
use bytes::Bytes;
use media::{Codec, Frame, Timestamp};

/// The packets of a capture: each with its length before it.
pub(super) fn packets(mut capture: &[u8]) -> Vec<Received> {
    let mut packets = vec![];
    while let Some((length, rest)) = capture.split_at_checked(2) {
        let (packet, later) = rest.split_at(usize::from(u16::from_be_bytes([length[0], length[1]])));
        capture = later;
        // RFC 3550 §5.1: no padding, no extension, no contributing source.
        assert_eq!(packet[0], 0x80);
        packets.push(Received {
            sequence: 0x1_0000 + u64::from(u16::from_be_bytes([packet[2], packet[3]])),
            timestamp: u32::from_be_bytes(packet[4..8].try_into().unwrap()),
            marker: packet[1] & 0x80 != 0,
            payload: Bytes::copy_from_slice(&packet[12..]),
        });
    }
    packets
}

/// Configuration and frames of a capture. A frame is decoded 100 ms after the one before.
pub(super) fn frames(codec: Codec, capture: &[u8]) -> (Bytes, Vec<Frame>) {
    let mut depacketizer = Depacketizer::new(codec).unwrap();
    packets(capture).into_iter().for_each(|packet| depacketizer.push(packet));
    let (mut config, mut frames, mut start) = (Bytes::new(), vec![], None);
    while let Some(event) = depacketizer.poll() {
        match event {
            Event::Config(record) => config = record,
            Event::Unit(unit) => {
                let start = *start.get_or_insert(unit.timestamp);
                let clock_hz = super::clock_hz(codec).unwrap();
                frames.push(Frame {
                    dts: Timestamp::from_millis(100 * frames.len() as i64),
                    pts: Timestamp::from_clock(unit.timestamp - start, clock_hz),
                    keyframe: unit.keyframe,
                    payload: unit.payload,
                });
            }
            Event::Lost { .. } => panic!("nothing is lost in captures"),
        }
    }
    (config, frames)
}
