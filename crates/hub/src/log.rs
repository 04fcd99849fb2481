//! The short memory of a broadcast: the newest group, and some seconds before it for readers that are late.

use crate::Catalog;
use media::{Frame, Kind, Timestamp, TrackId};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What a consumer reads, in the order of arrival.
#[derive(Clone, Debug)]
pub enum Item {
    /// The tracks from here on.
    Catalog(Arc<Catalog>),
    /// The publisher came back after a break; timestamps go on, the picture may not.
    Resumed,
    /// One frame.
    Frame {
        /// Its track, listed in the last catalog.
        track: TrackId,
        /// The frame.
        frame: Frame,
        /// Whether a new group starts here: a viewer may join at it.
        starts_group: bool,
        /// When its last byte came in.
        arrived: Instant,
    },
}

/// Frames of all tracks in the order of arrival, numbered from zero.
///
/// Overflow policy: what is older than the previous group and than three seconds goes at the next group. Beyond the byte
/// budget old groups go earlier; if one group alone exceeds the budget, its oldest frames go,
/// and nobody can join until the next group starts.
#[derive(Debug)]
pub(crate) struct Log {
    items: VecDeque<Item>,
    /// Number of the item at the front.
    front: u64,
    bytes: usize,
    bytes_max: usize,
    /// Number of the first item of the newest group, while it is whole.
    newest_group: Option<u64>,
    /// Number of the first item of the group before it.
    previous_group: u64,
    /// The catalog in effect where the newest group starts.
    group_catalog: Arc<Catalog>,
    catalog: Arc<Catalog>,
    newest_dts: Timestamp,
    frames: u64,
    frame_bytes: u64,
}

impl Log {
    pub(crate) fn new(bytes_max: usize) -> Log {
        let catalog = Arc::new(Catalog::default());
        Log {
            items: VecDeque::new(),
            front: 0,
            bytes: 0,
            bytes_max,
            newest_group: None,
            previous_group: 0,
            group_catalog: Arc::clone(&catalog),
            catalog,
            newest_dts: Timestamp::ZERO,
            frames: 0,
            frame_bytes: 0,
        }
    }

    /// Number of the next item to be written.
    pub(crate) fn end(&self) -> u64 {
        self.front + self.items.len() as u64
    }

    pub(crate) fn catalog(&self) -> &Arc<Catalog> {
        &self.catalog
    }

    pub(crate) fn newest_dts(&self) -> Timestamp {
        self.newest_dts
    }

    /// Frames and payload bytes ever written.
    pub(crate) fn totals(&self) -> (u64, u64) {
        (self.frames, self.frame_bytes)
    }

    /// Bytes held now.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn push_catalog(&mut self, catalog: Arc<Catalog>) {
        self.catalog = Arc::clone(&catalog);
        self.items.push_back(Item::Catalog(catalog));
    }

    pub(crate) fn push_resumed(&mut self) {
        self.items.push_back(Item::Resumed);
    }

    pub(crate) fn push_frame(&mut self, track: TrackId, frame: Frame, arrived: Instant) {
        let starts_group = self.starts_group(track, &frame);
        if starts_group {
            self.previous_group = self.newest_group.unwrap_or(self.front);
            self.newest_group = Some(self.end());
            self.group_catalog = Arc::clone(&self.catalog);
        }
        self.bytes += cost(&frame);
        self.frames += 1;
        self.frame_bytes += frame.payload.len() as u64;
        self.newest_dts = self.newest_dts.max(frame.dts);
        self.items.push_back(Item::Frame { track, frame, starts_group, arrived });
        if starts_group {
            self.forget_old();
        }
        self.trim();
    }

    /// Nobody needs what lies before the previous group and is older than a reader may reasonably be late.
    fn forget_old(&mut self) {
        while self.front < self.previous_group {
            let is_old = match self.items.front() {
                Some(Item::Frame { frame, .. }) => self.newest_dts.since(frame.dts) > KEPT,
                Some(_) => true,
                None => false,
            };
            if !is_old {
                return;
            }
            self.pop();
        }
    }

    /// A group starts with a keyframe of the video track; without video, every audio frame is one.
    fn starts_group(&self, track: TrackId, frame: &Frame) -> bool {
        let lead = self.catalog.first(Kind::Video).or_else(|| self.catalog.first(Kind::Audio));
        frame.keyframe && lead.is_some_and(|t| t.id == track)
    }

    fn trim(&mut self) {
        while self.bytes > self.bytes_max && !self.items.is_empty() {
            self.pop();
        }
    }

    fn pop(&mut self) {
        let Some(item) = self.items.pop_front() else { return };
        if self.newest_group == Some(self.front) {
            self.newest_group = None;
        }
        self.front += 1;
        if let Item::Frame { frame, .. } = item {
            self.bytes -= cost(&frame);
        }
    }

    /// Where a new consumer starts, and the catalog in effect there.
    pub(crate) fn join(&self) -> (u64, Arc<Catalog>) {
        match self.newest_group {
            Some(number) => (number, Arc::clone(&self.group_catalog)),
            None => (self.end(), Arc::clone(&self.catalog)),
        }
    }

    /// The items from `number` on; `None` if they are gone.
    pub(crate) fn since(&self, number: u64) -> Option<impl Iterator<Item = &Item>> {
        let skip = usize::try_from(number.checked_sub(self.front)?).ok()?;
        Some(self.items.iter().skip(skip))
    }
}

/// Frames before the previous group are kept for so long: sound alone has groups of one frame each.
const KEPT: Duration = Duration::from_secs(3);

/// What a frame weighs in the budget: payload and book-keeping.
fn cost(frame: &Frame) -> usize {
    frame.payload.len() + std::mem::size_of::<Item>()
}
