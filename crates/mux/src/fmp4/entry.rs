//! Sample entries: what a decoder is told before the first sample.

use super::boxes::{close, open, open_full, put};
use bytes::{Buf, BufMut, BytesMut};
use media::codec::vp9;
use media::{Codec, Track};

/// Appends the sample entry of a track.
pub(super) fn put_entry(out: &mut BytesMut, track: &Track) {
    match track.codec {
        Codec::H264 => video(out, track, b"avc1", b"avcC"),
        Codec::H265 => video(out, track, b"hvc1", b"hvcC"),
        Codec::Av1 => video(out, track, b"av01", b"av1C"),
        Codec::Vp9 | Codec::Vp8 => video(out, track, b"vp09", b"vpcC"),
        Codec::Aac => audio(out, track, b"mp4a", 0x40),
        Codec::Mp3 => audio(out, track, b"mp4a", 0x6b),
        Codec::Opus => audio(out, track, b"Opus", 0),
    }
}

/// ISO 14496-12 §12.1.3.
fn video(out: &mut BytesMut, track: &Track, kind: &[u8; 4], config: &[u8; 4]) {
    let (width, height) = track.video_size().unwrap_or_default();
    let entry = open(out, kind);
    out.put_bytes(0, 6);
    out.put_u16(1);
    out.put_bytes(0, 16);
    out.put_u16(u16::try_from(width).unwrap_or(0));
    out.put_u16(u16::try_from(height).unwrap_or(0));
    out.put_u32(0x0048_0000);
    out.put_u32(0x0048_0000);
    out.put_u32(0);
    out.put_u16(1);
    out.put_bytes(0, 32);
    out.put_u16(0x18);
    out.put_i16(-1);
    let record = open(out, config);
    if track.codec == Codec::Vp9 && !vp9::has_version(&track.config) {
        // `vpcC` is a full box of version 1; publishers send the record without that.
        out.put_u32(1 << 24);
    }
    out.put_slice(&track.config);
    close(out, record);
    close(out, entry);
}

/// ISO 14496-12 §12.2.3.
fn audio(out: &mut BytesMut, track: &Track, kind: &[u8; 4], object_type: u8) {
    let format = track.audio_format();
    let entry = open(out, kind);
    out.put_bytes(0, 6);
    out.put_u16(1);
    out.put_bytes(0, 8);
    out.put_u16(u16::from(format.channels));
    out.put_u16(16);
    out.put_u32(0);
    // 16.16; rates above 65,535 don't fit and are told by the decoder configuration.
    out.put_u32(if format.sample_rate <= 0xffff { format.sample_rate << 16 } else { 0 });
    if track.codec == Codec::Opus {
        put_opus_specific(out, &track.config);
    } else {
        put_descriptors(out, object_type, &track.config);
    }
    close(out, entry);
}

/// `esds`: ES, decoder config and decoder specific descriptors. ISO 14496-1 §7.2.6, ISO 14496-14 §5.6.
fn put_descriptors(out: &mut BytesMut, object_type: u8, config: &[u8]) {
    let esds = open_full(out, b"esds", 0, 0);
    let specific = if config.is_empty() { 0 } else { 2 + config.len() as u8 };
    out.put_slice(&[3, 3 + 2 + 13 + specific + 3, 0, 1, 0]);
    out.put_slice(&[4, 13 + specific, object_type, 0x15, 0, 0, 0]);
    out.put_u32(0);
    out.put_u32(0);
    if specific > 0 {
        out.put_slice(&[5, config.len() as u8]);
        out.put_slice(config);
    }
    out.put_slice(&[6, 1, 2]);
    close(out, esds);
}

/// `dOps` from an `OpusHead`, whose numbers have the other byte order. Encapsulation of Opus in ISOBMFF §4.3.2.
fn put_opus_specific(out: &mut BytesMut, head: &[u8]) {
    let mut body = BytesMut::new();
    match head.strip_prefix(b"OpusHead").filter(|h| h.len() >= 11) {
        Some(mut h) => {
            h.advance(1);
            body.put_u8(0);
            body.put_u8(h.get_u8());
            body.put_u16(h.get_u16_le());
            body.put_u32(h.get_u32_le());
            body.put_i16(h.get_i16_le());
            body.put_slice(h);
        }
        None => body.put_slice(&[0, 2, 0, 0, 0, 0, 0xbb, 0x80, 0, 0, 0]),
    }
    put(out, b"dOps", &body);
}
