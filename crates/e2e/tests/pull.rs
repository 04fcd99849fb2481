//! Broadcasts fetched from other servers: nginx, and a second one of ours.

use anyhow::{Result, ensure};
use e2e::compare::{publish, same_frames, same_tracks};
use e2e::frames::Of;
use e2e::http::{Connection, fetch};
use e2e::wait::{Look, until};
use e2e::{Answer, Nginx, Peer, Publisher, Server, Viewer, clips, flv, websocket};
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(30);

fn pull(path: &str, from: &str, more: &str) -> String {
    format!("[[pull]]\npath = '{path}'\nfrom = '{from}'\nretry_min = '200ms'\nretry_max = '1s'\n{more}\n")
}

/// Waits until there are so many pulls of any state.
fn count(server: &Server, expect: f64) -> Result<()> {
    until(LIMIT, &format!("{expect} pulls"), || {
        let found = server.metric("floodtide_pulls")?;
        Ok(if found == expect { Look::Found(()) } else { Look::NotYet(found.to_string()) })
    })
}

#[test]
fn the_first_viewer_starts_a_pull_from_nginx_and_the_last_one_ends_it() -> Result<()> {
    let nginx = Nginx::start(1)?;
    let clip = clips::long()?;
    let _publisher = publish(&clip, "", &nginx.rtmp("/live/x"))?;
    let server = Server::serve(&pull("tv/*", &nginx.rtmp("/live/{name}"), "idle = '1s'"))?;
    ensure!(server.metric("floodtide_pulls")? == 0.0, "nobody asked yet");
    let mut viewer = Viewer::open(&server, "/tv/x.flv")?;
    viewer.watch(Duration::from_secs(3))?;
    ensure!(server.metric("floodtide_publishers")? == 1.0);
    same_frames(&clip, &server.http("/tv/x.flv"), Of::Coded)?;
    drop(viewer);
    count(&server, 0.0)?;
    until(LIMIT, "the broadcast is over", || {
        let list = fetch(server.ports.http, "/api/broadcasts", &[])?.text()?;
        Ok(if list.contains("tv/x") { Look::NotYet(list) } else { Look::Found(()) })
    })?;
    Viewer::open(&server, "/tv/x.flv")?.watch(Duration::from_secs(1))
}

#[test]
fn viewers_of_every_protocol_wait_for_what_is_fetched() -> Result<()> {
    let source = Server::demo(&[])?;
    let _publisher = Publisher::start(source.ports.rtmp, "x", &clips::long()?)?;
    source.wait_live("live/x")?;
    let config = pull("flv/*", &source.rtmp("/live/x"), "")
        + &pull("ws/*", &source.rtmp("/live/x"), "")
        + &pull("rtmp/*", &source.http("/live/x.flv"), "")
        + &pull("hls/*", &source.http("/live/{name}.flv"), "");
    let server = Server::serve(&config)?;
    Viewer::open(&server, "/flv/x.flv")?.watch(Duration::from_secs(1))?;
    let mut reader = flv::Reader::new(websocket::open(server.ports.http, "/ws/x.flv")?)?;
    ensure!(reader.tag()?.is_some(), "the WebSocket ended");
    let (mut peer, answer) = Peer::play(server.ports.rtmp, "rtmp/x")?;
    ensure!(answer == Answer::Ready && peer.event()?.is_some(), "{answer:?}");
    let mut connection = Connection::open(server.ports.http)?;
    for list in ["/hls/x/index.m3u8", "/hls/x/video/index.m3u8"] {
        let answer = connection.request("GET", list, &[])?;
        ensure!(answer.status == 200 && answer.text()?.contains("#EXTM3U"), "{list}: {answer:?}");
    }
    ensure!(server.metric("floodtide_pulls")? == 4.0);
    Ok(())
}

#[test]
fn http_flv_is_fetched_in_chunks_and_through_redirects_as_it_went_in() -> Result<()> {
    let source = Server::demo(&[])?;
    let clip = clips::h264_aac()?;
    let _publisher = publish(&clip, "", &source.rtmp("/live/x"))?;
    source.wait_live("live/x")?;
    let nginx = Nginx::start(source.ports.http)?;
    let server = Server::serve(&pull("tv/x", &nginx.http("/moved/x.flv"), "when = 'always'"))?;
    server.wait_live("tv/x")?;
    same_tracks(&clip.path.to_string_lossy(), &server.http("/tv/x.flv"))?;
    same_frames(&clip, &server.http("/tv/x.flv"), Of::Coded)
}

