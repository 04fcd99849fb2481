//! Pictures as the program takes them, on a timeline of its own.

use bytes::{Buf, BytesMut};
use media::{Codec, Frame, Timestamp, Track};
use mux::{flv, ts};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// What pictures are wrapped in on their way to the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Container {
    /// Takes the shortest way: each tag is one picture.
    Flv,
    /// For HEVC, which older ffmpegs know in no FLV.
    Ts,
}

/// Writes the pictures of one track for one program.
#[derive(Debug)]
pub(super) struct Feeding {
    track: Track,
    muxer: Muxer,
    /// Bytes on their way to the program.
    pub(super) pending: BytesMut,
    /// The zero of the program's timeline.
    base: Option<Timestamp>,
    /// Pictures that are with the program, by the milliseconds at which it shows them.
    given: BTreeMap<i64, Given>,
}

#[derive(Debug)]
enum Muxer {
    Flv,
    Ts(Box<ts::Muxer>),
}

/// A picture that is with the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Given {
    pub(super) pts: Timestamp,
    pub(super) arrived: Instant,
}

/// Pictures with the program: more than it ever holds, and than a log of short ones has.
const GIVEN_MAX: usize = 4096;
/// Times come back rounded.
const ROUNDING_MS: i64 = 2;

impl Container {
    pub(super) fn of(codec: Codec) -> Option<Container> {
        match codec {
            Codec::H264 => Some(Container::Flv),
            Codec::H265 => Some(Container::Ts),
            _ => None,
        }
    }

    /// As ffmpeg calls it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Container::Flv => "flv",
            Container::Ts => "mpegts",
        }
    }

    /// What is read before the tracks are known: the least that there may be, or some packets with tables and the first picture.
    pub(super) fn probe_bytes(self) -> usize {
        match self {
            Container::Flv => 32,
            Container::Ts => 100_000,
        }
    }
}

impl Feeding {
    /// None if the track's codec can't be given to it.
    pub(super) fn new(track: &Track) -> Option<Feeding> {
        let muxer = match Container::of(track.codec)? {
            Container::Flv => Muxer::Flv,
            Container::Ts if ts::can_carry(track) => {
                Muxer::Ts(Box::new(ts::Muxer::new(std::slice::from_ref(track))))
            }
            Container::Ts => return None,
        };
        let mut pending = BytesMut::new();
        if let Muxer::Flv = muxer {
            pending.extend_from_slice(&flv::file_header(true, false));
            flv::write_tag(&mut pending, &flv::sequence_header(track, 0)?);
        }
        Some(Feeding { track: track.clone(), muxer, pending, base: None, given: BTreeMap::new() })
    }

    pub(super) fn track(&self) -> &Track {
        &self.track
    }

    /// Whether all was written.
    pub(super) fn is_drained(&self) -> bool {
        !self.pending.has_remaining()
    }

    /// Wraps a picture. The first has to be a keyframe.
    pub(super) fn give(&mut self, frame: &Frame, arrived: Instant) {
        let base = *self.base.get_or_insert(frame.dts);
        let since = |time: Timestamp| Timestamp::from_micros(time.as_micros() - base.as_micros());
        let moved = Frame { dts: since(frame.dts), pts: since(frame.pts), ..frame.clone() };
        let offset = match &mut self.muxer {
            Muxer::Flv => {
                if let Some(body) = flv::frame(&self.track, &moved) {
                    flv::write_tag(&mut self.pending, &body);
                }
                Duration::ZERO
            }
            Muxer::Ts(muxer) => {
                if frame.keyframe {
                    muxer.segment_start(&mut self.pending);
                }
                muxer.frame(self.track.id, &moved, &mut self.pending);
                ts::TIME_OFFSET
            }
        };
        self.given.insert((moved.pts + offset).as_millis(), Given { pts: frame.pts, arrived });
        if self.given.len() > GIVEN_MAX {
            self.given.pop_first();
        }
    }

    /// Which picture came back with that time; earlier ones won't any more.
    pub(super) fn take(&mut self, time_ms: u32) -> Option<Given> {
        let time = i64::from(time_ms);
        let near = self.given.range(time - ROUNDING_MS..=time + ROUNDING_MS);
        let (at, given) = near.min_by_key(|(at, _)| (**at - time).abs()).map(|(at, given)| (*at, *given))?;
        self.given = self.given.split_off(&(at + 1));
        Some(given)
    }

    /// What pictures are wrapped in.
    pub(super) fn container(&self) -> Container {
        match self.muxer {
            Muxer::Flv => Container::Flv,
            Muxer::Ts(_) => Container::Ts,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use media::TrackId;

    fn frame(dts_ms: i64, pts_ms: i64) -> Frame {
        let (dts, pts) = (Timestamp::from_millis(dts_ms), Timestamp::from_millis(pts_ms));
        Frame { dts, pts, keyframe: dts_ms == 0, payload: Bytes::from_static(&[0, 0, 0, 2, 0x65, 1]) }
    }

    fn feeding() -> Feeding {
        Feeding::new(&Track::new(TrackId::VIDEO, Codec::H264, Bytes::from_static(&[1]))).unwrap()
    }

    #[test]
    fn a_picture_comes_back_with_the_time_and_the_arrival_that_it_had() {
        let (mut feeding, now) = (feeding(), Instant::now());
        let day = 86_400_000;
        for (n, (dts, pts)) in [(0, 80), (40, 200), (80, 120), (120, 160)].into_iter().enumerate() {
            feeding.give(&frame(day + dts, day + pts), now + Duration::from_millis(n as u64));
        }
        let pts = Timestamp::from_millis(day + 120);
        let given = feeding.take(121);
        assert_eq!(given, Some(Given { pts, arrived: now + Duration::from_millis(2) }));
        assert_eq!(feeding.take(80), None, "the decoder left it out");
        assert_eq!(feeding.take(5000), None, "none of ours");
        assert_eq!(feeding.take(200).map(|given| given.pts), Some(Timestamp::from_millis(day + 200)));
    }

    #[test]
    fn what_the_program_keeps_for_ever_is_forgotten() {
        let (mut feeding, now) = (feeding(), Instant::now());
        (0..2 * GIVEN_MAX as i64).for_each(|n| feeding.give(&frame(n * 10, n * 10), now));
        assert!(feeding.given.len() <= GIVEN_MAX);
    }

    #[test]
    fn codecs_that_have_no_order_of_their_own_are_not_taken() {
        for codec in [Codec::Vp8, Codec::Vp9, Codec::Av1] {
            assert!(Feeding::new(&Track::new(TrackId::VIDEO, codec, Bytes::new())).is_none());
        }
    }
}
