//! Who may publish, and what becomes of the viewers when a publisher goes.

use anyhow::{Context, Result, ensure};
use bytes::BytesMut;
use e2e::compare::publish;
use e2e::playlist::Playlist;
use e2e::wait::{Look, until};
use e2e::{Answer, Peer, Publisher, Server, Tool, Viewer, clips, http};
use rtmp::amf::Value;
use rtmp::{ClientEvent, MessageKind};
use std::io::{Read, Write};
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(20);
const KEYED: &str = "[publish]\nstream_key = \"s3cret\"\n";

fn refusal(server: &Server, name: &str) -> Result<String> {
    Peer::publish(server.ports.rtmp, name)?.1.refusal().with_context(|| name.to_owned())
}

#[test]
fn a_missing_and_a_wrong_stream_key_are_refused_with_a_reason() -> Result<()> {
    let server = Server::serve(KEYED)?;
    let missing = refusal(&server, "x")?;
    ensure!(missing == "a stream key is needed: publish to …/NAME?key=YOUR_KEY", "{missing}");
    for wrong in ["x?key=", "x?key=s3cre", "x?key=s3cret2", "x?KEY=s3cret", "x?a=key=s3cret"] {
        let text = refusal(&server, wrong)?;
        ensure!(text == "the stream key is wrong" || text == missing, "{wrong}: {text}");
    }
    let (_peer, answer) = Peer::publish(server.ports.rtmp, "x?key=s3cret")?;
    ensure!(answer == Answer::Ready, "{answer:?}");
    Ok(())
}

#[test]
fn ffmpeg_shows_its_user_why_it_is_refused() -> Result<()> {
    let clip = clips::h264_aac()?;
    let server = Server::serve(KEYED)?;
    let refused = publish(&clip, "", &server.rtmp("/live/x?key=wrong"))?.finish(LIMIT)?;
    ensure!(!refused.status.success() && refused.log.contains("the stream key is wrong"), "{refused}");
    let mut accepted = publish(&clip, "", &server.rtmp("/live/x?key=s3cret&a=b"))?;
    server.wait_live("live/x")?;
    ensure!(accepted.is_running()?, "{}", accepted.finish(LIMIT)?);
    Ok(())
}

#[test]
fn without_a_configured_key_nobody_publishes() -> Result<()> {
    let server = Server::serve("")?;
    for name in ["x", "x?key=", "x?key=anything"] {
        let text = refusal(&server, name)?;
        ensure!(
            text.starts_with("this server has no stream key configured, so nobody can publish"),
            "{text}"
        );
    }
    ensure!(server.log().contains("nobody can publish yet"), "{}", server.log());
    Ok(())
}

#[test]
fn a_query_in_the_name_is_not_part_of_the_name() -> Result<()> {
    let clip = clips::h264_aac()?;
    let server = Server::serve(KEYED)?;
    let _publisher = Publisher::start(server.ports.rtmp, "x?a=b&key=s3cret&c=%20d", &clip)?;
    server.wait_live("live/x")?;
    let (_player, answer) = Peer::play(server.ports.rtmp, "x?token=1")?;
    ensure!(answer == Answer::Ready, "{answer:?}");
    let (head, _) = http::Connection::open(server.ports.http)?.endless("/live/x.flv?a=b", &[])?;
    ensure!(head.status == 200, "{head:?}");
    Ok(())
}

#[test]
fn a_second_publisher_is_rejected_and_the_first_goes_on() -> Result<()> {
    let clip = clips::h264_aac()?;
    let server = Server::serve(KEYED)?;
    let _first = Publisher::start(server.ports.rtmp, "x?key=s3cret", &clip)?;
    server.wait_live("live/x")?;
    let mut viewer = Viewer::open(&server, "/live/x.flv")?;
    viewer.watch(Duration::from_millis(500))?;
    let text = refusal(&server, "x?key=s3cret")?;
    ensure!(text == "the path is occupied by another publisher", "{text}");
    viewer.watch(Duration::from_secs(2))?;
    ensure!(viewer.steps_max_ms < 1000, "the picture stood still for {} ms", viewer.steps_max_ms);
    Ok(())
}

#[test]
fn a_second_publisher_takes_over_and_viewers_stay() -> Result<()> {
    let clip = clips::h264_aac()?;
    let server = Server::serve("[publish]\nstream_key = \"s3cret\"\ncollision = \"takeover\"\n")?;
    let first = Publisher::start(server.ports.rtmp, "x?key=s3cret", &clip)?;
    server.wait_live("live/x")?;
    let mut viewer = Viewer::open(&server, "/live/x.flv")?;
    viewer.watch(Duration::from_millis(500))?;
    let _second = Publisher::start(server.ports.rtmp, "x?key=s3cret", &clip)?;
    let why = first.ended(LIMIT).context("the first publisher")?;
    ensure!(why != "the clip is over", "the first publisher could send it all");
    viewer.watch(Duration::from_secs(3))?;
    ensure!(viewer.keyframes > 0, "no keyframe of the second publisher came");
    Ok(())
}

fn playlist(server: &Server) -> Result<Playlist> {
    let answer = http::fetch(server.ports.http, "/live/x/video/index.m3u8", &[])?;
    ensure!(answer.status == 200, "{answer:?}: {:?}", answer.text());
    Playlist::parse(&answer.text()?)
}

