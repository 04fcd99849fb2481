//! What changes while people watch: the picture's size, and the server's own end.

use anyhow::{Context, Result, ensure};
use e2e::compare::{probe, track};
use e2e::http::{Connection, fetch};
use e2e::playlist::Playlist;
use e2e::wait::{Look, until};
use e2e::{Publisher, Server, Tool, Viewer, clips, websocket};
use std::io::Read;
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(20);

#[test]
fn a_changed_picture_size_is_a_discontinuity_with_a_new_init_segment() -> Result<()> {
    let server = Server::serve("[publish]\nstream_key = \"s3cret\"\ncollision = \"takeover\"\n")?;
    let (port, target) = (server.ports.rtmp, "/live/x/video/index.m3u8");
    let _large = Publisher::start(port, "x?key=s3cret", &clips::h264_aac()?)?;
    server.wait_live("live/x")?;
    let before = Playlist::parse(&fetch(server.ports.http, target, &[])?.text()?)?;
    let init_before = before.segments.last().and_then(|s| s.init.clone()).context("no init segment")?;
    let _small = Publisher::start(port, "x?key=s3cret", &clips::long()?)?;
    let (after, changed) = until(LIMIT, "a segment of the new size", || {
        let list = Playlist::parse(&fetch(server.ports.http, target, &[])?.text()?)?;
        let changed = list.segments.iter().position(|s| s.init.as_deref() != Some(&*init_before));
        Ok(match changed {
            Some(at) => Look::Found((list, at)),
            None => Look::NotYet(format!("{list:?}")),
        })
    })?;
    ensure!(after.segments[changed].discontinuity, "no discontinuity at {changed} of {after:?}");
    let breaks = after.segments.iter().filter(|s| s.discontinuity).count();
    ensure!(breaks == 1, "{breaks} discontinuities in {after:?}");
    for (segment, width) in [(&after.segments[changed - 1], 320), (&after.segments[changed], 160)] {
        let file = server.file("segment.mp4");
        let mut bytes = Vec::new();
        for name in [segment.init.as_deref().context("no init segment")?, &segment.uri] {
            bytes.extend(fetch(server.ports.http, &format!("/live/x/video/{name}"), &[])?.body);
        }
        std::fs::write(&file, bytes)?;
        let tracks = probe(&file.to_string_lossy())?;
        ensure!(track(&tracks, "video")?["width"] == width, "{segment:?}: {tracks}");
    }
    Ok(())
}

#[test]
fn a_changed_picture_size_comes_to_flv_viewers_as_a_new_configuration_in_its_time() -> Result<()> {
    let server = Server::serve("[publish]\nstream_key = \"s3cret\"\ncollision = \"takeover\"\n")?;
    let _large = Publisher::start(server.ports.rtmp, "x?key=s3cret", &clips::h264_aac()?)?;
    server.wait_live("live/x")?;
    let mut viewer = Viewer::open(&server, "/live/x.flv")?;
    viewer.watch(Duration::from_secs(1))?;
    let known = viewer.configurations;
    let _small = Publisher::start(server.ports.rtmp, "x?key=s3cret", &clips::long()?)?;
    viewer.watch(Duration::from_secs(2))?;
    ensure!(viewer.configurations > known, "no new configuration came: {viewer:?}");
    let tracks = probe(&server.http("/live/x.flv"))?;
    ensure!(track(&tracks, "video")?["width"] == 160, "{tracks}");
    Ok(())
}

#[test]
fn a_server_that_is_asked_to_stop_ends_everybody_and_exits() -> Result<()> {
    let mut server = Server::demo(&[])?;
    let publisher = Publisher::start(server.ports.rtmp, "x", &clips::h264_aac()?)?;
    server.wait_live("live/x")?;
    let list = Playlist::parse(&fetch(server.ports.http, "/live/x/video/index.m3u8", &[])?.text()?)?;
    let mut viewer = Viewer::open(&server, "/live/x.flv")?;
    let mut payload = websocket::open(server.ports.http, "/live/x.flv")?;
    let idle = Connection::open(server.ports.http)?;
    let port = server.ports.http;
    // Held by the server when it is asked.
    let target = format!("/live/x/video/index.m3u8?_HLS_msn={}", list.next_msn() + 1);
    let held = std::thread::spawn(move || fetch(port, &target, &[]));
    viewer.watch(Duration::from_millis(500))?;
    Tool::new("kill").words("-TERM").arg(server.pid().to_string()).succeed(LIMIT)?;
    let asked = Instant::now();
    let status = server.exit(Duration::from_secs(5))?;
    ensure!(status.success(), "{status} after {:?}", asked.elapsed());
    while viewer.one()? {}
    let mut rest = Vec::new();
    payload.read_to_end(&mut rest).context("the WebSocket was not closed in order")?;
    // Whether it is answered or cut off, it ends.
    let _ = held.join();
    drop(idle);
    publisher.ended(LIMIT)?;
    Ok(())
}

#[test]
fn sigterm_lets_nobody_in_and_those_who_watch_go_on_until_they_are_done() -> Result<()> {
    let mut server = Server::serve(&keyed("[shutdown]\ndrain = '60s'\n"))?;
    let publisher = Publisher::start(server.ports.rtmp, "x?key=s3cret", &clips::h264_aac()?)?;
    server.wait_live("live/x")?;
    let mut viewer = Viewer::open(&server, "/live/x.flv")?;
    viewer.watch(Duration::from_millis(500))?;
    Tool::new("kill").words("-TERM").arg(server.pid().to_string()).succeed(LIMIT)?;
    until(LIMIT, "readiness is false", || {
        let status = fetch(server.ports.admin, "/readyz", &[])?.status;
        Ok(if status == 503 { Look::Found(()) } else { Look::NotYet(status.to_string()) })
    })?;
    ensure!(Connection::open(server.ports.http).is_err(), "somebody new was let in");
    viewer.watch(Duration::from_secs(3))?;
    drop(viewer);
    drop(publisher);
    let status = server.exit(Duration::from_secs(15))?;
    ensure!(status.success(), "{status}");
    Ok(())
}

#[test]
fn at_the_deadline_everybody_is_ended() -> Result<()> {
    let mut server = Server::serve(&keyed("[shutdown]\ndrain = '2s'\n"))?;
    let _publisher = Publisher::start(server.ports.rtmp, "x?key=s3cret", &clips::h264_aac()?)?;
    server.wait_live("live/x")?;
    let mut viewer = Viewer::open(&server, "/live/x.flv")?;
    Tool::new("kill").words("-TERM").arg(server.pid().to_string()).succeed(LIMIT)?;
    viewer.watch(Duration::from_secs(1))?;
    let status = server.exit(Duration::from_secs(6))?;
    ensure!(status.success(), "{status}");
    while viewer.one()? {}
    Ok(())
}

/// A server with one stream key and these sections.
fn keyed(sections: &str) -> String {
    format!("[publish]\nstream_key = 's3cret'\n{sections}")
}
