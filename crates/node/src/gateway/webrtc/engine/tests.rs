//! Offers of real browsers, damaged ones, and a client of the same library against the server, without sockets.

mod networks;
mod outlets;
mod proofs;

use super::super::outlet::is_rtcp;
use super::*;
use std::collections::VecDeque;
use str0m::IceConnectionState;
use str0m::media::KeyframeRequestKind;
use str0m::rtp::{ExtensionValues, RtpWrite, SeqNo};
use testkit::{Impairment, Link, Random};

const PLAYS: &str = include_str!("../captures/chromium-plays.sdp");
const PUBLISHES: &str = include_str!("../captures/chromium-publishes.sdp");
const BOTH: Offered = Offered::Play { video: Some(Codec::H264), audio: Some(Codec::Opus), measured: false };
const MEASURED: Offered =
    Offered::Play { video: Some(Codec::H264), audio: Some(Codec::Opus), measured: true };

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
    let Err(OfferError::Large(excess)) = answer(&many, BOTH) else { panic!("it is taken") };
    assert_eq!(excess.to_string(), "52 media sections; at most 4 are taken");
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
    /// What it reported to an outlet.
    reports: Vec<Vec<u8>>,
    /// Media time and wall time of senders, as they told.
    told: Vec<(Mid, u64, SystemTime)>,
    /// When the pictures of what was received were taken.
    taken: Vec<Option<Captured>>,
    /// How often it found that its checks are not answered.
    ice_lost: u32,
    closed: bool,
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
    fn hears(&mut self, peer: &mut Peer, datagrams: &[Vec<u8>], now: Instant) {
        for datagram in datagrams {
            let receive = Receive::new(Protocol::Udp, server(), self.address, datagram).unwrap();
            self.rtc.handle_input(Input::Receive(now, receive)).unwrap();
            self.drain(peer, now);
        }
    }

    fn tick(&mut self, peer: &mut Peer, now: Instant) {
        self.rtc.handle_input(Input::Timeout(now)).unwrap();
        self.drain(peer, now);
    }

    fn drain(&mut self, peer: &mut Peer, now: Instant) {
        loop {
            match self.rtc.poll_output().unwrap() {
                Output::Timeout(_) => return,
                Output::Transmit(sent) if is_rtcp(&sent.contents) && peer.outlet().is_some() => {
                    self.reports.push(sent.contents.to_vec());
                }
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
                Output::Event(str0m::Event::SenderFeedback(feedback)) => {
                    let info = feedback.sender_info;
                    self.told.push((feedback.mid, info.rtp_time.numer(), info.ntp_time));
                }
                Output::Event(event) => self.note(&event),
            }
        }
    }

    fn note(&mut self, event: &str0m::Event) {
        self.ice_lost += u32::from(matches!(
            event,
            str0m::Event::IceConnectionStateChange(IceConnectionState::Disconnected)
        ));
        self.closed |= matches!(event, str0m::Event::Closed);
    }

    /// What it has to send, or a time to wait until.
    fn poll(&mut self) -> Output {
        loop {
            match self.rtc.poll_output().unwrap() {
                Output::Event(event) => self.note(&event),
                other => return other,
            }
        }
    }
}

fn connected(offered: Offered) -> (Client, Peer, Instant) {
    connected_with(ExtensionMap::standard(), Direction::RecvOnly, offered)
}

/// With these header extensions, sending or receiving.
fn connected_with(map: ExtensionMap, direction: Direction, offered: Offered) -> (Client, Peer, Instant) {
    let (mut client, mut peer, mut now) = between(map, direction, offered);
    talk(&mut client, &mut peer, &mut now, |client, events| {
        client.rtc.is_connected() && events.iter().any(|event| matches!(event, Event::Connected))
    });
    (client, peer, now)
}

