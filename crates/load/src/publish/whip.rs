//! A publisher by WHIP: the pictures of a clip, in one quality or several, and silence.

use super::{Place, PublishPlan, Published, TOKENS_PER_PUBLISHER, annex_b};
use crate::clock::{self, MILLIS, Nanos};
use crate::flv::Clip;
use crate::socket;
use crate::webrtc::{Client, Due, Engine, Exchange, Media, Step, open_datagrams};
use anyhow::Context;
use mio::net::UdpSocket;
use mio::{Interest, Registry, Token};
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

/// What all publishers share beside the clips.
#[derive(Debug)]
pub(crate) struct WhipSource {
    engine: Engine,
    /// Of each quality.
    parameter_sets: Vec<Vec<u8>>,
}

#[derive(Debug)]
pub(super) struct WhipPublisher {
    token: usize,
    joined: Nanos,
    asking: Option<Exchange>,
    /// None: it is lost.
    wire: Option<Wire>,
    /// When its timeline began, by both clocks. None: not connected yet.
    started: Option<(Nanos, Instant)>,
    /// Of each quality.
    places: Vec<Place>,
    /// Pieces of silence that were sent.
    silences: u64,
}

#[derive(Debug)]
struct Wire {
    socket: UdpSocket,
    address: SocketAddr,
    client: Client,
    /// When it wants to be woken.
    wakes: Instant,
}

/// 20 ms of silence in stereo: CELT, full band, an empty frame (RFC 6716 §3.1). Sound of a clip is AAC, which WebRTC doesn't have.
const SILENCE: &[u8] = &[0xfc, 0xff, 0xfe];
const SILENCE_MS: u64 = 20;
const DATAGRAM_BYTES: usize = 2048;

impl WhipSource {
    /// # Errors
    /// A sentence for the user, when one of the qualities can't be sent by WebRTC.
    pub(crate) fn of<'a>(
        qualities: impl IntoIterator<Item = (&'a Path, &'a Clip)>,
    ) -> anyhow::Result<WhipSource> {
        let sets = |(path, clip): (&Path, &Clip)| {
            annex_b::parameter_sets(clip)
                .with_context(|| format!("{} can't be published by WHIP", path.display()))
        };
        let parameter_sets = qualities.into_iter().map(sets).collect::<anyhow::Result<Vec<_>>>()?;
        Ok(WhipSource {
            engine: Engine::new().context("the system gives no key for the handshake")?,
            parameter_sets,
        })
    }
}

impl WhipPublisher {
    pub(super) fn join(
        plan: &PublishPlan,
        source: &WhipSource,
        index: usize,
        registry: &Registry,
        published: &mut Published,
    ) -> Self {
        let mut publisher = Self {
            token: index * TOKENS_PER_PUBLISHER,
            joined: clock::now(),
            asking: None,
            wire: None,
            started: None,
            places: vec![Place::default(); source.parameter_sets.len()],
            silences: 0,
        };
        if let Err(reason) = publisher.ask(plan, source, index, registry) {
            publisher.wire = None;
            published.lose(&reason);
        }
        publisher
    }

    fn ask(
        &mut self,
        plan: &PublishPlan,
        source: &WhipSource,
        index: usize,
        registry: &Registry,
    ) -> Result<(), String> {
        let kind = |error: io::Error| error.kind().to_string();
        let from = socket::source_address(plan.target.address, index, plan.sources);
        let mut socket = open_datagrams(plan.target.address, from).map_err(kind)?;
        registry.register(&mut socket, Token(self.token + 1), Interest::READABLE).map_err(kind)?;
        let (address, wakes) = (socket.local_addr().map_err(kind)?, Instant::now());
        let (client, offer) = source.engine.offer_to_send(source.parameter_sets.len(), address, wakes)?;
        let mut asking = Exchange::begin(&plan.target, index, &offer, from).map_err(kind)?;
        let interest = Interest::READABLE | Interest::WRITABLE;
        registry.register(asking.stream(), Token(self.token), interest).map_err(kind)?;
        self.wire = Some(Wire { socket, address, client, wakes });
        self.asking = Some(asking);
        Ok(())
    }

    pub(super) fn hear(&mut self, token: usize, published: &mut Published) {
        let heard = if token == self.token { self.converse() } else { self.read(published) };
        if let Err(reason) = heard.and_then(|()| self.drain(published)) {
            self.lose(&reason, published);
        }
    }

