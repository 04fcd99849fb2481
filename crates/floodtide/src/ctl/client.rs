//! Asks a running server, by its API.

use anyhow::{Context, Result, anyhow, bail};
use bytes::{Bytes, BytesMut};
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{Method, Request, Response, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

/// A server, and who asks it.
#[derive(Debug)]
pub(crate) struct Client {
    base: String,
    token: Option<String>,
    http: legacy::Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

/// An answer that goes on.
#[derive(Debug)]
pub(super) struct Events {
    body: Incoming,
    read: BytesMut,
    /// Where to go on after a break.
    pub(super) last_id: Option<String>,
}

/// Why there is no answer.
#[derive(Debug)]
enum NoAnswer {
    /// Nobody is there.
    Connect(String),
    Timeout,
    Broken(String),
}

const CONNECT_MAX: Duration = Duration::from_secs(5);
const ANSWER_MAX: Duration = Duration::from_secs(30);
/// The largest answer is that of ten thousand broadcasts.
const ANSWER_BYTES_MAX: usize = 64 << 20;
/// One event.
const EVENT_BYTES_MAX: usize = 1 << 20;

/// Runs what asks a server.
pub(crate) fn wait<T>(asking: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(asking)
}

impl Client {
    /// For the server at `base`, such as `http://127.0.0.1:9080`.
    pub(super) fn new(base: &str, token: Option<String>) -> Result<Client> {
        let base = base.trim_end_matches('/').to_owned();
        let uri: Uri = base.parse().with_context(|| format!("{base} is no URL"))?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) || uri.host().is_none() {
            bail!("{base} is no URL: write it as http://127.0.0.1:9080");
        }
        let mut roots = rustls::RootCertStore::empty();
        if uri.scheme_str() == Some("https") {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
        // Named, since the default is none as soon as a library brings a second one.
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_connect_timeout(Some(CONNECT_MAX));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        let http = legacy::Client::builder(TokioExecutor::new()).build(connector);
        Ok(Client { base, token, http })
    }

    pub(super) async fn get(&self, target: &str) -> Result<Value> {
        self.ask(Method::GET, target, None).await
    }

    pub(super) async fn delete(&self, target: &str) -> Result<Value> {
        self.ask(Method::DELETE, target, None).await
    }

    /// `body` is a configuration (TOML), or empty.
    pub(crate) async fn post(&self, target: &str, body: String) -> Result<Value> {
        self.ask(Method::POST, target, Some(("application/toml", body)).filter(|(_, body)| !body.is_empty()))
            .await
    }

    pub(super) async fn post_json(&self, target: &str, body: &Value) -> Result<Value> {
        self.ask(Method::POST, target, Some(("application/json", body.to_string()))).await
    }

    pub(super) async fn patch_json(&self, target: &str, body: &Value) -> Result<Value> {
        self.ask(Method::PATCH, target, Some(("application/json", body.to_string()))).await
    }

    /// What happens from `last_id` on, or from now.
    pub(super) async fn events(&self, target: &str, last_id: Option<&str>) -> Result<Events> {
        let mut request = self.request(Method::GET, target).header(ACCEPT, "text/event-stream");
        if let Some(id) = last_id {
            request = request.header("Last-Event-ID", id);
        }
        let answer = self.send(request.body(Full::default())?).await?;
        if !answer.status().is_success() {
            return Err(self.refused(target, answer).await);
        }
        let last_id = last_id.map(str::to_owned);
        Ok(Events { body: answer.into_body(), read: BytesMut::new(), last_id })
    }

    /// `body`: what it is, and it.
    async fn ask(&self, method: Method, target: &str, body: Option<(&str, String)>) -> Result<Value> {
        let mut request = self.request(method, target);
        if let Some((kind, _)) = &body {
            request = request.header(CONTENT_TYPE, *kind);
        }
        let body = body.map(|(_, body)| body).unwrap_or_default();
        let answer = self.send(request.body(Full::from(body))?).await?;
        if !answer.status().is_success() {
            return Err(self.refused(target, answer).await);
        }
        let body = self.body(answer).await?;
        if body.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&body)
            .with_context(|| format!("{} gives no JSON: is it Floodtide's admin.listen?", self.base))
    }

    fn request(&self, method: Method, target: &str) -> http::request::Builder {
        let request = Request::builder().method(method).uri(format!("{}{target}", self.base));
        match &self.token {
            Some(token) => request.header(AUTHORIZATION, format!("Bearer {token}")),
            None => request,
        }
    }

    async fn send(&self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>> {
        let answer = match tokio::time::timeout(ANSWER_MAX, self.http.request(request)).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) if error.is_connect() => Err(NoAnswer::Connect(cause(&error))),
            Ok(Err(error)) => Err(NoAnswer::Broken(cause(&error))),
            Err(_) => Err(NoAnswer::Timeout),
        };
        answer.map_err(|why| match why {
            NoAnswer::Connect(why) => {
                anyhow!("no server answers at {}: {why}; is it running? --url says where else", self.base)
            }
            NoAnswer::Timeout => anyhow!("{} doesn't answer in time", self.base),
            NoAnswer::Broken(why) => {
                anyhow!("{} gives no answer: {why}; is it running, and Floodtide's admin.listen?", self.base)
            }
        })
    }

    async fn body(&self, answer: Response<Incoming>) -> Result<Bytes> {
        let read = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect();
        let broke = || format!("the answer of {} broke off", self.base);
        match tokio::time::timeout(ANSWER_MAX, read).await {
            Ok(Ok(body)) => Ok(body.to_bytes()),
            Ok(Err(error)) => Err(anyhow!(error)).with_context(broke),
            Err(_) => Err(anyhow!("it takes too long")).with_context(broke),
        }
    }

    /// What a server that refuses says, and what to do about it.
    async fn refused(&self, target: &str, answer: Response<Incoming>) -> anyhow::Error {
        let status = answer.status();
        let body = self.body(answer).await.unwrap_or_default();
        let problem: Option<Value> = serde_json::from_slice(&body).ok();
        let Some(detail) = problem.as_ref().and_then(|problem| problem["detail"].as_str()) else {
            return anyhow!("{} answers {status}: is it Floodtide's admin.listen?", self.base);
        };
        match (status.as_u16(), target) {
            (401, _) => {
                anyhow!("{detail} (give --token-file FILE, or FLOODTIDE_CTL_TOKEN in the environment)")
            }
            // What follows is for those who write URLs themselves.
            (400, path) if path.starts_with("/v1/broadcasts/") => {
                anyhow!("{}", detail.split(';').next().unwrap_or(detail))
            }
            (404, path) if path.starts_with("/v1/broadcasts/") => {
                anyhow!("{detail} (floodtide ctl broadcasts lists what is)")
            }
            (404, path) if path.starts_with("/v1/sessions/") => {
                anyhow!(
                    "there is no such session (floodtide ctl sessions lists them, --ended those that are over)"
                )
            }
            _ => anyhow!("{detail}"),
        }
    }
}

