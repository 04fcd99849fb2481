//! Media by TCP, for networks that let no UDP through. RFC 6544; each datagram has its length before it (RFC 4571 §2).

use super::socket::Route;
use crate::gateway::Door;
use crate::limits::Admission;
use mio::net::{TcpListener, TcpStream};
use mio::{Interest, Registry, Token};
use socket2::{Domain, Protocol, Socket, Type};
use std::collections::HashMap;
use std::io::{ErrorKind, Read, Result, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// The TCP connections of one worker.
#[derive(Debug)]
pub(super) struct Pipes {
    /// None once another process has the port.
    listener: Option<TcpListener>,
    door: Door,
    pipes: Vec<Option<Pipe>>,
    by_peer: HashMap<SocketAddr, usize>,
    /// Those with something to write.
    dirty: Vec<usize>,
    lost: u64,
}

/// One TCP connection.
#[derive(Debug)]
pub(super) struct Pipe {
    tcp: TcpStream,
    from: SocketAddr,
    to: SocketAddr,
    inbound: Vec<u8>,
    /// Where what isn't read yet begins.
    read: usize,
    outbound: Vec<u8>,
    /// When it came; `None` once it is known whose it is.
    stranger: Option<Instant>,
    /// Counts it, like every other connection.
    _admission: Admission,
    /// It ended, or its peer sends what isn't media.
    over: bool,
}

pub(super) const LISTENER: Token = Token(2);
const FIRST_PIPE: usize = 16;
/// Who doesn't say whose it is has no business here.
const STRANGER_MAX: Duration = Duration::from_secs(10);
const STRANGERS_MAX: usize = 512;
/// The largest datagram: nothing of WebRTC is larger than what fits a network's packet.
const DATAGRAM_BYTES_MAX: usize = 2048;
/// Some seconds of pictures. A slower peer loses datagrams as it would by UDP, and is not sent old pictures.
const OUTBOUND_BYTES_MAX: usize = 512 << 10;
const READ_BYTES: usize = 16 << 10;
/// Connections that may wait to be accepted.
const BACKLOG: i32 = 1024;

/// Listens on the port of all workers; see [`super::socket::open`].
///
/// # Errors
/// When the port is taken.
pub(super) fn open(address: SocketAddr, count: usize, shared: bool) -> Result<Vec<std::net::TcpListener>> {
    if !shared {
        drop(std::net::TcpListener::bind(address)?);
    }
    let listen = |_| {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_port(true)?;
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        Ok(socket.into())
    };
    (0..count).map(listen).collect()
}

impl Pipes {
    pub(super) fn new(listener: std::net::TcpListener, door: Door) -> Pipes {
        let listener = Some(TcpListener::from_std(listener));
        Pipes { listener, door, pipes: Vec::new(), by_peer: HashMap::new(), dirty: Vec::new(), lost: 0 }
    }

    /// # Errors
    /// When the system can't watch for connections.
    pub(super) fn watch(&mut self, registry: &Registry) -> Result<()> {
        self.listener
            .as_mut()
            .map_or(Ok(()), |listener| registry.register(listener, LISTENER, Interest::READABLE))
    }

    /// Accepts nobody any more.
    pub(super) fn leave(&mut self) {
        self.listener = None;
    }

    /// Which pipe an event is about.
    pub(super) fn number(token: Token) -> Option<usize> {
        token.0.checked_sub(FIRST_PIPE)
    }

    /// The events of a pipe.
    pub(super) fn token(number: usize) -> Token {
        Token(FIRST_PIPE + number)
    }

    /// Takes all that wait to be accepted.
    pub(super) fn accept(&mut self, registry: &Registry, now: Instant) {
        loop {
            let Some(listener) = &self.listener else { return };
            match listener.accept() {
                Ok((tcp, from)) => self.come_in(tcp, from, now, registry),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    tracing::debug!(%error, "a TCP connection can't be accepted");
                    return;
                }
            }
        }
    }

    /// Takes a connection in, unless its address or everybody has too many, or too many haven't said whose they are. Who isn't taken in
    /// is closed.
    fn come_in(&mut self, tcp: TcpStream, from: SocketAddr, now: Instant, registry: &Registry) {
        let strangers = self.pipes.iter().flatten().filter(|pipe| pipe.stranger.is_some()).count();
        if strangers >= STRANGERS_MAX {
            return;
        }
        if let (Ok(admission), Ok(to)) = (self.door.admit(from), tcp.local_addr()) {
            // Without it a picture's last datagram would wait for an acknowledgement.
            let _ = tcp.set_nodelay(true);
            self.adopt(Pipe::new(tcp, (from, to), admission, now), registry);
        }
    }

    /// Takes a pipe in, a new one or one of another worker; its number.
    pub(super) fn adopt(&mut self, mut pipe: Pipe, registry: &Registry) -> Option<usize> {
        let number = self.pipes.iter().position(Option::is_none).unwrap_or(self.pipes.len());
        let interest = Interest::READABLE | Interest::WRITABLE;
        registry.register(&mut pipe.tcp, Pipes::token(number), interest).ok()?;
        self.by_peer.insert(pipe.from, number);
        if number == self.pipes.len() {
            self.pipes.push(None);
        }
        self.pipes[number] = Some(pipe);
        Some(number)
    }

    /// Reads what is there. False when nothing more is; it then is told when there is.
    pub(super) fn fill(&mut self, number: usize) -> bool {
        self.pipes.get_mut(number).and_then(Option::as_mut).is_some_and(Pipe::fill)
    }

    /// Copies the next whole datagram of what was read; from whom it is, and to which of our addresses.
    pub(super) fn next(&mut self, number: usize, datagram: &mut Vec<u8>) -> Option<(Route, SocketAddr)> {
        let pipe = self.pipes.get_mut(number)?.as_mut()?;
        let range = pipe.next()?;
        datagram.clear();
        datagram.extend_from_slice(&pipe.inbound[range]);
        Some((Route { at: pipe.from, tcp: true }, pipe.to))
    }

    /// Closes a pipe that ended; its peer.
    pub(super) fn close_if_over(&mut self, number: usize) -> Option<Route> {
        let pipe = self.pipes.get_mut(number)?.take_if(|pipe| pipe.over)?;
        self.by_peer.remove(&pipe.from);
        Some(Route { at: pipe.from, tcp: true })
    }

    /// Gives a pipe to another worker, who has its connection and reads the last datagram again.
    pub(super) fn give_away(
        &mut self,
        from: SocketAddr,
        datagram: &[u8],
        registry: &Registry,
    ) -> Option<Pipe> {
        let number = self.by_peer.remove(&from)?;
        let mut pipe = self.pipes[number].take()?;
        pipe.read -= datagram.len() + 2;
        // It is registered anew by who gets it; what can't be undone here ends with the socket.
        let _ = registry.deregister(&mut pipe.tcp);
        Some(pipe)
    }

    /// Its peer is known.
    pub(super) fn known(&mut self, from: SocketAddr) {
        if let Some(pipe) = self.by_peer.get(&from).and_then(|at| self.pipes[*at].as_mut()) {
            pipe.stranger = None;
        }
    }

    /// Closes the pipe to a peer.
    pub(super) fn close(&mut self, from: SocketAddr) {
        if let Some(number) = self.by_peer.remove(&from) {
            self.pipes[number] = None;
        }
    }

    /// Closes those who don't say whose they are.
    pub(super) fn sweep(&mut self, now: Instant) {
        for pipe in &mut self.pipes {
            let late = |since: Instant| now.saturating_duration_since(since) >= STRANGER_MAX;
            if let Some(gone) = pipe.take_if(|pipe| pipe.stranger.is_some_and(late)) {
                self.by_peer.remove(&gone.from);
            }
        }
    }

    /// Puts a datagram behind those that wait for the same peer.
    pub(super) fn send(&mut self, to: SocketAddr, bytes: &[u8]) {
        let Some(number) = self.by_peer.get(&to).copied() else { return };
        let Some(pipe) = self.pipes[number].as_mut() else { return };
        match u16::try_from(bytes.len()) {
            Ok(length) if pipe.outbound.len() + bytes.len() <= OUTBOUND_BYTES_MAX => {
                pipe.outbound.extend_from_slice(&length.to_be_bytes());
                pipe.outbound.extend_from_slice(bytes);
                self.dirty.push(number);
            }
            _ => self.lost += 1,
        }
    }

    /// Writes what the system takes; the rest waits for [`Pipes::writable`].
    pub(super) fn flush(&mut self) {
        while let Some(number) = self.dirty.pop() {
            self.writable(number);
        }
    }

    /// There may be room to write again.
    pub(super) fn writable(&mut self, number: usize) {
        let Some(pipe) = self.pipes.get_mut(number).and_then(Option::as_mut) else { return };
        pipe.write();
        if pipe.over {
            self.by_peer.remove(&pipe.from);
            self.pipes[number] = None;
        }
    }

    /// Datagrams that no peer took since the last call.
    pub(super) fn take_lost(&mut self) -> u64 {
        std::mem::take(&mut self.lost)
    }
}

