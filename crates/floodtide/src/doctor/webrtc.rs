//! Whether WebRTC's clients can reach the addresses that answers name.
//!
//! What a client has to reach is tried as far as one machine can: what a STUN server outside sees, whether an address is one of the
//! internet's at all, and, while a server runs, whether it lets us in by TCP and nobody refuses by UDP. The server answers nobody by
//! UDP who has no session, so no more can be seen of that.

use super::finding::Finding;
use node::config::{Config, Webrtc};
use node::{Known, Reach};
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

/// How long an address may take to let us in by TCP.
const CONNECT_MAX: Duration = Duration::from_secs(2);
/// How long a refusal by UDP takes at most; nothing else is waited for.
const REFUSAL_MAX: Duration = Duration::from_millis(500);
/// A binding request without attributes (RFC 8489 §5): the least that the port reads.
const BINDING_REQUEST: [u8; 20] = *b"\0\x01\0\0\x21\x12\xa4\x42floodtide-dr";

const ADDRESS: &str = "webrtc address";
const MEDIA: &str = "webrtc media";

pub(super) async fn check(config: &Config) -> Vec<Finding> {
    let webrtc = &config.webrtc;
    if !webrtc.enabled {
        return Vec::new();
    }
    let reach = Reach::find(webrtc).await;
    // The server asks only where none are set; here the two are compared.
    let seen = match (webrtc.stun.is_empty(), webrtc.addresses.is_empty()) {
        (false, false) => Some(Reach::ask(&webrtc.stun).await),
        _ => None,
    };
    vec![address(webrtc, &reach, seen.as_ref()), media(webrtc.listen, &reach.addresses).await]
}

/// What answers name, and whether anybody outside could come to it.
fn address(webrtc: &Webrtc, reach: &Reach, seen: Option<&Result<IpAddr, String>>) -> Finding {
    let port = webrtc.listen.port();
    let named: Vec<String> =
        reach.addresses.iter().map(|ip| SocketAddr::new(*ip, port).to_string()).collect();
    let how = match &reach.known {
        Known::Set if webrtc.addresses.is_empty() => "webrtc.listen".to_owned(),
        Known::Set => "webrtc.addresses".to_owned(),
        Known::Own => "this machine's own".to_owned(),
        Known::Told => format!("the first as {} sees it", webrtc.stun),
        Known::Untold(_) => "this machine's own".to_owned(),
    };
    let found = format!("answers name {} ({how})", named.join(", "));
    let wrong = match (&reach.known, seen) {
        (Known::Untold(why), _) | (_, Some(Err(why))) => Some(format!("{} told nothing: {why}", webrtc.stun)),
        (_, Some(Ok(seen))) if !webrtc.addresses.contains(seen) => {
            return Finding::warning(ADDRESS, format!("{found}, but {} sees us as {seen}", webrtc.stun)).advise(
                "set webrtc.addresses to that address, unless clients come by another way than this machine goes out",
            );
        }
        _ => None,
    };
    if let Some(wrong) = wrong {
        return Finding::warning(ADDRESS, format!("{found}, and {wrong}"))
            .advise("let UDP out to it, or name another STUN server in webrtc.stun");
    }
    if reach.addresses.iter().any(|ip| is_public(*ip)) {
        return Finding::ok(ADDRESS, found);
    }
    Finding::warning(ADDRESS, format!("{found}: nobody on the internet reaches any of them")).advise(format!(
        "set webrtc.addresses to the address that clients reach this machine by (or webrtc.stun to a server that tells it), and let UDP \
         and TCP {port} through to it under the same number; in a network of your own it is as it should be"
    ))
}

/// Whether the server that runs is there at each address.
async fn media(listen: SocketAddr, addresses: &[IpAddr]) -> Finding {
    let at = |ip: IpAddr| SocketAddr::new(ip, listen.port());
    if !lets_in(super::ready::reachable(listen)).await {
        return Finding::ok(MEDIA, "not tried, since no server runs here");
    }
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    for address in addresses.iter().copied().map(at) {
        match (lets_in(address).await, refuses_datagrams(address).await) {
            (true, false) => good.push(address.to_string()),
            (false, _) => bad.push(format!("{address} lets nobody in by TCP")),
            (true, true) => bad.push(format!("{address} refuses datagrams")),
        }
    }
    if bad.is_empty() {
        let good = good.join(", ");
        return Finding::ok(MEDIA, format!("{good} let us in by TCP, and refuse no datagrams"));
    }
    Finding::warning(MEDIA, bad.join("; ")).advise(format!(
        "let UDP and TCP {} through to this machine. Some routers let no machine reach itself from inside: then try it from elsewhere, as \
         by nc -vz ADDRESS {}",
        listen.port(),
        listen.port()
    ))
}

async fn lets_in(address: SocketAddr) -> bool {
    matches!(timeout(CONNECT_MAX, TcpStream::connect(address)).await, Ok(Ok(_)))
}

