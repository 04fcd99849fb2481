//! What servers say that ours doesn't.

use super::*;
use crate::amf::Value;
use crate::wire::{COMMAND_CHUNK_STREAM, CONTROL_CHUNK_STREAM};
use testkit::Random;

fn config() -> ClientConfig {
    ClientConfig { app: "live".into(), name: "x".into(), tc_url: "rtmp://host/live".into() }
}

/// A session whose handshake is done.
fn open(session: fn(ClientConfig, &[u8; PACKET_BYTES]) -> ClientSession) -> ClientSession {
    let mut session = session(config(), &[3; PACKET_BYTES]);
    let mut hello = vec![3];
    hello.extend_from_slice(&[7; 2 * PACKET_BYTES]);
    session.handle_input(&hello).unwrap();
    drain(&mut session);
    session
}

fn drain(session: &mut ClientSession) -> Vec<ClientOutput> {
    std::iter::from_fn(|| session.poll_output()).collect()
}

fn message(kind: MessageKind, chunk_stream: u8, time: u32, parts: &[&[u8]]) -> BytesMut {
    let mut out = BytesMut::new();
    chunk::write_message(&mut out, chunk_stream, kind, 1, time, chunk::DEFAULT_CHUNK_BYTES, parts);
    out
}

fn command(values: &[Value]) -> BytesMut {
    let mut body = BytesMut::new();
    values.iter().for_each(|v| v.write(&mut body));
    message(MessageKind::CommandAmf0, COMMAND_CHUNK_STREAM, 0, &[&body])
}

fn events(session: &mut ClientSession, input: &[u8]) -> Vec<ClientEvent> {
    session.handle_input(input).unwrap();
    let outputs = drain(session).into_iter();
    let events = outputs.filter_map(|o| if let ClientOutput::Event(e) = o { Some(e) } else { None });
    events.collect()
}

fn status(level: &str, code: &str) -> BytesMut {
    let info = Value::object(&[("level", level.into()), ("code", code.into()), ("description", "d".into())]);
    command(&["onStatus".into(), 0.0.into(), Value::Null, info])
}

#[test]
fn a_ping_is_answered() {
    let mut session = open(ClientSession::play);
    let ping = message(MessageKind::UserControl, CONTROL_CHUNK_STREAM, 0, &[&[0, 6, 1, 2, 3, 4]]);
    session.handle_input(&ping).unwrap();
    let [ClientOutput::Send(answer)] = &drain(&mut session)[..] else { panic!("one answer") };
    assert!(answer.ends_with(&[0, 7, 1, 2, 3, 4]), "{answer:?}");
}

#[test]
fn what_is_received_is_acknowledged_by_the_servers_window() {
    let mut session = open(ClientSession::play);
    let window = message(MessageKind::WindowAckSize, CONTROL_CHUNK_STREAM, 0, &[&20_000u32.to_be_bytes()]);
    session.handle_input(&window).unwrap();
    let media = message(MessageKind::Video, VIDEO_CHUNK_STREAM, 0, &[&[0x17; 30_000]]);
    session.handle_input(&media).unwrap();
    let sends = drain(&mut session).into_iter().filter(|o| matches!(o, ClientOutput::Send(_))).count();
    assert_eq!(sends, 1);
}

#[test]
fn refusals_redirects_and_ends_are_told_apart() {
    let mut session = open(ClientSession::play);
    let ex = Value::object(&[("code", 302.0.into()), ("redirect", "rtmp://other/live".into())]);
    let info = Value::object(&[("level", "error".into()), ("code", "r".into()), ("ex", ex)]);
    let redirect = command(&["_error".into(), 1.0.into(), Value::Null, info]);
    assert_eq!(events(&mut session, &redirect), [ClientEvent::Redirected("rtmp://other/live".into())]);
    let missing = "NetStream.Play.StreamNotFound";
    let rejected = ClientEvent::Rejected(missing.into(), "d".into());
    assert_eq!(events(&mut session, &status("error", missing)), [rejected]);
    let closed = "NetConnection.Connect.Closed";
    let rejected = ClientEvent::Rejected(closed.into(), "d".into());
    assert_eq!(events(&mut session, &status("status", closed)), [rejected]);
    assert_eq!(events(&mut session, &status("status", "NetStream.Play.Reset")), []);
    assert_eq!(
        events(&mut session, &status("status", "NetStream.Play.UnpublishNotify")),
        [ClientEvent::Ended]
    );
}

#[test]
fn the_end_of_the_message_stream_is_the_end() {
    let mut session = open(ClientSession::play);
    let eof = message(MessageKind::UserControl, CONTROL_CHUNK_STREAM, 0, &[&[0, 1, 0, 0, 0, 1]]);
    assert_eq!(events(&mut session, &eof), [], "nothing plays yet");
    let created = command(&["_result".into(), 4.0.into(), Value::Null, 1.0.into()]);
    assert_eq!(events(&mut session, &created), []);
    assert_eq!(events(&mut session, &eof), [ClientEvent::Ended]);
}

#[test]
fn aggregates_and_amf3_are_read() {
    let mut session = open(ClientSession::play);
    let tag = [9, 0, 0, 2, 0, 0, 40, 0, 0, 0, 0, 0x27, 1, 0, 0, 0, 13];
    let aggregate = message(MessageKind::Aggregate, VIDEO_CHUNK_STREAM, 1000, &[&tag, &tag]);
    let times = events(&mut session, &aggregate).into_iter().map(|e| match e {
        ClientEvent::Media { kind: MediaKind::Video, timestamp, .. } => timestamp,
        other => panic!("{other:?}"),
    });
    assert_eq!(times.collect::<Vec<_>>(), [1000, 1000]);
    let mut body = BytesMut::from(&[0][..]);
    let info = Value::object(&[("code", "NetStream.Play.Start".into())]);
    let values = ["onStatus".into(), 0.0.into(), Value::Null, info];
    values.iter().for_each(|v: &Value| v.write(&mut body));
    let start = message(MessageKind::CommandAmf3, COMMAND_CHUNK_STREAM, 0, &[&body]);
    assert_eq!(events(&mut session, &start), [ClientEvent::Ready]);
}

#[test]
fn fuzz_what_servers_send() {
    let mut random = Random::seeded(11);
    let good = [
        status("error", "NetStream.Play.StreamNotFound"),
        message(MessageKind::UserControl, CONTROL_CHUNK_STREAM, 0, &[&[0, 6, 1, 2, 3, 4]]),
        command(&["_result".into(), 1.0.into()]),
        command(&["_result".into(), 4.0.into(), Value::Null, 1.0.into()]),
        message(MessageKind::Aggregate, VIDEO_CHUNK_STREAM, 9, &[&[9, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1]]),
    ]
    .concat();
    for _ in 0..5000 {
        let mut session = open(ClientSession::play);
        // Errors are fine, panics are not.
        let _ = session.handle_input(&random.mutate(&good));
        drain(&mut session);
    }
}
