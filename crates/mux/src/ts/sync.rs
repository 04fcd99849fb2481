//! Bytes cut into TS packets. ISO 13818-1 §2.4.3.2.

use super::pes::PACKET_BYTES;
use bytes::{Buf, BytesMut};

/// What comes in, until it is whole packets. Holds less than two packets between calls.
#[derive(Debug, Default)]
pub(super) struct Packets {
    held: BytesMut,
    lost: bool,
    /// Something was passed over that nobody was told of yet.
    broke: bool,
    resyncs: u64,
}

/// One TS packet, as far as its headers go.
#[derive(Debug)]
pub(super) struct Packet<'a> {
    pub(super) pid: u16,
    /// A PES packet or a section begins in it.
    pub(super) starts: bool,
    pub(super) is_damaged: bool,
    pub(super) is_scrambled: bool,
    pub(super) counter: u8,
    pub(super) discontinuity: bool,
    pub(super) random_access: bool,
    /// `None` if it has only an adaptation field.
    pub(super) payload: Option<&'a [u8]>,
}

const SYNC: u8 = 0x47;

impl Packets {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.held.extend_from_slice(bytes);
    }

    /// How often the packets had to be found again.
    pub(super) fn resyncs(&self) -> u64 {
        self.resyncs
    }

    /// Whether something was passed over since this was asked last: any PID may lack packets.
    pub(super) fn broke(&mut self) -> bool {
        std::mem::take(&mut self.broke)
    }

    /// The next packet. After a lost sync byte, one counts if another one follows a packet later.
    pub(super) fn next(&mut self) -> Option<[u8; PACKET_BYTES]> {
        while let Some(packet) = self.held.first_chunk::<PACKET_BYTES>() {
            let follows = self.held.get(PACKET_BYTES);
            let is_packet = packet[0] == SYNC && follows.is_none_or(|b| *b == SYNC);
            // Out of step, one packet alone proves nothing.
            if is_packet && !(self.lost && follows.is_none()) {
                let packet = *packet;
                self.held.advance(PACKET_BYTES);
                self.lost = false;
                return Some(packet);
            }
            if is_packet {
                return None;
            }
            if !self.lost {
                (self.lost, self.broke) = (true, true);
                self.resyncs += 1;
            }
            let next = self.held[1..].iter().position(|b| *b == SYNC).map_or(self.held.len(), |at| at + 1);
            self.held.advance(next);
        }
        None
    }
}

impl<'a> Packet<'a> {
    /// Reads the headers. `None` if the adaptation field overruns, or the packet has neither field nor payload.
    pub(super) fn parse(bytes: &'a [u8; PACKET_BYTES]) -> Option<Packet<'a>> {
        let control = bytes[3] >> 4 & 3;
        let mut packet = Packet {
            pid: u16::from_be_bytes([bytes[1], bytes[2]]) & 0x1fff,
            starts: bytes[1] & 0x40 != 0,
            is_damaged: bytes[1] & 0x80 != 0,
            is_scrambled: bytes[3] & 0xc0 != 0,
            counter: bytes[3] & 0x0f,
            discontinuity: false,
            random_access: false,
            payload: None,
        };
        let mut rest = &bytes[4..];
        if control & 2 != 0 {
            let (length, field) = rest.split_first()?;
            let (field, later) = field.split_at_checked(usize::from(*length))?;
            if let Some(flags) = field.first() {
                packet.discontinuity = flags & 0x80 != 0;
                packet.random_access = flags & 0x40 != 0;
            }
            rest = later;
        }
        packet.payload = (control & 1 != 0).then_some(rest);
        (control != 0).then_some(packet)
    }
}
