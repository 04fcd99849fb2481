//! `floodtide load`: simulated publishers and viewers that measure what they get, gates that judge it, and the bare write
//! loop that every server's cost is compared with.
//!
//! One thread per process, no runtime: a generator has to be cheaper than what it measures.
//!
//! - [`Args`], [`run`], [`Verdict`] the subcommand, as the binary nests it
//! - `profile` who watches what; `crowd` the loop; `viewer` the protocols; `publish` publishers; `webrtc` a client; `floor` the write loop
//! - `stats` what is counted; `report` how it is shown; `gates` when it fails

mod args;
mod clock;
mod crowd;
mod floor;
mod flv;
mod gates;
mod http;
mod machine;
mod processes;
mod profile;
mod publish;
mod quantity;
mod report;
mod socket;
mod stamp;
mod start;
mod stats;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod viewer;
mod webrtc;

pub use args::{
    Args, AudienceArgs, Command, FloorArgs, GateArgs, OutputArgs, PublishArgs, RunArgs, SourceArgs, ViewArgs,
};
pub use quantity::Share;
pub use start::{Verdict, run};
