//! Connections, plain or TLS, and the loop that accepts them.

use crate::egress::Transport;
use crate::limits::Admission;
use bytes::{Buf, BytesMut};
use std::io::{Error, Result};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::server::TlsStream;

/// A connection, with bytes that were read ahead.
#[derive(Debug)]
pub(crate) struct Io {
    inner: Inner,
    peer: SocketAddr,
    ahead: BytesMut,
    admission: Admission,
    moved: Arc<AtomicU64>,
}

#[derive(Debug)]
enum Inner {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Io {
    /// A connection that nothing encrypts.
    pub(crate) fn plain_socket(socket: TcpStream, peer: SocketAddr, admission: Admission) -> Io {
        Io { inner: Inner::Plain(socket), peer, ahead: BytesMut::new(), admission, moved: Arc::default() }
    }

    /// A connection whose TLS handshake is over.
    pub(crate) fn encrypted(stream: TlsStream<TcpStream>, peer: SocketAddr, admission: Admission) -> Io {
        let inner = Inner::Tls(Box::new(stream));
        Io { inner, peer, ahead: BytesMut::new(), admission, moved: Arc::default() }
    }

    /// Who is at the other end: the client, also behind a proxy that says so in the head of the connection.
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
    pub(crate) fn into_transport(self) -> Result<(Transport, Admission)> {
        let transport = match self.inner {
            Inner::Plain(socket) => Transport::Plain(to_mio(socket)?),
            Inner::Tls(stream) => {
                let (socket, session) = stream.into_inner();
                Transport::tls(to_mio(socket)?, session)
            }
        };
        Ok((transport, self.admission))
    }

    /// Counts reads and writes that moved bytes, for who wants to know whether the connection is alive.
    pub(crate) fn moved(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.moved)
    }

    /// Takes note of a read or write.
    fn note<T>(&self, outcome: &Poll<Result<T>>) {
        if matches!(outcome, Poll::Ready(Ok(_))) {
            self.moved.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Bytes that the system keeps for a viewer beside what is on its way. It would keep 4 MB, half a minute of a common
/// broadcast, and who paused would see all of that before what is live. More than one write at 5 Mbit/s.
const UNSENT_BYTES_MAX: u32 = 256 << 10;

fn to_mio(socket: TcpStream) -> Result<mio::net::TcpStream> {
    socket2::SockRef::from(&socket).set_tcp_notsent_lowat(UNSENT_BYTES_MAX)?;
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
        let read = match &mut self.inner {
            Inner::Plain(s) => Pin::new(s).poll_read(cx, buf),
            Inner::Tls(s) => Pin::new(s).poll_read(cx, buf),
        };
        self.note(&read);
        read
    }
}

impl AsyncWrite for Io {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<Result<usize>> {
        let written = match &mut self.inner {
            Inner::Plain(s) => Pin::new(s).poll_write(cx, buf),
            Inner::Tls(s) => Pin::new(s).poll_write(cx, buf),
        };
        self.note(&written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[std::io::IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        let written = match &mut self.inner {
            Inner::Plain(s) => Pin::new(s).poll_write_vectored(cx, bufs),
            Inner::Tls(s) => Pin::new(s).poll_write_vectored(cx, bufs),
        };
        self.note(&written);
        written
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