/// Whether somebody says that nobody is there for datagrams. Silence says nothing: that is how the port treats strangers.
async fn refuses_datagrams(address: SocketAddr) -> bool {
    let any: IpAddr =
        if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let Ok(socket) = UdpSocket::bind(SocketAddr::new(any, 0)).await else { return false };
    let asked = async {
        socket.connect(address).await?;
        socket.send(&BINDING_REQUEST).await?;
        socket.recv(&mut [0; 64]).await
    };
    let answer = timeout(REFUSAL_MAX, asked).await;
    matches!(answer, Ok(Err(error)) if matches!(error.kind(), ErrorKind::ConnectionRefused | ErrorKind::HostUnreachable))
}

/// Whether an address is one of the internet's (IANA's registries of special purposes, RFC 6890).
fn is_public(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => {
            let [a, b, c, _] = ip.octets();
            let carriers = a == 100 && (64..128).contains(&b); // RFC 6598
            let tests = (a == 198 && (b == 18 || b == 19)) || (a, b, c) == (192, 0, 0);
            let local = ip.is_private() || ip.is_loopback() || ip.is_link_local();
            let none = a == 0 || a >= 240 || ip.is_multicast() || ip.is_documentation();
            !(carriers || tests || local || none)
        }
        IpAddr::V6(ip) => {
            let documents = ip.segments()[..2] == [0x2001, 0xdb8];
            // Unicast that is given to somebody is within 2000::/3 (RFC 4291 §2.4).
            ip.segments()[0] & 0xe000 == 0x2000 && !documents
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    const OWN: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 5));
    const OUTSIDE: IpAddr = IpAddr::V4(Ipv4Addr::new(1, 2, 3, 4));

    #[track_caller]
    fn check(
        webrtc: &Webrtc,
        (addresses, known): (&[IpAddr], Known),
        seen: Option<&Result<IpAddr, String>>,
        (expect, text): (Verdict, &str),
    ) {
        let told = address(webrtc, &Reach { addresses: addresses.to_vec(), known }, seen);
        assert_eq!(told.verdict, expect, "{told:?}");
        assert!(told.found.contains(text), "{told:?}");
        assert_eq!(told.advice.is_some(), expect != Verdict::Ok, "{told:?}");
    }

    #[test]
    fn an_address_that_nobody_outside_reaches_is_warned_of() {
        let own = Webrtc::default();
        check(
            &own,
            (&[OWN], Known::Own),
            None,
            (Verdict::Warning, "10.0.0.5:8000 (this machine's own): nobody"),
        );
        check(&own, (&[OWN, OUTSIDE], Known::Own), None, (Verdict::Ok, "10.0.0.5:8000, 1.2.3.4:8000"));
        let set = Webrtc { addresses: vec![OWN], ..Webrtc::default() };
        check(&set, (&[OWN], Known::Set), None, (Verdict::Warning, "(webrtc.addresses): nobody"));
    }

    #[test]
    fn what_a_stun_server_sees_is_compared() {
        let stun = "stun.example.net:3478".to_owned();
        let asking = Webrtc { stun: stun.clone(), ..Webrtc::default() };
        check(&asking, (&[OUTSIDE, OWN], Known::Told), None, (Verdict::Ok, "the first as stun.example.net"));
        let untold = Known::Untold("it doesn't answer".to_owned());
        check(&asking, (&[OWN], untold), None, (Verdict::Warning, "told nothing: it doesn't answer"));
        let set = Webrtc { stun, addresses: vec![OUTSIDE], ..Webrtc::default() };
        check(
            &set,
            (&[OUTSIDE], Known::Set),
            Some(&Ok(OUTSIDE)),
            (Verdict::Ok, "1.2.3.4:8000 (webrtc.addresses)"),
        );
        let other = IpAddr::V4(Ipv4Addr::new(5, 6, 7, 8));
        check(&set, (&[OUTSIDE], Known::Set), Some(&Ok(other)), (Verdict::Warning, "sees us as 5.6.7.8"));
        let mute = Err("it doesn't answer".to_owned());
        check(&set, (&[OUTSIDE], Known::Set), Some(&mute), (Verdict::Warning, "told nothing"));
    }

    #[test]
    fn addresses_of_the_internet_are_told_from_others() {
        for ip in ["1.1.1.1", "100.128.0.1", "172.32.0.1", "2a01:4f8::1", "::ffff:8.8.8.8"] {
            assert!(is_public(ip.parse().expect("an address")), "{ip}");
        }
        for ip in [
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "100.64.0.1",
            "127.0.0.1",
            "169.254.1.1",
            "0.0.0.0",
            "203.0.113.7",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::1",
            "fe80::1",
            "fd00::1",
            "2001:db8::1",
        ] {
            assert!(!is_public(ip.parse().expect("an address")), "{ip}");
        }
    }

    #[tokio::test]
    async fn who_is_not_there_for_datagrams_is_told_from_who_is_silent() {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("a free port");
        let address = socket.local_addr().expect("an address");
        assert!(!refuses_datagrams(address).await);
        drop(socket);
        assert!(refuses_datagrams(address).await);
    }
}
