//! Between protocols and the hub, one folder per protocol.

pub(crate) mod http;
mod io;
pub(crate) mod rtmp;

pub(crate) use io::{Io, accept_each, random_bytes};
