//! MPEG transport streams (ISO 13818-1), one program of sound and pictures, as SRT carries it and HLS segments for old
//! players have it (RFC 8216 §3.2).
//!
//! - [`Muxer`] frames to TS packets
//! - [`Demuxer`] TS packets to frames
//! - `sync` bytes cut into TS packets
//! - `program` which PID has what: PAT and PMT, read
//! - `assembly` PES packets put together
//! - `units` elementary streams to frames in normal form
//! - `coding` a frame as an elementary stream has it: Annex B, ADTS, Opus control headers
//! - `pes` a PES packet cut into TS packets
//! - `tables` PAT and PMT

mod assembly;
mod coding;
mod demuxer;
mod muxer;
mod pes;
mod program;
mod sync;
mod tables;
mod units;

pub use demuxer::{Damage, Demuxer, Event};
pub use muxer::{Muxer, TIME_OFFSET, TRACKS_MAX, can_carry};
pub use pes::PACKET_BYTES;
pub use program::LeftOut;
