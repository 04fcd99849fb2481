//! How long what is sent to one viewer waits in its network, by what the viewer tells of when each packet came. The library finds out from
//! the same reports what a network carries, but tells it as a mean of seconds; by then a network that narrowed has lost pictures.
//! draft-holmer-rmcat-transport-wide-cc-extensions-01 §3.1.

use super::outlet::split;
use std::time::{Duration, Instant};

/// What waits in the network of one viewer.
pub(super) struct Backlog {
    /// The number of the header extension with a packet's number.
    extension: u8,
    began: Instant,
    /// When packets were sent, by their number.
    sent: Box<[Option<(u16, Instant)>; SENT_MAX]>,
    base: Base,
    /// Reports one after the other in which every packet had waited for long.
    late_reports: u32,
}

/// From sending to arrival without waiting, by two clocks that have nothing to do with each other: the least of the last seconds, µs.
#[derive(Debug)]
struct Base {
    now: i64,
    before: i64,
    since: Instant,
}

/// Packets of a second and more; reports come every 50 to 250 ms.
const SENT_MAX: usize = 512;
/// What waits so long is not on its way, it is in a queue. A keyframe of many packets waits too, but its first ones don't.
const WAITS_MIN: Duration = Duration::from_millis(70);
/// One report may tell of a moment.
const LATE_REPORTS_MIN: u32 = 2;
/// Clocks drift, and paths change.
const BASE_AGE: Duration = Duration::from_secs(10);
/// Packets that one report may tell of; the rest is left out.
const TOLD_MAX: usize = 1024;
const TRANSPORT_FEEDBACK: u8 = 205;
const TRANSPORT_WIDE: u8 = 15;
/// One tick of a reference time, and one of a difference, µs.
const REFERENCE_MICROS: i64 = 64_000;
const DELTA_MICROS: i64 = 250;

impl Backlog {
    pub(super) fn new(extension: u8, now: Instant) -> Backlog {
        let base = Base { now: i64::MAX, before: i64::MAX, since: now };
        Backlog { extension, began: now, sent: Box::new([None; SENT_MAX]), base, late_reports: 0 }
    }

    /// Notes an RTP packet that goes out.
    pub(super) fn sent(&mut self, packet: &[u8], now: Instant) {
        if let Some(number) = number_of(packet, self.extension) {
            self.sent[usize::from(number) % SENT_MAX] = Some((number, now));
        }
    }

    /// Takes an RTCP compound packet of the viewer in.
    pub(super) fn told(&mut self, mut compound: &[u8], now: Instant) {
        while let Some((packet, rest)) = split(compound) {
            if packet[1] == TRANSPORT_FEEDBACK && packet[0] & 31 == TRANSPORT_WIDE {
                self.report(packet, now);
            }
            compound = rest;
        }
    }

    /// Whether all that was told of lately waited for long, although it was not much at once.
    pub(super) fn is_standing(&self) -> bool {
        self.late_reports >= LATE_REPORTS_MIN
    }

    /// What is sent from now on is another amount.
    pub(super) fn begin_anew(&mut self) {
        self.late_reports = 0;
    }

