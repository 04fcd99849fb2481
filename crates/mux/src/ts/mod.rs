//! MPEG transport streams (ISO 13818-1), one program of sound and pictures, as HLS segments for old players have
//! it (RFC 8216 §3.2).
//!
//! - [`Muxer`] frames to TS packets
//! - `coding` a frame as an elementary stream has it: Annex B, ADTS, Opus control headers
//! - `pes` a PES packet cut into TS packets
//! - `tables` PAT and PMT

mod coding;
mod muxer;
mod pes;
mod tables;

pub use muxer::{Muxer, TRACKS_MAX, can_carry};
pub use pes::PACKET_BYTES;
