//! The head of the PROXY protocol, versions 1 and 2: who the client behind a proxy is.
//! <https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt>

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// What the bytes so far are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// The head has at least so many bytes more. What comes behind it stays unread.
    More(usize),
    /// The whole head: the client, or none when the proxy speaks for itself (a health check).
    Whole(Option<SocketAddr>),
}

/// The bytes are no head of the PROXY protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no head of the PROXY protocol")]
pub(crate) struct ProxyError;

/// §2.2: how version 2 begins.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// Signature, version and command, family and transport, length.
const V2_BYTES: usize = 16;
/// Addresses and extensions of version 2; the longest known ones, of TLS, take some hundred bytes.
const V2_REST_BYTES_MAX: usize = 2048;
/// §2.1: how version 1 begins, and the bytes of its longest line.
const V1_BEGIN: &[u8] = b"PROXY ";
const V1_BYTES_MAX: usize = 107;
/// `PROXY UNKNOWN\r\n`
const V1_BYTES_MIN: usize = 15;

/// Looks at the first bytes of a connection.
///
/// # Errors
/// When they are no head of the PROXY protocol, or one that is longer than any known.
pub(crate) fn look(bytes: &[u8]) -> Result<Look, ProxyError> {
    if let Some(count) = SIGNATURE.len().checked_sub(bytes.len()).filter(|count| *count > 0) {
        return Ok(Look::More(count));
    }
    if bytes.starts_with(SIGNATURE) { version_2(bytes) } else { version_1(bytes) }
}

fn version_1(bytes: &[u8]) -> Result<Look, ProxyError> {
    if !bytes.starts_with(V1_BEGIN) {
        return Err(ProxyError);
    }
    if let Some(count) = V1_BYTES_MIN.checked_sub(bytes.len()).filter(|count| *count > 0) {
        return Ok(Look::More(count));
    }
    let Some(line) = bytes.strip_suffix(b"\r\n") else {
        let missing = if bytes.ends_with(b"\r") { 1 } else { 2 };
        let broken = bytes.contains(&b'\n') || bytes.len() + missing > V1_BYTES_MAX;
        return if broken { Err(ProxyError) } else { Ok(Look::More(missing)) };
    };
    let line = std::str::from_utf8(line).map_err(|_| ProxyError)?;
    let words: Vec<&str> = line.split(' ').take(WORDS_MAX).collect();
    match words[..] {
        ["PROXY", "UNKNOWN", ..] => Ok(Look::Whole(None)),
        ["PROXY", family, from, _, port, _] => {
            let address: IpAddr = from.parse().map_err(|_| ProxyError)?;
            if family != if address.is_ipv4() { "TCP4" } else { "TCP6" } {
                return Err(ProxyError);
            }
            Ok(Look::Whole(Some(SocketAddr::new(address, port.parse().map_err(|_| ProxyError)?))))
        }
        _ => Err(ProxyError),
    }
}

/// One more than a line of version 1 has.
const WORDS_MAX: usize = 7;

fn version_2(bytes: &[u8]) -> Result<Look, ProxyError> {
    let Some((head, rest)) = bytes.split_first_chunk::<V2_BYTES>() else {
        return Ok(Look::More(V2_BYTES - bytes.len()));
    };
    let [command, family] = [head[12], head[13]];
    let length = usize::from(u16::from_be_bytes([head[14], head[15]]));
    if command >> 4 != 2 || length > V2_REST_BYTES_MAX {
        return Err(ProxyError);
    }
    if let Some(count) = length.checked_sub(rest.len()).filter(|count| *count > 0) {
        return Ok(Look::More(count));
    }
    let client = match (command & 0xf, family) {
        (LOCAL, _) => None,
        (PROXY, TCP_V4) => {
            let (from, rest) = rest.split_first_chunk::<4>().ok_or(ProxyError)?;
            Some(SocketAddr::new(Ipv4Addr::from(*from).into(), port_behind::<4>(rest)?))
        }
        (PROXY, TCP_V6) => {
            let (from, rest) = rest.split_first_chunk::<16>().ok_or(ProxyError)?;
            Some(SocketAddr::new(Ipv6Addr::from(*from).into(), port_behind::<16>(rest)?))
        }
        // UNSPEC, UDP and UNIX: the connection is real, its client has no address that we could use.
        (PROXY, _) => None,
        _ => return Err(ProxyError),
    };
    Ok(Look::Whole(client))
}

const LOCAL: u8 = 0;
const PROXY: u8 = 1;
const TCP_V4: u8 = 0x11;
const TCP_V6: u8 = 0x21;

