//! The loop of one thread of the plane.

use super::Input;
use super::ages::Tally;
use super::feed::Feed;
use super::inbox::{Contents, Inbox};
use super::plane::{NewViewer, Settings};
use super::viewer::{Progress, Viewer};
use super::window::Pace;
use crate::gather::Gather;
use crate::metrics::{CloseReason, Shard};
use hub::Batch;
use mio::{Interest, Token};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The token of the inbox; viewers have their slot number.
pub(crate) const WAKE: Token = Token(usize::MAX);

/// One thread of the plane. Owns its viewers and feeds; shares nothing but its inbox.
#[derive(Debug)]
pub(crate) struct Worker {
    poll: mio::Poll,
    inbox: Arc<Inbox>,
    settings: Settings,
    shard: Arc<Shard>,
    pace: Pace,
    viewers: Vec<Option<Viewer>>,
    free_viewers: Vec<usize>,
    feeds: Vec<Option<Feed>>,
    free_feeds: Vec<usize>,
    /// Feeds with a due time; few, so they are searched.
    due: Vec<usize>,
    batch: Batch,
    scratch: Vec<u8>,
    doomed: Vec<(usize, CloseReason)>,
    checked: Instant,
    reported: Instant,
    cpu_at_check: Duration,
}

/// How often load is measured and stopped viewers are looked for.
const CHECK_EVERY: Duration = Duration::from_millis(200);
/// How often the list of sessions is told about viewers; also the time that a viewer has to end.
const REPORT_EVERY: Duration = Duration::from_secs(1);
/// Events taken from the system at a time.
const EVENTS_MAX: usize = 1024;
/// How long frames and news of sockets may gather, within the merge window, in which nothing would be written anyway: a thread that
/// wakes for each of thousands of them a second spends most of its time waking.
const REST_MAX: Duration = Duration::from_millis(20);
/// With fewer broadcasts nothing settles.
const SETTLING_FEEDS_MIN: usize = 16;
/// Which part of a window it may take: 3.6 ms of 58, in which some hundred publishers are read.
const SETTLING_SHARE: u32 = 16;
/// After so many viewers of a walk, which takes some hundred microseconds, it is looked whether something new came in.
const REFRESH_VIEWERS: usize = 64;
/// Viewers' own bytes are read through one buffer of this size.
const SCRATCH_BYTES: usize = 16 << 10;

impl Worker {
    pub(crate) fn new(poll: mio::Poll, inbox: Arc<Inbox>, settings: Settings, shard: Arc<Shard>) -> Worker {
        Worker {
            poll,
            inbox,
            pace: Pace::new(settings.merge_window),
            settings,
            shard,
            viewers: Vec::new(),
            free_viewers: Vec::new(),
            feeds: Vec::new(),
            free_feeds: Vec::new(),
            due: Vec::new(),
            batch: Batch::default(),
            scratch: vec![0; SCRATCH_BYTES],
            doomed: Vec::new(),
            checked: Instant::now(),
            reported: Instant::now(),
            cpu_at_check: Duration::ZERO,
        }
    }

    /// Runs until the plane shuts down.
    pub(crate) fn run(mut self) {
        let mut events = mio::Events::with_capacity(EVENTS_MAX);
        let mut contents = Contents::default();
        let mut gather = Gather::new(Instant::now(), REST_MAX);
        while !contents.shutdown {
            let now = Instant::now();
            if let Some(rest) = gather.rest(now, 1) {
                std::thread::sleep(rest.min(self.pace.window()));
            }
            let timeout = self.timeout(now);
            if let Err(error) = self.poll.poll(&mut events, Some(timeout))
                && error.kind() != std::io::ErrorKind::Interrupted
            {
                tracing::error!(%error, "the egress worker can't wait for events; it ends");
                return;
            }
            if let Some(settling) = self.settling()
                && events.iter().any(|event| event.token() == WAKE)
            {
                std::thread::sleep(settling);
            }
            for event in &events {
                if event.token() != WAKE {
                    let gone = event.is_error() || event.is_read_closed() && event.is_write_closed();
                    self.viewer_event(event.token().0, event.is_readable() || gone, event.is_writable());
                }
            }
            let now = Instant::now();
            if self.inbox.take(&mut contents) {
                for feed in contents.feeds.drain(..) {
                    self.schedule(feed, now);
                }
                for viewer in contents.viewers.drain(..) {
                    self.join(viewer, now);
                }
            }
            self.flush_due(now);
            if now.saturating_duration_since(self.checked) >= CHECK_EVERY {
                self.check(now);
            }
        }
        // All broadcasts have ended: whoever can take the end at once is told, without waiting for a window.
        let now = Instant::now();
        (0..self.feeds.len()).for_each(|feed| self.flush(feed, now));
        let all: Vec<usize> = (0..self.viewers.len()).collect();
        all.into_iter().for_each(|slot| self.close(slot, CloseReason::Shutdown));
    }

