//! Frames to payloads: one broadcast, muxed once for all its viewers.

use bytes::{Bytes, BytesMut};
use hub::{Batch, Broadcast, Catalog, Item};
use media::{Frame, Kind, Timestamp, TrackId};
use mux::ts::{Muxer, PACKET_BYTES};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// What is new in a broadcast.
#[derive(Debug)]
pub(super) struct Portion {
    /// Which one.
    pub(super) feed: u64,
    pub(super) payloads: Vec<Payload>,
    /// When the frames in it came in.
    pub(super) arrived: Vec<Instant>,
    /// Nothing more will come.
    pub(super) ended: bool,
}

/// Some TS packets, as one datagram carries them.
#[derive(Clone, Debug)]
pub(super) struct Payload {
    pub(super) bytes: Bytes,
    /// A viewer can begin with it.
    pub(super) starts: bool,
}

/// Writes one broadcast.
struct Writer {
    muxer: Muxer,
    leads: Option<TrackId>,
    is_sound_alone: bool,
    out: BytesMut,
    payloads: Vec<Payload>,
    arrived: Vec<Instant>,
    tables_at: Option<Timestamp>,
}

/// TS packets in a datagram: what every network carries, and every SRT receiver expects.
const PAYLOAD_BYTES: usize = 7 * PACKET_BYTES;
/// How often the tables come within a long group, and where sound alone can be joined.
const TABLES_EVERY: Duration = Duration::from_millis(500);

/// Reads a broadcast until it ends, or nobody takes its portions any more.
pub(super) async fn feed(broadcast: Arc<Broadcast>, number: u64, out: mpsc::Sender<Portion>) {
    let (mut consumer, mut batch) = (broadcast.consumer(), Batch::default());
    let mut writer = Writer {
        muxer: Muxer::new(&[]),
        leads: None,
        is_sound_alone: false,
        out: BytesMut::new(),
        payloads: Vec::new(),
        arrived: Vec::new(),
        tables_at: None,
    };
    drop(broadcast);
    loop {
        consumer.batch(&mut batch).await;
        for item in batch.items.drain(..) {
            match item {
                Item::Catalog(catalog) => writer.learn(&catalog),
                Item::Resumed => {}
                Item::Frame { track, frame, arrived, .. } => writer.write(track, &frame, arrived),
            }
        }
        writer.cut(false);
        let (payloads, arrived) = (std::mem::take(&mut writer.payloads), std::mem::take(&mut writer.arrived));
        let portion = Portion { feed: number, payloads, arrived, ended: batch.ended };
        if out.send(portion).await.is_err() || batch.ended {
            return;
        }
    }
}

impl Writer {
    fn learn(&mut self, catalog: &Catalog) {
        self.muxer.set_tracks(&catalog.tracks);
        let carried = |kind| catalog.first(kind).filter(|track| self.muxer.carries(track.id));
        self.is_sound_alone = carried(Kind::Video).is_none();
        self.leads = carried(Kind::Video).or(carried(Kind::Audio)).map(|track| track.id);
        self.tables_at = None;
    }

    fn write(&mut self, track: TrackId, frame: &Frame, arrived: Instant) {
        if Some(track) == self.leads {
            let is_due =
                self.tables_at.is_none_or(|at| frame.dts.since(at) >= TABLES_EVERY || frame.dts < at);
            let starts = frame.keyframe && (!self.is_sound_alone || is_due);
            if starts {
                // What came before belongs to the last group.
                self.cut(false);
            }
            if starts || is_due {
                self.tables_at = Some(frame.dts);
                self.muxer.segment_start(&mut self.out);
            }
            if self.muxer.frame(track, frame, &mut self.out) {
                self.arrived.push(arrived);
            }
            if starts {
                self.cut(true);
            }
        } else if self.muxer.frame(track, frame, &mut self.out) {
            self.arrived.push(arrived);
        }
    }

