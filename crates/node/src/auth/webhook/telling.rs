//! Events that happened, told to each server in order by a task of its own.

use super::client::Failure;
use super::{Server, Shared};
use bytes::Bytes;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use tokio::task::JoinSet;

/// The tasks that tell. Dropping it ends them at once.
#[derive(Debug)]
pub(crate) struct Telling {
    shared: Arc<Shared>,
    tasks: JoinSet<()>,
}

/// Events that wait for one server; a full one drops its oldest.
#[derive(Debug)]
pub(super) struct Queue {
    waiting: Mutex<VecDeque<Bytes>>,
    max: usize,
    more: Notify,
    closed: AtomicBool,
}

const BACKOFF_FIRST: Duration = Duration::from_millis(250);
const BACKOFF_MAX: Duration = Duration::from_secs(30);

impl Telling {
    /// A task per server.
    pub(super) fn start(shared: &Arc<Shared>) -> Telling {
        let mut tasks = JoinSet::new();
        for server in &shared.servers {
            tasks.spawn(tell_all(Arc::clone(shared), Arc::clone(server)));
        }
        Telling { shared: Arc::clone(shared), tasks }
    }

    /// Tells what is still waiting, for at most this long; then gives up. Returns how many events nobody took.
    pub(crate) async fn drain(mut self, within: Duration) -> usize {
        for server in &self.shared.servers {
            server.queue.close();
        }
        let all = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(within, all).await.is_ok() {
            return 0;
        }
        // One more per server is on its way.
        let on_their_way = self.tasks.len();
        self.tasks.shutdown().await;
        self.shared.servers.iter().map(|server| server.queue.len()).sum::<usize>() + on_their_way
    }
}

async fn tell_all(shared: Arc<Shared>, server: Arc<Server>) {
    while let Some(body) = server.queue.next().await {
        let count =
            if shared.tell(&server, &body).await { &shared.counts.told } else { &shared.counts.given_up };
        count.fetch_add(1, Ordering::Relaxed);
    }
}

impl Shared {
    /// Whether the server took the event, at last.
    async fn tell(&self, server: &Server, body: &Bytes) -> bool {
        for attempt in 0..=self.retries {
            if attempt > 0 {
                tokio::time::sleep(backoff(attempt)).await;
            }
            server.until_it_may_be_tried().await;
            let post = self.client.post(&server.uri, body.clone());
            let failure = match tokio::time::timeout(self.client.timeout(), post).await {
                Ok(Ok((status, _))) if status.is_success() => {
                    server.breaker().succeeded();
                    return true;
                }
                Ok(Ok((status, _))) => Failure::Status(status),
                Ok(Err(failure)) => failure,
                Err(_) => Failure::Timeout,
            };
            self.failed(server, &failure);
            if !failure.is_worth_a_retry() {
                return false;
            }
        }
        false
    }
}

impl Server {
    async fn until_it_may_be_tried(&self) {
        loop {
            let now = Instant::now();
            if self.breaker().may_try(now) {
                return;
            }
            let rest = self.breaker().rests_for(now);
            tokio::time::sleep(rest).await;
        }
    }
}

/// 250 ms, then twice as long each time, at most 30 s.
fn backoff(attempt: u32) -> Duration {
    BACKOFF_FIRST.saturating_mul(1 << (attempt.saturating_sub(1)).min(16)).min(BACKOFF_MAX)
}

impl Queue {
    pub(super) fn new(max: usize) -> Queue {
        Queue { waiting: Mutex::default(), max, more: Notify::new(), closed: AtomicBool::new(false) }
    }

    /// Whether the oldest event had to go.
    pub(super) fn push(&self, body: Bytes) -> bool {
        let mut waiting = self.waiting();
        let is_full = waiting.len() >= self.max;
        if is_full {
            waiting.pop_front();
        }
        waiting.push_back(body);
        self.more.notify_one();
        is_full
    }

    /// The oldest; `None` when the queue is closed and empty. One task waits at a time.
    async fn next(&self) -> Option<Bytes> {
        loop {
            let next = self.waiting().pop_front();
            if next.is_some() || self.closed.load(Ordering::Acquire) {
                return next;
            }
            self.more.notified().await;
        }
    }

    fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.more.notify_one();
    }

    fn len(&self) -> usize {
        self.waiting().len()
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<Bytes>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_get_longer_to_a_bound() {
        let waits: Vec<u64> = (1..=4).map(|attempt| backoff(attempt).as_millis() as u64).collect();
        assert_eq!(waits, [250, 500, 1000, 2000]);
        assert_eq!(backoff(u32::MAX), BACKOFF_MAX);
    }

    #[tokio::test]
    async fn a_full_queue_drops_its_oldest_and_a_closed_one_is_emptied() {
        let queue = Queue::new(2);
        let dropped: Vec<bool> = ["a", "b", "c"].map(|text| queue.push(text.into())).to_vec();
        assert_eq!(dropped, [false, false, true]);
        queue.close();
        assert_eq!(queue.next().await.as_deref(), Some(&b"b"[..]));
        assert_eq!(queue.next().await.as_deref(), Some(&b"c"[..]));
        assert_eq!(queue.next().await, None);
    }
}
