//! How many people watch by HLS. They have no connection that lasts, so they are counted by what a player must do:
//! reload the playlist of its pictures (or sound alone) once per part if it blocks, once per target duration if not.

use hls::{Config, Request, Role};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Reloads since the last estimate, weighed by how long each holds a player.
#[derive(Debug, Default)]
pub(super) struct Audience {
    video_ms: AtomicU64,
    audio_ms: AtomicU64,
    ts_ms: AtomicU64,
}

/// A moving estimate.
#[derive(Debug, Default)]
pub(super) struct Estimate(f64);

/// Weight of the newest second.
const NEWEST: f64 = 0.3;

impl Audience {
    pub(super) fn count(&self, request: &Request, config: &Config) {
        let (counter, holds) = match request {
            Request::Playlist { role, block, .. } => {
                let counter = if *role == Role::Video { &self.video_ms } else { &self.audio_ms };
                (counter, if block.is_some() { config.part_target } else { config.segment_target })
            }
            Request::TsPlaylist => (&self.ts_ms, config.segment_target),
            _ => return,
        };
        counter.fetch_add(holds.as_millis() as u64, Ordering::Relaxed);
    }

    /// Takes in what was counted in the last `elapsed`; people now.
    pub(super) fn estimate(&self, last: &mut Estimate, elapsed: Duration) -> u64 {
        let take = |counter: &AtomicU64| counter.swap(0, Ordering::Relaxed);
        // A player of both renditions reloads both playlists.
        let held_ms = take(&self.video_ms).max(take(&self.audio_ms)) + take(&self.ts_ms);
        let now = held_ms as f64 / elapsed.as_millis().max(1) as f64;
        last.0 = last.0 * (1.0 - NEWEST) + now * NEWEST;
        last.0.round() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hls::Position;

    #[test]
    fn players_are_told_from_their_reloads() {
        let (audience, config, mut estimate) = (Audience::default(), Config::default(), Estimate::default());
        let reload = |role, block| audience.count(&Request::Playlist { role, block, skip: false }, &config);
        let mut people = 0;
        for second in 0..30 {
            for _ in 0..10 {
                // Ten players that block, two parts a second, pictures and sound.
                for role in [Role::Video, Role::Audio, Role::Video, Role::Audio] {
                    reload(role, Some(Position { msn: second, part: Some(0) }));
                }
            }
            // Four old ones, every two seconds.
            (0..4).filter(|_| second % 2 == 0).for_each(|_| audience.count(&Request::TsPlaylist, &config));
            people = audience.estimate(&mut estimate, Duration::from_secs(1));
        }
        assert!((12..=16).contains(&people), "{people} of 14");
        for _ in 0..20 {
            people = audience.estimate(&mut estimate, Duration::from_secs(1));
        }
        assert_eq!(people, 0);
    }
}
