//! The floor: one thread that sends the same bytes to everybody with one system call per viewer and flush, and does nothing
//! else. No server that fans out over TCP can be cheaper without batching its system calls; how far above it a server is
//! says what its own work costs.
//!
//! Its frames are stamped with the time at which they were due, so that viewers measure the merge window too.

use crate::clock::{self, MILLIS, Nanos};
use crate::flv::{Clip, write_tag};
use crate::socket::{self, Received};
use crate::stamp;
use anyhow::Context;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use rustix::io::Errno;
use rustix::net::SendFlags;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// The write loop.
#[derive(Debug)]
pub(crate) struct Floor {
    listener: TcpListener,
    poll: Poll,
    clip: Clip,
    window: Nanos,
    /// Response head and FLV preamble, the same for all.
    head: Vec<u8>,
    log: Log,
    viewers: Vec<Option<FloorViewer>>,
    free: Vec<usize>,
    start: Nanos,
    /// The next frame of the clip, and the time at which this round of the loop began, in ms.
    next_frame: usize,
    round: u32,
    scratch: Vec<u8>,
}

#[derive(Debug)]
struct FloorViewer {
    stream: TcpStream,
    /// It has asked for something.
    live: bool,
    /// Bytes of the head that are sent.
    head_sent: usize,
    /// Where in the log it is.
    position: u64,
}

impl Floor {
    /// Listens, and prepares what is the same for every viewer.
    ///
    /// # Errors
    /// When the address cannot be had.
    pub(crate) fn bind(listen: SocketAddr, clip: Clip, window: Duration) -> anyhow::Result<Self> {
        let mut listener = TcpListener::bind(listen).with_context(|| format!("listening on {listen}"))?;
        let poll = Poll::new()?;
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        let mut head = b"HTTP/1.1 200 OK\r\nContent-Type: video/x-flv\r\nConnection: close\r\n\r\n".to_vec();
        head.extend(clip.preamble());
        Ok(Self {
            listener,
            poll,
            clip,
            window: clock::nanos(window),
            head,
            log: Log::new(),
            viewers: Vec::new(),
            free: Vec::new(),
            start: 0,
            next_frame: 0,
            round: 0,
            scratch: Vec::new(),
        })
    }

    /// Where it listens, once the port is chosen.
    ///
    /// # Errors
    /// What the operating system says.
    pub(crate) fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `stop`, or until `deadline`.
    ///
    /// # Errors
    /// When the kernel refuses to wait.
    pub(crate) fn run(mut self, deadline: Option<Nanos>, stop: &AtomicBool) -> io::Result<()> {
        let mut events = Events::with_capacity(1024);
        self.start = clock::now();
        let mut next_flush = self.start;
        while !stop.load(Ordering::Relaxed) {
            let frame_due = self.due();
            let wake = if self.window == 0 { frame_due } else { frame_due.max(next_flush) };
            let now = clock::now();
            if deadline.is_some_and(|deadline| now >= deadline) {
                break;
            }
            if wake > now {
                self.wait(&mut events, wake - now)?;
                if clock::now() < wake {
                    continue;
                }
            }
            let began = clock::now();
            self.append_due();
            for index in 0..self.viewers.len() {
                self.flush(index);
            }
            next_flush = began + self.window;
        }
        Ok(())
    }

    fn wait(&mut self, events: &mut Events, time: Nanos) -> io::Result<()> {
        match self.poll.poll(events, Some(Duration::from_millis(time.div_ceil(MILLIS)))) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            other => other?,
        }
        for event in events.iter() {
            if event.token() == LISTENER { self.accept() } else { self.hear(event.token().0) }
        }
        Ok(())
    }

    fn accept(&mut self) {
        // Errors of single connections end with them; out of descriptors, the next event tries again.
        while let Ok((mut stream, _)) = self.listener.accept() {
            let _ = stream.set_nodelay(true);
            let index = self.free.pop().unwrap_or_else(|| {
                self.viewers.push(None);
                self.viewers.len() - 1
            });
            if self.poll.registry().register(&mut stream, Token(index), Interest::READABLE).is_ok() {
                self.viewers[index] = Some(FloorViewer { stream, live: false, head_sent: 0, position: 0 });
            } else {
                self.free.push(index);
            }
        }
    }

    fn hear(&mut self, index: usize) {
        let mut request = [0; 4096];
        loop {
            let Some(Some(viewer)) = self.viewers.get_mut(index) else { return };
            match socket::receive(&viewer.stream, &mut request) {
                Received::Bytes(_) if !viewer.live => {
                    viewer.live = true;
                    viewer.position = self.log.newest_keyframe;
                    self.flush(index);
                }
                Received::Bytes(_) => {}
                Received::Later => return,
                Received::End | Received::Broken(_) => return self.drop_viewer(index),
            }
        }
    }

    /// When the next frame is due.
    fn due(&self) -> Nanos {
        let frame = self.clip.frames.get(self.next_frame).map_or(0, |frame| frame.timestamp);
        self.start + Nanos::from(self.round.wrapping_add(frame)) * MILLIS
    }

    fn append_due(&mut self) {
        let now = clock::now();
        while self.due() <= now {
            let due = self.due();
            let frame = &self.clip.frames[self.next_frame];
            let timestamp = self.round.wrapping_add(frame.timestamp);
            self.scratch.clear();
            match self.clip.nal_length_size.filter(|_| frame.takes_stamp()) {
                Some(size) => {
                    let body = stamp::stamped(&frame.body, size, due);
                    write_tag(frame.kind, timestamp, &body, &mut self.scratch);
                }
                None => write_tag(frame.kind, timestamp, &frame.body, &mut self.scratch),
            }
            self.log.append(&self.scratch, frame.is_keyframe());
            self.next_frame += 1;
            if self.next_frame == self.clip.frames.len() {
                self.next_frame = 0;
                self.round = self.round.wrapping_add(self.clip.span_ms);
            }
        }
    }

    /// Sends what the socket takes. The rest waits for the next flush: there is no second wakeup.
    fn flush(&mut self, index: usize) {
        let Some(Some(viewer)) = self.viewers.get_mut(index) else { return };
        if viewer.live && !viewer.send(&self.head, &self.log) {
            self.drop_viewer(index);
        }
    }

    fn drop_viewer(&mut self, index: usize) {
        if self.viewers[index].take().is_some() {
            self.free.push(index);
        }
    }
}