impl Pipe {
    fn new(tcp: TcpStream, (from, to): (SocketAddr, SocketAddr), admission: Admission, now: Instant) -> Pipe {
        let canonical = |address: SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
        Pipe {
            tcp,
            from: canonical(from),
            to: canonical(to),
            inbound: Vec::new(),
            read: 0,
            outbound: Vec::new(),
            stranger: Some(now),
            _admission: admission,
            over: false,
        }
    }

    fn fill(&mut self) -> bool {
        self.inbound.drain(..std::mem::take(&mut self.read));
        let before = self.inbound.len();
        self.inbound.resize(before + READ_BYTES, 0);
        let result = self.tcp.read(&mut self.inbound[before..]);
        self.inbound.truncate(before + *result.as_ref().unwrap_or(&0));
        match result {
            Ok(0) => self.over = true,
            Ok(_) => return true,
            Err(error) if error.kind() == ErrorKind::Interrupted => return true,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => self.over = true,
        }
        false
    }

    /// Where the next whole datagram is.
    fn next(&mut self) -> Option<std::ops::Range<usize>> {
        let length = self.inbound.get(self.read..self.read + 2)?;
        let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
        if length > DATAGRAM_BYTES_MAX {
            self.over = true;
            return None;
        }
        let range = self.read + 2..self.read + 2 + length;
        (range.end <= self.inbound.len()).then(|| {
            self.read = range.end;
            range
        })
    }