    /// How long it is waited for more once frames came in, where there are many broadcasts: whoever takes them in finds those of many
    /// publishers one after the other, and each alone would wake this thread.
    fn settling(&self) -> Option<Duration> {
        let feeds = self.feeds.len() - self.free_feeds.len();
        (feeds >= SETTLING_FEEDS_MIN).then(|| self.pace.window() / SETTLING_SHARE).filter(|s| !s.is_zero())
    }

    fn timeout(&self, now: Instant) -> Duration {
        let next = self.due.iter().filter_map(|f| self.feeds[*f].as_ref()?.due).min();
        next.map_or(CHECK_EVERY, |due| due.saturating_duration_since(now).min(CHECK_EVERY))
    }

    /// New frames wait until a window after the last write, or until the first of them is a window old: they may have waited for the
    /// thread that took them in.
    fn schedule(&mut self, number: usize, now: Instant) {
        let window = self.pace.window();
        if let Some(feed) = self.feeds.get_mut(number).and_then(Option::as_mut)
            && feed.due.is_none()
        {
            let next = feed.flushed + window;
            let oldest = if next > now { feed.waiting_since() } else { None };
            feed.due = Some(oldest.map_or(next, |arrived| next.min(arrived + window)).max(now));
            self.due.push(number);
        }
    }

    fn flush_due(&mut self, now: Instant) {
        // Whoever is due within a quarter of a window goes along: one wake-up serves many broadcasts.
        let horizon = now + self.pace.window() / 4;
        let mut at = 0;
        while at < self.due.len() {
            let number = self.due[at];
            if self.feeds[number].as_ref().is_some_and(|f| f.due.is_some_and(|due| due > horizon)) {
                at += 1;
            } else {
                self.due.swap_remove(at);
                self.flush(number, now);
            }
        }
    }

    /// Muxes what is new and walks the feed's viewers. What comes in meanwhile goes along to those who are still to come:
    /// after a keyframe to a thousand viewers the sound behind it needn't wait for the last of them.
    fn flush(&mut self, number: usize, now: Instant) {
        let Some(feed) = self.feeds[number].as_mut() else { return };
        feed.due = None;
        feed.flushed = now;
        feed.drain(&mut self.batch, now);
        let first_end = feed.log.end();
        let late = feed.log.end_before(now, self.settings.lag_max);
        let over = first_end.saturating_sub(self.settings.feed_bytes_max as u64);
        let (mut needed, mut sent, mut tally) = (u64::MAX, 0, Tally::default());
        let first = feed.next_turn();
        for step in 0..feed.members.len() {
            if step > 0 && step % REFRESH_VIEWERS == 0 {
                feed.drain(&mut self.batch, Instant::now());
            }
            let slot = feed.members[(first + step) % feed.members.len()];
            let Some(viewer) = self.viewers[slot].as_mut() else { continue };
            if viewer.waiting && feed.is_ready() {
                join_log(viewer, feed);
            }
            if viewer.full && viewer.cursor < late && feed.log.newest_group() > viewer.cursor {
                viewer.skip(&feed.log);
                self.shard.skipped();
            }
            if viewer.cursor < over && !viewer.waiting {
                self.doomed.push((slot, CloseReason::TooSlow));
                continue;
            }
            if !viewer.full {
                let from = viewer.cursor;
                sent += write(viewer, slot, &feed.log, now, &self.shard, &mut self.doomed);
                tally.add(from, viewer.cursor, &feed.arrivals, &self.shard);
            }
            needed = needed.min(viewer.cursor);
        }
        tally.count(&feed.arrivals, &self.shard);
        feed.trim(needed);
        self.shard.egress(feed.format.protocol(), sent);
        feed.broadcast.add_egress_bytes(sent);
        if feed.ended {
            let all_sent = |slot: &&usize| {
                self.viewers[**slot].as_ref().is_some_and(|v| !v.full && v.cursor == feed.log.end())
            };
            self.doomed.extend(feed.members.iter().filter(all_sent).map(|s| (*s, CloseReason::Ended)));
        }
        if feed.log.end() > first_end {
            // The first ones lack what came in during the walk. Others have their turn before.
            self.schedule(number, Instant::now());
        }
        self.close_doomed();
    }

