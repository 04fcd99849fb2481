//! The server that runs already, if one does.

use super::finding::Finding;
use node::config::Config;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// How long it may take to answer.
const ANSWER_MAX: Duration = Duration::from_secs(3);
/// More of the answer doesn't matter.
const ANSWER_BYTES_MAX: u64 = 4096;

pub(super) async fn check(config: &Config) -> Finding {
    let address = reachable(config.admin.listen);
    let Ok(Ok(socket)) = tokio::time::timeout(ANSWER_MAX, TcpStream::connect(address)).await else {
        return Finding::ok("running server", format!("none at {address} (admin.listen)"));
    };
    let answer = match tokio::time::timeout(ANSWER_MAX, ask(socket, address)).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => return mute(address, &error.to_string()),
        Err(_) => return mute(address, "it says nothing"),
    };
    judge(address, &answer)
}

/// Where a listener can be reached from here.
pub(super) fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

async fn ask(mut socket: TcpStream, address: SocketAddr) -> std::io::Result<String> {
    let request = format!("GET /readyz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    socket.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    socket.take(ANSWER_BYTES_MAX).read_to_end(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

fn judge(address: SocketAddr, answer: &str) -> Finding {
    let status = answer.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.split_whitespace().next());
    let said = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body.trim());
    match status {
        Some("200") => Finding::ok("running server", format!("ready at {address}")),
        Some("503") => Finding::warning("running server", format!("not ready at {address}: {said}"))
            .advise("it is starting or shutting down; if it stays so, see its log: journalctl -u floodtide"),
        _ => mute(address, "its answer to /readyz is no server's of ours"),
    }
}

fn mute(address: SocketAddr, why: &str) -> Finding {
    Finding::warning("running server", format!("something at {address} (admin.listen) doesn't answer: {why}"))
        .advise("see its log (journalctl -u floodtide), or set admin.listen if it is another program")
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    #[test]
    fn an_answer_is_judged_by_its_status() {
        let check = |answer: &str, expect: Verdict, text: &str| {
            let told = judge(SocketAddr::from(([127, 0, 0, 1], 9080)), answer);
            assert_eq!(told.verdict, expect, "{told:?}");
            assert!(told.found.contains(text), "{told:?}");
        };
        check("HTTP/1.1 200 OK\r\n\r\nready\n", Verdict::Ok, "ready at");
        check("HTTP/1.1 503 Service Unavailable\r\n\r\ndraining\n", Verdict::Warning, "draining");
        check("SSH-2.0-OpenSSH\r\n", Verdict::Warning, "doesn't answer");
    }

    #[test]
    fn a_listener_on_all_addresses_is_reached_by_loopback() {
        let check = |listen: &str, expect: &str| {
            assert_eq!(reachable(listen.parse().expect("an address")).to_string(), expect);
        };
        check("0.0.0.0:1", "127.0.0.1:1");
        check("[::]:1", "[::1]:1");
        check("192.0.2.1:1", "192.0.2.1:1");
    }
}
