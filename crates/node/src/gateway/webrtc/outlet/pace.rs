//! How fast pictures leave for one viewer. A keyframe of many packets, and the group that a viewer gets when it joins, would come
//! to its network all in one moment, and the small buffers on the way lose what they have no room for. Most pictures are
//! smaller than what may go at once, so they wait for nothing: a player that sees pictures late waits as long ever after.

use std::time::{Duration, Instant};

/// What may be sent now.
#[derive(Debug)]
pub(super) struct Pace {
    credit: usize,
    at: Option<Instant>,
}

/// Buffers of switches and home routers have room for that.
const AT_ONCE_BYTES_MAX: usize = 64 << 10;
/// 33 Mbit/s: a network that is slower than that queues, and has the larger buffers.
const BYTES_PER_MS: usize = 4 << 10;
/// Whatever waits is out within some such time.
const OUT_WITHIN_MS: usize = 250;
/// How often what waits goes on.
pub(super) const EVERY: Duration = Duration::from_millis(2);

impl Default for Pace {
    fn default() -> Pace {
        Pace { credit: AT_ONCE_BYTES_MAX, at: None }
    }
}

impl Pace {
    /// Time passed, with so many bytes waiting.
    pub(super) fn pass(&mut self, now: Instant, waiting_bytes: usize) {
        let passed = self.at.map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
        self.at = Some(now);
        let per_ms = BYTES_PER_MS.max(waiting_bytes / OUT_WITHIN_MS);
        let micros = usize::try_from(passed.as_micros()).unwrap_or(usize::MAX);
        let more = micros.saturating_mul(per_ms) / 1000;
        self.credit = self.credit.saturating_add(more).min(AT_ONCE_BYTES_MAX.max(per_ms * 2));
    }

    /// Takes a packet's bytes if they may go.
    pub(super) fn take(&mut self, bytes: usize) -> bool {
        let enough = self.credit >= bytes;
        if enough {
            self.credit -= bytes;
        }
        enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes that go in each of the first milliseconds, when `bytes` come at once.
    fn spread(mut bytes: usize) -> Vec<usize> {
        let (mut pace, began, mut sent) = (Pace::default(), Instant::now(), Vec::new());
        while bytes > 0 {
            pace.pass(began + Duration::from_millis(sent.len() as u64), bytes);
            let before = bytes;
            while bytes > 0 && pace.take(bytes.min(1000)) {
                bytes -= bytes.min(1000);
            }
            sent.push(before - bytes);
        }
        sent
    }

    #[test]
    fn a_usual_picture_goes_at_once_and_a_large_one_evenly() {
        assert_eq!(spread(60_000), [60_000]);
        let sent = spread(200_000);
        assert_eq!(sent[0], 65_000);
        assert!(sent[1..].iter().all(|bytes| *bytes <= 5_000), "{sent:?}");
        assert!((33..=35).contains(&sent.len()), "{}", sent.len());
    }

    #[test]
    fn a_huge_group_is_out_soon_whatever_its_size() {
        for bytes in [1 << 20, 8 << 20, 64 << 20] {
            let millis = spread(bytes).len();
            assert!(millis <= 3 * OUT_WITHIN_MS * 2, "{millis} ms for {bytes} bytes");
        }
    }

    #[test]
    fn a_rest_gives_back_no_more_than_what_may_go_at_once() {
        let (mut pace, began) = (Pace::default(), Instant::now());
        pace.pass(began, 0);
        assert!(pace.take(AT_ONCE_BYTES_MAX) && !pace.take(1));
        pace.pass(began + Duration::from_secs(3600), 0);
        assert!(pace.take(AT_ONCE_BYTES_MAX) && !pace.take(1));
    }
}
