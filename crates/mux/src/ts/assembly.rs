//! PES packets put together from TS packets. ISO 13818-1 §2.4.3.6.

use super::pes::PACKET_BYTES;
use super::sync::Packet;
use bytes::{Buf, Bytes, BytesMut};

/// One PID's PES packet as it grows.
#[derive(Debug)]
pub(super) struct Assembly {
    bytes_max: usize,
    held: BytesMut,
    /// Between the first packet of a PES packet and its end.
    open: bool,
    random_access: bool,
    last: Option<Last>,
    /// Something is missing that no [`Step`] told of yet.
    broke: bool,
    lost_packets: u64,
    dropped: u64,
}

/// The last TS packet with payload, by which one that comes twice is known.
#[derive(Debug)]
struct Last {
    counter: u8,
    starts: bool,
    payload: [u8; PACKET_BYTES],
    length: usize,
    repeated: bool,
}

/// A whole PES packet.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Pes {
    /// 90 kHz, 33 bits.
    pub(super) pts: Option<u64>,
    /// 90 kHz, 33 bits; [`Pes::pts`] where it isn't told.
    pub(super) dts: Option<u64>,
    /// The muxer says that a decoder can start here.
    pub(super) random_access: bool,
    pub(super) payload: Bytes,
}

/// What a TS packet did to the PES packets of its PID.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Step {
    /// Something is missing before what comes now.
    pub(super) gap: bool,
    /// The one that a new one ended, then the one that is whole by its length.
    pub(super) whole: [Option<Pes>; 2],
}

/// Bytes before the optional header.
const HEAD_BYTES: usize = 6;

impl Assembly {
    /// A PES packet of more than `bytes_max` bytes is dropped.
    pub(super) fn new(bytes_max: usize) -> Assembly {
        Assembly {
            bytes_max,
            held: BytesMut::new(),
            open: false,
            random_access: false,
            last: None,
            broke: false,
            lost_packets: 0,
            dropped: 0,
        }
    }

    /// TS packets that are missing by their counters.
    pub(super) fn lost_packets(&self) -> u64 {
        self.lost_packets
    }

    /// PES packets that were not whole, or no PES packets.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Takes a packet in.
    pub(super) fn push(&mut self, packet: &Packet<'_>) -> Step {
        let mut step = Step::default();
        let Some(payload) = packet.payload else {
            if packet.discontinuity {
                self.last = None;
            }
            return step;
        };
        if let Some(last) = &mut self.last {
            if last.is_repeated_by(packet.counter, packet.starts, payload) {
                return step;
            }
            let missing = packet.counter.wrapping_sub(last.counter).wrapping_sub(1) & 0x0f;
            // A jump that is announced is none, but nobody knows what was before it.
            let lost = if packet.discontinuity { 0 } else { missing };
            self.lost_packets += u64::from(lost);
            self.broke |= missing > 0;
        }
        self.last = Some(Last::of(packet.counter, packet.starts, payload));
        if self.broke || packet.is_damaged {
            self.lost();
        }
        if packet.starts {
            step.whole[0] = self.end();
            self.open = !packet.is_damaged;
            self.random_access = packet.random_access;
        }
        step.gap = std::mem::take(&mut self.broke);
        if !self.open {
            return step;
        }
        if self.held.len() + payload.len() > self.bytes_max {
            self.lost();
            return step;
        }
        self.held.extend_from_slice(payload);
        if self.length().is_some_and(|length| self.held.len() >= length) {
            step.whole[1] = self.end();
        }
        step
    }

    /// Ends the PES packet that is open, if it is whole.
    pub(super) fn end(&mut self) -> Option<Pes> {
        if !std::mem::take(&mut self.open) {
            return None;
        }
        let length = self.length();
        let mut packet = self.held.split();
        if let Some(length) = length {
            if packet.len() < length {
                self.lack();
                return None;
            }
            packet.truncate(length);
        }
        let pes = read(packet.freeze(), self.random_access);
        if pes.is_none() {
            self.lack();
        }
        pes
    }

    /// Something is missing, so what is open is not whole.
    pub(super) fn lost(&mut self) {
        self.held.clear();
        self.broke = true;
        if std::mem::take(&mut self.open) {
            self.dropped += 1;
        }
    }

    /// A PES packet is none.
    fn lack(&mut self) {
        self.broke = true;
        self.dropped += 1;
    }

    /// Bytes of the packet, where it tells them.
    fn length(&self) -> Option<usize> {
        let head = self.held.first_chunk::<HEAD_BYTES>()?;
        let length = usize::from(u16::from_be_bytes([head[4], head[5]]));
        (length > 0).then_some(HEAD_BYTES + length)
    }
}

impl Last {
    fn of(counter: u8, starts: bool, payload: &[u8]) -> Last {
        let mut own = [0; PACKET_BYTES];
        // A payload is shorter than its packet.
        let length = payload.len().min(PACKET_BYTES);
        own[..length].copy_from_slice(&payload[..length]);
        Last { counter, starts, payload: own, length, repeated: false }
    }

    /// A packet may come twice, but not three times, and only its clock may differ then. ISO 13818-1 §2.4.3.3. One
    /// that differs comes after a loss of 15.
    fn is_repeated_by(&mut self, counter: u8, starts: bool, payload: &[u8]) -> bool {
        let is_same =
            self.counter == counter && self.starts == starts && self.payload[..self.length] == *payload;
        is_same && !std::mem::replace(&mut self.repeated, true)
    }
}

/// Reads the headers; `None` if there are none, or nothing is behind them.
fn read(mut packet: Bytes, random_access: bool) -> Option<Pes> {
    let head = packet.first_chunk::<9>()?;
    if head[..3] != [0, 0, 1] || head[6] & 0xc0 != 0x80 {
        return None;
    }
    // PES_scrambling_control.
    if head[6] & 0x30 != 0 {
        return None;
    }
    let (flags, length) = (head[7], usize::from(head[8]));
    let fields = packet.get(9..9 + length)?;
    let pts = (flags & 0x80 != 0).then(|| time(fields)).flatten();
    let dts = (flags & 0xc0 == 0xc0).then(|| time(fields.get(5..)?)).flatten();
    packet.advance(9 + length);
    (!packet.is_empty()).then_some(Pes { pts, dts: dts.or(pts), random_access, payload: packet })
}

/// 33 bits in three pieces with marker bits between.
fn time(bytes: &[u8]) -> Option<u64> {
    let b = bytes.first_chunk::<5>()?.map(u64::from);
    Some((b[0] >> 1 & 7) << 30 | b[1] << 22 | (b[2] >> 1) << 15 | b[3] << 7 | b[4] >> 1)
}
