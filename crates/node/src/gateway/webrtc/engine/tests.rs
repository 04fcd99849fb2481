//! Offers of real browsers, damaged ones, and a client of the same library against the server, without sockets.

use super::*;
use std::collections::VecDeque;
use testkit::Random;

const PLAYS: &str = include_str!("../captures/chromium-plays.sdp");
const PUBLISHES: &str = include_str!("../captures/chromium-publishes.sdp");
const BOTH: Offered = Offered::Play { video: Some(Codec::H264), audio: Some(Codec::Opus), measured: false };

fn server() -> SocketAddr {
    "192.0.2.1:8000".parse().unwrap()
}

fn udp(at: SocketAddr) -> Route {
    Route { at, tcp: false }
}

fn answer(offer: &str, offered: Offered) -> Result<(Peer, String), OfferError> {
    let credentials = Credentials { user: "user".to_owned(), password: "a-password-of-22-chars".to_owned() };
    Engine::new().unwrap().answer(offer, offered, &[server()], &credentials, Instant::now())
}

#[test]
fn a_browser_that_plays_is_sent_pictures_and_sound_by_a_lite_server() {
    let (peer, answer) = answer(PLAYS, BOTH).unwrap();
    for wanted in [
        "a=ice-lite",
        "a=setup:passive",
        "a=ice-ufrag:user",
        "192.0.2.1 8000 typ host",
        "tcptype passive",
        "a=sendonly",
    ] {
        assert!(answer.contains(wanted), "{wanted} is not in {answer}");
    }
    assert!(peer.sends(Kind::Video) && peer.sends(Kind::Audio));
}

#[test]
fn a_browser_that_publishes_is_asked_for_h264_alone() {
    let (peer, answer) = answer(PUBLISHES, Offered::Publish).unwrap();
    assert!(answer.contains(" H264/90000") && !answer.contains(" VP8/90000"), "{answer}");
    assert!(answer.contains("a=recvonly"));
    assert!(peer.has(Kind::Video) && peer.has(Kind::Audio) && !peer.sends(Kind::Video));
    let without = PUBLISHES.replace("H264/", "H261/");
    let (_, answer) = super::tests::answer(&without, Offered::Publish).unwrap();
    assert!(answer.contains(" VP8/90000"), "{answer}");
}

#[test]
fn what_no_codec_fits_is_told_with_the_codec() {
    let without = PLAYS.replace(" AV1/", " AV9/");
    let error = answer(&without, Offered::Play { video: Some(Codec::Av1), audio: None, measured: false })
        .unwrap_err();
    assert!(error.to_string().contains("Av1") && error.to_string().contains("LL-HLS"), "{error}");
}

#[test]
fn an_offer_with_too_many_sections_is_refused_before_it_is_read() {
    let many = PLAYS.to_owned() + &"m=video 9 UDP/TLS/RTP/SAVPF 96\r\n".repeat(50);
    assert!(matches!(answer(&many, BOTH), Err(OfferError::Large(52))));
}

#[test]
fn fuzz_damaged_offers_are_answered_or_refused() {
    let engine = Engine::new().unwrap();
    let credentials = Credentials { user: "user".to_owned(), password: "a-password-of-22-chars".to_owned() };
    let (mut random, mut answered) = (Random::seeded(9725), 0);
    for round in 0..1500 {
        let (offer, offered) = if round % 2 == 0 { (PLAYS, BOTH) } else { (PUBLISHES, Offered::Publish) };
        let damaged = random.mutate(offer.as_bytes());
        let Ok(damaged) = String::from_utf8(damaged) else { continue };
        let result = engine.answer(&damaged, offered, &[server()], &credentials, Instant::now());
        answered += usize::from(result.is_ok());
    }
    assert!(answered > 15, "only {answered} offers were still good: the damage is too large to try much");
}

/// A client of the same library, and the datagrams on their way.
struct Client {
    rtc: Rtc,
    address: SocketAddr,
    received: Vec<(u64, usize, bool)>,
    /// When the pictures of what was received were taken.
    taken: Vec<Option<Captured>>,
}