    fn converse(&mut self) -> Result<(), String> {
        let Some(answer) = self.asking.as_mut().map(Exchange::go_on).transpose()?.flatten() else {
            return Ok(());
        };
        self.asking = None;
        self.wire.as_mut().map_or(Ok(()), |wire| wire.client.accept(&answer))
    }

    fn read(&mut self, published: &mut Published) -> Result<(), String> {
        let mut buffer = [0; DATAGRAM_BYTES];
        while let Some(wire) = &mut self.wire {
            match wire.socket.recv_from(&mut buffer) {
                Ok((count, from)) => {
                    wire.client.receive(Instant::now(), from, wire.address, &buffer[..count]);
                    self.drain(published)?;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // Nobody listened when something was sent; a server that doesn't come back is told by silence.
                Err(_) => {}
            }
        }
        Ok(())
    }

    pub(super) fn speak(&mut self, plan: &PublishPlan, published: &mut Published) {
        if let Err(reason) = self.send_due(plan, published) {
            self.lose(&reason, published);
        }
    }

    fn send_due(&mut self, plan: &PublishPlan, published: &mut Published) -> Result<(), String> {
        // Nothing goes out before the answer is there, so its timers can wait.
        if self.asking.is_some() {
            return Ok(());
        }
        let instant = Instant::now();
        if let Some(wire) = self.wire.as_mut().filter(|wire| wire.wakes <= instant) {
            wire.client.tick(instant);
            self.drain(published)?;
        }
        let Some((started, _)) = self.started else { return Ok(()) };
        let elapsed_ms = clock::now().saturating_sub(started) / MILLIS;
        let sets = plan.whip.iter().flat_map(|source| &source.parameter_sets);
        for (quality, (clip, sets)) in plan.qualities().zip(sets).enumerate() {
            while let Some((frame, at)) = self.places[quality].due(clip, elapsed_ms) {
                let tag = &clip.frames[frame];
                if tag.takes_stamp() {
                    let picture = annex_b::picture(tag, sets, plan.stamp.then(clock::now));
                    self.write(Media::Picture(quality), at, &picture, published)?;
                }
            }
        }
        while self.silences * SILENCE_MS <= elapsed_ms {
            let at = self.silences * SILENCE_MS;
            self.silences += 1;
            self.write(Media::Sound, at, SILENCE, published)?;
        }
        Ok(())
    }

    fn write(
        &mut self,
        media: Media,
        at_ms: u64,
        frame: &[u8],
        published: &mut Published,
    ) -> Result<(), String> {
        let (Some(wire), Some((_, began))) = (&mut self.wire, self.started) else { return Ok(()) };
        published.bytes += frame.len() as u64;
        let at = Duration::from_millis(at_ms);
        wire.client.write(media, Due { at, moment: began + at }, Instant::now(), frame)?;
        self.drain(published)
    }

    /// Takes all that the client wants.
    fn drain(&mut self, published: &mut Published) -> Result<(), String> {
        while let Some(wire) = &mut self.wire {
            match wire.client.step() {
                // A full socket is a loss like any other.
                Step::Send { to, datagram } => drop(wire.socket.send_to(&datagram, to)),
                Step::Connected if self.started.is_none() => {
                    let (began, now) = (Instant::now(), clock::now());
                    self.started = Some((now, began));
                    published.accept(self.joined, now);
                }
                Step::Connected | Step::Packet(_) => {}
                Step::Wait(at) => {
                    wire.wakes = at;
                    break;
                }
                Step::Over => return Err("closed by the server".to_owned()),
            }
        }
        Ok(())
    }

    /// Says goodbye; without it the server would wait for who may come back.
    pub(super) fn leave(&mut self) {
        let Some(mut wire) = self.wire.take() else { return };
        wire.client.close();
        while let Step::Send { to, datagram } = wire.client.step() {
            // Who doesn't hear it finds out.
            let _ = wire.socket.send_to(&datagram, to);
        }
    }

    pub(super) fn is_publishing(&self) -> bool {
        self.wire.is_some() && self.started.is_some()
    }

    pub(super) fn is_lost(&self) -> bool {
        self.wire.is_none()
    }

    fn lose(&mut self, reason: &str, published: &mut Published) {
        if self.wire.take().is_some() {
            published.lose(reason);
        }
        self.asking = None;
    }
}
