//! A viewer by WHEP: an offer by HTTP, then media by UDP that is decrypted and counted, but not decoded.

use super::Record;
use crate::clock::{MICROS, Nanos};
use crate::crowd::Shared;
use crate::profile::{Profile, Seat};
use crate::socket;
use crate::stamp;
use crate::webrtc::{Client, Exchange, RtpPacket, Step, open_datagrams};
use mio::net::UdpSocket;
use std::io;
use std::net::SocketAddr;
use std::time::Instant;

/// One viewer.
#[derive(Debug)]
pub(crate) struct WhepViewer {
    pub(crate) seat: Seat,
    pub(crate) record: Record,
    token: usize,
    asking: Option<Exchange>,
    media: Option<Media>,
    /// Packets of pictures: the first and the highest number, and how many came.
    pictures: Option<Pictures>,
}

#[derive(Debug)]
struct Media {
    socket: UdpSocket,
    address: SocketAddr,
    client: Client,
    /// When it wants to be woken.
    wakes: Instant,
}

#[derive(Debug, Clone, Copy)]
struct Pictures {
    first: u64,
    highest: u64,
    came: u64,
}

const DATAGRAM_BYTES: usize = 2048;

impl WhepViewer {
    /// A viewer that joins now. Its connection is on its way, or its record says why not.
    pub(crate) fn join(seat: Seat, token: usize, profile: &Profile, shared: &Shared, now: Nanos) -> Self {
        let mut viewer =
            Self { seat, record: Record::join(now), token, asking: None, media: None, pictures: None };
        if let Err(reason) = viewer.ask(profile, shared) {
            viewer.lose(&reason);
        }
        viewer
    }

    fn ask(&mut self, profile: &Profile, shared: &Shared) -> Result<(), String> {
        let target = &profile.target;
        let kind = |error: io::Error| error.kind().to_string();
        let engine = shared.engine.as_ref().ok_or("no key for the handshake")?;
        let source = socket::source_address(target.address, self.seat.number, shared.sources);
        let mut socket = open_datagrams(target.address, source).map_err(kind)?;
        shared.watch(&mut socket, self.token + 1, false).map_err(kind)?;
        let address = socket.local_addr().map_err(kind)?;
        let now = Instant::now();
        let (client, offer) = engine.offer_to_receive(address, now)?;
        self.media = Some(Media { socket, address, client, wakes: now });
        let mut asking = Exchange::begin(target, self.seat.broadcast, &offer, source).map_err(kind)?;
        shared.watch(asking.stream(), self.token, true).map_err(kind)?;
        self.asking = Some(asking);
        Ok(())
    }

    /// Something happened on one of its sockets.
    pub(crate) fn ready(&mut self, token: usize, shared: &mut Shared, now: Nanos) {
        let done = if token == self.token { self.converse(shared) } else { self.read(shared, now) };
        if let Err(reason) = done {
            self.lose(&reason);
        }
    }

    /// Its time may have come.
    pub(crate) fn tick(&mut self, shared: &mut Shared, now: Nanos, instant: Instant) {
        let Some(media) = self.media.as_mut().filter(|media| media.wakes <= instant) else { return };
        if self.asking.is_some() {
            return;
        }
        media.client.tick(instant);
        if let Err(reason) = self.drain(shared, now) {
            self.lose(&reason);
        }
    }

    fn converse(&mut self, shared: &mut Shared) -> Result<(), String> {
        let Some(answer) = self.asking.as_mut().map(Exchange::go_on).transpose()?.flatten() else {
            return Ok(());
        };
        self.asking = None;
        if let Some(media) = &mut self.media {
            media.client.accept(&answer)?;
        }
        self.drain(shared, self.record.joined)
    }

    fn read(&mut self, shared: &mut Shared, now: Nanos) -> Result<(), String> {
        let mut buffer = [0; DATAGRAM_BYTES];
        let instant = Instant::now();
        while let Some(media) = &mut self.media {
            match media.socket.recv_from(&mut buffer) {
                Ok((count, from)) => {
                    self.record.received(now, count);
                    media.client.receive(instant, from, media.address, &buffer[..count]);
                    self.drain(shared, now)?;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // Nobody listened when something was sent; who doesn't come back is told by silence.
                Err(_) => {}
            }
        }
        Ok(())
    }

    /// Takes all that the client wants.
    fn drain(&mut self, shared: &mut Shared, now: Nanos) -> Result<(), String> {
        while let Some(media) = &mut self.media {
            match media.client.step() {
                // A full socket is a loss like any other.
                Step::Send { to, datagram } => drop(media.socket.send_to(&datagram, to)),
                Step::Connected => self.record.connected = true,
                Step::Packet(packet) => self.packet(&packet, shared, now),
                Step::Wait(at) => {
                    media.wakes = at;
                    break;
                }
                Step::Over => return Err("closed by the server".to_owned()),
            }
        }
        Ok(())
    }

    fn packet(&mut self, packet: &RtpPacket, shared: &mut Shared, now: Nanos) {
        if !packet.video {
            return;
        }
        if self.record.first_media == 0 {
            self.record.first_media = now;
        }
        let n = packet.sequence;
        let seen = self.pictures.get_or_insert(Pictures { first: n, highest: n, came: 0 });
        seen.came += 1;
        (seen.first, seen.highest) = (seen.first.min(n), seen.highest.max(n));
        if !shared.window_open || !self.seat.probe {
            return;
        }
        let tally = &mut shared.tallies[self.seat.profile];
        tally.frames += u64::from(packet.marker);
        if let Some((sent, _)) = stamp::find(&packet.payload) {
            tally.frame_age.record(now.saturating_sub(sent) / MICROS);
        }
    }

    /// Now and then: stalls.
    pub(crate) fn look(&mut self, stall_after: Nanos, shared: &Shared, now: Nanos) {
        if self.is_playing() && shared.window_open {
            self.record.judge_stall(now.saturating_sub(self.record.last_data) > stall_after);
        }
    }

    /// Packets of pictures that never came, and how many did.
    pub(crate) fn lost_and_came(&self) -> (u64, u64) {
        self.pictures
            .map_or((0, 0), |seen| ((seen.highest - seen.first + 1).saturating_sub(seen.came), seen.came))
    }

    /// It has had media and is still there.
    pub(crate) fn is_playing(&self) -> bool {
        self.record.first_media > 0 && self.media.is_some()
    }

    fn lose(&mut self, reason: &str) {
        let when = if self.record.first_media > 0 { "" } else { " before any media" };
        self.record.end = Some(format!("{reason}{when}").into());
        (self.asking, self.media) = (None, None);
    }
}
