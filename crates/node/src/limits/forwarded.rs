//! Headers in which proxies name the client.
//!
//! Each proxy puts whom it heard from behind what it was told. So the list is read from its end: as long as the one who
//! says it is a proxy of ours, it is believed.

use super::prefix::within;
use crate::config::ClientHeader;
use ipnet::IpNet;
use std::net::{IpAddr, SocketAddr};

/// What a request says of who the client is: the lines of either header, joined by commas. Only one is read, and only from
/// proxies of ours.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) x_forwarded_for: Option<String>,
    pub(crate) forwarded: Option<String>,
}

impl Told {
    pub(super) fn by(&self, header: ClientHeader) -> Option<&str> {
        match header {
            ClientHeader::XForwardedFor => self.x_forwarded_for.as_deref(),
            ClientHeader::Forwarded => self.forwarded.as_deref(),
        }
    }
}

/// The client of a request that came from `peer` with this header, whose lines are joined by commas.
pub(super) fn client(peer: IpAddr, value: &str, header: ClientHeader, trusted: &[IpNet]) -> IpAddr {
    let mut client = peer;
    // A comma within quotes is in no address, so such an element just isn't one.
    for element in value.rsplit(',').take(HOPS_MAX) {
        if !within(trusted, client) {
            break;
        }
        let node = match header {
            ClientHeader::XForwardedFor => Some(element.trim()),
            ClientHeader::Forwarded => forwarded_for(element),
        };
        match node.and_then(address) {
            Some(address) => client = address,
            None => break,
        }
    }
    client
}

/// Proxies that a request goes through; what is further away is not looked at.
const HOPS_MAX: usize = 32;

/// The `for` of one element. RFC 7239 §4.
fn forwarded_for(element: &str) -> Option<&str> {
    element.split(';').find_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        name.trim().eq_ignore_ascii_case("for").then(|| value.trim().trim_matches('"'))
    })
}

/// `1.2.3.4`, `1.2.3.4:80`, `2001:db8::1`, `[2001:db8::1]` or `[2001:db8::1]:80`. RFC 7239 §6.
fn address(text: &str) -> Option<IpAddr> {
    let bare = || text.parse::<IpAddr>().ok();
    let with_port = || text.parse::<SocketAddr>().ok().map(|a| a.ip());
    let in_brackets = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    bare().or_else(with_port).or_else(in_brackets).map(|a| a.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(header: ClientHeader, value: &str, expect: &str) {
        let trusted = ["10.0.0.0/8".parse().unwrap()];
        let client = client("10.0.0.1".parse().unwrap(), value, header, &trusted);
        assert_eq!(client, expect.parse::<IpAddr>().unwrap(), "{value}");
    }

    #[test]
    fn the_last_one_whom_no_proxy_of_ours_is_vouches_for_nobody() {
        let x = ClientHeader::XForwardedFor;
        check(x, "1.2.3.4", "1.2.3.4");
        check(x, "6.6.6.6, 1.2.3.4, 10.0.0.2", "1.2.3.4");
        check(x, "1.2.3.4:4711", "1.2.3.4");
        check(x, "2001:db8::1", "2001:db8::1");
        check(x, "[2001:db8::1]:80", "2001:db8::1");
        check(x, "1.2.3.4, unknown", "10.0.0.1");
        check(x, "", "10.0.0.1");
        check(x, &"10.0.0.9,".repeat(1000), "10.0.0.1");
        let f = ClientHeader::Forwarded;
        check(f, "for=6.6.6.6, For=\"[2001:db8::1]:80\";proto=https;by=10.0.0.1", "2001:db8::1");
        check(f, "for=1.2.3.4, for=10.0.0.2", "1.2.3.4");
        check(f, "for=_hidden", "10.0.0.1");
        check(f, "1.2.3.4", "10.0.0.1");
    }

    #[test]
    fn a_stranger_is_who_it_is_whatever_it_says() {
        let peer = "6.6.6.6".parse().unwrap();
        assert_eq!(client(peer, "1.2.3.4", ClientHeader::XForwardedFor, &[]), peer);
    }

    #[test]
    fn fuzz_headers_never_panic() {
        let mut random = testkit::Random::seeded(12);
        let trusted = ["0.0.0.0/0".parse().unwrap(), "::/0".parse().unwrap()];
        for _ in 0..4000 {
            let bytes = random.mutate(b"for=1.2.3.4, for=\"[2001:db8::1]:80\";by=x, 10.0.0.1:9");
            let text = String::from_utf8_lossy(&bytes);
            for header in [ClientHeader::XForwardedFor, ClientHeader::Forwarded] {
                client("10.0.0.1".parse().unwrap(), &text, header, &trusted);
            }
        }
    }
}
