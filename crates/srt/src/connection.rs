//! One connection that was accepted.

use crate::cipher::Keys;
use crate::packet::{Control, Data, Kind, PAYLOAD_BYTES_MAX, Packet};
use crate::receive::Receiver;
use crate::send::Sender;
use crate::sequence::Sequence;
use crate::stats::Stats;
use bytes::Bytes;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Both directions of a connection. Drain [`Connection::poll_transmit`] and [`Connection::poll_received`] after every call.
#[derive(Debug)]
pub struct Connection {
    peer_socket: u32,
    began: Instant,
    /// The body that accepted it; the caller may not have got it.
    answer: Bytes,
    keys: Option<Keys>,
    receiver: Receiver,
    sender: Sender,
    controls: VecDeque<Bytes>,
    rtt: Rtt,
    heard: Instant,
    spoke: Instant,
    renewed: Option<Instant>,
    closed: Option<CloseReason>,
    /// What the peer sends is of no use.
    is_deaf: bool,
    /// Of what comes in, and of what goes out.
    latencies: (Duration, Duration),
    stats: Stats,
}

/// What came from the peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received {
    /// A payload.
    Payload(Bytes),
    /// So many packets are missing here, and won't come any more.
    Lost(u64),
}

/// Why a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// The peer said so.
    Shutdown,
    /// Nothing came for five seconds.
    Idle,
}

/// What a connection begins with.
#[derive(Debug)]
pub(crate) struct Beginning {
    pub(crate) peer_socket: u32,
    pub(crate) answer: Bytes,
    pub(crate) keys: Option<Keys>,
    pub(crate) first: Sequence,
    /// The caller's time when it asked, and when that came in.
    pub(crate) asked: (u32, Instant),
    pub(crate) latencies: (Duration, Duration),
}

/// How long there and back takes. Draft §4.10.
#[derive(Clone, Copy, Debug)]
struct Rtt {
    smoothed: Duration,
    variance: Duration,
    is_measured: bool,
}

/// Without a word from the peer for so long it is gone. Draft §4.8.3 has five seconds in libsrt.
const IDLE_MAX: Duration = Duration::from_secs(5);
/// Without anything to send, the peer hears this often that we are there. Draft §3.2.3.
const KEEP_ALIVE_EVERY: Duration = Duration::from_secs(1);
/// New keys cost work, so they are taken this often at most.
const RENEW_EVERY: Duration = Duration::from_secs(1);

impl Connection {
    pub(crate) fn new(beginning: Beginning, now: Instant) -> Connection {
        let Beginning { peer_socket, answer, keys, first, asked, latencies } = beginning;
        let mut connection = Connection {
            peer_socket,
            began: now,
            answer,
            keys,
            receiver: Receiver::new(first, latencies.0, asked.0, asked.1),
            sender: Sender::new(first, latencies.1, now),
            controls: VecDeque::new(),
            rtt: Rtt {
                smoothed: Duration::from_millis(100),
                variance: Duration::from_millis(50),
                is_measured: false,
            },
            heard: now,
            spoke: now,
            renewed: None,
            closed: None,
            is_deaf: false,
            latencies,
            stats: Stats::default(),
        };
        connection.accept(now);
        connection
    }

    /// Says again that it is accepted: the caller asked again.
    pub fn accept(&mut self, now: Instant) {
        let answer = self.answer.clone();
        self.control(Kind::Handshake, 0, &answer, now);
    }

    /// Takes a datagram in that was for this connection's socket and came from its peer.
    pub fn handle_input(&mut self, datagram: &[u8], now: Instant) {
        let Some(packet) = Packet::parse(datagram) else { return };
        if self.closed.is_some() {
            return;
        }
        self.heard = now;
        match packet {
            Packet::Data(data) => self.data(&data, now),
            Packet::Control(control) => self.controlled(&control, now),
        }
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.closed.is_some() {
            return;
        }
        if now.saturating_duration_since(self.heard) >= IDLE_MAX {
            self.closed = Some(CloseReason::Idle);
            return;
        }
        self.receiver.handle_timeout(now, &mut self.stats);
        if let Some((number, body)) = self.receiver.acknowledge(now, (self.rtt.smoothed, self.rtt.variance)) {
            self.control(Kind::Ack, number, &body, now);
        }
        if let Some(report) = self.receiver.report(now, self.rtt.report_in()) {
            self.control(Kind::Nak, 0, &report, now);
        }
        if now.saturating_duration_since(self.spoke) >= KEEP_ALIVE_EVERY {
            self.control(Kind::KeepAlive, 0, &[0; 4], now);
        }
    }

    /// When [`Connection::handle_timeout`] has something to do, or [`Connection::poll_transmit`] something to send.
    pub fn poll_timeout(&self) -> Instant {
        let idle = self.heard + IDLE_MAX;
        let alive = self.spoke + KEEP_ALIVE_EVERY;
        [self.receiver.poll_timeout(), self.sender.poll_timeout()]
            .into_iter()
            .flatten()
            .fold(idle.min(alive), Instant::min)
    }

    /// Takes a payload to be sent: [`PAYLOAD_BYTES_MAX`] bytes at most, 1316 are usual for MPEG-TS. What is longer is
    /// left out.
    pub fn send(&mut self, payload: Bytes, now: Instant) {
        if payload.len() > PAYLOAD_BYTES_MAX || self.closed.is_some() {
            return;
        }
        let time = self.time(now);
        self.sender.push(payload, self.keys.as_ref(), time, now, &mut self.stats);
    }

    /// Packets that wait to be sent the first time.
    pub fn waiting(&self) -> usize {
        self.sender.waiting()
    }

