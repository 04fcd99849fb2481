//! Time on a broadcast's own timeline.

use std::ops::{Add, Sub};
use std::time::Duration;

/// Microseconds on the broadcast's own timeline. Not wall time.
///
/// Microseconds round-trip exactly for every media clock below 1 MHz.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The start of the timeline.
    pub const ZERO: Timestamp = Timestamp(0);

    /// From microseconds.
    pub const fn from_micros(micros: i64) -> Self {
        Timestamp(micros)
    }

    /// From milliseconds; saturates.
    pub const fn from_millis(millis: i64) -> Self {
        Timestamp(millis.saturating_mul(1000))
    }

    /// Microseconds since the start of the timeline.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Whole milliseconds, rounded towards the past.
    pub const fn as_millis(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// In ticks of a media clock (`clock_hz` ticks a second), rounded to the nearest.
    pub const fn to_clock(self, clock_hz: u32) -> i64 {
        let scaled = self.0 as i128 * clock_hz as i128;
        (scaled + 500_000).div_euclid(1_000_000) as i64
    }

    /// From ticks of a media clock, rounded to the nearest microsecond; `clock_hz` of zero counts as one.
    pub const fn from_clock(ticks: i64, clock_hz: u32) -> Self {
        let hz = if clock_hz == 0 { 1 } else { clock_hz as i128 };
        Timestamp(((ticks as i128 * 1_000_000 + hz / 2).div_euclid(hz)) as i64)
    }

    /// How far `self` lies after `earlier`; zero if it does not.
    pub fn since(self, earlier: Timestamp) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl Add<Duration> for Timestamp {
    type Output = Timestamp;
    fn add(self, d: Duration) -> Timestamp {
        Timestamp(self.0.saturating_add(i64::try_from(d.as_micros()).unwrap_or(i64::MAX)))
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Timestamp;
    fn sub(self, d: Duration) -> Timestamp {
        Timestamp(self.0.saturating_sub(i64::try_from(d.as_micros()).unwrap_or(i64::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_clocks_round_trip() {
        for hz in [1000, 8000, 44_100, 48_000, 90_000] {
            for ticks in [0, 1, 7, 12_345, 90_001, 1 << 33] {
                assert_eq!(Timestamp::from_clock(ticks, hz).to_clock(hz), ticks, "{ticks} at {hz}");
            }
        }
    }
}
