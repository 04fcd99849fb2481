//! All certificates, by the name that a client asks for. They are replaced while the server runs; connections that are there keep
//! what they have.

use super::pair::{Pair, TlsError};
use crate::config::Tls;
use crate::metrics::Metrics;
use arc_swap::ArcSwap;
use prometheus_client::metrics::gauge::Gauge;
use rustls::ServerConfig;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::SystemTime;
use tokio_rustls::TlsAcceptor;

/// What TLS connections are offered. Clones share.
#[derive(Clone, Debug, Default)]
pub(crate) struct Certificates(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    configured: ArcSwap<Set>,
    /// What the server got for itself.
    acquired: ArcSwap<Set>,
    /// When the first of all ends, in seconds of Unix time.
    ends: Gauge,
}

/// Certificates that were read.
#[derive(Debug, Default)]
pub(crate) struct Set {
    by_name: HashMap<String, Arc<CertifiedKey>>,
    /// For clients that ask for no name, or one that nobody has.
    first: Option<Arc<CertifiedKey>>,
    ends: Option<SystemTime>,
}

impl Certificates {
    /// None yet; when they end is a metric.
    pub(crate) fn counted(metrics: &Metrics) -> Certificates {
        let ends = metrics.certificate_ends.clone();
        Certificates(Arc::new(Shared { ends, ..Shared::default() }))
    }

    /// Reads what is configured.
    ///
    /// # Errors
    /// When a file can't be read, or a key is not that of its certificate.
    pub(crate) fn read(tls: &Tls) -> Result<Set, TlsError> {
        let mut set = Set::default();
        for (certificate, key) in tls.pairs() {
            let pair = Pair::read(certificate, key)?;
            if pair.ends <= SystemTime::now() {
                tracing::warn!(file = %certificate.display(), "the certificate has expired: replace it");
            }
            set.add(pair);
        }
        Ok(set)
    }

    /// Offers these instead of those that were configured before.
    pub(crate) fn apply(&self, set: Set) {
        self.0.configured.store(Arc::new(set));
        self.measure();
    }

    /// Offers what the server got for itself.
    pub(super) fn acquired(&self, pair: Pair) {
        let mut set = Set::default();
        set.add(pair);
        self.0.acquired.store(Arc::new(set));
        self.measure();
    }

    fn measure(&self) {
        let sets = [self.0.configured.load(), self.0.acquired.load()];
        let ends = sets.iter().filter_map(|set| set.ends).min();
        let unix = ends.and_then(|ends| ends.duration_since(SystemTime::UNIX_EPOCH).ok());
        self.0.ends.set(unix.map_or(0, |unix| i64::try_from(unix.as_secs()).unwrap_or(i64::MAX)));
    }

    /// An acceptor that offers these protocols by ALPN.
    pub(crate) fn acceptor(&self, alpn: &[&[u8]]) -> Result<TlsAcceptor, rustls::Error> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(self.clone()));
        config.alpn_protocols = alpn.iter().map(|p| p.to_vec()).collect();
        Ok(TlsAcceptor::from(Arc::new(config)))
    }

    /// By name, else the first. RFC 6066 §3: whoever knows no such name may go on with another certificate.
    fn choose(&self, name: Option<&str>) -> Option<Arc<CertifiedKey>> {
        let (configured, acquired) = (self.0.configured.load(), self.0.acquired.load());
        let named = name.map(str::to_ascii_lowercase);
        let found = named.and_then(|name| configured.named(&name).or_else(|| acquired.named(&name)));
        found.or_else(|| configured.first.clone()).or_else(|| acquired.first.clone())
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.choose(hello.server_name())
    }
}

impl Set {
    fn add(&mut self, pair: Pair) {
        for name in pair.names {
            self.by_name.entry(name).or_insert_with(|| Arc::clone(&pair.certified));
        }
        self.first.get_or_insert(pair.certified);
        self.ends = Some(self.ends.map_or(pair.ends, |ends| ends.min(pair.ends)));
    }

    /// A wildcard stands for one label. RFC 9525 §6.3.
    fn named(&self, name: &str) -> Option<Arc<CertifiedKey>> {
        let wild = || format!("*.{}", name.split_once('.').map_or("", |(_, rest)| rest));
        self.by_name.get(name).or_else(|| self.by_name.get(&wild())).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn pair(names: &[&str]) -> Pair {
        let made =
            rcgen::generate_simple_self_signed(names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>());
        let made = made.unwrap();
        let (chain, key) = (made.cert.pem(), made.signing_key.serialize_pem());
        Pair::parse(chain.as_bytes(), key.as_bytes(), Path::new("c"), Path::new("k")).unwrap()
    }

    fn set(pairs: &[&Pair]) -> Set {
        let mut set = Set::default();
        pairs.iter().for_each(|pair| set.add((*pair).clone()));
        set
    }

    #[track_caller]
    fn check(certificates: &Certificates, name: Option<&str>, expect: &Pair) {
        let found = certificates.choose(name).unwrap();
        assert!(Arc::ptr_eq(&found, &expect.certified), "{name:?}");
    }

    #[test]
    fn a_name_gets_its_certificate_and_others_the_first() {
        let (one, two) = (pair(&["one.example"]), pair(&["two.example", "*.two.example"]));
        let certificates = Certificates::default();
        certificates.apply(set(&[&one, &two]));
        check(&certificates, Some("ONE.example"), &one);
        check(&certificates, Some("two.example"), &two);
        check(&certificates, Some("a.two.example"), &two);
        check(&certificates, Some("a.b.two.example"), &one);
        check(&certificates, None, &one);
        assert!(certificates.0.ends.get() > 0);
    }

    #[test]
    fn what_the_server_got_for_itself_stands_behind_what_is_configured() {
        let (one, own) = (pair(&["one.example"]), pair(&["own.example"]));
        let certificates = Certificates::default();
        assert!(certificates.choose(Some("own.example")).is_none());
        certificates.acquired(own.clone());
        check(&certificates, None, &own);
        certificates.apply(set(&[&one]));
        check(&certificates, Some("own.example"), &own);
        check(&certificates, None, &one);
    }

    #[test]
    fn a_key_of_another_certificate_is_refused() {
        let make = || rcgen::generate_simple_self_signed(vec!["x.example".to_owned()]).unwrap();
        let (one, other) = (make(), make());
        let parse = |chain: &str, key: &str| {
            Pair::parse(chain.as_bytes(), key.as_bytes(), Path::new("c.pem"), Path::new("k.pem"))
        };
        let error = parse(&one.cert.pem(), &other.signing_key.serialize_pem()).unwrap_err();
        assert_eq!(error.to_string(), "certificate c.pem and private key k.pem don't fit each other");
        let error = parse("", &one.signing_key.serialize_pem()).unwrap_err();
        assert_eq!(error.to_string(), "can't read the certificate c.pem: there is none in it");
        let error = parse(&one.cert.pem(), "").unwrap_err().to_string();
        assert!(error.starts_with("can't read the private key k.pem: "), "{error}");
    }
}
