//! Program tables. ISO 13818-1 §2.4.4.

use super::muxer::Lane;
use super::pes::{PACKET_BYTES, write_head};
use bytes::{BufMut, BytesMut};

const PAT_PID: u16 = 0;
const PMT_PID: u16 = 0x1000;
/// The only program, and the number of the transport stream.
const PROGRAM: u16 = 1;
/// "No clock". ISO 13818-1 §2.4.4.9.
const NO_PID: u16 = 0x1fff;

/// Appends the packet that says where the program is. ISO 13818-1 §2.4.4.3.
pub(super) fn write_pat(out: &mut BytesMut, continuity: &mut u8) {
    let mut body = BytesMut::with_capacity(4);
    body.put_u16(PROGRAM);
    body.put_u16(0xe000 | PMT_PID);
    write_section(out, PAT_PID, continuity, 0, 0, &body);
}

/// Appends the packet that says what is in the program. ISO 13818-1 §2.4.4.8.
pub(super) fn write_pmt(
    out: &mut BytesMut,
    continuity: &mut u8,
    version: u8,
    clock: Option<u16>,
    lanes: &[Lane],
) {
    let mut body = BytesMut::with_capacity(64);
    body.put_u16(0xe000 | clock.unwrap_or(NO_PID));
    body.put_u16(0xf000);
    for lane in lanes {
        body.put_u8(lane.coding.stream_type());
        body.put_u16(0xe000 | lane.pid());
        let length_at = body.len();
        body.put_u16(0);
        lane.coding.write_descriptors(&mut body);
        let length = (body.len() - length_at - 2) as u16;
        body[length_at..length_at + 2].copy_from_slice(&(0xf000 | length).to_be_bytes());
    }
    write_section(out, PMT_PID, continuity, 2, version, &body);
}

/// Appends a packet with one whole section. `body` is what stands between section numbers and checksum.
fn write_section(out: &mut BytesMut, pid: u16, continuity: &mut u8, table: u8, version: u8, body: &[u8]) {
    let end = out.len() + PACKET_BYTES;
    write_head(out, pid, continuity, true, false);
    // The pointer: the section begins at once.
    out.put_u8(0);
    let section = out.len();
    out.put_u8(table);
    out.put_u16(0xb000 | (5 + body.len() + 4) as u16);
    out.put_u16(PROGRAM);
    out.put_u8(0xc1 | version << 1);
    out.put_slice(&[0, 0]);
    out.put_slice(body);
    let checksum = crc(&out[section..]);
    out.put_u32(checksum);
    out.put_bytes(0xff, end - out.len());
}

/// The checksum of sections. ISO 13818-1 annex A.
pub(super) fn crc(bytes: &[u8]) -> u32 {
    bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte) << 24, |crc, _| {
            if crc & 0x8000_0000 == 0 { crc << 1 } else { crc << 1 ^ 0x04c1_1db7 }
        })
    })
}