    /// Makes payloads of what is written; viewers can begin with the first one if it `starts`.
    fn cut(&mut self, starts: bool) {
        let mut starts = starts;
        let mut whole = self.out.split().freeze();
        while !whole.is_empty() {
            let bytes = whole.split_to(whole.len().min(PAYLOAD_BYTES));
            self.payloads.push(Payload { bytes, starts: std::mem::take(&mut starts) });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use media::{Codec, Track};
    use mux::ts::{Demuxer, Event};

    const AVCC: &[u8] = &[1, 0x4d, 0x40, 0x1e, 0xff, 0xe1, 0, 4, 0x67, 0x4d, 1, 2, 1, 0, 4, 0x68, 0xeb, 1, 2];

    fn writer(tracks: &[Track]) -> Writer {
        let mut writer = Writer {
            muxer: Muxer::new(&[]),
            leads: None,
            is_sound_alone: false,
            out: BytesMut::new(),
            payloads: Vec::new(),
            arrived: Vec::new(),
            tables_at: None,
        };
        writer.learn(&Catalog { tracks: tracks.to_vec() });
        writer
    }

    fn frame(ms: i64, keyframe: bool, payload: &[u8]) -> Frame {
        let dts = Timestamp::from_millis(ms);
        Frame { dts, pts: dts, keyframe, payload: Bytes::copy_from_slice(payload) }
    }

    fn video() -> Track {
        Track::new(TrackId::VIDEO, Codec::H264, Bytes::from_static(AVCC))
    }

    fn audio() -> Track {
        Track::new(TrackId::AUDIO, Codec::Aac, Bytes::from_static(&[0x11, 0x90]))
    }

    /// Two seconds, a keyframe every second; returns the payloads.
    fn written(tracks: &[Track]) -> Vec<Payload> {
        let (mut writer, now) = (writer(tracks), Instant::now());
        for at in 0..50 {
            for track in tracks {
                let keyframe = track.kind == Kind::Audio || at % 25 == 0;
                let picture = [&[0, 0, 15, 160, if keyframe { 0x65 } else { 0x41 }][..], &[7; 3999]].concat();
                let payload = if track.kind == Kind::Audio { &[1; 200] } else { &picture[..] };
                writer.write(track.id, &frame(at * 40, keyframe, payload), now);
            }
        }
        writer.cut(false);
        writer.payloads
    }

    #[test]
    fn payloads_fit_into_datagrams_and_viewers_begin_where_tables_and_a_keyframe_are() {
        let payloads = written(&[video(), audio()]);
        for payload in &payloads {
            let length = payload.bytes.len();
            assert!(length % PACKET_BYTES == 0 && (1..=PAYLOAD_BYTES).contains(&length), "{length}");
        }
        let starts: Vec<usize> = (0..payloads.len()).filter(|at| payloads[*at].starts).collect();
        assert_eq!((starts.len(), starts[0]), (2, 0));
        let mut demuxer = Demuxer::new(Timestamp::ZERO);
        for payload in &payloads[starts[1]..] {
            demuxer.push(&payload.bytes, Instant::now()).unwrap();
        }
        demuxer.finish(Instant::now()).unwrap();
        let events: Vec<Event> = std::iter::from_fn(|| demuxer.poll()).collect();
        let frames =
            |id| events.iter().filter(|e| matches!(e, Event::Frame { track, .. } if *track == id)).count();
        assert_eq!((frames(TrackId::VIDEO), frames(TrackId::AUDIO)), (25, 25), "from the second group on");
        let first = events.iter().find_map(|event| match event {
            Event::Frame { track: TrackId::VIDEO, frame } => Some(frame.keyframe),
            _ => None,
        });
        assert_eq!(first, Some(true));
    }

    #[test]
    fn sound_alone_can_be_joined_twice_a_second() {
        let starts = written(&[audio()]).iter().filter(|payload| payload.starts).count();
        assert_eq!(starts, 4);
    }
}
