//! One socket and its cursor.

use super::Transport;
use super::log::ChunkLog;
use super::transport::Written;
use crate::limits::Admission;
use crate::sessions::SessionGuard;
use bytes::Bytes;
use hub::ViewerGuard;
use std::collections::VecDeque;
use std::io::IoSlice;
use std::time::Instant;

/// One viewer.
#[derive(Debug)]
pub(crate) struct Viewer {
    pub(crate) transport: Transport,
    /// Number of its feed on this worker.
    pub(crate) feed: usize,
    /// Its place in the feed's members.
    pub(crate) place: usize,
    /// Offset of the next byte of the feed's log.
    pub(crate) cursor: u64,
    /// Sent before the log: heads, the rest of a frame before a skip, replies.
    pub(crate) before: VecDeque<Bytes>,
    /// The socket took less than it was given: wait until it is writable.
    pub(crate) full: bool,
    /// Waits for the tracks to be known.
    pub(crate) waiting: bool,
    pub(crate) asked: Instant,
    pub(crate) progressed: Instant,
    /// Whether a byte of media was written.
    pub(crate) started: bool,
    pub(crate) skips: u32,
    /// Bytes sent.
    pub(crate) sent: u64,
    pub(crate) session: SessionGuard,
    /// Counts it as a listener of a derived broadcast.
    pub(crate) _lease: Option<ViewerGuard>,
    /// Counts its connection.
    pub(crate) _admission: Admission,
}

/// Slices of one vectored write. A viewer that is up to date needs one.
const SLICES_MAX: usize = 64;

/// What became of writing to a viewer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// So many bytes went out.
    Sent(u64),
    /// The connection is gone; `silent` when its peer acknowledged nothing for too long.
    Gone { silent: bool },
}

impl Viewer {
    /// Writes all that the socket takes.
    pub(crate) fn write(&mut self, log: &ChunkLog, now: Instant) -> Progress {
        let mut sent = 0;
        while !self.full {
            if let Some(written) = self.send_file(log) {
                match written {
                    Written::Gone { silent } => return Progress::Gone { silent },
                    Written::Bytes { count, full } => {
                        self.full = full;
                        sent += count as u64;
                        self.cursor += count as u64;
                    }
                }
                continue;
            }
            let mut slices = [IoSlice::new(&[]); SLICES_MAX];
            let mut count = 0;
            for (slice, bytes) in slices.iter_mut().zip(&self.before) {
                *slice = IoSlice::new(bytes);
                count += 1;
            }
            if !self.waiting && count < SLICES_MAX {
                count += log.slices(self.cursor, &mut slices[count..]);
            }
            if count == 0 {
                self.full = !self.transport.flush();
                break;
            }
            match self.transport.write(&slices[..count]) {
                Written::Gone { silent } => return Progress::Gone { silent },
                Written::Bytes { count, full } => {
                    self.full = full;
                    sent += count as u64;
                    self.advance(count);
                }
            }
        }
        if sent > 0 {
            self.sent += sent;
            self.progressed = now;
        }
        Progress::Sent(sent)
    }

    /// Sends from a memory file, if that is where it goes on.
    fn send_file(&mut self, log: &ChunkLog) -> Option<Written> {
        if self.waiting || !self.before.is_empty() {
            return None;
        }
        let (file, part) = log.file(self.cursor)?;
        self.transport.send_file(file, part)
    }

    fn advance(&mut self, mut count: usize) {
        while let Some(bytes) = self.before.front_mut() {
            if count < bytes.len() {
                *bytes = bytes.slice(count..);
                return;
            }
            count -= bytes.len();
            self.before.pop_front();
        }
        if self.before.capacity() > 0 {
            // Heads are sent once; a viewer must not carry their queue for the rest of its life.
            self.before = VecDeque::new();
        }
        self.cursor += count as u64;
    }

    /// Goes on at the newest group, after the rest of the frame that is half sent.
    pub(crate) fn skip(&mut self, log: &ChunkLog) {
        let rest = log.rest_of_frame(self.cursor);
        if !rest.is_empty() {
            // Copied, so that one slow viewer doesn't keep a whole chunk alive.
            self.before.push_back(Bytes::copy_from_slice(&rest));
        }
        self.cursor = log.newest_group();
        self.skips += 1;
    }
}
