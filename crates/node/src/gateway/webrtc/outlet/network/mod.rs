//! What the network of one viewer carries and whether it is full, by what the viewer tells of when each packet came. It is found out only
//! where a viewer has a choice of qualities.
//!
//! - [`arrivals`] what a viewer tells
//! - [`trains`] what a network carries, by packets that were sent at once

mod arrivals;
mod trains;

use super::super::quality::LOSS_FULL;
use std::time::{Duration, Instant};
pub(super) use trains::PACKETS_MIN;
use trains::Trains;

/// The network of one viewer. Overflow policy: what was sent longer ago than [`SENT_MAX`] packets is forgotten.
#[derive(Debug)]
pub(super) struct Network {
    began: Instant,
    /// The number of the next packet.
    next: u16,
    sent: Box<[Sent; SENT_MAX]>,
    base: Base,
    /// Reports one after the other in which every packet had waited for long.
    late_reports: u32,
    trains: Trains,
    flow: Flow,
    /// The share of what was sent lately that was lost, until it is taken.
    loses: Option<f32>,
    /// Until then what waits, waits behind what was sent to try it out.
    tried_out: Option<Instant>,
}

/// A packet on its way.
#[derive(Clone, Copy, Debug, Default)]
struct Sent {
    /// Since the beginning, µs.
    at: i64,
    number: u16,
    bytes: u16,
    state: State,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// There is no such packet.
    #[default]
    Unknown,
    OnTheWay,
    /// A report said so; a later one may know better.
    Lost,
    Came,
}

/// From sending to arrival without waiting, by two clocks that have nothing to do with each other: the least of the last seconds, µs.
#[derive(Debug)]
struct Base {
    now: i64,
    before: i64,
    since: Instant,
}

/// What came of what was sent, in spans of a second or some.
#[derive(Debug, Default)]
struct Flow {
    /// When the span began by the viewer's clock, µs.
    since: Option<i64>,
    bytes: u64,
    packets: i32,
    lost: i32,
    /// What came in the span before, bits per second.
    bits_per_second: Option<u64>,
}

/// Packets of a second and more; reports come every 50 to 250 ms.
const SENT_MAX: usize = 512;
/// A network is tried out by what takes so long by the rate, µs, unless that fills it for longer as far as it is known.
const TRY_MICROS: u64 = 40_000;
const FILL_MICROS_MAX: u64 = 60_000;
/// So long after that it is not yet as before.
const TRIED_OUT_AFTER: Duration = Duration::from_millis(600);
/// What waits so long is not on its way, it is in a queue. A keyframe of many packets waits too, but its first ones don't.
const WAITS_MIN: Duration = Duration::from_millis(70);
/// One report may tell of a moment.
const LATE_REPORTS_MIN: u32 = 2;
/// Clocks drift, and paths change.
const BASE_AGE: Duration = Duration::from_secs(10);
/// A share of fewer packets, or of a moment, is mostly chance.
const SPAN_PACKETS_MIN: i32 = 60;
const SPAN_MICROS_MIN: i64 = 700_000;

impl Network {
    pub(super) fn new(now: Instant) -> Network {
        Network {
            began: now,
            next: 0,
            sent: Box::new([Sent::default(); SENT_MAX]),
            base: Base { now: i64::MAX, before: i64::MAX, since: now },
            late_reports: 0,
            trains: Trains::default(),
            flow: Flow::default(),
            loses: None,
            tried_out: None,
        }
    }

    /// The number of a packet that is sent now.
    pub(super) fn number(&mut self, bytes: usize, now: Instant) -> u16 {
        let number = self.next;
        let at = self.micros(now);
        self.sent[usize::from(number) % SENT_MAX] =
            Sent { at, number, bytes: u16::try_from(bytes).unwrap_or(u16::MAX), state: State::OnTheWay };
        self.next = number.wrapping_add(1);
        number
    }

    /// How many bytes are to be sent at once now, so that it is found out whether it carries that, bits per second. They fill it for a
    /// moment only, if it carries no more than is known.
    pub(super) fn try_out(&mut self, bits_per_second: u64, now: Instant) -> usize {
        self.tried_out = Some(now + TRIED_OUT_AFTER);
        let in_time = |rate: u64, micros: u64| rate.saturating_mul(micros) / 8_000_000;
        let bytes = in_time(bits_per_second, TRY_MICROS).min(in_time(self.carries(), FILL_MICROS_MAX));
        usize::try_from(bytes).unwrap_or(usize::MAX)
    }