/// Lets both talk until `done`, a few milliseconds a round; what the server's side told.
fn talk(
    client: &mut Client,
    peer: &mut Peer,
    now: &mut Instant,
    done: impl Fn(&Client, &[Event]) -> bool,
) -> Vec<Event> {
    let mut events = Vec::new();
    for _ in 0..2000 {
        let mut to_client = VecDeque::new();
        loop {
            match peer.step() {
                Step::Send { datagram, .. } => to_client.push_back(datagram),
                Step::Event(event) => events.push(event),
                Step::Wait(_) | Step::Over => break,
            }
        }
        for datagram in to_client {
            let receive = Receive::new(Protocol::Udp, server(), client.address, &datagram).unwrap();
            client.rtc.handle_input(Input::Receive(*now, receive)).unwrap();
            client.drain(peer, *now);
        }
        if done(client, &events) {
            return events;
        }
        *now += Duration::from_millis(5);
        client.rtc.handle_input(Input::Timeout(*now)).unwrap();
        client.drain(peer, *now);
        peer.tick(*now);
    }
    panic!("it didn't come to that; received {:?}", client.received);
}

impl Client {
    fn drain(&mut self, peer: &mut Peer, now: Instant) {
        loop {
            match self.rtc.poll_output().unwrap() {
                Output::Timeout(_) => return,
                Output::Transmit(sent) => {
                    assert!(
                        peer.accepts(now, udp(self.address), server(), &sent.contents)
                            || sent.contents[0] > 3
                    );
                    peer.receive(now, udp(self.address), server(), &sent.contents);
                }
                Output::Event(str0m::Event::RtpPacket(packet)) => {
                    self.received.push((packet.time.numer(), packet.payload.len(), packet.header.marker));
                    self.taken.push(packet.header.ext_vals.abs_capture_time.and_then(captured));
                }
                Output::Event(_) => {}
            }
        }
    }
}

fn connected() -> (Client, Peer, Instant) {
    connected_with(ExtensionMap::standard(), Direction::RecvOnly, BOTH)
}

/// With these header extensions, sending or receiving.
fn connected_with(map: ExtensionMap, direction: Direction, offered: Offered) -> (Client, Peer, Instant) {
    let mut now = Instant::now();
    let address: SocketAddr = "198.51.100.7:40000".parse().unwrap();
    let mut rtc = Rtc::builder().set_rtp_mode(true).set_extension_map(map).build(now);
    rtc.add_local_candidate(Candidate::host(address, "udp").unwrap());
    let mut change = rtc.sdp_api();
    change.add_media(str0m::media::MediaKind::Video, direction, None, None, None);
    change.add_media(str0m::media::MediaKind::Audio, direction, None, None, None);
    let (offer, pending) = change.apply().unwrap();
    let (mut peer, text) = answer(&offer.to_sdp_string(), offered).unwrap();
    let parsed = str0m::change::SdpAnswer::from_sdp_string(&text).unwrap();
    rtc.sdp_api().accept_answer(pending, parsed).unwrap();
    let mut client = Client { rtc, address, received: Vec::new(), taken: Vec::new() };
    talk(&mut client, &mut peer, &mut now, |client, events| {
        client.rtc.is_connected() && events.iter().any(|event| matches!(event, Event::Connected))
    });
    (client, peer, now)
}

#[test]
fn a_client_connects_and_gets_what_is_sent_with_its_times_and_markers() {
    let (mut client, mut peer, mut now) = connected();
    for (ticks, length, marker) in [(1000, 900, false), (1000, 333, true), (4000, 50, true)] {
        let packet = Outgoing { payload: vec![7; length].into(), marker };
        peer.send(Kind::Video, &packet, (ticks, None), now);
        talk(&mut client, &mut peer, &mut now, |client, _| {
            client.received.last().is_some_and(|last| last.1 == length)
        });
    }
    assert_eq!(client.received, [(1000, 900, false), (1000, 333, true), (4000, 50, true)]);
}

/// Times of extensions are in units of 2⁻³² s, by way of a float.
fn near(found: Option<Captured>, expect: Captured) -> bool {
    found.is_some_and(|found| {
        let ahead = found.ahead.zip(expect.ahead).map(|(a, b)| a.abs_diff(b));
        found.micros.abs_diff(expect.micros) <= 5
            && ahead.is_none_or(|off| off <= 1)
            && found.ahead.is_some() == expect.ahead.is_some()
    })
}

