//! HTTP, HTTPS and WebSocket.
//!
//! - [`listen`] accepts; looks at the requests of a connection, until one takes it
//! - [`caller`] who sends a request
//! - [`head`] reads a request without consuming it
//! - [`flv`] long-lived responses, handed to the egress plane
//! - [`websocket`] the same in WebSocket messages
//! - [`deadline`] a timer that moves with every request
//! - [`date`] the `Date` of answers
//! - [`direct`] files of broadcasts over plain HTTP/1.1
//! - [`service`] everything else, by hyper
//! - [`health`] how a broadcast comes in, for its publisher
//! - [`hls`] playlists, parts and segments
//! - [`offers`] offers of media that comes and goes another way
//! - [`mod@stage`] stages, as members and audience see them
//! - [`whole`] bodies of requests, within a size and a time
//! - [`body`] FLV within hyper, for HTTP/2 and connections that were used before
//! - [`leaving`] what is still answered while the server drains
//! - [`pages`] the embedded pages
//! - [`refusal`] short answers to who isn't served

mod body;
mod caller;
mod date;
mod deadline;
mod direct;
mod flv;
mod head;
mod health;
mod hls;
mod leaving;
mod listen;
mod offers;
mod pages;
mod refusal;
mod service;
mod stage;
mod websocket;
mod whole;

pub(crate) use hls::{Cutting, Inherited, Packagings};
pub(crate) use listen::{Gateway, serve};
pub(crate) use pages::answer as page;
