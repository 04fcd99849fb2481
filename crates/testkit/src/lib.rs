//! What tests share: seeded random bytes and mutations.
//!
//! Depends on none of our crates, so that every one of them can use it.

mod random;

pub use random::Random;
