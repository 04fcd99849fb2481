//! What proves that a peer is there, and what anybody could have sent.

use super::super::super::member::Exit;
use super::super::super::socket::{self, Wire};
use super::*;

/// A way out that nobody looks at.
fn exit(wire: &mut Wire, now: Instant) -> Exit<'_> {
    Exit::new(wire, udp("127.0.0.1:9".parse().unwrap()), [127, 0, 0, 1].into(), now)
}

/// What anybody could send who doesn't know the secrets: handshake, goodbyes in the clear, media, reports.
const JUNK: [&[u8]; 6] = [
    // Alerts that aren't encrypted: close_notify, and a fatal one (RFC 6347 §4.1.2.7).
    &[21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 9, 0, 2, 1, 0],
    &[21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 10, 0, 2, 2, 40],
    &[22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 1, 0, 4, 1, 2, 3, 4],
    &[23, 0xfe, 0xfd, 0, 1, 0, 0, 0, 0, 0, 9, 0, 4, 1, 2, 3, 4],
    &[0x80, 96, 0, 1, 0, 0, 0, 1, 0, 0, 0, 9, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16],
    &[0x80, 200, 0, 6, 0, 0, 0, 9, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20],
];

#[test]
fn what_anybody_could_have_sent_proves_nothing_and_moves_nobody() {
    for (map, direction, offered) in [
        (ExtensionMap::standard(), Direction::RecvOnly, BOTH),
        (ExtensionMap::standard(), Direction::RecvOnly, MEASURED),
        (ExtensionMap::standard(), Direction::SendOnly, Offered::Publish),
    ] {
        let (client, mut peer, now) = connected_with(map, direction, offered);
        let (mut wire, elsewhere) = (socket::tests::pair().0, udp("198.51.100.66:6".parse().unwrap()));
        for from in [udp(client.address), elsewhere] {
            for junk in JUNK {
                if is_rtcp(junk)
                    && let Some(outlet) = peer.outlet()
                {
                    assert_eq!(outlet.hear(junk, &mut exit(&mut wire, now)), None, "{offered:?}");
                }
                assert!(!peer.receive(now, from, server(), junk), "{offered:?}: {junk:?}");
                loop {
                    match peer.step() {
                        Step::Event(event) => assert!(!event.proves(), "{offered:?}: {junk:?}"),
                        Step::Send { to, .. } => assert_eq!(to, udp(client.address)),
                        Step::Wait(_) => break,
                        Step::Over => panic!("{offered:?}: junk ends it"),
                    }
                }
            }
        }
        peer.close();
        while let Step::Send { to, .. } = peer.step() {
            assert_eq!(to, udp(client.address), "{offered:?}");
        }
    }
}

#[test]
fn checks_reports_and_media_prove_that_their_peer_is_there() {
    for (direction, offered) in [
        (Direction::RecvOnly, BOTH),
        (Direction::RecvOnly, MEASURED),
        (Direction::SendOnly, Offered::Publish),
    ] {
        let (mut client, mut peer, mut now) = connected_with(ExtensionMap::standard(), direction, offered);
        let (mut wire, mut checks, mut reports) = (socket::tests::pair().0, 0, 0);
        for _ in 0..2000 {
            now += Duration::from_millis(5);
            client.rtc.handle_input(Input::Timeout(now)).unwrap();
            while let Output::Transmit(sent) = client.poll() {
                let report = is_rtcp(&sent.contents);
                let proved = match peer.outlet().filter(|_| report) {
                    Some(outlet) => outlet.hear(&sent.contents, &mut exit(&mut wire, now)).is_some(),
                    None => peer.receive(now, udp(client.address), server(), &sent.contents),
                };
                checks += u32::from(proved && is_stun(&sent.contents));
                reports += u32::from(proved && report);
                while !matches!(peer.step(), Step::Wait(_) | Step::Over) {}
            }
        }
        assert!(checks > 1, "{offered:?}: no check proved anything");
        assert!(reports > 0 || offered == Offered::Publish, "{offered:?}: no report proved anything");
    }
}