    fn report(&mut self, packet: &[u8], now: Instant) {
        let mut least = i64::MAX;
        for (number, arrived) in arrivals(packet) {
            let Some((_, sent)) = self.sent[usize::from(number) % SENT_MAX].filter(|(of, _)| *of == number)
            else {
                continue;
            };
            least = least.min(arrived - sent.saturating_duration_since(self.began).as_micros() as i64);
        }
        if least == i64::MAX {
            return;
        }
        let waited = self.base.learn(least, now);
        self.late_reports = if waited >= WAITS_MIN.as_micros() as i64 { self.late_reports + 1 } else { 0 };
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

/// The number in a header extension of an RTP packet. RFC 3550 §5.3.1, RFC 8285 §4.2, §4.3.
fn number_of(packet: &[u8], extension: u8) -> Option<u16> {
    let first = *packet.first()?;
    let at = 12 + 4 * usize::from(first & 15);
    let head: &[u8; 4] = packet.get(at..)?.first_chunk().filter(|_| first & 0x10 != 0)?;
    let bytes = 4 * usize::from(u16::from_be_bytes([head[2], head[3]]));
    let short = match [head[0], head[1]] {
        [0xbe, 0xde] => true,
        [0x10, 0..=15] => false,
        _ => return None,
    };
    let mut rest = packet.get(at + 4..at + 4 + bytes)?;
    while let [id, tail @ ..] = rest {
        if *id == 0 {
            rest = tail;
            continue;
        }
        let (id, length, tail) = match (short, tail) {
            (true, _) => (id >> 4, usize::from(id & 15) + 1, tail),
            (false, [length, tail @ ..]) => (*id, usize::from(*length), tail),
            (false, []) => return None,
        };
        let (value, later) = tail.split_at_checked(length)?;
        if id == extension {
            return value.try_into().ok().map(u16::from_be_bytes);
        }
        rest = later;
    }
    None
}

/// Which packets came, and when by the viewer's clock, µs. What is damaged ends it.
fn arrivals(packet: &[u8]) -> Vec<(u16, i64)> {
    let mut found = Vec::new();
    let Some(head) = packet.get(12..20) else { return found };
    let first = u16::from_be_bytes([head[0], head[1]]);
    let count = usize::from(u16::from_be_bytes([head[2], head[3]])).min(TOLD_MAX);
    // 24 bits with a sign.
    let reference = i32::from_be_bytes([head[4], head[5], head[6], 0]) >> 8;
    let (mut rest, mut symbols) = (&packet[20..], Vec::with_capacity(count));
    while symbols.len() < count {
        let Some((chunk, tail)) = rest.split_first_chunk::<2>() else { return found };
        rest = tail;
        chunk_symbols(u16::from_be_bytes(*chunk), &mut symbols);
    }
    let mut at = i64::from(reference) * REFERENCE_MICROS;
    for (step, symbol) in symbols.into_iter().take(count).enumerate() {
        let delta = match (symbol, rest) {
            (0, _) => continue,
            (1, [delta, tail @ ..]) => {
                rest = tail;
                i64::from(*delta)
            }
            (2, [high, low, tail @ ..]) => {
                rest = tail;
                i64::from(i16::from_be_bytes([*high, *low]))
            }
            _ => return found,
        };
        at += delta * DELTA_MICROS;
        found.push((first.wrapping_add(step as u16), at));
    }
    found
}

/// What a chunk says of packets one after the other: a run of the same, 14 by one bit each, or 7 by two. §3.1.3, §3.1.4.
fn chunk_symbols(chunk: u16, out: &mut Vec<u8>) {
    let bits = |shift: u16, mask: u16| (chunk >> shift & mask) as u8;
    match chunk >> 14 {
        0 | 1 => {
            let run = usize::from(chunk & 0x1fff).min(TOLD_MAX);
            out.extend(std::iter::repeat_n(bits(13, 3), run.max(1)));
        }
        2 => out.extend((0..14).rev().map(|bit| bits(bit, 1))),
        _ => out.extend((0..7).rev().map(|pair| bits(2 * pair, 3))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use testkit::Random;

    /// A report that says of packets from `first` on when they came, in ticks of 250 µs after the reference time, or that they didn't.
    fn report(first: u16, reference: i32, told: &[Option<i16>]) -> Vec<u8> {
        let mut packet = vec![0x80 | TRANSPORT_WIDE, TRANSPORT_FEEDBACK, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2];
        packet.extend(first.to_be_bytes());
        packet.extend((told.len() as u16).to_be_bytes());
        packet.extend(&reference.to_be_bytes()[1..]);
        packet.push(0);
        for seven in told.chunks(7) {
            let symbols = (0..7).map(|at| if seven.get(at).copied().flatten().is_some() { 2 } else { 0 });
            packet.extend(symbols.fold(3_u16, |chunk, symbol| chunk << 2 | symbol).to_be_bytes());
        }
        let mut before = 0;
        for at in told.iter().flatten() {
            packet.extend((at - before).to_be_bytes());
            before = *at;
        }
        packet.resize(packet.len().next_multiple_of(4), 0);
        packet[3] = (packet.len() / 4 - 1) as u8;
        packet
    }

    /// An RTP packet with its number in extension 5, behind another one.
    fn rtp(number: u16) -> Vec<u8> {
        let mut packet = vec![0x90, 96, 0, 1, 0, 0, 0, 1, 0, 0, 0, 9, 0xbe, 0xde, 0, 2, 0x30, 7, 0x51];
        packet.extend(number.to_be_bytes());
        packet.resize(24, 0);
        packet
    }

    #[test]
    fn numbers_are_read_from_either_form_of_extensions() {
        assert_eq!(number_of(&rtp(0x1234), 5), Some(0x1234));
        assert_eq!(number_of(&rtp(0x1234), 6), None);
        let long = [&rtp(0)[..12], &[0x10, 0, 0, 2, 3, 0, 5, 2, 0x12, 0x34, 0, 0]].concat();
        assert_eq!(number_of(&long, 5), Some(0x1234));
        assert_eq!(number_of(&[0x80; 12], 5), None, "no extension");
    }

    #[test]
    fn arrivals_are_read_from_every_kind_of_chunk() {
        let told = [Some(4), None, Some(12), Some(8), None, None, Some(20), Some(24)];
        let expect: Vec<_> = [(65_535, 1000), (1, 3000), (2, 2000), (5, 5000), (6, 6000)]
            .map(|(n, at)| (n, at - 64_000))
            .into();
        assert_eq!(arrivals(&report(65_535, -1, &told)), expect);
        // A run of three, then fourteen of which the first and the last came.
        let mut packet = report(7, 1, &[]);
        packet[14..16].copy_from_slice(&17_u16.to_be_bytes());
        packet.extend([0x20, 3, 0xa0, 1, 4, 4, 4, 4, 4, 0, 0, 0]);
        let expect: Vec<_> = [7, 8, 9, 10, 23].into_iter().zip((65_000..).step_by(1000)).collect();
        assert_eq!(arrivals(&packet), expect);
    }

    /// Sends a packet every 10 ms for a second and reports every ten, each so many milliseconds after it was sent; whether it stands then.
    fn stands(delays: impl Fn(u16) -> i16) -> bool {
        let began = Instant::now();
        let mut backlog = Backlog::new(5, began);
        for first in (0..100_u16).step_by(10) {
            let mut told = Vec::new();
            for number in first..first + 10 {
                backlog.sent(&rtp(number), began + Duration::from_millis(10 * u64::from(number)));
                // The reference of each report is the time of its first packet, which fits as 64 ms divide 640.
                told.push(Some((number as i16 * 10 + delays(number)) * 4));
            }
            backlog
                .told(&report(first, 0, &told), began + Duration::from_millis(10 * u64::from(first) + 150));
        }
        backlog.is_standing()
    }

    #[test]
    fn what_waits_longer_and_longer_stands_and_what_shakes_does_not() {
        assert!(!stands(|_| 40));
        assert!(stands(|number| 20 + (number as i16 - 50).max(0) * 4));
        assert!(
            !stands(|number| 20 + if number % 10 == 0 { 0 } else { 200 }),
            "some of each report was in time"
        );
        assert!(!stands(|number| if number >= 90 { 200 } else { 20 }), "one report");
    }

    #[test]
    fn a_path_that_is_longer_from_now_on_is_the_new_measure_after_a_while() {
        let began = Instant::now();
        let mut base = Base { now: i64::MAX, before: i64::MAX, since: began };
        assert_eq!(base.learn(1000, began), 0);
        assert_eq!(base.learn(90_000, began + BASE_AGE), 89_000);
        assert_eq!(base.learn(90_000, began + 2 * BASE_AGE), 0);
    }

    #[test]
    fn fuzz_damaged_reports_and_packets_are_read_or_dropped() {
        let (mut random, began) = (Random::seeded(205), Instant::now());
        let mut backlog = Backlog::new(5, began);
        let told: Vec<_> = (0..40).map(|at| (at % 3 > 0).then_some(at * 4)).collect();
        for _ in 0..10_000 {
            backlog.sent(&random.mutate(&rtp(7)), began);
            let report = random.mutate(&report(3, 9, &told));
            assert!(report.len() < 20 || arrivals(&report).len() <= TOLD_MAX);
            backlog.told(&report, began);
        }
    }
}
