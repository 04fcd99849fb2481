//! Sockets of simulated clients: connect from a chosen source address, read, discard in the kernel, write what fits.

use crate::clock::{Nanos, SECONDS};
use mio::net::TcpStream;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::AsFd;
use std::time::Duration;

/// What one read brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Received {
    /// So many bytes.
    Bytes(usize),
    /// Nothing now.
    Later,
    /// The peer has closed in order.
    End,
    /// The connection broke.
    Broken(&'static str),
}

/// Starts to connect without waiting.
///
/// `receive_buffer` bounds what the kernel takes in for us: a slow viewer must not hide its slowness in megabytes.
///
/// # Errors
/// What the operating system says; out of ports and out of descriptors are the usual ones.
pub(crate) fn connect(
    target: SocketAddr,
    source: Option<Ipv4Addr>,
    receive_buffer: Option<usize>,
) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(target), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    socket.set_tcp_nodelay(true)?;
    if let Some(bytes) = receive_buffer {
        socket.set_recv_buffer_size(bytes)?;
    }
    if let Some(address) = source {
        socket.bind(&SockAddr::from(SocketAddr::new(IpAddr::V4(address), 0)))?;
    }
    match socket.connect(&SockAddr::from(target)) {
        Ok(()) => {}
        Err(error) if error.raw_os_error() == Some(Errno::INPROGRESS.raw_os_error()) => {}
        Err(error) => return Err(error),
    }
    Ok(TcpStream::from_std(std::net::TcpStream::from(socket)))
}

/// The source address of client `index`: thousands of connections to one loopback port would use up one address's ports.
/// Beyond loopback the routing table chooses.
pub(crate) fn source_address(target: SocketAddr, index: usize, sources: usize) -> Option<Ipv4Addr> {
    let last = u8::try_from(index % sources.clamp(1, SOURCES_MAX)).unwrap_or(0);
    (target.is_ipv4() && target.ip().is_loopback()).then(|| Ipv4Addr::new(127, 0, 1, 1 + last))
}

/// Reads into `buffer`.
pub(crate) fn receive(fd: impl AsFd, buffer: &mut [u8]) -> Received {
    received(rustix::net::recv(fd, buffer, RecvFlags::DONTWAIT).map(|(_, count)| count))
}

/// Lets the kernel throw away up to `buffer.len()` bytes: on TCP `MSG_TRUNC` copies nothing out (tcp(7)), the buffer only
/// names the length.
pub(crate) fn discard(fd: impl AsFd, buffer: &mut [u8]) -> Received {
    let flags = RecvFlags::DONTWAIT | RecvFlags::TRUNC;
    received(rustix::net::recv(fd, buffer, flags).map(|(_, count)| count))
}

/// Sends what the socket takes and removes it from `out`. `false` when the connection is broken.
pub(crate) fn send_some(fd: impl AsFd, out: &mut Vec<u8>) -> bool {
    let mut sent = 0;
    let mut alive = true;
    while sent < out.len() {
        match rustix::net::send(&fd, &out[sent..], SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
            Ok(count) => sent += count,
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN | Errno::NOTCONN | Errno::INPROGRESS) => break,
            Err(_) => {
                alive = false;
                break;
            }
        }
    }
    out.drain(..sent);
    if out.is_empty() {
        // Thousands of clients each keep their request otherwise.
        *out = Vec::new();
    }
    alive
}

/// Why a connection attempt failed, once the socket reports an error.
pub(crate) fn connect_failure(stream: &TcpStream) -> Option<&'static str> {
    match stream.take_error() {
        Ok(Some(error)) => Some(reason(error.raw_os_error().map(Errno::from_raw_os_error))),
        _ => None,
    }
}

/// Raises the limit of open descriptors to `wanted`, as far as the machine lets us.
///
/// # Errors
/// The limit that remains, when it is below `wanted`.
pub(crate) fn raise_descriptor_limit(wanted: u64) -> Result<(), u64> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let current = getrlimit(Resource::Nofile);
    if current.current.is_none_or(|limit| limit >= wanted) {
        return Ok(());
    }
    // Only the privileged may raise the hard limit; the others take what there is.
    let both = Rlimit { current: Some(wanted), maximum: Some(current.maximum.unwrap_or(wanted).max(wanted)) };
    if setrlimit(Resource::Nofile, both).is_ok() {
        return Ok(());
    }
    let soft = Rlimit { current: current.maximum, maximum: current.maximum };
    let _ = setrlimit(Resource::Nofile, soft);
    match getrlimit(Resource::Nofile).current {
        Some(limit) if limit < wanted => Err(limit),
        _ => Ok(()),
    }
}

/// Tries one connection, waiting for its result: a wrong address should be said before the crowd sets off.
///
/// # Errors
/// What the operating system says.
pub(crate) fn try_connect(target: SocketAddr, patience: Nanos) -> io::Result<()> {
    std::net::TcpStream::connect_timeout(&target, Duration::from_secs(patience / SECONDS)).map(drop)
}

fn received(result: Result<usize, Errno>) -> Received {
    match result {
        Ok(0) => Received::End,
        Ok(count) => Received::Bytes(count),
        Err(Errno::AGAIN | Errno::INTR | Errno::NOTCONN) => Received::Later,
        Err(errno) => Received::Broken(reason(Some(errno))),
    }
}

fn reason(errno: Option<Errno>) -> &'static str {
    match errno {
        Some(Errno::CONNREFUSED) => "connection refused",
        Some(Errno::CONNRESET) => "connection reset",
        Some(Errno::TIMEDOUT) => "connection timed out",
        Some(Errno::PIPE) => "broken pipe",
        Some(Errno::HOSTUNREACH | Errno::NETUNREACH) => "unreachable",
        _ => "socket error",
    }
}

/// Source addresses 127.0.1.1 to 127.0.1.250.
pub(crate) const SOURCES_MAX: usize = 250;
