//! What the program gives back, in its place among the sound.

use hub::{Error, Producer};
use media::{Frame, Timestamp, Track, TrackId};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Writes the derived broadcast: pictures as they come back, and between them the sound of their time.
///
/// Sound passes by the program and is there before the pictures that it belongs to. It waits for them, since players take what comes
/// together as belonging together.
///
/// Overflow policy: sound that waited for longer than [`WAIT_MAX`], or of which more than [`WAITING_MAX`] frames wait, goes out before
/// its pictures.
#[derive(Debug)]
pub(super) struct Coming {
    producer: Producer,
    waiting: VecDeque<Waiting>,
    sound: Option<TrackId>,
    /// Time of the last sound that came in.
    heard: Option<Timestamp>,
    /// Time of the last picture.
    last: Option<Timestamp>,
    has_pictures: bool,
}

/// A frame of sound whose pictures aren't there yet.
#[derive(Debug)]
struct Waiting {
    frame: Frame,
    arrived: Instant,
    since: Instant,
}

/// Without a picture for so long, sound goes on alone: the program is being started again.
const WAIT_MAX: Duration = Duration::from_secs(1);
/// Ten seconds of Opus, which is a long group.
const WAITING_MAX: usize = 500;
/// Between pictures that come again after the program was started again: a player shows the last of them at once.
const STEP: Duration = Duration::from_millis(1);

impl Coming {
    pub(super) fn new(producer: Producer) -> Coming {
        Coming {
            producer,
            waiting: VecDeque::new(),
            sound: None,
            heard: None,
            last: None,
            has_pictures: false,
        }
    }

    /// What the sound is; it goes through.
    pub(super) fn sound_is(&mut self, track: Track) -> Result<(), Error> {
        self.sound = Some(track.id);
        self.producer.track(track)
    }

    /// What the pictures have become.
    pub(super) fn pictures_are(&mut self, track: Track) -> Result<(), Error> {
        self.producer.track(track)?;
        self.has_pictures = true;
        self.producer.ready();
        Ok(())
    }

    /// A picture came back. One that is older than the last that went out belongs to a group that the program was given again.
    pub(super) fn picture(&mut self, frame: Frame, arrived: Instant, now: Instant) -> Result<(), Error> {
        if !self.has_pictures {
            return Ok(());
        }
        self.release(Some(frame.pts), now)?;
        let time = self.last.map_or(frame.pts, |last| frame.pts.max(last + STEP));
        self.last = Some(time);
        self.producer.write(TrackId::VIDEO, Frame { dts: time, pts: time, ..frame }, arrived)
    }

    /// Sound came in. What is no newer than the last belongs to a group that is read again, for another program.
    pub(super) fn hear(&mut self, frame: Frame, arrived: Instant, now: Instant) -> Result<(), Error> {
        if self.heard.is_some_and(|heard| frame.pts <= heard) {
            return Ok(());
        }
        self.heard = Some(frame.pts);
        self.waiting.push_back(Waiting { frame, arrived, since: now });
        self.release(self.last, now)
    }

