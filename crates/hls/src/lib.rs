//! Frames to HLS and LL-HLS (RFC 8216bis): segments, parts, playlists, and which request waits for what.
//!
//! ```text
//! Packager ─ frames → Rendition (video, audio) ─ parts, segments → Snapshot ─ Request → Answer
//! ```
//!
//! A [`Packager`] belongs to one broadcast. After every part it gives a new [`Snapshot`], which is immutable and
//! answers requests without allocating: playlists are rendered once per part, not once per viewer. Video and
//! sound are separate CMAF renditions with the same media sequence numbers. For old players there is a TS variant
//! of the same segments, muxed only while somebody asks for it.

mod clock;
mod multivariant;
mod pace;
mod packager;
mod playlist;
mod rendition;
mod request;
#[cfg(test)]
mod show;
mod snapshot;
mod splice;
mod text;
mod ts;

pub use packager::{Config, Packager};
pub use rendition::Role;
pub use request::{BadRequest, Position, Request};
pub use snapshot::{Answer, Snapshot};
pub use text::Text;
