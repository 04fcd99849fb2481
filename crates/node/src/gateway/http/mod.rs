//! HTTP, HTTPS and WebSocket.
//!
//! - [`listen`] accepts; looks at the first request of a connection
//! - [`head`] reads that request without consuming it
//! - [`flv`] long-lived responses, handed to the egress plane
//! - [`websocket`] the same in WebSocket messages
//! - [`service`] everything else, by hyper
//! - [`hls`] playlists, parts and segments
//! - [`body`] FLV within hyper, for HTTP/2 and connections that were used before
//! - [`pages`] the embedded pages
//! - [`admin`] metrics and health

mod admin;
mod body;
mod flv;
mod head;
mod hls;
mod listen;
mod pages;
mod service;
mod websocket;

pub(crate) use admin::serve as serve_admin;
pub(crate) use hls::{Cutting, Packagings};
pub(crate) use listen::{Gateway, serve};
