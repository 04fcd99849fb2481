//! The chunks that the viewers of a feed read.

use crate::memory_file::MemoryFile;
use bytes::{Bytes, BytesMut};
use std::collections::VecDeque;
use std::io::IoSlice;
use std::ops::Range;
use std::time::{Duration, Instant};

/// All that was muxed in one merge window.
#[derive(Debug)]
struct Chunk {
    /// Offset of its first byte since the feed began.
    start: u64,
    bytes: Bytes,
    /// The same bytes, where many viewers get many of them.
    file: Option<MemoryFile>,
    /// Where frames end, relative to `start`, ascending.
    frame_ends: Vec<u32>,
    closed: Instant,
}

impl Chunk {
    fn end(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }
}

/// A byte log with one writer; viewers hold offsets into it.
///
/// Keeps the newest group and whatever a viewer still has to read. Overflow policy: the owner makes viewers
/// skip or closes them before it trims to the budget.
#[derive(Debug)]
pub(crate) struct ChunkLog {
    chunks: VecDeque<Chunk>,
    open: BytesMut,
    open_ends: Vec<u32>,
    open_start: u64,
    newest_group: u64,
}

impl ChunkLog {
    pub(crate) fn new() -> ChunkLog {
        ChunkLog {
            chunks: VecDeque::new(),
            open: BytesMut::new(),
            open_ends: Vec::new(),
            open_start: 0,
            newest_group: 0,
        }
    }

    /// Where to append the next frame; follow with [`ChunkLog::frame_written`].
    pub(crate) fn buffer(&mut self) -> &mut BytesMut {
        if self.open.capacity() - self.open.len() < OPEN_SPARE_BYTES {
            self.open.reserve(OPEN_BYTES);
        }
        &mut self.open
    }

    /// A group starts with the next frame.
    pub(crate) fn group_starts(&mut self) {
        self.newest_group = self.written();
    }

    /// What was appended since the last call is one frame.
    pub(crate) fn frame_written(&mut self) {
        self.open_ends.push(u32::try_from(self.open.len()).unwrap_or(u32::MAX));
    }

    /// Makes what was appended readable.
    pub(crate) fn close_chunk(&mut self, now: Instant) {
        if self.open.is_empty() {
            return;
        }
        let bytes = self.open.split().freeze();
        let start = self.open_start;
        self.open_start += bytes.len() as u64;
        let frame_ends = self.open_ends.as_slice().to_vec();
        self.open_ends.clear();
        self.chunks.push_back(Chunk { start, bytes, file: None, frame_ends, closed: now });
    }

    /// Offset behind the last byte that was appended, readable or not.
    pub(crate) fn written(&self) -> u64 {
        self.open_start + self.open.len() as u64
    }

    /// Offset behind the last readable byte.
    pub(crate) fn end(&self) -> u64 {
        self.open_start
    }

    /// Offset of the first byte that is kept.
    pub(crate) fn start(&self) -> u64 {
        self.chunks.front().map_or(self.open_start, |c| c.start)
    }

    /// Offset where the newest group starts.
    pub(crate) fn newest_group(&self) -> u64 {
        self.newest_group.max(self.start())
    }

    /// Bytes that are kept.
    pub(crate) fn bytes(&self) -> usize {
        usize::try_from(self.end() - self.start()).unwrap_or(usize::MAX)
    }

    /// Offset that was the end `age` ago: who is behind it is more than `age` late.
    pub(crate) fn end_before(&self, now: Instant, age: Duration) -> u64 {
        let late = |c: &&Chunk| now.saturating_duration_since(c.closed) > age;
        self.chunks.iter().take_while(late).last().map_or(self.start(), Chunk::end)
    }

    /// The readable bytes from `offset` on, as slices for a vectored write; returns how many slices are set.
    pub(crate) fn slices<'a>(&'a self, offset: u64, out: &mut [IoSlice<'a>]) -> usize {
        let mut count = 0;
        for chunk in self.chunks.iter().skip(self.index_of(offset)).take(out.len()) {
            let skip = usize::try_from(offset.saturating_sub(chunk.start)).unwrap_or(0);
            out[count] = IoSlice::new(&chunk.bytes[skip.min(chunk.bytes.len())..]);
            count += 1;
        }
        count
    }

    /// Puts the newest chunk into a memory file, if it is large.
    pub(crate) fn store_newest(&mut self) {
        let newest = self.chunks.back_mut().filter(|c| c.file.is_none() && c.bytes.len() >= FILE_BYTES_MIN);
        if let Some(chunk) = newest {
            chunk.file = MemoryFile::holding(&chunk.bytes);
        }
    }

