//! Fragments: `moof` and `mdat`. ISO 14496-12 §8.8.

use super::boxes::{close, open, open_full};
use super::init::TRACK_NUMBER;
use bytes::{BufMut, Bytes, BytesMut};
use media::{Frame, Kind, Timestamp, Track};

/// `tfhd`: data offsets count from this `moof`.
const DEFAULT_BASE_IS_MOOF: u32 = 0x02_0000;
/// `trun`: data offset, durations, sizes, flags.
const RUN_FLAGS: u32 = 0x01 | 0x100 | 0x200 | 0x400;
/// `trun`: composition time offsets.
const RUN_OFFSETS: u32 = 0x800;
/// Sample depends on no other. ISO 14496-12 §8.8.3.1.
const SYNC: u32 = 0x0200_0000;
/// Sample depends on others and is no sync sample.
const NON_SYNC: u32 = 0x0101_0000;

/// One fragment of `frames`, whose last one lasts until `end`. Times are in the track's clock, each rounded by
/// itself, so that nothing drifts however many fragments follow.
pub fn fragment(track: &Track, sequence: u32, frames: &[Frame], end: Timestamp) -> Bytes {
    let payload: usize = frames.iter().map(|f| f.payload.len()).sum();
    let mut out = BytesMut::with_capacity(payload + frames.len() * 16 + 128);
    let moof = open(&mut out, b"moof");
    let mfhd = open_full(&mut out, b"mfhd", 0, 0);
    out.put_u32(sequence);
    close(&mut out, mfhd);
    let traf = open(&mut out, b"traf");
    let tfhd = open_full(&mut out, b"tfhd", 0, DEFAULT_BASE_IS_MOOF);
    out.put_u32(TRACK_NUMBER);
    close(&mut out, tfhd);
    let tfdt = open_full(&mut out, b"tfdt", 1, 0);
    let ticks = |t: Timestamp| t.to_clock(track.clock_hz).max(0);
    out.put_i64(frames.first().map_or(0, |f| ticks(f.dts)));
    close(&mut out, tfdt);
    let data_offset_at = put_run(&mut out, track, frames, end);
    close(&mut out, traf);
    close(&mut out, moof);
    let data_offset = (out.len() + 8) as u32;
    out[data_offset_at..data_offset_at + 4].copy_from_slice(&data_offset.to_be_bytes());
    let mdat = open(&mut out, b"mdat");
    frames.iter().for_each(|f| out.put_slice(&f.payload));
    close(&mut out, mdat);
    out.freeze()
}

/// Appends `trun`; returns where its data offset stands.
fn put_run(out: &mut BytesMut, track: &Track, frames: &[Frame], end: Timestamp) -> usize {
    let video = track.kind == Kind::Video;
    let trun = open_full(out, b"trun", 1, RUN_FLAGS | if video { RUN_OFFSETS } else { 0 });
    out.put_u32(frames.len() as u32);
    let data_offset_at = out.len();
    out.put_u32(0);
    let ticks = |t: Timestamp| t.to_clock(track.clock_hz);
    for (i, frame) in frames.iter().enumerate() {
        let next = frames.get(i + 1).map_or(end, |f| f.dts);
        let duration = (ticks(next) - ticks(frame.dts)).clamp(0, i64::from(u32::MAX));
        out.put_u32(duration as u32);
        out.put_u32(frame.payload.len() as u32);
        out.put_u32(if frame.keyframe { SYNC } else { NON_SYNC });
        if video {
            let offset = ticks(frame.pts) - ticks(frame.dts);
            out.put_i32(offset.clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as i32);
        }
    }
    close(out, trun);
    data_offset_at
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fmp4::init_segment;
    use media::{Codec, TrackId};

    fn audio() -> Track {
        Track::new(TrackId::AUDIO, Codec::Aac, Bytes::from_static(&[0x11, 0x90]))
    }

    fn frames(count: i64) -> Vec<Frame> {
        (0..count)
            .map(|i| {
                let dts = Timestamp::from_clock(i * 1024, 48_000);
                Frame { dts, pts: dts, keyframe: true, payload: Bytes::from_static(b"abc") }
            })
            .collect()
    }

    /// Types of the boxes at the top, checking that their sizes add up.
    fn top(bytes: &[u8]) -> Vec<String> {
        let mut rest = bytes;
        let mut kinds = Vec::new();
        while !rest.is_empty() {
            let size = u32::from_be_bytes(rest[..4].try_into().unwrap()) as usize;
            kinds.push(String::from_utf8_lossy(&rest[4..8]).into_owned());
            rest = &rest[size..];
        }
        kinds
    }

    #[test]
    fn boxes_are_whole() {
        assert_eq!(top(&init_segment(&audio())), ["ftyp", "moov"]);
        let end = Timestamp::from_clock(3 * 1024, 48_000);
        assert_eq!(top(&fragment(&audio(), 1, &frames(3), end)), ["moof", "mdat"]);
    }

    #[test]
    fn the_data_offset_points_at_the_first_sample() {
        let bytes = fragment(&audio(), 1, &frames(2), Timestamp::from_clock(2048, 48_000));
        let run = bytes.windows(4).position(|w| w == b"trun").unwrap();
        let offset = u32::from_be_bytes(bytes[run + 12..run + 16].try_into().unwrap()) as usize;
        assert_eq!(&bytes[offset..], b"abcabc");
        let duration = u32::from_be_bytes(bytes[run + 16..run + 20].try_into().unwrap());
        assert_eq!(duration, 1024);
    }
}
