//! The egress plane: one thread per core that fans shared bytes out to its viewers.
//!
//! ```text
//! hub ─frames→ Feed (one per broadcast, format and worker; muxes once) ─chunks→ Viewer, Viewer, Viewer …
//! ```
//!
//! A viewer is a socket and a cursor into the feed's log of chunks, not a task with a copy. A worker is woken
//! once per broadcast and merge window; it muxes what is new into one chunk and walks the feed's viewers with
//! one write each.
//!
//! - [`plane`] which worker takes a new viewer
//! - [`worker`] the loop of one thread
//! - [`feed`] frames to chunks, once
//! - [`ages`] how old frames are when viewers get them
//! - [`log`] the chunks that viewers read
//! - [`viewer`] one socket and its cursor
//! - [`window`] how long frames may wait to share a write
//! - [`mod@format`] what a gateway has to say about its format

mod ages;
mod feed;
pub(crate) mod format;
mod inbox;
mod log;
mod plane;
mod transport;
mod viewer;
mod window;
mod worker;

pub(crate) use format::{Format, Input, Muxer};
pub(crate) use plane::{NewViewer, Plane, Settings, Threads};
pub(crate) use transport::Transport;
pub use window::MergeWindow;
