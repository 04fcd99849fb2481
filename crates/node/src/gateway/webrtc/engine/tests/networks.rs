//! What is found out of a viewer's network, by the reports of a client of the library behind a link.

use super::super::super::member::Exit;
use super::super::super::outlet::MediaClock;
use super::outlets::{Line, picture};
use super::*;
use media::Timestamp;

/// A viewer behind a link, and pictures of so many packets of 1,000 bytes for it, 15 a second.
struct Behind {
    packets: usize,
    client: Client,
    peer: Peer,
    now: Instant,
    way: Link,
    line: Line,
    on_the_way: VecDeque<(Instant, Vec<u8>)>,
    millis: u32,
}

const DELAY: Duration = Duration::from_millis(10);

impl Behind {
    fn new() -> Behind {
        let (client, peer, now) = connected(MEASURED);
        Behind {
            packets: 4,
            client,
            peer,
            now,
            way: Link::new(3),
            line: Line::new(),
            on_the_way: VecDeque::new(),
            millis: 0,
        }
    }

    fn outlet(&mut self) -> (&mut Outlet, Exit<'_>) {
        (self.peer.outlet().expect("an outlet"), self.line.exit(self.now))
    }

    /// A millisecond passes.
    fn pass(&mut self) {
        self.now += Duration::from_millis(1);
        self.millis += 1;
        if self.millis.is_multiple_of(66) {
            let (ticks, picture) = (self.millis * 90, picture(&vec![1000; self.packets]));
            let (outlet, mut exit) = self.outlet();
            outlet.send(Kind::Video, &picture, (ticks, None), &mut exit);
            outlet.report(MediaClock { media: Timestamp::ZERO, at: exit.now }, &mut exit);
        }
        self.sends();
        let now = self.now;
        while let Some((_, datagram)) =
            self.on_the_way.pop_front_if(|(at, _): &mut (Instant, Vec<u8>)| *at <= now)
        {
            self.client.hears(&mut self.peer, &[datagram], now);
        }
        self.client.tick(&mut self.peer, now);
        for report in std::mem::take(&mut self.client.reports) {
            let (outlet, mut exit) = self.outlet();
            assert!(outlet.hear(&report, &mut exit).is_some(), "a report isn't taken");
        }
        self.sends();
    }

    /// What was sent goes into the link.
    fn sends(&mut self) {
        for datagram in self.line.take() {
            let arrives = self.way.send(self.now, datagram.len());
            self.on_the_way.extend(arrives.map(|at| (at, datagram)));
        }
    }

    fn seconds(&mut self, seconds: u32) {
        (0..seconds * 1000).for_each(|_| self.pass());
    }

    /// After how many milliseconds its network is known to be full, if it is within some seconds.
    fn held_up(&mut self, seconds: u32) -> Option<u32> {
        (0..seconds * 1000).find(|_| {
            self.pass();
            self.outlet().0.is_held_up()
        })
    }

    fn carries(&mut self) -> u64 {
        self.outlet().0.carries().expect("it is measured")
    }
}

fn narrow(bits_per_second: u64) -> Impairment {
    Impairment { bits_per_second, delay: DELAY, ..Impairment::default() }
}

#[test]
fn what_waits_in_a_network_that_narrowed_is_noticed_before_any_is_lost() {
    let mut behind = Behind::new();
    behind.seconds(1);
    behind.way.set(narrow(350_000));
    let noticed = behind.held_up(2).expect("it isn't noticed");
    // A queue of 300 ms is full after 0.7 s.
    assert!(noticed < 500, "{noticed} ms");
    behind.seconds(3);
    let carries = behind.carries();
    assert!((250_000..420_000).contains(&carries), "{carries}");
}

#[test]
fn a_network_that_shakes_and_loses_is_not_narrow() {
    let mut behind = Behind::new();
    behind.seconds(1);
    behind.way.set(Impairment {
        jitter: Duration::from_millis(60),
        loss_permille: 20,
        delay: DELAY,
        ..Impairment::default()
    });
    assert_eq!(behind.held_up(10), None);
}

#[test]
fn it_is_found_out_whether_a_network_carries_more_than_is_sent() {
    let wanted = 1_000_000;
    for (carries, more) in [(2_000_000, true), (600_000, false)] {
        let mut behind = Behind::new();
        behind.way.set(narrow(350_000));
        behind.seconds(4);
        behind.packets = 1;
        behind.seconds(1);
        let before = behind.carries();
        assert!(before < 420_000, "{before}");
        behind.way.set(narrow(carries));
        for _ in 0..3 {
            let (outlet, mut exit) = behind.outlet();
            outlet.try_out(wanted, &mut exit);
            assert_eq!(behind.held_up(1), None, "{carries}: trying out doesn't fill a network");
        }
        let found = behind.carries();
        assert!((found > wanted) == more && found < carries * 5 / 4, "{found} of {carries}");
    }
}

#[test]
fn a_viewer_whose_reports_tell_no_times_tells_at_least_what_it_loses() {
    let named = extensions(&[Extension::RtpMid]);
    let (client, peer, now) = connected_with(named, Direction::RecvOnly, MEASURED);
    let mut behind = Behind { client, peer, now, ..Behind::new() };
    behind.way.set(Impairment { loss_permille: 600, ..Impairment::default() });
    assert_eq!(behind.outlet().0.carries(), None);
    let told = (0..10_000).find_map(|_| {
        behind.pass();
        behind.outlet().0.take_loss().filter(|share| *share > 0.0)
    });
    // What is sent again isn't lost for this client.
    assert!((0.05..0.8).contains(&told.expect("it isn't told")), "{told:?}");
}
