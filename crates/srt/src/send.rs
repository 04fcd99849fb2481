//! Data that goes out: kept until it is acknowledged, sent again when asked for, given up in time. Draft §4.6 to §4.8.

use crate::cipher::Keys;
use crate::packet::{Data, ranges};
use crate::sequence::Sequence;
use crate::stats::Stats;
use bytes::Bytes;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Sends packets at the pace that is asked for, bursts smoothed.
///
/// Keeps what was sent for the latency and a second, and [`KEPT_PACKETS_MAX`] packets at most; what is older is given up.
#[derive(Debug)]
pub(crate) struct Sender {
    /// From `first` on.
    pub(crate) kept: VecDeque<Kept>,
    first: Sequence,
    /// How many of `kept` were sent.
    sent: usize,
    /// What is to be sent again, in the order in which it was asked for.
    again: VecDeque<Sequence>,
    message: u32,
    age_max: Duration,
    burst: Burst,
}

#[derive(Debug)]
pub(crate) struct Kept {
    payload: Bytes,
    key: u8,
    time: u32,
    at: Instant,
    message: u32,
    resent: Option<Instant>,
    is_wanted: bool,
}

/// A group sent at once would overrun what sockets hold: 32 packets every two milliseconds are 170 Mbit/s.
#[derive(Debug)]
struct Burst {
    began: Instant,
    packets: u32,
}

/// Packets that wait to be acknowledged, or to be sent: 21 MB of media.
const KEPT_PACKETS_MAX: usize = 16_384;
/// What is older than the latency by this is of no use to the peer. libsrt has the same second.
const AGE_SPARE: Duration = Duration::from_secs(1);
const BURST_PACKETS: u32 = 32;
const BURST_EVERY: Duration = Duration::from_millis(2);
/// Bits of a message number.
const MESSAGE_MASK: u32 = 0x03ff_ffff;

impl Sender {
    pub(crate) fn new(first: Sequence, latency: Duration, now: Instant) -> Sender {
        Sender {
            kept: VecDeque::new(),
            first,
            sent: 0,
            again: VecDeque::new(),
            message: 1,
            age_max: latency + AGE_SPARE,
            burst: Burst { began: now, packets: 0 },
        }
    }

    /// Packets that wait to be sent the first time.
    pub(crate) fn waiting(&self) -> usize {
        self.kept.len() - self.sent
    }

    /// Takes a payload to be sent, with the time that it has for the peer.
    pub(crate) fn push(
        &mut self,
        payload: Bytes,
        keys: Option<&Keys>,
        time: u32,
        now: Instant,
        stats: &mut Stats,
    ) {
        self.drop_old(now, stats);
        if self.kept.len() >= KEPT_PACKETS_MAX {
            self.drop_first(stats);
        }
        let sequence = self.first.plus(self.kept.len() as u32);
        let (key, payload) = match keys {
            None => (0, payload),
            Some(keys) => {
                let mut own = payload.to_vec();
                let key = keys.sending();
                if !keys.apply(key, sequence, &mut own) {
                    return;
                }
                (key, own.into())
            }
        };
        let message = self.message;
        self.message = (message % MESSAGE_MASK) + 1;
        self.kept.push_back(Kept { payload, key, time, at: now, message, resent: None, is_wanted: false });
    }

    /// The next packet for that socket, if it may go now.
    pub(crate) fn poll(&mut self, to: u32, now: Instant, stats: &mut Stats) -> Option<Bytes> {
        if now.saturating_duration_since(self.burst.began) >= BURST_EVERY {
            self.burst = Burst { began: now, packets: 0 };
        }
        if self.burst.packets >= BURST_PACKETS {
            return None;
        }
        self.drop_old(now, stats);
        let at = self.next(now, stats)?;
        let sequence = self.first.plus(at as u32);
        let kept = &self.kept[at];
        self.burst.packets += 1;
        let is_resent = kept.resent.is_some();
        let data = Data { sequence, key: kept.key, is_resent, time: kept.time, payload: &kept.payload };
        Some(data.to_bytes(kept.message, to))
    }

    /// When the next packet may go, if one waits.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let waits = self.waiting() > 0 || !self.again.is_empty();
        waits.then(|| self.burst.began + BURST_EVERY)
    }

    /// The peer has all before `next`.
    pub(crate) fn acknowledged(&mut self, next: Sequence) {
        while next.since(self.first) > 0 && self.sent > 0 {
            self.kept.pop_front();
            self.sent -= 1;
            self.first = self.first.plus(1);
        }
    }

    /// The peer lacks these. Returns what it can't get any more. One that was sent again just now may be on its way.
    pub(crate) fn asked(
        &mut self,
        report: &[u8],
        rtt: Duration,
        now: Instant,
        stats: &mut Stats,
    ) -> Option<(Sequence, Sequence)> {
        let mut gone: Option<(Sequence, Sequence)> = None;
        // Ranges that overlap would let a small report cost much work.
        let mut looks = KEPT_PACKETS_MAX;
        for (from, to) in ranges(report) {
            let end = to.since(self.first).min(self.sent as i32 - 1);
            let begin = from.since(self.first);
            if begin < 0 {
                let last = if to.since(self.first) < 0 { to } else { self.first.plus(u32::MAX) };
                gone = Some(gone.map_or((from, last), |(first, _)| (first, last)));
            }
            for at in begin.max(0)..=end {
                if looks == 0 {
                    return gone;
                }
                looks -= 1;
                let kept = &mut self.kept[at as usize];
                let rests = kept.resent.is_some_and(|at| now.saturating_duration_since(at) < rtt);
                if kept.is_wanted || rests {
                    continue;
                }
                kept.is_wanted = true;
                stats.asked_again += 1;
                self.again.push_back(self.first.plus(at as u32));
            }
        }
        gone
    }

    /// Which one goes next.
    fn next(&mut self, now: Instant, stats: &mut Stats) -> Option<usize> {
        while let Some(sequence) = self.again.pop_front() {
            // It may have been acknowledged, or given up, meanwhile.
            let Ok(at) = usize::try_from(sequence.since(self.first)) else { continue };
            if let Some(kept) = self.kept.get_mut(at) {
                kept.is_wanted = false;
                kept.resent = Some(now);
                stats.resent += 1;
                return Some(at);
            }
        }
        let at = self.sent;
        let kept = self.kept.get(at)?;
        stats.sent += 1;
        stats.sent_bytes += kept.payload.len() as u64;
        self.sent += 1;
        Some(at)
    }

    fn drop_old(&mut self, now: Instant, stats: &mut Stats) {
        while self.kept.front().is_some_and(|kept| now.saturating_duration_since(kept.at) > self.age_max) {
            self.drop_first(stats);
        }
    }

    fn drop_first(&mut self, stats: &mut Stats) {
        if self.kept.pop_front().is_some() {
            stats.given_up += 1;
            self.sent = self.sent.saturating_sub(1);
            self.first = self.first.plus(1);
        }
    }
}
