//! Certificates of the TLS listeners.
//!
//! - [`certificates`] all of them, by the name that a client asks for; replaced while the server runs
//! - [`pair`] one certificate with its key, read and looked at
//! - [`acme`] a certificate that the server gets for itself
//! - [`challenges`] what an authority asks for to see that a name is ours

mod acme;
mod certificates;
mod challenges;
mod pair;

pub(crate) use acme::Acquiring;
pub(crate) use certificates::{Certificates, Set};
pub(crate) use challenges::Challenges;
pub(crate) use pair::TlsError;

/// Whether a server could use the certificates and keys of a configuration; good, too, when there are none.
///
/// # Errors
/// When one is missing, can't be read, or they don't fit each other.
pub fn check_certificate(tls: &crate::config::Tls) -> anyhow::Result<()> {
    Certificates::read(tls)?;
    Ok(())
}
