//! Data that comes in: put in order, asked for again, given up in time. Draft §4.4 to §4.8.

use crate::connection::Received;
use crate::packet::{Data, put_range};
use crate::sequence::Sequence;
use crate::stats::Stats;
use bytes::{BufMut, Bytes, BytesMut};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Puts packets in order.
///
/// What is in order is given on at once: media has times of its own. A gap holds up what is behind it until it is
/// filled, or until the packet behind it is as late as the latency allows; then it is given up (TLPKTDROP). Holds
/// [`WINDOW_PACKETS`] at most; what is further ahead is dropped and comes again, since it is not acknowledged.
#[derive(Debug)]
pub(crate) struct Receiver {
    /// From `next` on. The first one is missing, or there is none.
    slots: VecDeque<Option<Slot>>,
    next: Sequence,
    /// How many of `slots` are missing.
    missing: usize,
    /// Where the first is that is not missing, if one is.
    found: Option<usize>,
    ready: VecDeque<Received>,
    clock: PeerClock,
    latency: Duration,
    report_at: Option<Instant>,
    acknowledge_at: Option<Instant>,
    /// What the last acknowledgement said.
    acknowledged: Sequence,
    number: u32,
    /// Acknowledgements that no answer came to yet.
    unanswered: VecDeque<(u32, Instant)>,
    rate: Rate,
}

#[derive(Debug)]
struct Slot {
    payload: Bytes,
    due: Instant,
}

/// When the peer sent what, on our clock. Clocks run apart by some milliseconds an hour, so the quickest packets of the
/// last seconds tell.
#[derive(Debug)]
struct PeerClock {
    origin: Instant,
    /// The peer's microseconds, wraps folded in.
    last: i64,
    /// Our microseconds less the peer's: the least in the window before, and in this one.
    before: i64,
    least: i64,
    window_ends: Instant,
}

/// What came within a second.
#[derive(Debug)]
struct Rate {
    since: Instant,
    packets: u32,
    bytes: u32,
    /// Of the second before.
    last: (u32, u32),
}

/// Packets that may wait: four seconds of 20 Mbit/s.
pub(crate) const WINDOW_PACKETS: usize = 8192;
/// How often what came is acknowledged. Draft §4.8.1.
const ACKNOWLEDGE_EVERY: Duration = Duration::from_millis(10);
/// The shortest time between two reports of all that is missing. Draft §4.8.2.
const REPORT_MIN: Duration = Duration::from_millis(20);
/// Bytes of a report of losses; what doesn't go in is in the next one.
const REPORT_BYTES_MAX: usize = 1400;
/// Acknowledgements whose answers are waited for.
const UNANSWERED_MAX: usize = 64;
const CLOCK_WINDOW: Duration = Duration::from_secs(10);

impl Receiver {
    /// `first` is the number of the first packet; `sent` the peer's time of a packet that came at `now`.
    pub(crate) fn new(first: Sequence, latency: Duration, sent: u32, now: Instant) -> Receiver {
        let offset = -i64::from(sent);
        Receiver {
            slots: VecDeque::new(),
            next: first,
            missing: 0,
            found: None,
            ready: VecDeque::new(),
            clock: PeerClock {
                origin: now,
                last: i64::from(sent),
                before: offset,
                least: offset,
                window_ends: now + CLOCK_WINDOW,
            },
            latency,
            report_at: None,
            acknowledge_at: None,
            acknowledged: first,
            number: 0,
            unanswered: VecDeque::new(),
            rate: Rate { since: now, packets: 0, bytes: 0, last: (0, 0) },
        }
    }

    /// The next payload in order, or what is missing before it.
    pub(crate) fn poll(&mut self) -> Option<Received> {
        self.ready.pop_front()
    }

    /// Takes a packet in whose payload is plain. Gives a report of losses, if there are new ones.
    pub(crate) fn take(
        &mut self,
        data: &Data<'_>,
        payload: Bytes,
        now: Instant,
        report_in: Duration,
        stats: &mut Stats,
    ) -> Option<Bytes> {
        stats.received += 1;
        stats.received_bytes += payload.len() as u64;
        stats.resent_to_us += u64::from(data.is_resent);
        self.rate.count(payload.len(), now);
        let due = self.clock.due(data.time, self.latency, now);
        self.acknowledge_at.get_or_insert(now + ACKNOWLEDGE_EVERY);
        let Ok(mut at) = usize::try_from(data.sequence.since(self.next)) else {
            stats.useless += 1;
            return None;
        };
        if at >= WINDOW_PACKETS {
            if !self.slots.is_empty() {
                return None;
            }
            // The sender went on long ago.
            stats.missed += at as u64;
            stats.lost += at as u64;
            self.ready.push_back(Received::Lost(at as u64));
            self.next = data.sequence;
            at = 0;
        }
        if self.slots.get(at).is_some_and(Option::is_some) {
            stats.useless += 1;
            return None;
        }
        let gap = at.saturating_sub(self.slots.len());
        let report = (gap > 0).then(|| {
            let mut report = BytesMut::with_capacity(8);
            let first = self.next.plus(self.slots.len() as u32);
            put_range(&mut report, first, data.sequence.plus(u32::MAX));
            report.freeze()
        });
        if at >= self.slots.len() {
            self.slots.resize_with(at, || None);
            self.slots.push_back(None);
            self.missing += gap + 1;
            stats.missed += gap as u64;
        }
        self.slots[at] = Some(Slot { payload, due });
        self.missing -= 1;
        self.found = Some(self.found.map_or(at, |found| found.min(at)));
        self.give_on();
        if self.missing == 0 {
            self.report_at = None;
        } else {
            // Further losses don't put off the report of those before.
            self.report_at.get_or_insert(now + report_in.max(REPORT_MIN));
        }
        report
    }

