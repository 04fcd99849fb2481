//! A thousand seeded attempts to get at a broadcast that isn't theirs: by other vhosts, by paths that climb, by requests
//! that two servers would read in two ways. None gets a byte of it, and the server stays well.

use anyhow::{Result, ensure};
use e2e::http::fetch;
use e2e::{Publisher, Server, clips};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;
use testkit::Random;

/// The vhost `mine` is open to everybody; `theirs` to nobody.
const VHOSTS: &str = "
[publish]
stream_key = 'k'
[play]
access = 'nobody'
[vhost.mine]
hosts = ['mine.example']
play = 'anyone'
[vhost.theirs]
hosts = ['theirs.example']
";

/// How long is waited for more of an answer.
const ANSWER_MAX: Duration = Duration::from_millis(100);
const ATTACKERS: u64 = 8;

#[test]
fn a_thousand_attempts_at_a_closed_broadcast_get_nothing() -> Result<()> {
    let server = Server::serve(VHOSTS)?;
    let clip = clips::long()?;
    let _theirs = Publisher::start(server.ports.rtmp, "secret?key=k&vhost=theirs", &clip)?;
    let _mine = Publisher::start(server.ports.rtmp, "open?key=k&vhost=mine", &clip)?;
    let list = |host: &str| -> Result<String> {
        e2e::http::Connection::open_as(server.ports.http, host)?
            .request("GET", "/api/broadcasts", &[])?
            .text()
    };
    e2e::wait::until(Duration::from_secs(10), "the open broadcast is live", || {
        let text = list("mine.example")?;
        Ok(if text.contains("live/open") {
            e2e::wait::Look::Found(())
        } else {
            e2e::wait::Look::NotYet(text)
        })
    })?;
    let port = server.ports.http;
    let attackers = (0..ATTACKERS).map(|seed| std::thread::spawn(move || attack(port, seed)));
    let attackers: Vec<_> = attackers.collect();
    let mut answered = 0;
    for attacker in attackers {
        answered += attacker.join().map_err(|_| anyhow::anyhow!("an attacker panicked"))??;
    }
    ensure!(answered > 700, "only {answered} attempts were answered at all");
    ensure!(!list("mine.example")?.contains("secret") && !list("theirs.example")?.contains("secret"));
    let open = e2e::http::Connection::open_as(server.ports.http, "mine.example")?;
    ensure!(open.endless("/live/open.flv", &[])?.0.status == 200, "the open broadcast doesn't play any more");
    ensure!(fetch(server.ports.admin, "/healthz", &[])?.status == 200);
    Ok(())
}

/// Attempts from one seed; returns how many were answered.
fn attack(port: u16, seed: u64) -> Result<u64> {
    let mut random = Random::seeded(seed);
    let mut answered = 0;
    for number in 0..1000 / ATTACKERS {
        let request = attempt(&mut random);
        let answer = raw(port, &request)?;
        let shown = String::from_utf8_lossy(&request).into_owned();
        ensure!(!has_media(&answer), "attempt {number} of seed {seed} got media: {shown}");
        let status = String::from_utf8_lossy(&answer).split(' ').nth(1).unwrap_or_default().to_owned();
        ensure!(!status.starts_with('5'), "attempt {number} of seed {seed} got {status}: {shown}");
        answered += u64::from(!answer.is_empty());
    }
    Ok(answered)
}

fn has_media(answer: &[u8]) -> bool {
    [&b"#EXTM3U"[..], b"FLV\x01", b"ftyp"].iter().any(|mark| answer.windows(mark.len()).any(|w| w == *mark))
}

/// One way to ask for what isn't allowed.
fn attempt(random: &mut Random) -> Vec<u8> {
    let target = one_of(random, &TARGETS);
    let host = one_of(random, &HOSTS);
    let request = match random.below(4) {
        // What is allowed nowhere, with headers that contradict each other.
        0 => format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nHost: mine.example\r\n\r\n"),
        1 => smuggled(one_of(random, &FRAMINGS)),
        2 => format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n{}\r\n\r\n", one_of(random, &HEADERS)),
        _ => {
            let plain = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n");
            return random.mutate(plain.as_bytes());
        }
    };
    request.into_bytes()
}

/// A request whose body hides another one, for the broadcast that `mine.example` may see: a proxy that reads the framing in
/// another way than we do would take our second answer for that of somebody else's request (RFC 9112 §11.2).
fn smuggled(framing: &str) -> String {
    let inner = "GET /live/open/index.m3u8 HTTP/1.1\r\nHost: mine.example\r\nX: ";
    format!(
        "POST / HTTP/1.1\r\nHost: theirs.example\r\n{}\r\n\r\n0\r\n\r\n{inner}\r\n\r\n",
        framing.replace("LENGTH", &(inner.len() + 9).to_string())
    )
}

fn one_of<'a>(random: &mut Random, all: &[&'a str]) -> &'a str {
    all[random.below(all.len())]
}

/// None of these is a broadcast that `mine.example` may see.
const TARGETS: [&str; 14] = [
    "/live/secret.flv",
    "/live/secret/index.m3u8",
    "/theirs/live/secret.flv",
    "/theirs/live/secret/video/index.m3u8",
    "/mine/../theirs/live/secret.flv",
    "/live/..%2f..%2ftheirs%2flive%2fsecret.flv",
    "/live/%2e%2e/theirs/live/secret/index.m3u8",
    "//theirs/live/secret.flv",
    "/live/secret.flv?vhost=theirs",
    "/live/secret/index.m3u8?vhost=theirs&vhost=mine",
    "http://theirs.example/live/secret.flv",
    "http://mine.example@theirs.example/live/secret.flv",
    "/../../../../etc/passwd",
    "/console/..%5c..%5cetc%5cpasswd",
];
const HOSTS: [&str; 8] = [
    "mine.example",
    "theirs.example",
    "theirs.example:8080",
    "THEIRS.example.",
    "mine.example, theirs.example",
    "theirs",
    "127.0.0.1",
    "[::1]",
];
const HEADERS: [&str; 7] = [
    "X-Forwarded-Host: mine.example",
    "Forwarded: host=mine.example;for=127.0.0.1",
    "X-Original-URL: /live/open.flv",
    "Authorization: Bearer eyJhbGciOiJub25lIn0.e30.",
    "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
    "Host : mine.example",
    " Host: mine.example",
];
const FRAMINGS: [&str; 6] = [
    "Content-Length: LENGTH\r\nTransfer-Encoding: chunked",
    "Transfer-Encoding: chunked\r\nContent-Length: LENGTH",
    "Transfer-Encoding: xchunked\r\nContent-Length: LENGTH",
    "Content-Length: LENGTH\r\nContent-Length: 0",
    "Transfer-Encoding : chunked\r\nContent-Length: LENGTH",
    "Content-Length: +LENGTH",
];

/// All that comes back within a while.
fn raw(port: u16, request: &[u8]) -> Result<Vec<u8>> {
    let mut socket = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    socket.set_read_timeout(Some(ANSWER_MAX))?;
    // The server may have refused before all of it was sent.
    let _ = socket.write_all(request);
    let mut answer = Vec::new();
    // Ends with the connection, or when nothing comes for a while.
    let _ = socket.take(64 << 10).read_to_end(&mut answer);
    Ok(answer)
}