    /// Takes an RTCP compound packet of the viewer in.
    pub(super) fn told(&mut self, compound: &[u8], now: Instant) {
        let mut told = Vec::new();
        for report in arrivals::reports(compound) {
            arrivals::read(report, &mut told);
            self.report(&told, now);
        }
    }

    /// Whether all that was told of lately waited for long, although it was not much at once.
    pub(super) fn is_full(&self) -> bool {
        self.late_reports >= LATE_REPORTS_MIN
    }

    /// What it carries, bits per second.
    pub(super) fn carries(&self) -> u64 {
        self.trains.bits_per_second()
    }

    /// The share that was lost, once for each time that it was found out.
    pub(super) fn take_loss(&mut self) -> Option<f32> {
        self.loses.take()
    }

    /// What is sent from now on is another amount.
    pub(super) fn begin_anew(&mut self) {
        (self.late_reports, self.flow, self.loses) = (0, Flow::default(), None);
    }

    fn report(&mut self, told: &[arrivals::Told], now: Instant) {
        let (mut least, mut loses) = (i64::MAX, None);
        for (number, came) in told {
            let sent = &mut self.sent[usize::from(*number) % SENT_MAX];
            if sent.number != *number || matches!(sent.state, State::Unknown | State::Came) {
                continue;
            }
            let first = sent.state == State::OnTheWay;
            sent.state = if came.is_some() { State::Came } else { State::Lost };
            let sent = *sent;
            self.flow.told(first, came.is_some(), sent.bytes);
            let Some(came) = *came else { continue };
            least = least.min(came - sent.at);
            self.trains.came(sent.at, came, u64::from(sent.bytes));
            loses = self.flow.turn(came).or(loses);
        }
        if least == i64::MAX {
            return;
        }
        self.loses = loses.or(self.loses);
        let waited = self.base.learn(least, now);
        if waited < WAITS_MIN.as_micros() as i64 {
            self.late_reports = 0;
        } else if self.tried_out.is_none_or(|until| now >= until) {
            self.late_reports += 1;
        }
        let full = self.is_full() || loses.is_some_and(|loses| loses >= LOSS_FULL);
        if let (true, Some(rate)) = (full, self.flow.bits_per_second) {
            self.trains.full_at(rate);
        }
    }

    fn micros(&self, now: Instant) -> i64 {
        now.saturating_duration_since(self.began).as_micros() as i64
    }
}

impl Base {
    /// How much longer than the least this took.
    fn learn(&mut self, took: i64, now: Instant) -> i64 {
        if now.saturating_duration_since(self.since) >= BASE_AGE {
            (self.before, self.now, self.since) = (self.now, i64::MAX, now);
        }
        self.now = self.now.min(took);
        took.saturating_sub(self.now.min(self.before))
    }
}

impl Flow {
    /// A packet came or was lost; `first`: it wasn't told of before.
    fn told(&mut self, first: bool, came: bool, bytes: u16) {
        self.packets += i32::from(first);
        match (first, came) {
            (true, false) => self.lost += 1,
            // It was only late.
            (false, true) => self.lost -= 1,
            _ => {}
        }
        self.bytes += if came { u64::from(bytes) } else { 0 };
    }

    /// It is that time by the viewer's clock; the share that was lost in a span that is over now.
    fn turn(&mut self, came: i64) -> Option<f32> {
        let since = *self.since.get_or_insert(came);
        let passed = came.saturating_sub(since);
        if passed < SPAN_MICROS_MIN || self.packets < SPAN_PACKETS_MIN {
            return None;
        }
        let bits_per_second = self.bytes.saturating_mul(8_000_000) / passed.unsigned_abs();
        let loses = self.lost.max(0) as f32 / self.packets as f32;
        *self = Flow { since: Some(came), bits_per_second: Some(bits_per_second), ..Flow::default() };
        Some(loses)
    }
}

#[cfg(test)]
mod tests;
