//! The exchange of descriptions (RFC 9725 §4.2): an offer goes by HTTP, and the answer comes back.

use crate::http::{BodyEnd, Head, HeadReader};
use crate::profile::Target;
use crate::socket::{self, Received};
use mio::net::{TcpStream, UdpSocket};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// An offer that is on its way, or was answered.
#[derive(Debug)]
pub(crate) struct Exchange {
    stream: TcpStream,
    out: Vec<u8>,
    reader: HeadReader,
    head: Option<Head>,
    body: Vec<u8>,
}

/// The answer's length is bounded like its head's.
const BODY_BYTES_MAX: usize = 64 << 10;

impl Exchange {
    /// Connects to the target, from `source` if one is given, to post the offer for one of several broadcasts.
    ///
    /// # Errors
    /// When there is no way to it.
    pub(crate) fn begin(
        target: &Target,
        broadcast: usize,
        offer: &str,
        source: Option<Ipv4Addr>,
    ) -> io::Result<Exchange> {
        let stream = socket::connect(target.address, source, None)?;
        let path = target.path_of(broadcast);
        let out = format!(
            "POST {path} HTTP/1.1\r\nHost: {}\r\nUser-Agent: floodtide-load\r\nContent-Type: application/sdp\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{offer}",
            target.host,
            offer.len()
        );
        let (reader, out) = (HeadReader::default(), out.into_bytes());
        Ok(Exchange { stream, out, reader, head: None, body: Vec::new() })
    }

    /// The connection, to be watched.
    pub(crate) fn stream(&mut self) -> &mut TcpStream {
        &mut self.stream
    }

    /// Sends and reads what can be; the answer once it is whole.
    ///
    /// # Errors
    /// Why there will be none.
    pub(crate) fn go_on(&mut self) -> Result<Option<String>, String> {
        if let Some(reason) = socket::connect_failure(&self.stream) {
            return Err(reason.to_owned());
        }
        if !socket::send_some(&self.stream, &mut self.out) {
            return Err("connection reset".to_owned());
        }
        let mut buffer = [0; 16 << 10];
        loop {
            match socket::receive(&self.stream, &mut buffer) {
                Received::Bytes(count) => self.take(&buffer[..count])?,
                Received::Later => break,
                Received::End if self.is_whole() => break,
                Received::End => return Err("closed by the server".to_owned()),
                Received::Broken(reason) => return Err(reason.to_owned()),
            }
        }
        Ok(self.is_whole().then(|| String::from_utf8_lossy(&self.body).into_owned()))
    }

    fn take(&mut self, mut bytes: &[u8]) -> Result<(), String> {
        if self.head.is_none() {
            self.head = self.reader.read(&mut bytes)?;
        }
        let Some(head) = &self.head else { return Ok(()) };
        self.body.extend_from_slice(bytes);
        if head.status != 201 {
            return Err(format!("HTTP {}", head.status_text));
        }
        if self.body.len() > BODY_BYTES_MAX {
            return Err("endless answer".to_owned());
        }
        Ok(())
    }

    fn is_whole(&self) -> bool {
        match self.head.as_ref().map(|head| head.body) {
            Some(BodyEnd::Length(length)) => self.body.len() as u64 >= length,
            _ => false,
        }
    }
}

/// A socket for media with the target, from `source` or from the address that this machine has towards it.
///
/// # Errors
/// When the system gives none.
pub(crate) fn open_datagrams(target: SocketAddr, source: Option<Ipv4Addr>) -> io::Result<UdpSocket> {
    let from = source.map_or_else(|| outward(target), |source| Ok(IpAddr::V4(source)));
    UdpSocket::bind(SocketAddr::new(from?, 0))
}

/// The address that this machine has towards another one; connecting a UDP socket sends nothing.
fn outward(to: SocketAddr) -> io::Result<IpAddr> {
    let any: SocketAddr =
        if to.is_ipv4() { (Ipv4Addr::UNSPECIFIED, 0).into() } else { ([0u16; 8], 0).into() };
    let socket = std::net::UdpSocket::bind(any)?;
    socket.connect(to)?;
    Ok(socket.local_addr()?.ip())
}
