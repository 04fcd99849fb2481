//! The init segment. ISO 14496-12 §8.

use super::boxes::{close, open, open_full, put};
use super::entry::put_entry;
use bytes::{BufMut, Bytes, BytesMut};
use media::{Kind, Track};

/// The only track's number.
pub(super) const TRACK_NUMBER: u32 = 1;
/// A transformation that changes nothing. ISO 14496-12 §8.2.2.
const UNITY: [u32; 9] = [0x1_0000, 0, 0, 0, 0x1_0000, 0, 0, 0, 0x4000_0000];

/// `ftyp` and `moov` of one track; the timescale is the track's clock.
pub fn init_segment(track: &Track) -> Bytes {
    let mut out = BytesMut::with_capacity(1024);
    put(&mut out, b"ftyp", b"iso6\0\0\0\0iso6cmfcmp41");
    let moov = open(&mut out, b"moov");
    put_movie_header(&mut out);
    let trak = open(&mut out, b"trak");
    put_track_header(&mut out, track);
    put_media(&mut out, track);
    close(&mut out, trak);
    let mvex = open(&mut out, b"mvex");
    let trex = open_full(&mut out, b"trex", 0, 0);
    out.put_u32(TRACK_NUMBER);
    out.put_u32(1);
    out.put_bytes(0, 12);
    close(&mut out, trex);
    close(&mut out, mvex);
    close(&mut out, moov);
    out.freeze()
}

fn put_movie_header(out: &mut BytesMut) {
    let mvhd = open_full(out, b"mvhd", 0, 0);
    out.put_bytes(0, 8);
    out.put_u32(1000);
    out.put_u32(0);
    out.put_u32(0x1_0000);
    out.put_u16(0x100);
    out.put_bytes(0, 10);
    UNITY.iter().for_each(|n| out.put_u32(*n));
    out.put_bytes(0, 24);
    out.put_u32(TRACK_NUMBER + 1);
    close(out, mvhd);
}

fn put_track_header(out: &mut BytesMut, track: &Track) {
    // Flags: enabled, in movie.
    let tkhd = open_full(out, b"tkhd", 0, 3);
    out.put_bytes(0, 8);
    out.put_u32(TRACK_NUMBER);
    out.put_bytes(0, 16);
    out.put_u16(0);
    out.put_u16(u16::from(track.kind == Kind::Audio));
    out.put_u16(if track.kind == Kind::Audio { 0x100 } else { 0 });
    out.put_u16(0);
    UNITY.iter().for_each(|n| out.put_u32(*n));
    let (width, height) = track.video_size().unwrap_or_default();
    out.put_u32(width << 16);
    out.put_u32(height << 16);
    close(out, tkhd);
}

fn put_media(out: &mut BytesMut, track: &Track) {
    let mdia = open(out, b"mdia");
    let mdhd = open_full(out, b"mdhd", 0, 0);
    out.put_bytes(0, 8);
    out.put_u32(track.clock_hz);
    out.put_u32(0);
    // Language "und".
    out.put_u32(0x55c4_0000);
    close(out, mdhd);
    let (handler, name): (&[u8; 4], &[u8]) = match track.kind {
        Kind::Video => (b"vide", b"video\0"),
        Kind::Audio => (b"soun", b"audio\0"),
    };
    let hdlr = open_full(out, b"hdlr", 0, 0);
    out.put_u32(0);
    out.put_slice(handler);
    out.put_bytes(0, 12);
    out.put_slice(name);
    close(out, hdlr);
    let minf = open(out, b"minf");
    match track.kind {
        Kind::Video => {
            let vmhd = open_full(out, b"vmhd", 0, 1);
            out.put_bytes(0, 8);
            close(out, vmhd);
        }
        Kind::Audio => {
            let smhd = open_full(out, b"smhd", 0, 0);
            out.put_bytes(0, 4);
            close(out, smhd);
        }
    }
    put(out, b"dinf", b"\0\0\0\x1cdref\0\0\0\0\0\0\0\x01\0\0\0\x0curl \0\0\0\x01");
    put_sample_table(out, track);
    close(out, minf);
    close(out, mdia);
}

/// The table is empty but for the entry: samples come in fragments.
fn put_sample_table(out: &mut BytesMut, track: &Track) {
    let stbl = open(out, b"stbl");
    let stsd = open_full(out, b"stsd", 0, 0);
    out.put_u32(1);
    put_entry(out, track);
    close(out, stsd);
    put(out, b"stts", &[0; 8]);
    put(out, b"stsc", &[0; 8]);
    put(out, b"stsz", &[0; 12]);
    put(out, b"stco", &[0; 8]);
    close(out, stbl);
}
