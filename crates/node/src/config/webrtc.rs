//! WHIP and WHEP.

use super::values::{Span, any};
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// WebRTC: publishing by WHIP, playing by WHEP. See [webrtc.md](webrtc.md).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Webrtc {
    /// Whether it is served.
    pub enabled: bool,
    /// Where media goes in and out: one port for everybody, UDP and TCP.
    pub listen: SocketAddr,
    /// Addresses that clients reach this machine by, when they are others than its own: behind a NAT, in a cloud, in a
    /// container. None: what `stun` tells, this machine's own towards the internet, and 127.0.0.1.
    pub addresses: Vec<IpAddr>,
    /// A STUN server, as `stun.example.net:3478`, that is asked at the start which address this machine has outside, where `addresses`
    /// names none. The port of `listen` has to come through under the same number. Nobody is asked without it.
    pub stun: String,
    /// Threads. `0`: one for each core.
    pub workers: usize,
    /// When a publisher sends several qualities (simulcast): the shortest time that a viewer stays at one before it gets a
    /// better one. A worse one, when the network carries no more, comes at once.
    pub rendition_stay: Span,
    /// What viewers get of pictures that are shown in another order than they are coded (B-frames), which WebRTC can't carry; vhosts
    /// and apps may say otherwise. `"drop"`: those that no other picture builds on are left out, and a broadcast with others is refused
    /// with a text that names LL-HLS; `"transcode"`: they are coded anew by a process of its own (`transcode.ffmpeg`), HEVC too;
    /// `"refuse"`: a broadcast with any is refused with that text. It changes at a reload, for viewers who come after it.
    pub b_frames: BFrames,
    /// Another server, as `https://edge2.example.net`: when there is no room here, clients are sent there with the same path and query
    /// (307, RFC 9725 §4.5) instead of being asked to come later. It has to know the broadcast and who may.
    pub overflow: String,
    /// TURN servers that clients are told of: for networks that let nothing through to `listen`.
    pub turn: Vec<Turn>,
}

/// What viewers by WebRTC get of pictures that are shown in another order than they are coded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BFrames {
    /// Those that nothing builds on are left out; a broadcast with others is refused.
    #[default]
    Drop,
    /// All pictures, coded anew.
    Transcode,
    /// A broadcast with any is refused.
    Refuse,
}

impl BFrames {
    /// As it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            BFrames::Drop => "drop",
            BFrames::Transcode => "transcode",
            BFrames::Refuse => "refuse",
        }
    }
}

/// A TURN server that clients are told of (RFC 9725 §4.6). Its password is told to everybody who may publish or play.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Turn {
    /// Its URL (RFC 7065): `turn:turn.example.net?transport=udp` or `turns:…`; `stun:…` too.
    pub url: String,
    pub username: String,
    pub password: String,
}

impl Webrtc {
    /// What a type alone can't say.
    pub(super) fn check(&self) -> Result<(), String> {
        let port =
            self.stun.rsplit_once(':').map(|(host, port)| (!host.is_empty()).then(|| port.parse::<u16>()));
        if !self.stun.is_empty() && !matches!(port, Some(Some(Ok(1..)))) {
            return Err(format!(
                "webrtc.stun: {:?} is no host and port, as in stun.example.net:3478",
                self.stun
            ));
        }
        if self.overflow.is_empty() {
            return Ok(());
        }
        let wrong = || {
            format!(
                "webrtc.overflow: {:?} is no server that begins with http:// or https:// and has no path",
                self.overflow
            )
        };
        let uri: http::Uri = self.overflow.parse().map_err(|_| wrong())?;
        let plain = uri.authority().is_some_and(|authority| !authority.as_str().contains('@'));
        let good = plain
            && matches!(uri.scheme_str(), Some("http" | "https"))
            && uri.path() == "/"
            && uri.query().is_none();
        good.then_some(()).ok_or_else(wrong)
    }

    /// Where clients are sent when there is no room: without a slash at its end.
    pub(crate) fn overflow(&self) -> Option<String> {
        Some(self.overflow.trim_end_matches('/').to_owned()).filter(|to| !to.is_empty())
    }
}

impl Default for Webrtc {
    fn default() -> Self {
        Webrtc {
            enabled: true,
            listen: any(8000),
            addresses: Vec::new(),
            stun: String::new(),
            workers: 0,
            rendition_stay: Span(Duration::from_secs(30)),
            b_frames: BFrames::Drop,
            overflow: String::new(),
            turn: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    #[test]
    fn a_stun_server_has_a_host_and_a_port() {
        let of = |stun: &str| {
            let config: Config = toml::from_str(&format!("webrtc.stun = '{stun}'")).unwrap();
            config.check()
        };
        assert_eq!(of("stun.example.net:3478"), Ok(()));
        assert_eq!(of("[::1]:3478"), Ok(()));
        for wrong in ["stun.example.net", "stun:stun.example.net", ":3478", "stun.example.net:0"] {
            assert!(of(wrong).unwrap_err().starts_with("webrtc.stun"), "{wrong}");
        }
    }

    #[test]
    fn another_server_for_who_has_no_room_is_a_server_and_nothing_more() {
        let of = |to: &str| {
            let config: Config = toml::from_str(&format!("webrtc.overflow = '{to}'")).unwrap();
            config.check().map(|()| config.webrtc.overflow())
        };
        assert_eq!(of("https://edge2.example.net/"), Ok(Some("https://edge2.example.net".to_owned())));
        assert_eq!(of("http://[::1]:8080").unwrap().as_deref(), Some("http://[::1]:8080"));
        assert_eq!(of(""), Ok(None));
        for wrong in [
            "edge2.example.net",
            "rtmp://edge2.example.net",
            "https://edge2.example.net/live",
            "https://u:p@edge2.example.net",
        ] {
            assert!(of(wrong).unwrap_err().starts_with("webrtc.overflow"), "{wrong}");
        }
    }
}