/// The port of the client, which stands behind the address of the server.
fn port_behind<const N: usize>(rest: &[u8]) -> Result<u16, ProxyError> {
    let port = rest.get(N..N + 2).ok_or(ProxyError)?;
    // Both ports are there.
    if rest.len() < N + 4 {
        return Err(ProxyError);
    }
    Ok(u16::from_be_bytes([port[0], port[1]]))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds byte counts as asked for; also says how many bytes were taken.
    fn read(bytes: &[u8]) -> (Result<Option<SocketAddr>, ProxyError>, usize) {
        let mut taken = 0;
        loop {
            match look(&bytes[..taken]) {
                Ok(Look::More(count)) if taken + count <= bytes.len() => taken += count,
                Ok(Look::More(_)) | Err(_) => return (Err(ProxyError), taken),
                Ok(Look::Whole(client)) => return (Ok(client), taken),
            }
        }
    }

    fn v2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [&SIGNATURE[..], &[command, family], &length, rest].concat()
    }

    #[track_caller]
    fn check(head: &[u8], expect: Option<Option<&str>>) {
        let expect = expect.map(|client| client.map(|c| c.parse().unwrap()));
        let (read, taken) = read(&[head, b"GET / HTTP/1.1\r\n\r\n"].concat());
        assert_eq!(read.ok(), expect, "{:?}", String::from_utf8_lossy(head));
        if expect.is_some() {
            assert_eq!(taken, head.len(), "what comes behind the head is left alone");
        }
    }

    #[test]
    fn version_1_is_a_line() {
        check(b"PROXY TCP4 1.2.3.4 5.6.7.8 1000 80\r\n", Some(Some("1.2.3.4:1000")));
        check(b"PROXY TCP6 2001:db8::1 ::1 65535 443\r\n", Some(Some("[2001:db8::1]:65535")));
        check(b"PROXY UNKNOWN\r\n", Some(None));
        check(b"PROXY UNKNOWN ffff::1 ::1 1 2\r\n", Some(None));
        check(b"PROXY TCP6 1.2.3.4 5.6.7.8 1000 80\r\n", None);
        check(b"PROXY TCP4 1.2.3.4 5.6.7.8 65536 80\r\n", None);
        check(b"PROXY TCP4 1.2.3.4 5.6.7.8 1000 80 x\r\n", None);
        check(b"PROXY TCP4 1.2.3.4  5.6.7.8 1000 80\r\n", None);
        check(b"PROXY TCP4 1.2.3.4\n5.6.7.8 1000 80\r\n", None);
        check(&[b"PROXY TCP4 ", &[b'1'; 100][..], b"\r\n"].concat(), None);
        check(b"GET /live/x.flv HTTP/1.1\r\n\r\n", None);
    }

    #[test]
    fn version_2_is_binary() {
        let v4 = [1, 2, 3, 4, 5, 6, 7, 8, 0x03, 0xe8, 0, 80];
        check(&v2(0x21, TCP_V4, &v4), Some(Some("1.2.3.4:1000")));
        check(&v2(0x21, TCP_V4, &[&v4[..], &[0x04, 0, 1, 0]].concat()), Some(Some("1.2.3.4:1000")));
        let v6 = [&[0x20, 1, 0xd, 0xb8][..], &[0; 11], &[1], &[0; 16], &[0, 7, 0, 80]].concat();
        check(&v2(0x21, TCP_V6, &v6), Some(Some("[2001:db8::1]:7")));
        check(&v2(0x20, 0, &[]), Some(None));
        check(&v2(0x21, 0x31, &[0; 216]), Some(None));
        check(&v2(0x21, TCP_V4, &v4[..11]), None);
        check(&v2(0x22, TCP_V4, &v4), None);
        check(&v2(0x11, TCP_V4, &v4), None);
        check(&v2(0x21, TCP_V4, &[0; V2_REST_BYTES_MAX + 1]), None);
    }

    #[test]
    fn fuzz_heads_never_panic_and_never_ask_for_more_than_the_longest() {
        let mut random = testkit::Random::seeded(11);
        let good = [
            b"PROXY TCP4 1.2.3.4 5.6.7.8 1000 80\r\nGET".to_vec(),
            v2(0x21, TCP_V4, &[1; 40]),
            v2(0x21, TCP_V6, &[2; 60]),
        ];
        for round in 0..6000 {
            let bytes = random.mutate(&good[round % good.len()]);
            for end in 0..=bytes.len() {
                if let Ok(Look::More(count)) = look(&bytes[..end]) {
                    assert!(count > 0 && end + count <= V2_BYTES + V2_REST_BYTES_MAX.max(bytes.len()));
                }
            }
        }
    }
}
