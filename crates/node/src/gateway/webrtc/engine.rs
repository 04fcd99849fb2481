//! One WebRTC connection without sockets. Only this file and its folder name str0m: it changes with every month.

mod secrets;

use super::capture::Captured;
use super::outlet::{Outlet, Secret, Section, is_media};
use super::sdp::with_candidates_in_use;
use super::socket::Route;
use bytes::Bytes;
use media::{Codec, Kind};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use str0m::bwe::{Bitrate, BweKind};
use str0m::change::SdpOffer;
use str0m::config::{CryptoProvider, DtlsCert};
use str0m::format::Codec as WireCodec;
pub(super) use str0m::media::Rid;
use str0m::media::{Direction, KeyframeRequestKind, Mid, Pt, Rids};
use str0m::net::{Protocol, Receive, TcpType};
use str0m::rtp::{AbsCaptureTime, Extension, ExtensionMap, ExtensionValues, RtpWrite, SeqNo};
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
    #[error("the offer has {0} media sections; at most {MEDIA_MAX} are taken")]
    Large(usize),
    #[error("the offer has nothing that is known here: H.264, VP8, VP9 or AV1, and Opus, are taken")]
    Nothing,
    #[error("the offer knows none of the codecs of this broadcast ({0}); watch it by LL-HLS or HTTP-FLV")]
    Codecs(String),
    #[error("no key for the handshake: {0}")]
    Local(String),
}

/// One connection.
pub(super) struct Peer {
    rtc: Rtc,
    lines: Vec<Line>,
    way: Way,
}

/// How media goes out.
enum Way {
    /// By the library, which measures the network or sends nothing.
    Library,
    /// By an outlet of our own, as soon as the handshake has given its secrets.
    Waits(Option<Secret>),
    Outlet(Box<Outlet>),
}

/// One media section.
#[derive(Debug)]
struct Line {
    mid: Mid,
    kind: Kind,
    /// What is sent in it.
    sends: Option<(Pt, SeqNo)>,
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
    /// The network to the peer carries so many bits per second.
    Carries(u64),
    /// The peer lost this share of the pictures' packets, told where the network is measured.
    Loses(f32),
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

/// A publisher has two sections, a stage of twelve has more; each costs memory.
const MEDIA_MAX: usize = 4;
/// How long packets are kept for those who lost one, and how many. Pictures later than that are of no use.
const RESEND_AGE: Duration = Duration::from_millis(1000);
const RESEND_PACKETS_MAX: usize = 512;
/// Of what is sent, the most that may be sent again. More would only fill a network that is full.
const RESEND_SHARE_MAX: f32 = 0.6;
/// How often the losses of a measured viewer are looked at.
const REPORT_EVERY: Duration = Duration::from_millis(300);
/// Longer than any connection lasts.
const NEVER: Duration = Duration::from_secs(30 * 86_400);
/// A number that no extension has that str0m knows by itself; offers bring their own.
const CAPTURE_TIME_ID: u8 = 12;
/// Before anything is known of a viewer's network: most carry more, and probing finds that out within a second.
const FIRST_ESTIMATE: Bitrate = Bitrate::kbps(1_500);
/// A quality needs room above its rate, and the next better one has to be found reachable.
const WISH_PERCENT: u64 = 150;

impl Engine {
    pub(super) fn new() -> Result<Engine, OfferError> {
        let crypto = secrets::provider();
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
        let sections = offer.lines().filter(|line| line.starts_with("m=")).count();
        if sections > MEDIA_MAX {
            return Err(OfferError::Large(sections));
        }
        let has_h264 = offer.lines().any(|line| line.starts_with("a=rtpmap:") && line.contains(" H264/"));
        let offer =
            SdpOffer::from_sdp_string(offer).map_err(|error| OfferError::Unreadable(error.to_string()))?;
        let mut rtc = self.build(offered, has_h264, credentials, now);
        for address in addresses {
            for candidate in candidates(*address) {
                rtc.add_local_candidate(candidate.map_err(|error| OfferError::Local(error.to_string()))?);
            }
        }
        let answer = rtc.sdp_api().accept_offer(offer);
        let answer = answer.map_err(|error| OfferError::Unreadable(error.to_string()))?;
        let way = match offered {
            Offered::Play { measured: false, .. } => Way::Waits(None),
            _ => Way::Library,
        };
        let (mut peer, answer) = (Peer { rtc, lines: Vec::new(), way }, answer.to_sdp_string());
        peer.learn(&answer, offered);
        let useful = match offered {
            Offered::Publish => !peer.lines.is_empty(),
            Offered::Play { .. } => peer.lines.iter().any(|line| line.sends.is_some()),
        };
        if !useful {
            return Err(match offered {
                Offered::Publish => OfferError::Nothing,
                Offered::Play { video, audio, .. } => OfferError::Codecs(names(video, audio)),
            });
        }
        Ok((peer, with_candidates_in_use(answer)))
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
            Offered::Play { measured: false, .. } => builder
                .set_extension_map(extensions(&[Extension::RtpMid]))
                .set_rtcp_report_interval_audio(NEVER)
                .set_rtcp_report_interval_video(NEVER),
            _ => {
                let standard = ExtensionMap::standard();
                let all: Vec<Extension> = standard.iter().map(|(_, extension)| extension.clone()).collect();
                builder.set_extension_map(extensions(&all))
            }
        };
        let measured = matches!(offered, Offered::Play { measured: true, .. });
        let builder = builder.set_stats_interval(measured.then_some(REPORT_EVERY));
        builder.enable_bwe(measured.then_some(FIRST_ESTIMATE)).build(now)
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

/// The same for a receiver. None of before 1970, or of a clock that is ahead by a lifetime.
fn capture_time(captured: Captured) -> Option<AbsCaptureTime> {
    let since = Duration::from_micros(u64::try_from(captured.micros).ok()?);
    let ahead = captured.ahead.and_then(|micros| i64::try_from((i128::from(micros) << 32) / 1_000_000).ok());
    Some(AbsCaptureTime { capture_time: UNIX_EPOCH.checked_add(since)?, clock_offset: ahead })
}

impl Peer {
    /// Notes which sections there are.
    fn learn(&mut self, answer: &str, offered: Offered) {
        for (mid, kind) in sections(answer) {
            let (pt, disabled, direction) = self.negotiated(mid);
            let Some(pt) = pt.filter(|_| !disabled) else { continue };
            let sends = matches!(offered, Offered::Play { .. })
                && matches!(direction, Direction::SendOnly | Direction::SendRecv);
            let library = matches!(self.way, Way::Library);
            if sends
                && library
                && let Some(stream) = self.rtc.direct_api().stream_tx_by_mid(mid, None)
            {
                stream.set_rtx_cache(RESEND_PACKETS_MAX, RESEND_AGE, Some(RESEND_SHARE_MAX));
                // Pictures that come late one after the other teach a player to wait as long ever after.
                stream.set_unpaced(true);
            }
            self.lines.push(Line { mid, kind, sends: sends.then(|| (pt, SeqNo::default())) });
        }
    }

