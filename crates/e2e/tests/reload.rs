//! New settings for a running server.

use anyhow::{Result, ensure};
use e2e::http::fetch;
use e2e::wait::{Look, until};
use e2e::{Publisher, Server, Tool, Viewer, clips};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(20);
/// Two apps, each with a key of its own.
const TWO_KEYS: &str = "[app.live]\nstream_key = 'one'\n[app.other]\nstream_key = 'two'\n";

#[test]
fn a_new_key_ends_only_the_publisher_whose_key_is_gone() -> Result<()> {
    let server = Server::serve(TWO_KEYS)?;
    let clip = clips::h264_aac()?;
    let first = Publisher::start(server.ports.rtmp, "a?key=one", &clip)?;
    let second = Publisher::start(server.ports.rtmp, "other/b?key=two", &clip)?;
    server.wait_live("live/a")?;
    server.wait_live("other/b")?;
    let mut viewer = Viewer::open(&server, "/other/b.flv")?;
    server.configure(&TWO_KEYS.replace("'one'", "'three'"))?;
    first.ended(LIMIT)?;
    viewer.watch(Duration::from_secs(2))?;
    ensure!(second.failure().is_none(), "the other publisher ended: {:?}", second.failure());
    Publisher::start(server.ports.rtmp, "a?key=three", &clip)?;
    let refused = Publisher::start(server.ports.rtmp, "c?key=one", &clip).expect_err("the key is gone");
    ensure!(format!("{refused:#}").contains("the stream key is wrong"), "{refused:#}");
    Ok(())
}

#[test]
fn closing_an_app_ends_its_viewers_with_a_reason_and_nobody_else() -> Result<()> {
    let server = Server::serve(TWO_KEYS)?;
    let clip = clips::h264_aac()?;
    let _first = Publisher::start(server.ports.rtmp, "a?key=one", &clip)?;
    let _second = Publisher::start(server.ports.rtmp, "other/b?key=two", &clip)?;
    server.wait_live("live/a")?;
    server.wait_live("other/b")?;
    let (mut closed, mut open) =
        (Viewer::open(&server, "/live/a.flv")?, Viewer::open(&server, "/other/b.flv")?);
    server.configure(&TWO_KEYS.replace("'one'\n", "'one'\nplay = 'nobody'\n"))?;
    until(LIMIT, "the viewer of the closed app is ended", || {
        Ok(if closed.one()? { Look::NotYet("it still gets frames".to_owned()) } else { Look::Found(()) })
    })?;
    open.watch(Duration::from_secs(2))?;
    let answer = fetch(server.ports.http, "/live/a.flv", &[])?;
    ensure!(answer.status == 403 && answer.text()?.contains("nobody may play here"));
    Ok(())
}

#[test]
fn a_bad_file_is_refused_with_line_and_key_and_the_old_one_stays() -> Result<()> {
    let server = Server::serve(TWO_KEYS)?;
    server.configure("[publish]\nstream_key = 'x'\ncolision = 'reject'\n")?;
    until(LIMIT, "the log says what is wrong", || {
        let log = server.log();
        let said = log.contains("colision") && log.contains("line 3") && log.contains("the old one stays");
        Ok(if said { Look::Found(()) } else { Look::NotYet(log) })
    })?;
    Publisher::start(server.ports.rtmp, "a?key=one", &clips::h264_aac()?)?;
    Ok(())
}

#[test]
fn what_needs_a_restart_is_said_and_the_rest_is_applied_by_a_signal() -> Result<()> {
    let server = Server::serve("[publish]\nstream_key = 'old'\n")?;
    server.configure("[publish]\nstream_key = 'new'\n[hls]\npart = '333ms'\n")?;
    Tool::new("kill").words("-HUP").arg(server.pid().to_string()).succeed(LIMIT)?;
    until(LIMIT, "the log says what was done", || {
        let log = server.log();
        let said = log.contains("publish.stream_key") && log.contains("hls.part");
        Ok(if said { Look::Found(()) } else { Look::NotYet(log) })
    })?;
    Publisher::start(server.ports.rtmp, "a?key=new", &clips::h264_aac()?)?;
    Ok(())
}
