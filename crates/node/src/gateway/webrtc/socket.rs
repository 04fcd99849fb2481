//! The UDP socket of one worker: many datagrams a call, both ways.

use super::pins;
use super::tcp::Pipes;
use crate::gateway::Door;
use quinn_udp::{BATCH_SIZE, RecvMeta, Transmit, UdpSockRef, UdpSocketState};
use socket2::{Domain, Protocol, Socket, Type};
use std::io::{Error, ErrorKind, IoSliceMut, Result};
use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};

/// One worker's socket. All workers have the same port: the system gives each peer's datagrams to one of them
/// (SO_REUSEPORT).
#[derive(Debug)]
pub(super) struct Wire {
    socket: mio::net::UdpSocket,
    state: UdpSocketState,
    /// Where it listens.
    local: SocketAddr,
    out: Outbox,
    /// Peers by TCP.
    pub(super) pipes: Pipes,
    /// A datagram for such a peer that is being written.
    piped: Vec<u8>,
    piped_to: Option<SocketAddr>,
    /// Datagrams that the system had no room for; the peers ask for them again.
    lost: u64,
}

/// Datagrams for one peer that go out in one call: all of one size, the last may be smaller.
#[derive(Debug, Default)]
struct Outbox {
    bytes: Vec<u8>,
    segment: usize,
    to: Option<SocketAddr>,
    from: Option<IpAddr>,
    closed: bool,
}

/// Room to read into.
#[derive(Debug)]
pub(super) struct Inbound {
    buffers: [Vec<u8>; BATCH_SIZE],
    metas: [RecvMeta; BATCH_SIZE],
}

/// Where a peer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Route {
    pub(super) at: SocketAddr,
    /// By TCP, not UDP.
    pub(super) tcp: bool,
}

/// A datagram that came.
pub(super) struct Datagram<'a> {
    pub(super) from: Route,
    /// Which of our addresses it was sent to.
    pub(super) to: SocketAddr,
    pub(super) bytes: &'a [u8],
}

/// The largest datagram that the system puts several into.
const RECEIVE_BYTES: usize = 64 << 10;
/// What one call may carry (UDP's own limit, with some room).
const SEND_BYTES_MAX: usize = 60_000;
/// A crowd's reports come in bursts, and a keyframe goes out to all at once.
const SOCKET_BUFFER_BYTES: usize = 8 << 20;

/// Opens the sockets of all workers on one port. Unless it is `shared` with another process, that one must not have it: the
/// system would silently give half of the datagrams to each.
///
/// # Errors
/// When the port is taken.
pub(super) fn open(address: SocketAddr, count: usize, shared: bool) -> Result<Vec<UdpSocket>> {
    if !shared {
        drop(UdpSocket::bind(address)?);
    }
    let mut address = address;
    let mut sockets = Vec::with_capacity(count);
    for _ in 0..count {
        let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_reuse_port(true)?;
        socket.set_nonblocking(true)?;
        // Smaller buffers work too, so whatever the system gives is good.
        let _ = socket.set_recv_buffer_size(SOCKET_BUFFER_BYTES);
        let _ = socket.set_send_buffer_size(SOCKET_BUFFER_BYTES);
        socket.bind(&address.into())?;
        let socket = UdpSocket::from(socket);
        address = socket.local_addr()?;
        sockets.push(socket);
    }
    Ok(sockets)
}

impl Wire {
    pub(super) fn new(socket: UdpSocket, listener: TcpListener, door: Door) -> Result<Wire> {
        let state = UdpSocketState::new(UdpSockRef::from(&socket))?;
        let local = socket.local_addr()?;
        let socket = mio::net::UdpSocket::from_std(socket);
        let (out, pipes) = (Outbox::default(), Pipes::new(listener, door));
        Ok(Wire { socket, state, local, out, pipes, piped: Vec::new(), piped_to: None, lost: 0 })
    }

    pub(super) fn source(&mut self) -> &mut mio::net::UdpSocket {
        &mut self.socket
    }

    /// Gets nothing any more that isn't for a peer's own socket.
    ///
    /// # Errors
    /// When the system can't.
    pub(super) fn leave(&mut self) -> Result<()> {
        self.pipes.leave();
        pins::retire(&self.socket)
    }

    /// Our port.
    pub(super) fn port(&self) -> u16 {
        self.local.port()
    }

    /// Datagrams that could not be sent since the last call.
    pub(super) fn take_lost(&mut self) -> u64 {
        std::mem::take(&mut self.lost) + self.pipes.take_lost()
    }

