//! Sockets of bad company: many, from chosen addresses.

use anyhow::{Context, Result};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::{Domain, SockAddr, SockFilter, Socket, Type};
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// Connections that are open at the same time.
#[derive(Debug, Default)]
pub struct Flood(Vec<TcpStream>);

/// A connection to 127.0.0.1 from an address of loopback.
///
/// # Errors
/// When nobody listens, or the system has no port left.
pub fn knock(source: Ipv4Addr, port: u16) -> Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SockAddr::from(SocketAddr::from((source, 0))))?;
    let target = SockAddr::from(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    socket.connect(&target).with_context(|| format!("{source} to port {port}"))?;
    let socket = TcpStream::from(socket);
    socket.set_read_timeout(Some(SILENCE_MAX))?;
    socket.set_write_timeout(Some(SILENCE_MAX))?;
    Ok(socket)
}

/// A server that is silent for longer has failed the test.
const SILENCE_MAX: Duration = Duration::from_secs(20);
/// Addresses that a flood comes from, 127.9.0.1 and following.
const SOURCES: usize = 100;
/// `BPF_RET | BPF_K` with 0: take nothing in. See bpf(2) and linux/bpf_common.h.
const DROP_ALL: SockFilter = SockFilter::new(0x06, 0, 0, 0);

impl Flood {
    /// So many connections, from a hundred addresses in turn; each says `hello` first.
    ///
    /// # Errors
    /// When the system doesn't give so many.
    pub fn open(count: usize, port: u16, hello: &[u8]) -> Result<Flood> {
        raise_descriptors()?;
        let mut sockets = Vec::with_capacity(count);
        for number in 0..count {
            let last = u8::try_from(1 + number % SOURCES)?;
            let mut socket = knock(Ipv4Addr::new(127, 9, 0, last), port)?;
            socket.write_all(hello)?;
            sockets.push(socket);
        }
        Ok(Flood(sockets))
    }

    /// Waits until something came on each.
    ///
    /// # Errors
    /// When one is silent or ends.
    pub fn hear(&mut self) -> Result<()> {
        let mut buffer = [0; 64];
        self.0.iter_mut().try_for_each(|socket| Ok(socket.read_exact(&mut buffer)?))
    }

    /// From now on the peers are as if the cable was cut: they take nothing in, and answer nothing.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn vanish(&self) -> Result<()> {
        self.0.iter().try_for_each(cut_cable)
    }

    /// How many the server closed within `limit`.
    ///
    /// # Errors
    /// When the system can't say.
    pub fn closed_within(&mut self, limit: Duration) -> Result<usize> {
        let until = Instant::now() + limit;
        let mut closed = 0;
        for socket in &mut self.0 {
            let left = until.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
            socket.set_read_timeout(Some(left))?;
            let mut rest = Vec::new();
            match socket.read_to_end(&mut rest) {
                Ok(_) => closed += 1,
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(_) => closed += 1,
            }
        }
        Ok(closed)
    }
}

/// From now on this peer takes nothing in, and answers nothing.
pub(crate) fn cut_cable(socket: &TcpStream) -> Result<()> {
    Ok(socket2::SockRef::from(socket).attach_filter(&[DROP_ALL])?)
}

/// As many descriptors as the system allows.
fn raise_descriptors() -> Result<()> {
    let limit = getrlimit(Resource::Nofile);
    Ok(setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })?)
}
