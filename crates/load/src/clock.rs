//! The monotonic clock as plain nanoseconds: the one form that fits into a frame and means the same in every process of
//! a machine.

use rustix::thread::{ClockId, clock_nanosleep_absolute};
use rustix::time::{Timespec, clock_gettime};
use std::time::Duration;

/// Nanoseconds of `CLOCK_MONOTONIC`; comparable between processes of one machine, meaningless elsewhere.
pub(crate) type Nanos = u64;

/// Nanoseconds in a microsecond.
pub(crate) const MICROS: Nanos = 1_000;
/// Nanoseconds in a millisecond.
pub(crate) const MILLIS: Nanos = 1_000_000;
/// Nanoseconds in a second.
pub(crate) const SECONDS: Nanos = 1_000_000_000;

/// The time now.
pub(crate) fn now() -> Nanos {
    from_timespec(clock_gettime(rustix::time::ClockId::Monotonic))
}

/// CPU time that this process has used in all its threads, in seconds.
pub(crate) fn own_cpu_seconds() -> f64 {
    from_timespec(clock_gettime(rustix::time::ClockId::ProcessCPUTime)) as f64 / SECONDS as f64
}

/// Sleeps until `deadline`, or a little longer. Returns at once when it has passed.
pub(crate) fn sleep_until(deadline: Nanos) {
    let request = Timespec { tv_sec: (deadline / SECONDS) as i64, tv_nsec: (deadline % SECONDS) as _ };
    // A signal ends the sleep early; every caller looks at the clock again anyway.
    let _ = clock_nanosleep_absolute(ClockId::Monotonic, &request);
}

/// A duration as nanoseconds; half a millennium is enough.
pub(crate) fn nanos(duration: Duration) -> Nanos {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn from_timespec(time: Timespec) -> Nanos {
    time.tv_sec as u64 * SECONDS + time.tv_nsec as u64
}
