//! Co-host stages and matches ("PK"): who is on which stage, and which two broadcasts show each other. No media: members publish and
//! play as everybody does, by grants that [`crate::auth`] makes of what is decided here.
//!
//! - [`member`] one co-host; [`one`] one stage; [`mod@matches`] two broadcasts for a while: pure, `now` and names are arguments
//! - [`state`] all of them, and the commands that change them
//! - [`muting`] what of a member is left out; whoever takes its media in looks at it
//! - [`desk`] the one owner of the state; readers have snapshots
//! - [`error`] why a command is refused

mod desk;
mod error;
mod matches;
mod member;
mod muting;
mod one;
mod state;

pub(crate) use desk::Stages;
pub(crate) use error::StageError;
pub(crate) use matches::Match;
pub(crate) use member::{MEMBERS_MAX, Member, Nonce, Standing};
pub(crate) use muting::Muting;
pub(crate) use one::Stage;
pub(crate) use state::{Command, Done, Limits, State};

#[cfg(test)]
mod tests;