    /// The memory file that has the byte at `offset`, and what of it is to be sent.
    pub(crate) fn file(&self, offset: u64) -> Option<(&MemoryFile, Range<u64>)> {
        let chunk = self.chunks.get(self.index_of(offset))?;
        let file = chunk.file.as_ref()?;
        Some((file, offset.checked_sub(chunk.start)?..chunk.bytes.len() as u64))
    }

    /// The rest of the frame that `offset` lies in; empty on a boundary.
    pub(crate) fn rest_of_frame(&self, offset: u64) -> Bytes {
        let Some(chunk) = self.chunks.get(self.index_of(offset)) else { return Bytes::new() };
        let Some(at) = offset.checked_sub(chunk.start).and_then(|n| usize::try_from(n).ok()) else {
            return Bytes::new();
        };
        if at == 0 {
            return Bytes::new();
        }
        let next = chunk.frame_ends.partition_point(|e| (*e as usize) < at);
        let end = chunk.frame_ends.get(next).map_or(chunk.bytes.len(), |e| *e as usize);
        chunk.bytes.slice(at.min(end)..end)
    }

    /// Forgets what lies before both `needed` and the newest group.
    pub(crate) fn trim(&mut self, needed: u64) {
        let keep = needed.min(self.newest_group());
        while self.chunks.front().is_some_and(|c| c.end() <= keep) {
            self.chunks.pop_front();
        }
    }

    /// Index of the chunk that holds `offset`.
    fn index_of(&self, offset: u64) -> usize {
        match self.chunks.back() {
            // Nearly every viewer is up to date: the last chunk is what it wants.
            Some(last) if offset == last.start => self.chunks.len() - 1,
            _ => self.chunks.partition_point(|c| c.end() <= offset),
        }
    }
}

/// Smaller chunks are copied to each socket: passing pages costs about as much as copying so many bytes.
const FILE_BYTES_MIN: usize = 24 << 10;
/// Chunks are cut from allocations of this size, so that small windows don't allocate per frame.
const OPEN_BYTES: usize = 64 << 10;
/// Below this much room a new allocation is made.
const OPEN_SPARE_BYTES: usize = 4 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn log_of(frames: &[(&str, bool)], now: Instant) -> ChunkLog {
        let mut log = ChunkLog::new();
        for (text, starts_group) in frames {
            if *starts_group {
                log.group_starts();
            }
            log.buffer().extend_from_slice(text.as_bytes());
            log.frame_written();
        }
        log.close_chunk(now);
        log
    }

    fn read(log: &ChunkLog, offset: u64) -> String {
        let mut slices = [IoSlice::new(&[]); 8];
        let count = log.slices(offset, &mut slices);
        slices[..count].iter().map(|s| String::from_utf8_lossy(s).into_owned()).collect()
    }

    #[test]
    fn a_joining_viewer_starts_at_the_newest_group() {
        let log = log_of(&[("old.", true), ("old.", false), ("new.", true), ("tail", false)], Instant::now());
        assert_eq!(read(&log, log.newest_group()), "new.tail");
    }

    #[test]
    fn a_viewer_that_skips_first_finishes_its_frame() {
        let log = log_of(&[("aaaa", true), ("bbbb", false)], Instant::now());
        assert_eq!(&log.rest_of_frame(5)[..], b"bbb");
        assert_eq!(&log.rest_of_frame(4)[..], b"");
        assert_eq!(&log.rest_of_frame(0)[..], b"");
        assert_eq!(&log.rest_of_frame(8)[..], b"");
    }

    #[test]
    fn trimming_keeps_the_newest_group_and_what_is_needed() {
        let now = Instant::now();
        let mut log = log_of(&[("1111", true)], now);
        for text in ["2222", "3333"] {
            log.group_starts();
            log.buffer().extend_from_slice(text.as_bytes());
            log.frame_written();
            log.close_chunk(now);
        }
        log.trim(5);
        assert_eq!((log.start(), log.end()), (4, 12));
        log.trim(12);
        assert_eq!(read(&log, 8), "3333");
        assert_eq!(log.start(), 8);
    }

    #[test]
    fn lateness_is_told_by_when_chunks_were_closed() {
        let start = Instant::now();
        let mut log = log_of(&[("1111", true)], start);
        log.buffer().extend_from_slice(b"2222");
        log.frame_written();
        log.close_chunk(start + Duration::from_secs(2));
        assert_eq!(log.end_before(start + Duration::from_secs(3), Duration::from_secs(2)), 4);
        assert_eq!(log.end_before(start + Duration::from_secs(1), Duration::from_secs(2)), 0);
    }
}
