//! An RTMP client that shows what it is answered.

use anyhow::{Context, Result, bail};
use rtmp::{ClientConfig, ClientEvent, ClientOutput, ClientSession, MediaKind};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

/// One connection.
#[derive(Debug)]
pub struct Peer {
    socket: TcpStream,
    session: ClientSession,
}

/// How the server answers `publish` or `play`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Media may flow.
    Ready,
    /// No: the code and the text for the user.
    Rejected(String, String),
}

impl Answer {
    /// The text for the user.
    ///
    /// # Errors
    /// When media may flow.
    pub fn refusal(self) -> Result<String> {
        match self {
            Answer::Rejected(_, text) => Ok(text),
            Answer::Ready => bail!("it was accepted"),
        }
    }
}

/// A server that is silent for longer has failed the test.
const SILENCE_MAX: Duration = Duration::from_secs(10);

impl Peer {
    /// Connects and asks to publish `name` (with its query) in the app `live`, or `app/name`.
    ///
    /// # Errors
    /// When the server breaks the protocol or the connection.
    pub fn publish(port: u16, name: &str) -> Result<(Peer, Answer)> {
        Peer::open(port, name, ClientSession::publish)
    }

    /// Connects and asks to play.
    ///
    /// # Errors
    /// When the server breaks the protocol or the connection.
    pub fn play(port: u16, name: &str) -> Result<(Peer, Answer)> {
        Peer::open(port, name, ClientSession::play)
    }

    fn open(
        port: u16,
        name: &str,
        session: fn(ClientConfig, &[u8; rtmp::handshake::PACKET_BYTES]) -> ClientSession,
    ) -> Result<(Peer, Answer)> {
        let socket = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        socket.set_read_timeout(Some(SILENCE_MAX))?;
        socket.set_write_timeout(Some(SILENCE_MAX))?;
        socket.set_nodelay(true)?;
        let slash = name.find('/').filter(|at| name.find('?').is_none_or(|query| *at < query));
        let (app, name) = slash.map_or(("live", name), |at| (&name[..at], &name[at + 1..]));
        let tc_url = format!("rtmp://127.0.0.1:{port}/{app}");
        let config = ClientConfig { app: app.into(), name: name.into(), tc_url };
        let mut peer = Peer { socket, session: session(config, &[0x5a; rtmp::handshake::PACKET_BYTES]) };
        let answer = peer.answer().with_context(|| format!("RTMP {name}"))?;
        Ok((peer, answer))
    }

    fn answer(&mut self) -> Result<Answer> {
        loop {
            match self.event()? {
                Some(ClientEvent::Ready) => return Ok(Answer::Ready),
                Some(ClientEvent::Rejected(code, text)) => return Ok(Answer::Rejected(code, text)),
                Some(_) => {}
                None => bail!("the server closed the connection without an answer"),
            }
        }
    }

    /// The next event; `None` when the server closed the connection.
    ///
    /// # Errors
    /// When the server is silent for too long or breaks the protocol.
    pub fn event(&mut self) -> Result<Option<ClientEvent>> {
        let mut buffer = [0; 16 << 10];
        loop {
            while let Some(output) = self.session.poll_output() {
                match output {
                    ClientOutput::Send(bytes) => self.socket.write_all(&bytes)?,
                    ClientOutput::Event(event) => return Ok(Some(event)),
                }
            }
            let count = self.socket.read(&mut buffer).context("waiting for the server")?;
            if count == 0 {
                return Ok(None);
            }
            self.session.handle_input(&buffer[..count])?;
        }
    }

    /// Sends a media message.
    ///
    /// # Errors
    /// When the connection is gone.
    pub fn send(&mut self, kind: MediaKind, time_ms: u32, body: &[u8]) -> Result<()> {
        self.session.send_media(kind, time_ms, &[body]);
        while let Some(output) = self.session.poll_output() {
            if let ClientOutput::Send(bytes) = output {
                self.socket.write_all(&bytes)?;
            }
        }
        Ok(())
    }

    /// From now on it is as if its cable was cut: it takes nothing in, and answers nothing.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn vanish(&self) -> Result<()> {
        crate::flood::cut_cable(&self.socket)
    }

    /// The socket, to read and write by hand.
    ///
    /// # Errors
    /// When the system refuses a second handle.
    pub fn socket(&self) -> Result<TcpStream> {
        Ok(self.socket.try_clone()?)
    }
}