    /// The next datagram for the peer.
    pub fn poll_transmit(&mut self, now: Instant) -> Option<Bytes> {
        if let Some(control) = self.controls.pop_front() {
            return Some(control);
        }
        if self.closed.is_some() {
            return None;
        }
        let packet = self.sender.poll(self.peer_socket, now, &mut self.stats)?;
        self.spoke = now;
        Some(packet)
    }

    /// From now on media of the peer is dropped before anything is kept for it: viewers have none to send.
    pub fn ignore_media(&mut self) {
        self.is_deaf = true;
    }

    /// The next payload from the peer, in order, or a gap between payloads.
    pub fn poll_received(&mut self) -> Option<Received> {
        self.receiver.poll()
    }

    /// Ends it from our side; the peer is told.
    pub fn close(&mut self, now: Instant) {
        if self.closed.is_none() {
            self.control(Kind::Shutdown, 0, &[0; 4], now);
            self.closed = Some(CloseReason::Shutdown);
        }
    }

    /// Why it is over, if it is.
    pub fn closed(&self) -> Option<CloseReason> {
        self.closed
    }

    /// Whether it is encrypted.
    pub fn is_encrypted(&self) -> bool {
        self.keys.is_some()
    }

    /// What is known of it.
    pub fn stats(&self) -> Stats {
        let latency = if self.stats.received > 0 { self.latencies.0 } else { self.latencies.1 };
        Stats { rtt: self.rtt.smoothed, rtt_variance: self.rtt.variance, latency, ..self.stats }
    }

    fn data(&mut self, data: &Data<'_>, now: Instant) {
        if data.payload.len() > PAYLOAD_BYTES_MAX || self.is_deaf {
            self.stats.useless += 1;
            return;
        }
        let mut payload = data.payload.to_vec();
        let is_plain = match &self.keys {
            Some(keys) => keys.apply(data.key, data.sequence, &mut payload),
            None => data.key == 0,
        };
        if !is_plain {
            self.stats.undecryptable += 1;
            return;
        }
        let report_in = self.rtt.report_in();
        if let Some(report) = self.receiver.take(data, payload.into(), now, report_in, &mut self.stats) {
            self.control(Kind::Nak, 0, &report, now);
        }
    }

    fn controlled(&mut self, control: &Control<'_>, now: Instant) {
        let words = control.body.as_chunks::<4>().0;
        let word = |at: usize| words.get(at).map(|word| u32::from_be_bytes(*word));
        match control.kind {
            Kind::Ack => {
                let Some(next) = word(0) else { return };
                self.sender.acknowledged(Sequence::new(next));
                // A light one has no number, and wants no answer.
                if let (Some(rtt), Some(variance)) = (word(1), word(2)) {
                    self.rtt.told(rtt, variance);
                    self.control(Kind::AckAck, control.info, &[0; 4], now);
                }
            }
            Kind::AckAck => {
                if let Some(took) = self.receiver.answered(control.info, now) {
                    self.rtt.measured(took);
                }
            }
            Kind::Nak => {
                let gone = self.sender.asked(control.body, self.rtt.smoothed, now, &mut self.stats);
                if let Some((first, last)) = gone {
                    let body = [first.number().to_be_bytes(), last.number().to_be_bytes()].concat();
                    self.control(Kind::DropRequest, 0, &body, now);
                }
            }
            Kind::DropRequest => {
                if let (Some(first), Some(last)) = (word(0), word(1)) {
                    self.receiver.give_up(Sequence::new(first), Sequence::new(last), &mut self.stats);
                }
            }
            Kind::KeyRequest => self.renew(control.body, now),
            Kind::Shutdown => self.closed = Some(CloseReason::Shutdown),
            Kind::Handshake | Kind::KeepAlive | Kind::KeyResponse | Kind::Other => {}
        }
    }

    fn renew(&mut self, message: &[u8], now: Instant) {
        let rests = self.renewed.is_some_and(|at| now.saturating_duration_since(at) < RENEW_EVERY);
        let Some(keys) = self.keys.as_mut().filter(|_| !rests) else { return };
        self.renewed = Some(now);
        if keys.renew(message).is_ok() {
            self.control(Kind::KeyResponse, 0, message, now);
        }
    }

    fn control(&mut self, kind: Kind, info: u32, body: &[u8], now: Instant) {
        let time = self.time(now);
        self.controls.push_back(Control { kind, info, time, body }.to_bytes(self.peer_socket));
        self.spoke = now;
    }

    /// Microseconds since it began, 32 bits.
    fn time(&self, now: Instant) -> u32 {
        now.saturating_duration_since(self.began).as_micros() as u32
    }
}

impl Rtt {
    fn measured(&mut self, took: Duration) {
        if !self.is_measured {
            (self.smoothed, self.variance, self.is_measured) = (took, took / 2, true);
            return;
        }
        self.variance = (self.variance * 3 + self.smoothed.abs_diff(took)) / 4;
        self.smoothed = (self.smoothed * 7 + took) / 8;
    }

    /// The peer measured it. Its own figures are smoothed already.
    fn told(&mut self, rtt: u32, variance: u32) {
        let micros = |micros: u32| Duration::from_micros(u64::from(micros)).min(RTT_MAX);
        if !self.is_measured {
            (self.smoothed, self.variance) = (micros(rtt), micros(variance));
        }
    }

    /// How long after a report the next one comes. Draft §4.8.2.
    fn report_in(&self) -> Duration {
        (self.smoothed + self.variance * 4) / 2
    }
}

/// A peer that tells more isn't believed.
const RTT_MAX: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests;
