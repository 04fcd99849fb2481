//! H.264 from FLV tags to what a WebRTC client cuts into packets: NAL units behind start codes (ITU-T H.264 annex B).

use crate::clock::Nanos;
use crate::flv::{Clip, Tag, VIDEO};
use crate::stamp::{self, FLV_AVC_HEADER_BYTES};
use anyhow::{Context, ensure};
use bytes::Bytes;
use media::codec::h264::{AvcConfig, nal_units};

/// The parameter sets of a clip, to go before each of its keyframes.
///
/// # Errors
/// A sentence for the user, when the clip can't be sent by WebRTC.
pub(super) fn parameter_sets(clip: &Clip) -> anyhow::Result<Vec<u8>> {
    let header = clip.headers.iter().find(|header| header.kind == VIDEO);
    let body = header.context("it has no decoder configuration of pictures")?.body.clone();
    ensure!(
        clip.nal_length_size == Some(4),
        "publishers by WHIP send H.264 whose NAL units have lengths of 4 bytes"
    );
    let reordered = |tag: &Tag| tag.takes_stamp() && tag.body[2..FLV_AVC_HEADER_BYTES] != [0; 3];
    ensure!(
        !clip.frames.iter().any(reordered),
        "it has B-frames, which WebRTC can't carry: encode it with `-bf 0`"
    );
    let record = Bytes::from(body).slice(FLV_AVC_HEADER_BYTES..);
    let config = AvcConfig::parse(&record).context("its decoder configuration can't be read")?;
    let mut out = Vec::new();
    config.sps.iter().chain(&config.pps).for_each(|unit| append(unit, &mut out));
    Ok(out)
}

/// A picture, with what goes before a keyframe, and a stamp if one is wanted.
pub(super) fn picture(tag: &Tag, parameter_sets: &[u8], sent: Option<Nanos>) -> Vec<u8> {
    let mut out = if tag.is_keyframe() { parameter_sets.to_vec() } else { Vec::new() };
    if let Some(sent) = sent {
        append(&stamp::sei(sent), &mut out);
    }
    nal_units(&tag.body[FLV_AVC_HEADER_BYTES..]).for_each(|unit| append(unit, &mut out));
    out
}

fn append(unit: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&[0, 0, 0, 1]);
    out.extend_from_slice(unit);
}
