//! A viewer with one connection that flows. Once it has its first keyframe it only discards, unless it is a probe.

use super::{Record, Seen, Upkeep, Wire, rtmp, ws};
use crate::clock::{MICROS, Nanos, SECONDS};
use crate::crowd::Shared;
use crate::profile::{Profile, Seat, Target, Temper};
use crate::socket::{self, Received};
use mio::net::TcpStream;
use std::borrow::Cow;

/// One viewer of FLV, WS-FLV or RTMP.
#[derive(Debug)]
pub(crate) struct Flow {
    pub(crate) seat: Seat,
    pub(crate) record: Record,
    stream: Option<TcpStream>,
    out: Vec<u8>,
    /// None: it discards.
    wire: Option<Box<Wire>>,
    upkeep: Upkeep,
    /// When it last sent a pong, or the bytes it last acknowledged.
    kept_up: u64,
    last_timestamp: u32,
    redirects: u8,
    /// Under which its socket's events come.
    token: usize,
}

impl Flow {
    /// A viewer that joins now. Its connection is on its way, or its record says why not.
    pub(crate) fn join(seat: Seat, token: usize, profile: &Profile, shared: &Shared, now: Nanos) -> Self {
        let mut flow = Self {
            seat,
            record: Record::join(now),
            stream: None,
            out: Vec::new(),
            wire: None,
            upkeep: Upkeep::Nothing,
            kept_up: now,
            last_timestamp: 0,
            redirects: 0,
            token,
        };
        flow.connect(&profile.target, shared, now);
        flow
    }

    fn connect(&mut self, target: &Target, shared: &Shared, now: Nanos) {
        let path = target.path_of(self.seat.broadcast);
        let source = socket::source_address(target.address, self.seat.number, shared.sources);
        let buffer = (self.seat.temper != Temper::Steady).then_some(SLOW_RECEIVE_BYTES);
        match socket::connect(target.address, source, buffer) {
            Ok(mut stream) => match shared.watch(&mut stream, self.token, true) {
                Ok(()) => self.stream = Some(stream),
                Err(error) => return self.lose(&error.kind().to_string()),
            },
            Err(error) => return self.lose(&error.kind().to_string()),
        }
        let (wire, first) = Wire::open(target, &path, self.seat.number, self.seat.probe, now);
        self.wire = Some(Box::new(wire));
        self.out = first;
    }

    /// Something happened on the socket.
    pub(crate) fn ready(&mut self, writable: bool, closed: bool, shared: &mut Shared, now: Nanos) {
        let Some(stream) = &self.stream else { return };
        if let Some(reason) = socket::connect_failure(stream) {
            return self.lose(reason);
        }
        if writable {
            self.record.connected = true;
        }
        if !self.out.is_empty() && !socket::send_some(stream, &mut self.out) {
            return self.lose("connection reset");
        }
        if self.reads_at_once() {
            self.read(shared, now);
        } else if closed {
            self.lose(CLOSED);
        }
    }

    fn reads_at_once(&self) -> bool {
        self.seat.temper == Temper::Steady || self.record.first_media == 0
    }

    /// Readiness comes once per arrival (edge-triggered), so it reads until the socket is empty.
    fn read(&mut self, shared: &mut Shared, now: Nanos) {
        while self.reads_at_once() {
            let Some(stream) = &self.stream else { return };
            let (received, room) = if self.wire.is_some() {
                let room = shared.buffer.len().min(FEED_BYTES);
                (socket::receive(stream, &mut shared.buffer[..room]), room)
            } else {
                (socket::discard(stream, &mut shared.buffer), shared.buffer.len())
            };
            match received {
                Received::Bytes(count) => {
                    self.record.received(now, count);
                    if self.wire.is_some() {
                        self.feed(count, shared, now);
                    }
                    if count < room {
                        break;
                    }
                }
                Received::Later => break,
                Received::End => return self.lose(CLOSED),
                Received::Broken(reason) => return self.lose(reason),
            }
        }
        self.acknowledge();
    }

