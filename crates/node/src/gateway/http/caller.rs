//! Who asks over HTTP: what its request says beside path and query.

use crate::auth::{Action, Ask};
use crate::sessions::Protocol;
use http::Request;
use http::header::{AUTHORIZATION, HOST};
use hub::BroadcastPath;
use std::net::SocketAddr;

/// What a request says about who sends it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Caller {
    /// `Host`, or the authority of the target.
    pub(super) host: Option<String>,
    /// From `Authorization: Bearer …`. RFC 6750 §2.1.
    pub(super) bearer: Option<String>,
}

impl Caller {
    /// From a request that hyper read. An authority in the target wins over `Host` (RFC 9112 §3.2.2).
    pub(super) fn of<B>(request: &Request<B>) -> Caller {
        let header = |name| request.headers().get(name).and_then(|v| v.to_str().ok());
        let authority = request.uri().authority().map(|a| a.as_str());
        Caller {
            host: authority.or_else(|| header(HOST)).map(str::to_owned),
            bearer: header(AUTHORIZATION).and_then(bearer).map(str::to_owned),
        }
    }

    /// The question whether it may play.
    pub(super) fn asks_to_play(
        &self,
        path: BroadcastPath,
        query: &str,
        peer: SocketAddr,
        protocol: Protocol,
    ) -> Ask {
        Ask {
            action: Action::Play,
            path,
            host: self.host.clone(),
            query: query.to_owned(),
            bearer: self.bearer.clone(),
            peer,
            protocol,
        }
    }
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
            .body(())
            .unwrap();
        let caller = Caller::of(&request);
        assert_eq!(caller.host.as_deref(), Some("a.example:81"));
        assert_eq!(caller.bearer.as_deref(), Some("abc"));
        assert_eq!(bearer("Basic abc"), None);
    }
}
