//! What an outlet sends, and what the library at the other end makes of it.

use super::super::super::member::Exit;
use super::super::super::outlet::MediaClock;
use super::super::super::socket::{self, Wire};
use super::*;
use media::Timestamp;
use std::net::UdpSocket;

/// The way out of an outlet, and its end.
pub(super) struct Line {
    wire: Wire,
    end: UdpSocket,
}

impl Line {
    pub(super) fn new() -> Line {
        let (wire, end) = socket::tests::pair();
        end.set_nonblocking(true).unwrap();
        Line { wire, end }
    }

    pub(super) fn exit(&mut self, now: Instant) -> Exit<'_> {
        Exit::new(&mut self.wire, udp(self.end.local_addr().unwrap()), [127, 0, 0, 1].into(), now)
    }

    /// The datagrams that came to the end; over loopback they are there at once.
    pub(super) fn take(&mut self) -> Vec<Vec<u8>> {
        self.wire.flush();
        let mut buffer = [0; 2000];
        std::iter::from_fn(|| self.end.recv(&mut buffer).ok().map(|count| buffer[..count].to_vec())).collect()
    }
}

pub(super) fn picture(lengths: &[usize]) -> Arc<[Outgoing]> {
    let last = lengths.len() - 1;
    let packet =
        |(at, length): (usize, &usize)| Outgoing { payload: vec![7; *length].into(), marker: at == last };
    lengths.iter().enumerate().map(packet).collect()
}

#[test]
fn an_outlet_sends_what_the_clients_library_understands() {
    for offered in [BOTH, MEASURED] {
        let (mut client, mut peer, now) = connected(offered);
        let mut line = Line::new();
        let outlet = peer.outlet().expect("the handshake told its secrets");
        outlet.send(Kind::Video, &picture(&[900, 333]), (1000, None), &mut line.exit(now));
        outlet.send(Kind::Audio, &picture(&[80]), (960, None), &mut line.exit(now));
        outlet.send(Kind::Video, &picture(&[50]), (4000, None), &mut line.exit(now));
        let datagrams = line.take();
        client.hears(&mut peer, &datagrams, now);
        assert_eq!(
            client.received,
            [(1000, 900, false), (1000, 333, true), (960, 80, true), (4000, 50, true)],
            "{offered:?}"
        );
    }
}

#[test]
fn an_outlet_spreads_a_large_picture_and_sound_does_not_wait_behind_it() {
    let (mut client, mut peer, began) = connected(BOTH);
    let (mut line, mut now) = (Line::new(), began);
    // Two pictures of 100 kB, and a small one behind them.
    for ticks in [1000, 2000] {
        peer.outlet().unwrap().send(Kind::Video, &picture(&[1000; 100]), (ticks, None), &mut line.exit(now));
    }
    peer.outlet().unwrap().send(Kind::Video, &picture(&[50]), (3000, None), &mut line.exit(now));
    peer.outlet().unwrap().send(Kind::Audio, &picture(&[80]), (960, None), &mut line.exit(now));
    let mut datagrams = line.take();
    assert_eq!(datagrams.len(), 66, "what may go at once, and the sound");
    while let Some(due) = peer.outlet().unwrap().due(now) {
        now = due;
        peer.outlet().unwrap().go_on(&mut line.exit(now));
        let more = line.take();
        assert!(more.len() <= 10, "{} packets at once", more.len());
        datagrams.extend(more);
    }
    let took = now - began;
    assert!((30..40).contains(&took.as_millis()), "{took:?} for 200 kB");
    client.hears(&mut peer, &datagrams, now);
    let pictures: Vec<u64> =
        client.received.iter().filter(|(_, length, _)| *length != 80).map(|(t, ..)| *t).collect();
    assert_eq!(pictures.len(), 201);
    assert!(pictures.is_sorted(), "in their order");
}

