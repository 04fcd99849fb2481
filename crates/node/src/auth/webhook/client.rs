//! One signed request.

use crate::auth::keys::hex;
use crate::config::Webhook;
use aws_lc_rs::hmac;
use bytes::Bytes;
use http::{Method, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Posts to hooks; connections are kept for the next request.
#[derive(Debug)]
pub(super) struct Client {
    http: legacy::Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    key: Option<hmac::Key>,
    timeout: Duration,
}

/// Why a request gave no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// The request never left.
    #[error("can't connect: {0}")]
    Connect(String),
    #[error("no answer in time")]
    Timeout,
    #[error("the connection broke: {0}")]
    Broken(String),
    #[error("it answers {0}")]
    Status(StatusCode),
    #[error("its answer is not as documented: {0}")]
    Answer(String),
}

/// Why hooks can't be used.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No URL; the check of the configuration refuses it before.
    #[error("webhook: {0:?} is no URL")]
    Url(String),
    /// `webhook.ca` can't be read.
    #[error("can't read the certificates of webhook.ca {path}: {message}")]
    Ca {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
    /// The library offers no version of TLS.
    #[error("webhook: no TLS: {0}")]
    Tls(String),
    /// The system has none, as in an empty container.
    #[error(
        "the system has no certificates of authorities to check https hooks by: install them, or set webhook.ca"
    )]
    NoCertificates,
}

/// An answer has some 100 bytes.
const ANSWER_BYTES_MAX: usize = 64 << 10;
/// Idle connections per server.
const IDLE_MAX: usize = 32;
const IDLE_TIME: Duration = Duration::from_secs(30);

impl Failure {
    /// Whether the server surely didn't take the event, so that telling it again tells it once.
    pub(super) fn is_worth_a_retry(&self) -> bool {
        match self {
            Failure::Connect(_) => true,
            Failure::Status(status) => status.is_server_error(),
            Failure::Timeout | Failure::Broken(_) | Failure::Answer(_) => false,
        }
    }
}

impl Client {
    pub(super) fn new(config: &Webhook) -> Result<Client, ClientError> {
        let is_https = |url: &String| url.starts_with("https:");
        let needs_tls = config.urls().iter().any(|(_, urls)| urls.iter().any(is_https));
        let roots = match &config.ca {
            Some(path) => read_certificates(path)?,
            None if needs_tls => system_certificates()?,
            None => rustls::RootCertStore::empty(),
        };
        // Named, since the default is none as soon as a library brings a second one.
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| ClientError::Tls(error.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        // Before the whole request's, so that a host that is gone is told from one that is slow.
        tcp.set_connect_timeout(Some(config.timeout.0 / 2));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        let http = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIME)
            .pool_max_idle_per_host(IDLE_MAX)
            .build(connector);
        let key = config.secret.as_ref().map(|secret| hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()));
        Ok(Client { http, key, timeout: config.timeout.0 })
    }

    /// How long a request may take; who calls [`Client::post`] keeps it.
    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Posts a body and takes the whole answer. Redirections are answers like others.
    pub(super) async fn post(&self, uri: &Uri, body: Bytes) -> Result<(StatusCode, Bytes), Failure> {
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(uri)
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::USER_AGENT, crate::SERVER);
        if let Some(key) = &self.key {
            let signature = hex(hmac::sign(key, &body).as_ref());
            request = request.header("x-floodtide-signature", format!("sha256={signature}"));
        }
        let request = request.body(Full::new(body)).map_err(|error| Failure::Broken(error.to_string()))?;
        let answer = self.http.request(request).await.map_err(|error| {
            let text = causes(&error);
            if error.is_connect() { Failure::Connect(text) } else { Failure::Broken(text) }
        })?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await;
        let body = body.map_err(|error| Failure::Answer(error.to_string()))?.to_bytes();
        Ok((status, body))
    }
}

fn read_certificates(path: &Path) -> Result<rustls::RootCertStore, ClientError> {
    let wrong = |message: String| ClientError::Ca { path: path.to_owned(), message };
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(|error| wrong(error.to_string()))? {
        let certificate = certificate.map_err(|error| wrong(error.to_string()))?;
        roots.add(certificate).map_err(|error| wrong(error.to_string()))?;
    }
    if roots.is_empty() { Err(wrong("it has no certificate".to_owned())) } else { Ok(roots) }
}

fn system_certificates() -> Result<rustls::RootCertStore, ClientError> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() { Err(ClientError::NoCertificates) } else { Ok(roots) }
}

/// The outer error says little: "client error (Connect)".
fn causes(error: &dyn std::error::Error) -> String {
    let chain = std::iter::successors(error.source(), |error| error.source());
    let texts: Vec<String> = chain.map(ToString::to_string).collect();
    if texts.is_empty() { error.to_string() } else { texts.join(": ") }
}
