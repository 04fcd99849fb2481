//! What to do about frames that are shown in another order than they are coded: WebRTC viewers show what they decode
//! as it comes, so B-frames look like stutter, or like nothing.
//!
//! Frames that nothing refers to can be left out. B-frames that others refer to (a "pyramid", as x264 makes by default)
//! can't: without them later pictures break, with them the order is wrong.

use bytes::Bytes;
use media::codec::h264::{self, AvcConfig, nal_units};
use media::{Codec, Frame, Timestamp};

/// Goes over the frames of one track and tells which to send, so that what is sent is shown in the order it comes.
#[derive(Debug, Default)]
pub struct DropPlan {
    latest: Option<Timestamp>,
}

/// What to do with a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It comes in the order of showing.
    Send,
    /// It is shown before one that was sent, and nothing refers to it.
    Drop,
    /// It is shown before one that was sent, and others refer to it: this track can't be sent without coding it anew.
    Stuck,
}

impl DropPlan {
    /// What to do with the next frame of the track.
    pub fn judge(&mut self, codec: Codec, frame: &Frame) -> Verdict {
        let is_behind = self.latest.is_some_and(|latest| frame.pts < latest);
        if is_behind && !frame.keyframe {
            return if disposable(codec, frame) { Verdict::Drop } else { Verdict::Stuck };
        }
        self.latest = Some(frame.pts);
        Verdict::Send
    }
}

/// Whether no other frame refers to this one: all its slices have a `nal_ref_idc` of zero (ITU-T H.264 §7.4.1). Known for H.264
/// only; false for other codecs.
pub fn disposable(codec: Codec, frame: &Frame) -> bool {
    // Types 1 to 5 are slices. ITU-T H.264 table 7-1.
    let mut slices =
        nal_units(&frame.payload).filter(|unit| matches!(unit[0] & 0x1f, 1..=h264::nal::IDR)).peekable();
    codec == Codec::H264
        && !frame.keyframe
        && slices.peek().is_some()
        && slices.all(|slice| slice[0] & 0x60 == 0)
}

/// Whether frames of a track are shown in another order than they are coded: this frame is shown later than it is
/// decoded, or the H.264 configuration announces it (`max_num_reorder_frames`). One frame alone may not show it, so ask for
/// each.
pub fn reorders(codec: Codec, config: &Bytes, frame: &Frame) -> bool {
    let announced = || AvcConfig::parse(config)?.reorder_frames();
    frame.pts != frame.dts || (codec == Codec::H264 && announced().is_some_and(|frames| frames > 0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtp::tests::frames;

    /// x264 with three B-frames that nothing refers to.
    const PLAIN: &[u8] = include_bytes!("captures/h264-bframes.bin");
    /// x264 with three B-frames, of which one is referred to.
    const PYRAMID: &[u8] = include_bytes!("captures/h264-pyramid.bin");
    /// x264 without B-frames.
    const NONE: &[u8] = include_bytes!("captures/h264.bin");

    fn verdicts(capture: &[u8]) -> Vec<Verdict> {
        let mut plan = DropPlan::default();
        frames(Codec::H264, capture).1.iter().map(|frame| plan.judge(Codec::H264, frame)).collect()
    }

    #[test]
    fn b_frames_that_nothing_refers_to_are_dropped() {
        use Verdict::{Drop, Send};
        assert_eq!(verdicts(PLAIN), [Send, Send, Drop, Drop, Drop, Send, Drop, Drop, Drop]);
        assert_eq!(verdicts(NONE), [Send; 8]);
    }

    #[test]
    fn b_frames_that_others_refer_to_are_told() {
        use Verdict::{Drop, Send, Stuck};
        assert_eq!(verdicts(PYRAMID), [Send, Send, Stuck, Drop, Drop, Send, Stuck, Drop, Drop]);
    }

    #[test]
    fn tracks_with_b_frames_are_known_by_their_configuration() {
        for (capture, expect) in [(PLAIN, true), (PYRAMID, true), (NONE, false)] {
            let (config, frames) = frames(Codec::H264, capture);
            let shown_at_once = Frame { pts: frames[0].dts, ..frames[0].clone() };
            assert_eq!(reorders(Codec::H264, &config, &shown_at_once), expect);
            assert!(!reorders(Codec::Vp9, &Bytes::new(), &shown_at_once));
        }
    }

    #[test]
    fn tracks_with_b_frames_are_known_by_their_times() {
        let (_, frames) = frames(Codec::H264, PLAIN);
        let mut frame = frames[1].clone();
        frame.pts = frame.dts;
        assert!(!reorders(Codec::H264, &Bytes::new(), &frame));
        frame.pts = frame.dts + std::time::Duration::from_millis(40);
        assert!(reorders(Codec::H264, &Bytes::new(), &frame));
    }

    #[test]
    fn other_codecs_and_frames_without_slices_are_not_disposable() {
        let (_, frames) = frames(Codec::H264, PLAIN);
        assert!(disposable(Codec::H264, &frames[2]));
        assert!(!disposable(Codec::H265, &frames[2]));
        let with = |payload: &'static [u8], keyframe| Frame {
            payload: Bytes::from_static(payload),
            keyframe,
            ..frames[2].clone()
        };
        assert!(!disposable(Codec::H264, &with(&[0, 0, 0, 2, 6, 5], false)));
        assert!(!disposable(Codec::H264, &with(&[0, 0, 0, 2, 1, 5, 0, 0, 0, 2, 0x41, 5], false)));
        assert!(!disposable(Codec::H264, &with(&[0, 0, 0, 2, 1, 5], true)));
        assert!(disposable(Codec::H264, &with(&[0, 0, 0, 2, 6, 5, 0, 0, 0, 2, 1, 5], false)));
    }

    #[test]
    fn the_order_starts_anew_at_a_keyframe() {
        let (_, frames) = frames(Codec::H264, NONE);
        let mut plan = DropPlan::default();
        assert_eq!(plan.judge(Codec::H264, &frames[7]), Verdict::Send);
        assert_eq!(plan.judge(Codec::H264, &frames[0]), Verdict::Send);
        assert_eq!(plan.judge(Codec::H264, &frames[1]), Verdict::Send);
    }

    #[test]
    fn fuzz_frames_never_panic() {
        let mut random = testkit::Random::seeded(71);
        let (config, frames) = frames(Codec::H264, PYRAMID);
        for _ in 0..3000 {
            let payload = random.mutate(&frames[random.clone().below(frames.len())].payload);
            let frame = Frame { payload: payload.into(), ..frames[2].clone() };
            let _ = DropPlan::default().judge(Codec::H264, &frame);
            let _ = reorders(Codec::H264, &Bytes::from(random.mutate(&config)), &frames[0]);
        }
    }
}
