//! Broadcasts that are fetched from elsewhere: always, or when a viewer wants one.
//!
//! - [`fetchable`] which paths a viewer may wait for
//! - [`desk`] what is fetched, now
//! - [`fetch`] one broadcast, again and again
//! - [`intake`] what comes goes to the hub
//! - [`source_rtmp`], [`source_flv`] one attempt by one protocol each

mod desk;
mod fetch;
mod fetchable;
mod intake;
mod source_flv;
mod source_rtmp;

pub(crate) use desk::{Pulls, Room};
pub(crate) use fetchable::Fetchable;

use crate::outward::Scheme;

/// URLs that a broadcast can be pulled from.
pub(crate) const SCHEMES: [Scheme; 4] = {
    let ([a, b], [c, d]) = (source_rtmp::SCHEMES, source_flv::SCHEMES);
    [a, b, c, d]
};