    fn join(&mut self, new: NewViewer, now: Instant) {
        let number = self.feed_for(&new, now);
        let slot = self.free_viewers.pop().unwrap_or_else(|| {
            self.viewers.push(None);
            self.viewers.len() - 1
        });
        let Some(feed) = self.feeds[number].as_mut() else { return };
        let mut viewer = Viewer {
            transport: new.transport,
            feed: number,
            place: feed.members.len(),
            cursor: 0,
            before: VecDeque::from([new.preface]),
            full: false,
            waiting: true,
            asked: new.asked,
            progressed: now,
            started: false,
            skips: 0,
            sent: 0,
            session: new.session,
            _lease: new.lease,
            _admission: new.admission,
        };
        let interest = Interest::READABLE | Interest::WRITABLE;
        if let Err(error) = self.poll.registry().register(viewer.transport.socket(), Token(slot), interest) {
            tracing::warn!(%error, "a viewer's socket can't be watched; closing it");
            self.free_viewers.push(slot);
            return;
        }
        if feed.is_ready() {
            join_log(&mut viewer, feed);
        }
        feed.members.push(slot);
        let sent = write(&mut viewer, slot, &feed.log, now, &self.shard, &mut self.doomed);
        self.shard.egress(feed.format.protocol(), sent);
        feed.broadcast.add_egress_bytes(sent);
        if feed.ended && !viewer.full {
            self.doomed.push((slot, CloseReason::Ended));
        }
        self.viewers[slot] = Some(viewer);
        self.shard.set_viewers(self.viewers.len() - self.free_viewers.len());
        self.close_doomed();
    }

    /// The feed that a viewer reads; made, and filled with the newest group, for the first one.
    fn feed_for(&mut self, new: &NewViewer, now: Instant) -> usize {
        let same = |feed: &Feed| {
            Arc::ptr_eq(&feed.broadcast, &new.broadcast) && feed.format.protocol() == new.format.protocol()
        };
        if let Some(number) = self.feeds.iter().position(|f| f.as_ref().is_some_and(same)) {
            return number;
        }
        let number = self.free_feeds.pop().unwrap_or_else(|| {
            self.feeds.push(None);
            self.feeds.len() - 1
        });
        let mut feed = Feed::new(number, &self.inbox, &new.broadcast, new.format, now);
        feed.drain(&mut self.batch, now);
        self.feeds[number] = Some(feed);
        number
    }

    fn viewer_event(&mut self, slot: usize, readable: bool, writable: bool) {
        let Some(viewer) = self.viewers.get_mut(slot).and_then(Option::as_mut) else { return };
        let Some(feed) = self.feeds[viewer.feed].as_mut() else { return };
        if readable {
            loop {
                match viewer.transport.read(&mut self.scratch) {
                    Ok(0) => self.doomed.push((slot, CloseReason::Left)),
                    Ok(count) => match feed.format.input(&self.scratch[..count]) {
                        Input::Ignore => continue,
                        Input::Close => self.doomed.push((slot, CloseReason::Left)),
                        Input::Reply(bytes) => {
                            reply(viewer, feed, bytes);
                            continue;
                        }
                    },
                    Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => {}
                    Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
                    Err(e) if e.kind() == std::io::ErrorKind::TimedOut => {
                        self.doomed.push((slot, CloseReason::Stalled));
                    }
                    Err(_) => self.doomed.push((slot, CloseReason::Left)),
                }
                break;
            }
        }
        if writable && viewer.full && self.doomed.is_empty() {
            viewer.full = false;
            let now = Instant::now();
            let sent = write(viewer, slot, &feed.log, now, &self.shard, &mut self.doomed);
            self.shard.egress(feed.format.protocol(), sent);
            feed.broadcast.add_egress_bytes(sent);
            if feed.ended && !viewer.full && viewer.cursor == feed.log.end() {
                self.doomed.push((slot, CloseReason::Ended));
            }
        }
        self.close_doomed();
    }

    fn close_doomed(&mut self) {
        while let Some((slot, reason)) = self.doomed.pop() {
            self.close(slot, reason);
        }
    }

