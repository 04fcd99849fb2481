//! Two connections, one sends to the other over a way that loses.

use super::*;
use testkit::Random;

const LATENCY: Duration = Duration::from_millis(120);
const STEP: Duration = Duration::from_millis(1);
const WAY: Duration = Duration::from_millis(10);

/// Both ends, and what is between them.
struct Pair {
    ends: [Connection; 2],
    /// When it arrives, at which end.
    way: Vec<(Instant, usize, Bytes)>,
    now: Instant,
    random: Random,
    /// One of so many is lost; zero: none.
    lost_of: usize,
    got: Vec<(Instant, Bytes)>,
    /// Behind how many payloads so many packets never came.
    gaps: Vec<(usize, u64)>,
}

impl Pair {
    fn new(lost_of: usize, first: u32) -> Pair {
        let now = testkit::epoch();
        let end = |peer_socket| {
            let beginning = Beginning {
                peer_socket,
                answer: Bytes::from_static(&[0; 48]),
                keys: None,
                first: Sequence::new(first),
                asked: (0, now),
                latencies: (LATENCY, LATENCY),
            };
            Connection::new(beginning, now)
        };
        let (ends, random) = ([end(2), end(1)], Random::seeded(7));
        Pair { ends, way: Vec::new(), now, random, lost_of, got: Vec::new(), gaps: Vec::new() }
    }

    /// A millisecond passes.
    fn step(&mut self) {
        self.now += STEP;
        let (due, later) = self.way.drain(..).partition(|(at, ..)| *at <= self.now);
        self.way = later;
        let due: Vec<(Instant, usize, Bytes)> = due;
        for (_, end, datagram) in due {
            self.ends[end].handle_input(&datagram, self.now);
        }
        for (at, end) in self.ends.iter_mut().enumerate() {
            if end.poll_timeout() <= self.now {
                end.handle_timeout(self.now);
            }
            while let Some(datagram) = end.poll_transmit(self.now) {
                if self.lost_of == 0 || self.random.below(self.lost_of) > 0 {
                    self.way.push((self.now + WAY, 1 - at, datagram));
                }
            }
        }
        while let Some(received) = self.ends[1].poll_received() {
            match received {
                Received::Payload(payload) => self.got.push((self.now, payload)),
                Received::Lost(packets) => self.gaps.push((self.got.len(), packets)),
            }
        }
    }

    /// Sends so many payloads, two a millisecond, and lets all arrive.
    fn run(&mut self, count: u32) {
        for number in 0..count {
            self.ends[0].send(Bytes::copy_from_slice(&number.to_be_bytes()), self.now);
            if number % 2 == 1 {
                self.step();
            }
        }
        (0..500).for_each(|_| self.step());
    }

    fn numbers(&self) -> Vec<u32> {
        self.got.iter().map(|(_, payload)| u32::from_be_bytes(payload[..].try_into().unwrap())).collect()
    }
}

#[test]
fn without_loss_everything_comes_at_once_and_in_order() {
    let mut pair = Pair::new(0, 0x7fff_ff00);
    pair.run(2000);
    assert!(pair.numbers().into_iter().eq(0..2000));
    let (sent, got) = (pair.ends[0].stats(), pair.ends[1].stats());
    assert_eq!((sent.sent, sent.resent, got.received, got.missed, got.lost), (2000, 0, 2000, 0, 0));
    assert!(got.rtt.abs_diff(WAY * 2) <= STEP * 3, "{:?}", got.rtt);
    assert_eq!(pair.ends[0].sender.poll_timeout(), None, "nothing is left to send");
}

#[test]
fn of_five_percent_loss_all_but_a_few_come_again_in_time() {
    let mut pair = Pair::new(20, 5);
    pair.run(20_000);
    let got = pair.ends[1].stats();
    assert!(pair.numbers().is_sorted(), "{got:?}");
    assert!(got.missed > 500 && got.lost * 200 <= got.missed, "{got:?}");
    assert_eq!(pair.got.len() as u64 + got.lost, 20_000);
    assert_eq!(pair.gaps.iter().map(|(_, packets)| packets).sum::<u64>(), got.lost);
}

#[test]
fn what_never_comes_is_given_up_after_the_latency() {
    let mut pair = Pair::new(0, 5);
    pair.run(100);
    let began = pair.now;
    // Nothing of the next fifty gets through, not even when it is asked for.
    let first = pair.ends[0].sender.kept.len();
    assert_eq!(first, 0, "all is acknowledged");
    for number in 100..150u32 {
        pair.ends[0].send(Bytes::copy_from_slice(&number.to_be_bytes()), pair.now);
    }
    while pair.ends[0].waiting() > 0 {
        while pair.ends[0].poll_transmit(pair.now).is_some() {}
        pair.now += BURST;
    }
    pair.ends[0].sender = Sender::new(Sequence::new(5 + 150), LATENCY, pair.now);
    for number in 150..200u32 {
        pair.ends[0].send(Bytes::copy_from_slice(&number.to_be_bytes()), pair.now);
        pair.step();
    }
    (0..300).for_each(|_| pair.step());
    assert!(pair.numbers().into_iter().eq((0..100).chain(150..200)));
    let got = pair.ends[1].stats();
    assert_eq!((got.missed, got.lost, &pair.gaps[..]), (50, 50, &[(100, 50)][..]), "it is told where");
    let after = pair.got[100].0 - began;
    assert!(after <= LATENCY + WAY * 2 + BURST * 4, "{after:?}");
}

