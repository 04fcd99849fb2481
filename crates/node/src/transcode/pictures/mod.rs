//! Pictures coded anew by another program, for viewers who can't show them as they come: those of WebRTC, where pictures are shown
//! in another order than they are coded (B-frames), or in a codec that they don't know (HEVC).
//!
//! - [`desk`] which broadcasts are coded anew now; viewers get them here
//! - [`job`] one broadcast: reads it as a viewer does, feeds the program and writes a derived broadcast
//! - [`program`] the program: where it is, how it is called, what it complains of
//! - [`feeding`] pictures as the program takes them
//! - [`coming`] what it gives back, in its place among the sound
//!
//! ```text
//! hub ─frames→ job ─pictures→ feeding ─stdin→ ffmpeg ─stdout→ coming ─pictures, and the sound of their time→ derived broadcast
//! ```

mod coming;
mod desk;
mod feeding;
mod job;
mod program;
#[cfg(test)]
mod tests;

pub(crate) use desk::{Pictures, Unavailable};
pub use program::find;
