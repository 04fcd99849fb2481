//! How well a publisher's media comes in, and what to do about it.
//!
//! ```text
//! Producer::write ──► Meter (fixed memory, O(1) a frame) ──► Health (figures) ──► advice (words)
//! ```
//!
//! - [`Health`] the figures of one broadcast at one moment
//! - [`mod@advice`] what is worth telling its publisher, in words
//! - `meter` what is kept per broadcast: a minute in seconds, and the last groups

mod advice;
mod figures;
mod meter;
mod minute;
#[cfg(test)]
mod tests;

pub use advice::{Advice, AdviceCode, Severity, advice};
pub use figures::{Flow, Groups, Health, Presence, Promise};
pub(crate) use meter::Meter;
