//! TCP and TLS.

use super::Remote;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::ServerName;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Opens connections. Clones share what is trusted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Dialer(Arc<Mutex<Option<Arc<ClientConfig>>>>);

/// A connection, plain or TLS.
pub(crate) type Connection = Box<dyn Duplex>;

/// Both directions.
pub(crate) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DialError {
    #[error("can't connect to {0}: {1}")]
    Connect(String, io::Error),
    #[error("no TLS with {0}: {1}")]
    Tls(String, io::Error),
    #[error(
        "no certificate authority is trusted here: install ca-certificates, or name a PEM file in SSL_CERT_FILE"
    )]
    NoAuthorities,
    #[error("{0} doesn't answer within {1:?}")]
    Late(String, Duration),
}

/// Name, connection and TLS together.
const DIAL_MAX: Duration = Duration::from_secs(10);

impl Dialer {
    /// Connects, and shakes hands if the scheme has TLS.
    pub(crate) async fn open(&self, remote: &Remote) -> Result<(Connection, SocketAddr), DialError> {
        let late = |_| DialError::Late(remote.authority(), DIAL_MAX);
        tokio::time::timeout(DIAL_MAX, self.connect(remote)).await.map_err(late)?
    }

    async fn connect(&self, remote: &Remote) -> Result<(Connection, SocketAddr), DialError> {
        let no = |error| DialError::Connect(remote.authority(), error);
        let socket = TcpStream::connect((remote.host.as_str(), remote.port)).await.map_err(no)?;
        socket.set_nodelay(true).map_err(no)?;
        let peer = socket.peer_addr().map_err(no)?;
        if !remote.scheme.tls {
            return Ok((Box::new(socket), peer));
        }
        let no = |error| DialError::Tls(remote.authority(), error);
        let name = ServerName::try_from(remote.host.clone()).map_err(|e| no(io::Error::other(e)))?;
        let connector = TlsConnector::from(self.client()?);
        let secured = connector.connect(name, socket).await.map_err(no)?;
        Ok((Box::new(secured), peer))
    }

    /// Read once, when it is needed. The system's authorities rather than built-in ones: a company's own is among them, and
    /// updates of the system reach us.
    fn client(&self) -> Result<Arc<ClientConfig>, DialError> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = &*kept {
            return Ok(Arc::clone(client));
        }
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() {
            return Err(DialError::NoAuthorities);
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let client = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| DialError::Tls("everybody".to_owned(), io::Error::other(error)))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Arc::clone(kept.insert(Arc::new(client))))
    }
}
