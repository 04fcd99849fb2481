//! Connections, plain or TLS, and the loop that accepts them.

use crate::egress::Transport;
use bytes::{Buf, BytesMut};
use std::io::{Error, Result};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// A connection, with bytes that were read ahead.
#[derive(Debug)]
pub(crate) struct Io {
    inner: Inner,
    peer: SocketAddr,
    ahead: BytesMut,
}

#[derive(Debug)]
enum Inner {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// How long a peer has for the TLS handshake.
const TLS_HANDSHAKE_MAX: Duration = Duration::from_secs(10);

impl Io {
    /// Shakes hands, if TLS is asked for.
    pub(crate) async fn open(socket: TcpStream, peer: SocketAddr, tls: Option<&TlsAcceptor>) -> Result<Io> {
        socket.set_nodelay(true)?;
        let inner = match tls {
            None => Inner::Plain(socket),
            Some(acceptor) => {
                let stream = tokio::time::timeout(TLS_HANDSHAKE_MAX, acceptor.accept(socket))
                    .await
                    .map_err(|_| Error::from(std::io::ErrorKind::TimedOut))??;
                Inner::Tls(Box::new(stream))
            }
        };
        Ok(Io { inner, peer, ahead: BytesMut::new() })
    }

    /// Who is at the other end.
    pub(crate) fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// Gives bytes back, to be read once more.
    pub(crate) fn unread(&mut self, bytes: BytesMut) {
        self.ahead = bytes;
    }

    /// The socket, if nothing encrypts it.
    pub(crate) fn plain(&self) -> Option<&TcpStream> {
        match &self.inner {
            Inner::Plain(socket) => Some(socket),
            Inner::Tls(_) => None,
        }
    }

    /// Takes the connection out of the runtime, for the egress plane.
    pub(crate) fn into_transport(self) -> Result<Transport> {
        match self.inner {
            Inner::Plain(socket) => Ok(Transport::Plain(to_mio(socket)?)),
            Inner::Tls(stream) => {
                let (socket, session) = stream.into_inner();
                Ok(Transport::tls(to_mio(socket)?, session))
            }
        }
    }
}

fn to_mio(socket: TcpStream) -> Result<mio::net::TcpStream> {
    Ok(mio::net::TcpStream::from_std(socket.into_std()?))
}

impl AsyncRead for Io {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<Result<()>> {
        if !self.ahead.is_empty() {
            let count = self.ahead.len().min(buf.remaining());
            buf.put_slice(&self.ahead[..count]);
            self.ahead.advance(count);
            if self.ahead.is_empty() {
                self.ahead = BytesMut::new();
            }
            return Poll::Ready(Ok(()));
        }
        match &mut self.inner {
            Inner::Plain(s) => Pin::new(s).poll_read(cx, buf),
            Inner::Tls(s) => Pin::new(s).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Io {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<Result<usize>> {
        match &mut self.inner {
            Inner::Plain(s) => Pin::new(s).poll_write(cx, buf),
            Inner::Tls(s) => Pin::new(s).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[std::io::IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        match &mut self.inner {
            Inner::Plain(s) => Pin::new(s).poll_write_vectored(cx, bufs),
            Inner::Tls(s) => Pin::new(s).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        match &mut self.inner {
            Inner::Plain(s) => Pin::new(s).poll_flush(cx),
            Inner::Tls(s) => Pin::new(s).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        match &mut self.inner {
            Inner::Plain(s) => Pin::new(s).poll_shutdown(cx),
            Inner::Tls(s) => {
                ready!(Pin::new(s).poll_shutdown(cx))?;
                Poll::Ready(Ok(()))
            }
        }
    }
}

/// The next connection; errors of single connections and a lack of descriptors are waited out.
pub(crate) async fn accept_each(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection can't be accepted; is the limit of open files too low?");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// How long accepting rests when the system has no descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Random bytes for handshakes.
pub(crate) fn random_bytes<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| Error::other("the system gives no random bytes"))?;
    Ok(bytes)
}