#[test]
fn an_outlet_sends_again_what_a_lossy_network_swallowed() {
    let (mut client, mut peer, mut now) = connected(BOTH);
    let (mut line, mut random) = (Line::new(), Random::seeded(4588));
    for number in 0..300_u32 {
        peer.outlet().unwrap().send(
            Kind::Video,
            &picture(&[600, 600, 100]),
            (number * 3000, None),
            &mut line.exit(now),
        );
        let mut arriving = line.take();
        arriving.retain(|_| random.below(10) > 0);
        client.hears(&mut peer, &arriving, now);
        for _ in 0..6 {
            now += Duration::from_millis(5);
            client.tick(&mut peer, now);
            for report in std::mem::take(&mut client.reports) {
                let stuck = peer.outlet().unwrap().hear(&report, &mut line.exit(now)) == Some(true);
                assert!(!stuck, "what can be sent again needs no keyframe");
            }
            let again = line.take();
            client.hears(&mut peer, &again, now);
        }
    }
    let mut times: Vec<u64> = client.received.iter().map(|(ticks, ..)| *ticks).collect();
    times.sort_unstable();
    // The very last losses aren't noticed: nothing comes behind them.
    assert!(times.len() >= 895, "{} of 900 packets came", times.len());
}

#[test]
fn an_outlet_tells_which_picture_and_sound_belong_together() {
    let (mut client, mut peer, mut now) = connected(BOTH);
    let mut line = Line::new();
    let clock = MediaClock { media: Timestamp::from_micros(7_000_000), at: now };
    for number in 0..100_u32 {
        let outlet = peer.outlet().unwrap();
        outlet.send(Kind::Video, &picture(&[100]), (630_000 + number * 2700, None), &mut line.exit(now));
        outlet.send(Kind::Audio, &picture(&[50]), (336_000 + number * 1440, None), &mut line.exit(now));
        outlet.report(clock, &mut line.exit(now));
        let datagrams = line.take();
        client.hears(&mut peer, &datagrams, now);
        now += Duration::from_millis(30);
        client.tick(&mut peer, now);
    }
    assert!(client.told.len() >= 4, "{:?}", client.told);
    // Which comes first is not said.
    let pictures = peer.pictures();
    let seconds =
        |mid: &Mid, ticks: u64| ticks as f64 / if pictures.contains(mid) { 90_000.0 } else { 48_000.0 };
    for pair in client.told.chunks_exact(2) {
        let [(first, one, at), (second, other, same)] = pair else { unreachable!() };
        assert!(first != second && at == same, "{pair:?}");
        let (one, other) = (seconds(first, *one), seconds(second, *other));
        assert!((one - other).abs() < 0.001, "at the same time it is {one} s and {other} s");
    }
}

#[test]
fn a_viewer_that_wants_a_keyframe_says_so_to_the_outlet() {
    let (mut client, mut peer, mut now) = connected(BOTH);
    let mut line = Line::new();
    peer.outlet().unwrap().send(Kind::Video, &picture(&[100]), (1000, None), &mut line.exit(now));
    let datagrams = line.take();
    client.hears(&mut peer, &datagrams, now);
    let mids = peer.pictures();
    client
        .rtc
        .direct_api()
        .stream_rx_by_mid(mids[0], None)
        .unwrap()
        .request_keyframe(KeyframeRequestKind::Pli);
    now += Duration::from_millis(20);
    client.tick(&mut peer, now);
    let mut exit = line.exit(now);
    let stuck = |peer: &mut Peer, report: &Vec<u8>, exit: &mut Exit<'_>| {
        peer.outlet().unwrap().hear(report, exit) == Some(true)
    };
    assert!(client.reports.iter().any(|report| stuck(&mut peer, report, &mut exit)));
}

#[test]
fn an_outlet_tells_who_asks_when_a_picture_was_taken() {
    let known = Captured { micros: 1_790_000_000_123_456, ahead: Some(-1_234_567) };
    let unsure = Captured { ahead: None, ..known };
    for (map, asked, offered) in [
        (with_capture(), true, BOTH),
        (with_capture(), true, MEASURED),
        (ExtensionMap::standard(), false, BOTH),
    ] {
        let (mut client, mut peer, now) = connected_with(map, Direction::RecvOnly, offered);
        let mut line = Line::new();
        for (number, taken) in (0..).zip([Some(known), None, Some(unsure)]) {
            let frame = (number * 3000, taken);
            peer.outlet().unwrap().send(Kind::Video, &picture(&[100, 50]), frame, &mut line.exit(now));
        }
        let datagrams = line.take();
        client.hears(&mut peer, &datagrams, now);
        let told = client.taken;
        if asked {
            assert!(near(told[0], known) && near(told[4], unsure), "{told:?}");
            assert_eq!(
                [told[1], told[2], told[3], told[5]],
                [None; 4],
                "only a picture's first packet tells"
            );
        } else {
            assert_eq!(told, [None; 6]);
        }
    }
}
