//! The box around everything. ISO 14496-12 §4.2.

use bytes::{BufMut, BytesMut};

/// An open box; its size is filled in when it is closed.
#[derive(Clone, Copy)]
#[must_use]
pub(super) struct Open(usize);

/// Opens a box of that type.
pub(super) fn open(out: &mut BytesMut, kind: &[u8; 4]) -> Open {
    let at = out.len();
    out.put_u32(0);
    out.put_slice(kind);
    Open(at)
}

/// Opens a box with version and flags.
pub(super) fn open_full(out: &mut BytesMut, kind: &[u8; 4], version: u8, flags: u32) -> Open {
    let opened = open(out, kind);
    out.put_u32(u32::from(version) << 24 | flags);
    opened
}

/// Closes the box that was opened last.
pub(super) fn close(out: &mut BytesMut, opened: Open) {
    let size = u32::try_from(out.len() - opened.0).unwrap_or(u32::MAX);
    out[opened.0..opened.0 + 4].copy_from_slice(&size.to_be_bytes());
}

/// A whole box with this body.
pub(super) fn put(out: &mut BytesMut, kind: &[u8; 4], body: &[u8]) {
    let opened = open(out, kind);
    out.put_slice(body);
    close(out, opened);
}
