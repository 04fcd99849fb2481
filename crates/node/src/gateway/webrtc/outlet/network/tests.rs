use super::arrivals::tests::report;
use super::*;
use testkit::{Impairment, Link, Random};

/// Sends a packet every 10 ms for a second and reports every ten, each so many milliseconds after it was sent.
fn told(delays: impl Fn(u16) -> Option<i16>) -> Network {
    let began = Instant::now();
    let mut network = Network::new(began);
    for first in (0..100_u16).step_by(10) {
        let mut told = Vec::new();
        for number in first..first + 10 {
            network.number(1000, began + Duration::from_millis(10 * u64::from(number)));
            // The reference of each report is the beginning.
            told.push(delays(number).map(|delay| (number as i16 * 10 + delay) * 4));
        }
        network.told(&report(first, 0, &told), began + Duration::from_millis(10 * u64::from(first) + 150));
    }
    network
}

#[test]
fn what_waits_longer_and_longer_is_a_full_network_and_what_shakes_is_none() {
    assert!(!told(|_| Some(40)).is_full());
    let waiting = told(|number| Some(20 + (number as i16 - 50).max(0) * 4));
    assert!(waiting.is_full());
    let shaken = told(|number| Some(20 + if number % 10 == 0 { 0 } else { 200 }));
    assert!(!shaken.is_full(), "some of each report was in time");
    let once = told(|number| Some(if number >= 90 { 200 } else { 20 }));
    assert!(!once.is_full(), "one report");
}

#[test]
fn a_network_that_is_full_carries_what_comes() {
    // 800 kbit/s are sent. One that waits ever longer lets 570 through.
    let found = told(|number| Some(20 + number as i16 * 4)).carries();
    assert!((500_000..620_000).contains(&found), "{found}");
    let found = told(|number| (number % 4 > 0).then_some(20)).carries();
    assert!((550_000..650_000).contains(&found), "{found}");
}

#[test]
fn the_share_that_is_lost_is_told_once_and_a_late_packet_is_not_lost() {
    let mut network = told(|number| (number % 10 > 0 || number == 0).then_some(20));
    let share = network.take_loss().unwrap();
    assert!((0.05..0.12).contains(&share), "{share}");
    assert_eq!(network.take_loss(), None);

    let began = Instant::now();
    let mut network = Network::new(began);
    for number in 0..200_u16 {
        network.number(1000, began + Duration::from_millis(10 * u64::from(number)));
    }
    let late: Vec<_> = (0..200).map(|n| (n % 2 == 0).then_some(n * 40)).collect();
    let all: Vec<_> = (0..200).map(|n| Some(n * 40)).collect();
    network.told(&report(0, 0, &late[..50]), began);
    network.told(&report(0, 0, &all), began);
    assert_eq!(network.take_loss(), Some(0.0));
}

#[test]
fn what_was_told_of_another_amount_counts_no_more() {
    let mut network = told(|number| Some(20 + number as i16 * 4));
    network.begin_anew();
    assert!(!network.is_full() && network.take_loss().is_none());
}

#[test]
fn a_path_that_is_longer_from_now_on_is_the_new_measure_after_a_while() {
    let began = Instant::now();
    let mut base = Base { now: i64::MAX, before: i64::MAX, since: began };
    assert_eq!(base.learn(1000, began), 0);
    assert_eq!(base.learn(90_000, began + BASE_AGE), 89_000);
    assert_eq!(base.learn(90_000, began + 2 * BASE_AGE), 0);
}

/// What a network is found to carry in each second, when pictures of 30 a second are sent to it, a keyframe of five times their size each second.
fn found(impairment: Impairment, bits_per_second: usize, seconds: u64) -> Vec<u64> {
    let (began, mut link) = (Instant::now(), Link::new(5));
    link.set(impairment);
    let (mut network, mut arrived, mut found) = (Network::new(began), Vec::new(), Vec::new());
    for step in 0..seconds * 30 {
        let now = began + Duration::from_millis(step * 1000 / 30);
        let bytes = bits_per_second / 8 / 34 * if step % 30 == 0 { 5 } else { 1 };
        for at in (0..bytes).step_by(1000) {
            let bytes = (bytes - at).min(1000);
            let number = network.number(bytes, now);
            arrived.push((number, link.send(now, bytes)));
        }
        if step % 3 == 2 {
            let (first, reference) = (arrived[0].0, (step * 1000 / 30 / 64) as i32);
            let ticks = |at: Instant| (at - began).as_micros() as i64 / 250 - i64::from(reference) * 256;
            let told: Vec<_> = arrived.drain(..).map(|(_, at)| at.map(|at| ticks(at) as i16)).collect();
            network.told(&report(first, reference, &told), now + Duration::from_millis(100));
        }
        if step % 30 == 29 {
            found.push(network.carries());
        }
    }
    found
}

#[test]
fn what_a_network_carries_is_known_after_seconds_though_less_is_sent() {
    let delay = Duration::from_millis(20);
    for rate in [500_000, 1_500_000, 6_000_000] {
        let narrow = Impairment { bits_per_second: rate, delay, ..Impairment::default() };
        let found = found(narrow, 400_000, 6);
        assert!(found[4].abs_diff(rate) < rate / 5, "{rate}: {found:?}");
    }
    let shaken =
        Impairment { bits_per_second: 1_000_000, delay, jitter: Duration::from_millis(5), loss_permille: 20 };
    let found = found(shaken, 400_000, 20);
    assert!(found[4..].iter().all(|rate| (700_000..1_500_000).contains(rate)), "{found:?}");
}

#[test]
fn fuzz_damaged_reports_change_nothing_that_was_not_sent() {
    let (mut random, began) = (Random::seeded(205), Instant::now());
    let told: Vec<_> = (0..40).map(|at| (at % 3 > 0).then_some(at * 4)).collect();
    let mut network = Network::new(began);
    for step in 0..10_000 {
        network.number(random.below(3000), began + Duration::from_millis(step));
        network.told(&random.mutate(&report(step as u16, 9, &told)), began + Duration::from_millis(step));
        assert!(network.take_loss().is_none_or(|share| (0.0..=1.0).contains(&share)));
    }
}
