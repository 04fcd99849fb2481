//! One WebRTC client without sockets: it offers to receive, decrypts, and tells packets; or it offers to send, and encrypts frames. The
//! only file of this crate that names str0m.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use str0m::change::{SdpAnswer, SdpPendingOffer};
use str0m::config::{CryptoProvider, DtlsCert};
use str0m::format::{Codec, PayloadParams};
use str0m::media::{Direction, Frequency, MediaKind, MediaTime, Mid, Rid, Simulcast, SimulcastLayer};
use str0m::net::{Protocol, Receive};
use str0m::{Candidate, Event, Input, Output, Rtc, RtcConfig};

/// What all clients of a process share: making a key for each would cost more than it measures.
#[derive(Debug, Clone)]
pub(crate) struct Engine {
    crypto: Arc<CryptoProvider>,
    certificate: DtlsCert,
}

/// One client.
pub(crate) struct Client {
    rtc: Rtc,
    pending: Option<SdpPendingOffer>,
    video: Mid,
    audio: Mid,
    /// What its qualities are called, the best first. Empty: there is one, which has no name.
    rids: Vec<Rid>,
}

/// What a publisher sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Media {
    /// H.264, NAL units behind start codes, of that quality; 0 is the best.
    Picture(usize),
    /// A packet of Opus.
    Sound,
}

/// When a frame is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Due {
    /// On the publisher's timeline, which is one for all that it sends.
    pub(crate) at: Duration,
    /// The moment that this is: not after now. Reports tell it, so that a server can put qualities and sound beside each other
    /// (RFC 3550 §6.4.1).
    pub(crate) moment: Instant,
}

/// What a client wants next.
pub(crate) enum Step {
    Send { to: SocketAddr, datagram: Vec<u8> },
    Connected,
    Packet(RtpPacket),
    Wait(Instant),
    Over,
}

/// An RTP packet, decrypted.
pub(crate) struct RtpPacket {
    pub(crate) video: bool,
    pub(crate) sequence: u64,
    /// The last one of its picture.
    pub(crate) marker: bool,
    pub(crate) payload: Vec<u8>,
}

/// High, medium, low and small: what the qualities of a publisher are called (RFC 8851), the best first.
const RIDS: [&str; QUALITIES_MAX] = ["h", "m", "l", "s"];
/// The server takes no more.
pub(crate) const QUALITIES_MAX: usize = 4;

impl Engine {
    /// `None` when the system gives no key.
    pub(crate) fn new() -> Option<Engine> {
        let crypto = str0m::crypto::from_feature_flags();
        let certificate = crypto.dtls_provider.generate_certificate()?;
        Some(Engine { crypto: Arc::new(crypto), certificate })
    }

    /// A viewer that is reached at `address`, and its offer.
    ///
    /// # Errors
    /// When it can't be made.
    pub(crate) fn offer_to_receive(
        &self,
        address: SocketAddr,
        now: Instant,
    ) -> Result<(Client, String), String> {
        self.offer(Rtc::builder().set_rtp_mode(true), (Direction::RecvOnly, &[]), address, now)
    }

    /// A publisher of H.264, in so many qualities (simulcast, RFC 8853), and Opus, that is reached at `address`, and its offer.
    ///
    /// # Errors
    /// When it can't be made.
    pub(crate) fn offer_to_send(
        &self,
        qualities: usize,
        address: SocketAddr,
        now: Instant,
    ) -> Result<(Client, String), String> {
        let rids = if qualities > 1 { RIDS.get(..qualities).ok_or("too many qualities")? } else { &[] };
        let codecs = Rtc::builder().clear_codecs().enable_h264(true).enable_opus(true, false);
        self.offer(codecs, (Direction::SendOnly, rids), address, now)
    }

    fn offer(
        &self,
        config: RtcConfig,
        (direction, rids): (Direction, &[&str]),
        address: SocketAddr,
        now: Instant,
    ) -> Result<(Client, String), String> {
        let config = config.set_crypto_provider(Arc::clone(&self.crypto));
        let mut rtc = config.set_dtls_cert(self.certificate.clone()).build(now);
        let candidate = Candidate::host(address, "udp").map_err(|error| error.to_string())?;
        rtc.add_local_candidate(candidate);
        let mut api = rtc.sdp_api();
        let video = api.add_media(MediaKind::Video, direction, None, None, simulcast(rids));
        let audio = api.add_media(MediaKind::Audio, direction, None, None, None);
        let (offer, pending) = api.apply().ok_or("no offer")?;
        let rids = rids.iter().map(|rid| Rid::from(*rid)).collect();
        Ok((Client { rtc, pending: Some(pending), video, audio, rids }, offer.to_sdp_string()))
    }
}

impl Client {
    /// Takes the server's answer.
    pub(crate) fn accept(&mut self, answer: &str) -> Result<(), String> {
        let answer = SdpAnswer::from_sdp_string(answer).map_err(|error| error.to_string())?;
        let pending = self.pending.take().ok_or("a second answer")?;
        self.rtc.sdp_api().accept_answer(pending, answer).map_err(|error| error.to_string())
    }

    pub(crate) fn receive(&mut self, now: Instant, from: SocketAddr, to: SocketAddr, datagram: &[u8]) {
        if let Ok(receive) = Receive::new(Protocol::Udp, from, to, datagram) {
            // What it can't use is a loss like any other.
            let _ = self.rtc.handle_input(Input::Receive(now, receive));
        }
    }

    pub(crate) fn tick(&mut self, now: Instant) {
        if self.rtc.handle_input(Input::Timeout(now)).is_err() {
            self.rtc.disconnect();
        }
    }

    /// Sends a frame. What it becomes is to be taken by [`Client::step`] before the next.
    ///
    /// # Errors
    /// When the server doesn't take this kind, or this quality.
    pub(crate) fn write(&mut self, media: Media, due: Due, now: Instant, frame: &[u8]) -> Result<(), String> {
        let (mid, codec, clock) = match media {
            Media::Picture(_) => (self.video, Codec::H264, Frequency::NINETY_KHZ),
            Media::Sound => (self.audio, Codec::Opus, Frequency::FORTY_EIGHT_KHZ),
        };
        let refused = || format!("the server takes no {codec}");
        let mut writer = self.rtc.writer(mid).ok_or_else(refused)?;
        if let Media::Picture(quality) = media
            && let Some(rid) = self.rids.get(quality)
        {
            writer = writer.rid(*rid);
        }
        let pt = writer.payload_params().find(|params| params.spec().codec == codec).map(PayloadParams::pt);
        let time =
            MediaTime::from_micros(u64::try_from(due.at.as_micros()).unwrap_or(u64::MAX)).rebase(clock);
        writer.write(pt.ok_or_else(refused)?, due.moment, time, frame).map_err(|error| error.to_string())?;
        // Only now is it cut into packets.
        self.tick(now);
        Ok(())
    }

    /// Says goodbye; what is to be sent for it comes by [`Client::step`].
    pub(crate) fn close(&mut self) {
        if self.rtc.close().is_err() {
            self.rtc.disconnect();
        }
    }

    /// What it wants next; to be called until [`Step::Wait`] or [`Step::Over`].
    pub(crate) fn step(&mut self) -> Step {
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
                        video: mid == Some(self.video),
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

fn simulcast(rids: &[&str]) -> Option<Simulcast> {
    let mut simulcast = Simulcast::new();
    rids.iter().for_each(|rid| simulcast.add_send_layer(SimulcastLayer::new(rid)));
    (!rids.is_empty()).then_some(simulcast)
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("video", &self.video).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
