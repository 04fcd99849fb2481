//! When to try again.

use std::time::Duration;

/// The first and the longest wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Retry {
    pub(crate) min: Duration,
    pub(crate) max: Duration,
}

/// Waits that double after each failure. Of each, up to a half is random, so that many who lost one server don't come back to
/// it at once.
#[derive(Debug)]
pub(crate) struct Backoff {
    retry: Retry,
    failures: u32,
}

/// Whoever worked for so long begins anew.
const STEADY: Duration = Duration::from_secs(10);

impl Backoff {
    pub(crate) fn new(retry: Retry) -> Backoff {
        Backoff { retry, failures: 0 }
    }

    /// How long to wait after one that worked for so long, which is zero for one that never did.
    pub(crate) fn after(&mut self, worked: Duration, random: u32) -> Duration {
        if worked >= STEADY {
            self.failures = 0;
        }
        let doubled = 2u32.saturating_pow(self.failures);
        let whole = self.retry.min.saturating_mul(doubled).min(self.retry.max);
        self.failures += 1;
        whole / 2 + (whole / 2).mul_f64(f64::from(random) / f64::from(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RETRY: Retry = Retry { min: Duration::from_secs(1), max: Duration::from_secs(30) };

    /// The waits in milliseconds after these spans of work.
    fn waits(random: u32, worked: &[u64]) -> Vec<u128> {
        let mut backoff = Backoff::new(RETRY);
        worked.iter().map(|s| backoff.after(Duration::from_secs(*s), random).as_millis()).collect()
    }

    #[test]
    fn waits_double_up_to_the_longest() {
        assert_eq!(waits(u32::MAX, &[0; 7]), [1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]);
        assert_eq!(waits(u32::MAX, &[0; 200])[199], 30_000);
    }

    #[test]
    fn up_to_a_half_is_random() {
        assert_eq!(waits(0, &[0; 3]), [500, 1000, 2000]);
        assert_eq!(waits(u32::MAX / 2, &[0, 0])[1], 1500);
    }

    #[test]
    fn one_that_worked_begins_anew() {
        assert_eq!(waits(u32::MAX, &[0, 0, 9, 10, 0]), [1000, 2000, 4000, 1000, 2000]);
    }
}
