//! One connection: its handshake, and what goes in and out by the library.

use super::handshake::Handshake;
use super::settled::{IceSession, Settled};
use super::*;
use str0m::media::KeyframeRequestKind;

/// One connection.
pub(in crate::gateway::webrtc) struct Peer {
    link: Link,
    lines: Vec<Line>,
    way: Way,
    /// What of it goes on when the library's state is gone.
    handshake: Handshake,
    pub(super) ice: IceSession,
    /// Where its last check came from.
    heard: Option<Route>,
    /// The time of the last call that told it.
    now: Instant,
}

/// What drives a connection.
enum Link {
    Library(Box<Rtc>),
    /// Its media goes out by an outlet, and its handshake is over: little is left to do.
    Settled(Box<Settled>),
    Over,
}

/// How media goes out.
enum Way {
    /// None does.
    Nothing,
    /// By an outlet, as soon as the handshake has given its secrets.
    Waits,
    Outlet(Box<Outlet>),
}

/// One media section.
#[derive(Debug)]
struct Line {
    mid: Mid,
    kind: Kind,
    /// What is sent in it.
    sends: Option<Pt>,
}

impl Peer {
    /// What was agreed by an offer and its answer.
    pub(super) fn new(
        (rtc, handshake): (Rtc, Handshake),
        ice: IceSession,
        (answer, offered): (&str, Offered),
        now: Instant,
    ) -> Peer {
        let way = match offered {
            Offered::Play { .. } => Way::Waits,
            Offered::Publish => Way::Nothing,
        };
        let mut rtc = Box::new(rtc);
        let lines = lines(&mut rtc, answer, offered);
        Peer { link: Link::Library(rtc), lines, way, handshake, ice, heard: None, now }
    }

    /// The library's state, as long as there is any.
    fn library(&mut self) -> Option<&mut Rtc> {
        match &mut self.link {
            Link::Library(rtc) => Some(rtc),
            Link::Settled(_) | Link::Over => None,
        }
    }

    /// Whether it is sent that kind.
    pub(in crate::gateway::webrtc) fn sends(&self, kind: Kind) -> bool {
        self.lines.iter().any(|line| line.kind == kind && line.sends.is_some())
    }

    /// Whether it has a section of that kind.
    pub(in crate::gateway::webrtc) fn has(&self, kind: Kind) -> bool {
        self.lines.iter().any(|line| line.kind == kind)
    }

    /// Whether a datagram is for this connection; a request is checked by its signature.
    pub(in crate::gateway::webrtc) fn accepts(
        &self,
        now: Instant,
        from: Route,
        to: SocketAddr,
        datagram: &[u8],
    ) -> bool {
        match &self.link {
            Link::Library(rtc) => Receive::new(protocol(from), from.at, to, datagram)
                .is_ok_and(|receive| rtc.accepts(&Input::Receive(now, receive))),
            Link::Settled(_) => self.ice.request(datagram).is_some(),
            Link::Over => false,
        }
    }

    /// Takes a datagram in; what can't be read is dropped. Requests have to be those that [`Peer::accepts`]. True when it is the peer's
    /// for sure; of media and reports for the library events tell ([`Event::proves`]). Drain by [`Peer::step`] afterwards, as after
    /// every other call.
    pub(in crate::gateway::webrtc) fn receive(
        &mut self,
        now: Instant,
        from: Route,
        to: SocketAddr,
        datagram: &[u8],
    ) -> bool {
        self.now = now;
        let mut proved = is_stun(datagram);
        if proved {
            self.heard = Some(from);
        }
        match &mut self.link {
            Link::Library(rtc) => {
                if let Ok(receive) = Receive::new(protocol(from), from.at, to, datagram)
                    && let Err(error) = rtc.handle_input(Input::Receive(now, receive))
                {
                    tracing::debug!(%error, "a datagram is not taken");
                }
            }
            Link::Settled(settled) => proved = settled.receive(from, datagram, &self.ice),
            Link::Over => {}
        }
        proved
    }

    /// The way of its media, once there is one.
    pub(in crate::gateway::webrtc) fn outlet(&mut self) -> Option<&mut Outlet> {
        match &mut self.way {
            Way::Outlet(outlet) => Some(outlet),
            _ => None,
        }
    }

