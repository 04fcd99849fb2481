//! Bad company: others play on without a stall, and the metrics say what happened.
//!
//! The attacks come from 127.9.x.y, healthy viewers from 127.0.1.1; no address is exempt.

use anyhow::{Result, ensure};
use e2e::wait::{Look, until};
use e2e::{Answer, Crowd, Flood, Peer, Publisher, Server, Tool, clips, knock};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(20);

/// Limits that loopback runs into.
const STRICT: &str = "[publish]\nstream_key = 'k'\nidle = '3s'\n[egress]\nstall_max = '3s'\n[limits]\nexempt = []\n\
    connections_per_address = 100\nnew_connections_per_address = 500\nrtmp_request = '2s'\nhttp_head = '2s'\n\
    unacknowledged = '3s'\n";

/// A server with these limits, and somebody who publishes `live/x`.
fn live(toml: &str) -> Result<(Server, Publisher)> {
    let server = Server::serve(toml)?;
    let publisher = Publisher::start(server.ports.rtmp, "x?key=k", &clips::long()?)?;
    server.wait_live("live/x")?;
    Ok((server, publisher))
}

fn limited(server: &Server, limit: &str) -> Result<f64> {
    server.metric(&format!("floodtide_limited_total{{limit=\"{limit}\"}}"))
}

#[test]
fn two_thousand_connections_that_send_nothing_are_closed_in_time() -> Result<()> {
    let (server, _publisher) = live(STRICT)?;
    let crowd = Crowd::watch(&server, Duration::from_secs(10))?;
    let mut silent = [Flood::open(1000, server.ports.rtmp, b"")?, Flood::open(1000, server.ports.http, b"")?];
    for flood in &mut silent {
        let closed = flood.closed_within(Duration::from_secs(15))?;
        ensure!(closed == 1000, "{closed} of 1000 were closed");
    }
    crowd.was_calm()?;
    for limit in ["rtmp_request", "http_head"] {
        let count = limited(&server, limit)?;
        ensure!(count == 1000.0, "{limit}: {count}");
    }
    Ok(())
}

/// slowhttptest in one of its modes; it comes from 127.0.0.1.
fn slow(server: &Server, mode: &str, target: &str) -> Tool {
    Tool::new("slowhttptest").words(mode).words("-r 200 -p 3 -u").arg(server.http(target))
}

/// Thirty connections each to a broadcast, to a large file and to a playlist that is asked for ten times in a row: all have windows of
/// some bytes and are read 5 bytes a second.
#[test]
fn slowhttptest_that_reads_slowly_is_let_go_and_counted_while_it_still_holds_its_connections() -> Result<()> {
    let (server, _publisher) = live(STRICT)?;
    let crowd = Crowd::watch(&server, Duration::from_secs(14))?;
    until(LIMIT, "the crowd is there", || {
        let viewers = server.metric("floodtide_viewers")?;
        Ok(if viewers == 50.0 { Look::Found(()) } else { Look::NotYet(viewers.to_string()) })
    })?;
    let healthy = server.metric("floodtide_connections")?;
    let read_slowly = "-X -n 1 -w 10 -y 20 -z 5 -l 12 -c 30";
    let attacks =
        [("/live/x.flv", "-k 1"), ("/web/vendor/mpegts.js", "-k 10"), ("/live/x/index.m3u8", "-k 10")];
    let mut attacks = attacks
        .into_iter()
        .map(|(target, requests)| slow(&server, &format!("{read_slowly} {requests}"), target).start())
        .collect::<Result<Vec<_>>>()?;
    until(Duration::from_secs(9), "slow readers are let go", || {
        let stalled = server.metric("floodtide_viewer_ends_total{reason=\"stalled\"}")?;
        let unacknowledged = limited(&server, "unacknowledged")?;
        let open = server.metric("floodtide_connections")?;
        let gone = stalled == 30.0 && unacknowledged >= 30.0 && open <= healthy;
        let seen = || format!("{stalled} stalled, {unacknowledged} unacknowledged, {open} open of {healthy}");
        Ok(if gone { Look::Found(()) } else { Look::NotYet(seen()) })
    })?;
    for attack in &mut attacks {
        ensure!(attack.is_running()?, "slowhttptest let go first: {}", attack.text_so_far());
    }
    for attack in attacks {
        let ended = attack.finish(LIMIT)?.text();
        ensure!(ended.contains("Hit test time limit"), "{ended}");
    }
    crowd.was_calm()?;
    Ok(())
}

