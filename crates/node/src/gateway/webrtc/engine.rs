//! One WebRTC connection without sockets. Only this file and its folder name str0m: it changes with every month.

mod contents;
mod handshake;
mod peer;
mod settled;

use super::capture::Captured;
use super::outlet::{Outlet, Section, is_media};
use super::sdp::{as_one_stream, with_candidates_in_use};
use super::socket::Route;
use super::stun::is_stun;
use bytes::Bytes;
pub(crate) use contents::Excess;
use media::{Codec, Kind};
pub(super) use peer::Peer;
use settled::IceSession;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use str0m::change::SdpOffer;
use str0m::config::{CryptoProvider, DtlsCert};
use str0m::format::Codec as WireCodec;
pub(super) use str0m::media::Rid;
use str0m::media::{Direction, Mid, Pt, Rids};
use str0m::net::{Protocol, Receive, TcpType};
use str0m::rtp::{AbsCaptureTime, Extension, ExtensionMap};
use str0m::{Candidate, IceCreds, Input, Output, Rtc};

/// What all connections share.
#[derive(Debug)]
pub(super) struct Engine {
    crypto: Arc<CryptoProvider>,
    certificate: DtlsCert,
}

/// What a peer may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Offered {
    /// It sends. Where it can send H.264, it does: that is what every player of every protocol knows.
    Publish,
    /// It is sent what is there of these; `measured`: how much its network carries is to be found out.
    Play { video: Option<Codec>, audio: Option<Codec>, measured: bool },
}

/// The short and the long secret of a connection. RFC 8445 §5.3.
#[derive(Clone, Debug)]
pub(super) struct Credentials {
    pub(super) user: String,
    pub(super) password: String,
}

/// Why an offer gets no answer; the text is for its user.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OfferError {
    #[error("the offer can't be read: {0}")]
    Unreadable(String),
    #[error("the offer has {0}")]
    Large(Excess),
    #[error("the offer has nothing that is known here: H.264, VP8, VP9 or AV1, and Opus, are taken")]
    Nothing,
    #[error("the offer knows none of the codecs of this broadcast ({0}); watch it by LL-HLS or HTTP-FLV")]
    Codecs(String),
    #[error("no key for the handshake: {0}")]
    Local(String),
}

/// What a connection wants next.
pub(super) enum Step {
    /// This datagram is to be sent.
    Send {
        to: Route,
        datagram: Vec<u8>,
    },
    Event(Event),
    /// Nothing until then, unless something comes.
    Wait(Instant),
    /// It is over.
    Over,
}

/// What happened in a connection.
pub(super) enum Event {
    /// Media can flow.
    Connected,
    Packet(Incoming),
    /// The receiver lost pictures.
    KeyframeWanted,
    /// The sender's clock.
    Clock(Clock),
}

impl Event {
    /// Whether it comes of something that only the peer can have sent: it was encrypted with its secrets.
    pub(super) fn proves(&self) -> bool {
        matches!(self, Event::Connected | Event::Packet(_) | Event::Clock(_) | Event::KeyframeWanted)
    }
}

/// What a sender report tells: at `wallclock` the media time was `ticks`. RFC 3550 §6.4.1.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    pub(super) kind: Kind,
    pub(super) rid: Option<Rid>,
    pub(super) ticks: u64,
    pub(super) hz: u32,
    pub(super) wallclock: SystemTime,
}

/// An RTP packet.
pub(super) struct Incoming {
    pub(super) kind: Kind,
    pub(super) codec: Codec,
    /// Which of several qualities, if there are several.
    pub(super) rid: Option<Rid>,
    pub(super) sequence: u64,
    /// Extended media time.
    pub(super) ticks: u64,
    pub(super) marker: bool,
    /// When the picture was taken, if the sender tells.
    pub(super) captured: Option<Captured>,
    pub(super) payload: Bytes,
}

/// What goes out: shared by all viewers.
#[derive(Clone, Debug)]
pub(super) struct Outgoing {
    pub(super) payload: Arc<[u8]>,
    pub(super) marker: bool,
}

