//! The read half of a broadcast.

use crate::{Broadcast, Item};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

/// Reads one broadcast from the newest group on, at its own pace.
///
/// Overflow policy: a consumer whose next item has left the log goes on at the newest group; how many items
/// it lost is in [`Batch::lost`].
#[derive(Debug)]
pub struct Consumer {
    broadcast: Arc<Broadcast>,
    /// Number of the next item; `None` before the first batch.
    next: Option<u64>,
}

/// What one call to [`Consumer::poll_batch`] brings. Reused by the caller, so that reading allocates nothing.
#[derive(Debug, Default)]
pub struct Batch {
    /// In the order of arrival. A catalog comes first of all.
    pub items: Vec<Item>,
    /// Items that were lost before the first of `items`.
    pub lost: u64,
    /// Nothing more will come.
    pub ended: bool,
}

impl Consumer {
    pub(crate) fn new(broadcast: Arc<Broadcast>) -> Consumer {
        Consumer { broadcast, next: None }
    }

    /// What it reads.
    pub fn broadcast(&self) -> &Arc<Broadcast> {
        &self.broadcast
    }

    /// When the first frame came in that is not read yet; `None` if there is none.
    pub fn waiting_since(&self) -> Option<Instant> {
        let state = self.broadcast.lock();
        state.log.since(self.next?)?.find_map(|item| match item {
            Item::Frame { arrived, .. } => Some(*arrived),
            Item::Catalog(_) | Item::Resumed => None,
        })
    }

    /// Fills `batch` (cleared first) with all that is new.
    ///
    /// `Pending` when there is nothing; the waker is then called once, at the next write.
    pub fn poll_batch(&mut self, cx: &mut Context<'_>, batch: &mut Batch) -> Poll<()> {
        batch.items.clear();
        batch.lost = 0;
        let mut state = self.broadcast.lock();
        batch.ended = state.ended;
        if state.ready {
            let wanted = self.next.unwrap_or(u64::MAX);
            let (join, catalog) = state.log.join();
            if self.next.is_none() {
                self.restart(&state.log, join, catalog, batch);
            } else if let Some(items) = state.log.since(wanted) {
                batch.items.extend(items.cloned());
            } else {
                batch.lost = join.saturating_sub(wanted);
                self.restart(&state.log, join, catalog, batch);
            }
            self.next = Some(state.log.end());
        }
        if batch.items.is_empty() && !batch.ended {
            if !state.waiting.iter().any(|w| w.will_wake(cx.waker())) {
                state.waiting.push(cx.waker().clone());
            }
            return Poll::Pending;
        }
        Poll::Ready(())
    }

    fn restart(&self, log: &crate::log::Log, join: u64, catalog: Arc<crate::Catalog>, batch: &mut Batch) {
        batch.items.push(Item::Catalog(catalog));
        if let Some(items) = log.since(join) {
            batch.items.extend(items.cloned());
        }
    }

    /// Waits for the next batch.
    pub async fn batch(&mut self, batch: &mut Batch) {
        std::future::poll_fn(|cx| self.poll_batch(cx, batch)).await;
    }
}