/// Slow headers, slow bodies: 200 connections each, which is more than an address may have.
#[test]
fn slowhttptest_gets_no_more_than_its_address_may_have_and_no_longer_than_a_head_or_a_body_may_take()
-> Result<()> {
    let (server, _publisher) = live(STRICT)?;
    let crowd = Crowd::watch(&server, Duration::from_secs(20))?;
    let modes = [
        ("-H -i 1 -l 5", "/", "Exit status"),
        // A byte or two a second of an offer, until all are closed: 10 s, which is what a body may take.
        ("-B -i 1 -s 8192 -t POST -f application/sdp -l 18", "/live/x/whep", "No open connections left"),
    ];
    for (mode, target, end) in modes {
        let ended = slow(&server, &format!("{mode} -c 200"), target).run(LIMIT)?;
        ensure!(ended.text().contains(end) || ended.log.contains(end), "{target}: {ended}");
    }
    crowd.was_calm()?;
    let bodies = limited(&server, "http_body")?;
    ensure!(bodies >= 50.0, "{bodies} slow bodies");
    let heads = limited(&server, "http_head")?;
    ensure!(heads >= 50.0, "{heads} slow heads");
    let many = limited(&server, "connections_per_address")?;
    ensure!(many >= 100.0, "{many} connections too many");
    Ok(())
}

#[test]
fn viewers_and_publishers_whose_cable_is_cut_are_let_go() -> Result<()> {
    let (server, _publisher) = live(STRICT)?;
    let crowd = Crowd::watch(&server, Duration::from_secs(14))?;
    let mut viewers = Flood::open(50, server.ports.http, b"GET /live/x.flv HTTP/1.1\r\nHost: x\r\n\r\n")?;
    viewers.hear()?;
    viewers.vanish()?;
    let (publisher, answer) = Peer::publish(server.ports.rtmp, "gone?key=k")?;
    ensure!(answer == Answer::Ready, "{answer:?}");
    publisher.vanish()?;
    until(LIMIT, "those who are gone are counted so", || {
        let stalled = server.metric("floodtide_viewer_ends_total{reason=\"stalled\"}")?;
        let idle = server.metric("floodtide_publisher_ends_total{reason=\"idle\"}")?;
        let open = server.metric("floodtide_connections")?;
        let gone = stalled == 50.0 && idle == 1.0;
        Ok(if gone { Look::Found(()) } else { Look::NotYet(format!("{stalled} {idle} of {open}")) })
    })?;
    crowd.was_calm()?;
    Ok(())
}

#[test]
fn publishers_who_are_killed_harm_nobody() -> Result<()> {
    let (server, _publisher) = live(STRICT)?;
    let clip = clips::long()?;
    let crowd = Crowd::watch(&server, Duration::from_secs(12))?;
    for round in 0..5 {
        let mut publishers = Vec::new();
        for n in 0..4 {
            publishers.push(e2e::compare::publish(
                &clip,
                "",
                &server.rtmp(&format!("/live/k{round}{n}?key=k")),
            )?);
        }
        for n in 0..4 {
            server.wait_live(&format!("live/k{round}{n}"))?;
        }
        for publisher in &mut publishers {
            publisher.kill()?;
        }
        let ended = f64::from(4 * (round + 1));
        until(LIMIT, "the killed ones are gone", || {
            let ends = server.metric("floodtide_publisher_ends_total")?;
            Ok(if ends >= ended { Look::Found(()) } else { Look::NotYet(format!("{ends} of {ended}")) })
        })?;
    }
    crowd.was_calm()?;
    Ok(())
}

