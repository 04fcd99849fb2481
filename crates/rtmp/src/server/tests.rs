//! Our client against our server, and what misbehaving peers can do.

use super::*;
use crate::adobe;
use crate::{ClientConfig, ClientEvent, ClientOutput, ClientSession};
use testkit::Random;

fn server() -> ServerSession {
    ServerSession::new(&ServerConfig::default(), testkit::epoch(), [7; PACKET_BYTES])
}

fn config(name: &str) -> ClientConfig {
    ClientConfig { app: "live".into(), name: name.into(), tc_url: "rtmp://host/live".into() }
}

/// Both sides, with all that crosses the wire.
struct Pair {
    client: ClientSession,
    server: ServerSession,
    step: usize,
    to_server: Vec<u8>,
    server_events: Vec<Event>,
    client_events: Vec<ClientEvent>,
}

impl Pair {
    fn new(client: ClientSession, step: usize) -> Pair {
        Pair {
            client,
            server: server(),
            step,
            to_server: vec![],
            server_events: vec![],
            client_events: vec![],
        }
    }

    /// Carries bytes in pieces of `step` until nobody has anything to say; accepts every request.
    fn drive(&mut self) {
        loop {
            let mut quiet = true;
            while let Some(output) = self.client.poll_output() {
                quiet = false;
                match output {
                    ClientOutput::Event(event) => self.client_events.push(event),
                    ClientOutput::Send(bytes) => {
                        self.to_server.extend_from_slice(&bytes);
                        bytes.chunks(self.step).for_each(|b| self.server.handle_input(b).unwrap());
                    }
                }
            }
            while let Some(output) = self.server.poll_output() {
                quiet = false;
                match output {
                    Output::Send(bytes) => {
                        bytes.chunks(self.step).for_each(|b| self.client.handle_input(b).unwrap());
                    }
                    Output::Event(event) => {
                        match &event {
                            Event::Connect(_) => {
                                self.server.accept_connect();
                                self.server.handle_input(&[]).unwrap();
                                continue;
                            }
                            Event::Publish(r) => self.server.accept_publish(r.id),
                            Event::Play(r) => self.server.accept_play(r.id),
                            _ => {}
                        }
                        self.server_events.push(event);
                    }
                }
            }
            if quiet {
                return;
            }
        }
    }
}

#[test]
fn a_publisher_is_heard_whatever_the_packets_sizes() {
    for step in [1, 13, 1460, 100_000] {
        let mut pair = Pair::new(ClientSession::publish(config("x?key=k"), &[3; PACKET_BYTES]), step);
        pair.drive();
        assert_eq!(pair.client_events, [ClientEvent::Ready]);
        pair.client.send_media(MediaKind::Video, 40, &[&[0x17, 1], &[5; 70_000]]);
        pair.client.send_media(MediaKind::Audio, 45, &[&[0xaf, 1, 2]]);
        pair.drive();
        let Event::Publish(request) = &pair.server_events[0] else { panic!("no request") };
        assert_eq!(
            (request.app.as_str(), request.name.as_str(), request.query.as_str()),
            ("live", "x", "key=k")
        );
        let Event::Media { kind: MediaKind::Video, timestamp: 40, body } = &pair.server_events[1] else {
            panic!("no video: {:?}", pair.server_events)
        };
        assert_eq!(body.len(), 70_002);
        assert!(matches!(pair.server_events[2], Event::Media { kind: MediaKind::Audio, timestamp: 45, .. }));
    }
}

#[test]
fn a_player_is_told_that_it_plays() {
    let mut pair = Pair::new(ClientSession::play(config("x"), &[3; PACKET_BYTES]), 100);
    pair.drive();
    assert!(pair.client_events.contains(&ClientEvent::Ready));
    assert_eq!(pair.server.message_stream(), 1);
}

#[test]
fn a_refused_publisher_is_told_why() {
    let mut client = ClientSession::publish(config("x"), &[3; PACKET_BYTES]);
    let mut server = server();
    let mut rejected = None;
    for _ in 0..20 {
        while let Some(output) = client.poll_output() {
            match output {
                ClientOutput::Send(bytes) => server.handle_input(&bytes).unwrap(),
                ClientOutput::Event(event) => rejected = Some(event),
            }
        }
        while let Some(output) = server.poll_output() {
            match output {
                Output::Send(bytes) => client.handle_input(&bytes).unwrap(),
                Output::Event(Event::Connect(_)) => server.accept_connect(),
                Output::Event(Event::Publish(r)) => {
                    server.reject(r.id, RejectCode::PublishDenied, "wrong key");
                }
                Output::Event(_) => {}
            }
        }
    }
    let expect = ClientEvent::Rejected("NetStream.Publish.Denied".into(), "wrong key".into());
    assert_eq!(rejected, Some(expect));
}

