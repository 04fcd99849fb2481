//! What a broadcast is made of: frames, tracks, codecs and timestamps.
//!
//! The ground floor: it knows no container, no protocol, no socket and no clock.
//!
//! - [`Timestamp`] microseconds on a broadcast's own timeline
//! - [`Frame`] one access unit in normal form
//! - [`Track`] one coded sequence and its decoder configuration
//! - [`codec`] what is inside a decoder configuration, one file per codec

pub mod codec;
mod frame;
mod timestamp;
mod track;

pub use codec::Codec;
pub use frame::Frame;
pub use timestamp::Timestamp;
pub use track::{AudioFormat, Kind, Track, TrackId};
