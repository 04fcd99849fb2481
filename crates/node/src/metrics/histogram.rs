//! Durations in buckets, counted without a lock.

use prometheus_client::encoding::{MetricEncoder, NoLabelSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds in microseconds: 1 ms to 10 s; the usual merge windows plus 10 ms are bounds.
const BOUNDS_MICROS: [u64; 18] = [
    1000, 2000, 5000, 7500, 10_000, 15_000, 20_000, 30_000, 40_000, 50_000, 75_000, 110_000, 200_000,
    360_000, 500_000, 1_000_000, 2_500_000, 10_000_000,
];

/// Counts by bucket; the last bucket has no bound.
#[derive(Debug, Default)]
pub(super) struct Histogram {
    buckets: [AtomicU64; BOUNDS_MICROS.len() + 1],
    sum_micros: AtomicU64,
}

/// Several histograms added up.
#[derive(Debug, Default)]
pub(super) struct Sum {
    buckets: [u64; BOUNDS_MICROS.len() + 1],
    sum_micros: u64,
}

impl Histogram {
    /// Counts `count` durations of that length.
    pub(super) fn observe(&self, value: Duration, count: u64) {
        let micros = u64::try_from(value.as_micros()).unwrap_or(u64::MAX);
        let bucket = BOUNDS_MICROS.partition_point(|bound| *bound < micros);
        self.buckets[bucket].fetch_add(count, Ordering::Relaxed);
        self.sum_micros.fetch_add(micros.saturating_mul(count), Ordering::Relaxed);
    }
}

impl Sum {
    pub(super) fn add(&mut self, histogram: &Histogram) {
        for (sum, bucket) in self.buckets.iter_mut().zip(&histogram.buckets) {
            *sum += bucket.load(Ordering::Relaxed);
        }
        self.sum_micros = self.sum_micros.wrapping_add(histogram.sum_micros.load(Ordering::Relaxed));
    }

    pub(super) fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), std::fmt::Error> {
        let bounds = BOUNDS_MICROS.iter().map(|bound| *bound as f64 / 1e6).chain([f64::INFINITY]);
        let buckets: Vec<(f64, u64)> = bounds.zip(self.buckets).collect();
        let count = self.buckets.iter().sum();
        encoder.encode_histogram::<NoLabelSet>(self.sum_micros as f64 / 1e6, count, &buckets, None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_belongs_to_its_bucket_and_many_are_counted_at_once() {
        let (one, other, mut sum) = (Histogram::default(), Histogram::default(), Sum::default());
        one.observe(Duration::from_millis(1), 3);
        one.observe(Duration::from_micros(1001), 1);
        other.observe(Duration::from_secs(60), 2);
        sum.add(&one);
        sum.add(&other);
        assert_eq!((sum.buckets[0], sum.buckets[1], sum.buckets[18]), (3, 1, 2));
        assert_eq!(sum.sum_micros, 120_004_001);
    }
}
