//! Opens listening sockets: new ones, or those that were taken over.

use crate::handover::{Sockets, Taken};
use crate::ingest::Ingest;
use anyhow::{Context, Result};
use std::net::SocketAddr;
use tokio::net::{TcpListener, TcpSocket};

/// Opens the sockets of a server, and keeps them for its successor.
#[derive(Debug)]
pub(crate) struct Listening<'a> {
    taken: &'a mut Taken,
    sockets: Sockets,
}

/// Connections that the system holds for us while we are busy.
const BACKLOG: u32 = 4096;

impl Listening<'_> {
    pub(crate) fn new<'a>(taken: &'a mut Taken, sockets: &Sockets) -> Listening<'a> {
        Listening { taken, sockets: sockets.clone() }
    }

    /// A listener on `address`; `key` is the setting that chooses it.
    ///
    /// # Errors
    /// When another program has the port; told with the key.
    pub(crate) fn open(&mut self, key: &'static str, address: SocketAddr) -> Result<TcpListener> {
        let listener = match self.taken.socket(key, address) {
            Some(socket) => {
                let listener = std::net::TcpListener::from(socket);
                listener.set_nonblocking(true)?;
                TcpListener::from_std(listener)?
            }
            None => listen(address).with_context(|| {
                format!(
                    "can't listen on {address}: is another program using the port? Choose another with {key}"
                )
            })?,
        };
        self.sockets.add(key, &listener, address)?;
        Ok(listener)
    }

    /// The same, with connections that belong to the ingest threads.
    ///
    /// # Errors
    /// As [`Listening::open`].
    pub(crate) fn open_on(
        &mut self,
        ingest: &Ingest,
        key: &'static str,
        address: SocketAddr,
    ) -> Result<TcpListener> {
        let _inside = ingest.enter();
        self.open(key, address)
    }
}

fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}
