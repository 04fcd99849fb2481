//! Dates in playlists: one clock for all renditions.

use media::Timestamp;
use std::fmt::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What wall time the broadcast's time zero has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct WallAnchor(SystemTime);

impl WallAnchor {
    /// The frame of time `at` was seen at `wall`.
    pub(crate) fn new(wall: SystemTime, at: Timestamp) -> WallAnchor {
        let micros = u64::try_from(at.as_micros()).unwrap_or(0);
        WallAnchor(wall.checked_sub(Duration::from_micros(micros)).unwrap_or(UNIX_EPOCH))
    }

    /// The date of `at` in ISO 8601 with milliseconds, UTC.
    pub(crate) fn write_date(self, at: Timestamp, out: &mut String) {
        let since = self.0.duration_since(UNIX_EPOCH).unwrap_or_default();
        let millis = since.as_millis() as i64 + at.as_millis();
        let (days, of_day) = (millis.div_euclid(86_400_000), millis.rem_euclid(86_400_000));
        let (year, month, day) = civil(days);
        // Writing to a String can't fail.
        let _ = write!(
            out,
            "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{:03}Z",
            of_day / 3_600_000,
            of_day / 60_000 % 60,
            of_day / 1000 % 60,
            of_day % 1000
        );
    }
}

/// Year, month and day of a number of days since 1970-01-01, by counting 400-year cycles from March.
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_written_as_iso_8601() {
        let check = |seconds, expect: &str| {
            let mut text = String::new();
            let wall = UNIX_EPOCH + Duration::from_secs(seconds);
            WallAnchor::new(wall, Timestamp::ZERO).write_date(Timestamp::from_millis(250), &mut text);
            assert_eq!(text, expect);
        };
        check(0, "1970-01-01T00:00:00.250Z");
        check(951_782_400, "2000-02-29T00:00:00.250Z");
        check(1_795_392_000, "2026-11-23T00:00:00.250Z");
    }
}
