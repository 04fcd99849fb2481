//! Broadcasts that are fetched from elsewhere: always, or when a viewer wants one.
//!
//! - [`fetchable`] which paths a viewer may wait for

mod fetchable;

pub(crate) use fetchable::Fetchable;
