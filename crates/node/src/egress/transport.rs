//! A viewer's socket, plain or encrypted.

use crate::memory_file::MemoryFile;
use mio::net::TcpStream;
use rustix::fs::sendfile;
use rustix::io::Errno;
use std::io::{self, IoSlice, Read, Write};
use std::ops::Range;

/// A viewer's socket.
#[derive(Debug)]
pub(crate) enum Transport {
    /// TCP.
    Plain(TcpStream),
    /// TLS over TCP; boxed, since the state of TLS is far larger than a viewer.
    Tls(Box<Tls>),
}

/// A TLS session whose handshake is over.
#[derive(Debug)]
pub(crate) struct Tls {
    socket: TcpStream,
    session: rustls::ServerConnection,
}

/// What became of a write.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Written {
    /// So many bytes are on their way; `full` when the socket takes no more for now.
    Bytes { count: usize, full: bool },
    /// The connection is gone; `silent` when its peer acknowledged nothing for too long.
    Gone { silent: bool },
}

impl Transport {
    /// A TLS connection whose handshake is over.
    pub(crate) fn tls(socket: TcpStream, session: rustls::ServerConnection) -> Transport {
        Transport::Tls(Box::new(Tls { socket, session }))
    }

    pub(crate) fn socket(&mut self) -> &mut TcpStream {
        match self {
            Transport::Plain(socket) => socket,
            Transport::Tls(tls) => &mut tls.socket,
        }
    }

    /// Writes what the socket takes.
    pub(crate) fn write(&mut self, slices: &[IoSlice<'_>]) -> Written {
        match self {
            Transport::Plain(socket) => write_plain(socket, slices),
            Transport::Tls(tls) => tls.write(slices),
        }
    }

    /// Sends a part of a memory file; `None` where that can't be done.
    pub(crate) fn send_file(&mut self, file: &MemoryFile, part: Range<u64>) -> Option<Written> {
        let Transport::Plain(socket) = self else { return None };
        let (mut offset, total) = (part.start, (part.end - part.start) as usize);
        loop {
            return Some(match sendfile(&*socket, file.descriptor(), Some(&mut offset), total) {
                Ok(count) => Written::Bytes { count, full: count < total },
                Err(Errno::WOULDBLOCK) => Written::Bytes { count: 0, full: true },
                Err(Errno::INTR) => continue,
                Err(error) => Written::Gone { silent: error == Errno::TIMEDOUT },
            });
        }
    }

    /// Sends what was taken in and is still here; false when the socket takes no more.
    pub(crate) fn flush(&mut self) -> bool {
        match self {
            Transport::Plain(_) => true,
            Transport::Tls(tls) => tls.flush(),
        }
    }

    /// Reads what came in: `Ok(0)` at the end, `WouldBlock` when there is nothing.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Transport::Plain(socket) => socket.read(buffer),
            Transport::Tls(tls) => tls.read(buffer),
        }
    }

    /// Says goodbye as far as the socket takes it.
    pub(crate) fn close(&mut self) {
        if let Transport::Tls(tls) = self {
            tls.session.send_close_notify();
            tls.flush();
        }
        // A peer that is gone already needs no goodbye.
        let _ = self.socket().shutdown(std::net::Shutdown::Write);
    }
}

fn write_plain(socket: &mut TcpStream, slices: &[IoSlice<'_>]) -> Written {
    let total: usize = slices.iter().map(|s| s.len()).sum();
    loop {
        let result = match slices {
            [one] => socket.write(one),
            many => socket.write_vectored(many),
        };
        return match result {
            Ok(count) => Written::Bytes { count, full: count < total },
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => Written::Bytes { count: 0, full: true },
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => Written::Gone { silent: e.kind() == io::ErrorKind::TimedOut },
        };
    }
}

impl Tls {
    /// Sends what is encrypted already; false when the socket takes no more.
    fn flush(&mut self) -> bool {
        while self.session.wants_write() {
            match self.session.write_tls(&mut self.socket) {
                Ok(_) => {}
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
        }
        true
    }

    fn write(&mut self, slices: &[IoSlice<'_>]) -> Written {
        if !self.flush() {
            return Written::Bytes { count: 0, full: true };
        }
        // rustls takes as much as its buffer limit allows; the rest stays with the caller.
        match self.session.writer().write_vectored(slices) {
            Ok(count) => Written::Bytes { count, full: !self.flush() },
            Err(_) => Written::Gone { silent: false },
        }
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.session.read_tls(&mut self.socket)? == 0 {
            return Ok(0);
        }
        self.session.process_new_packets().map_err(io::Error::other)?;
        self.session.reader().read(buffer)
    }
}
