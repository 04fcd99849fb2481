//! Everybody who is refused is told why, in words.

use anyhow::{Context, Result, ensure};
use e2e::http::fetch;
use e2e::{Folder, Peer, Publisher, Server, Tool, clips};
use std::net::TcpListener;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(20);

/// A server with everything that can refuse.
const RULES: &str = "
[publish]
stream_key = 'main-key'
[[publish.key]]
id = 'alice'
secret = 'secret-of-alice'
path = 'live/alice'
[[publish.key]]
id = 'late'
secret = 'secret-of-late'
path = 'live/**'
expires = '2020-01-01T00:00:00Z'
[[publish.key]]
id = 'off'
secret = 'secret-of-off'
path = 'live/**'
enabled = false
[app.live]
[app.closed]
publish = 'nobody'
play = 'nobody'
[vhost.tv]
hosts = ['tv.example']
play = 'credential'
";

fn publish_refused(server: &Server, name: &str, expect: &str) -> Result<()> {
    let text = Peer::publish(server.ports.rtmp, name)?.1.refusal().with_context(|| name.to_owned())?;
    ensure!(text == expect, "{name}: {text:?} instead of {expect:?}");
    Ok(())
}

#[test]
fn a_publisher_is_told_why() -> Result<()> {
    let server = Server::serve(RULES)?;
    let _here = Publisher::start(server.ports.rtmp, "x?key=main-key", &clips::h264_aac()?)?;
    server.wait_live("live/x")?;
    for (name, expect) in [
        ("y", "a stream key is needed: publish to …/NAME?key=YOUR_KEY"),
        ("y?key=guess", "the stream key is wrong"),
        ("bob?key=secret-of-alice", "the stream key is for another path"),
        ("y?key=secret-of-late", "the stream key has expired"),
        ("y?key=secret-of-off", "the stream key is disabled"),
        ("x?key=main-key", "the path is occupied by another publisher"),
        ("closed/y?key=main-key", "nobody may publish here"),
        ("nowhere/y?key=main-key", "unknown app nowhere"),
        ("y?key=main-key&vhost=nowhere", "unknown vhost nowhere"),
        ("a b?key=main-key", "a path has letters, digits and - _ . ~ @ + only"),
    ] {
        publish_refused(&server, name, expect)?;
    }
    Ok(())
}

#[test]
fn a_viewer_is_told_why_over_every_protocol() -> Result<()> {
    let server = Server::serve(RULES)?;
    let port = server.ports.http;
    for (target, host, status, expect) in [
        ("/closed/x.flv", "h", 403, "nobody may play here"),
        ("/closed/x/index.m3u8", "h", 403, "nobody may play here"),
        ("/nowhere/x.flv", "h", 403, "unknown app nowhere"),
        ("/live/x.flv?vhost=nowhere", "h", 403, "unknown vhost nowhere"),
        ("/live/x.flv", "tv.example", 403, "a token is needed to play: …?token=YOUR_TOKEN"),
        ("/live/x/video/index.m3u8", "tv.example", 403, "a token is needed to play: …?token=YOUR_TOKEN"),
        ("/live/x.flv", "h", 404, "nobody publishes live/x"),
    ] {
        let answer = e2e::http::Connection::open_as(port, host)?.request("GET", target, &[])?;
        let text = answer.text()?;
        ensure!(
            (answer.status, text.trim()) == (status, expect),
            "{host} {target}: {} {text:?}",
            answer.status
        );
    }
    for (name, expect) in [("closed/x", "nobody may play here"), ("x", "nobody publishes live/x")] {
        let text = Peer::play(server.ports.rtmp, name)?.1.refusal()?;
        ensure!(text == expect, "{name}: {text:?}");
    }
    let listed = fetch(port, "/api/broadcasts", &[])?;
    ensure!(listed.status == 200);
    Ok(())
}

/// Each on a port that is free; those that are usual may be another program's.
fn anywhere(flags: &[&str]) -> Vec<String> {
    flags.iter().flat_map(|flag| [(*flag).to_owned(), "127.0.0.1:0".to_owned()]).collect()
}

/// The server ends at once with this text.
fn does_not_start(toml: &str, flags: &[String], expect: &[&str]) -> Result<()> {
    let folder = Folder::new()?;
    let file = folder.file("floodtide.toml");
    std::fs::write(&file, toml)?;
    let mut tool = Tool::floodtide().words("serve --config").arg(&file);
    for flag in flags {
        tool = tool.arg(flag);
    }
    let done = tool.run(LIMIT)?;
    let said = done.to_string();
    ensure!(!done.status.success(), "it started: {said}");
    for part in expect {
        ensure!(said.contains(part), "{part:?} is missing in:\n{said}");
    }
    Ok(())
}

#[test]
fn an_operator_is_told_which_line_and_key_and_what_to_do() -> Result<()> {
    does_not_start("[http]\nlisten = 'x", &[], &["floodtide.toml", "line 2"])?;
    does_not_start("[http]\nlistem = '127.0.0.1:1'", &[], &["floodtide.toml", "line 2", "listem", "listen"])?;
    does_not_start("[htp]\nlisten = '127.0.0.1:1'", &[], &["line 1", "htp"])?;
    does_not_start("[publish]\ngrace = '10'", &[], &["line 2", "10s"])?;
    does_not_start(
        "[hls]\npart = '5s'",
        &[],
        &["hls.part is 5s; it must be at least 200ms, at most 1000ms"],
    )?;
    let tls = "[tls]\ncertificate = '/nonexistent/c.pem'\nkey = '/nonexistent/k.pem'";
    let free = anywhere(&["--rtmp", "--http", "--admin", "--webrtc", "--srt"]);
    does_not_start(tls, &free, &["/nonexistent/c.pem"])?;
    let lonely = "[tls]\ncertificate = '/etc/hostname'";
    does_not_start(lonely, &free, &["tls.certificate and tls.key belong together"])?;
    let jwt = "[[auth.jwt]]\npublic_key = '/nonexistent.pem'";
    does_not_start(jwt, &free, &["auth.jwt.public_key", "/nonexistent.pem"])?;
    does_not_start("[[auth.jwt]]\nsecret = 'short'", &free, &["auth.jwt", "32"])?;
    Ok(())
}

#[test]
fn a_busy_port_is_told_with_the_key_that_changes_it() -> Result<()> {
    let taken = TcpListener::bind("127.0.0.1:0")?;
    let busy = taken.local_addr().context("no address")?.to_string();
    let mut flags = anywhere(&["--rtmp", "--admin", "--webrtc", "--srt"]);
    flags.extend(["--http".to_owned(), busy.clone()]);
    does_not_start("", &flags, &["http.listen", &busy, "is another program using the port"])
}
