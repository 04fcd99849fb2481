//! One line per session or request that is over. Without queries, tokens and, unless they are asked for, addresses.

use super::requests::RequestLines;
use crate::config::ShownAddresses;
use crate::sessions::{Ended, Role};
use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tracing::field::display;

/// Writes the lines. Clones share.
#[derive(Clone, Debug, Default)]
pub(crate) struct AccessLog(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// How addresses are shown.
    addresses: AtomicU8,
    /// Where lines of requests go, if the process has logs of ours.
    requests: OnceLock<RequestLines>,
}

/// A request that was answered.
#[derive(Debug)]
pub(crate) struct Answered<'a> {
    pub(crate) kind: RequestKind,
    pub(crate) method: &'a str,
    /// Path of the URL, without its query.
    pub(crate) path: &'a str,
    pub(crate) status: u16,
    /// Of the body, where it is known before it is sent.
    pub(crate) bytes: Option<u64>,
    pub(crate) after: Duration,
    pub(crate) peer: SocketAddr,
}

/// What a request was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RequestKind {
    /// Long-lived FLV, with or without a WebSocket.
    Flv,
    /// Playlists, parts and segments.
    Hls,
    /// Pages and lists.
    Other,
}

impl RequestKind {
    /// All of them, in the order of their numbers.
    pub(crate) const ALL: [RequestKind; 3] = [RequestKind::Flv, RequestKind::Hls, RequestKind::Other];

    /// In labels.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            RequestKind::Flv => "flv",
            RequestKind::Hls => "hls",
            RequestKind::Other => "other",
        }
    }
}

/// What lines of requests and connections are filtered by.
pub(super) const REQUESTS: &str = "access::request";
/// Longest path in a line.
const PATH_CHARS_MAX: usize = 256;

impl AccessLog {
    /// Sets how addresses are shown.
    pub(crate) fn show(&self, addresses: ShownAddresses) {
        self.0.addresses.store(addresses as u8, Ordering::Relaxed);
    }

    /// From now on lines of requests are written there.
    pub(crate) fn write_requests(&self, lines: RequestLines) {
        // Only the first are taken: a process has one.
        let _ = self.0.requests.set(lines);
    }

    /// A session is over.
    pub(crate) fn session(&self, ended: &Ended) {
        let session = &ended.session;
        let (path, protocol, reason) = (&session.path, session.ask.protocol.as_str(), ended.reason.as_str());
        let (bytes, seconds, skips) = (session.bytes(), ended.after.as_secs(), session.skips());
        let peer = self.shown(session.ask.peer.ip()).map(display);
        match session.role {
            Role::Publisher => {
                tracing::info!(target: "access::session", parent: None, %path, protocol, reason, bytes, seconds, peer, "publisher left");
            }
            Role::Viewer => {
                tracing::info!(target: "access::session", parent: None, %path, protocol, reason, bytes, seconds, skips, peer, "viewer left");
            }
        }
    }

    /// A request was answered.
    pub(crate) fn request(&self, answered: &Answered<'_>) {
        let written = || {
            self.0.requests.get().is_some_and(|lines| lines.write(answered, self.shown(answered.peer.ip())))
        };
        if !written() && tracing::enabled!(target: REQUESTS, tracing::Level::INFO) {
            tell(answered, self.shown(answered.peer.ip()));
        }
    }

    /// A connection is over that carries one session at most.
    pub(crate) fn connection(&self, protocol: &str, end: &str, after: Duration, peer: SocketAddr) {
        let ms = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
        let peer = self.shown(peer.ip()).map(display);
        tracing::info!(target: REQUESTS, protocol, end, ms, peer, "connection ended");
    }

    /// An address as it may be shown.
    pub(crate) fn shown(&self, address: IpAddr) -> Option<IpAddr> {
        match self.0.addresses.load(Ordering::Relaxed) {
            0 => None,
            1 => Some(truncated(address)),
            _ => Some(address),
        }
    }
}

/// Tells whoever collects events of a request.
pub(super) fn tell(answered: &Answered<'_>, peer: Option<IpAddr>) {
    let Answered { kind: _, method, path, status, bytes, after, peer: _ } = answered;
    let path = &*shown_path(path);
    let ms = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
    let peer = peer.map(display);
    tracing::info!(target: REQUESTS, method, path, status, bytes, ms, peer, "answered");
}

/// A path as it may be shown. What follows an endpoint for offers is the secret name of somebody's connection.
pub(super) fn shown_path(path: &str) -> Cow<'_, str> {
    let mut windows = path.as_bytes().windows(ENDPOINT_BYTES);
    let secret_at = windows.position(|part| matches!(part, b"/whip/" | b"/whep/"));
    let (open, rest) = path.split_at(secret_at.map_or(path.len(), |at| at + ENDPOINT_BYTES));
    let is_short = rest.is_empty() && open.len() <= PATH_CHARS_MAX;
    if is_short && open.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return open.into();
    }
    let open = open.chars().filter(|c| !c.is_control()).take(PATH_CHARS_MAX);
    open.chain((!rest.is_empty()).then_some('…')).collect()
}

/// `/whip/` and `/whep/`.
const ENDPOINT_BYTES: usize = 6;

/// The network that an address is in: /24, or /48 of IPv6.
fn truncated(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            Ipv4Addr::new(a, b, c, 0).into()
        }
        IpAddr::V6(v6) => {
            let [a, b, c, ..] = v6.segments();
            Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_shown_as_configured_and_by_default_not_at_all() {
        let log = AccessLog::default();
        let shown = |text: &str| log.shown(text.parse().unwrap()).map(|a| a.to_string());
        assert_eq!(shown("192.0.2.77"), None);
        log.show(ShownAddresses::Truncated);
        assert_eq!(shown("192.0.2.77").as_deref(), Some("192.0.2.0"));
        assert_eq!(shown("::ffff:192.0.2.77").as_deref(), Some("192.0.2.0"));
        assert_eq!(shown("2001:db8:1:2:3:4:5:6").as_deref(), Some("2001:db8:1::"));
        log.show(ShownAddresses::Full);
        assert_eq!(shown("192.0.2.77").as_deref(), Some("192.0.2.77"));
    }

    #[test]
    fn a_path_is_shown_without_the_secret_name_of_a_connection() {
        let check = |path, expect| assert_eq!(shown_path(path), expect, "{path}");
        check("/live/x/index.m3u8", "/live/x/index.m3u8");
        check("/live/x/whip", "/live/x/whip");
        check("/live/x/whip/", "/live/x/whip/");
        check("/live/x/whep/0011223344556677", "/live/x/whep/…");
        check("/live/x/whip/0011223344556677/", "/live/x/whip/…");
        check("/a/whep/secret/whip/more", "/a/whep/…");
        check("/a\nb", "/ab");
        check(&"直".repeat(1000), &"直".repeat(PATH_CHARS_MAX));
    }
}