    /// The payload type of a section that both sides know, in the offer's order of preference.
    fn negotiated(&self, mid: Mid) -> (Option<Pt>, bool, Direction) {
        let Some(media) = self.rtc.media(mid) else { return (None, true, Direction::Inactive) };
        let known = self.rtc.codec_config().params();
        let usable = |pt: &&Pt| {
            known.iter().any(|p| {
                p.pt() == **pt
                    && p.spec().format.packetization_mode != Some(0)
                    && codec(p.spec().codec).is_some()
            })
        };
        (media.remote_pts().iter().find(usable).copied(), media.disabled(), media.direction())
    }

    /// Whether it is sent that kind.
    pub(super) fn sends(&self, kind: Kind) -> bool {
        self.lines.iter().any(|line| line.kind == kind && line.sends.is_some())
    }

    /// Whether it has a section of that kind.
    pub(super) fn has(&self, kind: Kind) -> bool {
        self.lines.iter().any(|line| line.kind == kind)
    }

    /// Whether a datagram is for this connection; a request is checked by its signature.
    pub(super) fn accepts(&self, now: Instant, from: Route, to: SocketAddr, datagram: &[u8]) -> bool {
        Receive::new(protocol(from), from.at, to, datagram)
            .is_ok_and(|receive| self.rtc.accepts(&Input::Receive(now, receive)))
    }

    /// Takes a datagram in; what can't be read is dropped. Drain by [`Peer::step`] afterwards, as after every other call.
    pub(super) fn receive(&mut self, now: Instant, from: Route, to: SocketAddr, datagram: &[u8]) {
        if let Ok(receive) = Receive::new(protocol(from), from.at, to, datagram)
            && let Err(error) = self.rtc.handle_input(Input::Receive(now, receive))
        {
            tracing::debug!(%error, "a datagram is not taken");
        }
        self.listen();
    }

    /// Keeps the secret of its handshake. After each call that could end one: the next call may be another connection's.
    fn listen(&mut self) {
        if let (Some(told), Way::Waits(secret)) = (secrets::told(), &mut self.way) {
            *secret = Some(told);
        }
    }