/// A server whose handshake is over, and what it says to `message`.
fn say(kind: MessageKind, payload: &[u8]) -> (ServerSession, Vec<u8>) {
    let mut server = server();
    server.handle_input(&handshake::open(&[1; PACKET_BYTES])).unwrap();
    server.handle_input(&[0; PACKET_BYTES]).unwrap();
    while server.poll_output().is_some() {}
    let mut out = BytesMut::new();
    chunk::write_message(&mut out, 3, kind, 0, 0, 128, &[payload]);
    server.handle_input(&out).unwrap();
    let mut said = Vec::new();
    while let Some(output) = server.poll_output() {
        if let Output::Send(bytes) = output {
            said.extend_from_slice(&bytes);
        }
    }
    (server, said)
}

fn command(name: &str, transaction: f64) -> BytesMut {
    let mut body = BytesMut::new();
    Value::from(name).write(&mut body);
    Value::from(transaction).write(&mut body);
    Value::Null.write(&mut body);
    body
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|w| w == text.as_bytes())
}

#[test]
fn unknown_commands_get_an_error_and_no_close() {
    let (_, said) = say(MessageKind::CommandAmf0, &command("makeCoffee", 9.0));
    assert!(contains(&said, "_error") && contains(&said, "makeCoffee"));
    let amf3 = [&[0][..], &command("makeTea", 9.0)].concat();
    assert!(contains(&say(MessageKind::CommandAmf3, &amf3).1, "makeTea"));
}

#[test]
fn pings_are_answered() {
    let (_, said) = say(MessageKind::UserControl, &[0, 6, 1, 2, 3, 4]);
    assert!(said.ends_with(&[0, 7, 1, 2, 3, 4]));
}

#[test]
fn acknowledgements_come_without_being_asked_for() {
    let (mut server, _) = say(MessageKind::WindowAckSize, &20_000u32.to_be_bytes());
    let mut out = BytesMut::new();
    chunk::write_message(&mut out, 3, MessageKind::DataAmf0, 0, 0, 128, &[&[0; 30_000]]);
    server.handle_input(&out).unwrap();
    let Some(Output::Send(ack)) = server.poll_output() else { panic!("no acknowledgement") };
    assert_eq!(ack[7], MessageKind::Acknowledgement as u8);
}

#[test]
fn aggregates_are_split_and_their_times_moved() {
    let mut pair = Pair::new(ClientSession::publish(config("x"), &[3; PACKET_BYTES]), 1000);
    pair.drive();
    let tag = |kind: u8, time: u8, body: &[u8]| {
        let head = [kind, 0, 0, body.len() as u8, 0, 0, time, 0, 0, 0, 0];
        [&head[..], body, &[0, 0, 0, 11 + body.len() as u8]].concat()
    };
    let body = [tag(8, 10, &[0xaf, 1, 1]), tag(9, 30, &[0x27, 1, 2])].concat();
    let mut out = BytesMut::new();
    chunk::write_message(&mut out, 3, MessageKind::Aggregate, 1, 1000, crate::OUT_CHUNK_BYTES, &[&body]);
    pair.server.handle_input(&out).unwrap();
    pair.drive();
    let times = pair.server_events.iter().filter_map(|e| match e {
        Event::Media { timestamp, .. } => Some(*timestamp),
        _ => None,
    });
    assert_eq!(times.collect::<Vec<_>>(), [1000, 1020]);
}

#[test]
fn a_peer_that_says_nothing_times_out() {
    let now = testkit::epoch();
    let mut server = ServerSession::new(&ServerConfig::default(), now, [0; PACKET_BYTES]);
    assert_eq!(server.handle_timeout(now), Ok(()));
    let deadline = server.poll_timeout().unwrap();
    assert_eq!(server.handle_timeout(deadline), Err(Error::Timeout));
}