    fn feed(&mut self, count: usize, shared: &mut Shared, now: Nanos) {
        let Some(wire) = &mut self.wire else { return };
        let mut seen = Vec::new();
        let fed = wire.feed(now, &shared.buffer[..count], &mut self.out, &mut seen);
        for seen in seen {
            match seen {
                Seen::Media if self.record.first_media == 0 => self.record.first_media = now,
                Seen::Media => {}
                Seen::Frame { video, timestamp, stamp } => self.frame(video, timestamp, stamp, shared, now),
                Seen::Redirect(location) => return self.redirect(&location, shared, now),
            }
        }
        if let Err(reason) = fed {
            return self.lose(&reason);
        }
        if let Some(stream) = &self.stream
            && !socket::send_some(stream, &mut self.out)
        {
            return self.lose("connection reset");
        }
        if self.record.first_media > 0 && !self.seat.probe {
            self.upkeep = self.wire.take().map_or(Upkeep::Nothing, |wire| wire.upkeep());
            self.kept_up = if self.upkeep == Upkeep::Pong { now } else { self.record.bytes };
            if let Some(stream) = &mut self.stream
                && shared.calm(stream, self.token).is_err()
            {
                self.lose("epoll refused");
            }
        }
    }

    fn frame(&mut self, video: bool, timestamp: u32, stamp: Option<Nanos>, shared: &mut Shared, now: Nanos) {
        let back = video && timestamp < self.last_timestamp;
        if video {
            self.last_timestamp = timestamp;
        }
        if !shared.window_open {
            return;
        }
        let tally = &mut shared.tallies[self.seat.profile];
        tally.frames += 1;
        tally.timestamps_back += u64::from(back);
        if let Some(sent) = stamp {
            tally.frame_age.record(now.saturating_sub(sent) / MICROS);
        }
    }

    fn redirect(&mut self, location: &str, shared: &Shared, now: Nanos) {
        self.redirects += 1;
        match Target::parse(location) {
            Ok(target) if self.redirects <= REDIRECTS_MAX => self.connect(&target, shared, now),
            Ok(_) => self.lose("too many redirects"),
            Err(_) => self.lose("redirected to something else"),
        }
    }

    /// A slow viewer's turn: it may read so many bytes.
    pub(crate) fn read_slowly(&mut self, allowance: usize, shared: &mut Shared, now: Nanos) {
        if self.seat.temper != Temper::Slow || self.record.first_media == 0 {
            return;
        }
        let Some(stream) = &self.stream else { return };
        let room = allowance.min(shared.buffer.len());
        match socket::discard(stream, &mut shared.buffer[..room]) {
            Received::Bytes(count) => self.record.received(now, count),
            Received::Later => {}
            Received::End => self.lose(CLOSED),
            Received::Broken(reason) => self.lose(reason),
        }
    }

    /// Now and then: stalls, and signs of life to the server.
    pub(crate) fn look(&mut self, stall_after: Nanos, shared: &Shared, now: Nanos) {
        if self.stream.is_none() {
            return;
        }
        if self.upkeep == Upkeep::Pong && now.saturating_sub(self.kept_up) > PONG_EVERY {
            self.kept_up = now;
            self.say(ws::control(ws::OPCODE_PONG, b""));
        }
        if shared.window_open && self.seat.temper == Temper::Steady && self.record.first_media > 0 {
            self.record.judge_stall(now.saturating_sub(self.record.last_data) > stall_after);
        }
    }

    fn acknowledge(&mut self) {
        if let Upkeep::Acknowledge { window } = self.upkeep
            && self.record.bytes - self.kept_up > u64::from(window)
        {
            self.kept_up = self.record.bytes;
            self.say(rtmp::acknowledgement(self.record.bytes));
        }
    }

    fn say(&mut self, bytes: Vec<u8>) {
        self.out.extend(bytes);
        if let Some(stream) = &self.stream
            && !socket::send_some(stream, &mut self.out)
        {
            self.lose("connection reset");
        }
    }

    /// It has had media and is still there.
    pub(crate) fn is_playing(&self) -> bool {
        self.record.first_media > 0 && self.stream.is_some()
    }

    fn lose(&mut self, reason: &str) {
        let when = if self.record.first_media > 0 { "" } else { " before any media" };
        let reason: Cow<'_, str> =
            if when.is_empty() { reason.into() } else { format!("{reason}{when}").into() };
        self.record.end = Some(reason.into());
        self.stream = None;
        self.wire = None;
        self.out = Vec::new();
    }
}

const CLOSED: &str = "closed by the server";
/// Enough to take a keyframe at once.
const FEED_BYTES: usize = 64 << 10;
/// A phone on a bad line does not have megabytes of receive buffer; loopback autotuning would give it 6 MiB.
const SLOW_RECEIVE_BYTES: usize = 64 << 10;
/// As browsers do, and enough for a balancer in front of a balancer.
const REDIRECTS_MAX: u8 = 5;
/// Below the usual 30 s after which servers give up.
const PONG_EVERY: Nanos = 10 * SECONDS;
