//! What tests share: seeded random bytes and mutations, and a start of time.
//!
//! Depends on none of our crates, so that every one of them can use it.

mod clock;
mod random;

pub use clock::epoch;
pub use random::Random;
