//! Pictures that are shown in another order than they are coded (B-frames), which viewers can't put right: what a broadcast has of
//! them, and what its viewers get.

use crate::config::BFrames;
use hub::{Batch, Broadcast, Item};
use media::{Codec, Kind};
use mux::rtp::{DropPlan, Verdict};
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

/// In which order a broadcast's pictures come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// As they are shown.
    Shown,
    /// In another, but what comes out of order can be left out: nothing builds on it.
    Droppable,
    /// In another, and other pictures build on what comes out of order.
    Needed,
    /// Whatever it is: the codec isn't known to browsers.
    Foreign,
}

/// What viewers get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The pictures as they come.
    Whole,
    /// Without those that come out of order.
    Dropped,
    /// All of them, coded anew.
    Transcoded,
    /// Nothing.
    Refused,
}

/// So many pictures show whether they are coded in another order: encoders put three of them, rarely more, behind a later one.
const PICTURES_JUDGED: usize = 6;
/// How long a viewer of a broadcast that just began waits for those.
const PICTURES_WAIT: Duration = Duration::from_millis(400);
/// Of a long group, the first so many are looked at where nobody waits for the answer.
const PICTURES_GLANCED_MAX: usize = 60;

impl Outcome {
    /// What a policy makes of an order.
    pub(crate) fn of(order: Order, policy: BFrames) -> Outcome {
        match (order, policy) {
            (Order::Shown, _) => Outcome::Whole,
            (_, BFrames::Transcode) => Outcome::Transcoded,
            (Order::Droppable, BFrames::Drop) => Outcome::Dropped,
            _ => Outcome::Refused,
        }
    }
}

impl Order {
    /// Looked at over the newest group. A broadcast that has just begun shows it only after some pictures.
    pub(crate) async fn of(broadcast: &Arc<Broadcast>) -> Order {
        let (mut consumer, mut batch) = (broadcast.consumer(), Batch::default());
        let mut judge = Judge::default();
        let deadline = tokio::time::Instant::now() + PICTURES_WAIT;
        while judge.judged < PICTURES_JUDGED
            && !judge.is_sure()
            && tokio::time::timeout_at(deadline, consumer.batch(&mut batch)).await.is_ok()
            && !batch.ended
        {
            batch.items.drain(..).for_each(|item| judge.look(&item));
        }
        judge.order
    }

    /// The same by what is there now.
    pub(crate) fn at_a_glance(broadcast: &Arc<Broadcast>) -> Order {
        let mut judge = Judge::default();
        if broadcast.catalog().is_some() {
            let (mut consumer, mut batch) = (broadcast.consumer(), Batch::default());
            if consumer.poll_batch(&mut Context::from_waker(Waker::noop()), &mut batch).is_ready() {
                for item in &batch.items {
                    judge.look(item);
                    if judge.is_sure() || judge.judged >= PICTURES_GLANCED_MAX {
                        break;
                    }
                }
            }
        }
        judge.order
    }
}

/// Looks at one picture after the other.
#[derive(Debug)]
struct Judge {
    plan: DropPlan,
    pictures: Option<(media::TrackId, Codec)>,
    judged: usize,
    order: Order,
    has_none: bool,
}

impl Default for Judge {
    fn default() -> Judge {
        Judge { plan: DropPlan::default(), pictures: None, judged: 0, order: Order::Shown, has_none: false }
    }
}

impl Judge {
    /// Whether nothing that comes later changes it.
    fn is_sure(&self) -> bool {
        self.has_none || matches!(self.order, Order::Needed | Order::Foreign)
    }

    fn look(&mut self, item: &Item) {
        match item {
            Item::Catalog(catalog) => {
                self.pictures = catalog.first(Kind::Video).map(|track| (track.id, track.codec));
                self.has_none = self.pictures.is_none();
                if self.pictures.is_some_and(|(_, codec)| codec == Codec::H265) {
                    self.order = Order::Foreign;
                }
            }
            Item::Frame { track, frame, .. } => {
                let Some((_, codec)) = self.pictures.filter(|(id, _)| id == track) else { return };
                self.judged += 1;
                match self.plan.judge(codec, frame) {
                    _ if self.is_sure() => {}
                    Verdict::Send => {}
                    Verdict::Drop => self.order = Order::Droppable,
                    Verdict::Stuck => self.order = Order::Needed,
                }
            }
            Item::Resumed => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use hub::{BroadcastPath, Collision, Hub, Limits};
    use media::{Frame, Timestamp, Track, TrackId};
    use std::time::Instant;

    /// A broadcast of these pictures: `nal_ref_idc` and the time of showing of each.
    fn broadcast(codec: Codec, pictures: &[(u8, i64)]) -> (hub::Producer, Arc<Broadcast>) {
        let (hub, now) = (Hub::new(Limits::default()), Instant::now());
        let mut producer =
            hub.publish(&BroadcastPath::parse("live/x").unwrap(), Collision::Reject, now).unwrap();
        producer.track(Track::new(TrackId::VIDEO, codec, Bytes::from_static(&[1]))).unwrap();
        producer.ready();
        for (n, (refers, shown)) in pictures.iter().enumerate() {
            let slice = if n == 0 { 5 } else { 1 } | refers << 5;
            let frame = Frame {
                dts: Timestamp::from_millis(n as i64 * 40),
                pts: Timestamp::from_millis(*shown),
                keyframe: n == 0,
                payload: Bytes::from(vec![0, 0, 0, 2, slice, 1]),
            };
            producer.write(TrackId::VIDEO, frame, now).unwrap();
        }
        let broadcast = Arc::clone(producer.broadcast());
        (producer, broadcast)
    }

    #[tokio::test]
    async fn the_order_is_seen_at_once_or_after_some_pictures() {
        let plain = [(3, 0), (2, 40), (2, 80), (2, 120), (2, 160), (2, 200)];
        let droppable = [(3, 80), (2, 200), (0, 120), (0, 160), (2, 320), (0, 240)];
        let needed = [(3, 80), (2, 240), (2, 160), (0, 120), (0, 200), (2, 400)];
        let cases = [(&plain, Order::Shown), (&droppable, Order::Droppable), (&needed, Order::Needed)];
        for (pictures, expect) in cases {
            let (_seat, broadcast) = broadcast(Codec::H264, pictures);
            assert_eq!(Order::of(&broadcast).await, expect);
            assert_eq!(Order::at_a_glance(&broadcast), expect);
        }
        let (_seat, foreign) = broadcast(Codec::H265, &plain);
        assert_eq!(Order::of(&foreign).await, Order::Foreign);
        let (_seat, short) = broadcast(Codec::H264, &plain[..2]);
        assert_eq!(Order::of(&short).await, Order::Shown, "after a while");
    }

    #[test]
    fn what_a_viewer_gets_is_up_to_the_policy() {
        use BFrames::{Drop, Refuse, Transcode};
        use Outcome::{Dropped, Refused, Transcoded, Whole};
        let of = |order| [Drop, Transcode, Refuse].map(|policy| Outcome::of(order, policy));
        assert_eq!(of(Order::Shown), [Whole; 3]);
        assert_eq!(of(Order::Droppable), [Dropped, Transcoded, Refused]);
        assert_eq!(of(Order::Needed), [Refused, Transcoded, Refused]);
        assert_eq!(of(Order::Foreign), [Refused, Transcoded, Refused]);
    }
}
