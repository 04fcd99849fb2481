//! WebRTC: WHIP in, WHEP out.
//!
//! ```text
//! HTTP ─offer→ signal ─answer, a connection that waits→ registry
//! UDP ─datagram→ worker ─STUN names the connection→ takes it from the registry; from then on its own
//! hub ─frames→ Feed (one per broadcast and worker; packetises once) ─shared payloads→ Peer (encrypts) → UDP
//! ```
//!
//! - [`signal`] offers and answers
//! - [`plane`] the threads
//! - [`reach`] by which addresses
//! - [`registry`] which connection is where
//! - [`worker`] the loop of one thread
//! - [`member`] one connection of it
//! - [`socket`] many datagrams a call
//! - [`tcp`] the same for networks without UDP
//! - [`stun`] whose datagram it is, before anything is allocated
//! - [`wheel`] timers
//! - [`engine`] one connection, sans-IO; the only one that knows the library
//! - [`outlet`] how media goes to a viewer: numbered, encrypted, sent again; what its network carries
//! - [`sdp`] what answers have to say otherwise
//! - [`publish`] packets to frames
//! - [`play`] frames to packets
//! - [`order`] which broadcasts can be shown as they come, and what happens to others
//! - [`capture`] when pictures were taken, from publishers to viewers
//! - [`renditions`] the qualities of one publisher
//! - [`quality`] which of them a viewer gets
//! - [`pins`] sockets for single peers, while another process takes the port over
//! - [`inbox`] what other threads hand to a worker

mod capture;
mod engine;
mod inbox;
mod member;
mod order;
mod outlet;
mod pins;
mod plane;
mod play;
mod publish;
mod quality;
mod reach;
mod registry;
mod renditions;
mod sdp;
mod signal;
mod socket;
mod stun;
mod tcp;
mod wheel;
mod worker;

pub(crate) use order::{Order, Outcome};
pub(crate) use plane::{Plane, Settings, Threads};
pub use reach::{Known, Reach};
pub(crate) use renditions::Rendition;
pub(crate) use signal::{Changed, Created, Gateway, NotCreated, Target, link, target};
