//! RTP payload formats, frames to payloads and back. No header, no encryption, no socket, no clock: sequence numbers
//! and times of arrival belong to the RTP stack.
//!
//! - [`Packetizer`] a frame to payloads that all viewers share
//! - [`Depacketizer`] payloads, back in order, to frames
//! - [`DropPlan`] which frames viewers can do without who can't show them in another order than they come
//!
//! H.264 (RFC 6184), H.265 (RFC 7798), VP8 (RFC 7741), VP9 (RFC 9628), AV1 (AOMedia, RTP Payload Format For AV1 1.0),
//! Opus (RFC 7587).

mod depacketizer;
mod drop_plan;
mod family;
mod packetizer;
#[cfg(test)]
mod tests;

pub use depacketizer::{
    Depacketizer, Event, REORDER_BYTES_MAX, REORDER_PACKETS_MAX, Received, UNIT_BYTES_MAX, Unit,
};
pub use drop_plan::{DropPlan, Verdict, disposable, reorders};
pub use packetizer::{MTU_MAX, MTU_MIN, Packetizer, Payload};

use media::Codec;

/// Ticks a second of a codec's RTP clock; `None` if there is no payload format for it here.
///
/// Opus always has 48 kHz (RFC 7587 §4.1), pictures 90 kHz.
pub const fn clock_hz(codec: Codec) -> Option<u32> {
    match codec {
        Codec::H264 | Codec::H265 | Codec::Av1 | Codec::Vp9 | Codec::Vp8 => Some(90_000),
        Codec::Opus => Some(48_000),
        Codec::Aac | Codec::Mp3 => None,
    }
}
