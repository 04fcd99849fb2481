//! Certificates.

use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Certificates of the TLS listeners. They are read again when a file changes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tls {
    /// PEM file with the certificate chain, leaf first.
    pub certificate: Option<PathBuf>,
    /// PEM file with its private key.
    pub key: Option<PathBuf>,
    /// More certificates. A client gets the one for the name that it asks for (SNI), else the first of all.
    pub pair: Vec<CertificatePair>,
    /// A certificate that the server gets for itself, by ACME (RFC 8555), as from Let's Encrypt.
    pub acme: Acme,
}

/// One more certificate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CertificatePair {
    /// PEM file with the certificate chain, leaf first.
    pub certificate: PathBuf,
    /// PEM file with its private key.
    pub key: PathBuf,
}

/// A certificate that the server gets for itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Acme {
    /// Host names that it is for; none turns it off. The authority asks for `http://NAME/.well-known/acme-challenge/…`, so that
    /// port 80 of each has to come to `http.listen`.
    pub hosts: Vec<String>,
    /// Whether you agree to the terms of the authority; needed.
    pub accept_terms: bool,
    /// A mail address that the authority writes to when something is wrong.
    pub contact: Option<String>,
    /// Where the authority is.
    pub directory: String,
    /// PEM file with the certificate that the authority itself is trusted by, instead of the system's.
    pub ca: Option<PathBuf>,
}

impl Default for Acme {
    fn default() -> Self {
        Acme {
            hosts: Vec::new(),
            accept_terms: false,
            contact: None,
            directory: "https://acme-v02.api.letsencrypt.org/directory".to_owned(),
            ca: None,
        }
    }
}

impl Acme {
    /// Whether there is something to get.
    pub(crate) fn is_on(&self) -> bool {
        !self.hosts.is_empty()
    }
}

impl Tls {
    /// Whether the TLS listeners are open.
    pub(crate) fn is_on(&self) -> bool {
        self.certificate.is_some() || !self.pair.is_empty() || self.acme.is_on()
    }

    /// Files of certificates and keys.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (&Path, &Path)> {
        let first = self.certificate.as_deref().zip(self.key.as_deref());
        first.into_iter().chain(self.pair.iter().map(|pair| (&*pair.certificate, &*pair.key)))
    }

    /// What a type alone can't say.
    pub(super) fn check(&self) -> Result<(), String> {
        if self.certificate.is_some() != self.key.is_some() {
            return Err("tls.certificate and tls.key belong together: set both or neither".to_owned());
        }
        let acme = &self.acme;
        if acme.is_on() && !acme.accept_terms {
            return Err(
                "tls.acme.accept_terms must be true: read the terms of the authority first".to_owned()
            );
        }
        let is_name = |host: &&String| {
            let label = |l: &str| !l.is_empty() && l.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
            !host.split('.').all(label)
        };
        if let Some(host) = acme.hosts.iter().find(is_name) {
            return Err(format!(
                "tls.acme.hosts: {host:?} is no host name; a name with * can't be had this way"
            ));
        }
        if acme.is_on() && !acme.directory.starts_with("https://") {
            return Err("tls.acme.directory must begin with https://".to_owned());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    #[test]
    fn values_that_cannot_work_are_refused_by_name() {
        let check = |text: &str, expect: &str| {
            let config: Config = toml::from_str(text).unwrap();
            let error = config.check().unwrap_err();
            assert!(error.contains(expect), "{error}");
        };
        check("[tls]\ncertificate = 'c.pem'", "tls.certificate and tls.key");
        check("[tls.acme]\nhosts = ['a.example']", "tls.acme.accept_terms");
        check("[tls.acme]\nhosts = ['*.example']\naccept_terms = true", "tls.acme.hosts");
        check("[tls.acme]\nhosts = ['a']\naccept_terms = true\ndirectory = 'http://x'", "tls.acme.directory");
        let good: Config = toml::from_str(
            "[[tls.pair]]\ncertificate='c'\nkey='k'\n[tls.acme]\nhosts=['a.example']\naccept_terms=true",
        )
        .unwrap();
        assert_eq!(good.check(), Ok(()));
        assert!(good.tls.is_on());
    }
}
