//! How long frames may wait to share one write.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The merge window: frames of a broadcast that arrive within it leave in one write per viewer.
///
/// Longer windows cost latency and save CPU: a write of 350 ms of a 1 Mbit/s broadcast costs a tenth of
/// writing every frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MergeWindow {
    /// Short while the worker has time and few broadcasts, longer as it gets busy, between 8 and 350 ms.
    #[default]
    Adaptive,
    /// Always this long, 0 to 500 ms; 0 writes every frame at once.
    Fixed(Duration),
}

/// Longest window that a setting may ask for.
const FIXED_MAX: Duration = Duration::from_millis(500);

impl std::str::FromStr for MergeWindow {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "adaptive" {
            return Ok(MergeWindow::Adaptive);
        }
        let millis = text.strip_suffix("ms").unwrap_or(text).parse().ok().map(Duration::from_millis);
        millis.filter(|d| *d <= FIXED_MAX).map(MergeWindow::Fixed).ok_or_else(|| {
            format!("{text:?} is no merge window: write \"adaptive\", or \"0ms\" to \"500ms\"")
        })
    }
}

impl std::fmt::Display for MergeWindow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            MergeWindow::Adaptive => f.write_str("adaptive"),
            MergeWindow::Fixed(d) => write!(f, "{}ms", d.as_millis()),
        }
    }
}

impl<'de> Deserialize<'de> for MergeWindow {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

impl Serialize for MergeWindow {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

/// The window in effect on one worker.
#[derive(Debug)]
pub(crate) struct Pace {
    setting: MergeWindow,
    window: Duration,
}

impl Pace {
    pub(crate) fn new(setting: MergeWindow) -> Pace {
        let window = match setting {
            MergeWindow::Adaptive => ADAPTIVE_MIN,
            MergeWindow::Fixed(d) => d,
        };
        Pace { setting, window }
    }

    pub(crate) fn window(&self) -> Duration {
        self.window
    }

    /// Takes in how busy the worker was lately, 0 to 1, and how many broadcasts it serves, and adapts.
    pub(crate) fn observe(&mut self, busy: f64, broadcasts: usize) {
        if self.setting != MergeWindow::Adaptive {
            return;
        }
        if busy > BUSY_HIGH {
            // Cost falls with the window, so the step follows how far off it is.
            self.window = self.window.mul_f64((busy / BUSY_HIGH).clamp(1.1, 1.6));
        } else if busy < BUSY_LOW {
            self.window = self.window.mul_f64(0.85);
        }
        self.window = self.window.clamp(shortest(broadcasts), ADAPTIVE_MAX);
    }
}

/// Many small broadcasts cost a write per frame and viewer whatever their bitrate, so the window that merges a few
/// frames of each begins before the worker is busy: 8 ms for one, 33 ms for a hundred, never more than 60 ms.
fn shortest(broadcasts: usize) -> Duration {
    let more = PER_BROADCAST * u32::try_from(broadcasts).unwrap_or(u32::MAX).min(1000);
    (ADAPTIVE_MIN + more).min(SHORTEST_MAX)
}

const PER_BROADCAST: Duration = Duration::from_micros(250);
const SHORTEST_MAX: Duration = Duration::from_millis(60);

/// Bounds of the adaptive window. The lower one still merges a video frame with the audio beside it.
const ADAPTIVE_MIN: Duration = Duration::from_millis(8);
const ADAPTIVE_MAX: Duration = Duration::from_millis(350);
/// A worker that is busier than this lengthens the window: the rest is room for joins and other work.
const BUSY_HIGH: f64 = 0.40;
/// A worker that is less busy than this shortens it.
const BUSY_LOW: f64 = 0.28;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_and_refused() {
        assert_eq!("adaptive".parse(), Ok(MergeWindow::Adaptive));
        assert_eq!("40ms".parse(), Ok(MergeWindow::Fixed(Duration::from_millis(40))));
        assert!("501ms".parse::<MergeWindow>().is_err_and(|e| e.contains("500ms")));
    }

    #[test]
    fn a_busy_worker_merges_longer_and_an_idle_one_shorter() {
        let mut pace = Pace::new(MergeWindow::Adaptive);
        for _ in 0..50 {
            pace.observe(0.9, 1);
        }
        assert_eq!(pace.window(), ADAPTIVE_MAX);
        for _ in 0..50 {
            pace.observe(0.05, 0);
        }
        assert_eq!(pace.window(), ADAPTIVE_MIN);
        pace.observe(0.05, 100);
        assert_eq!(pace.window().as_millis(), 33);
    }
}
