//! An independent caller against our listener, without sockets, in virtual time.

use crate::{
    Arrival, Config, Connection, Error, Listener, Mode, Passphrase, Received, Refusal, Refused, StreamId,
};
use sapflow_srt::crypto::{CryptoConfig, KeySize};
use sapflow_srt::{Caller, CallerConfig, CallerEvent};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use testkit::Random;

const SECRET: &str = "correct horse battery";
const SOCKET: u32 = 0x1234;

/// One caller, our side, and a way that loses one datagram of so many.
struct Meeting {
    caller: Caller,
    listener: Listener,
    connection: Option<Connection>,
    stream_id: String,
    refuse: Option<Refusal>,
    address: SocketAddr,
    now: Instant,
    random: Random,
    lost_of: usize,
    got: Vec<u8>,
    events: Vec<CallerEvent>,
    /// What the log gets.
    refused: Option<Error>,
}

fn crypto(secret: &str, size: KeySize) -> Option<CryptoConfig> {
    Some(CryptoConfig::new(secret.as_bytes().to_vec(), size).unwrap())
}

impl Meeting {
    fn new(ours: Option<&str>, theirs: Option<CryptoConfig>, lost_of: usize) -> Meeting {
        let (now, address) = (testkit::epoch(), "192.0.2.1:5000".parse().unwrap());
        let config = Config {
            latency: Duration::from_millis(120),
            latency_max: Duration::from_secs(5),
            passphrase: ours.map(|secret| Passphrase::new(secret).unwrap()),
        };
        let theirs = CallerConfig {
            stream_id: "#!::r=live/x,m=publish".to_owned(),
            crypto: theirs,
            ..CallerConfig::default()
        };
        Meeting {
            caller: Caller::new(theirs, address, now).unwrap(),
            listener: Listener::new(config, [9; 32], now),
            connection: None,
            stream_id: String::new(),
            refuse: None,
            address,
            now,
            random: Random::seeded(3),
            lost_of,
            got: Vec::new(),
            events: Vec::new(),
            refused: None,
        }
    }

    fn is_lost(&mut self) -> bool {
        self.lost_of > 0 && self.random.below(self.lost_of) == 0
    }

    fn arrive(&mut self, datagram: &[u8]) {
        let now = self.now;
        match self.listener.handle_input(self.address, datagram, now) {
            Arrival::Nothing => panic!("a datagram of a caller means nothing"),
            Arrival::Answer(answer) => self.answer(&answer),
            Arrival::Refused(refused) => self.refused(&refused),
            Arrival::Caller(caller) => match (caller.unlock(), self.refuse, &mut self.connection) {
                (Err(refused), ..) => self.refused(&refused),
                (Ok(request), Some(refusal), _) => {
                    let answer = request.refuse(refusal);
                    self.answer(&answer);
                }
                (Ok(_), None, Some(connection)) => connection.accept(now),
                (Ok(request), None, None) => {
                    self.stream_id = request.stream_id().to_owned();
                    self.connection = Some(request.accept(SOCKET, now));
                }
            },
            Arrival::Connection(socket) => {
                assert_eq!(socket, SOCKET);
                self.connection.as_mut().unwrap().handle_input(datagram, now);
            }
        }
    }

    fn answer(&mut self, datagram: &[u8]) {
        if !self.is_lost() {
            self.caller.handle_datagram(self.now, self.address, datagram);
        }
    }

    fn refused(&mut self, refused: &Refused) {
        self.refused = Some(refused.error);
        self.answer(&refused.answer);
    }

    /// Two milliseconds pass.
    fn step(&mut self) {
        self.now += Duration::from_millis(2);
        self.caller.handle_timeout(self.now);
        while let Some((_, datagram)) = self.caller.poll_transmit(self.now) {
            if !self.is_lost() {
                self.arrive(&datagram);
            }
        }
        self.events.extend(std::iter::from_fn(|| self.caller.poll_event()));
        let Some(mut connection) = self.connection.take() else { return };
        connection.handle_timeout(self.now);
        while let Some(datagram) = connection.poll_transmit(self.now) {
            self.answer(&datagram);
        }
        while let Some(received) = connection.poll_received() {
            let Received::Payload(payload) = received else { panic!("{received:?}") };
            self.got.extend_from_slice(&payload);
        }
        self.connection = Some(connection);
    }

    fn meet(&mut self) {
        for _ in 0..2000 {
            self.step();
            if self.caller.is_connected() {
                return;
            }
        }
        panic!("no connection: {:?}", self.events);
    }

    /// Publishes so many payloads; returns all of it.
    fn publish(&mut self, count: u32) -> Vec<u8> {
        let mut sent = Vec::new();
        for number in 0..count {
            let payload: Vec<u8> = number.to_be_bytes().repeat(329);
            sent.extend_from_slice(&payload);
            self.caller.enqueue(self.now, payload).unwrap();
            self.step();
        }
        (0..400).for_each(|_| self.step());
        sent
    }
}

