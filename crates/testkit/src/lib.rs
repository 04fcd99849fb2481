//! What tests share: seeded random bytes and mutations, a start of time, and a bad network link.
//!
//! Depends on none of our crates, so that every one of them can use it.

mod clock;
mod link;
mod random;

pub use clock::epoch;
pub use link::{Impairment, Link};
pub use random::Random;
