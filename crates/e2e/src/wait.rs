//! Waiting for something that nobody announces: another process, a counter.

use anyhow::{Result, bail};
use std::time::{Duration, Instant};

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Looks again and again until `look` finds something.
///
/// # Errors
/// After `limit`, with `what` and the last error; and at once when `look` fails for good (`Err`).
pub fn until<T>(limit: Duration, what: &str, mut look: impl FnMut() -> Result<Look<T>>) -> Result<T> {
    let began = Instant::now();
    loop {
        let seen = match look()? {
            Look::Found(found) => return Ok(found),
            Look::NotYet(seen) => seen,
        };
        if began.elapsed() >= limit {
            bail!("{what}: not within {limit:?}; seen last: {seen}");
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

/// The result of one look.
#[derive(Debug)]
pub enum Look<T> {
    /// It is there.
    Found(T),
    /// It isn't; the text says what is there instead.
    NotYet(String),
}
