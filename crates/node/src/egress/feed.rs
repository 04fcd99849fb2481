//! Frames to chunks, once per broadcast, format and worker.

use super::ages::Arrivals;
use super::inbox::{FeedWaker, Inbox};
use super::log::ChunkLog;
use super::{Format, Muxer};
use bytes::{Bytes, BytesMut};
use hub::{Batch, Broadcast, Catalog, Consumer, Item};
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Instant;

/// One broadcast in one format on one worker.
#[derive(Debug)]
pub(crate) struct Feed {
    pub(crate) broadcast: Arc<Broadcast>,
    pub(crate) format: &'static dyn Format,
    pub(crate) log: ChunkLog,
    /// Slots of its viewers.
    pub(crate) members: Vec<usize>,
    /// When it was written out last.
    pub(crate) flushed: Instant,
    /// When it has to be written out, if it has something.
    pub(crate) due: Option<Instant>,
    /// When the frames that are kept came in.
    pub(crate) arrivals: Arrivals,
    pub(crate) ended: bool,
    turn: Turn,
    consumer: Consumer,
    waker: Waker,
    muxer: Box<dyn Muxer>,
    catalog: Option<Arc<Catalog>>,
    head: Bytes,
}

/// So many viewers make up for writing a chunk into a memory file.
const FILE_VIEWERS_MIN: usize = 16;

impl Feed {
    pub(crate) fn new(
        number: usize,
        inbox: &Arc<Inbox>,
        broadcast: &Arc<Broadcast>,
        format: &'static dyn Format,
        now: Instant,
    ) -> Feed {
        Feed {
            broadcast: Arc::clone(broadcast),
            format,
            log: ChunkLog::new(),
            members: Vec::new(),
            flushed: now,
            due: None,
            arrivals: Arrivals::default(),
            ended: false,
            turn: Turn::default(),
            consumer: broadcast.consumer(),
            waker: Waker::from(Arc::new(FeedWaker { inbox: Arc::clone(inbox), feed: number })),
            muxer: format.muxer(),
            catalog: None,
            head: Bytes::new(),
        }
    }

    /// Whether viewers can join: the tracks are known.
    pub(crate) fn is_ready(&self) -> bool {
        self.catalog.is_some()
    }

    /// When the first frame came in that is not muxed yet.
    pub(crate) fn waiting_since(&self) -> Option<Instant> {
        self.consumer.waiting_since()
    }

    /// The place of the viewer that this walk begins with.
    pub(crate) fn next_turn(&mut self) -> usize {
        self.turn.next(self.members.len())
    }

    /// What a joining viewer gets before the newest group.
    pub(crate) fn head(&self) -> Bytes {
        self.head.clone()
    }

    /// Muxes all that is new and readies the waker for what comes next.
    pub(crate) fn drain(&mut self, batch: &mut Batch, now: Instant) {
        let waker = self.waker.clone();
        let mut cx = Context::from_waker(&waker);
        while !self.ended && self.consumer.poll_batch(&mut cx, batch).is_ready() {
            for item in batch.items.drain(..) {
                self.mux(item);
            }
            if batch.ended {
                self.ended = true;
                self.muxer.end(self.log.buffer());
                self.log.frame_written();
            }
        }
        self.log.close_chunk(now);
        if self.members.len() >= FILE_VIEWERS_MIN {
            self.log.store_newest();
        }
    }

    /// Forgets what lies before both `needed` and the newest group.
    pub(crate) fn trim(&mut self, needed: u64) {
        self.log.trim(needed);
        self.arrivals.forget_before(self.log.start());
    }

    fn mux(&mut self, item: Item) {
        match item {
            Item::Catalog(catalog) => {
                if self.catalog.is_some() {
                    self.muxer.catalog(&catalog, self.log.buffer());
                    self.log.frame_written();
                }
                let mut head = BytesMut::new();
                self.muxer.head(&catalog, &mut head);
                self.head = head.freeze();
                self.catalog = Some(catalog);
            }
            Item::Resumed => {}
            Item::Frame { track, frame, starts_group, arrived } => {
                if starts_group {
                    self.log.group_starts();
                }
                if let Some(track) = self.catalog.as_ref().and_then(|c| c.track(track)) {
                    self.muxer.frame(track, &frame, self.log.buffer());
                    self.log.frame_written();
                    self.arrivals.note(self.log.written(), arrived);
                }
            }
        }
    }
}

/// Who is the first: a keyframe to a thousand viewers takes some milliseconds, and whoever came last shouldn't wait for all others each
/// time. A sequence that repeats after 2^32 walks, in which those of keyframes are as mixed as all others.
#[derive(Debug, Default)]
struct Turn(u32);

impl Turn {
    fn next(&mut self, viewers: usize) -> usize {
        // A linear congruential generator of full period, of which the high bits count.
        self.0 = self.0.wrapping_mul(747_796_405).wrapping_add(2_891_336_453);
        ((u64::from(self.0) * viewers as u64) >> 32) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_is_among_the_first_as_often_whatever_the_distance_of_keyframes() {
        for distance in [1, 50, 60, 100, 107, 144, 233, 500, 1000] {
            let mut turn = Turn::default();
            let mut tenths = [0; 10];
            for walk in 0..1000 * distance {
                let first = turn.next(1000);
                if walk % distance == 0 {
                    tenths[first / 100] += 1;
                }
            }
            assert!(tenths.iter().all(|count| (70..=130).contains(count)), "{distance}: {tenths:?}");
        }
        assert_eq!(Turn::default().next(0), 0);
    }
}
