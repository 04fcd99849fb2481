//! Values with a unit: `"10s"`, `"16MiB"`.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

/// A length of time, written `"250ms"`, `"10s"` or `"5m"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span(pub Duration);

/// A number of bytes, written `"64KiB"`, `"16MiB"` or `"1GiB"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size(pub usize);

/// A moment, written `"2027-01-31T18:00:00Z"` (RFC 3339, to the second).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub SystemTime);

/// A port on all addresses.
pub(super) fn any(port: u16) -> SocketAddr {
    SocketAddr::from(([0, 0, 0, 0], port))
}

const SPANS: [(&str, u64); 4] = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000)];
const SIZES: [(&str, usize); 4] = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("B", 1)];

impl std::str::FromStr for Span {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let found = SPANS
            .iter()
            .find_map(|(unit, ms)| text.strip_suffix(unit)?.trim().parse::<u64>().ok()?.checked_mul(*ms));
        found.map(|ms| Span(Duration::from_millis(ms))).ok_or_else(|| {
            format!("{text:?} is no length of time: write a number and ms, s, m or h, as in \"10s\"")
        })
    }
}

impl std::str::FromStr for Size {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let found = SIZES
            .iter()
            .find_map(|(unit, b)| text.strip_suffix(unit)?.trim().parse::<usize>().ok()?.checked_mul(*b));
        found.map(Size).ok_or_else(|| {
            format!("{text:?} is no size: write a number and B, KiB, MiB or GiB, as in \"16MiB\"")
        })
    }
}

impl std::str::FromStr for Moment {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        humantime::parse_rfc3339(text)
            .map(Moment)
            .map_err(|_| format!("{text:?} is no moment: write it as in \"2027-01-31T18:00:00Z\""))
    }
}

impl std::fmt::Display for Moment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        humantime::format_rfc3339_seconds(self.0).fmt(f)
    }
}

impl std::fmt::Display for Span {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ms = self.0.as_millis();
        if ms == 0 {
            return f.write_str("0s");
        }
        let (unit, size) =
            SPANS.iter().rev().find(|(_, n)| ms.is_multiple_of(u128::from(*n))).unwrap_or(&SPANS[0]);
        write!(f, "{}{unit}", ms / u128::from(*size))
    }
}

impl std::fmt::Display for Size {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (unit, size) =
            SIZES[..3].iter().rev().find(|(_, n)| self.0.is_multiple_of(*n)).unwrap_or(&SIZES[3]);
        write!(f, "{}{unit}", self.0 / size)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl Serialize for Size {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_read_and_written_back() {
        for text in ["0s", "250ms", "10s", "5m", "1h"] {
            assert_eq!(text.parse::<Span>().map(|s| s.to_string()).as_deref(), Ok(text));
        }
        for text in ["100B", "64KiB", "16MiB", "1GiB"] {
            assert_eq!(text.parse::<Size>().map(|s| s.to_string()).as_deref(), Ok(text));
        }
        let moment = "2027-01-31T18:00:00Z";
        assert_eq!(moment.parse::<Moment>().map(|m| m.to_string()).as_deref(), Ok(moment));
        assert!("31.1.2027".parse::<Moment>().is_err());
        assert!("10".parse::<Span>().is_err());
        assert!("99999999999999999999s".parse::<Span>().is_err());
        assert!("16MB".parse::<Size>().is_err());
    }
}
