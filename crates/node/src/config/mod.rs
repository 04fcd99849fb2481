//! The configuration: one TOML tree, typed; environment and flags lie above it.
//!
//! `TOML file < FLOODTIDE_SECTION__KEY < flags`. All three meet as one TOML table, so that every key can be
//! given in every way and is checked in one place.

mod layers;
mod sections;
mod values;

pub use layers::{ConfigError, Layers};
pub use sections::{Admin, Collision, Config, Egress, Hls, Http, Publish, Rtmp, Tls};
pub use values::{Size, Span};