    fn close(&mut self, slot: usize, reason: CloseReason) {
        let Some(mut viewer) = self.viewers.get_mut(slot).and_then(Option::take) else { return };
        self.free_viewers.push(slot);
        viewer.transport.close();
        // Closing the descriptor ends the registration too, so a failure here changes nothing.
        let _ = self.poll.registry().deregister(viewer.transport.socket());
        self.shard.set_viewers(self.viewers.len() - self.free_viewers.len());
        viewer.session.session().report(viewer.sent, viewer.skips);
        viewer.session.ends(reason);
        let Some(feed) = self.feeds[viewer.feed].as_mut() else { return };
        feed.members.swap_remove(viewer.place);
        if let Some(moved) = feed.members.get(viewer.place)
            && let Some(moved) = self.viewers[*moved].as_mut()
        {
            moved.place = viewer.place;
        }
        if feed.members.is_empty() {
            self.feeds[viewer.feed] = None;
            self.free_feeds.push(viewer.feed);
            self.due.retain(|f| *f != viewer.feed);
        }
    }

    /// Measures load, adapts the window, closes viewers that stopped reading.
    fn check(&mut self, now: Instant) {
        let cpu = thread_cpu();
        let wall = now.saturating_duration_since(self.checked);
        let busy = cpu.saturating_sub(self.cpu_at_check).as_secs_f64() / wall.as_secs_f64().max(1e-6);
        self.pace.observe(busy, self.feeds.len() - self.free_feeds.len());
        self.checked = now;
        self.cpu_at_check = cpu;
        let queued: usize = self.feeds.iter().flatten().map(|f| f.log.bytes()).sum();
        self.shard.set_load(busy, self.pace.window(), queued);
        let stalled =
            |v: &Viewer| v.full && now.saturating_duration_since(v.progressed) > self.settings.stall_max;
        for (slot, viewer) in self.viewers.iter().enumerate() {
            if viewer.as_ref().is_some_and(stalled) {
                self.doomed.push((slot, CloseReason::Stalled));
            }
        }
        self.close_doomed();
        if now.saturating_duration_since(self.reported) >= REPORT_EVERY {
            self.report(now);
        }
    }

    /// Tells the list of sessions how its viewers fare, and ends those that have to.
    fn report(&mut self, now: Instant) {
        self.reported = now;
        for (slot, viewer) in self.viewers.iter().enumerate() {
            let Some(viewer) = viewer else { continue };
            let session = viewer.session.session();
            session.report(viewer.sent, viewer.skips);
            if let Some(ending) = session.ending(now) {
                self.doomed.push((slot, ending.into()));
            }
        }
        self.close_doomed();
    }
}

/// Puts a viewer at the newest group, behind the format's head.
fn join_log(viewer: &mut Viewer, feed: &Feed) {
    viewer.waiting = false;
    viewer.before.push_back(feed.head());
    viewer.cursor = feed.log.newest_group();
}

/// Puts a reply behind the rest of the frame that is half sent.
fn reply(viewer: &mut Viewer, feed: &Feed, bytes: bytes::Bytes) {
    if viewer.before.len() >= REPLIES_MAX {
        return;
    }
    let rest = feed.log.rest_of_frame(viewer.cursor);
    if !viewer.waiting && viewer.before.is_empty() && !rest.is_empty() {
        viewer.cursor += rest.len() as u64;
        viewer.before.push_back(rest);
    }
    viewer.before.push_back(bytes);
}

/// Replies that may wait for a viewer who doesn't read; more are dropped.
const REPLIES_MAX: usize = 8;

/// Writes to one viewer; marks it doomed when it is gone. Returns the bytes sent.
fn write(
    viewer: &mut Viewer,
    slot: usize,
    log: &super::log::ChunkLog,
    now: Instant,
    shard: &Shard,
    doomed: &mut Vec<(usize, CloseReason)>,
) -> u64 {
    match viewer.write(log, now) {
        Progress::Gone { silent } => {
            doomed.push((slot, if silent { CloseReason::Stalled } else { CloseReason::Left }));
            0
        }
        Progress::Sent(sent) => {
            if !viewer.started && !viewer.waiting && sent > 0 {
                viewer.started = true;
                shard.first_byte(now.saturating_duration_since(viewer.asked));
            }
            sent
        }
    }
}

/// CPU time of the calling thread.
fn thread_cpu() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}