/// A recorded exchange: what a publisher sends until media flows, and some media.
fn recorded() -> Vec<u8> {
    let mut pair = Pair::new(ClientSession::publish(config("x?key=k"), &[3; PACKET_BYTES]), 4096);
    pair.drive();
    for i in 0..20 {
        pair.client.send_media(MediaKind::Video, i * 33, &[&[0x27, 1, 0, 0, 0], &[i as u8; 900]]);
        pair.client.send_media(MediaKind::Audio, i * 33, &[&[0xaf, 1], &[1; 90]]);
    }
    pair.drive();
    pair.to_server
}

fn feed(bytes: &[u8], random: &mut Random) {
    let mut server = server();
    let mut rest = bytes;
    while !rest.is_empty() {
        let (now, later) = rest.split_at((1 + random.below(3000)).min(rest.len()));
        if server.handle_input(now).is_err() {
            return;
        }
        while let Some(output) = server.poll_output() {
            match output {
                Output::Event(Event::Connect(_)) => server.accept_connect(),
                Output::Event(Event::Publish(r)) => server.accept_publish(r.id),
                Output::Event(Event::Play(r)) => server.accept_play(r.id),
                _ => {}
            }
        }
        rest = later;
    }
}

#[test]
fn fuzz_mutated_publishers_never_panic_the_server() {
    let recorded = recorded();
    let hello = 1 + 2 * PACKET_BYTES;
    let mut random = Random::seeded(1);
    for _ in 0..3000 {
        // The handshake stays, or nearly all cases would end there.
        let bytes = [&recorded[..hello], &random.mutate(&recorded[hello..])].concat();
        feed(&bytes, &mut random);
    }
}

/// C0, C1 and C2 of a client without digest, or with one of either scheme.
fn hello(random: &mut Random, digest: Option<usize>) -> Vec<u8> {
    let c1: [u8; PACKET_BYTES] = random.bytes(PACKET_BYTES).try_into().unwrap();
    let mut hello = match digest {
        Some(scheme) => handshake::open_with_digest(&c1, scheme),
        None => handshake::open(&c1),
    };
    hello.extend_from_slice(&random.bytes(PACKET_BYTES));
    hello
}

#[test]
fn fuzz_handshakes_with_and_without_digest_never_panic_and_whole_ones_succeed() {
    let rest = recorded().split_off(1 + 2 * PACKET_BYTES);
    let mut random = Random::seeded(4);
    for round in 0..1500 {
        let digest = [None, Some(0), Some(1)][round % 3];
        let hello = hello(&mut random, digest);
        let mut server = server();
        for piece in hello.chunks(1 + random.below(3000)) {
            server.handle_input(piece).unwrap();
        }
        let Some(Output::Send(answer)) = server.poll_output() else { panic!("no answer") };
        assert_eq!(answer.len(), 1 + 2 * PACKET_BYTES);
        assert_eq!(answer[5] != 0, digest.is_some(), "S1 has a version where it has a digest");
        server.handle_input(&rest).unwrap();
        assert!(matches!(server.poll_output(), Some(Output::Event(Event::Connect(_)))), "{digest:?}");
        // Damaged anywhere, and what follows moved by what was cut or put in.
        let damaged = [random.mutate(&hello), rest.clone()].concat();
        feed(&damaged, &mut random);
        // Damaged where the offset of a digest is told, to its extremes.
        let mut damaged = hello;
        let at = 1 + [8, 772][random.below(2)];
        damaged[at..at + 4].fill([0, 0x7f, 0xff][random.below(3)]);
        feed(&damaged, &mut random);
    }
}

#[test]
fn fuzz_random_bytes_never_panic_the_server() {
    let mut random = Random::seeded(2);
    for _ in 0..2000 {
        let mut bytes = handshake::open(&[1; PACKET_BYTES]);
        bytes.extend_from_slice(&[0; PACKET_BYTES]);
        let length = random.below(4000);
        bytes.extend_from_slice(&random.bytes(length));
        if random.below(10) == 0 {
            bytes = random.bytes(4000);
        }
        feed(&bytes, &mut random);
    }
}

#[test]
fn fuzz_amf_never_panics() {
    let mut good = BytesMut::new();
    Value::object(&[("app", "live".into()), ("n", 3.0.into()), ("a", Value::Array(vec![Value::Null]))])
        .write(&mut good);
    let mut random = Random::seeded(3);
    for _ in 0..5000 {
        let _ = crate::amf::read_all(&random.mutate(&good));
        let length = random.below(200);
        let mut bytes = random.bytes(length);
        bytes.insert(0, 17);
        let _ = crate::amf::read_all(&bytes);
    }
}

