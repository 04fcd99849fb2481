//! End-to-end tests: the real binary with real clients. The tests are in `tests/`, the matrix in `COVERAGE.md`; here is
//! what they share.
//!
//! - [`Server`] the binary, on ports of its own
//! - [`Tool`] ffmpeg, ffprobe, curl and others, each with a time limit; [`frames`] what ffmpeg finds in a broadcast
//! - [`clips`] what is published; [`compare`] what came out with what went in; [`sync`] whether sound fits the pictures
//! - [`Storm`] datagrams of nobody
//! - [`Flood`] sockets of bad company, [`Crowd`] viewers who must not notice
//! - [`Obs`] OBS Studio, driven like by a hand
//! - [`Publisher`], [`Peer`] RTMP by hand, where the time of each message matters
//! - [`players`] players of others, watched while they play
//! - [`aiortc`] a WebRTC client that is no browser
//! - [`Nginx`] somebody else's RTMP server; [`Pebble`] an authority for certificates
//! - [`Relay`] a bad network between clients and the server's UDP port
//! - [`Certificate`] one that signs itself
//! - [`Viewer`], [`http`], [`flv`], [`websocket`], [`playlist`], [`mp4`] viewers by hand
//!
//! Every wait has a limit, and a limit that is reached says what was seen until then.

pub mod aiortc;
mod certificate;
pub mod clips;
pub mod compare;
mod crowd;
mod flood;
pub mod flv;
mod folder;
pub mod frames;
mod hook;
pub mod http;
pub mod mp4;
mod nginx;
mod obs;
mod pebble;
mod peer;
pub mod players;
pub mod playlist;
mod publisher;
mod relay;
mod server;
mod storm;
pub mod sync;
mod tool;
mod viewer;
pub mod wait;
pub mod websocket;

pub use certificate::Certificate;
pub use crowd::Crowd;
pub use flood::{Flood, knock};
pub use folder::{Folder, project};
pub use hook::Hook;
pub use nginx::Nginx;
pub use obs::Obs;
pub use pebble::Pebble;
pub use peer::{Answer, Peer};
pub use publisher::Publisher;
pub use relay::{Change, Relay};
pub use server::{Old, Ports, Server};
pub use storm::{Blown, Storm, dropped};
pub use tool::{Finished, Running, Tool};
pub use viewer::Viewer;
