//! One WebRTC client without sockets: it offers to receive, decrypts, and tells packets. The only file here that names str0m.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;
use str0m::change::{SdpAnswer, SdpPendingOffer};
use str0m::config::{CryptoProvider, DtlsCert};
use str0m::media::{Direction, MediaKind, Mid};
use str0m::net::{Protocol, Receive};
use str0m::{Candidate, Event, Input, Output, Rtc};

/// What all clients of a process share: making a key for each would cost more than it measures.
#[derive(Debug, Clone)]
pub(crate) struct Engine {
    crypto: Arc<CryptoProvider>,
    certificate: DtlsCert,
}

/// One client.
pub(super) struct Client {
    rtc: Rtc,
    pending: Option<SdpPendingOffer>,
    video: Option<Mid>,
}

/// What a client wants next.
pub(super) enum Step {
    Send { to: SocketAddr, datagram: Vec<u8> },
    Connected,
    Packet(RtpPacket),
    Wait(Instant),
    Over,
}

/// An RTP packet, decrypted.
pub(super) struct RtpPacket {
    pub(super) video: bool,
    pub(super) sequence: u64,
    /// The last one of its picture.
    pub(super) marker: bool,
    pub(super) payload: Vec<u8>,
}

impl Engine {
    /// `None` when the system gives no key.
    pub(crate) fn new() -> Option<Engine> {
        let crypto = str0m::crypto::from_feature_flags();
        let certificate = crypto.dtls_provider.generate_certificate()?;
        Some(Engine { crypto: Arc::new(crypto), certificate })
    }

    /// A client that is reached at `address`, and its offer.
    pub(super) fn offer(&self, address: SocketAddr, now: Instant) -> Result<(Client, String), String> {
        let builder = Rtc::builder()
            .set_crypto_provider(Arc::clone(&self.crypto))
            .set_dtls_cert(self.certificate.clone())
            .set_rtp_mode(true);
        let mut rtc = builder.build(now);
        let candidate = Candidate::host(address, "udp").map_err(|error| error.to_string())?;
        rtc.add_local_candidate(candidate);
        let mut api = rtc.sdp_api();
        let video = api.add_media(MediaKind::Video, Direction::RecvOnly, None, None, None);
        api.add_media(MediaKind::Audio, Direction::RecvOnly, None, None, None);
        let (offer, pending) = api.apply().ok_or("no offer")?;
        Ok((Client { rtc, pending: Some(pending), video: Some(video) }, offer.to_sdp_string()))
    }
}

impl Client {
    /// Takes the server's answer.
    pub(super) fn accept(&mut self, answer: &str) -> Result<(), String> {
        let answer = SdpAnswer::from_sdp_string(answer).map_err(|error| error.to_string())?;
        let pending = self.pending.take().ok_or("a second answer")?;
        self.rtc.sdp_api().accept_answer(pending, answer).map_err(|error| error.to_string())
    }

    pub(super) fn receive(&mut self, now: Instant, from: SocketAddr, to: SocketAddr, datagram: &[u8]) {
        if let Ok(receive) = Receive::new(Protocol::Udp, from, to, datagram) {
            // What it can't use is a loss like any other.
            let _ = self.rtc.handle_input(Input::Receive(now, receive));
        }
    }

    pub(super) fn tick(&mut self, now: Instant) {
        if self.rtc.handle_input(Input::Timeout(now)).is_err() {
            self.rtc.disconnect();
        }
    }

    /// What it wants next; to be called until [`Step::Wait`] or [`Step::Over`].
    pub(super) fn step(&mut self) -> Step {
        loop {
            if !self.rtc.is_alive() {
                return Step::Over;
            }
            match self.rtc.poll_output() {
                Ok(Output::Transmit(sent)) => {
                    return Step::Send { to: sent.destination, datagram: sent.contents.into() };
                }
                Ok(Output::Timeout(at)) => return Step::Wait(at),
                Ok(Output::Event(Event::Connected)) => return Step::Connected,
                Ok(Output::Event(Event::RtpPacket(packet))) => {
                    let mid = self.rtc.direct_api().stream_rx(&packet.header.ssrc).map(|stream| stream.mid());
                    return Step::Packet(RtpPacket {
                        video: mid.is_some() && mid == self.video,
                        sequence: *packet.seq_no,
                        marker: packet.header.marker,
                        payload: packet.payload.to_vec(),
                    });
                }
                Ok(Output::Event(_)) => {}
                Err(_) => return Step::Over,
            }
        }
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("video", &self.video).finish_non_exhaustive()
    }
}
