//! The configuration: one TOML tree, typed; environment and flags lie above it.
//!
//! `TOML file < FLOODTIDE_SECTION__KEY < flags`. All three meet as one TOML table, so that every key can be
//! given in every way and is checked in one place. One file per section; [`tree`] puts them together.

mod admin;
mod auth;
mod changes;
mod egress;
mod hls;
mod http;
mod layers;
mod limits;
mod log;
mod play;
mod problems;
mod publish;
mod pull;
mod restream;
mod rtmp;
mod secrets;
mod shutdown;
mod srt;
mod stage;
mod state;
mod tls;
mod transcode;
mod tree;
mod user;
mod values;
mod vhost;
mod webhook;
mod webrtc;

pub use admin::{Admin, AdminToken};
pub use auth::{Auth, Jwt, SignedUrl, StreamKey};
pub use changes::Change;
pub use egress::Egress;
pub use hls::Hls;
pub use http::Http;
pub use layers::{ConfigError, Layers, Origin, Setting};
pub use limits::{ClientHeader, Limits};
pub use log::{AccessLines, Level, Log, LogFormat, Otlp, ShownAddresses};
pub use play::{Access, Play};
pub use problems::{Problem, problems};
pub use publish::{Collision, Publish};
pub use pull::{Pull, When};
pub use restream::Restream;
pub use rtmp::Rtmp;
pub use secrets::{MASK, masked};
pub use shutdown::Shutdown;
pub(crate) use srt::LATENCY_MAX;
pub use srt::Srt;
pub use stage::Stage;
pub use state::{State, Surroundings};
pub use tls::{Acme, CertificatePair, Tls};
pub use transcode::{ConvertSound, Transcode};
pub use tree::Config;
pub use user::PublishUser;
pub use values::{Moment, Size, Span};
pub use vhost::{App, PublishAccess, Vhost};
pub use webhook::{OnFailure, Webhook};
pub use webrtc::{BFrames, Webrtc};
