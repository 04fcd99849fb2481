//! Broadcasts that are pushed to other servers as long as they are live.
//!
//! - [`desk`] which broadcast goes where, now
//! - [`push`] one broadcast to one server

mod desk;
mod push;

pub(crate) use desk::Restreams;

/// URLs that a broadcast can be pushed to.
pub(crate) const SCHEMES: [crate::outward::Scheme; 2] = crate::outward::Link::SCHEMES;
