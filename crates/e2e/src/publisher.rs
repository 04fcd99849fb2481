//! A publisher that knows when it sent each frame.

use crate::clips::Clip;
use crate::flv::{Reader, Tag};
use crate::peer::{Answer, Peer};
use anyhow::{Context, Result, bail};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Sends a clip in real time from a thread of its own. Dropping it breaks the connection without a goodbye.
#[derive(Debug)]
pub struct Publisher {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    /// What was sent, in order: the frame's milliseconds, and when.
    sent: Mutex<Vec<(u32, Instant)>>,
    failure: Mutex<Option<String>>,
}

/// Sleeps are cut into pieces of this length, so that a publisher stops soon.
const NAP_MAX: Duration = Duration::from_millis(20);

impl Publisher {
    /// Publishes as `live/NAME`; `name` may have a query.
    ///
    /// # Errors
    /// When the server refuses.
    pub fn start(port: u16, name: &str, clip: &Clip) -> Result<Publisher> {
        let tags = Reader::new(&std::fs::read(&clip.path)?[..])?.rest()?;
        let (peer, answer) = Peer::publish(port, name)?;
        if let Answer::Rejected(code, text) = answer {
            bail!("{name} is refused: {code}: {text}");
        }
        let shared = Arc::new(Shared::default());
        let thread = std::thread::spawn({
            let shared = Arc::clone(&shared);
            move || {
                if let Err(error) = shared.send(peer, &tags) {
                    *shared.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(format!("{error:#}"));
                }
            }
        });
        Ok(Publisher { shared, thread: Some(thread) })
    }

    /// When the first frame of this time or later was sent; `None` when it wasn't yet.
    pub fn sent_at(&self, time_ms: u32) -> Option<Instant> {
        let sent = self.shared.sent.lock().unwrap_or_else(PoisonError::into_inner);
        sent.iter().find(|(time, _)| *time >= time_ms).map(|(_, at)| *at)
    }

    /// Milliseconds of the first frame.
    pub fn first_ms(&self) -> Option<u32> {
        self.shared.sent.lock().unwrap_or_else(PoisonError::into_inner).first().map(|(time, _)| *time)
    }

    /// Waits until it is over, which the server makes it be.
    ///
    /// # Errors
    /// When it still sends after `limit`.
    pub fn ended(mut self, limit: Duration) -> Result<String> {
        let began = Instant::now();
        while self.thread.as_ref().is_some_and(|thread| !thread.is_finished()) {
            if began.elapsed() > limit {
                bail!("the publisher still sends after {limit:?}");
            }
            std::thread::sleep(NAP_MAX);
        }
        self.thread.take().context("ended twice")?.join().map_err(|_| anyhow::anyhow!("the publisher panicked"))?;
        let failure = self.shared.failure.lock().unwrap_or_else(PoisonError::into_inner).take();
        Ok(failure.unwrap_or_else(|| "the clip is over".to_owned()))
    }
}

impl Shared {
    fn send(&self, mut peer: Peer, tags: &[Tag]) -> Result<()> {
        let began = Instant::now();
        let first = tags.iter().find(|tag| !tag.is_header()).map_or(0, |tag| tag.time_ms);
        for tag in tags {
            let due = began + Duration::from_millis(u64::from(tag.time_ms.saturating_sub(first)));
            while let Some(left) = due.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
                if self.stop.load(Ordering::Relaxed) {
                    return Ok(());
                }
                std::thread::sleep(left.min(NAP_MAX));
            }
            let now = Instant::now();
            peer.send(tag.kind, tag.time_ms, &tag.body)?;
            if !tag.is_header() {
                self.sent.lock().unwrap_or_else(PoisonError::into_inner).push((tag.time_ms, now));
            }
        }
        Ok(())
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A panic there was printed there.
            let _ = thread.join();
        }
    }
}