#[test]
fn a_flood_of_handshakes_from_one_address_is_closed_before_any_work() -> Result<()> {
    let (server, _publisher) = live(STRICT)?;
    let crowd = Crowd::watch(&server, Duration::from_secs(8))?;
    let flooder = Ipv4Addr::new(127, 9, 9, 9);
    let until_then = Instant::now() + Duration::from_secs(6);
    let knocking = [server.ports.rtmp, server.ports.http].map(|port| {
        std::thread::spawn(move || -> Result<u32> {
            let mut knocks = 0;
            while Instant::now() < until_then {
                drop(knock(flooder, port)?);
                knocks += 1;
            }
            Ok(knocks)
        })
    });
    let mut knocks = 0;
    for thread in knocking {
        knocks += thread.join().map_err(|_| anyhow::anyhow!("a thread panicked"))??;
    }
    // Meanwhile somebody else, who comes now, is served.
    let neighbour = first_byte(knock(Ipv4Addr::new(127, 9, 9, 10), server.ports.rtmp)?);
    ensure!(neighbour.is_some(), "a neighbour gets no handshake");
    crowd.was_calm()?;
    let refused = limited(&server, "new_connections_per_address")?;
    // 500 a second, and 500 at once.
    let most = 500.0 * 7.0 + 500.0;
    ensure!(refused >= f64::from(knocks) - most, "{refused} refused of {knocks}");
    ensure!(knocks > 5000, "{knocks} knocks are no flood");
    Ok(())
}

/// What an RTMP server answers to a handshake; `None` when it closes.
fn first_byte(mut socket: TcpStream) -> Option<u8> {
    let hello: Vec<u8> = [3].into_iter().chain([0; 1536]).collect();
    let mut first = [0];
    socket.write_all(&hello).and_then(|()| socket.read_exact(&mut first)).ok().map(|()| first[0])
}

/// What HTTP answers to a GET from this address.
fn ask(source: [u8; 4], port: u16, target: &str, headers: &str) -> Result<String> {
    let mut socket = knock(Ipv4Addr::from(source), port)?;
    write!(socket, "GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n")?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer)?;
    Ok(answer)
}

#[test]
fn who_is_too_much_is_told_in_words_and_when_to_come_again() -> Result<()> {
    let limits = "requests_per_address = 3\nconnections_per_address = 2\nipv4_prefix = 24\n";
    let server = Server::serve(&format!("[limits]\nexempt = []\n{limits}"))?;
    for target in ["/live/x.flv", "/live/x/index.m3u8", "/"] {
        // Each from a /24 of its own, in which neighbours count as one.
        let third = target.len() as u8;
        let answers: Vec<String> =
            (1..=6).map(|n| ask([127, 9, third, n], server.ports.http, target, "")).collect::<Result<_>>()?;
        let refused = answers.last().map_or("", String::as_str);
        ensure!(refused.starts_with("HTTP/1.1 429 Too Many Requests\r\n"), "{target}: {refused}");
        ensure!(refused.to_ascii_lowercase().contains("retry-after: 1\r\n"), "{target}: {refused}");
        ensure!(refused.contains("too many requests from your address"), "{target}: {refused}");
    }
    let held: Vec<_> =
        (1..=2).map(|n| knock(Ipv4Addr::new(127, 9, 99, n), server.ports.http)).collect::<Result<_>>()?;
    let refused = ask([127, 9, 99, 3], server.ports.http, "/", "")?;
    ensure!(
        refused.contains(" 429 ") && refused.contains("too many connections from your address"),
        "{refused}"
    );
    ensure!(first_byte(knock(Ipv4Addr::new(127, 9, 99, 4), server.ports.rtmp)?).is_none(), "RTMP is closed");
    drop(held);
    // What a reload says holds at once, also for everybody together.
    server.configure("[limits]\nconnections = 2\n")?;
    until(LIMIT, "the new limit holds", || {
        let max = server.metric("floodtide_connections_max")?;
        Ok(if max == 2.0 { Look::Found(()) } else { Look::NotYet(format!("{max}")) })
    })?;
    until(LIMIT, "a full server says so", || {
        let _held = [1, 2].map(|n| knock(Ipv4Addr::new(127, 9, 99, n), server.ports.http));
        let answer = ask([127, 9, 50, 1], server.ports.http, "/", "")?;
        let full = answer.contains(" 503 ") && answer.contains("all the connections that it can take");
        Ok(if full { Look::Found(()) } else { Look::NotYet(answer) })
    })?;
    Ok(())
}