#[test]
fn a_peer_that_can_reconnect_is_asked_to_once_and_others_never() {
    let mut pair = Pair::new(ClientSession::publish(config("x"), &[0; PACKET_BYTES]), 1000);
    pair.drive();
    pair.server.request_reconnect("an upgrade");
    pair.server.request_reconnect("an upgrade");
    pair.drive();
    assert_eq!(pair.client_events.iter().filter(|e| **e == ClientEvent::Reconnect).count(), 1);
    let mut plain = server();
    plain.request_reconnect("an upgrade");
    assert_eq!(plain.poll_output(), None);
}

#[test]
fn a_publisher_that_says_goodbye_is_heard_and_its_metadata_comes_unwrapped() {
    let mut pair = Pair::new(ClientSession::publish(config("x"), &[3; PACKET_BYTES]), 1000);
    pair.drive();
    let mut body = BytesMut::new();
    Value::from("onMetaData").write(&mut body);
    pair.client.send_metadata(0, &body);
    pair.drive();
    let Some(Event::Media { kind: MediaKind::Data, body: came, .. }) = pair.server_events.last() else {
        panic!("{:?}", pair.server_events)
    };
    assert_eq!(came[..], body[..]);
    pair.client.finish();
    pair.drive();
    assert_eq!(pair.server_events.last(), Some(&Event::PublishEnded));
}

/// What a server with a user answers to a publisher whose app is this, and whether it let it in.
fn log_in(app: &str, name: &str) -> (Option<String>, Vec<Event>) {
    const OPAQUE: &str = "c2FsdHkxMTIyMzM0NDU1NjY3";
    let config = ClientConfig { app: app.to_owned(), ..config(name) };
    let mut client = ClientSession::publish(config, &[3; PACKET_BYTES]);
    let (mut server, mut events, mut told) = (server(), vec![], None);
    for _ in 0..20 {
        while let Some(output) = client.poll_output() {
            match output {
                ClientOutput::Send(bytes) => server.handle_input(&bytes).unwrap(),
                ClientOutput::Event(ClientEvent::Rejected(_, text)) => told = Some(text),
                ClientOutput::Event(_) => {}
            }
        }
        while let Some(output) = server.poll_output() {
            let event = match output {
                Output::Send(bytes) => {
                    client.handle_input(&bytes).unwrap();
                    continue;
                }
                Output::Event(event) => event,
            };
            if let Event::Connect(connect) = &event {
                let refusal = match &connect.login {
                    Login::Silent => Some(adobe::Refusal::NameUser),
                    Login::User(user) => {
                        let challenge = adobe::Challenge::new(OPAQUE).unwrap();
                        Some(adobe::Refusal::Answer { user, challenge })
                    }
                    Login::Answer(answer) if answer.proves("right-password") => None,
                    Login::Answer(answer) => Some(adobe::Refusal::Failed { user: answer.user() }),
                };
                match refusal {
                    Some(refusal) => server.reject_connect(&refusal.description()),
                    None => server.accept_connect(),
                }
                server.handle_input(&[]).unwrap();
            }
            events.push(event);
        }
    }
    (told, events)
}

#[test]
fn a_user_names_itself_answers_and_is_in_on_the_third_connection() {
    let mut app = "live".to_owned();
    for _ in 0..2 {
        let (told, events) = log_in(&app, "x");
        assert_eq!(events.len(), 1, "asks before it is in: {events:?}");
        let query = adobe::client_query(&told.unwrap(), "alice", "right-password", "c0ffee").unwrap();
        app = format!("live{query}");
    }
    let (told, events) = log_in(&app, "x?a=b");
    let Some(Event::Publish(request)) = events.last() else { panic!("{told:?}") };
    assert_eq!((request.app.as_str(), request.name.as_str()), ("live", "x"));
    assert_eq!(request.query, "a=b&authmod=adobe&user=alice");
}

#[test]
fn a_wrong_password_fails_in_the_words_of_the_protocol() {
    let (told, _) = log_in("live?authmod=adobe&user=alice", "x");
    let query = adobe::client_query(&told.unwrap(), "alice", "wrong-password", "c0ffee").unwrap();
    let (told, events) = log_in(&format!("live{query}"), "x");
    assert_eq!(events.len(), 1);
    assert!(told.unwrap().contains("?reason=authfailed"));
}