    fn write(&mut self) {
        while !self.outbound.is_empty() {
            match self.tcp.write(&self.outbound) {
                Ok(0) => self.over = true,
                Ok(count) => {
                    self.outbound.drain(..count);
                    continue;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(_) => self.over = true,
            }
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;
    use crate::limits::Limits;
    use testkit::Random;

    fn door(config: &config::Limits) -> Door {
        Door::new(false, &Limits::alone(config))
    }

    /// A pipe, its peer's end, and what watches it.
    fn pair() -> (Pipes, usize, std::net::TcpStream, mio::Poll) {
        let listener = open("127.0.0.1:0".parse().unwrap(), 1, true).unwrap().remove(0);
        let peer = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let poll = mio::Poll::new().unwrap();
        let mut pipes = Pipes::new(listener, door(&config::Limits::default()));
        let deadline = Instant::now() + Duration::from_secs(5);
        while pipes.by_peer.is_empty() {
            assert!(Instant::now() < deadline, "nobody came");
            pipes.accept(poll.registry(), Instant::now());
        }
        (pipes, 0, peer, poll)
    }

    /// All that comes through a pipe until its peer ends it.
    fn through(bytes: &[u8]) -> Vec<Vec<u8>> {
        let (mut pipes, number, mut peer, _poll) = pair();
        let bytes = bytes.to_vec();
        let writer = std::thread::spawn(move || {
            // The other end may close before all is written.
            let _ = peer.write_all(&bytes);
        });
        let (mut datagram, mut found) = (Vec::new(), Vec::new());
        let deadline = Instant::now() + Duration::from_secs(5);
        while pipes.close_if_over(number).is_none() {
            assert!(Instant::now() < deadline, "it doesn't end");
            pipes.fill(number);
            while pipes.next(number, &mut datagram).is_some() {
                found.push(datagram.clone());
            }
            let held = pipes.pipes[number].as_ref().unwrap().inbound.len();
            assert!(held <= READ_BYTES + 2 * DATAGRAM_BYTES_MAX, "{held}");
        }
        writer.join().unwrap();
        found
    }

    fn framed(datagrams: &[Vec<u8>]) -> Vec<u8> {
        datagrams.iter().flat_map(|d| [&(d.len() as u16).to_be_bytes(), &d[..]].concat()).collect()
    }

    #[test]
    fn datagrams_come_out_as_they_went_in() {
        let mut random = Random::seeded(4571);
        let sent: Vec<Vec<u8>> = (0..500)
            .map(|_| {
                let length = random.below(1400);
                random.bytes(length)
            })
            .collect();
        assert_eq!(through(&framed(&sent)), sent);
    }

    #[test]
    fn a_datagram_that_is_too_large_ends_the_connection() {
        let sent = framed(&[vec![1; 10], vec![2; DATAGRAM_BYTES_MAX + 1], vec![3; 10]]);
        assert_eq!(through(&sent), [vec![1; 10]]);
    }

    #[test]
    fn fuzz_any_bytes_are_datagrams_or_the_end() {
        let mut random = Random::seeded(6544);
        for _ in 0..200 {
            let length = random.below(3000);
            let bytes = random.bytes(length);
            let found = through(&bytes);
            assert!(found.iter().map(|d| d.len() + 2).sum::<usize>() <= bytes.len());
        }
    }

    #[test]
    fn a_peer_that_reads_nothing_loses_datagrams_and_costs_a_bounded_queue() {
        let (mut pipes, number, peer, _poll) = pair();
        let from = pipes.pipes[number].as_ref().unwrap().from;
        for _ in 0..20_000 {
            pipes.send(from, &[0; 1200]);
            pipes.flush();
        }
        assert!(pipes.take_lost() > 0);
        assert!(pipes.pipes[number].as_ref().unwrap().outbound.len() <= OUTBOUND_BYTES_MAX + 2);
        drop(peer);
    }

    #[test]
    fn an_address_has_so_many_and_gets_one_back_when_one_ends() {
        let listener = open("127.0.0.1:0".parse().unwrap(), 1, true).unwrap().remove(0);
        let (at, poll) = (listener.local_addr().unwrap(), mio::Poll::new().unwrap());
        let few =
            config::Limits { exempt: Vec::new(), connections_per_address: 3, ..config::Limits::default() };
        let mut pipes = Pipes::new(listener, door(&few));
        let knock = |pipes: &mut Pipes, closes: bool| {
            let mut peer = std::net::TcpStream::connect(at).unwrap();
            peer.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
            let deadline = Instant::now() + Duration::from_secs(5);
            while Instant::now() < deadline {
                pipes.accept(poll.registry(), Instant::now());
                let known = pipes.by_peer.contains_key(&peer.local_addr().unwrap());
                let closed = matches!(peer.read(&mut [0]), Ok(0));
                if known || closed {
                    assert_eq!(closed, closes);
                    return peer;
                }
            }
            panic!("nothing happens");
        };
        let peers: Vec<_> = (0..3).map(|_| knock(&mut pipes, false)).collect();
        knock(&mut pipes, true);
        pipes.close(peers[0].local_addr().unwrap());
        knock(&mut pipes, false);
    }

    #[test]
    fn who_does_not_say_whose_it_is_has_to_go() {
        let (mut pipes, number, _peer, _poll) = pair();
        pipes.sweep(Instant::now());
        assert!(pipes.pipes[number].is_some());
        pipes.sweep(Instant::now() + STRANGER_MAX);
        assert!(pipes.pipes[number].is_none() && pipes.by_peer.is_empty());
        let (mut pipes, number, _peer, _poll) = pair();
        let from = pipes.pipes[number].as_ref().unwrap().from;
        pipes.known(from);
        pipes.sweep(Instant::now() + STRANGER_MAX);
        assert!(pipes.pipes[number].is_some());
    }
}
