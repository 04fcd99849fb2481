//! Tokens, signed URLs and keys at the doors: what they open, for how long, and what they don't.

use anyhow::{Result, ensure};
use e2e::http::{Connection, fetch};
use e2e::wait::{Look, until};
use e2e::{Folder, Publisher, Server, Tool, Viewer, clips};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(20);

const CLOSED: &str = "
[publish]
stream_key = 'main-key'
[play]
access = 'credential'
[[auth.jwt]]
secret = 'a-secret-of-at-least-32-characters'
[[auth.url]]
kid = 'a'
secret = 'another-secret-of-32-characters-or-more'
";

/// A server that nobody plays from without a credential, with one broadcast.
fn closed() -> Result<(Server, Publisher)> {
    let server = Server::serve(CLOSED)?;
    let publisher = Publisher::start(server.ports.rtmp, "x?key=main-key", &clips::long()?)?;
    Ok((server, publisher))
}

/// What `floodtide ctl` makes.
fn make(words: &str) -> Result<String> {
    let folder = Folder::new()?;
    let file = folder.file("floodtide.toml");
    std::fs::write(&file, CLOSED)?;
    Ok(Tool::floodtide()
        .words("ctl --config")
        .arg(&file)
        .words(words)
        .succeed(LIMIT)?
        .text()
        .trim()
        .to_owned())
}

fn status(server: &Server, target: &str) -> Result<(u16, String)> {
    let answer = fetch(server.ports.http, target, &[])?;
    Ok((answer.status, answer.text().unwrap_or_default().trim().to_owned()))
}

#[test]
fn a_token_plays_its_path_over_flv_and_through_every_playlist() -> Result<()> {
    let (server, _publisher) = closed()?;
    let token = make("token play --path live/x --ttl 1h")?;
    Viewer::open(&server, &format!("/live/x.flv?token={token}"))?.watch(Duration::from_secs(1))?;
    let master = fetch(server.ports.http, &format!("/live/x/index.m3u8?token={token}"), &[])?.text()?;
    let media = master.lines().find(|line| line.contains("video/index.m3u8?token=")).unwrap_or_default();
    ensure!(!media.is_empty(), "the token isn't carried on: {master}");
    let list = fetch(server.ports.http, &format!("/live/x/{media}"), &[])?.text()?;
    let part = list.split('"').find(|uri| uri.contains(".m4s?token=")).unwrap_or_default();
    ensure!(status(&server, &format!("/live/x/video/{part}"))?.0 == 200, "{part} of {list}");
    let bare = part.split('?').next().unwrap_or_default();
    ensure!(status(&server, &format!("/live/x/video/{bare}"))?.0 == 403, "a part plays without a token");
    let bearer = format!("Bearer {token}");
    let answer = fetch(server.ports.http, "/live/x/index.m3u8", &[("Authorization", &bearer)])?;
    ensure!(answer.status == 200, "{}", answer.status);
    Ok(())
}

#[test]
fn what_is_wrong_with_a_token_or_url_is_said() -> Result<()> {
    let (server, _publisher) = closed()?;
    let other = make("token play --path live/other --ttl 1h")?;
    let publishing = make("token publish --path live/x --ttl 1h")?;
    let elsewhere = make("token play --path live/x --ttl 1h --ip 192.0.2.1")?;
    let forged = make("token play --path live/x --ttl 1h")?.replacen("ey", "eX", 1);
    let url = make("url play --path live/x --ttl 1h")?;
    let changed = url.replace("path=live/x", "path=live/**").replace("path=live%2Fx", "path=live%2F**");
    for (query, expect) in [
        (format!("token={other}"), "the token is for another path"),
        (format!("token={publishing}"), "the token is for another action"),
        (format!("token={elsewhere}"), "the token is for another address"),
        (format!("token={forged}"), "the token is malformed"),
        (changed, "the signed URL has a wrong signature"),
        ("key=main-key".to_owned(), "a token is needed to play: …?token=YOUR_TOKEN"),
    ] {
        let (status, text) = status(&server, &format!("/live/x.flv?{query}"))?;
        ensure!(status == 403 && text.starts_with(expect), "{query}: {status} {text}");
    }
    Viewer::open(&server, &format!("/live/x.flv?{url}"))?.watch(Duration::from_secs(1))?;
    Ok(())
}