#[test]
fn a_source_that_is_killed_and_comes_back_is_fetched_again_and_its_viewers_stay() -> Result<()> {
    let mut nginx = Nginx::start(1)?;
    let clip = clips::long()?;
    let _first = publish(&clip, "", &nginx.rtmp("/live/x"))?;
    let server = Server::serve(&pull("tv/x", &nginx.rtmp("/live/x"), "when = 'always'"))?;
    server.wait_live("tv/x")?;
    let mut viewer = Viewer::open(&server, "/tv/x.flv")?;
    viewer.watch(Duration::from_secs(1))?;
    nginx.kill()?;
    server.wait_logged("it fails; tried again until it works")?;
    nginx.start_again()?;
    let _second = publish(&clip, "", &nginx.rtmp("/live/x"))?;
    viewer.keyframes = 0;
    until(LIMIT, "new keyframes", || {
        ensure!(viewer.one()?, "the viewer was ended");
        Ok(if viewer.keyframes >= 3 { Look::Found(()) } else { Look::NotYet(viewer.keyframes.to_string()) })
    })?;
    ensure!(server.metric("floodtide_broadcasts")? == 1.0);
    Ok(())
}

#[test]
fn a_viewer_of_what_cannot_be_fetched_is_told_so_and_the_log_says_why() -> Result<()> {
    let source = Server::demo(&[])?;
    let nginx = Nginx::start(1)?;
    let config = pull("flv/*", &source.http("/live/{name}.flv"), "")
        + &pull("rtmp/*", &source.rtmp("/live/{name}"), "")
        + &pull("page/*", &source.http("/web/style.css"), "")
        + &pull("silent/*", &nginx.rtmp("/live/{name}"), "")
        + &pull("down/*", "http://127.0.0.1:1/live/{name}.flv", "");
    let server = Server::serve(&config)?;
    for (path, why, limit) in [
        ("flv", "the other server refused: 404 Not Found", 3),
        ("rtmp", "the other server refused: NetStream.Play.StreamNotFound: nobody publishes live/x", 3),
        ("down", "can't connect to 127.0.0.1:1: Connection refused", 3),
        ("page", "not FLV: it begins otherwise", 3),
        // nginx accepts everybody and sends nothing: the viewer has waited long enough before the pull has.
        ("silent", "nothing came for 10s", 7),
    ] {
        let began = Instant::now();
        let answer = fetch(server.ports.http, &format!("/{path}/x.flv"), &[])?;
        let text = answer.text()?;
        ensure!(answer.status == 404 && text == format!("nobody publishes {path}/x\n"), "{text}");
        ensure!(began.elapsed() < Duration::from_secs(limit), "{path}: after {:?}", began.elapsed());
        server.wait_logged(why)?;
    }
    let answer = fetch(server.ports.http, "/other/x.flv", &[])?;
    ensure!(answer.status == 404, "{answer:?}");
    Ok(())
}

#[test]
fn no_more_than_the_configured_number_is_fetched() -> Result<()> {
    let source = Server::demo(&[])?;
    let _publisher = Publisher::start(source.ports.rtmp, "x", &clips::long()?)?;
    source.wait_live("live/x")?;
    let server = Server::serve(&pull("tv/*", &source.rtmp("/live/x"), "max = 1"))?;
    let mut viewer = Viewer::open(&server, "/tv/a.flv")?;
    let began = Instant::now();
    let answer = fetch(server.ports.http, "/tv/b.flv", &[])?;
    ensure!(answer.status == 404 && began.elapsed() < Duration::from_secs(3), "{answer:?}");
    viewer.watch(Duration::from_secs(1))
}

#[test]
fn a_reload_ends_and_starts_pulls_and_shutdown_ends_all() -> Result<()> {
    let source = Server::demo(&[])?;
    let _publisher = Publisher::start(source.ports.rtmp, "x", &clips::long()?)?;
    source.wait_live("live/x")?;
    let always = |path: &str| pull(path, &source.rtmp("/live/x"), "when = 'always'");
    let mut server = Server::serve(&(always("tv/a") + &always("tv/b")))?;
    server.wait_live("tv/a")?;
    server.wait_live("tv/b")?;
    let mut viewer = Viewer::open(&server, "/tv/a.flv")?;
    server.configure(&(always("tv/a") + &always("tv/c")))?;
    server.wait_live("tv/c")?;
    count(&server, 2.0)?;
    viewer.watch(Duration::from_secs(1))?;
    drop(viewer);
    e2e::Tool::new("kill").words("-TERM").arg(server.pid().to_string()).succeed(LIMIT)?;
    let status = server.exit(Duration::from_secs(10))?;
    ensure!(status.success(), "{status}");
    Ok(())
}