    /// Reads what is there, without allocating anything.
    pub(super) fn receive<'a>(
        &self,
        inbound: &'a mut Inbound,
    ) -> Result<impl Iterator<Item = Datagram<'a>> + use<'a>> {
        let local = self.local;
        let mut slices = inbound.buffers.each_mut().map(|buffer| IoSliceMut::new(buffer));
        let count = match self.state.recv(UdpSockRef::from(&self.socket), &mut slices, &mut inbound.metas) {
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
            Err(error) => return Err(error),
        };
        let received = inbound.metas[..count].iter().zip(&inbound.buffers);
        Ok(received.flat_map(move |(meta, buffer)| {
            let to = meta.dst_ip.unwrap_or(local.ip()).to_canonical();
            let at = SocketAddr::new(meta.addr.ip().to_canonical(), meta.addr.port());
            let from = Route { at, tcp: false };
            let to = SocketAddr::new(to, local.port());
            let pieces = buffer[..meta.len].chunks(meta.stride.max(1));
            pieces.map(move |bytes| Datagram { from, to, bytes })
        }))
    }

    /// Sends, together with what follows for the same peer. [`Wire::flush`] when there is no more.
    pub(super) fn send(&mut self, to: Route, from: IpAddr, bytes: &[u8]) {
        self.begin(to, from, bytes.len()).extend_from_slice(bytes);
        self.end();
    }

    /// Where to append a datagram of exactly so many bytes, or nothing; [`Wire::end`] afterwards.
    pub(super) fn begin(&mut self, to: Route, from: IpAddr, bytes: usize) -> &mut Vec<u8> {
        if to.tcp {
            self.piped_to = Some(to.at);
            self.piped.clear();
            return &mut self.piped;
        }
        let to = to.at;
        let fits = self.out.to == Some(to)
            && self.out.from == Some(from)
            && !self.out.closed
            && bytes <= self.out.segment
            && self.out.bytes.len() + bytes <= SEND_BYTES_MAX
            && self.out.bytes.len() / self.out.segment < self.state.max_gso_segments();
        if !fits {
            self.flush_datagrams();
            self.out.to = Some(to);
            self.out.from = Some(from);
            self.out.segment = bytes;
        }
        // Only the last one may be smaller.
        self.out.closed = bytes < self.out.segment;
        &mut self.out.bytes
    }

    /// What was begun is whole.
    pub(super) fn end(&mut self) {
        if let Some(to) = self.piped_to.take() {
            self.pipes.send(to, &self.piped);
        }
    }

    /// Sends what waits.
    pub(super) fn flush(&mut self) {
        self.pipes.flush();
        self.flush_datagrams();
    }

    fn flush_datagrams(&mut self) {
        let Some(to) = self.out.to.take().filter(|_| !self.out.bytes.is_empty()) else { return };
        let several = self.out.bytes.len() > self.out.segment;
        let transmit = Transmit {
            destination: self.outside(to),
            ecn: None,
            contents: &self.out.bytes,
            segment_size: several.then_some(self.out.segment),
            src_ip: self
                .out
                .from
                .filter(|ip| !ip.is_unspecified())
                .map(|ip| self.outside((ip, 0).into()).ip()),
        };
        if let Err(error) = self.state.try_send(UdpSockRef::from(&self.socket), &transmit) {
            self.lost += (self.out.bytes.len() / self.out.segment.max(1)) as u64;
            note(&error, to);
        }
        self.out.bytes.clear();
        self.out.closed = false;
    }

    /// An address as this socket wants it: one for IPv6 takes IPv4 in its own form (RFC 4291 §2.5.5.2).
    fn outside(&self, address: SocketAddr) -> SocketAddr {
        match address.ip() {
            IpAddr::V4(ip) if self.local.is_ipv6() => (ip.to_ipv6_mapped(), address.port()).into(),
            _ => address,
        }
    }
}

impl Inbound {
    pub(super) fn new() -> Inbound {
        let any = RecvMeta { addr: (Ipv6Addr::UNSPECIFIED, 0).into(), ..RecvMeta::default() };
        Inbound { buffers: std::array::from_fn(|_| vec![0; RECEIVE_BYTES]), metas: [any; BATCH_SIZE] }
    }
}

/// A full buffer is loss like any other; the rest is told where somebody looks for it.
fn note(error: &Error, to: SocketAddr) {
    if error.kind() != ErrorKind::WouldBlock {
        tracing::debug!(%error, %to, "a datagram can't be sent");
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::config;
    use crate::limits::Limits;
    use std::time::{Duration, Instant};

    pub(in super::super) fn pair() -> (Wire, UdpSocket) {
        let mut sockets = open("127.0.0.1:0".parse().unwrap(), 1, false).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
        peer.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let door = Door::new(false, &Limits::alone(&config::Limits::default()));
        (Wire::new(sockets.remove(0), listener, door).unwrap(), peer)
    }

    #[test]
    fn datagrams_for_one_peer_go_out_together_and_come_apart_again() {
        let (mut wire, peer) = pair();
        let to = Route { at: peer.local_addr().unwrap(), tcp: false };
        let from = IpAddr::from([127, 0, 0, 1]);
        let sent: Vec<Vec<u8>> =
            [900, 900, 300, 900, 1000].iter().map(|len| vec![*len as u8; *len]).collect();
        sent.iter().for_each(|bytes| wire.send(to, from, bytes));
        wire.flush();
        for bytes in sent {
            let mut buffer = [0; 2000];
            let count = peer.recv(&mut buffer).unwrap();
            assert_eq!(&buffer[..count], &bytes[..]);
        }
        assert_eq!(wire.take_lost(), 0);
    }

    #[test]
    fn what_comes_names_both_addresses() {
        let (wire, peer) = pair();
        peer.send_to(b"hello", wire.local).unwrap();
        let (mut inbound, deadline) = (Inbound::new(), Instant::now() + Duration::from_secs(5));
        while Instant::now() < deadline {
            if let Some(datagram) = wire.receive(&mut inbound).unwrap().next() {
                assert_eq!((datagram.from.at, datagram.to), (peer.local_addr().unwrap(), wire.local));
                assert_eq!(datagram.bytes, b"hello");
                return;
            }
        }
        panic!("nothing came");
    }

    #[test]
    fn all_workers_share_a_port() {
        let sockets = open("127.0.0.1:0".parse().unwrap(), 3, false).unwrap();
        let ports: Vec<_> = sockets.iter().map(|s| s.local_addr().unwrap().port()).collect();
        assert!(ports.iter().all(|port| *port == ports[0]), "{ports:?}");
    }
}
