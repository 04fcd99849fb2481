//! Who asks over HTTP: what its request says beside path and query.

use crate::auth::{Action, Ask, Shows, agent};
use crate::limits::Told;
use crate::sessions::Protocol;
use http::Request;
use http::header::{AUTHORIZATION, FORWARDED, HOST, HeaderValue, USER_AGENT};
use hub::BroadcastPath;
use std::borrow::Cow;
use std::net::SocketAddr;

/// What a request says about who sends it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Caller<'a> {
    /// `Host`, or the authority of the target.
    pub(super) host: Option<Cow<'a, str>>,
    /// From `Authorization: Bearer …`. RFC 6750 §2.1.
    pub(super) bearer: Option<Cow<'a, str>>,
    /// `User-Agent` as it came.
    pub(super) agent: Option<Cow<'a, [u8]>>,
    /// What it says of who the client is.
    pub(super) told: Told,
}

impl Caller<'_> {
    /// From a request that hyper read. An authority in the target wins over `Host` (RFC 9112 §3.2.2).
    pub(super) fn of<B>(request: &Request<B>) -> Caller<'static> {
        let header = |name| request.headers().get(name).and_then(|v| v.to_str().ok());
        let lines = |name| joined(request.headers().get_all(name).iter().map(HeaderValue::as_bytes));
        let authority = request.uri().authority().map(http::uri::Authority::as_str);
        Caller {
            host: authority.or_else(|| header(HOST)).map(|host| host.to_owned().into()),
            bearer: header(AUTHORIZATION).and_then(bearer).map(|token| token.to_owned().into()),
            agent: request.headers().get(USER_AGENT).map(|value| value.as_bytes().to_owned().into()),
            told: Told { x_forwarded_for: lines(X_FORWARDED_FOR), forwarded: lines(FORWARDED.as_str()) },
        }
    }

    /// What of it decides about a viewer who only looks.
    pub(super) fn shows<'b>(
        &'b self,
        path: &'b BroadcastPath,
        query: &'b str,
        peer: SocketAddr,
    ) -> Shows<'b> {
        Shows { path, host: self.host.as_deref(), query, bearer: self.bearer.as_deref(), peer: peer.ip() }
    }

    /// The question whether it may play.
    pub(super) fn asks_to_play(
        &self,
        path: BroadcastPath,
        query: &str,
        peer: SocketAddr,
        protocol: Protocol,
    ) -> Ask {
        self.asks(Action::Play, path, query, (peer, protocol))
    }

    /// The question whether it may do that.
    pub(super) fn asks(
        &self,
        action: Action,
        path: BroadcastPath,
        query: &str,
        (peer, protocol): (SocketAddr, Protocol),
    ) -> Ask {
        Ask {
            action,
            path,
            host: self.host.as_deref().map(str::to_owned),
            query: query.to_owned(),
            bearer: self.bearer.as_deref().map(str::to_owned),
            login: None,
            agent: self.agent.as_deref().and_then(|said| agent(&String::from_utf8_lossy(said))),
            peer,
            protocol,
        }
    }
}

/// It is in no standard; RFC 7239 was to take its place.
pub(super) const X_FORWARDED_FOR: &str = "x-forwarded-for";

/// The lines of a header as one, in their order (RFC 9110 §5.3).
pub(super) fn joined<'a>(lines: impl Iterator<Item = &'a [u8]>) -> Option<String> {
    let mut lines = lines.map(String::from_utf8_lossy).peekable();
    lines.peek()?;
    Some(lines.collect::<Vec<_>>().join(","))
}

/// The token of an `Authorization` header.
pub(super) fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bearer_token_is_read_and_an_authority_wins_over_the_host_header() {
        let request = Request::get("http://a.example:81/live/x.flv")
            .header("Host", "b.example")
            .header("Authorization", "bearer abc")
            .header("User-Agent", "Player/1")
            .header("X-Forwarded-For", "1.2.3.4")
            .header("X-Forwarded-For", "10.0.0.1")
            .body(())
            .unwrap();
        let caller = Caller::of(&request);
        assert_eq!(caller.host.as_deref(), Some("a.example:81"));
        assert_eq!(caller.bearer.as_deref(), Some("abc"));
        let path = BroadcastPath::parse("live/x").unwrap();
        let ask = caller.asks_to_play(path, "", ([127, 0, 0, 1], 1).into(), Protocol::Flv);
        assert_eq!(ask.agent.as_deref(), Some("Player/1"));
        assert_eq!(caller.told.x_forwarded_for.as_deref(), Some("1.2.3.4,10.0.0.1"));
        assert_eq!(bearer("Basic abc"), None);
    }
}