/// An offer and its answer, and no datagram yet.
fn between(map: ExtensionMap, direction: Direction, offered: Offered) -> (Client, Peer, Instant) {
    let now = Instant::now();
    let address: SocketAddr = "198.51.100.7:40000".parse().unwrap();
    let mut rtc = Rtc::builder().set_rtp_mode(true).set_extension_map(map).build(now);
    rtc.add_local_candidate(Candidate::host(address, "udp").unwrap());
    let mut change = rtc.sdp_api();
    change.add_media(str0m::media::MediaKind::Video, direction, None, None, None);
    change.add_media(str0m::media::MediaKind::Audio, direction, None, None, None);
    let (offer, pending) = change.apply().unwrap();
    let (peer, text) = answer(&offer.to_sdp_string(), offered).unwrap();
    let parsed = str0m::change::SdpAnswer::from_sdp_string(&text).unwrap();
    rtc.sdp_api().accept_answer(pending, parsed).unwrap();
    let client = Client {
        rtc,
        address,
        received: Vec::new(),
        reports: Vec::new(),
        told: Vec::new(),
        taken: Vec::new(),
        ice_lost: 0,
        closed: false,
    };
    (client, peer, now)
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

/// What a browser offers whose page asks when pictures were taken.
fn with_capture() -> ExtensionMap {
    let mut map = ExtensionMap::standard();
    map.set(CAPTURE_TIME_ID, Extension::AbsoluteCaptureTime);
    map
}

#[test]
fn a_publisher_tells_when_a_picture_was_taken() {
    let (mut client, mut peer, mut now) =
        connected_with(with_capture(), Direction::SendOnly, Offered::Publish);
    let known = Captured { micros: 1_790_000_000_123_456, ahead: Some(250_000) };
    let (mid, pt) = peer.sections_known().remove(0);
    let time = AbsCaptureTime {
        capture_time: UNIX_EPOCH + Duration::from_micros(known.micros as u64),
        clock_offset: known.ahead.map(|micros| (micros << 32) / 1_000_000),
    };
    let values = ExtensionValues { abs_capture_time: Some(time), mid: Some(mid), ..Default::default() };
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
    let (client, mut peer, now) =
        connected_with(ExtensionMap::standard(), Direction::SendOnly, Offered::Publish);
    assert!(!peer.is_settled());
    damaged(&client, &mut peer, now);
    for offered in [BOTH, MEASURED] {
        let (client, mut peer, now) = connected(offered);
        assert!(peer.is_settled());
        damaged(&client, &mut peer, now);
    }
}

fn damaged(client: &Client, peer: &mut Peer, now: Instant) {
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

/// Until so much time is over for both.
fn pass(client: &mut Client, peer: &mut Peer, now: &mut Instant, time: Duration) {
    for _ in 0..time.as_millis() / 1000 {
        let rounds = std::cell::Cell::new(0);
        talk(client, peer, now, |_, _| rounds.replace(rounds.get() + 1) == 200);
    }
}

#[test]
fn a_connection_without_the_librarys_state_answers_checks_for_as_long_as_it_lasts() {
    let (mut client, mut peer, mut now) = connected(BOTH);
    assert!(peer.is_settled());
    pass(&mut client, &mut peer, &mut now, Duration::from_secs(60));
    assert!(client.rtc.is_connected() && client.ice_lost == 0, "its checks were not answered");
    let (mut client, mut peer, mut now) = connected(BOTH);
    peer.ice.ours.password = "another-password-of-22".to_owned();
    pass_without_answers(&mut client, &mut peer, &mut now);
}

/// The other side of the claim: a client that isn't answered notices it.
fn pass_without_answers(client: &mut Client, peer: &mut Peer, now: &mut Instant) {
    for _ in 0..12_000 {
        *now += Duration::from_millis(5);
        client.rtc.handle_input(Input::Timeout(*now)).unwrap();
        while let Output::Transmit(sent) = client.poll() {
            let answered =
                sent.contents[0] <= 3 && peer.accepts(*now, udp(client.address), server(), &sent.contents);
            assert!(!answered, "a check with another password is accepted");
        }
    }
    assert!(client.ice_lost > 0);
}

#[test]
fn checks_of_a_connection_without_the_librarys_state_begin_anew_with_new_secrets() {
    let (mut client, mut peer, mut now) = connected(BOTH);
    let secrets =
        |user: &str| Credentials { user: user.to_owned(), password: format!("{user}-password-of-22-chars") };
    let (ours, theirs) = (secrets("new"), secrets("client"));
    peer.restart(&ours, &theirs);
    let creds = |c: &Credentials| IceCreds { ufrag: c.user.clone(), pass: c.password.clone() };
    let mut direct = client.rtc.direct_api();
    direct.set_local_ice_credentials(creds(&theirs));
    direct.set_remote_ice_credentials(creds(&ours));
    pass(&mut client, &mut peer, &mut now, Duration::from_secs(30));
    assert!(client.rtc.is_connected() && client.ice_lost == 0);
}

#[test]
fn a_goodbye_is_heard_and_said_without_the_librarys_state() {
    let (mut client, mut peer, now) = connected(BOTH);
    client.rtc.close().unwrap();
    client.drain(&mut peer, now);
    while !matches!(peer.step(), Step::Wait(_) | Step::Over) {}
    assert!(matches!(peer.step(), Step::Over));

    let (mut client, mut peer, now) = connected(BOTH);
    peer.close();
    while let Step::Send { to, datagram } = peer.step() {
        assert_eq!(to, udp(client.address));
        client.hears(&mut peer, &[datagram], now);
    }
    assert!(matches!(peer.step(), Step::Over) && client.closed);
}

#[test]
fn the_last_flight_of_a_handshake_that_was_lost_is_sent_again() {
    let (mut client, mut peer, mut now) = between(ExtensionMap::standard(), Direction::RecvOnly, BOTH);
    let mut settled = false;
    for _ in 0..2000 {
        let mut to_client = Vec::new();
        while let Some(datagram) = next_datagram(&mut peer) {
            to_client.push(datagram);
        }
        if peer.is_settled() && !settled {
            settled = true;
            to_client.retain(|datagram| datagram[0] <= 3);
        }
        client.hears(&mut peer, &to_client, now);
        if client.rtc.is_connected() {
            assert!(settled, "nothing was lost");
            return;
        }
        now += Duration::from_millis(5);
        client.tick(&mut peer, now);
        peer.tick(now);
    }
    panic!("the client never connects");
}

fn next_datagram(peer: &mut Peer) -> Option<Vec<u8>> {
    loop {
        match peer.step() {
            Step::Send { datagram, .. } => return Some(datagram),
            Step::Event(_) => {}
            Step::Wait(_) | Step::Over => return None,
        }
    }
}
