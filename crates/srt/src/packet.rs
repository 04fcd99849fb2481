//! Headers of packets. Draft §3.

use crate::sequence::Sequence;
use bytes::{BufMut, Bytes, BytesMut};

/// Bytes of the longest datagram, less what IPv4 and UDP take of an Ethernet frame.
pub const DATAGRAM_BYTES_MAX: usize = 1500 - 28;
/// Media bytes of one packet.
pub const PAYLOAD_BYTES_MAX: usize = DATAGRAM_BYTES_MAX - HEADER_BYTES;
/// Bytes before the body of any packet.
pub(crate) const HEADER_BYTES: usize = 16;

/// A packet that came in.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Packet<'a> {
    Data(Data<'a>),
    Control(Control<'a>),
}

/// Draft §3.1.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Data<'a> {
    pub(crate) sequence: Sequence,
    /// Which key it is encrypted by: 0 none, 1 the even one, 2 the odd one.
    pub(crate) key: u8,
    pub(crate) is_resent: bool,
    /// The sender's microseconds, 32 bits.
    pub(crate) time: u32,
    pub(crate) payload: &'a [u8],
}

/// Draft §3.2.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Control<'a> {
    pub(crate) kind: Kind,
    /// What is specific to the kind.
    pub(crate) info: u32,
    pub(crate) time: u32,
    pub(crate) body: &'a [u8],
}

/// Draft table 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Handshake,
    KeepAlive,
    Ack,
    Nak,
    Shutdown,
    AckAck,
    DropRequest,
    KeyRequest,
    KeyResponse,
    /// What isn't acted upon.
    Other,
}

/// The socket that a datagram is for; zero for handshakes. `None` if it is too short for any packet.
pub(crate) fn destination(datagram: &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(*datagram.get(12..)?.first_chunk::<4>()?))
}

impl<'a> Packet<'a> {
    /// Reads the header; `None` if it is too short.
    pub(crate) fn parse(datagram: &'a [u8]) -> Option<Packet<'a>> {
        let (head, body) = datagram.split_first_chunk::<HEADER_BYTES>()?;
        let word = |at: usize| u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let (first, second, time) = (word(0), word(4), word(8));
        if first >> 31 == 0 {
            let (key, is_resent) = ((second >> 27 & 3) as u8, second >> 26 & 1 == 1);
            let sequence = Sequence::new(first);
            return Some(Packet::Data(Data { sequence, key, is_resent, time, payload: body }));
        }
        let kind = match (first >> 16 & 0x7fff, first & 0xffff) {
            (0, _) => Kind::Handshake,
            (1, _) => Kind::KeepAlive,
            (2, _) => Kind::Ack,
            (3, _) => Kind::Nak,
            (5, _) => Kind::Shutdown,
            (6, _) => Kind::AckAck,
            (7, _) => Kind::DropRequest,
            (0x7fff, 3) => Kind::KeyRequest,
            (0x7fff, 4) => Kind::KeyResponse,
            _ => Kind::Other,
        };
        Some(Packet::Control(Control { kind, info: second, time, body }))
    }
}

impl Data<'_> {
    /// Its bytes, for that socket. Every packet is a message of its own, in order. Draft §3.1.
    pub(crate) fn to_bytes(&self, message: u32, to: u32) -> Bytes {
        let mut out = BytesMut::with_capacity(HEADER_BYTES + self.payload.len());
        out.put_u32(self.sequence.number());
        out.put_u32(
            0xe000_0000
                | u32::from(self.key & 3) << 27
                | u32::from(self.is_resent) << 26
                | message & 0x03ff_ffff,
        );
        out.put_u32(self.time);
        out.put_u32(to);
        out.put_slice(self.payload);
        out.freeze()
    }
}

impl Control<'_> {
    /// Its bytes, for that socket.
    pub(crate) fn to_bytes(&self, to: u32) -> Bytes {
        let kind: u32 = match self.kind {
            Kind::Handshake => 0,
            Kind::KeepAlive | Kind::Other => 1 << 16,
            Kind::Ack => 2 << 16,
            Kind::Nak => 3 << 16,
            Kind::Shutdown => 5 << 16,
            Kind::AckAck => 6 << 16,
            Kind::DropRequest => 7 << 16,
            Kind::KeyRequest => 0x7fff_0003,
            Kind::KeyResponse => 0x7fff_0004,
        };
        let mut out = BytesMut::with_capacity(HEADER_BYTES + self.body.len());
        out.put_u32(0x8000_0000 | kind);
        out.put_u32(self.info);
        out.put_u32(self.time);
        out.put_u32(to);
        out.put_slice(self.body);
        out.freeze()
    }
}

/// Ranges of a loss report, both ends among them. Draft appendix A. Stops at what makes no sense.
pub(crate) fn ranges(body: &[u8]) -> impl Iterator<Item = (Sequence, Sequence)> {
    let mut words = body.as_chunks::<4>().0.iter().map(|word| u32::from_be_bytes(*word));
    std::iter::from_fn(move || {
        let first = words.next()?;
        let last = if first >> 31 == 1 { words.next().filter(|last| last >> 31 == 0)? } else { first };
        Some((Sequence::new(first), Sequence::new(last)))
    })
}

/// Appends a range to a loss report.
pub(crate) fn put_range(out: &mut BytesMut, first: Sequence, last: Sequence) {
    if first == last {
        out.put_u32(first.number());
    } else {
        out.put_u32(0x8000_0000 | first.number());
        out.put_u32(last.number());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_comes_back() {
        let sent = Data { sequence: Sequence::new(7), key: 1, is_resent: true, time: 9, payload: b"media" };
        let bytes = sent.to_bytes(3, 0x1234_5678);
        assert_eq!(destination(&bytes), Some(0x1234_5678));
        assert_eq!(Packet::parse(&bytes), Some(Packet::Data(sent)));
    }

    #[test]
    fn controls_come_back() {
        for kind in [Kind::Handshake, Kind::Ack, Kind::Nak, Kind::DropRequest, Kind::KeyRequest] {
            let sent = Control { kind, info: 5, time: 6, body: &[1, 2, 3, 4] };
            assert_eq!(Packet::parse(&sent.to_bytes(1)), Some(Packet::Control(sent)));
        }
        assert_eq!(Packet::parse(&[0x80; 15]), None);
    }

    #[test]
    fn loss_reports_have_numbers_and_ranges() {
        let mut body = BytesMut::new();
        let all = [(3, 3), (0x7fff_fffe, 2), (9, 10)].map(|(a, b)| (Sequence::new(a), Sequence::new(b)));
        all.iter().for_each(|(first, last)| put_range(&mut body, *first, *last));
        assert_eq!(body.len(), 20);
        assert!(ranges(&body).eq(all));
        assert_eq!(ranges(&[0x80, 0, 0, 1]).count(), 0, "a range without an end");
    }
}
