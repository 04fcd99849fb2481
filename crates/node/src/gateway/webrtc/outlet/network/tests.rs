use super::super::super::quality::Chooser;
use super::arrivals::tests::report;
use super::*;
use std::collections::VecDeque;
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

/// A viewer behind a link who reports every 100 ms.
struct Viewer {
    began: Instant,
    now: Instant,
    link: Link,
    network: Network,
    on_the_way: VecDeque<(u16, Option<Instant>)>,
}

impl Viewer {
    fn behind(impairment: Impairment) -> Viewer {
        let (now, mut link) = (Instant::now(), Link::new(5));
        link.set(impairment);
        Viewer { began: now, now, link, network: Network::new(now), on_the_way: VecDeque::new() }
    }

    /// Sends that much at once.
    fn sends(&mut self, bytes: u64) {
        for at in (0..bytes).step_by(1000) {
            let bytes = (bytes - at).min(1000) as usize;
            let number = self.network.number(bytes, self.now);
            self.on_the_way.push_back((number, self.link.send(self.now, bytes)));
        }
    }

    /// A frame of a rate passes: 30 a second, a keyframe of five times their size every two seconds.
    fn passes_frame(&mut self, frame: u64, bits_per_second: u64) {
        self.now = self.began + Duration::from_millis(frame * 1000 / 30);
        self.sends(bits_per_second / 8 * 60 / 64 / 30 * if frame.is_multiple_of(60) { 5 } else { 1 });
        if frame % 3 == 2 {
            self.reports();
        }
    }

    /// Tells of what came by now, and what was lost before that.
    fn reports(&mut self) {
        let came = |(_, at): &(u16, Option<Instant>)| at.is_some_and(|at| at <= self.now);
        let Some(last) = self.on_the_way.iter().rposition(came) else { return };
        let told: Vec<_> = self.on_the_way.drain(..=last).collect();
        let passed = (self.now - self.began).as_millis() as i64;
        let reference = (passed / 64 - 8).max(0);
        let ticks = |at: Instant| ((at - self.began).as_micros() as i64 / 250 - reference * 256) as i16;
        let arrivals: Vec<_> = told.iter().map(|(_, at)| at.map(ticks)).collect();
        self.network.told(&report(told[0].0, reference as i32, &arrivals), self.now);
    }
}

/// What a network is found to carry in each second, when so much is sent to it.
fn found(impairment: Impairment, bits_per_second: u64, seconds: u64) -> Vec<u64> {
    let mut viewer = Viewer::behind(impairment);
    let second = |at: u64| {
        (at * 30..at * 30 + 30).for_each(|frame| viewer.passes_frame(frame, bits_per_second));
        viewer.network.carries()
    };
    (0..seconds).map(second).collect()
}

#[test]
fn what_a_network_carries_is_known_after_seconds_though_less_is_sent() {
    let delay = Duration::from_millis(20);
    for rate in [500_000, 1_500_000, 6_000_000] {
        let narrow = Impairment { bits_per_second: rate, delay, ..Impairment::default() };
        let found = found(narrow, 400_000, 10);
        assert!(found[9].abs_diff(rate) < rate / 5, "{rate}: {found:?}");
    }
    let shaken =
        Impairment { bits_per_second: 1_000_000, delay, jitter: Duration::from_millis(5), loss_permille: 20 };
    let found = found(shaken, 400_000, 20);
    assert!(found[4..].iter().all(|rate| (700_000..1_500_000).contains(rate)), "{found:?}");
}

const RATES: [u64; 3] = [150_000, 500_000, 1_500_000];
const STAY: Duration = Duration::from_secs(30);

/// When the quality is switched in so many minutes, and how often each was had, of a viewer whose network carries `mean`, 20 % more or
/// less in every tenth of a second. It begins at the best quality.
fn switches(mean: u64, minutes: u64) -> (Vec<Duration>, [u32; 3]) {
    let mut random = Random::seeded(mean);
    let mut viewer = Viewer::behind(Impairment::default());
    let (mut chooser, mut current, mut at, mut had) = (Chooser::new(STAY), 2, Vec::new(), [0; 3]);
    chooser.switched(true, viewer.now);
    for frame in 0..minutes * 60 * 30 {
        if frame.is_multiple_of(3) {
            let bits_per_second = mean * (80 + random.below(41) as u64) / 100;
            viewer.link.set(Impairment {
                bits_per_second,
                delay: Duration::from_millis(20),
                ..Impairment::default()
            });
        }
        viewer.passes_frame(frame, RATES[current]);
        had[current] += 1;
        if frame % 3 < 2 {
            continue;
        }
        chooser.learn(viewer.network.carries());
        if let Some(share) = viewer.network.take_loss() {
            chooser.lost(share);
        }
        chooser.held_up(viewer.network.is_full());
        if let Some(rate) = RATES.get(current + 1).and_then(|better| chooser.try_out(*better, viewer.now)) {
            let bytes = viewer.network.try_out(rate, viewer.now).max(6000);
            viewer.sends(bytes as u64);
        }
        if let Some(next) = chooser.choose(&RATES, Some(current), viewer.now) {
            chooser.switched(next > current, viewer.now);
            viewer.network.begin_anew();
            current = next;
            at.push(viewer.now - viewer.began);
        }
    }
    (at, had)
}

#[test]
fn a_network_that_swings_by_a_fifth_switches_at_most_twice_in_any_minute() {
    let around = |rate: u64| (8..=30).map(move |tenths| rate * tenths / 10);
    for mean in around(RATES[1]).chain(around(RATES[2])) {
        let (at, had) = switches(mean, 10);
        // It begins two qualities too high.
        let later = &at[at.len().min(2)..];
        let crowded = later.windows(3).find(|three| three[2] - three[0] < Duration::from_secs(60));
        assert_eq!(crowded, None, "around {mean}: {at:?}");
        // With clear room for a quality it has that one.
        let best = RATES.iter().rposition(|rate| rate * 8 / 5 <= mean).unwrap_or(0);
        assert!(had[best..].iter().sum::<u32>() > 10 * 60 * 30 / 2, "around {mean}: {had:?}");
    }
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
