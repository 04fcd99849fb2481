//! Publishers: one thread that feeds many of them from one clip, in real time, round and round. The URL chooses between RTMP and WHIP.

mod annex_b;
mod qualities;
mod rtmp;
mod whip;

use self::rtmp::RtmpPublisher;
use self::whip::WhipPublisher;
use crate::clock::{self, MILLIS, Nanos, SECONDS};
use crate::flv::Clip;
use crate::profile::Target;
use crate::stats::{Distribution, count};
use mio::{Events, Poll};
use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

pub(crate) use self::qualities::lower_qualities;
pub(crate) use self::whip::WhipSource;

/// What to publish, and how.
#[derive(Debug)]
pub(crate) struct PublishPlan {
    pub(crate) target: Target,
    pub(crate) clip: Clip,
    /// The same at lower rates, the best first: only by WHIP.
    pub(crate) lower: Vec<Clip>,
    /// What publishers by WHIP need beside; None: RTMP.
    pub(crate) whip: Option<WhipSource>,
    pub(crate) publishers: usize,
    /// New publishers a second.
    pub(crate) ramp: f64,
    pub(crate) stamp: bool,
    pub(crate) sources: usize,
    pub(crate) deadline: Option<Nanos>,
}

impl PublishPlan {
    /// All qualities, the best first.
    fn qualities(&self) -> impl Iterator<Item = &Clip> {
        std::iter::once(&self.clip).chain(&self.lower)
    }
}

/// What became of it.
#[derive(Debug, Default)]
pub(crate) struct Published {
    pub(crate) publishers: u64,
    /// Publishers whose broadcasts were accepted; by WHIP, who are connected.
    pub(crate) accepted: u64,
    /// Still publishing at the end.
    pub(crate) publishing: u64,
    /// From connecting to being accepted, in µs.
    pub(crate) ready: Distribution,
    pub(crate) lost: BTreeMap<String, u64>,
    /// Media bytes sent or queued.
    pub(crate) bytes: u64,
    /// Frames that were not sent, because the server took no more.
    pub(crate) dropped_frames: u64,
    pub(crate) backlog_bytes_max: u64,
}

#[derive(Debug)]
enum Publisher {
    Rtmp(Box<RtmpPublisher>),
    Whip(Box<WhipPublisher>),
}

/// Where a publisher is in its clip.
#[derive(Debug, Clone, Default)]
struct Place {
    next_frame: usize,
    /// Where on its timeline this round of the clip began, in ms.
    round_ms: u64,
}

/// Publishes until `stop` or the plan's deadline, or until all are lost.
///
/// # Errors
/// When the kernel refuses an epoll instance.
pub(crate) fn publish(plan: &PublishPlan, stop: &AtomicBool, quiet: bool) -> io::Result<Published> {
    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(1024);
    let mut published = Published { publishers: plan.publishers as u64, ..Published::default() };
    let mut publishers: Vec<Publisher> = Vec::new();
    let start = clock::now();
    let (mut wake, mut next_progress) = (start, start + PROGRESS_EVERY);
    while !stop.load(Ordering::Relaxed) {
        wake = (wake + TICK).max(clock::now().saturating_sub(SECONDS));
        clock::sleep_until(wake);
        let now = clock::now();
        while publishers.len() < plan.publishers
            && start + (publishers.len() as f64 / plan.ramp * SECONDS as f64) as Nanos <= now
        {
            let publisher = Publisher::join(plan, publishers.len(), &poll, &mut published);
            publishers.push(publisher);
        }
        match poll.poll(&mut events, Some(Duration::ZERO)) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => events.clear(),
            other => other?,
        }
        for event in events.iter() {
            let token = event.token().0;
            if let Some(publisher) = publishers.get_mut(token / TOKENS_PER_PUBLISHER) {
                publisher.hear(token, plan, &mut published);
            }
        }
        for publisher in &mut publishers {
            publisher.speak(plan, &mut published);
        }
        if !quiet && now >= next_progress {
            next_progress = now + PROGRESS_EVERY;
            let live = publishers.iter().filter(|publisher| publisher.is_publishing()).count();
            eprintln!(
                "publishing {live} of {}; lost {}",
                plan.publishers,
                published.lost.values().sum::<u64>()
            );
        }
        let all_lost = publishers.len() == plan.publishers && publishers.iter().all(Publisher::is_lost);
        if all_lost || plan.deadline.is_some_and(|deadline| now >= deadline) {
            break;
        }
    }
    published.publishing = publishers.iter().filter(|publisher| publisher.is_publishing()).count() as u64;
    publishers.iter_mut().for_each(Publisher::leave);
    Ok(published)
}

impl Publisher {
    fn join(plan: &PublishPlan, index: usize, poll: &Poll, published: &mut Published) -> Self {
        match &plan.whip {
            None => Self::Rtmp(Box::new(RtmpPublisher::join(plan, index, poll, published))),
            Some(source) => {
                Self::Whip(Box::new(WhipPublisher::join(plan, source, index, poll.registry(), published)))
            }
        }
    }

    fn hear(&mut self, token: usize, plan: &PublishPlan, published: &mut Published) {
        match self {
            Self::Rtmp(publisher) => publisher.hear(plan, published),
            Self::Whip(publisher) => publisher.hear(token, published),
        }
    }

    fn speak(&mut self, plan: &PublishPlan, published: &mut Published) {
        match self {
            Self::Rtmp(publisher) => publisher.speak(plan, published),
            Self::Whip(publisher) => publisher.speak(plan, published),
        }
    }

    fn is_publishing(&self) -> bool {
        match self {
            Self::Rtmp(publisher) => publisher.is_publishing(),
            Self::Whip(publisher) => publisher.is_publishing(),
        }
    }

    fn is_lost(&self) -> bool {
        match self {
            Self::Rtmp(publisher) => publisher.is_lost(),
            Self::Whip(publisher) => publisher.is_lost(),
        }
    }

    /// Says goodbye where a closed connection alone would not tell.
    fn leave(&mut self) {
        if let Self::Whip(publisher) = self {
            publisher.leave();
        }
    }
}

impl Place {
    /// The next frame that is due, and its time on the publisher's timeline in ms.
    fn due(&mut self, clip: &Clip, elapsed_ms: u64) -> Option<(usize, u64)> {
        let frame = self.next_frame;
        let at = self.round_ms + u64::from(clip.frames.get(frame)?.timestamp);
        if at > elapsed_ms {
            return None;
        }
        self.next_frame += 1;
        if self.next_frame == clip.frames.len() {
            self.next_frame = 0;
            self.round_ms += u64::from(clip.span_ms);
        }
        Some((frame, at))
    }
}

impl Published {
    fn accept(&mut self, joined: Nanos, now: Nanos) {
        self.accepted += 1;
        self.ready.record((now - joined) / clock::MICROS);
    }

    fn lose(&mut self, reason: &str) {
        count(&mut self.lost, reason);
    }
}

/// Publishers by WHIP have two sockets.
const TOKENS_PER_PUBLISHER: usize = 2;
/// A frame is sent at most this much after it is due.
const TICK: Nanos = 2 * MILLIS;
const PROGRESS_EVERY: Nanos = 5 * SECONDS;

#[cfg(test)]
mod tests;