    /// Gives up packets that the sender has not any more. Draft §3.2.9.
    pub(crate) fn give_up(&mut self, first: Sequence, last: Sequence, stats: &mut Stats) {
        // Only what is at the front holds anything up; what is behind it is given up in time.
        let (Ok(from), Ok(to)) = (first.since(self.next).max(0).try_into(), last.since(self.next).try_into())
        else {
            return;
        };
        let (from, to): (usize, usize) = (from, to);
        if from == 0 && self.found.is_some_and(|found| found <= to + 1) {
            self.skip(stats);
        }
    }

    /// Gives up what is overdue.
    pub(crate) fn handle_timeout(&mut self, now: Instant, stats: &mut Stats) {
        while self.due().is_some_and(|due| due <= now) {
            self.skip(stats);
        }
    }

    /// All that is missing, if it is time to say so again.
    pub(crate) fn report(&mut self, now: Instant, report_in: Duration) -> Option<Bytes> {
        self.report_at.filter(|at| *at <= now)?;
        self.report_at = (self.missing > 0).then(|| now + report_in.max(REPORT_MIN));
        let mut report = BytesMut::new();
        let mut first = None;
        for (at, slot) in self.slots.iter().enumerate() {
            match (slot, first) {
                (None, None) => first = Some(at),
                (Some(_), Some(from)) => {
                    put_range(&mut report, self.next.plus(from as u32), self.next.plus(at as u32 - 1));
                    first = None;
                }
                _ => {}
            }
            if report.len() >= REPORT_BYTES_MAX {
                break;
            }
        }
        (!report.is_empty()).then(|| report.freeze())
    }

    /// The number and body of an acknowledgement, if it is time for one. Draft §3.2.4.
    pub(crate) fn acknowledge(&mut self, now: Instant, rtt: (Duration, Duration)) -> Option<(u32, Bytes)> {
        self.acknowledge_at.filter(|at| *at <= now)?;
        self.acknowledge_at = None;
        if self.acknowledged == self.next {
            return None;
        }
        self.acknowledged = self.next;
        self.number = self.number.wrapping_add(1);
        if self.unanswered.len() >= UNANSWERED_MAX {
            self.unanswered.pop_front();
        }
        self.unanswered.push_back((self.number, now));
        let micros = |time: Duration| u32::try_from(time.as_micros()).unwrap_or(u32::MAX);
        let (packets, bytes) = self.rate.last;
        let free = (WINDOW_PACKETS - self.slots.len().min(WINDOW_PACKETS)) as u32;
        let mut body = BytesMut::with_capacity(28);
        // How much the way could carry isn't measured; live senders don't ask.
        let words = [self.next.number(), micros(rtt.0), micros(rtt.1), free, packets, packets, bytes];
        words.iter().for_each(|word| body.put_u32(*word));
        Some((self.number, body.freeze()))
    }

    /// An acknowledgement came back: how long it took.
    pub(crate) fn answered(&mut self, number: u32, now: Instant) -> Option<Duration> {
        let at = self.unanswered.iter().position(|(waiting, _)| *waiting == number)?;
        let (_, sent) = self.unanswered[at];
        self.unanswered.drain(..=at);
        Some(now.saturating_duration_since(sent))
    }

    /// When it wants to be asked again.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        [self.due(), self.report_at, self.acknowledge_at].into_iter().flatten().min()
    }

    /// When the gap at the front is given up.
    fn due(&self) -> Option<Instant> {
        self.slots.get(self.found?)?.as_ref().map(|slot| slot.due)
    }

    /// Gives the gap at the front up.
    fn skip(&mut self, stats: &mut Stats) {
        let Some(found) = self.found else { return };
        stats.lost += found as u64;
        self.ready.push_back(Received::Lost(found as u64));
        self.missing -= found;
        self.slots.drain(..found);
        self.next = self.next.plus(found as u32);
        self.found = Some(0);
        self.give_on();
        if self.missing == 0 {
            self.report_at = None;
        }
    }

    fn give_on(&mut self) {
        if self.found != Some(0) {
            return;
        }
        while let Some(slot) = self.slots.front_mut().and_then(Option::take) {
            self.slots.pop_front();
            self.next = self.next.plus(1);
            if !slot.payload.is_empty() {
                self.ready.push_back(Received::Payload(slot.payload));
            }
        }
        self.found = self.slots.iter().position(Option::is_some);
    }
}

impl PeerClock {
    /// When a packet of that time is too late to be waited for; never later than the latency from now on.
    fn due(&mut self, sent: u32, latency: Duration, now: Instant) -> Instant {
        let sent = self.last + i64::from(sent.wrapping_sub(self.last as u32) as i32);
        self.last = self.last.max(sent);
        let ours = now.saturating_duration_since(self.origin).as_micros() as i64;
        if now >= self.window_ends {
            self.before = std::mem::replace(&mut self.least, ours - sent);
            self.window_ends = now + CLOCK_WINDOW;
        }
        self.least = self.least.min(ours - sent);
        let arrived = (sent + self.before.min(self.least)).clamp(0, ours);
        self.origin + Duration::from_micros(arrived.unsigned_abs()) + latency
    }
}

impl Rate {
    fn count(&mut self, bytes: usize, now: Instant) {
        if now.saturating_duration_since(self.since) >= Duration::from_secs(1) {
            self.last = (self.packets, self.bytes);
            (self.since, self.packets, self.bytes) = (now, 0, 0);
        }
        self.packets = self.packets.saturating_add(1);
        self.bytes = self.bytes.saturating_add(bytes as u32);
    }
}
