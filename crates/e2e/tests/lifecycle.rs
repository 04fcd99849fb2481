//! What changes while people watch: the picture's size, and the server's own end.

use anyhow::{Context, Result, bail, ensure};
use e2e::compare::{probe, track};
use e2e::http::{Connection, fetch};
use e2e::playlist::Playlist;
use e2e::wait::{Look, until};
use e2e::{Answer, Certificate, Folder, Peer, Publisher, Server, Tool, Viewer, clips, websocket};
use rtmp::ClientEvent;
use std::io::Read;
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(20);
const VIDEO: &str = "/live/x/video/index.m3u8";

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

/// They have no connection that lasts: while the server drains they load on, over connections that they have and new ones. Before
/// its time is over, their playlists say that the broadcast is, and what is listed can still be loaded.
#[test]
fn players_by_hls_go_on_while_the_server_drains_and_hear_that_it_is_over() -> Result<()> {
    const DRAIN: Duration = Duration::from_secs(9);
    let mut server = Server::serve(&keyed(&format!("[shutdown]\ndrain = '{}s'\n", DRAIN.as_secs())))?;
    let clip = clips::long()?;
    let _publisher = Publisher::start(server.ports.rtmp, "x?key=s3cret", &clip)?;
    let _other = Publisher::start(server.ports.rtmp, "y?key=s3cret", &clip)?;
    server.wait_live("live/x")?;
    server.wait_live("live/y")?;
    let player = Tool::ffmpeg().words("-i").arg(server.http("/live/x/index.m3u8"));
    let mut player = player.words("-c copy -f framecrc -").start()?;
    let mut resting = Connection::open(server.ports.http)?;
    let mut list = Playlist::parse(&resting.request("GET", VIDEO, &[])?.text()?)?;
    until(LIMIT, "ffmpeg plays", || {
        let lines = player.text_so_far().lines().count();
        Ok(if lines > 20 { Look::Found(()) } else { Look::NotYet(format!("{lines} lines")) })
    })?;
    Tool::new("kill").words("-TERM").arg(server.pid().to_string()).succeed(LIMIT)?;
    let asked = Instant::now();
    until(LIMIT, "readiness is false", || {
        let status = fetch(server.ports.admin, "/readyz", &[])?.status;
        Ok(if status == 503 { Look::Found(()) } else { Look::NotYet(status.to_string()) })
    })?;
    for target in ["/live/x.flv", "/live/y/index.m3u8", "/api/broadcasts", "/"] {
        let answer = fetch(server.ports.http, target, &[])?;
        let told = answer.status == 503 && answer.header("retry-after").is_some();
        ensure!(told && answer.text()?.contains("about to end"), "{target}: {answer:?}");
    }
    while !list.ended {
        ensure!(player.is_running()?, "ffmpeg ended after {:?} of {DRAIN:?}", asked.elapsed());
        let next = list.next_msn();
        // One request over the connection that was there before, one over a new one.
        let held = resting.request("GET", &format!("{VIDEO}?_HLS_msn={next}"), &[])?;
        list = Playlist::parse(&held.text()?)?;
        ensure!(list.ended || list.next_msn() > next, "{held:?} while waiting for {next}");
        let segment = list.segments.last().context("no segment")?;
        let loaded = fetch(server.ports.http, &format!("/live/x/video/{}", segment.uri), &[])?;
        ensure!(loaded.status == 200, "{segment:?}: {loaded:?}");
    }
    ensure!(asked.elapsed() > DRAIN / 2, "it was over after {:?} of {DRAIN:?}", asked.elapsed());
    let ended = player.finish(LIMIT)?;
    let failed = ["HTTP error", "refused", "Failed"].iter().any(|word| ended.log.contains(word));
    ensure!(ended.status.success() && !failed, "{}: {}", ended.status, ended.log);
    let status = server.exit(Duration::from_secs(6))?;
    ensure!(status.success(), "{status}");
    let took = asked.elapsed();
    ensure!(took < DRAIN + Duration::from_secs(2), "it ended {took:?} after it was asked to, of {DRAIN:?}");
    Ok(())
}

/// A player that polls over TLS speaks to another part of the server.
#[test]
fn players_by_hls_over_tls_and_http_2_go_on_likewise() -> Result<()> {
    let folder = Folder::new()?;
    let certificate = Certificate::make(folder.path(), "one", "localhost")?;
    let tls = format!("[shutdown]\ndrain = '8s'\n[tls]\n{}", certificate.toml());
    let mut server = Server::serve(&keyed(&tls))?;
    let _publisher = Publisher::start(server.ports.rtmp, "x?key=s3cret", &clips::long()?)?;
    server.wait_live("live/x")?;
    let list = Playlist::parse(&fetch(server.ports.http, VIDEO, &[])?.text()?)?;
    Tool::new("kill").words("-TERM").arg(server.pid().to_string()).succeed(LIMIT)?;
    until(LIMIT, "readiness is false", || {
        let status = fetch(server.ports.admin, "/readyz", &[])?.status;
        Ok(if status == 503 { Look::Found(()) } else { Look::NotYet(status.to_string()) })
    })?;
    for version in ["--http1.1", "--http2"] {
        let curl = Tool::new("curl").words("--silent --cacert").arg(&certificate.chain).arg(version);
        let curl = curl.words("-w").arg("%{num_connects} %{response_code}\n");
        let curl = curl.words("-o /dev/null -o /dev/null -o /dev/null");
        let held = server.https(&format!("{VIDEO}?_HLS_msn={}", list.next_msn() + 1));
        let seen =
            curl.arg(&held).arg(server.https(VIDEO)).arg(server.https("/live/x.flv")).succeed(LIMIT)?;
        ensure!(seen.text() == "1 200\n0 200\n0 503\n", "{version}: {seen}");
    }
    ensure!(server.exit(Duration::from_secs(12))?.success());
    Ok(())
}

#[test]
fn a_player_by_rtmp_is_told_when_the_time_is_over() -> Result<()> {
    let mut server = Server::serve(&keyed("[shutdown]\ndrain = '2s'\n"))?;
    let _publisher = Publisher::start(server.ports.rtmp, "x?key=s3cret", &clips::h264_aac()?)?;
    server.wait_live("live/x")?;
    let (mut player, answer) = Peer::play(server.ports.rtmp, "x")?;
    ensure!(answer == Answer::Ready, "{answer:?}");
    Tool::new("kill").words("-TERM").arg(server.pid().to_string()).succeed(LIMIT)?;
    let asked = Instant::now();
    let mut pictures_until = Duration::ZERO;
    loop {
        match player.event()? {
            Some(ClientEvent::Media { .. }) => pictures_until = asked.elapsed(),
            // `NetStream.Play.UnpublishNotify`, before the connection is closed.
            Some(ClientEvent::Ended) => break,
            Some(_) => {}
            None => bail!("it was cut after {:?} without a word", asked.elapsed()),
        }
    }
    ensure!(pictures_until > Duration::from_secs(1), "no pictures any more after {pictures_until:?}");
    ensure!(server.exit(Duration::from_secs(6))?.success());
    Ok(())
}

/// A server with one stream key and these sections.
fn keyed(sections: &str) -> String {
    format!("[publish]\nstream_key = 's3cret'\n{sections}")
}