#[test]
fn a_publisher_who_is_killed_and_comes_back_finds_its_viewers() -> Result<()> {
    let clip = clips::h264_aac()?;
    let server = Server::serve("[publish]\nstream_key = \"s3cret\"\ngrace = \"10s\"\n")?;
    let url = server.rtmp("/live/x?key=s3cret");
    let mut publisher = publish(&clip, "", &url)?;
    server.wait_live("live/x")?;
    let mut viewer = Viewer::open(&server, "/live/x.flv")?;
    let before = playlist(&server)?;
    viewer.watch(Duration::from_secs(4))?;
    let last_before = viewer.last_ms[1].context("no picture came")?;

    publisher.kill()?;
    let gone = Instant::now();
    let _back = publish(&clip, "", &url)?;
    viewer.keyframes = 0;
    while viewer.keyframes < 2 {
        ensure!(viewer.one()?, "the viewer lost its connection {:?} after the publisher", gone.elapsed());
        ensure!(gone.elapsed() < LIMIT, "no keyframe came");
    }
    let last = viewer.last_ms[1].unwrap_or(0);
    let real = u32::try_from(gone.elapsed().as_millis())?;
    ensure!(
        last > last_before && last - last_before < real + 1500,
        "{last_before} ms went on to {last} in {real} ms"
    );
    viewer.watch(Duration::from_secs(4))?;

    let after = playlist(&server)?;
    ensure!(!after.ended && after.first_msn >= before.first_msn, "from {before:?}\nto {after:?}");
    for segment in &before.segments {
        if let Some(same) = after.segments.iter().find(|s| s.msn == segment.msn) {
            ensure!(
                same.uri == segment.uri && same.duration == segment.duration,
                "{segment:?} became {same:?}"
            );
        }
    }
    let breaks: Vec<_> = after.segments.iter().filter(|s| s.discontinuity).map(|s| s.msn).collect();
    ensure!(
        breaks.len() == 1 && breaks[0] >= before.next_msn(),
        "discontinuities at {breaks:?} in {after:?}"
    );
    Ok(())
}

#[test]
fn a_player_of_hls_goes_on_through_a_reconnect() -> Result<()> {
    let clip = clips::h264_aac()?;
    let server = Server::serve(KEYED)?;
    let url = server.rtmp("/live/x?key=s3cret");
    let mut publisher = publish(&clip, "", &url)?;
    server.wait_live("live/x")?;
    let player =
        Tool::ffmpeg().words("-i").arg(server.http("/live/x/index.m3u8")).words("-t 10 -c copy -f null -");
    let player = player.start()?;
    until(LIMIT, "the player loads segments", || {
        let list = playlist(&server)?;
        Ok(if list.segments.len() >= 2 { Look::Found(()) } else { Look::NotYet(format!("{list:?}")) })
    })?;
    publisher.kill()?;
    let _back = publish(&clip, "", &url)?;
    let played = player.finish(Duration::from_secs(40))?;
    ensure!(played.status.success(), "{played}");
    Ok(())
}

#[test]
fn after_the_grace_window_viewers_are_ended() -> Result<()> {
    let clip = clips::h264_aac()?;
    let server = Server::serve("[publish]\nstream_key = \"s3cret\"\ngrace = \"2s\"\n")?;
    let publisher = Publisher::start(server.ports.rtmp, "x?key=s3cret", &clip)?;
    server.wait_live("live/x")?;
    let mut viewer = Viewer::open(&server, "/live/x.flv")?;
    let (mut player, answer) = Peer::play(server.ports.rtmp, "x")?;
    ensure!(answer == Answer::Ready, "{answer:?}");
    viewer.watch(Duration::from_secs(1))?;
    drop(publisher);
    let gone = Instant::now();
    while viewer.one()? {}
    let after = gone.elapsed();
    ensure!(
        after > Duration::from_millis(1500) && after < Duration::from_secs(4),
        "it ended after {after:?}"
    );
    let mut told = false;
    while let Some(event) = player.event()? {
        told |= event == ClientEvent::Ended;
    }
    ensure!(told, "the RTMP player was not told that the broadcast is over");
    let (head, _) = http::Connection::open(server.ports.http)?.endless("/live/x.flv", &[])?;
    ensure!(head.status == 404, "{head:?}");
    Ok(())
}

#[test]
fn an_unknown_command_gets_an_error_and_the_publisher_goes_on() -> Result<()> {
    let clip = clips::h264_aac()?;
    let server = Server::demo(&[])?;
    let (mut peer, answer) = Peer::publish(server.ports.rtmp, "x")?;
    ensure!(answer == Answer::Ready, "{answer:?}");
    let mut body = BytesMut::new();
    for value in [Value::from("fooBar"), Value::from(77.0), Value::Null] {
        value.write(&mut body);
    }
    let mut message = BytesMut::new();
    const COMMAND_CHUNK_STREAM: u8 = 3;
    rtmp::write_message(
        &mut message,
        COMMAND_CHUNK_STREAM,
        MessageKind::CommandAmf0,
        0,
        0,
        rtmp::OUT_CHUNK_BYTES,
        &[&body],
    );
    let mut socket = peer.socket()?;
    socket.write_all(&message)?;
    let mut seen = Vec::new();
    let mut error = BytesMut::new();
    Value::from("_error").write(&mut error);
    Value::from(77.0).write(&mut error);
    while !seen.windows(error.len()).any(|window| window == &error[..]) {
        let mut buffer = [0; 1024];
        let count = socket.read(&mut buffer).with_context(|| format!("no _error in {seen:02x?}"))?;
        ensure!(count > 0, "the server closed the connection: {seen:02x?}");
        seen.extend_from_slice(&buffer[..count]);
    }
    let shown = String::from_utf8_lossy(&seen).into_owned();
    ensure!(shown.contains("this server has no command fooBar"), "{shown}");
    for tag in clip.tags()?.iter().take(100) {
        peer.send(tag.kind, tag.time_ms, &tag.body)?;
    }
    server.wait_live("live/x")
}
