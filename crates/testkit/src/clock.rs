//! A start of time for tests of code that takes the time as an argument.

use std::time::Instant;

/// Some moment. Tests add to it; they never ask again what time it is.
#[expect(
    clippy::disallowed_methods,
    reason = "an Instant can't be made from nothing; this is the only place"
)]
pub fn epoch() -> Instant {
    Instant::now()
}
