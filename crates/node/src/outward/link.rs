//! An RTMP session that we open.

use super::failure::quoted;
use super::{Connection, Dialer, Failure, Remote, Scheme};
use crate::gateway::random_bytes;
use bytes::BytesMut;
use rtmp::{ClientConfig, ClientEvent, ClientOutput, ClientSession};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A session that was accepted.
pub(crate) struct Link {
    connection: Connection,
    session: ClientSession,
    input: BytesMut,
    output: BytesMut,
    peer: SocketAddr,
}

/// What we want of the other server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Goal {
    Publish,
    Play,
}

/// How it went so far.
enum Opened {
    Ready(Box<Link>),
    Redirected(String),
}

/// Bytes read at a time.
const READ_BYTES: usize = 64 << 10;
/// From the connection to the answer to `publish` or `play`.
const ANSWER_MAX: Duration = Duration::from_secs(10);
/// A server that takes nothing for so long is given up.
const STALL_MAX: Duration = Duration::from_secs(10);
/// Servers that send us on.
const REDIRECTS_MAX: usize = 3;

impl Link {
    /// URLs of such sessions.
    pub(crate) const SCHEMES: [Scheme; 2] = [
        Scheme { name: "rtmp", port: 1935, tls: false, users: false },
        Scheme { name: "rtmps", port: 443, tls: true, users: false },
    ];

    /// Connects, and asks until the server accepts.
    pub(crate) async fn open(dialer: &Dialer, remote: &Remote, goal: Goal) -> Result<Link, Failure> {
        let mut remote = remote.clone();
        for _ in 0..=REDIRECTS_MAX {
            let asked = tokio::time::timeout(ANSWER_MAX, Link::ask(dialer, &remote, goal)).await;
            match asked.map_err(|_| Failure::Silent(ANSWER_MAX))?? {
                Opened::Ready(link) => return Ok(*link),
                Opened::Redirected(app) => remote = redirected(&remote, &app)?,
            }
        }
        Err(Failure::Redirected(format!("more than {REDIRECTS_MAX} times")))
    }

    async fn ask(dialer: &Dialer, remote: &Remote, goal: Goal) -> Result<Opened, Failure> {
        let (connection, peer) = dialer.open(remote).await?;
        let (app, name) = remote.app_and_name();
        let tc_url = format!("{}://{}/{app}", remote.scheme.name, remote.authority());
        let config = ClientConfig { app: app.to_owned(), name, tc_url };
        let random = random_bytes()?;
        let session = match goal {
            Goal::Publish => ClientSession::publish(config, &random),
            Goal::Play => ClientSession::play(config, &random),
        };
        let (input, output) = (BytesMut::new(), BytesMut::new());
        let mut link = Link { connection, session, input, output, peer };
        loop {
            match link.event().await? {
                ClientEvent::Ready => return Ok(Opened::Ready(Box::new(link))),
                ClientEvent::Redirected(url) => return Ok(Opened::Redirected(url)),
                event => drop(judge(event)?),
            }
        }
    }

    /// The other end.
    pub(crate) fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// To queue media; [`Link::flush`] sends it.
    pub(crate) fn session(&mut self) -> &mut ClientSession {
        &mut self.session
    }

    /// The next thing that the server says; what it is answered is sent. May be given up at any time and asked again.
    pub(crate) async fn event(&mut self) -> Result<ClientEvent, Failure> {
        loop {
            if let Some(event) = self.queue() {
                return Ok(event);
            }
            self.write().await?;
            self.input.reserve(READ_BYTES);
            if self.connection.read_buf(&mut self.input).await? == 0 {
                return Err(Failure::Closed);
            }
            let read = self.input.split();
            self.session.handle_input(&read).map_err(|error| Failure::Wire(error.to_string()))?;
        }
    }

    /// Sends all that was queued. Events on the way are judged as by [`judge`].
    pub(crate) async fn flush(&mut self) -> Result<(), Failure> {
        while let Some(event) = self.queue() {
            judge(event)?;
        }
        let written = tokio::time::timeout(STALL_MAX, self.write()).await;
        written.map_err(|_| Failure::Stalled(STALL_MAX))?
    }

    /// Moves bytes of the session to the output, up to the next event.
    fn queue(&mut self) -> Option<ClientEvent> {
        while let Some(output) = self.session.poll_output() {
            match output {
                ClientOutput::Send(bytes) => self.output.extend_from_slice(&bytes),
                ClientOutput::Event(event) => return Some(event),
            }
        }
        None
    }

    async fn write(&mut self) -> Result<(), Failure> {
        while !self.output.is_empty() {
            self.connection.write_buf(&mut self.output).await?;
        }
        Ok(self.connection.flush().await?)
    }

    /// Says goodbye, as far as the server listens.
    pub(crate) async fn finish(mut self) {
        self.session.finish();
        if self.flush().await.is_ok() {
            // Whether it was heard makes no difference.
            let _ = tokio::time::timeout(STALL_MAX, self.connection.shutdown()).await;
        }
    }
}

/// The event, if it isn't the end of a session.
pub(crate) fn judge(event: ClientEvent) -> Result<ClientEvent, Failure> {
    match event {
        ClientEvent::Rejected(code, text) => Err(Failure::Refused(quoted(&code, &text))),
        ClientEvent::Redirected(url) => Err(Failure::Redirected(quoted("", &url))),
        ClientEvent::Ended | ClientEvent::Reconnect => Err(Failure::Ended),
        event => Ok(event),
    }
}

/// A redirect names another app; the name stays.
fn redirected(remote: &Remote, app: &str) -> Result<Remote, Failure> {
    let (_, name) = remote.app_and_name();
    let url = format!("{}/{name}", app.trim_end_matches('/'));
    remote.redirected(&url, &Link::SCHEMES).map_err(|_| Failure::Redirected(quoted("", app)))
}
