//! What one address, and everybody together, may take.

use super::values::Span;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What one address, and everybody together, may take. All of it changes at a reload. Behind an address there may be a crowd (a
/// school, a mobile network), so the defaults are wide; make them narrower where you know who comes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Connections at a time, all together; `0`: as many as the limit of open files allows, with an eighth of it left for
    /// other files. Further ones are answered 503 or closed.
    pub connections: usize,
    /// Connections at a time from one address; `0`: no limit. Further ones are answered 429 or closed.
    pub connections_per_address: u32,
    /// New connections a second from one address; `0`: no limit. They are counted before any handshake.
    pub new_connections_per_address: u32,
    /// HTTP requests a second from one address; `0`: no limit. Further ones are answered 429.
    pub requests_per_address: u32,
    /// Bits of an IPv4 address that count as one: `32` is each alone, `24` takes 256 neighbours together.
    pub ipv4_prefix: u8,
    /// Bits of an IPv6 address that count as one. Whoever has an IPv6 connection has a whole /64.
    pub ipv6_prefix: u8,
    /// Networks whose addresses are not counted one by one. They are this machine's own by default, since a
    /// proxy on it speaks for everybody; the limit of all connections holds for them too.
    pub exempt: Vec<IpNet>,
    /// Networks of your own proxies and load balancers: they are believed who the client is (`proxy_protocol`, or the header
    /// `client_header`), and not counted themselves. Nobody else is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// The header in which trusted HTTP proxies name the client: `"x-forwarded-for"` or `"forwarded"` (RFC 7239). Only this one is
    /// read, since most proxies pass on whatever the client says in the other.
    pub client_header: ClientHeader,
    /// How long a peer has for the TLS handshake, and for the head of the PROXY protocol.
    pub tls_handshake: Span,
    /// How long an RTMP peer has from connecting to its request to publish or play.
    pub rtmp_request: Span,
    /// How long an HTTP peer has for the head of a request, also of its first one.
    pub http_head: Span,
    /// How long an HTTP connection may be without a byte in either direction.
    pub http_idle: Span,
    /// How long a peer may acknowledge nothing of what was sent, or have no room for more, before the system gives it up: a
    /// peer whose cable was cut is not kept for many minutes. It holds for connections that come after a change.
    pub unacknowledged: Span,
}

/// The header in which proxies name the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClientHeader {
    /// `X-Forwarded-For: client, proxy`.
    XForwardedFor,
    /// `Forwarded: for=client, for=proxy`. RFC 7239.
    Forwarded,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            connections: 0,
            connections_per_address: 10_000,
            new_connections_per_address: 2000,
            requests_per_address: 20_000,
            ipv4_prefix: 32,
            ipv6_prefix: 64,
            exempt: vec![IpNet::V4(LOOPBACK_V4), IpNet::V6(LOOPBACK_V6)],
            trusted_proxies: Vec::new(),
            client_header: ClientHeader::XForwardedFor,
            tls_handshake: Span(Duration::from_secs(10)),
            rtmp_request: Span(Duration::from_secs(10)),
            http_head: Span(Duration::from_secs(20)),
            http_idle: Span(Duration::from_secs(60)),
            unacknowledged: Span(Duration::from_secs(30)),
        }
    }
}

const LOOPBACK_V4: ipnet::Ipv4Net = ipnet::Ipv4Net::new_assert(std::net::Ipv4Addr::new(127, 0, 0, 0), 8);
const LOOPBACK_V6: ipnet::Ipv6Net = ipnet::Ipv6Net::new_assert(std::net::Ipv6Addr::LOCALHOST, 128);
/// A shorter time cuts peers that are far away.
const TIME_MIN: Duration = Duration::from_millis(100);
/// A radio link may lose its packets for a second.
const UNACKNOWLEDGED_MIN: Duration = Duration::from_secs(2);
/// Blocking playlists hold an answer for up to three target durations of up to 10 s.
const HTTP_IDLE_MIN: Duration = Duration::from_secs(35);

impl Limits {
    /// What a type alone can't say.
    pub(super) fn check(&self) -> Result<(), String> {
        for (key, bits, most) in
            [("ipv4_prefix", self.ipv4_prefix, 32), ("ipv6_prefix", self.ipv6_prefix, 128)]
        {
            if bits == 0 || bits > most {
                return Err(format!("limits.{key} is {bits}; it must be from 1 to {most}"));
            }
        }
        let times = [
            ("tls_handshake", self.tls_handshake, TIME_MIN),
            ("rtmp_request", self.rtmp_request, TIME_MIN),
            ("http_head", self.http_head, TIME_MIN),
            ("http_idle", self.http_idle, HTTP_IDLE_MIN),
            ("unacknowledged", self.unacknowledged, UNACKNOWLEDGED_MIN),
        ];
        match times.into_iter().find(|(_, span, least)| span.0 < *least) {
            Some((key, span, least)) => {
                Err(format!("limits.{key} is {span}; it must be at least {}", Span(least)))
            }
            None => Ok(()),
        }
    }
}
