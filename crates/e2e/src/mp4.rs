//! Two numbers out of fMP4.

use anyhow::{Context, Result};

/// Units a second of an init segment's only track. ISO 14496-12 §8.4.2.
///
/// # Errors
/// When there is no `mdhd`.
pub fn timescale(init: &[u8]) -> Result<u64> {
    let body = box_body(init, b"mdhd").context("no mdhd")?;
    let at = if body.first() == Some(&1) { 20 } else { 12 };
    Ok(u64::from(number(body, at).context("mdhd is short")?))
}

/// Decode time of a part's first frame, in units of the timescale. ISO 14496-12 §8.8.12.
///
/// # Errors
/// When there is no `tfdt`.
pub fn decode_time(part: &[u8]) -> Result<u64> {
    let body = box_body(part, b"tfdt").context("no tfdt")?;
    let first = u64::from(number(body, 4).context("tfdt is short")?);
    if body.first() == Some(&1) {
        return Ok(first << 32 | u64::from(number(body, 8).context("tfdt is short")?));
    }
    Ok(first)
}

/// What follows the first appearance of a box's name. Names appear first where they are boxes.
fn box_body<'a>(bytes: &'a [u8], name: &[u8; 4]) -> Option<&'a [u8]> {
    let at = bytes.windows(4).position(|window| window == name)?;
    bytes.get(at + 4..)
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}
