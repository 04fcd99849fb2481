//! One broadcast to one server.

use crate::config::Restream;
use crate::gateway::random_bytes;
use crate::outward::{Backoff, Dialer, Entry, Failure, Goal, Link, judge};
use hub::{Batch, Broadcast, Catalog, Item};
use mux::flv::{self, TagBody, TagType};
use rtmp::MediaKind;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// What one needs.
pub(super) struct Push {
    pub(super) restream: Restream,
    pub(super) broadcast: Arc<Broadcast>,
    pub(super) dialer: Dialer,
    pub(super) entry: Entry,
    /// Ready when it is wanted no more.
    pub(super) stop: watch::Receiver<()>,
}

/// Why an attempt is over although nothing failed.
enum Done {
    /// The broadcast ended, or it is wanted no more.
    Over,
}

/// How often one that waits looks whether the broadcast is still there.
const LOOK_EVERY: Duration = Duration::from_millis(500);

impl Push {
    /// Pushes until the broadcast ends.
    pub(super) async fn run(mut self) {
        let mut backoff = Backoff::new(self.restream.retry());
        loop {
            self.entry.connecting();
            let mut live_since = None;
            let failure = match self.attempt(&mut live_since).await {
                Ok(Done::Over) => return,
                Err(failure) => failure,
            };
            let worked = live_since.map_or(Duration::ZERO, |since: Instant| since.elapsed());
            // Without random bytes, all come back at the same time.
            let random = random_bytes().map_or(u32::MAX, u32::from_ne_bytes);
            let rest = backoff.after(worked, random);
            self.entry.waiting(&failure, rest);
            if !self.rest(rest).await {
                return;
            }
        }
    }

    /// Waits; false when there is nothing to push any more.
    async fn rest(&mut self, rest: Duration) -> bool {
        let until = tokio::time::Instant::now() + rest;
        loop {
            let look = until.min(tokio::time::Instant::now() + LOOK_EVERY);
            tokio::select! {
                () = tokio::time::sleep_until(look) => {}
                _ = self.stop.changed() => return false,
                () = self.entry.nudged() => return !self.broadcast.is_ended(),
            }
            if self.broadcast.is_ended() {
                return false;
            }
            if tokio::time::Instant::now() >= until {
                return true;
            }
        }
    }

    async fn attempt(&mut self, live_since: &mut Option<Instant>) -> Result<Done, Failure> {
        let remote = self.restream.remote(self.broadcast.path()).map_err(Failure::Url)?;
        let mut link = tokio::select! {
            opened = Link::open(&self.dialer, &remote, Goal::Publish) => opened?,
            _ = self.stop.changed() => return Ok(Done::Over),
        };
        *live_since = Some(Instant::now());
        self.entry.live();
        let mut consumer = self.broadcast.consumer();
        let (mut batch, mut muxer) = (Batch::default(), Muxer::default());
        loop {
            tokio::select! {
                () = consumer.batch(&mut batch) => {
                    for item in batch.items.drain(..) {
                        muxer.item(&item, &mut link);
                    }
                    link.flush().await?;
                    self.entry.count(std::mem::take(&mut muxer.bytes));
                    if batch.ended {
                        break;
                    }
                }
                event = link.event() => drop(judge(event?)?),
                _ = self.stop.changed() => break,
            }
        }
        link.finish().await;
        Ok(Done::Over)
    }
}

/// Frames to messages on a timeline that begins at zero.
#[derive(Debug, Default)]
struct Muxer {
    catalog: Option<Arc<Catalog>>,
    /// Time of the first frame.
    base_ms: Option<u32>,
    newest_ms: u32,
    /// Sent since they were taken.
    bytes: u64,
}

impl Muxer {
    fn item(&mut self, item: &Item, link: &mut Link) {
        match item {
            Item::Resumed => {}
            Item::Catalog(catalog) => {
                let metadata = flv::metadata(&catalog.tracks, crate::SERVER);
                link.session().send_metadata(self.newest_ms, &metadata.to_bytes());
                let newest_ms = self.newest_ms;
                for body in catalog.tracks.iter().filter_map(|track| flv::sequence_header(track, newest_ms)) {
                    self.send(&body, newest_ms, link);
                }
                self.catalog = Some(Arc::clone(catalog));
            }
            Item::Frame { track, frame, .. } => {
                let track = self.catalog.as_ref().and_then(|catalog| catalog.track(*track));
                let Some(body) = track.and_then(|track| flv::frame(track, frame)) else { return };
                let time_ms = self.time(body.timestamp_ms);
                self.newest_ms = time_ms;
                self.send(&body, time_ms, link);
            }
        }
    }

    /// Times wrap. Sound that is older than the first picture has the time of it.
    fn time(&mut self, timestamp_ms: u32) -> u32 {
        let since = timestamp_ms.wrapping_sub(*self.base_ms.get_or_insert(timestamp_ms));
        if since > u32::MAX / 2 && self.newest_ms < u32::MAX / 4 { 0 } else { since }
    }

    fn send(&mut self, body: &TagBody, time_ms: u32, link: &mut Link) {
        let kind = match body.tag {
            TagType::Audio => MediaKind::Audio,
            TagType::Video => MediaKind::Video,
            TagType::Script => MediaKind::Data,
        };
        self.bytes += body.body_bytes() as u64;
        link.session().send_media(kind, time_ms, &body.parts());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_begins_at_zero_and_wraps_as_it_did() {
        let mut muxer = Muxer::default();
        let times = [5000, 4990, 5040].map(|t| muxer.time(t));
        assert_eq!(times, [0, 0, 40]);
        let mut late = Muxer { base_ms: Some(u32::MAX - 9), newest_ms: 5, ..Muxer::default() };
        assert_eq!(late.time(10), 20);
        let mut old = Muxer { base_ms: Some(0), newest_ms: u32::MAX / 2, ..Muxer::default() };
        assert_eq!(old.time(u32::MAX / 2 + 50), u32::MAX / 2 + 50);
    }
}
