//! The limits by name, and what a refusal says.

use std::time::Duration;

/// A limit that somebody ran into. Most are called as their key in `[limits]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limit {
    /// Connections at a time, all together.
    Connections,
    /// Connections at a time from one address.
    ConnectionsPerAddress,
    /// New connections a second from one address.
    NewConnectionsPerAddress,
    /// HTTP requests a second from one address.
    RequestsPerAddress,
    /// Connections by WebRTC from one address that were answered, and of which nothing came yet.
    OffersPerAddress,
    /// A connection that had to come from a proxy of ours, and didn't.
    TrustedProxies,
    /// A proxy's head that is none.
    ProxyHead,
    /// Time for the TLS handshake or the proxy's head.
    TlsHandshake,
    /// Time from connecting by RTMP to the request.
    RtmpRequest,
    /// Time for the head of an HTTP request.
    HttpHead,
    /// Time for the body of an HTTP request.
    HttpBody,
    /// Time without a byte on an HTTP connection.
    HttpIdle,
    /// Time without taking anything of what was sent.
    Unacknowledged,
}

impl Limit {
    /// All of them, in the order of their numbers.
    pub(crate) const ALL: [Limit; 13] = [
        Limit::Connections,
        Limit::ConnectionsPerAddress,
        Limit::NewConnectionsPerAddress,
        Limit::RequestsPerAddress,
        Limit::OffersPerAddress,
        Limit::TrustedProxies,
        Limit::ProxyHead,
        Limit::TlsHandshake,
        Limit::RtmpRequest,
        Limit::HttpHead,
        Limit::HttpBody,
        Limit::HttpIdle,
        Limit::Unacknowledged,
    ];

    /// In labels.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Limit::Connections => "connections",
            Limit::ConnectionsPerAddress => "connections_per_address",
            Limit::NewConnectionsPerAddress => "new_connections_per_address",
            Limit::RequestsPerAddress => "requests_per_address",
            Limit::OffersPerAddress => "offers_per_address",
            Limit::TrustedProxies => "trusted_proxies",
            Limit::ProxyHead => "proxy_head",
            Limit::TlsHandshake => "tls_handshake",
            Limit::RtmpRequest => "rtmp_request",
            Limit::HttpHead => "http_head",
            Limit::HttpBody => "http_body",
            Limit::HttpIdle => "http_idle",
            Limit::Unacknowledged => "unacknowledged",
        }
    }
}

/// Somebody is too much: why, and when to come again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.text())]
pub(crate) struct TooMuch {
    pub(crate) limit: Limit,
    /// How long to wait at least.
    pub(crate) retry_after: Duration,
}

impl TooMuch {
    /// For people.
    fn text(self) -> &'static str {
        match self.limit {
            Limit::Connections => "this server has all the connections that it can take",
            Limit::ConnectionsPerAddress => "too many connections from your address",
            Limit::NewConnectionsPerAddress => "too many new connections from your address",
            Limit::RequestsPerAddress => "too many requests from your address",
            Limit::OffersPerAddress => "too many connections from your address wait to begin",
            Limit::TrustedProxies => "connections are taken from known proxies only",
            Limit::ProxyHead => "no head of the PROXY protocol",
            Limit::TlsHandshake
            | Limit::RtmpRequest
            | Limit::HttpHead
            | Limit::HttpBody
            | Limit::HttpIdle
            | Limit::Unacknowledged => "that took too long",
        }
    }

    /// For `Retry-After`, in seconds (RFC 9110 §10.2.3).
    pub(crate) fn retry_after_s(self) -> u64 {
        self.retry_after.as_secs_f64().ceil().max(1.0) as u64
    }
}

/// How long a body may take, whoever reads it. Offers and invitations fit a few packets; a slow phone needs a second for them.
pub(crate) const BODY_TIME_MAX: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_listed_in_the_order_of_their_numbers() {
        assert!(Limit::ALL.into_iter().enumerate().all(|(n, limit)| limit as usize == n));
    }

    #[test]
    fn who_is_to_come_again_waits_for_a_second_at_least() {
        let after = |ms| {
            let retry_after = Duration::from_millis(ms);
            TooMuch { limit: Limit::RequestsPerAddress, retry_after }.retry_after_s()
        };
        assert_eq!([after(0), after(1), after(1001)], [1, 1, 2]);
    }
}