#[test]
fn a_session_ends_with_its_token_and_the_token_is_refused_from_then_on() -> Result<()> {
    let (server, _publisher) = closed()?;
    // The leeway for clocks, five seconds, comes on top.
    let token = make("token play --path live/x --ttl 1s")?;
    let mut viewer = Viewer::open(&server, &format!("/live/x.flv?token={token}"))?;
    until(LIMIT, "the viewer is ended", || {
        Ok(if viewer.one()? { Look::NotYet("it still gets frames".to_owned()) } else { Look::Found(()) })
    })?;
    let refused = until(LIMIT, "the token is refused", || {
        let (status, text) = status(&server, &format!("/live/x/index.m3u8?token={token}"))?;
        Ok(if status == 403 { Look::Found(text) } else { Look::NotYet(status.to_string()) })
    })?;
    ensure!(refused == "the token has expired", "{refused}");
    Ok(())
}

#[test]
fn a_key_made_at_run_time_holds_at_once_and_ends_its_publisher_when_it_is_disabled() -> Result<()> {
    let server = Server::serve("")?;
    let state = server.state();
    let ctl = |words: &str| -> Result<serde_json::Value> {
        Tool::floodtide().words("ctl --json --state").arg(&state).words(words).succeed(LIMIT)?.json()
    };
    let key = ctl("key add --path live/*")?;
    let name = format!("x?key={}", key["secret"].as_str().unwrap_or_default());
    let clip = clips::long()?;
    let publisher = until(LIMIT, "the key holds", || {
        Ok(match Publisher::start(server.ports.rtmp, &name, &clip) {
            Ok(publisher) => Look::Found(publisher),
            Err(error) => Look::NotYet(format!("{error:#}")),
        })
    })?;
    ctl(&format!("key disable {}", key["id"].as_str().unwrap_or_default()))?;
    publisher.ended(LIMIT)?;
    let refused = Publisher::start(server.ports.rtmp, &name, &clip).expect_err("the key is disabled");
    ensure!(format!("{refused:#}").contains("the stream key is disabled"), "{refused:#}");
    Ok(())
}

#[test]
fn who_may_publish_sees_how_its_broadcast_comes_in_and_nobody_else_does() -> Result<()> {
    let (server, publisher) = closed()?;
    let ask = |target: &str, headers: &[(&str, &str)]| fetch(server.ports.http, target, headers);
    for (wrong, why) in [("?key=other", "the stream key is wrong"), ("", "a stream key is needed")] {
        for path in ["live/x", "live/nobody"] {
            let (status, text) = status(&server, &format!("/{path}/health{wrong}"))?;
            ensure!(status == 403 && text.contains(why), "{path} {wrong}: {status} {text}");
        }
    }
    let token = make("token play --path live/x --ttl 1h")?;
    ensure!(status(&server, &format!("/live/x/health?token={token}"))?.0 == 403, "playing is another right");
    let (absent, text) = status(&server, "/live/nobody/health?key=main-key")?;
    ensure!(absent == 404 && text == "nobody publishes live/nobody", "{absent} {text}");
    let by_query = until(LIMIT, "pictures come", || {
        let health = ask("/live/x/health?key=main-key", &[])?.json()?;
        let here = health["video"]["presence"] == "here" && health["publishing_s"].as_f64() > Some(0.0);
        Ok(if here { Look::Found(health) } else { Look::NotYet(health.to_string()) })
    })?;
    let by_bearer = ask("/live/x/health", &[("Authorization", "Bearer main-key")])?.json()?;
    let api = fetch(server.ports.admin, "/v1/broadcasts/live%2Fx", &[])?.json()?["health"].clone();
    let names = |health: &serde_json::Value| {
        health.as_object().map(|fields| fields.keys().cloned().collect::<Vec<_>>()).unwrap_or_default()
    };
    for health in [&by_query, &by_bearer] {
        ensure!(names(health) == names(&api) && health["video"]["presence"] == "here", "{health} {api}");
        ensure!(health["publishing_s"].as_f64() > Some(0.0), "{health}");
    }
    let posted = Connection::open(server.ports.http)?.request("POST", "/live/x/health?key=main-key", &[])?;
    ensure!(posted.status == 405, "{}", posted.status);
    ensure!(publisher.failure().is_none(), "its seat is its own: {:?}", publisher.failure());
    Viewer::open(&server, &format!("/live/x.flv?token={token}"))?.watch(Duration::from_secs(1))?;
    Ok(())
}
