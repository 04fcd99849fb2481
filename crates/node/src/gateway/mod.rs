//! Between protocols and the hub, one folder per protocol.

mod door;
pub(crate) mod http;
mod io;
pub(crate) mod rtmp;

pub(crate) use door::{Door, Shut};
pub(crate) use io::{Io, accept_each, random_bytes};
