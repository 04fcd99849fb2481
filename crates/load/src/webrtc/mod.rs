//! WebRTC without a browser, for publishers by WHIP and viewers by WHEP: descriptions are exchanged by HTTP, media goes by UDP.

mod engine;
mod exchange;

pub(crate) use engine::{Client, Due, Engine, Media, QUALITIES_MAX, RtpPacket, Step};
pub(crate) use exchange::{Exchange, open_datagrams};
