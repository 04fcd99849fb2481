//! Sound in another codec than the publisher sent, for viewers whose players know only that one; and pictures coded anew, for those
//! whose players can't show them as they come.
//!
//! - [`audio`] one frame of sound in, frames of the other codec out; no clock, no thread
//! - [`job`] one broadcast whose sound is converted: reads it as a viewer does and writes a derived broadcast
//! - [`pool`] the threads that jobs run on, and nothing else
//! - [`desk`] which broadcasts are derived now; viewers get them here
//! - [`pictures`] the same for pictures, by another program
//!
//! A derived broadcast has the path of its source and lives in a hub of its own, so that nobody can name, list or publish it.

mod audio;
mod desk;
mod job;
mod pictures;
mod pool;

pub(crate) use desk::{Audible, Settings, Transcodes};
pub use pictures::find as find_program;
pub(crate) use pictures::{Pictures, Unavailable};