    /// The way of its media, when that is not the library's.
    pub(super) fn outlet(&mut self) -> Option<&mut Outlet> {
        match &mut self.way {
            Way::Outlet(outlet) => Some(outlet),
            _ => None,
        }
    }

    /// Opens the outlet: media can flow. `None` when the handshake agreed on something unknown.
    fn open(&mut self) -> Option<()> {
        let Way::Waits(secret) = &mut self.way else { return Some(()) };
        let secret = secret.take()?;
        let sections: Vec<Section> =
            self.lines.iter().filter_map(|line| line.section(&mut self.rtc)).collect();
        let first = self.lines.first().and_then(|line| self.rtc.media(line.mid))?;
        self.way = Way::Outlet(Box::new(Outlet::new(&secret, sections, first.cname())?));
        Some(())
    }

    /// Its time has come.
    pub(super) fn tick(&mut self, now: Instant) {
        if let Err(error) = self.rtc.handle_input(Input::Timeout(now)) {
            tracing::debug!(%error, "a connection can't go on");
            self.rtc.disconnect();
        }
        self.listen();
    }

    /// Sends one packet of a section; `ticks` is its RTP time, `taken` when the picture was that begins with it.
    pub(super) fn send(
        &mut self,
        kind: Kind,
        packet: &Outgoing,
        (ticks, taken): (u32, Option<Captured>),
        now: Instant,
    ) {
        let Some(line) = self.lines.iter_mut().find(|line| line.kind == kind) else { return };
        let Some((pt, sequence)) = line.sends.as_mut() else { return };
        let mut direct = self.rtc.direct_api();
        let Some(stream) = direct.stream_tx_by_mid(line.mid, None) else { return };
        let mut write = RtpWrite::new(*pt, *sequence, ticks, now, Arc::clone(&packet.payload));
        if let Some(abs_capture_time) = taken.and_then(capture_time) {
            write = write
                .ext_vals(ExtensionValues { abs_capture_time: Some(abs_capture_time), ..Default::default() });
        }
        stream.write_rtp(write.marker(packet.marker).nackable(kind == Kind::Video));
        sequence.inc();
    }

    /// Asks the sender of pictures for one to start with, in these qualities.
    pub(super) fn ask_for_keyframes(&mut self, rids: &[Option<Rid>]) {
        let mids: Vec<Mid> = self.lines.iter().filter(|l| l.kind == Kind::Video).map(|l| l.mid).collect();
        for mid in mids {
            for rid in rids {
                if let Some(stream) = self.rtc.direct_api().stream_rx_by_mid(mid, *rid) {
                    stream.request_keyframe(KeyframeRequestKind::Pli);
                }
            }
        }
    }

    /// Whether the peer sends its pictures in several qualities.
    pub(super) fn has_qualities(&self) -> bool {
        let several = |line: &&Line| {
            self.rtc
                .media(line.mid)
                .is_some_and(|m| matches!(m.rids_rx(), Rids::Specific(rids) if rids.len() > 1))
        };
        self.lines.iter().any(|line| several(&line))
    }

    /// What was sent of pictures isn't sent again by the library. The room for it is given back: it grows with the largest burst.
    pub(super) fn forget_pictures(&mut self) {
        if !matches!(self.way, Way::Library) {
            return;
        }
        let mids: Vec<Mid> = self.lines.iter().filter(|l| l.kind == Kind::Video).map(|l| l.mid).collect();
        for mid in mids {
            if let Some(stream) = self.rtc.direct_api().stream_tx_by_mid(mid, None) {
                stream.set_rtx_cache(RESEND_PACKETS_MAX, RESEND_AGE, Some(RESEND_SHARE_MAX));
            }
        }
    }

    /// The rate that would be sent if the network carried it, bits per second: measuring goes that far.
    pub(super) fn wish(&mut self, bits_per_second: u64) {
        self.rtc.bwe().set_bitrate(Bitrate::ZERO, Bitrate::bps(bits_per_second * WISH_PERCENT / 100));
    }

    /// Takes new secrets of both sides; media goes on meanwhile. RFC 8445 §9.
    pub(super) fn restart(&mut self, local: &Credentials, remote: &Credentials) {
        let creds = |c: &Credentials| IceCreds { ufrag: c.user.clone(), pass: c.password.clone() };
        let mut direct = self.rtc.direct_api();
        direct.set_local_ice_credentials(creds(local));
        direct.set_remote_ice_credentials(creds(remote));
    }

