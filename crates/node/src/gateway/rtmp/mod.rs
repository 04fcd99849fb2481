//! RTMP: publishers come in, players go to the egress plane.

mod listen;
mod play;
mod publish;

pub(crate) use listen::{Gateway, serve};
