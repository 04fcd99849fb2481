//! SRT: MPEG-TS over UDP, in and out.
//!
//! ```text
//! UDP ─datagram→ listen ─whose is it→ srt::Connection ─payloads→ publish ─frames→ hub
//! hub ─frames→ play (a feed per broadcast; muxes once) ─shared payloads→ srt::Connection, srt::Connection … → UDP
//! ```
//!
//! - [`listen`] the port, its thread, and how both start and end
//! - `desk` all connections: datagrams, timers, what is decided about callers
//! - `ask` what a caller wants, and whether it may
//! - `publish` payloads to frames
//! - `play` frames to payloads

mod ask;
mod desk;
mod listen;
mod play;
mod publish;

pub(crate) use listen::{Gateway, Served, Settings};
