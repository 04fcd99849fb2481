//! Shares and durations as people write them.

use std::str::FromStr;
use std::time::Duration;

/// A part of a whole, between 0 and 1; written `10%`, `0.1%` or `0.1`.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Share(pub f64);

impl FromStr for Share {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not a share; write `10%` or `0.1`");
        let value: f64 = match text.trim().strip_suffix('%') {
            Some(percent) => percent.trim().parse::<f64>().map_err(|_| wrong())? / 100.0,
            None => text.trim().parse().map_err(|_| wrong())?,
        };
        if (0.0..=1.0).contains(&value) {
            Ok(Self(value))
        } else {
            Err(format!("`{text}` is outside 0 to 100 %; a part of one needs the sign: `1%`"))
        }
    }
}

impl std::fmt::Display for Share {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let percent = self.0 * 100.0;
        let digits = if percent == 0.0 || percent >= 10.0 { 1 } else { 2 };
        write!(f, "{percent:.digits$} %")
    }
}

/// Reads `250ms`, `10s`, `2m`, `1h` or `0`.
///
/// # Errors
/// A sentence for the user when it is none of these.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    let split = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let seconds_per_unit = match unit {
        "us" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        "" if number == "0" => 1.0,
        _ => return Err(format!("`{text}` is not a duration; write `250ms`, `10s` or `2m`")),
    };
    let value: f64 = number.trim().parse().map_err(|_| format!("`{text}` is not a duration; write `10s`"))?;
    Duration::try_from_secs_f64(value * seconds_per_unit)
        .map_err(|_| format!("`{text}` is too long or negative"))
}

/// Reads a rate per second: above zero.
///
/// # Errors
/// A sentence for the user when it is not.
pub(crate) fn rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if rate > 0.0 && rate.is_finite() => Ok(rate),
        _ => Err(format!("`{text}` is not a rate; write a number above 0")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_read_both_ways_and_nothing_else() {
        assert_eq!("10%".parse(), Ok(Share(0.1)));
        assert_eq!("0.25".parse(), Ok(Share(0.25)));
        for wrong in ["70", "-1%", "x", "%", "101%", "NaN"] {
            assert!(wrong.parse::<Share>().is_err(), "{wrong}");
        }
        assert_eq!(Share(0.001).to_string(), "0.10 %");
    }

    #[test]
    fn durations_need_their_unit() {
        assert_eq!(duration("40ms"), Ok(Duration::from_millis(40)));
        assert_eq!(duration("1.5s"), Ok(Duration::from_millis(1500)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        assert_eq!(duration("0"), Ok(Duration::ZERO));
        for wrong in ["40", "s", "-1s", "1e400s", "1 day"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
