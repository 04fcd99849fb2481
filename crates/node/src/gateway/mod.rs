//! Between protocols and the hub, one folder per protocol.

mod door;
pub(crate) mod http;
mod io;
pub(crate) mod rtmp;
pub(crate) mod srt;
pub(crate) mod webrtc;

// Offers come by HTTP, which needn't know what they are for.
pub(crate) use webrtc::{
    Changed, Created, Gateway as Offers, NotCreated, Target as OfferTarget, target as offer_target,
};

pub(crate) use door::{Door, Shut};
pub(crate) use io::{Io, accept_each, random_bytes};
