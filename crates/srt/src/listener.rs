//! Handshakes. Nothing is remembered of a caller before it has shown that its address is real. Draft §4.3.1.

use crate::cipher::{Keys, MATERIAL_BYTES_MAX, Passphrase};
use crate::connection::{Beginning, Connection};
use crate::handshake::{self, Capabilities, Extensions, Handshake, flags};
use crate::packet::{Control, DATAGRAM_BYTES_MAX, Kind, Packet, destination};
use crate::receive::WINDOW_PACKETS;
use crate::sequence::Sequence;
use crate::{Error, Refusal};
use aws_lc_rs::hmac;
use bytes::{Bytes, BytesMut};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

/// Tells whose a datagram is, and answers handshakes.
#[derive(Debug)]
pub struct Listener {
    config: Config,
    secret: hmac::Key,
    began: Instant,
}

/// How callers are taken.
#[derive(Clone, Debug)]
pub struct Config {
    /// How long lost packets are waited for at least, in both directions. A caller may ask for more.
    pub latency: Duration,
    /// The longest that a caller gets.
    pub latency_max: Duration,
    /// With one, all media is encrypted, and who doesn't know it is refused.
    pub passphrase: Option<Passphrase>,
}

/// What a datagram was.
#[derive(Debug)]
pub enum Arrival {
    /// Nothing that is answered.
    Nothing,
    /// A handshake; this goes back. It is no longer than what came.
    Answer(Bytes),
    /// A caller whose address is real is refused.
    Refused(Refused),
    /// A caller whose address is real wants a connection. It may be the same one again.
    Caller(Box<Caller>),
    /// It is for the connection of this socket, if that is its peer.
    Connection(u32),
}

/// A caller that is refused by its handshake alone.
#[derive(Debug)]
pub struct Refused {
    /// Why, for the log.
    pub error: Error,
    /// This goes back; it tells the caller, as [`Refusal`] has it.
    pub answer: Bytes,
}

/// A caller that waits for an answer. Nothing costly was done for it yet.
#[derive(Debug)]
pub struct Caller {
    from: SocketAddr,
    asked: Handshake,
    capabilities: Capabilities,
    stream_id: String,
    secret: Option<(Passphrase, Bytes)>,
    time: (u32, Instant),
    latencies: (Duration, Duration),
}

/// A caller that knows the passphrase, if there is one.
#[derive(Debug)]
pub struct Request {
    caller: Caller,
    keys: Option<(Keys, Bytes)>,
}

/// What we say that we are: libsrt 1.5.
const VERSION: u32 = 0x0001_0500;
/// The oldest that shakes hands by version 5. Draft §3.2.1.1.
const VERSION_MIN: u32 = 0x0001_0300;
const FLAGS: u32 = flags::TIMES | flags::CRYPT | flags::DROPS | flags::PERIODIC_NAK | flags::RESENT;
/// How long a cookie holds: this, and as long again.
const COOKIE_EVERY: Duration = Duration::from_secs(60);
/// UDP and IPv4 take this much of what `mtu` counts.
const MTU_MAX: u32 = DATAGRAM_BYTES_MAX as u32 + 28;

impl Listener {
    /// `secret` makes cookies that nobody can guess.
    pub fn new(config: Config, secret: [u8; 32], now: Instant) -> Listener {
        Listener { config, secret: hmac::Key::new(hmac::HMAC_SHA256, &secret), began: now }
    }

    /// Looks at a datagram.
    pub fn handle_input(&self, from: SocketAddr, datagram: &[u8], now: Instant) -> Arrival {
        match destination(datagram) {
            None => Arrival::Nothing,
            Some(0) => self.handshake(from, datagram, now).unwrap_or(Arrival::Nothing),
            Some(socket) => Arrival::Connection(socket),
        }
    }

