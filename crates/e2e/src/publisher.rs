//! A publisher that knows when it sent each frame.

use crate::clips::Clip;
use crate::flv::Tag;
use crate::peer::{Answer, Peer};
use anyhow::{Context, Result, bail};
use rtmp::MediaKind;
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
    /// The frames that were sent, in order: which, their milliseconds, and when.
    sent: Mutex<Vec<(MediaKind, u32, Instant)>>,
    failure: Mutex<Option<String>>,
}

/// Sleeps are cut into pieces of this length, so that a publisher stops soon.
const NAP_MAX: Duration = Duration::from_millis(20);

impl Publisher {
    /// Publishes as `live/NAME`, or as `app/name`; `name` may have a query.
    ///
    /// # Errors
    /// When the server refuses.
    pub fn start(port: u16, name: &str, clip: &Clip) -> Result<Publisher> {
        Publisher::start_at(port, name, clip, 0)
    }

    /// The same with a clock that begins at `offset_ms`, and wraps at 32 bits.
    ///
    /// # Errors
    /// When the server refuses.
    pub fn start_at(port: u16, name: &str, clip: &Clip, offset_ms: u32) -> Result<Publisher> {
        Publisher::send(port, name, clip.tags()?, offset_ms)
    }

    /// The same with these tags, in real time by their times.
    ///
    /// # Errors
    /// When the server refuses.
    pub fn send(port: u16, name: &str, tags: Vec<Tag>, offset_ms: u32) -> Result<Publisher> {
        let (peer, answer) = Peer::publish(port, name)?;
        if let Answer::Rejected(code, text) = answer {
            bail!("{name} is refused: {code}: {text}");
        }
        let shared = Arc::new(Shared::default());
        let thread = std::thread::spawn({
            let shared = Arc::clone(&shared);
            move || {
                if let Err(error) = shared.send(peer, &tags, offset_ms) {
                    *shared.failure.lock().unwrap_or_else(PoisonError::into_inner) =
                        Some(format!("{error:#}"));
                }
            }
        });
        Ok(Publisher { shared, thread: Some(thread) })
    }

    /// When the first frame of this kind and of this time or later was sent; `None` when it wasn't yet.
    pub fn sent_at(&self, kind: MediaKind, time_ms: u32) -> Option<Instant> {
        let sent = self.shared.sent.lock().unwrap_or_else(PoisonError::into_inner);
        sent.iter().find(|(k, time, _)| *k == kind && *time >= time_ms).map(|(_, _, at)| *at)
    }

    /// Milliseconds of the first frame.
    pub fn first_ms(&self) -> Option<u32> {
        self.shared.sent.lock().unwrap_or_else(PoisonError::into_inner).first().map(|(_, time, _)| *time)
    }

    /// Why it ended, if it did.
    pub fn failure(&self) -> Option<String> {
        self.shared.failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
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
        self.thread
            .take()
            .context("ended twice")?
            .join()
            .map_err(|_| anyhow::anyhow!("the publisher panicked"))?;
        let failure = self.shared.failure.lock().unwrap_or_else(PoisonError::into_inner).take();
        Ok(failure.unwrap_or_else(|| "the clip is over".to_owned()))
    }
}

impl Shared {
    fn send(&self, mut peer: Peer, tags: &[Tag], offset_ms: u32) -> Result<()> {
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
            // Noted before it is sent: the server may answer somebody because of it at once.
            if !tag.is_header() {
                let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
                sent.push((tag.kind, tag.time_ms, Instant::now()));
            }
            peer.send(tag.kind, tag.time_ms.wrapping_add(offset_ms), &tag.body)?;
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
