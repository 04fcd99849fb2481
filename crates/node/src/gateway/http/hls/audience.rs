//! How many people watch by HLS. They have no connection that lasts, so they are counted by what a player must do:
//! reload the playlist of its pictures (or sound alone) once per part if it blocks, once per target duration if not.

use hls::{Request, Role};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Reloads since the last estimate.
#[derive(Debug, Default)]
pub(super) struct Audience {
    blocking: Reloads,
    usual: Reloads,
    ts_ms: AtomicU64,
}

/// Reloads of one kind of player, weighed by how long each holds a player.
#[derive(Debug, Default)]
struct Reloads {
    video_ms: AtomicU64,
    audio_ms: AtomicU64,
}

/// Moving estimates.
#[derive(Debug, Default)]
pub(super) struct Estimate {
    low_latency: f64,
    usual: f64,
}

/// How many watch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct People {
    /// By blocking for the next part.
    pub(super) low_latency: u64,
    /// By reloading now and then.
    pub(super) usual: u64,
}

impl People {
    pub(super) fn all(self) -> u64 {
        self.low_latency + self.usual
    }
}

/// Weight of the newest second.
const NEWEST: f64 = 0.3;

impl Audience {
    /// Counts a request; parts and segments last as long as that.
    pub(super) fn count(&self, request: &Request, part: Duration, segment: Duration) {
        let (counter, holds) = match request {
            Request::Playlist { role, block, .. } => {
                let (reloads, holds) = match block {
                    Some(_) => (&self.blocking, part),
                    None => (&self.usual, segment),
                };
                (if *role == Role::Video { &reloads.video_ms } else { &reloads.audio_ms }, holds)
            }
            Request::TsPlaylist => (&self.ts_ms, segment),
            _ => return,
        };
        counter.fetch_add(holds.as_millis() as u64, Ordering::Relaxed);
    }

    /// Takes in what was counted in the last `elapsed`; people now.
    pub(super) fn estimate(&self, last: &mut Estimate, elapsed: Duration) -> People {
        let take = |counter: &AtomicU64| counter.swap(0, Ordering::Relaxed);
        // A player of both renditions reloads both playlists.
        let held_ms = |of: &Reloads| take(&of.video_ms).max(take(&of.audio_ms));
        let moved = |last: &mut f64, held_ms: u64| {
            let now = held_ms as f64 / elapsed.as_millis().max(1) as f64;
            *last = *last * (1.0 - NEWEST) + now * NEWEST;
            last.round() as u64
        };
        People {
            low_latency: moved(&mut last.low_latency, held_ms(&self.blocking)),
            usual: moved(&mut last.usual, held_ms(&self.usual) + take(&self.ts_ms)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hls::Position;

    #[test]
    fn players_are_told_from_their_reloads() {
        let (audience, mut estimate) = (Audience::default(), Estimate::default());
        let (part, segment) = (Duration::from_millis(500), Duration::from_secs(2));
        let reload =
            |role, block| audience.count(&Request::Playlist { role, block, skip: false }, part, segment);
        let mut people = People::default();
        for second in 0..30 {
            for _ in 0..10 {
                // Ten players that block, two parts a second, pictures and sound.
                for role in [Role::Video, Role::Audio, Role::Video, Role::Audio] {
                    reload(role, Some(Position { msn: second, part: Some(0) }));
                }
            }
            // Four old ones, every two seconds.
            (0..4)
                .filter(|_| second % 2 == 0)
                .for_each(|_| audience.count(&Request::TsPlaylist, part, segment));
            people = audience.estimate(&mut estimate, Duration::from_secs(1));
        }
        assert!((9..=11).contains(&people.low_latency), "{people:?}: 10 of low latency");
        assert!((3..=5).contains(&people.usual), "{people:?}: 4 others");
        for _ in 0..20 {
            people = audience.estimate(&mut estimate, Duration::from_secs(1));
        }
        assert_eq!(people, People::default());
    }
}
