//! One attempt by FLV over HTTP.

use super::intake::{Intake, LOOK_EVERY};
use crate::outward::{Connection, Dialer, Failure, Remote, Scheme};
use crate::sessions::Protocol;
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, HOST, LOCATION, USER_AGENT};
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use mux::flv::TagReader;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::time::Duration;

/// URLs of such sources.
pub(super) const SCHEMES: [Scheme; 2] = [
    Scheme { name: "http", port: 80, tls: false, users: true },
    Scheme { name: "https", port: 443, tls: true, users: true },
];

/// From the request to the head of its response.
const HEAD_MAX: Duration = Duration::from_secs(10);
/// Servers that send us on.
const REDIRECTS_MAX: usize = 3;
/// Room for the head of a response.
const BUFFER_BYTES: usize = 64 << 10;

type Carrier = http1::Connection<TokioIo<Connection>, Empty<Bytes>>;

/// Plays until it fails or ends.
pub(super) async fn attempt(dialer: &Dialer, remote: &Remote, intake: &mut Intake) -> Result<(), Failure> {
    let mut remote = remote.clone();
    for _ in 0..=REDIRECTS_MAX {
        let (connection, peer) = dialer.open(&remote).await?;
        let mut settings = http1::Builder::new();
        settings.max_buf_size(BUFFER_BYTES);
        let (mut requests, carrier) =
            settings.handshake(TokioIo::new(connection)).await.map_err(|error| wire(&error))?;
        let mut carrier = pin!(carrier);
        let asked = ask(&mut requests, carrier.as_mut(), &remote);
        let response =
            tokio::time::timeout(HEAD_MAX, asked).await.map_err(|_| Failure::Silent(HEAD_MAX))??;
        let Some(to) = redirect(&response)? else {
            return receive(response, carrier, peer, intake).await;
        };
        remote = remote.redirected(&to, &SCHEMES).map_err(|_| Failure::Redirected(to))?;
    }
    Err(Failure::Redirected(format!("more than {REDIRECTS_MAX} times")))
}

async fn ask(
    requests: &mut SendRequest<Empty<Bytes>>,
    mut carrier: Pin<&mut Carrier>,
    remote: &Remote,
) -> Result<Response<Incoming>, Failure> {
    let mut request = Request::get(remote.target())
        .header(HOST, remote.authority())
        .header(USER_AGENT, crate::SERVER)
        .header(ACCEPT, "*/*");
    if let Some(basic) = remote.basic() {
        let mut value = HeaderValue::from_str(&basic).map_err(|e| Failure::Url(e.to_string()))?;
        value.set_sensitive(true);
        request = request.header(AUTHORIZATION, value);
    }
    let request = request.body(Empty::new()).map_err(|e| Failure::Url(e.to_string()))?;
    let mut answer = pin!(requests.send_request(request));
    tokio::select! {
        answer = &mut answer => answer.map_err(|error| wire(&error)),
        ended = &mut carrier => {
            ended.map_err(|error| wire(&error))?;
            // It may have answered before it closed.
            answer.await.map_err(|error| wire(&error))
        }
    }
}

/// Where the answer sends us. RFC 9110 §15.4.
fn redirect(response: &Response<Incoming>) -> Result<Option<String>, Failure> {
    let status = response.status();
    if status == StatusCode::OK {
        return Ok(None);
    }
    let to = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
    match to.filter(|_| status.is_redirection()) {
        Some(to) => Ok(Some(to.to_owned())),
        None => Err(Failure::Refused(status.to_string())),
    }
}

async fn receive(
    response: Response<Incoming>,
    mut carrier: Pin<&mut Carrier>,
    peer: SocketAddr,
    intake: &mut Intake,
) -> Result<(), Failure> {
    let (mut body, mut reader) = (response.into_body(), TagReader::default());
    let (mut look, mut carried) = (tokio::time::interval(LOOK_EVERY), false);
    intake.accepted();
    loop {
        tokio::select! {
            frame = body.frame() => {
                let Some(frame) = frame else { return Err(Failure::Ended) };
                let Ok(bytes) = frame.map_err(|error| wire(&error))?.into_data() else { continue };
                reader.push(&bytes);
                while let Some(tag) = reader.tag().map_err(|e| Failure::Media(e.into()))? {
                    intake.tag(tag.tag, tag.timestamp_ms, &tag.body, (peer, Protocol::Flv))?;
                }
            }
            // The connection is over, not yet what came by it.
            ended = &mut carrier, if !carried => {
                ended.map_err(|error| wire(&error))?;
                carried = true;
            }
            _ = look.tick() => intake.look()?,
        }
    }
}

fn wire(error: &hyper::Error) -> Failure {
    if error.is_incomplete_message() || error.is_canceled() || error.is_closed() {
        return Failure::Closed;
    }
    Failure::Wire(error.to_string())
}
