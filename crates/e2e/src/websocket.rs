//! The payload of a WebSocket, as one run of bytes. RFC 6455.

use crate::http::Connection;
use anyhow::{Context, Result, ensure};
use std::collections::VecDeque;
use std::io::{self, BufReader, Read};
use std::net::TcpStream;

/// Reads binary messages; `Read` gives their payload.
#[derive(Debug)]
pub struct Payload<R = BufReader<TcpStream>> {
    socket: R,
    left: VecDeque<u8>,
}

/// Opens a WebSocket and returns its payload.
///
/// # Errors
/// When the server doesn't upgrade.
pub fn open(port: u16, target: &str) -> Result<Payload> {
    // The key and its answer are those of RFC 6455 §1.3.
    let headers = [
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    let (head, socket) = Connection::open(port)?.endless(target, &headers).context("WebSocket")?;
    ensure!(head.status == 101, "no upgrade but {head:?}");
    ensure!(head.header("sec-websocket-accept") == Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{head:?}");
    Ok(Payload::behind_head(socket))
}

impl<R: Read> Payload<R> {
    /// Reads what comes behind the answer to the upgrade.
    pub fn behind_head(socket: R) -> Payload<R> {
        Payload { socket, left: VecDeque::new() }
    }

    /// Reads one message; false at a close or the end of the connection.
    fn message(&mut self) -> io::Result<bool> {
        let mut head = [0; 2];
        if self.socket.read(&mut head[..1])? == 0 {
            return Ok(false);
        }
        self.socket.read_exact(&mut head[1..])?;
        let length = match head[1] {
            126 => {
                let mut length = [0; 2];
                self.socket.read_exact(&mut length)?;
                u64::from(u16::from_be_bytes(length))
            }
            127 => {
                let mut length = [0; 8];
                self.socket.read_exact(&mut length)?;
                u64::from_be_bytes(length)
            }
            short if short < 126 => u64::from(short),
            _ => return Err(io::Error::other("a server must not mask")),
        };
        let mut payload = vec![0; usize::try_from(length).map_err(io::Error::other)?];
        self.socket.read_exact(&mut payload)?;
        match head[0] {
            // Binary, whole or continued.
            0x82 | 0x02 | 0x80 | 0x00 => self.left.extend(payload),
            // Ping and pong.
            0x89 | 0x8a => {}
            0x88 => return Ok(false),
            other => return Err(io::Error::other(format!("an unexpected frame {other:#x}"))),
        }
        Ok(true)
    }
}

impl<R: Read> Read for Payload<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.left.is_empty() {
            if !self.message()? {
                return Ok(0);
            }
        }
        self.left.read(buffer)
    }
}
