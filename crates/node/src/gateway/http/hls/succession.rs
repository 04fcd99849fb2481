//! Packaging goes on in a process that takes over from another. Players come over at once, so they have to find something to
//! load, with numbers above those that they know; times stay as they were, since what is fetched from the old process keeps
//! them.

use super::packaging::Packagings;
use super::target::target;
use hub::Hub;
use std::sync::Arc;
use std::time::Duration;

/// How long a takeover waits for first segments, which last as long as keyframes are apart. Who watches something with rarer
/// ones waits a moment.
const READY_MAX: Duration = Duration::from_secs(5);
/// Segments that the old process still makes meanwhile, and while this one starts; none is shorter than half a second.
const SEGMENTS_AHEAD: u32 = 16;

impl Packagings {
    /// Packages what the process before packages, whose segments have numbers below `numbers_end`. Returns once there is something
    /// to load of each.
    pub(crate) async fn take_up(self: &Arc<Self>, (playlists, numbers_end): (&[String], u32), hub: &Hub) {
        if numbers_end > 0 {
            self.begin_at(numbers_end.saturating_add(SEGMENTS_AHEAD));
        }
        let all_ready = async {
            let mut begun = Vec::with_capacity(playlists.len());
            for target in playlists.iter().filter_map(|playlist| target(playlist)) {
                let demand = hub.demand(&target.path);
                let broadcast = match hub.broadcast(&target.path) {
                    Some(broadcast) => Some(broadcast),
                    None => hub.arrival(&demand).await,
                };
                begun.extend(broadcast.map(|broadcast| self.of(&broadcast, target.sound)));
            }
            for packaging in begun {
                // An error means that the broadcast is over already.
                let _ = packaging.snapshots().wait_for(|snapshot| snapshot.is_ready()).await;
            }
        };
        if tokio::time::timeout(READY_MAX, all_ready).await.is_err() {
            tracing::debug!("not everything that players watch is packaged yet");
        }
    }
}
