//! What one address, and everybody together, may take; and who the client behind a proxy is.
//!
//! - [`admission`] counts connections and requests, and says who is too much
//! - [`limit`] the limits by name, and what a refusal says
//! - [`prefix`] the addresses that count as one
//! - [`proxy`] the head of the PROXY protocol
//! - [`forwarded`] headers in which proxies name the client

mod admission;
mod forwarded;
mod limit;
mod prefix;
mod proxy;

pub(crate) use admission::{Admission, Limits, sweep};
pub(crate) use forwarded::Told;
pub(crate) use limit::{BODY_TIME_MAX, Limit, TooMuch};
pub(crate) use prefix::Prefix;
pub(crate) use proxy::{Look, look};
