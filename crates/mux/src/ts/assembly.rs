//! PES packets put together from TS packets. ISO 13818-1 §2.4.3.6.

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
    counter: Option<u8>,
    lost_packets: u64,
    dropped: u64,
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
            counter: None,
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
                self.counter = None;
            }
            return step;
        };
        if let Some(last) = self.counter.filter(|_| !packet.discontinuity) {
            if packet.counter == last {
                // A packet may come twice. ISO 13818-1 §2.4.3.3.
                return step;
            }
            let missing = packet.counter.wrapping_sub(last).wrapping_sub(1) & 0x0f;
            self.lost_packets += u64::from(missing);
            step.gap = missing > 0;
        }
        self.counter = Some(packet.counter);
        if step.gap || packet.is_damaged {
            step.gap = true;
            self.drop_open();
        }
        if packet.starts {
            step.whole[0] = self.end();
            self.open = !packet.is_damaged;
            self.random_access = packet.random_access;
        }
        if !self.open {
            return step;
        }
        if self.held.len() + payload.len() > self.bytes_max {
            self.drop_open();
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
                self.dropped += 1;
                return None;
            }
            packet.truncate(length);
        }
        let pes = read(packet.freeze(), self.random_access);
        if pes.is_none() {
            self.dropped += 1;
        }
        pes
    }

    /// Bytes of the packet, where it tells them.
    fn length(&self) -> Option<usize> {
        let head = self.held.first_chunk::<HEAD_BYTES>()?;
        let length = usize::from(u16::from_be_bytes([head[4], head[5]]));
        (length > 0).then_some(HEAD_BYTES + length)
    }

    fn drop_open(&mut self) {
        self.held.clear();
        if std::mem::take(&mut self.open) {
            self.dropped += 1;
        }
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
