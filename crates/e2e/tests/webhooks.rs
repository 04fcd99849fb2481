//! Web services that decide who may, and are told who left.

use anyhow::{Context, Result, ensure};
use e2e::http::{Connection, fetch};
use e2e::wait::{Look, until};
use e2e::{Answer, Hook, Peer, Publisher, Server, Viewer, clips};
use std::net::TcpListener;
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(20);

/// Where nobody listens.
fn nobody() -> Result<String> {
    Ok(format!("http://127.0.0.1:{}/", TcpListener::bind("127.0.0.1:0")?.local_addr()?.port()))
}

#[test]
fn a_hook_decides_alone_when_there_is_no_key_and_is_told_who_left() -> Result<()> {
    let hook = Hook::start(r#"{"allow":true}"#)?;
    let url = hook.url();
    let events = ["publish", "play", "unpublish", "unplay"].map(|event| format!("{event} = ['{url}']\n"));
    let server = Server::serve(&format!("[webhook]\n{}", events.concat()))?;
    let publisher = Publisher::start(server.ports.rtmp, "x?who=alice", &clips::h264_aac()?)?;
    server.wait_live("live/x")?;
    let asked = &hook.seen("publish")[0];
    ensure!(asked["app"] == "live" && asked["name"] == "x" && asked["query"] == "who=alice", "{asked}");
    ensure!(asked["address"] == "127.0.0.1" && asked["protocol"] == "rtmp", "{asked}");
    ensure!(asked["user_agent"] == "FMLE/3.0 (compatible; floodtide)", "{asked}");
    let mut viewer = Viewer::open(&server, "/live/x.flv")?;
    viewer.watch(Duration::from_secs(1))?;
    drop(viewer);
    drop(publisher);
    for event in ["unplay", "unpublish"] {
        let told = until(LIMIT, event, || {
            Ok(hook.seen(event).into_iter().next().map_or(Look::NotYet("nothing".to_owned()), Look::Found))
        })?;
        ensure!(told["name"] == "x" && told["ended"]["bytes"].as_u64() > Some(0), "{told}");
        ensure!(told["session"].as_str().is_some_and(|id| id.len() == 16), "{told}");
    }
    Ok(())
}

#[test]
fn what_a_hook_denies_is_refused_with_its_reason() -> Result<()> {
    let hook = Hook::start(r#"{"allow":false,"reason":"pay first"}"#)?;
    let url = hook.url();
    let server = Server::serve(&format!("[webhook]\npublish = ['{url}']\nplay = ['{url}']\n"))?;
    let (_, answer) = Peer::publish(server.ports.rtmp, "x")?;
    ensure!(matches!(&answer, Answer::Rejected(_, why) if why == "pay first"), "{answer:?}");
    for target in ["/live/x.flv", "/live/x/index.m3u8"] {
        let answer = fetch(server.ports.http, target, &[])?;
        ensure!(answer.status == 403 && answer.text()?.trim() == "pay first", "{}", answer.status);
    }
    Ok(())
}

#[test]
fn a_hook_that_is_down_closes_or_opens_as_configured() -> Result<()> {
    let url = nobody()?;
    let closed = Server::serve(&format!("[webhook]\npublish = ['{url}']\n"))?;
    let (_, answer) = Peer::publish(closed.ports.rtmp, "x")?;
    let down = "the service that decides who may doesn't answer; try again later";
    ensure!(matches!(&answer, Answer::Rejected(_, why) if why == down), "{answer:?}");
    let open = Server::serve(&format!("[webhook]\npublish = ['{url}']\non_failure = 'open'\n"))?;
    let (_, answer) = Peer::publish(open.ports.rtmp, "x")?;
    ensure!(answer == Answer::Ready, "{answer:?}");
    Ok(())
}

#[test]
fn a_session_ends_when_the_right_that_a_hook_gave_ends() -> Result<()> {
    let hook = Hook::start(r#"{"allow":true,"expires_in":2}"#)?;
    let server = Server::serve(&format!("[webhook]\npublish = ['{}']\n", hook.url()))?;
    let began = Instant::now();
    let publisher = Publisher::start(server.ports.rtmp, "x", &clips::h264_aac()?)?;
    publisher.ended(LIMIT)?;
    ensure!(began.elapsed() > Duration::from_millis(1500), "it ended after {:?}", began.elapsed());
    until(LIMIT, "the log says why", || {
        let log = server.log();
        Ok(if log.contains("its grant ran out") { Look::Found(()) } else { Look::NotYet(log) })
    })?;
    Ok(())
}

/// To a hook each question is a publisher; the page of one asks every other second.
#[test]
fn a_publisher_who_looks_at_its_health_is_no_further_question() -> Result<()> {
    let hook = Hook::start(r#"{"allow":true}"#)?;
    let server = Server::serve(&format!("[webhook]\npublish = ['{}']\n", hook.url()))?;
    let _publisher = Publisher::start(server.ports.rtmp, "x?who=alice", &clips::long()?)?;
    server.wait_live("live/x")?;
    let health = |query: &str| fetch(server.ports.http, &format!("/live/x/health?{query}"), &[]);
    for _ in 0..3 {
        let answer = health("who=alice")?;
        ensure!(answer.status == 200 && answer.json()?["status"].is_string(), "{}", answer.status);
    }
    ensure!(hook.seen("publish").len() == 1, "{:?}", hook.seen("publish"));
    ensure!(health("who=mallory")?.status == 200, "this hook lets everybody in");
    let asked = hook.seen("publish");
    ensure!(asked.len() == 2 && asked[1]["query"] == "who=mallory", "a stranger is asked about: {asked:?}");
    Ok(())
}

/// What a client says that it is comes to hooks and into lists, cut and without what steers a terminal.
#[test]
fn hooks_and_lists_are_told_what_clients_say_that_they_are() -> Result<()> {
    let hook = Hook::start(r#"{"allow":true}"#)?;
    let url = hook.url();
    let server =
        Server::serve(&format!("[webhook]\npublish = ['{url}']\nplay = ['{url}']\nunplay = ['{url}']\n"))?;
    let _publisher = Publisher::start(server.ports.rtmp, "x", &clips::long()?)?;
    server.wait_live("live/x")?;
    let long = format!("Player/1 {}", "x".repeat(5000));
    for (target, said) in
        [("/live/x.flv", "A\u{202e}gent/1\u{9b}2J"), ("/live/x.flv", &long), ("/live/x/index.m3u8", "Hls/2")]
    {
        let connection = Connection::open(server.ports.http)?;
        let before = hook.seen("play").len();
        let (head, _body) = connection.endless(target, &[("User-Agent", said)])?;
        ensure!(head.status == 200, "{target}: {}", head.status);
        let asked = hook.seen("play").get(before).context("no question")?["user_agent"].clone();
        let expect = match said {
            "Hls/2" => "Hls/2",
            said if said == long => &long[..200],
            _ => "Agent/12J",
        };
        ensure!(asked == expect, "{asked}");
        if target.ends_with(".flv") {
            let list = fetch(server.ports.admin, "/v1/sessions?role=viewer&protocol=flv", &[])?.json()?;
            ensure!(
                list.as_array().is_some_and(|all| all.iter().any(|s| s["user_agent"] == expect)),
                "{list}"
            );
        }
    }
    let publishers = fetch(server.ports.admin, "/v1/sessions?role=publisher", &[])?.json()?;
    ensure!(publishers[0]["user_agent"] == "FMLE/3.0 (compatible; floodtide)", "{publishers}");
    let told = until(LIMIT, "a viewer who left is told", || {
        Ok(hook.seen("unplay").into_iter().next().map_or(Look::NotYet("nothing".to_owned()), Look::Found))
    })?;
    ensure!(told["user_agent"].is_string(), "{told}");
    Ok(())
}