    fn handshake(&self, from: SocketAddr, datagram: &[u8], now: Instant) -> Option<Arrival> {
        let Some(Packet::Control(control)) =
            Packet::parse(datagram).filter(|_| datagram.len() <= DATAGRAM_BYTES_MAX)
        else {
            return None;
        };
        let (asked, rest) = Handshake::parse(control.body).filter(|_| control.kind == Kind::Handshake)?;
        match asked.kind {
            handshake::INDUCTION => Some(Arrival::Answer(self.induce(&asked, from, now))),
            handshake::CONCLUSION if self.is_ours(asked.cookie, from, now) => {
                Some(match self.conclude(from, &asked, rest, (control.time, now)) {
                    Ok(caller) => Arrival::Caller(Box::new(caller)),
                    Err(error) => Arrival::Refused(Refused::new(&asked, error)),
                })
            }
            _ => None,
        }
    }

    /// Draft §4.3.1.1.
    fn induce(&self, asked: &Handshake, from: SocketAddr, now: Instant) -> Bytes {
        let answer = Handshake {
            version: 5,
            // The length of the key is the caller's choice.
            encryption: 0,
            extension: handshake::MAGIC,
            mtu: asked.mtu.min(MTU_MAX),
            cookie: self.cookie(from, self.minute(now)),
            address: wire_address(from.ip()),
            ..asked.clone()
        };
        to_bytes(&answer, &[], asked.socket)
    }

    /// Draft §4.3.1.2.
    fn conclude(
        &self,
        from: SocketAddr,
        asked: &Handshake,
        rest: &[u8],
        time: (u32, Instant),
    ) -> Result<Caller, Error> {
        if asked.version != 5 {
            return Err(Error::Version);
        }
        let extensions = Extensions::parse(rest).ok_or(Error::Handshake)?;
        let capabilities = extensions.capabilities.ok_or(Error::Handshake)?;
        if capabilities.version < VERSION_MIN {
            return Err(Error::Version);
        }
        let unwanted = [
            (capabilities.flags & flags::STREAM != 0, Error::MessageApi),
            (extensions.has_other_congestion, Error::Congestion),
            (extensions.has_filter, Error::Filter),
            (extensions.has_group, Error::Group),
        ];
        if let Some((_, error)) = unwanted.into_iter().find(|(is, _)| *is) {
            return Err(error);
        }
        let secret = match (&self.config.passphrase, extensions.key_material) {
            (None, None) => None,
            (Some(passphrase), Some(material)) if material.len() <= MATERIAL_BYTES_MAX => {
                Some((passphrase.clone(), Bytes::copy_from_slice(material)))
            }
            (Some(_), Some(_)) => return Err(Error::KeyMaterial),
            _ => return Err(Error::Unsecure),
        };
        let latency = |asked: u16| {
            let asked = Duration::from_millis(u64::from(asked));
            asked.max(self.config.latency).min(self.config.latency_max)
        };
        Ok(Caller {
            from,
            asked: asked.clone(),
            capabilities,
            stream_id: extensions.stream_id,
            secret,
            time,
            // What the caller sends waits here, and the other way round.
            latencies: (latency(capabilities.sends_ms), latency(capabilities.receives_ms)),
        })
    }

    fn minute(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.began).as_secs() / COOKIE_EVERY.as_secs()
    }

    /// Whether we gave this cookie to this address lately.
    fn is_ours(&self, cookie: u32, from: SocketAddr, now: Instant) -> bool {
        let minute = self.minute(now);
        cookie == self.cookie(from, minute) || minute > 0 && cookie == self.cookie(from, minute - 1)
    }

    fn cookie(&self, from: SocketAddr, minute: u64) -> u32 {
        let mut message = [0; 26];
        message[..16].copy_from_slice(&wire_address(from.ip()));
        message[16..18].copy_from_slice(&from.port().to_be_bytes());
        message[18..].copy_from_slice(&minute.to_be_bytes());
        let tag = hmac::sign(&self.secret, &message);
        let bytes = tag.as_ref();
        // Zero means none.
        u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]).max(1)
    }
}

impl Refused {
    fn new(asked: &Handshake, error: Error) -> Refused {
        Refused { error, answer: refuse(asked, error.refusal()) }
    }
}

impl Caller {
    /// Who asks: its address, and the number of its socket. The same asks again until it is answered.
    pub fn name(&self) -> (SocketAddr, u32) {
        (self.from, self.asked.socket)
    }

