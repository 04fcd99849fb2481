//! Behind a proxy the client is who the proxy says, if it is a proxy of ours; HAProxy is the real one.

use anyhow::{Context, Result, ensure};
use e2e::http::fetch;
use e2e::wait::{Look, until};
use e2e::{Publisher, Running, Server, Tool, clips, knock};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(20);

/// HAProxy on the server's unused ports: in front of RTMP by version 1 of the PROXY protocol, of HTTP by version 2.
struct Proxy {
    _haproxy: Running,
    rtmp: u16,
    http: u16,
}

impl Proxy {
    fn start(server: &Server, rtmp: &str, http: &str) -> Result<Proxy> {
        let ports = server.ports;
        let file = server.file("haproxy.cfg");
        let text = format!(
            "defaults\n timeout connect 5s\n timeout client 30s\n timeout server 30s\n\
             listen rtmp\n mode tcp\n bind 127.0.0.1:{}\n server s 127.0.0.1:{} {rtmp}\n\
             listen http\n {http}\n bind 127.0.0.1:{}\n server s 127.0.0.1:{} {}\n",
            ports.rtmps,
            ports.rtmp,
            ports.https,
            ports.http,
            if http.contains("forwardfor") { "" } else { "send-proxy-v2" },
        );
        std::fs::write(&file, text)?;
        let mut haproxy = Tool::new("/usr/sbin/haproxy").words("-db -f").arg(&file).start()?;
        until(LIMIT, "HAProxy listens", || {
            ensure!(haproxy.is_running()?, "{}", haproxy.text_so_far());
            let open = TcpStream::connect((Ipv4Addr::LOCALHOST, ports.https)).is_ok();
            Ok(if open { Look::Found(()) } else { Look::NotYet(haproxy.text_so_far()) })
        })?;
        Ok(Proxy { _haproxy: haproxy, rtmp: ports.rtmps, http: ports.https })
    }
}

/// What a GET from this address is answered with; nothing when the connection is closed.
fn ask(source: [u8; 4], port: u16, target: &str, headers: &str) -> Result<String> {
    let mut socket = knock(Ipv4Addr::from(source), port)?;
    let mut answer = String::new();
    // A connection that is closed at once may break while we write or read.
    let _ = write!(socket, "GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n")
        .and_then(|()| socket.read_to_string(&mut answer).map(drop));
    Ok(answer)
}

fn limited(server: &Server, limit: &str) -> Result<f64> {
    server.metric(&format!("floodtide_limited_total{{limit=\"{limit}\"}}"))
}

const BEHIND_A_PROXY: &str = "[publish]\nstream_key = 'k'\n[log]\naccess = 'requests'\naddresses = 'full'\n\
    [rtmp]\nproxy_protocol = true\n[http]\nproxy_protocol = true\n\
    [limits]\nexempt = []\ntrusted_proxies = ['127.0.0.1/32']\nconnections_per_address = 3\n";

#[test]
fn haproxys_clients_are_counted_one_by_one_and_strangers_are_not_let_in() -> Result<()> {
    let server = Server::serve(BEHIND_A_PROXY)?;
    let proxy = Proxy::start(&server, "send-proxy", "mode tcp")?;
    let _publisher = Publisher::start(proxy.rtmp, "x?key=k", &clips::h264_aac()?)?;
    until(LIMIT, "live/x is in the list", || {
        let list = fetch(proxy.http, "/api/broadcasts", &[])?.text()?;
        Ok(if list.contains("live/x") { Look::Found(()) } else { Look::NotYet(list) })
    })?;
    // Three connections of one client, who watches; a fourth is too much, and a neighbour is not.
    let held: Vec<TcpStream> = (0..3).map(|_| watch([127, 9, 0, 1], proxy.http)).collect::<Result<_>>()?;
    let fourth = ask([127, 9, 0, 1], proxy.http, "/", "")?;
    ensure!(
        fourth.contains(" 429 ") && fourth.contains("too many connections from your address"),
        "{fourth}"
    );
    let neighbour = ask([127, 9, 0, 2], proxy.http, "/", "")?;
    ensure!(neighbour.starts_with("HTTP/1.1 200"), "{neighbour}");
    drop(held);
    until(LIMIT, "the log names the viewer's real address", || {
        let log = server.log();
        Ok(if log.contains("127.9.0.1") { Look::Found(()) } else { Look::NotYet(log) })
    })?;
    // Who comes past the proxy is closed, whatever it says.
    let lie = "X-Forwarded-For: 1.2.3.4\r\n";
    ensure!(ask([127, 9, 0, 3], server.ports.http, "/", lie)?.is_empty(), "a stranger was answered");
    let mut stranger = knock(Ipv4Addr::new(127, 9, 0, 3), server.ports.rtmp)?;
    ensure!(!matches!(stranger.read(&mut [0]), Ok(1..)), "a stranger was answered by RTMP");
    ensure!(limited(&server, "trusted_proxies")? == 2.0, "both are counted");
    // A proxy that doesn't say who its client is isn't let in either.
    ensure!(ask([127, 0, 0, 1], server.ports.http, "/", "")?.is_empty(), "no PROXY head, and yet an answer");
    ensure!(limited(&server, "proxy_head")? >= 1.0, "it is counted");
    Ok(())
}

/// Somebody who watches `live/x`.
fn watch(source: [u8; 4], port: u16) -> Result<TcpStream> {
    let mut socket = knock(Ipv4Addr::from(source), port)?;
    socket.write_all(b"GET /live/x.flv HTTP/1.1\r\nHost: x\r\n\r\n")?;
    let mut head = [0; 12];
    socket.read_exact(&mut head).context("no answer")?;
    ensure!(&head == b"HTTP/1.1 200", "{}", String::from_utf8_lossy(&head));
    Ok(socket)
}

#[test]
fn x_forwarded_for_is_believed_from_a_proxy_of_ours_and_only_its_own_word() -> Result<()> {
    let limits = "exempt = []\ntrusted_proxies = ['127.0.0.1/32']\nrequests_per_address = 3\n";
    let server = Server::serve(&format!("[limits]\n{limits}"))?;
    let proxy = Proxy::start(&server, "", "mode http\n option forwardfor")?;
    for target in ["/", "/live/x/index.m3u8", "/live/x.flv"] {
        let third = target.len() as u8;
        // Each request claims to come from elsewhere; HAProxy puts the truth behind it.
        let lie = |n| format!("X-Forwarded-For: 10.0.0.{n}\r\nForwarded: for=10.1.0.{n}\r\n");
        let answers: Vec<String> =
            (0..6).map(|n| ask([127, 9, third, 1], proxy.http, target, &lie(n))).collect::<Result<_>>()?;
        let last = answers.last().map_or("", String::as_str);
        ensure!(last.starts_with("HTTP/1.1 429 "), "{target}: {last}");
        let neighbour = ask([127, 9, third, 2], proxy.http, target, "")?;
        ensure!(!neighbour.starts_with("HTTP/1.1 429 "), "{target}: {neighbour}");
    }
    // Past the proxy nobody is believed.
    let answers: Vec<String> = (0..6)
        .map(|n| ask([127, 9, 0, 9], server.ports.http, "/", &format!("X-Forwarded-For: 10.0.0.{n}\r\n")))
        .collect::<Result<_>>()?;
    ensure!(answers[5].starts_with("HTTP/1.1 429 "), "{}", answers[5]);
    Ok(())
}