/// Longer than any connection lasts.
const NEVER: Duration = Duration::from_secs(30 * 86_400);
/// A number that no extension has that str0m knows by itself; offers bring their own.
const CAPTURE_TIME_ID: u8 = 12;
impl Engine {
    pub(super) fn new() -> Result<Engine, OfferError> {
        let crypto = handshake::provider();
        let certificate = crypto.dtls_provider.generate_certificate();
        let certificate = certificate.ok_or_else(|| OfferError::Local("no certificate".to_owned()))?;
        Ok(Engine { crypto: Arc::new(crypto), certificate })
    }

    /// Takes an offer: the connection, and the answer for the peer. RFC 9725 §4.2: everything is in the answer, since not
    /// every client takes candidates later.
    pub(super) fn answer(
        &self,
        offer: &str,
        offered: Offered,
        addresses: &[SocketAddr],
        credentials: &Credentials,
        now: Instant,
    ) -> Result<(Peer, String), OfferError> {
        if let Some(excess) = contents::excess(offer) {
            return Err(OfferError::Large(excess));
        }
        let theirs = user(offer);
        let has_h264 = offer.lines().any(|line| line.starts_with("a=rtpmap:") && line.contains(" H264/"));
        let offer =
            SdpOffer::from_sdp_string(offer).map_err(|error| OfferError::Unreadable(error.to_string()))?;
        let mut rtc = self.build(offered, has_h264, credentials, now);
        let handshake = handshake::made().ok_or_else(|| OfferError::Local("it was not begun".to_owned()))?;
        for address in addresses {
            for candidate in candidates(*address) {
                rtc.add_local_candidate(candidate.map_err(|error| OfferError::Local(error.to_string()))?);
            }
        }
        let answer = rtc.sdp_api().accept_offer(offer);
        let answer = answer.map_err(|error| OfferError::Unreadable(error.to_string()))?;
        let ice = IceSession { ours: credentials.clone(), theirs, hmac: self.crypto.sha1_hmac_provider };
        let answer = answer.to_sdp_string();
        let peer = Peer::new((rtc, handshake), ice, (&answer, offered), now);
        let useful = match offered {
            Offered::Publish => peer.has(Kind::Video) || peer.has(Kind::Audio),
            Offered::Play { .. } => peer.sends(Kind::Video) || peer.sends(Kind::Audio),
        };
        if !useful {
            return Err(match offered {
                Offered::Publish => OfferError::Nothing,
                Offered::Play { video, audio, .. } => OfferError::Codecs(names(video, audio)),
            });
        }
        Ok((peer, as_one_stream(with_candidates_in_use(answer))))
    }

    fn build(&self, offered: Offered, has_h264: bool, credentials: &Credentials, now: Instant) -> Rtc {
        let has = |codec: Codec| match offered {
            Offered::Publish => codec.kind() == Kind::Audio || !has_h264 || codec == Codec::H264,
            Offered::Play { video, audio, .. } => video == Some(codec) || audio == Some(codec),
        };
        let builder = Rtc::builder()
            .set_crypto_provider(Arc::clone(&self.crypto))
            .set_dtls_cert(self.certificate.clone())
            .set_local_ice_credentials(IceCreds {
                ufrag: credentials.user.clone(),
                pass: credentials.password.clone(),
            })
            .set_ice_lite(true)
            .set_rtp_mode(true)
            .clear_codecs()
            .enable_opus(has(Codec::Opus), false)
            .enable_h264(has(Codec::H264))
            .enable_vp8(has(Codec::Vp8))
            .enable_vp9(has(Codec::Vp9))
            .enable_av1(has(Codec::Av1));
        let builder = match offered {
            // The outlet reports by itself.
            Offered::Play { measured, .. } => {
                let numbered = measured.then_some(Extension::TransportSequenceNumber);
                let wanted: Vec<Extension> = [Extension::RtpMid].into_iter().chain(numbered).collect();
                builder
                    .set_extension_map(extensions(&wanted))
                    .set_rtcp_report_interval_audio(NEVER)
                    .set_rtcp_report_interval_video(NEVER)
            }
            Offered::Publish => {
                let standard = ExtensionMap::standard();
                let all: Vec<Extension> = standard.iter().map(|(_, extension)| extension.clone()).collect();
                builder.set_extension_map(extensions(&all))
            }
        };
        builder.set_stats_interval(None).build(now)
    }
}

