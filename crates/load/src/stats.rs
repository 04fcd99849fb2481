//! What is counted. One `Tally` per profile and process; tallies of several processes add up.

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Everything that viewers of one profile saw.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tally {
    /// Viewers that tried to join.
    pub(crate) viewers: u64,
    /// Of them, those whose connection came up.
    pub(crate) connected: u64,
    /// Steady viewers that had media and were still there at the end.
    pub(crate) playing: u64,
    /// Steady viewers.
    pub(crate) steady: u64,
    /// Steady viewers, connected to the end, without a byte in the window.
    pub(crate) silent: u64,
    /// Gaps in the window.
    pub(crate) stalls: u64,
    /// Steady viewers with at least one of them.
    pub(crate) stalled_viewers: u64,
    /// Steady viewers that lost their connection or never got one, by reason.
    pub(crate) disconnects: BTreeMap<String, u64>,
    /// Slow and stopped viewers.
    pub(crate) slow: u64,
    /// Of them, those the server closed, by reason: allowed.
    pub(crate) slow_closed: BTreeMap<String, u64>,
    /// Bytes from the first join to the end.
    pub(crate) bytes_total: u64,
    /// Bytes within the window.
    pub(crate) bytes: u64,
    /// From the first attempt to connect to the first byte, in µs.
    pub(crate) first_byte: Distribution,
    /// To the first byte of the first keyframe, in µs.
    pub(crate) first_media: Distribution,
    /// From a frame's stamp to its arrival, in µs.
    pub(crate) frame_age: Distribution,
    /// Received by each steady viewer within the window, in bit/s.
    pub(crate) viewer_rate: Distribution,
    /// Media frames that probes parsed.
    pub(crate) frames: u64,
    /// Of them, video frames whose timestamp went back.
    pub(crate) timestamps_back: u64,
    /// Packets of pictures that came by WebRTC, and those that never did.
    pub(crate) packets: u64,
    pub(crate) packets_lost: u64,
    /// What only HLS has.
    pub(crate) hls: HlsTally,
}

/// What HLS viewers saw within the window.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HlsTally {
    /// Playlists loaded.
    pub(crate) playlists: u64,
    /// Of them, delta updates.
    pub(crate) deltas: u64,
    /// Parts loaded.
    pub(crate) parts: u64,
    /// Whole segments loaded.
    pub(crate) segments: u64,
    /// Answers to blocking requests that came late.
    pub(crate) late: u64,
    /// From the later of request and appearance of the part to the answer, in µs.
    pub(crate) reload: Distribution,
    /// From the request of a part or segment to its last byte, in µs.
    pub(crate) fetch: Distribution,
    /// What went wrong, by reason.
    pub(crate) errors: BTreeMap<String, u64>,
}

impl Tally {
    /// Adds another process's, or another profile's, counts.
    pub(crate) fn add(&mut self, other: &Self) {
        self.viewers += other.viewers;
        self.connected += other.connected;
        self.playing += other.playing;
        self.steady += other.steady;
        self.silent += other.silent;
        self.stalls += other.stalls;
        self.stalled_viewers += other.stalled_viewers;
        add_counts(&mut self.disconnects, &other.disconnects);
        self.slow += other.slow;
        add_counts(&mut self.slow_closed, &other.slow_closed);
        self.bytes_total += other.bytes_total;
        self.bytes += other.bytes;
        self.first_byte.add(&other.first_byte);
        self.first_media.add(&other.first_media);
        self.frame_age.add(&other.frame_age);
        self.viewer_rate.add(&other.viewer_rate);
        self.frames += other.frames;
        self.timestamps_back += other.timestamps_back;
        self.packets += other.packets;
        self.packets_lost += other.packets_lost;
        self.hls.add(&other.hls);
    }

    /// Steady viewers that were lost.
    pub(crate) fn disconnected(&self) -> u64 {
        self.disconnects.values().sum()
    }

    /// Share of the playing viewers that stalled; of those that ever had media, so that losing them hides nothing.
    pub(crate) fn stall_rate(&self) -> f64 {
        let started = self.first_media.len().max(self.playing);
        if started == 0 { 0.0 } else { self.stalled_viewers as f64 / started as f64 }
    }
}

impl HlsTally {
    fn add(&mut self, other: &Self) {
        self.playlists += other.playlists;
        self.deltas += other.deltas;
        self.parts += other.parts;
        self.segments += other.segments;
        self.late += other.late;
        self.reload.add(&other.reload);
        self.fetch.add(&other.fetch);
        add_counts(&mut self.errors, &other.errors);
    }
}