#[test]
fn a_viewer_who_asks_for_it_is_told_when_a_picture_was_taken() {
    let (mut client, mut peer, mut now) = connected_with(extensions(true), Direction::RecvOnly, BOTH);
    let known = Captured { micros: 1_790_000_000_123_456, ahead: Some(-1_234_567) };
    let sent = [
        Some(known),
        None,
        Some(Captured { ahead: None, ..known }),
        Some(Captured { micros: -1, ahead: None }),
    ];
    for (n, taken) in sent.into_iter().enumerate() {
        let packet = Outgoing { payload: vec![7; 100 + n].into(), marker: true };
        peer.send(Kind::Video, &packet, (3000 * n as u32, taken), now);
        talk(&mut client, &mut peer, &mut now, |client, _| client.received.len() > n);
    }
    assert!(near(client.taken[0], known), "{:?}", client.taken);
    assert!(near(client.taken[2], Captured { ahead: None, ..known }), "{:?}", client.taken);
    assert_eq!((client.taken[1], client.taken[3]), (None, None));
    let (mut other, mut peer, mut now) = connected();
    let packet = Outgoing { payload: vec![7; 100].into(), marker: true };
    peer.send(Kind::Video, &packet, (0, Some(known)), now);
    talk(&mut other, &mut peer, &mut now, |client, _| !client.received.is_empty());
    assert_eq!(other.taken, [None], "who doesn't ask isn't told");
}

#[test]
fn a_publisher_tells_when_a_picture_was_taken() {
    let (mut client, mut peer, mut now) =
        connected_with(extensions(true), Direction::SendOnly, Offered::Publish);
    let known = Captured { micros: 1_790_000_000_123_456, ahead: Some(250_000) };
    let (mid, pt) = (peer.lines[0].mid, peer.negotiated(peer.lines[0].mid).0.unwrap());
    let values =
        ExtensionValues { abs_capture_time: capture_time(known), mid: Some(mid), ..Default::default() };
    let write = RtpWrite::new(pt, SeqNo::default(), 9000, now, vec![7; 50]).ext_vals(values);
    client.rtc.direct_api().stream_tx_by_mid(mid, None).unwrap().write_rtp(write);
    let is_packet = |event: &Event| matches!(event, Event::Packet(_));
    let events = talk(&mut client, &mut peer, &mut now, |_, events| events.iter().any(is_packet));
    let packets = events.iter().filter_map(|event| match event {
        Event::Packet(packet) => Some(packet),
        _ => None,
    });
    assert!(packets.clone().any(|packet| near(packet.captured, known)), "it isn't told");
}

#[test]
fn a_request_with_a_wrong_password_is_not_accepted() {
    let now = Instant::now();
    let (peer, _) = answer(PLAYS, BOTH).unwrap();
    let mut request = vec![0, 1, 0, 16, 0x21, 0x12, 0xa4, 0x42];
    request.extend_from_slice(&[9; 12]);
    request.extend_from_slice(&[0, 6, 0, 9]);
    request.extend_from_slice(b"user:peer\0\0\0");
    assert!(!peer.accepts(now, udp("198.51.100.7:1".parse().unwrap()), server(), &request));
}

#[test]
fn fuzz_damaged_datagrams_never_panic_a_connection() {
    let (mut client, mut peer, mut now) = connected();
    let packet = Outgoing { payload: vec![7; 300].into(), marker: true };
    peer.send(Kind::Video, &packet, (90, None), now);
    talk(&mut client, &mut peer, &mut now, |client, _| !client.received.is_empty());
    let kinds: [&[u8]; 4] = [
        &[0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12],
        &[22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 1, 0, 4, 1, 2, 3, 4],
        &[0x80, 96, 0, 1, 0, 0, 0, 1, 0, 0, 0, 9, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16],
        &[0x80, 200, 0, 6, 0, 0, 0, 9, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20],
    ];
    let mut random = Random::seeded(5764);
    for round in 0..5000 {
        let datagram = random.mutate(kinds[round % kinds.len()]);
        peer.receive(now, udp(client.address), server(), &datagram);
        while !matches!(peer.step(), Step::Wait(_) | Step::Over) {}
    }
}
