//! The certificate, and what TLS connections are offered.

use crate::config::Tls;
use anyhow::{Context, Result, bail};
use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;

/// A certificate that was read.
#[derive(Debug)]
pub(crate) struct Server(ServerConfig);

/// Reads the certificate, if one is configured.
pub(crate) fn server(tls: &Tls) -> Result<Option<Server>> {
    let (certificate, key) = match (&tls.certificate, &tls.key) {
        (None, None) => return Ok(None),
        (Some(certificate), Some(key)) => (certificate, key),
        _ => bail!("tls.certificate and tls.key belong together: set both or neither"),
    };
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect)
        .with_context(|| format!("can't read the certificate {}", certificate.display()))?;
    let key_der = PrivateKeyDer::from_pem_file(key)
        .with_context(|| format!("can't read the private key {}", key.display()))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key_der)
        .context("certificate and private key don't fit each other")?;
    Ok(Some(Server(config)))
}

/// Whether a server could use the certificate and key of a configuration; good, too, when there are none.
///
/// # Errors
/// When one is missing, can't be read, or they don't fit each other.
pub fn check_certificate(tls: &Tls) -> Result<()> {
    server(tls).map(drop)
}

impl Server {
    /// An acceptor that offers these protocols by ALPN.
    pub(crate) fn acceptor(&self, alpn: &[&[u8]]) -> TlsAcceptor {
        let mut config = self.0.clone();
        config.alpn_protocols = alpn.iter().map(|p| p.to_vec()).collect();
        TlsAcceptor::from(Arc::new(config))
    }
}