const BURST: Duration = Duration::from_millis(2);

#[test]
fn a_burst_is_spread() {
    let mut pair = Pair::new(0, 5);
    for number in 0..320u32 {
        pair.ends[0].send(Bytes::copy_from_slice(&number.to_be_bytes()), pair.now);
    }
    pair.step();
    assert!(pair.way.iter().filter(|(_, end, _)| *end == 1).count() <= 40);
    (0..50).for_each(|_| pair.step());
    assert_eq!(pair.got.len(), 320);
}

#[test]
fn silence_ends_it_and_a_word_keeps_it() {
    let mut pair = Pair::new(0, 5);
    (0..8000).for_each(|_| pair.step());
    assert_eq!(pair.ends[1].closed(), None, "both say that they are there");
    let alone = &mut pair.ends[1];
    let late = pair.now + IDLE_MAX + STEP;
    assert!(alone.poll_timeout() <= late);
    alone.handle_timeout(late);
    assert_eq!(alone.closed(), Some(CloseReason::Idle));
    let mut pair = Pair::new(0, 5);
    let now = pair.now;
    pair.ends[0].close(now);
    (0..20).for_each(|_| pair.step());
    assert_eq!(pair.ends[1].closed(), Some(CloseReason::Shutdown));
}

#[test]
fn a_peer_that_takes_nothing_costs_bounded_memory() {
    let mut pair = Pair::new(1, 5);
    for number in 0..60_000u32 {
        pair.ends[0].send(Bytes::copy_from_slice(&number.to_be_bytes()), pair.now);
        if number % 16 == 0 {
            pair.step();
        }
    }
    assert!(pair.ends[0].sender.kept.len() <= 16_384 && pair.ends[0].stats().given_up > 30_000);
}

#[test]
fn who_has_nothing_to_say_fills_no_memory() {
    let mut pair = Pair::new(0, 5);
    pair.ends[1].ignore_media();
    for number in 0..2000u32 {
        pair.ends[0].send(Bytes::copy_from_slice(&number.to_be_bytes()), pair.now);
        pair.step();
    }
    let got = pair.ends[1].stats();
    assert_eq!((pair.got.len(), got.received), (0, 0));
    assert!(got.useless >= 1900 && pair.ends[1].receiver.poll_timeout().is_none(), "{got:?}");
}

#[test]
fn a_report_of_overlapping_losses_is_answered_once() {
    let mut pair = Pair::new(0, 5);
    for number in 0..20u32 {
        pair.ends[0].send(Bytes::copy_from_slice(&number.to_be_bytes()), pair.now);
    }
    while pair.ends[0].poll_transmit(pair.now).is_some() {}
    let report: Vec<u8> = [0x8000_0005u32, 24].map(u32::to_be_bytes).concat().repeat(100);
    let report = Control { kind: Kind::Nak, info: 0, time: 0, body: &report }.to_bytes(2);
    let now = pair.now;
    pair.ends[0].handle_input(&report, now);
    assert_eq!(pair.ends[0].stats().asked_again, 20);
}

#[test]
fn fuzz_damaged_datagrams_never_panic_and_stay_in_bounds() {
    let mut random = Random::seeded(51);
    for round in 0..300 {
        let mut pair = Pair::new(0, random.next_u64() as u32);
        let mut captured = Vec::new();
        for number in 0..60u32 {
            pair.ends[0].send(Bytes::copy_from_slice(&number.to_be_bytes()), pair.now);
            pair.step();
            captured.extend(pair.way.iter().map(|(_, end, datagram)| (*end, datagram.clone())));
        }
        for _ in 0..200 {
            let (end, datagram) = &captured[random.below(captured.len())];
            let wild = match random.below(8) {
                0 => random.bytes(round),
                _ => random.mutate(datagram),
            };
            let now = pair.now;
            pair.ends[*end].handle_input(&wild, now);
            pair.step();
            assert!(
                pair.ends[1]
                    .receiver
                    .poll_timeout()
                    .is_none_or(|at| at <= pair.now + LATENCY + STEP * 20_000)
            );
            if pair.ends.iter().any(|end| end.closed().is_some()) {
                break;
            }
        }
    }
}