/// Counts one more of `reason`.
pub(crate) fn count(counts: &mut BTreeMap<String, u64>, reason: &str) {
    if let Some(known) = counts.get_mut(reason) {
        *known += 1;
    } else if counts.len() < REASONS_MAX {
        counts.insert(reason.to_owned(), 1);
    } else {
        *counts.entry("other".to_owned()).or_default() += 1;
    }
}

fn add_counts(counts: &mut BTreeMap<String, u64>, other: &BTreeMap<String, u64>) {
    for (reason, more) in other {
        *counts.entry(reason.clone()).or_default() += more;
    }
}

/// A histogram with three significant digits that can go through JSON.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "Vec<(u64, u64)>", into = "Vec<(u64, u64)>")]
pub(crate) struct Distribution(Option<Histogram<u64>>);

impl std::fmt::Debug for Distribution {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} values, P50 {}, max {}", self.len(), self.percentile(50.0), self.max())
    }
}

impl Default for Distribution {
    fn default() -> Self {
        // 1 and 3 are within what the library accepts; were they not, nothing would be recorded.
        Self(Histogram::new(3).ok())
    }
}

impl Distribution {
    /// Records one value.
    pub(crate) fn record(&mut self, value: u64) {
        self.record_many(value, 1);
    }

    fn record_many(&mut self, value: u64, times: u64) {
        if let Some(histogram) = &mut self.0 {
            // A histogram that resizes takes any value; the bound keeps it small when a clock is off.
            let _ = histogram.record_n(value.min(VALUE_MAX), times);
        }
    }

    /// How many values there are.
    pub(crate) fn len(&self) -> u64 {
        self.0.as_ref().map_or(0, Histogram::len)
    }

    /// The value below which `percent` of the values are; 0 when there are none.
    pub(crate) fn percentile(&self, percent: f64) -> u64 {
        self.0.as_ref().map_or(0, |histogram| histogram.value_at_percentile(percent))
    }

    /// The largest value; 0 when there are none.
    pub(crate) fn max(&self) -> u64 {
        self.0.as_ref().map_or(0, Histogram::max)
    }

    /// Adds another one's values.
    pub(crate) fn add(&mut self, other: &Self) {
        if let (Some(histogram), Some(other)) = (&mut self.0, &other.0) {
            // Fails only for histograms of fixed size.
            let _ = histogram.add(other);
        }
    }
}

impl From<Distribution> for Vec<(u64, u64)> {
    fn from(distribution: Distribution) -> Self {
        let recorded = distribution.0.iter().flat_map(Histogram::iter_recorded);
        recorded.map(|step| (step.value_iterated_to(), step.count_at_value())).collect()
    }
}

impl From<Vec<(u64, u64)>> for Distribution {
    fn from(values: Vec<(u64, u64)>) -> Self {
        let mut distribution = Self::default();
        for (value, times) in values {
            distribution.record_many(value, times);
        }
        distribution
    }
}

/// More reasons than this are counted as one.
const REASONS_MAX: usize = 32;
/// A day in microseconds, 86 Gbit/s: beyond, something is wrong with the clock.
const VALUE_MAX: u64 = 86_400_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tallies_add_up_and_survive_json() {
        let mut one = Tally { viewers: 2, bytes: 10, ..Tally::default() };
        one.first_media.record(1500);
        one.first_media.record(250_000);
        count(&mut one.disconnects, "closed");
        let text = serde_json::to_string(&one).unwrap();
        let back: Tally = serde_json::from_str(&text).unwrap();
        let mut sum = Tally::default();
        sum.add(&back);
        sum.add(&one);
        assert_eq!((sum.viewers, sum.bytes, sum.disconnected(), sum.first_media.len()), (4, 20, 2, 4));
        let p99 = sum.first_media.percentile(99.0);
        assert!(p99.abs_diff(250_000) <= 250, "{p99}");
    }

    #[test]
    fn reasons_are_bounded() {
        let mut counts = BTreeMap::new();
        for index in 0..1000 {
            count(&mut counts, &format!("reason {index}"));
        }
        assert_eq!((counts.len(), counts.values().sum::<u64>()), (REASONS_MAX + 1, 1000));
    }

    #[test]
    fn an_empty_distribution_is_all_zero() {
        let empty = Distribution::default();
        assert_eq!((empty.len(), empty.percentile(99.0), empty.max()), (0, 0, 0));
    }
}
