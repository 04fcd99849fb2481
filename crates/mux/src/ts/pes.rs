//! PES packets, cut into TS packets. ISO 13818-1 §2.4.3.

use bytes::{BufMut, BytesMut};

/// Bytes of a TS packet.
pub const PACKET_BYTES: usize = 188;
/// Bytes of a TS packet behind its header.
const ROOM: usize = PACKET_BYTES - 4;

/// What stands before a frame. ISO 13818-1 §2.4.3.6.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    pub(super) stream_id: u8,
    /// 90 kHz, 33 bits.
    pub(super) pts: u64,
    /// 90 kHz, 33 bits.
    pub(super) dts: u64,
}

/// What the adaptation field of a frame's first packet says. ISO 13818-1 §2.4.3.4.
#[derive(Clone, Copy, Debug)]
pub(super) struct Start {
    /// The program clock at 90 kHz, 33 bits.
    pub(super) pcr: Option<u64>,
    /// A decoder can start here.
    pub(super) random_access: bool,
}

impl Header {
    /// Appends it with a length of zero.
    pub(super) fn write(&self, out: &mut BytesMut) {
        let reorders = self.pts != self.dts;
        out.put_slice(&[0, 0, 1, self.stream_id, 0, 0]);
        // A frame begins at the first byte of the payload.
        out.put_u8(0x84);
        out.put_u8(if reorders { 0xc0 } else { 0x80 });
        out.put_u8(if reorders { 10 } else { 5 });
        put_time(out, if reorders { 3 } else { 2 }, self.pts);
        if reorders {
            put_time(out, 1, self.dts);
        }
    }
}

/// Fills the length of the only PES packet in `packet` in; false if it is too long. Only pictures may do without.
pub(super) fn set_length(packet: &mut BytesMut, is_video: bool) -> bool {
    if is_video {
        return true;
    }
    match u16::try_from(packet.len() - 6) {
        Ok(length) => {
            packet[4..6].copy_from_slice(&length.to_be_bytes());
            true
        }
        Err(_) => false,
    }
}

/// 33 bits in three pieces with marker bits between.
fn put_time(out: &mut BytesMut, prefix: u8, time: u64) {
    out.put_u8(prefix << 4 | (time >> 29) as u8 & 0x0e | 1);
    out.put_u16((time >> 14) as u16 | 1);
    out.put_u16((time << 1) as u16 | 1);
}

/// Appends a PES packet as TS packets; the last one is filled up by its adaptation field.
pub(super) fn write_packets(out: &mut BytesMut, pid: u16, continuity: &mut u8, start: Start, packet: &[u8]) {
    out.reserve(packet.len().div_ceil(ROOM) * PACKET_BYTES + PACKET_BYTES);
    let mut rest = packet;
    let mut first = Some(start);
    while !rest.is_empty() {
        let start = first.take();
        let wanted = start.map_or(0, Start::field_bytes);
        let (now, later) = rest.split_at(rest.len().min(ROOM - wanted));
        rest = later;
        write_head(out, pid, continuity, start.is_some(), now.len() < ROOM);
        write_field(out, start, ROOM - now.len());
        out.put_slice(now);
    }
}

impl Start {
    /// Bytes of the adaptation field that it needs.
    fn field_bytes(self) -> usize {
        match (self.pcr, self.random_access) {
            (Some(_), _) => 8,
            (None, true) => 2,
            (None, false) => 0,
        }
    }
}

/// Appends the four bytes of a TS packet with payload. ISO 13818-1 §2.4.3.2.
pub(super) fn write_head(out: &mut BytesMut, pid: u16, continuity: &mut u8, starts: bool, field: bool) {
    out.put_u8(0x47);
    out.put_u16(u16::from(starts) << 14 | pid & 0x1fff);
    out.put_u8(if field { 0x30 } else { 0x10 } | *continuity);
    *continuity = (*continuity + 1) & 0x0f;
}

/// Appends an adaptation field of `size` bytes, its length byte among them.
fn write_field(out: &mut BytesMut, start: Option<Start>, size: usize) {
    if size == 0 {
        return;
    }
    let end = out.len() + size;
    out.put_u8((size - 1) as u8);
    if size == 1 {
        return;
    }
    let pcr = start.and_then(|s| s.pcr);
    let random_access = start.is_some_and(|s| s.random_access);
    out.put_u8(u8::from(random_access) << 6 | u8::from(pcr.is_some()) << 4);
    if let Some(base) = pcr {
        // 33 bits of base, six reserved ones, nine bits of extension.
        out.put_uint(base << 15 | 0x7e00, 6);
    }
    out.put_bytes(0xff, end - out.len());
}