impl FloorViewer {
    fn send(&mut self, head: &[u8], log: &Log) -> bool {
        while self.head_sent < head.len() {
            match self.write([&head[self.head_sent..], &[]]) {
                Ok(0) => return true,
                Ok(count) => self.head_sent += count,
                Err(()) => return false,
            }
        }
        let Some(pieces) = log.since(self.position) else { return false };
        if pieces[0].is_empty() {
            return true;
        }
        self.write(pieces).map(|count| self.position += count as u64).is_ok()
    }

    fn write(&self, pieces: [&[u8]; 2]) -> Result<usize, ()> {
        let result = if pieces[1].is_empty() {
            rustix::net::send(&self.stream, pieces[0], SendFlags::DONTWAIT | SendFlags::NOSIGNAL)
        } else {
            rustix::io::writev(&self.stream, &[IoSlice::new(pieces[0]), IoSlice::new(pieces[1])])
        };
        match result {
            Ok(count) => Ok(count),
            Err(Errno::AGAIN | Errno::INTR) => Ok(0),
            Err(_) => Err(()),
        }
    }
}

/// The newest bytes of the broadcast, in a ring; positions count from its beginning and never wrap.
#[derive(Debug)]
struct Log {
    ring: Vec<u8>,
    end: u64,
    newest_keyframe: u64,
}

impl Log {
    fn new() -> Self {
        Self { ring: vec![0; LOG_BYTES], end: 0, newest_keyframe: 0 }
    }

    fn append(&mut self, bytes: &[u8], keyframe: bool) {
        if keyframe {
            self.newest_keyframe = self.end;
        }
        // Only the last LOG_BYTES of a frame larger than the ring would be left, and no viewer could follow anyway.
        let at = (self.end % LOG_BYTES as u64) as usize;
        let first = bytes.len().min(LOG_BYTES - at);
        self.ring[at..at + first].copy_from_slice(&bytes[..first]);
        let second = (bytes.len() - first).min(LOG_BYTES);
        self.ring[..second].copy_from_slice(&bytes[first..first + second]);
        self.end += bytes.len() as u64;
    }

    /// All bytes from `position` on, in two pieces when they wrap. `None` when they are no longer there.
    fn since(&self, position: u64) -> Option<[&[u8]; 2]> {
        let length = usize::try_from(self.end - position).ok().filter(|length| *length <= LOG_BYTES)?;
        let at = (position % LOG_BYTES as u64) as usize;
        let first = length.min(LOG_BYTES - at);
        Some([&self.ring[at..at + first], &self.ring[..length - first]])
    }
}

const LISTENER: Token = Token(usize::MAX - 1);
/// Half a minute of 8 Mbit/s: who is further behind is dropped.
const LOG_BYTES: usize = 32 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_gives_back_what_went_in_across_its_seam() {
        let mut log = Log::new();
        let frame: Vec<u8> = (0..=255).cycle().take(1_000_003).collect();
        for round in 0..40 {
            let before = log.end;
            log.append(&frame, round % 10 == 0);
            assert_eq!(log.since(before).unwrap().concat(), frame);
        }
        assert_eq!(log.newest_keyframe, 30 * 1_000_003);
        assert!(log.since(0).is_none(), "overwritten");
        assert!(log.since(log.end).unwrap()[0].is_empty());
    }
}
