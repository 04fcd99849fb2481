//! One certificate with its key, read and looked at.

use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use x509_parser::prelude::{FromDer, GeneralName, ParsedExtension, X509Certificate};

/// Why a certificate can't be used. The text says which file.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The certificate's file.
    #[error("can't read the certificate {0}: {1}")]
    Certificate(PathBuf, String),
    /// The key's file.
    #[error("can't read the private key {0}: {1}")]
    Key(PathBuf, String),
    /// They are not a pair.
    #[error("certificate {0} and private key {1} don't fit each other")]
    Mismatch(PathBuf, PathBuf),
}

/// A certificate that can be used.
#[derive(Clone, Debug)]
pub(super) struct Pair {
    pub(super) certified: Arc<CertifiedKey>,
    /// Host names that it is for, in lower case; one may begin with `*.`.
    pub(super) names: Vec<String>,
    pub(super) begins: SystemTime,
    pub(super) ends: SystemTime,
}

impl Pair {
    /// Reads both files.
    pub(super) fn read(certificate: &Path, key: &Path) -> Result<Pair, TlsError> {
        let no = |why: String| TlsError::Certificate(certificate.to_owned(), why);
        let chain = std::fs::read(certificate).map_err(|e| no(e.to_string()))?;
        let key_pem = std::fs::read(key).map_err(|e| TlsError::Key(key.to_owned(), e.to_string()))?;
        Pair::parse(&chain, &key_pem, certificate, key)
    }

    /// From PEM; the paths are for errors.
    pub(super) fn parse(
        chain: &[u8],
        key_pem: &[u8],
        certificate: &Path,
        key: &Path,
    ) -> Result<Pair, TlsError> {
        let no = |why: String| TlsError::Certificate(certificate.to_owned(), why);
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(chain).collect();
        let chain = chain.map_err(|error| no(error.to_string()))?;
        let Some(leaf) = chain.first() else { return Err(no("there is none in it".to_owned())) };
        let (_, parsed) = X509Certificate::from_der(leaf).map_err(|error| no(error.to_string()))?;
        let validity = parsed.validity();
        let (begins, ends) =
            (moment(validity.not_before.timestamp()), moment(validity.not_after.timestamp()));
        let names = names(&parsed);
        let key_der = PrivateKeyDer::from_pem_slice(key_pem)
            .map_err(|error| TlsError::Key(key.to_owned(), error.to_string()))?;
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let certified = CertifiedKey::from_der(chain, key_der, &provider)
            .map_err(|_| TlsError::Mismatch(certificate.to_owned(), key.to_owned()))?;
        Ok(Pair { certified: Arc::new(certified), names, begins, ends })
    }

    /// Whether all these host names are among its own.
    pub(super) fn is_for(&self, hosts: &[String]) -> bool {
        hosts.iter().all(|host| self.names.iter().any(|name| name.eq_ignore_ascii_case(host)))
    }
}

/// DNS names of the subject's alternative names. RFC 5280 §4.2.1.6.
fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let mut names = Vec::new();
    for extension in certificate.extensions() {
        let ParsedExtension::SubjectAlternativeName(all) = extension.parsed_extension() else { continue };
        for name in &all.general_names {
            if let GeneralName::DNSName(name) = name {
                names.push(name.to_ascii_lowercase());
            }
        }
    }
    names
}

fn moment(unix_s: i64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(unix_s.max(0).unsigned_abs())
}