    /// Says goodbye; the datagrams for it come by [`Peer::step`].
    pub(super) fn close(&mut self) {
        if self.rtc.close().is_err() {
            self.rtc.disconnect();
        }
    }

    /// What it wants next; call it until [`Step::Wait`] or [`Step::Over`].
    pub(super) fn step(&mut self) -> Step {
        loop {
            if !self.rtc.is_alive() {
                return Step::Over;
            }
            let output = self.rtc.poll_output();
            self.listen();
            match output {
                // What is encrypted with the secrets of the outlet goes out by it alone: no number may be used twice.
                Ok(Output::Transmit(sent)) if self.has_own_way() && is_media(&sent.contents) => {}
                Ok(Output::Transmit(sent)) => {
                    let to = Route { at: sent.destination, tcp: sent.proto == Protocol::Tcp };
                    return Step::Send { to, datagram: sent.contents.into() };
                }
                Ok(Output::Timeout(at)) => return Step::Wait(at),
                Ok(Output::Event(str0m::Event::Connected)) if self.open().is_none() => {
                    tracing::warn!("the handshake of a connection gave no secrets; it ends");
                    self.rtc.disconnect();
                    return Step::Over;
                }
                Ok(Output::Event(event)) => {
                    if let Some(event) = self.event(event) {
                        return Step::Event(event);
                    }
                }
                Err(error) => {
                    tracing::debug!(%error, "a connection ends");
                    self.rtc.disconnect();
                    return Step::Over;
                }
            }
        }
    }

    fn has_own_way(&self) -> bool {
        !matches!(self.way, Way::Library)
    }

    fn event(&mut self, event: str0m::Event) -> Option<Event> {
        match event {
            str0m::Event::Connected => Some(Event::Connected),
            str0m::Event::KeyframeRequest(_) => Some(Event::KeyframeWanted),
            str0m::Event::RtpPacket(packet) => self.packet(packet).map(Event::Packet),
            str0m::Event::SenderFeedback(feedback) => {
                let line = self.lines.iter().find(|line| line.mid == feedback.mid)?;
                let info = feedback.sender_info;
                Some(Event::Clock(Clock {
                    kind: line.kind,
                    rid: feedback.rid,
                    ticks: info.rtp_time.numer(),
                    hz: info.rtp_time.denom(),
                    wallclock: info.ntp_time,
                }))
            }
            str0m::Event::MediaEgressStats(stats) => stats.loss.map(Event::Loses),
            str0m::Event::EgressBitrateEstimate(BweKind::Twcc { estimate, can_probe: true }) => {
                Some(Event::Carries(estimate.as_u64()))
            }
            _ => None,
        }
    }

    fn packet(&mut self, packet: str0m::rtp::RtpPacket) -> Option<Incoming> {
        let (mid, rid) = {
            let mut direct = self.rtc.direct_api();
            let stream = direct.stream_rx(&packet.header.ssrc)?;
            (stream.mid(), stream.rid())
        };
        let line = self.lines.iter().find(|line| line.mid == mid)?;
        let pt = packet.header.payload_type;
        let known = self.rtc.codec_config().params().iter().find(|params| params.pt() == pt)?;
        Some(Incoming {
            kind: line.kind,
            codec: codec(known.spec().codec)?,
            rid,
            sequence: *packet.seq_no,
            ticks: packet.time.numer(),
            marker: packet.header.marker,
            captured: packet.header.ext_vals.abs_capture_time.and_then(captured),
            payload: Bytes::from_owner(packet.payload),
        })
    }
}

impl Line {
    /// What was agreed of it, if it is sent.
    fn section(&self, rtc: &mut Rtc) -> Option<Section> {
        let (pt, _) = self.sends?;
        let known = rtc.codec_config().params().iter().find(|params| params.pt() == pt)?;
        let (again, hz) = (known.resend(), known.spec().clock_rate.get());
        let known = rtc.media(self.mid)?.remote_extmap();
        let name = known.id_of(Extension::RtpMid);
        let capture = known.id_of(Extension::AbsoluteCaptureTime);
        let mut direct = rtc.direct_api();
        let stream = direct.stream_tx_by_mid(self.mid, None)?;
        Some(Section {
            kind: self.kind,
            ssrc: *stream.ssrc(),
            payload_type: *pt,
            resend: stream.rtx().zip(again).map(|(ssrc, pt)| (*ssrc, *pt)),
            name: name.map(|number| (number, self.mid.to_string())),
            capture,
            hz,
        })
    }
}

impl std::fmt::Debug for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Peer").field("lines", &self.lines).finish_non_exhaustive()
    }
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