    /// Whether it knows the passphrase. That costs a millisecond, so count it before.
    ///
    /// # Errors
    /// When it doesn't, or its keys are of a kind that isn't supported.
    pub fn unlock(self) -> Result<Request, Refused> {
        let keys = match &self.secret {
            None => None,
            Some((passphrase, material)) => match Keys::open(passphrase, material) {
                Ok(keys) => Some((keys, material.clone())),
                Err(error) => return Err(Refused::new(&self.asked, error)),
            },
        };
        Ok(Request { caller: self, keys })
    }

    /// Refuses it: the datagram that says so.
    pub fn refuse(&self, refusal: Refusal) -> Bytes {
        refuse(&self.asked, refusal)
    }
}

impl Request {
    /// Who asks, as [`Caller::name`] has it.
    pub fn name(&self) -> (SocketAddr, u32) {
        self.caller.name()
    }

    /// What it asks for, in its words; see [`crate::StreamId`].
    pub fn stream_id(&self) -> &str {
        &self.caller.stream_id
    }

    /// The caller's version, as `1.5.3`.
    pub fn version(&self) -> String {
        let [_, major, minor, patch] = self.caller.capabilities.version.to_be_bytes();
        format!("{major}.{minor}.{patch}")
    }

    /// Refuses it: the datagram that says so.
    pub fn refuse(&self, refusal: Refusal) -> Bytes {
        self.caller.refuse(refusal)
    }

    /// Accepts it; `socket` is the number that datagrams for the connection have, and not zero.
    pub fn accept(self, socket: u32, now: Instant) -> Connection {
        let Request { caller, keys } = self;
        let Caller { from, asked, time, latencies, .. } = caller;
        let (receives, sends) = latencies;
        let millis = |time: Duration| u16::try_from(time.as_millis()).unwrap_or(u16::MAX);
        let mut extensions = BytesMut::new();
        let answer = Capabilities {
            version: VERSION,
            flags: FLAGS,
            receives_ms: millis(receives),
            sends_ms: millis(sends),
        };
        answer.write(&mut extensions);
        let mut extension = handshake::HAS_CAPABILITIES;
        let mut encryption = 0;
        if let Some((keys, material)) = &keys {
            handshake::write_keys(&mut extensions, material);
            extension |= handshake::HAS_KEYS;
            encryption = keys.field();
        }
        let answer = Handshake {
            version: 5,
            encryption,
            extension,
            mtu: asked.mtu.min(MTU_MAX),
            window: asked.window.min(WINDOW_PACKETS as u32),
            socket,
            address: wire_address(from.ip()),
            ..asked
        };
        let mut body = BytesMut::new();
        answer.write(&mut body);
        body.extend_from_slice(&extensions);
        let beginning = Beginning {
            peer_socket: asked.socket,
            answer: body.freeze(),
            keys: keys.map(|(keys, _)| keys),
            first: Sequence::new(asked.first_sequence),
            asked: time,
            latencies,
        };
        Connection::new(beginning, now)
    }
}

fn refuse(asked: &Handshake, refusal: Refusal) -> Bytes {
    let answer = Handshake { version: 5, encryption: 0, extension: 0, kind: refusal.0, ..asked.clone() };
    to_bytes(&answer, &[], asked.socket)
}

fn to_bytes(handshake: &Handshake, extensions: &[u8], to: u32) -> Bytes {
    let mut body = BytesMut::with_capacity(handshake::BYTES + extensions.len());
    handshake.write(&mut body);
    body.extend_from_slice(extensions);
    Control { kind: Kind::Handshake, info: 0, time: 0, body: &body }.to_bytes(to)
}

/// libsrt has words of a little-endian machine here; peers don't look at it.
fn wire_address(ip: IpAddr) -> [u8; 16] {
    match ip {
        IpAddr::V4(ip) => {
            let mut bytes = [0; 16];
            let mut octets = ip.octets();
            octets.reverse();
            bytes[..4].copy_from_slice(&octets);
            bytes
        }
        IpAddr::V6(ip) => ip.octets(),
    }
}