/// Those of the header extensions that the library knows, and the time at which a picture was taken. A viewer who has no choice of
/// qualities needn't report the arrival of each packet, so it is offered few.
fn extensions(wanted: &[Extension]) -> ExtensionMap {
    let mut kept = ExtensionMap::empty();
    for (id, extension) in ExtensionMap::standard().iter().filter(|(_, one)| wanted.contains(one)) {
        kept.set(id, extension.clone());
    }
    kept.set(CAPTURE_TIME_ID, Extension::AbsoluteCaptureTime);
    kept
}

/// A sender's word of when a picture was taken. Offsets are in units of 2⁻³² s.
fn captured(told: AbsCaptureTime) -> Option<Captured> {
    let micros = told.capture_time.duration_since(UNIX_EPOCH).ok()?.as_micros();
    let ahead =
        told.clock_offset.and_then(|offset| i64::try_from((i128::from(offset) * 1_000_000) >> 32).ok());
    Some(Captured { micros: i64::try_from(micros).ok()?, ahead })
}

/// The sections of an answer. str0m has no list of them, and tells of each only when media can flow.
fn sections(answer: &str) -> Vec<(Mid, Kind)> {
    let (mut kind, mut found) = (None, Vec::new());
    for line in answer.lines() {
        if let Some(section) = line.strip_prefix("m=") {
            kind = match section.split(' ').next() {
                Some("audio") => Some(Kind::Audio),
                Some("video") => Some(Kind::Video),
                _ => None,
            };
        }
        if let (Some(mid), Some(kind)) = (line.strip_prefix("a=mid:"), kind) {
            found.push((Mid::from(mid.trim()), kind));
        }
    }
    found
}

/// What a peer calls itself in its checks, as in an offer or a fragment of one (RFC 8839 §5.4).
pub(super) fn user(sdp: &str) -> Option<String> {
    secret(sdp, "a=ice-ufrag:", 4)
}

/// The secrets of an offer or a fragment of one.
pub(super) fn credentials(sdp: &str) -> Option<Credentials> {
    Some(Credentials { user: user(sdp)?, password: secret(sdp, "a=ice-pwd:", 22)? })
}

/// The longest name or password of an ICE session. RFC 8839 §5.4.
const SECRET_CHARS_MAX: usize = 256;

/// A value of ice-chars, with its shortest length. RFC 8839 §5.4.
fn secret(sdp: &str, name: &str, least: usize) -> Option<String> {
    let value = sdp.lines().find_map(|line| line.strip_prefix(name))?.trim_end();
    let good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    ((least..=SECRET_CHARS_MAX).contains(&value.len()) && value.bytes().all(good)).then(|| value.to_owned())
}

/// What a peer has to know of a new ICE session. RFC 8840 §9.
pub(super) fn fragment(local: &Credentials, addresses: &[SocketAddr]) -> String {
    let mut text = format!("a=ice-lite\r\na=ice-ufrag:{}\r\na=ice-pwd:{}\r\n", local.user, local.password);
    text += "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n";
    for candidate in addresses.iter().flat_map(|address| candidates(*address)).flatten() {
        text += &format!("a={}\r\n", candidate.to_sdp_string().trim_start_matches("a="));
    }
    text + "a=end-of-candidates\r\n"
}

/// What is said of an address of ours, by UDP and by TCP.
fn candidates(address: SocketAddr) -> [Result<Candidate, str0m::error::IceError>; 2] {
    let tcp = Candidate::builder().tcp().host(address).tcptype(TcpType::Passive).build();
    [Candidate::host(address, "udp"), tcp]
}

fn protocol(route: Route) -> Protocol {
    if route.tcp { Protocol::Tcp } else { Protocol::Udp }
}

fn codec(wire: WireCodec) -> Option<Codec> {
    Some(match wire {
        WireCodec::Opus => Codec::Opus,
        WireCodec::H264 => Codec::H264,
        WireCodec::Vp8 => Codec::Vp8,
        WireCodec::Vp9 => Codec::Vp9,
        WireCodec::Av1 => Codec::Av1,
        _ => return None,
    })
}

fn names(video: Option<Codec>, audio: Option<Codec>) -> String {
    let names: Vec<_> = [video, audio].into_iter().flatten().map(|codec| format!("{codec:?}")).collect();
    names.join(" and ")
}

#[cfg(test)]
mod tests;
