//! Connections that we open to other servers.
//!
//! - [`remote`] URLs, and URLs with places for app and name
//! - [`dial`] TCP and TLS
//! - [`link`] an RTMP session on one
//! - [`backoff`] when to try again
//! - [`failure`] why one ended
//! - [`board`] how each is doing, for people and metrics

mod backoff;
mod board;
mod dial;
mod failure;
mod link;
mod remote;

pub(crate) use backoff::{Backoff, Retry};
pub(crate) use board::{Board, Entry, Report, State};
pub(crate) use dial::{Connection, DialError, Dialer};
pub(crate) use failure::Failure;
pub(crate) use link::{Goal, Link, judge};
pub(crate) use remote::{Remote, Scheme};