    /// Media can flow. `None` when it can't, since the handshake agreed on something unknown.
    fn begin_media(&mut self) -> Option<()> {
        let (Way::Waits, Link::Library(rtc)) = (&self.way, &mut self.link) else { return Some(()) };
        let secret = self.handshake.secret()?;
        let sections: Vec<Section> = self.lines.iter().filter_map(|line| line.section(rtc)).collect();
        let first = self.lines.first().and_then(|line| rtc.media(line.mid))?;
        self.way = Way::Outlet(Box::new(Outlet::new(&secret, sections, first.cname(), self.now)?));
        Some(())
    }

    /// Its time has come.
    pub(in crate::gateway::webrtc) fn tick(&mut self, now: Instant) {
        self.now = now;
        match &mut self.link {
            Link::Library(rtc) => {
                if let Err(error) = rtc.handle_input(Input::Timeout(now)) {
                    tracing::debug!(%error, "a connection can't go on");
                    rtc.disconnect();
                }
            }
            Link::Settled(settled) => settled.tick(now),
            Link::Over => {}
        }
    }

    /// Asks the sender of pictures for one to start with, in these qualities.
    pub(in crate::gateway::webrtc) fn ask_for_keyframes(&mut self, rids: &[Option<Rid>]) {
        let mids = self.pictures();
        let Some(rtc) = self.library() else { return };
        for mid in mids {
            for rid in rids {
                if let Some(stream) = rtc.direct_api().stream_rx_by_mid(mid, *rid) {
                    stream.request_keyframe(KeyframeRequestKind::Pli);
                }
            }
        }
    }

    /// The sections of pictures.
    pub(super) fn pictures(&self) -> Vec<Mid> {
        self.lines.iter().filter(|line| line.kind == Kind::Video).map(|line| line.mid).collect()
    }

    /// Whether the peer sends its pictures in several qualities.
    pub(in crate::gateway::webrtc) fn has_qualities(&self) -> bool {
        let Link::Library(rtc) = &self.link else { return false };
        let several = |mid| {
            rtc.media(mid).is_some_and(|m| matches!(m.rids_rx(), Rids::Specific(rids) if rids.len() > 1))
        };
        self.lines.iter().any(|line| several(line.mid))
    }

    /// Takes new secrets of both sides; media goes on meanwhile. RFC 8445 §9.
    pub(in crate::gateway::webrtc) fn restart(&mut self, local: &Credentials, remote: &Credentials) {
        (self.ice.ours, self.ice.theirs) = (local.clone(), Some(remote.user.clone()));
        let Some(rtc) = self.library() else { return };
        let creds = |c: &Credentials| IceCreds { ufrag: c.user.clone(), pass: c.password.clone() };
        let mut direct = rtc.direct_api();
        direct.set_local_ice_credentials(creds(local));
        direct.set_remote_ice_credentials(creds(remote));
    }

    /// Says goodbye; the datagrams for it come by [`Peer::step`].
    pub(in crate::gateway::webrtc) fn close(&mut self) {
        match &mut self.link {
            Link::Library(rtc) => {
                if rtc.close().is_err() {
                    rtc.disconnect();
                }
            }
            Link::Settled(settled) => settled.close(),
            Link::Over => {}
        }
    }

    /// What it wants next; call it until [`Step::Wait`] or [`Step::Over`].
    pub(in crate::gateway::webrtc) fn step(&mut self) -> Step {
        loop {
            let output = match &mut self.link {
                Link::Library(rtc) if rtc.is_alive() => rtc.poll_output(),
                Link::Settled(settled) => return settled.step(),
                Link::Library(_) | Link::Over => return Step::Over,
            };
            match output {
                // What is encrypted with the secrets of the outlet goes out by it alone: no number may be used twice.
                Ok(Output::Transmit(sent)) if self.has_own_way() && is_media(&sent.contents) => {}
                Ok(Output::Transmit(sent)) => {
                    let to = Route { at: sent.destination, tcp: sent.proto == Protocol::Tcp };
                    return Step::Send { to, datagram: sent.contents.into() };
                }
                Ok(Output::Timeout(at)) => match (&self.way, self.heard) {
                    (Way::Outlet(_), Some(heard)) => self.settle(heard, at),
                    _ => return Step::Wait(at),
                },
                Ok(Output::Event(str0m::Event::Connected)) if self.begin_media().is_none() => {
                    tracing::warn!("the handshake of a connection gave no secrets; it ends");
                    self.link = Link::Over;
                }
                Ok(Output::Event(event)) => {
                    if let Some(event) = self.event(event) {
                        return Step::Event(event);
                    }
                }
                Err(error) => {
                    tracing::debug!(%error, "a connection ends");
                    self.link = Link::Over;
                }
            }
        }
    }

