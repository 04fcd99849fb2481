use super::*;
use str0m::bwe::Bitrate;
use str0m::change::SdpOffer;
use str0m::rtp::RtpWrite;
use str0m::stats::PeerStats;

fn here() -> SocketAddr {
    "127.0.0.1:9".parse().unwrap()
}

fn there() -> SocketAddr {
    "127.0.0.2:9".parse().unwrap()
}

/// A client and a server without a network between them, in a time of their own.
struct Pair {
    client: Client,
    server: Rtc,
    now: Instant,
    connected: bool,
    /// What the server heard.
    heard: Vec<Event>,
}

impl Pair {
    fn meet((mut client, offer): (Client, String), server: RtcConfig, now: Instant) -> Pair {
        let mut server = server.set_rtp_mode(true).build(now);
        server.add_local_candidate(Candidate::host(there(), "udp").unwrap());
        let offer = SdpOffer::from_sdp_string(&offer).unwrap();
        let answer = server.sdp_api().accept_offer(offer).unwrap();
        client.accept(&answer.to_sdp_string()).unwrap();
        let mut pair = Pair { client, server, now, connected: false, heard: Vec::new() };
        pair.pass(Duration::from_secs(2));
        assert!(pair.connected);
        pair
    }

    /// Lets both do what they want to do within so long.
    fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        while self.now < until {
            let due = self.exchange();
            // Both may want to be woken at once, and again.
            self.now = due.max(self.now + Duration::from_millis(1)).min(until);
            self.client.tick(self.now);
            self.server.handle_input(Input::Timeout(self.now)).unwrap();
        }
        self.exchange();
    }

    /// Everything that is said now; when one of them wants to be woken.
    fn exchange(&mut self) -> Instant {
        loop {
            let mut quiet = true;
            let client = loop {
                match self.client.step() {
                    Step::Send { datagram, .. } => {
                        quiet = false;
                        let receive = Receive::new(Protocol::Udp, here(), there(), &datagram).unwrap();
                        self.server.handle_input(Input::Receive(self.now, receive)).unwrap();
                    }
                    Step::Connected => self.connected = true,
                    Step::Packet(_) => {}
                    Step::Wait(at) => break at,
                    Step::Over => panic!("it is over"),
                }
            };
            let server = loop {
                match self.server.poll_output().unwrap() {
                    Output::Transmit(sent) => {
                        quiet = false;
                        self.client.receive(self.now, there(), here(), &sent.contents);
                    }
                    Output::Event(event) => self.heard.push(event),
                    Output::Timeout(at) => break at,
                }
            };
            if quiet {
                return client.min(server);
            }
        }
    }
}

fn offer_of(qualities: usize, now: Instant) -> Result<(Client, String), String> {
    Engine::new().unwrap().offer_to_send(qualities, here(), now)
}

#[test]
fn a_publisher_of_several_qualities_offers_them_with_the_best_first() {
    let offer = |qualities| offer_of(qualities, Instant::now()).map(|(_, offer)| offer);
    let three = offer(3).unwrap();
    assert!(three.contains("a=simulcast:send h;m;l\r\n") && three.contains("a=rid:h send\r\n"), "{three}");
    let one = offer(1).unwrap();
    assert!(!one.contains("a=rid:") && !one.contains("a=simulcast"), "{one}");
    assert!(offer(QUALITIES_MAX).is_ok() && offer(QUALITIES_MAX + 1).is_err());
}

#[test]
fn qualities_are_named_and_on_one_timeline() {
    let now = Instant::now();
    let mut pair = Pair::meet(offer_of(2, now).unwrap(), Rtc::builder(), now);
    let began = pair.now;
    for number in 0..10 {
        let at = Duration::from_millis(40) * number;
        for quality in 0..2 {
            let due = Due { at, moment: began + at };
            pair.client
                .write(Media::Picture(quality), due, pair.now, &[0, 0, 0, 1, 0x65, quality as u8])
                .unwrap();
            pair.exchange();
        }
        pair.pass(Duration::from_millis(40));
    }
    let mut came = Vec::new();
    for event in std::mem::take(&mut pair.heard) {
        if let Event::RtpPacket(packet) = event {
            let rid = pair.server.direct_api().stream_rx(&packet.header.ssrc).and_then(|stream| stream.rid());
            came.push((rid.unwrap().to_string(), u64::from(packet.header.timestamp), packet.payload[1]));
        }
    }
    let wanted: Vec<_> =
        (0..10).flat_map(|n| [("h".to_owned(), n * 3600, 0), ("m".to_owned(), n * 3600, 1)]).collect();
    assert_eq!(came, wanted);
}

#[test]
fn a_server_that_takes_one_quality_only_is_no_server_for_several() {
    let now = Instant::now();
    let (client, offer) = offer_of(2, now).unwrap();
    let simple = |line: &&str| !line.starts_with("a=rid:") && !line.starts_with("a=simulcast:");
    let offer: String = offer.lines().filter(simple).map(|line| format!("{line}\r\n")).collect();
    let mut pair = Pair::meet((client, offer), Rtc::builder(), now);
    let due = Due { at: Duration::ZERO, moment: pair.now };
    assert!(pair.client.write(Media::Picture(1), due, pair.now, &[0, 0, 0, 1, 0x65]).is_err());
}

/// What a server that measures knows of the packets that it sends for 2 s.
fn losses_told(offer: (Client, String)) -> Vec<f32> {
    let server = Rtc::builder()
        .enable_bwe(Some(Bitrate::kbps(500)))
        .set_stats_interval(Some(Duration::from_millis(500)));
    let now = Instant::now();
    let mut pair = Pair::meet(offer, server, now);
    pair.heard.clear();
    let mid = pair.client.video;
    let pt = pair.server.media(mid).unwrap().remote_pts()[0];
    for number in 0..100_u32 {
        let mut api = pair.server.direct_api();
        let stream = api.stream_tx_by_mid(mid, None).unwrap();
        stream.write_rtp(RtpWrite::new(
            pt,
            u64::from(number).into(),
            number * 1800,
            pair.now,
            vec![0x65; 500],
        ));
        pair.pass(Duration::from_millis(20));
    }
    let told = |event: &Event| match event {
        Event::PeerStats(PeerStats { egress_loss_fraction, .. }) => *egress_loss_fraction,
        _ => None,
    };
    pair.heard.iter().filter_map(told).collect()
}

#[test]
fn a_viewer_tells_when_packets_arrive_as_a_browser_does() {
    let offer = || Engine::new().unwrap().offer_to_receive(here(), Instant::now()).unwrap();
    let told = losses_told(offer());
    assert!(told.len() > 1 && told.iter().all(|loss| *loss == 0.0), "{told:?}");
    let (client, text) = offer();
    let without = text.lines().filter(|line| !line.contains("transport-wide-cc"));
    let without = without.map(|line| format!("{line}\r\n")).collect();
    assert!(losses_told((client, without)).is_empty(), "the library would make it up");
}
