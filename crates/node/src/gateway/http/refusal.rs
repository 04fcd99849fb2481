//! Short answers to who isn't served, before or without hyper.

use super::head::HEAD_BYTES_MAX;
use crate::gateway::Door;
use crate::limits::{Limit, TooMuch};
use http::StatusCode;
use std::io::Result;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

/// Answers to connections that are too much. They are few at a time, so that a flood is closed without a word.
#[derive(Clone, Debug)]
pub(super) struct Refusals(Arc<Semaphore>);

/// Connections that are too much and are answered nevertheless, at a time and listener.
const ANSWERS_MAX: usize = 64;
/// How long such an answer may take.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(2);

impl Default for Refusals {
    fn default() -> Self {
        Refusals(Arc::new(Semaphore::new(ANSWERS_MAX)))
    }
}

impl Refusals {
    /// The answer to a connection that is too much; none where it is to be closed at once. It waits for the request: what
    /// isn't read when a socket closes makes the system take the answer back (RFC 9112 §9.6).
    pub(super) fn answer(
        &self,
        door: &Door,
        mut socket: TcpStream,
        too_much: TooMuch,
    ) -> Option<impl Future<Output = ()> + Send + use<>> {
        // Who isn't a proxy of ours gets no answer, and a TLS handshake would be work.
        if door.has_tls() || too_much.limit == Limit::TrustedProxies {
            return None;
        }
        let permit = Arc::clone(&self.0).try_acquire_owned().ok()?;
        Some(async move {
            let _permit = permit;
            let answer = async {
                read_head(&mut socket).await?;
                send(&mut socket, &too_much).await
            };
            // It was a courtesy.
            let _ = tokio::time::timeout(ANSWER_TIME_MAX, answer).await;
        })
    }
}

async fn read_head(socket: &mut TcpStream) -> Result<()> {
    let mut bytes = Vec::with_capacity(1024);
    while bytes.len() < HEAD_BYTES_MAX
        && !bytes.ends_with(b"\r\n\r\n")
        && socket.read_buf(&mut bytes).await? > 0
    {}
    Ok(())
}

/// Tells somebody who is too much when to come again, and closes.
pub(super) async fn send(to: &mut (impl AsyncWrite + Unpin), too_much: &TooMuch) -> Result<()> {
    let headers = format!("Retry-After: {}\r\n", too_much.retry_after_s());
    refuse(to, too_much.status(), &headers, &format!("{too_much}\n")).await
}

/// Answers with a text, and closes. Each of `headers` ends with CR and LF.
pub(super) async fn refuse(
    to: &mut (impl AsyncWrite + Unpin),
    status: StatusCode,
    headers: &str,
    reason: &str,
) -> Result<()> {
    let answer = format!(
        "HTTP/1.1 {} {}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\n{headers}\
         Access-Control-Allow-Origin: *\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n{reason}",
        status.as_u16(),
        status.canonical_reason().unwrap_or_default(),
        reason.len()
    );
    to.write_all(answer.as_bytes()).await?;
    to.shutdown().await
}

impl TooMuch {
    /// As HTTP says it: 503 when the server has no room for anybody, 429 (RFC 6585 §4) when it is the client's doing.
    pub(super) fn status(self) -> StatusCode {
        match self.limit {
            Limit::Connections => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::TOO_MANY_REQUESTS,
        }
    }
}