    /// Lets go what waited long enough, or is older than `shown`.
    pub(super) fn release(&mut self, shown: Option<Timestamp>, now: Instant) -> Result<(), Error> {
        let Some(id) = self.sound.filter(|_| self.has_pictures) else {
            // Before the first picture nobody is there to hear it.
            let more = self.waiting.len().saturating_sub(WAITING_MAX);
            self.waiting.drain(..more);
            return Ok(());
        };
        while let Some(first) = self.waiting.front() {
            let due = shown.is_some_and(|shown| first.frame.pts <= shown)
                || now.saturating_duration_since(first.since) >= WAIT_MAX
                || self.waiting.len() > WAITING_MAX;
            let Some(first) = self.waiting.pop_front_if(|_| due) else { break };
            self.producer.write(id, first.frame, first.arrived)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use hub::{Batch, BroadcastPath, Collision, Hub, Item, Limits};
    use media::Codec;
    use std::task::{Context, Waker};

    fn frame(ms: i64) -> Frame {
        let time = Timestamp::from_millis(ms);
        Frame { dts: time, pts: time, keyframe: true, payload: Bytes::from_static(b"x") }
    }

    /// What went out: the track and the time in milliseconds of each frame.
    fn written(coming: &Coming) -> Vec<(u8, i64)> {
        let (mut consumer, mut batch) = (coming.producer.broadcast().consumer(), Batch::default());
        let _ = consumer.poll_batch(&mut Context::from_waker(Waker::noop()), &mut batch);
        let frames = batch.items.iter().filter_map(|item| match item {
            Item::Frame { track, frame, .. } => Some((track.0, frame.pts.as_millis())),
            _ => None,
        });
        frames.collect()
    }

    fn coming(now: Instant) -> Coming {
        let hub = Hub::new(Limits::default());
        let producer = hub.publish(&BroadcastPath::parse("live/x").unwrap(), Collision::Reject, now).unwrap();
        let mut coming = Coming::new(producer);
        coming.sound_is(Track::new(TrackId::AUDIO, Codec::Opus, Bytes::new())).unwrap();
        coming
    }

    fn pictures() -> Track {
        Track::new(TrackId::VIDEO, Codec::H264, Bytes::new())
    }

    #[test]
    fn sound_goes_out_with_the_pictures_of_its_time() {
        let now = Instant::now();
        let mut coming = coming(now);
        for ms in [0, 20, 40, 60] {
            coming.hear(frame(ms), now, now).unwrap();
        }
        assert_eq!(written(&coming), []);
        coming.pictures_are(pictures()).unwrap();
        coming.picture(frame(0), now, now).unwrap();
        coming.picture(Frame { keyframe: false, ..frame(40) }, now, now).unwrap();
        let expect = [(0, 0), (1, 20), (1, 40), (0, 40)];
        assert_eq!(written(&coming), expect, "a reader begins at the newest keyframe");
        coming.hear(frame(60), now, now).unwrap();
        assert_eq!(coming.waiting.len(), 1, "the same sound again");
        coming.hear(frame(79), now, now).unwrap();
        coming.picture(frame(80), now, now).unwrap();
        assert_eq!(coming.waiting.len(), 0);
    }

    #[test]
    fn without_pictures_sound_goes_on_after_a_second() {
        let now = Instant::now();
        let mut coming = coming(now);
        coming.pictures_are(pictures()).unwrap();
        coming.picture(frame(0), now, now).unwrap();
        coming.hear(frame(20), now, now).unwrap();
        coming.release(None, now + WAIT_MAX / 2).unwrap();
        assert_eq!(written(&coming), [(0, 0)]);
        coming.release(None, now + WAIT_MAX).unwrap();
        assert_eq!(written(&coming), [(0, 0), (1, 20)]);
    }

    #[test]
    fn pictures_that_come_again_are_squeezed_behind_the_last_one() {
        let now = Instant::now();
        let mut coming = coming(now);
        coming.pictures_are(pictures()).unwrap();
        coming.picture(frame(1000), now, now).unwrap();
        let later = |ms| Frame { keyframe: false, ..frame(ms) };
        for ms in [800, 900, 1000, 1100] {
            coming.picture(later(ms), now, now).unwrap();
        }
        assert_eq!(written(&coming), [(0, 1000), (0, 1001), (0, 1002), (0, 1003), (0, 1100)]);
    }

    #[test]
    fn sound_that_waits_for_a_picture_that_never_comes_is_bounded() {
        let now = Instant::now();
        let mut coming = coming(now);
        for ms in 0..10_000 {
            coming.hear(frame(ms), now, now).unwrap();
        }
        assert!(coming.waiting.len() <= WAITING_MAX);
        coming.pictures_are(pictures()).unwrap();
        for ms in 10_000..20_000 {
            coming.hear(frame(ms), now, now).unwrap();
        }
        assert!(coming.waiting.len() <= WAITING_MAX);
    }
}
