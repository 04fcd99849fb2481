//! Broadcasts pushed to other servers: nginx, and a second one of ours.

use anyhow::{Result, ensure};
use e2e::compare::{publish, same_frames, same_tracks};
use e2e::frames::{self, Of};
use e2e::wait::{Look, until};
use e2e::{Certificate, Folder, Nginx, Publisher, Server, Tool, Viewer, clips};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(30);
const KEY: &str = "[publish]\nstream_key = 'k'\n";

fn restream(path: &str, to: &str) -> String {
    format!("{KEY}[[restream]]\npath = '{path}'\nto = '{to}'\nretry_min = '200ms'\nretry_max = '1s'\n")
}

/// Waits until so many have that state.
fn count(server: &Server, state: &str, expect: u64) -> Result<()> {
    let line = format!("floodtide_restreams{{state=\"{state}\"}} {expect}");
    until(LIMIT, &line, || {
        let metrics = e2e::http::fetch(server.ports.admin, "/metrics", &[])?.text()?;
        let found = metrics.lines().any(|l| l == line);
        Ok(if found { Look::Found(()) } else { Look::NotYet(server.log()) })
    })
}

#[test]
fn what_is_pushed_to_nginx_comes_out_of_it_as_it_went_in() -> Result<()> {
    let nginx = Nginx::start(1)?;
    let server = Server::serve(&restream("live/*", &nginx.rtmp("/live/{app}-{name}")))?;
    let clip = clips::h264_aac()?;
    let _publisher = publish(&clip, "", &server.rtmp("/live/x?key=k"))?;
    count(&server, "live", 1)?;
    let url = nginx.rtmp("/live/live-x");
    same_tracks(&clip.path.to_string_lossy(), &url)?;
    same_frames(&clip, &url, Of::Coded)
}

#[test]
fn a_target_that_is_killed_and_comes_back_is_pushed_to_again() -> Result<()> {
    let mut nginx = Nginx::start(1)?;
    let server = Server::serve(&restream("live/x", &nginx.rtmp("/live/{name}")))?;
    let clip = clips::long()?;
    let _publisher = Publisher::start(server.ports.rtmp, "x?key=k", &clip)?;
    count(&server, "live", 1)?;
    nginx.kill()?;
    count(&server, "waiting", 1)?;
    server.wait_logged("Connection refused")?;
    nginx.start_again()?;
    count(&server, "live", 1)?;
    same_frames(&clip, &nginx.rtmp("/live/x"), Of::Coded)?;
    ensure!(server.metric("floodtide_restream_failures_total")? >= 1.0);
    Ok(())
}

#[test]
fn a_wrong_url_or_key_is_told_once_without_secrets_and_the_publisher_goes_on() -> Result<()> {
    let other = Server::serve(KEY)?;
    let to = format!("rtmp://127.0.0.1:{}/live/x?key=wr0ng-secret", other.ports.rtmp);
    let nowhere = "[[restream]]\npath = 'live/*'\nto = 'rtmp://127.0.0.1:1/live/{name}'\n";
    let server = Server::serve(&format!("{}{nowhere}", restream("live/*", &to)))?;
    let publisher = Publisher::start(server.ports.rtmp, "x?key=k", &clips::h264_aac()?)?;
    server.wait_logged("the other server refused: NetStream.Publish.Denied: the stream key is wrong")?;
    server.wait_logged("can't connect to 127.0.0.1:1: Connection refused")?;
    until(LIMIT, "three attempts", || {
        let attempts = server.metric("floodtide_restream_attempts_total")?;
        Ok(if attempts >= 5.0 { Look::Found(()) } else { Look::NotYet(attempts.to_string()) })
    })?;
    let log = server.log();
    ensure!(log.matches("the stream key is wrong").count() == 1, "told again and again: {log}");
    ensure!(!log.contains("wr0ng-secret"), "a secret in the log: {log}");
    ensure!(publisher.failure().is_none(), "the publisher ended: {:?}", publisher.failure());
    Ok(())
}

#[test]
fn hevc_goes_by_rtmps_to_a_server_whose_authority_is_trusted() -> Result<()> {
    let folder = Folder::new()?;
    let certificate = Certificate::make(folder.path(), "cert", "localhost")?;
    let target = Server::serve(&format!("{KEY}[tls]\n{}", certificate.toml()))?;
    let config = restream("live/*", &format!("{}?key=k", target.rtmps("/live/{name}")));
    let trusted = [("SSL_CERT_FILE", &*certificate.chain.to_string_lossy())];
    let server = Server::serve_with(&config, &trusted)?;
    let clip = clips::hevc_aac()?;
    let publisher = Tool::ffmpeg9().words("-re -i").arg(&clip.path).words("-c copy -f flv");
    let _publisher = publisher.arg(server.rtmp("/live/x?key=k")).start()?;
    target.wait_live("live/x")?;
    let out = frames::read(Tool::ffmpeg9(), &target.http("/live/x.flv"), Of::Coded, Some(4), LIMIT)?;
    ensure!(out.codecs == ["hevc", "aac"], "{:?}", out.codecs);
    let whole = frames::read(Tool::ffmpeg9(), &clip.path.to_string_lossy(), Of::Coded, None, LIMIT)?;
    frames::contiguous(&out.video, &whole.video)?;

    let stranger = Server::serve(&config)?;
    let _publisher = Publisher::start(stranger.ports.rtmp, "y?key=k", &clips::h264_aac()?)?;
    stranger.wait_logged("no TLS with 127.0.0.1")
}

#[test]
fn a_reload_starts_and_ends_restreams_and_the_others_go_on() -> Result<()> {
    let target = Server::demo(&[])?;
    let one = restream("live/*", &target.rtmp("/one/{name}"));
    let two = format!("{one}[[restream]]\npath = 'live/x'\nto = '{}'\n", target.rtmp("/two/{name}"));
    let server = Server::serve(&one)?;
    let _publisher = Publisher::start(server.ports.rtmp, "x?key=k", &clips::long()?)?;
    target.wait_live("one/x")?;
    let mut viewer = Viewer::open(&target, "/one/x.flv")?;
    server.configure(&two)?;
    target.wait_live("two/x")?;
    viewer.watch(Duration::from_secs(1))?;
    server.configure(&two.replace("live/*", "live/other"))?;
    until(LIMIT, "the viewer of what is pushed no more is ended", || {
        Ok(if viewer.one()? { Look::NotYet("it still gets frames".to_owned()) } else { Look::Found(()) })
    })?;
    count(&server, "live", 1)?;
    Viewer::open(&target, "/two/x.flv")?.watch(Duration::from_secs(1))
}

#[test]
fn the_end_of_a_broadcast_is_told_to_the_target() -> Result<()> {
    let target = Server::demo(&[("FLOODTIDE_PUBLISH__GRACE", "20s")])?;
    let config =
        restream("live/*", &target.rtmp("/live/{name}")).replace(KEY, &format!("{KEY}grace = '0s'\n"));
    let server = Server::serve(&config)?;
    let publisher = Publisher::start(server.ports.rtmp, "x?key=k", &clips::h264_aac()?)?;
    target.wait_live("live/x")?;
    drop(publisher);
    count(&server, "live", 0)?;
    until(LIMIT, "the target counts a publisher who ended", || {
        let metrics = e2e::http::fetch(target.ports.admin, "/metrics", &[])?.text()?;
        let ended = metrics.contains("floodtide_publisher_ends_total{reason=\"ended\"} 1");
        Ok(if ended { Look::Found(()) } else { Look::NotYet(target.log()) })
    })
}
