//! Sockets for single peers. While another process takes the port over, the system shares datagrams out between both; what comes from a
//! peer that a socket is connected to goes to that socket alone (udp(7), SO_REUSEPORT in socket(7)).

use super::socket::Route;
use mio::net::UdpSocket;
use mio::{Interest, Registry, Token};
use socket2::{Domain, Protocol, Socket, Type};
use std::collections::HashMap;
use std::io::{ErrorKind, Result};
use std::net::{IpAddr, SocketAddr};

/// The sockets of one worker.
#[derive(Debug, Default)]
pub(super) struct Pins {
    sockets: Vec<Option<Pin>>,
    by_peer: HashMap<SocketAddr, usize>,
}

#[derive(Debug)]
struct Pin {
    socket: UdpSocket,
    peer: SocketAddr,
    local: SocketAddr,
}

/// Above what TCP connections are numbered by.
const FIRST: usize = usize::MAX / 2;
/// Nothing of WebRTC is larger than what fits a network's packet.
const DATAGRAM_BYTES_MAX: usize = 2048;

impl Pins {
    /// Which socket an event is about.
    pub(super) fn number(token: Token) -> Option<usize> {
        token.0.checked_sub(FIRST)
    }

    /// Gives a peer a socket of its own, on one of our addresses; one that has one keeps it.
    ///
    /// # Errors
    /// When the system gives no socket.
    pub(super) fn add(&mut self, peer: SocketAddr, local: SocketAddr, registry: &Registry) -> Result<()> {
        if self.by_peer.contains_key(&peer) {
            return Ok(());
        }
        let mut socket = connected(local, peer)?;
        let number = self.sockets.iter().position(Option::is_none).unwrap_or(self.sockets.len());
        registry.register(&mut socket, Token(FIRST + number), Interest::READABLE)?;
        if number == self.sockets.len() {
            self.sockets.push(None);
        }
        self.sockets[number] = Some(Pin { socket, peer, local });
        self.by_peer.insert(peer, number);
        Ok(())
    }

    /// A peer isn't there any more.
    pub(super) fn remove(&mut self, peer: SocketAddr) {
        if let Some(number) = self.by_peer.remove(&peer) {
            self.sockets[number] = None;
        }
    }

    /// The next datagram of a socket, into `bytes`; where it came from, and to which of our addresses.
    pub(super) fn next(&self, number: usize, bytes: &mut Vec<u8>) -> Option<(Route, SocketAddr)> {
        let pin = self.sockets.get(number)?.as_ref()?;
        loop {
            bytes.resize(DATAGRAM_BYTES_MAX, 0);
            let count = match pin.socket.recv(bytes) {
                Ok(count) => count,
                // That is of a datagram that went out, and says nothing of those that come.
                Err(error)
                    if matches!(error.kind(), ErrorKind::ConnectionRefused | ErrorKind::Interrupted) =>
                {
                    continue;
                }
                Err(_) => return None,
            };
            bytes.truncate(count);
            return Some((Route { at: pin.peer, tcp: false }, pin.local));
        }
    }
}

fn connected(local: SocketAddr, peer: SocketAddr) -> Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(local), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&local.into())?;
    socket.connect(&peer.into())?;
    Ok(UdpSocket::from_std(socket.into()))
}

/// Takes a socket out of those that share the port, so that nothing comes to it any more; it can still send to everywhere.
///
/// # Errors
/// When the system can't.
pub(super) fn retire(socket: &UdpSocket) -> Result<()> {
    let local = socket.local_addr()?;
    let own = match local.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::from([127, 0, 0, 1]),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1]),
        ip => ip,
    };
    // Nobody sends from there.
    socket2::SockRef::from(socket).connect(&SocketAddr::new(own, DISCARD).into())
}

/// RFC 863.
const DISCARD: u16 = 9;

#[cfg(test)]
mod tests {
    use super::super::socket::open;
    use super::*;
    use std::time::{Duration, Instant};

    fn peer() -> std::net::UdpSocket {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        socket
    }

    /// What a socket has within a moment.
    fn comes(pins: &Pins, number: usize) -> Option<Vec<u8>> {
        let (mut bytes, deadline) = (Vec::new(), Instant::now() + Duration::from_secs(2));
        while Instant::now() < deadline {
            if pins.next(number, &mut bytes).is_some() {
                return Some(bytes);
            }
        }
        None
    }

    #[test]
    fn a_pinned_peer_stays_whoever_shares_the_port_and_a_retired_socket_gets_nothing_and_sends() {
        let old = open("127.0.0.1:0".parse().unwrap(), 1, false).unwrap().remove(0);
        let at = old.local_addr().unwrap();
        let (here, poll, mut pins) = (peer(), mio::Poll::new().unwrap(), Pins::default());
        pins.add(here.local_addr().unwrap(), at, poll.registry()).unwrap();
        pins.add(here.local_addr().unwrap(), at, poll.registry()).unwrap();
        let new = open(at, 2, true).unwrap();
        let old = UdpSocket::from_std(old);
        retire(&old).unwrap();
        let others: Vec<_> = (0..50).map(|_| peer()).collect();
        for other in &others {
            here.send_to(b"pinned", at).unwrap();
            assert_eq!(comes(&pins, 0).as_deref(), Some(&b"pinned"[..]));
            other.send_to(b"other", at).unwrap();
        }
        let mut buffer = [0; 64];
        let mut taken = 0;
        for socket in &new {
            while let Ok((count, _)) = socket.recv_from(&mut buffer) {
                assert_eq!(&buffer[..count], b"other");
                taken += 1;
            }
        }
        assert_eq!(taken, others.len());
        assert!(old.recv_from(&mut buffer).is_err());
        old.send_to(b"still", here.local_addr().unwrap()).unwrap();
        let (count, from) = here.recv_from(&mut buffer).unwrap();
        assert_eq!((&buffer[..count], from), (&b"still"[..], at));
        pins.remove(here.local_addr().unwrap());
        assert!(pins.by_peer.is_empty() && pins.next(0, &mut Vec::new()).is_none());
    }
}