#[test]
fn a_caller_publishes_in_the_clear_and_encrypted() {
    for size in [None, Some(KeySize::Aes128), Some(KeySize::Aes256)] {
        let ours = size.map(|_| SECRET);
        let mut meeting = Meeting::new(ours, size.and_then(|size| crypto(SECRET, size)), 0);
        meeting.meet();
        let id = StreamId::parse(&meeting.stream_id).unwrap();
        assert_eq!((id.resource.as_str(), id.mode), ("live/x", Mode::Publish));
        let sent = meeting.publish(300);
        let connection = meeting.connection.unwrap();
        assert!(meeting.got == sent, "{size:?}: {} of {} bytes", meeting.got.len(), sent.len());
        assert_eq!(connection.is_encrypted(), size.is_some());
        assert_eq!(connection.stats().received, 300);
    }
}

#[test]
fn three_percent_loss_is_mended() {
    let mut meeting = Meeting::new(Some(SECRET), crypto(SECRET, KeySize::Aes128), 33);
    meeting.meet();
    let sent = meeting.publish(2000);
    assert!(meeting.got == sent, "{} of {} bytes", meeting.got.len(), sent.len());
    assert!(meeting.connection.unwrap().stats().missed > 20);
}

#[test]
fn keys_may_change_on_the_way() {
    let mut theirs = crypto(SECRET, KeySize::Aes256).unwrap();
    (theirs.refresh_packets, theirs.preannounce_packets) = (1000, 300);
    let mut meeting = Meeting::new(Some(SECRET), Some(theirs), 0);
    meeting.meet();
    let sent = meeting.publish(3500);
    assert!(meeting.got == sent, "{} of {} bytes", meeting.got.len(), sent.len());
    assert_eq!(meeting.connection.unwrap().stats().undecryptable, 0);
}

#[test]
fn who_does_not_know_the_passphrase_is_refused_with_the_reason() {
    let check = |ours, theirs, code: &str, error| {
        let mut meeting = Meeting::new(ours, theirs, 0);
        (0..50).for_each(|_| meeting.step());
        let told = format!("{:?}", meeting.events);
        assert!(told.contains(code) && meeting.connection.is_none(), "{told}");
        assert_eq!(meeting.refused, Some(error));
    };
    check(Some(SECRET), crypto("another horse battery", KeySize::Aes128), "1010", Error::BadSecret);
    check(Some(SECRET), None, "1011", Error::Unsecure);
    check(None, crypto(SECRET, KeySize::Aes128), "1011", Error::Unsecure);
}

#[test]
fn a_refusal_carries_its_code() {
    let mut meeting = Meeting::new(None, None, 0);
    meeting.refuse = Some(Refusal::UNAUTHORIZED);
    (0..50).for_each(|_| meeting.step());
    let told = format!("{:?}", meeting.events);
    assert!(told.contains("2401"), "{told}");
}

#[test]
fn nothing_is_answered_to_who_shows_no_cookie_and_no_answer_is_longer_than_its_question() {
    let mut meeting = Meeting::new(None, None, 0);
    let mut seen = Vec::new();
    while !meeting.caller.is_connected() {
        meeting.now += Duration::from_millis(2);
        meeting.caller.handle_timeout(meeting.now);
        while let Some((_, datagram)) = meeting.caller.poll_transmit(meeting.now) {
            seen.push(datagram.clone());
            meeting.arrive(&datagram);
        }
        if let Some(connection) = &mut meeting.connection {
            let answer = connection.poll_transmit(meeting.now).unwrap();
            meeting.caller.handle_datagram(meeting.now, meeting.address, &answer);
        }
    }
    let (induction, conclusion) = (&seen[0], &seen[1]);
    let Arrival::Answer(answer) = meeting.listener.handle_input(meeting.address, induction, meeting.now)
    else {
        panic!("no answer to an induction")
    };
    assert!(answer.len() <= induction.len());
    let elsewhere: SocketAddr = "192.0.2.2:5000".parse().unwrap();
    assert!(matches!(meeting.listener.handle_input(elsewhere, conclusion, meeting.now), Arrival::Nothing));
    let late = meeting.now + Duration::from_secs(121);
    assert!(matches!(meeting.listener.handle_input(meeting.address, conclusion, late), Arrival::Nothing));
    let mut random = Random::seeded(61);
    for _ in 0..5000 {
        let of = &seen[random.below(2)];
        let wild = random.mutate(of);
        let arrival = meeting.listener.handle_input(meeting.address, &wild, meeting.now);
        if let Arrival::Answer(answer) | Arrival::Refused(Refused { answer, .. }) = arrival {
            assert!(answer.len() <= wild.len(), "{} for {}", answer.len(), wild.len());
        }
    }
}
