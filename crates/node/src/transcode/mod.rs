//! Sound in another codec than the publisher sent, for viewers whose players know only that one.
//!
//! - [`audio`] one frame of sound in, frames of the other codec out; no clock, no thread

mod audio;