/// The innermost error: what the system said.
fn cause(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

impl Events {
    /// The data of the next event; `None` when the server ends the answer, as it does now and then.
    pub(super) async fn next(&mut self) -> Result<Option<Value>> {
        loop {
            if let Some(end) = self.read.windows(2).position(|two| two == b"\n\n") {
                let event = self.read.split_to(end + 2);
                if let Some(data) = self.take(&String::from_utf8_lossy(&event)) {
                    return Ok(Some(serde_json::from_str(&data)?));
                }
                continue;
            }
            if self.read.len() > EVENT_BYTES_MAX {
                bail!("an event is too long");
            }
            match self.body.frame().await {
                Some(Ok(frame)) => self.read.extend_from_slice(&frame.into_data().unwrap_or_default()),
                // Whoever asks again learns whether the server is gone.
                Some(Err(_)) | None => return Ok(None),
            }
        }
    }

    /// HTML standard, §9.2.6. Comments have no data.
    fn take(&mut self, event: &str) -> Option<String> {
        let mut data = None;
        for line in event.lines() {
            match line.split_once(':') {
                Some(("id", id)) => self.last_id = Some(id.trim().to_owned()),
                Some(("data", text)) => data = Some(text.trim_start().to_owned()),
                _ => {}
            }
        }
        data
    }
}

/// One element of a path in a URL.
pub(super) fn element(text: &str) -> String {
    // Spaces would become plus signs; no path or id of ours has one.
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}