    /// Goes on without the library, which has sent all that it had: it would keep some 50 KiB for what an outlet does without it.
    fn settle(&mut self, heard: Route, due: Instant) {
        self.link = Link::Settled(Box::new(Settled::new(self.handshake.clone(), heard, due)));
    }

    fn has_own_way(&self) -> bool {
        !matches!(self.way, Way::Nothing)
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
            _ => None,
        }
    }

    fn packet(&mut self, packet: str0m::rtp::RtpPacket) -> Option<Incoming> {
        let Link::Library(rtc) = &mut self.link else { return None };
        let (mid, rid) = {
            let mut direct = rtc.direct_api();
            let stream = direct.stream_rx(&packet.header.ssrc)?;
            (stream.mid(), stream.rid())
        };
        let line = self.lines.iter().find(|line| line.mid == mid)?;
        let pt = packet.header.payload_type;
        let known = rtc.codec_config().params().iter().find(|params| params.pt() == pt)?;
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

/// Which sections there are.
fn lines(rtc: &mut Rtc, answer: &str, offered: Offered) -> Vec<Line> {
    let mut lines = Vec::new();
    for (mid, kind) in sections(answer) {
        let (pt, disabled, direction) = negotiated(rtc, mid);
        let Some(pt) = pt.filter(|_| !disabled) else { continue };
        let sends = matches!(offered, Offered::Play { .. })
            && matches!(direction, Direction::SendOnly | Direction::SendRecv);
        lines.push(Line { mid, kind, sends: sends.then_some(pt) });
    }
    lines
}

/// The payload type of a section that both sides know, in the offer's order of preference.
fn negotiated(rtc: &Rtc, mid: Mid) -> (Option<Pt>, bool, Direction) {
    let Some(media) = rtc.media(mid) else { return (None, true, Direction::Inactive) };
    let known = rtc.codec_config().params();
    let usable = |pt: &&Pt| {
        known.iter().any(|p| {
            p.pt() == **pt && p.spec().format.packetization_mode != Some(0) && codec(p.spec().codec).is_some()
        })
    };
    (media.remote_pts().iter().find(usable).copied(), media.disabled(), media.direction())
}

impl Line {
    /// What was agreed of it, if it is sent.
    fn section(&self, rtc: &mut Rtc) -> Option<Section> {
        let pt = self.sends?;
        let known = rtc.codec_config().params().iter().find(|params| params.pt() == pt)?;
        let (again, hz) = (known.resend(), known.spec().clock_rate.get());
        let known = rtc.media(self.mid)?.remote_extmap();
        let name = known.id_of(Extension::RtpMid);
        let capture = known.id_of(Extension::AbsoluteCaptureTime);
        let transport = known.id_of(Extension::TransportSequenceNumber);
        let mut direct = rtc.direct_api();
        let stream = direct.stream_tx_by_mid(self.mid, None)?;
        Some(Section {
            kind: self.kind,
            ssrc: *stream.ssrc(),
            payload_type: *pt,
            resend: stream.rtx().zip(again).map(|(ssrc, pt)| (*ssrc, *pt)),
            name: name.map(|number| (number, self.mid.to_string())),
            capture,
            transport,
            hz,
        })
    }
}

impl std::fmt::Debug for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Peer").field("lines", &self.lines).finish_non_exhaustive()
    }
}

#[cfg(test)]
impl Peer {
    /// Whether the library's state is gone.
    pub(super) fn is_settled(&self) -> bool {
        matches!(self.link, Link::Settled(_))
    }

    /// Its sections and what is sent in them.
    pub(super) fn sections_known(&self) -> Vec<(Mid, Pt)> {
        let Link::Library(rtc) = &self.link else { return Vec::new() };
        self.lines.iter().filter_map(|line| Some((line.mid, negotiated(rtc, line.mid).0?))).collect()
    }
}
