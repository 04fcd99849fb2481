//! What a connection passes before its protocol begins: limits, the head of a proxy, TLS.

use super::Io;
use crate::limits::{Admission, Limit, Limits, Look, TooMuch, look};
use std::io::{Error, ErrorKind};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

/// The way in of one listener.
#[derive(Clone)]
pub(crate) struct Door {
    tls: Option<TlsAcceptor>,
    /// Connections begin with the head of a proxy.
    behind_proxy: bool,
    pub(crate) limits: Limits,
}

/// Why a connection didn't come in.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Shut {
    /// It broke, or took too long.
    #[error("{0}")]
    Io(#[from] Error),
    /// The client that the proxy speaks for is too much. Nothing was read but the proxy's head.
    #[error("{1}")]
    TooMuch(TcpStream, TooMuch),
}

impl std::fmt::Debug for Door {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Door").field("behind_proxy", &self.behind_proxy).finish_non_exhaustive()
    }
}

impl Door {
    /// Without TLS.
    pub(crate) fn new(behind_proxy: bool, limits: &Limits) -> Door {
        Door { tls: None, behind_proxy, limits: limits.clone() }
    }

    /// The same behind a TLS handshake.
    pub(crate) fn with_tls(&self, acceptor: TlsAcceptor) -> Door {
        Door { tls: Some(acceptor), ..self.clone() }
    }

    /// Whether a handshake comes first.
    pub(crate) fn has_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// Counts a connection, before anything is done for it.
    ///
    /// # Errors
    /// When it is too much, or not from a proxy of ours where all have to be.
    pub(crate) fn admit(&self, peer: SocketAddr) -> Result<Admission, TooMuch> {
        let trusted = self.limits.rules().trusts(peer.ip());
        if self.behind_proxy && !trusted {
            return Err(self.limits.too_much(Limit::TrustedProxies, Duration::ZERO));
        }
        let mut admission = self.limits.enter()?;
        if !trusted {
            admission.identify(peer.ip())?;
        }
        Ok(admission)
    }

    /// Reads the proxy's head and shakes hands, as far as they are asked for.
    ///
    /// # Errors
    /// When the connection breaks or takes too long, or its client is too much.
    pub(crate) async fn open(
        &self,
        mut socket: TcpStream,
        peer: SocketAddr,
        mut admission: Admission,
    ) -> Result<Io, Shut> {
        socket.set_nodelay(true)?;
        let (time, unacknowledged) = {
            let config = &self.limits.rules().config;
            (config.tls_handshake.0, config.unacknowledged.0)
        };
        // RFC 5482; Linux also counts the time in which a peer has no room.
        socket2::SockRef::from(&socket).set_tcp_user_timeout(Some(unacknowledged))?;
        let mut client = peer;
        if self.behind_proxy
            && let Some(real) = self.in_time(time, self.read_head(&mut socket)).await?
        {
            if let Err(too_much) = admission.identify(real.ip()) {
                return Err(Shut::TooMuch(socket, too_much));
            }
            client = real;
        }
        Ok(match &self.tls {
            None => Io::plain_socket(socket, client, admission),
            Some(acceptor) => {
                Io::encrypted(self.in_time(time, acceptor.accept(socket)).await?, client, admission)
            }
        })
    }

    async fn in_time<T>(
        &self,
        time: Duration,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        tokio::time::timeout(time, work).await.map_err(|_| {
            self.limits.too_much(Limit::TlsHandshake, Duration::ZERO);
            Error::from(ErrorKind::TimedOut)
        })?
    }

    /// Reads the head and not a byte more: what follows is for TLS or the protocol.
    async fn read_head(&self, socket: &mut TcpStream) -> Result<Option<SocketAddr>, Error> {
        let mut bytes = Vec::new();
        loop {
            match look(&bytes) {
                Ok(Look::Whole(client)) => return Ok(client),
                Ok(Look::More(count)) => {
                    let end = bytes.len();
                    bytes.resize(end + count, 0);
                    socket.read_exact(&mut bytes[end..]).await?;
                }
                Err(error) => {
                    self.limits.too_much(Limit::ProxyHead, Duration::ZERO);
                    return Err(Error::new(ErrorKind::InvalidData, error));
                }
            }
        }
    }
}
