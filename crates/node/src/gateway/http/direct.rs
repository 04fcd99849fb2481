//! Files of broadcasts over plain HTTP/1.1, without hyper: heads are written in one piece, and bodies that a crowd
//! loads go from a memory file to the socket without a copy. RFC 9112.

use super::date::push_date;
use super::head::FileRequest;
use super::hls::{Content, FileAnswer, FileAsk, Wishes};
use super::listen::Gateway;
use super::service::EXPOSED;
use crate::auth::Again;
use crate::gateway::Io;
use crate::life::Phase;
use crate::limits::TooMuch;
use crate::logs::access::{Answered, RequestKind};
use bytes::Buf;
use http::StatusCode;
use rustix::fs::sendfile;
use rustix::io::Errno;
use rustix::net::{SendFlags, send};
use std::fmt::Write;
use std::io::{Error, ErrorKind, IoSlice, Result};
use std::net::SocketAddr;
use std::ops::Range;
use std::time::{Duration, Instant, SystemTime};
use tokio::io::Interest;
use tokio::net::TcpStream;

/// A peer that takes nothing for so long is given up, as the system does at last.
const STALL_MAX: Duration = Duration::from_secs(20);

/// Answers a request; true if another may follow.
pub(super) async fn respond(
    io: &mut Io,
    request: &FileRequest<'_>,
    (peer, phase): (SocketAddr, Phase),
    gateway: &Gateway,
    again: &mut Again,
) -> Result<bool> {
    let wishes = Wishes { accept_encoding: request.accept_encoding, range: request.range, file: true };
    let began = Instant::now();
    let file = FileAsk { target: &request.target, query: request.query, caller: &request.caller, wishes };
    let answer = gateway.file(file, (peer, phase), again).await;
    // The next request goes to the successor, over another connection.
    let close = request.close || answer.status == StatusCode::TEMPORARY_REDIRECT;
    let head = head(&answer, close);
    gateway.answered(&Answered {
        kind: RequestKind::Hls,
        method: request.method(),
        path: request.path,
        status: answer.status.as_u16(),
        bytes: Some(answer.content.len() as u64),
        after: began.elapsed(),
        peer,
    });
    let socket = io.plain().ok_or(ErrorKind::Unsupported)?;
    match answer.content {
        _ if request.head_only => send_bytes(socket, head.as_bytes(), &[]).await?,
        Content::Bytes(bytes) => send_bytes(socket, head.as_bytes(), &bytes).await?,
        Content::File { file, range } => {
            send_head(socket, head.as_bytes()).await?;
            send_file(socket, file.descriptor(), range).await?;
        }
    }
    Ok(!close)
}

impl FileRequest<'_> {
    fn method(&self) -> &'static str {
        if self.head_only { "HEAD" } else { "GET" }
    }

    /// What is counted and logged when it isn't answered.
    pub(super) fn refused(&self, too_much: &TooMuch, peer: SocketAddr) -> Answered<'_> {
        let (method, status) = (self.method(), too_much.status().as_u16());
        let (kind, path, after) = (RequestKind::Hls, self.path, Duration::ZERO);
        Answered { kind, method, path, status, bytes: None, after, peer }
    }
}

/// Room for a usual head.
const HEAD_BYTES_USUAL: usize = 640;

fn head(answer: &FileAnswer, close: bool) -> String {
    let mut head = String::with_capacity(HEAD_BYTES_USUAL);
    let mut line = |parts: &[&str]| parts.iter().for_each(|part| head.push_str(part));
    let reason = answer.status.canonical_reason().unwrap_or_default();
    line(&["HTTP/1.1 ", answer.status.as_str(), " ", reason, "\r\nServer: ", crate::SERVER, "\r\n"]);
    line(&["Access-Control-Allow-Origin: *\r\nAccess-Control-Expose-Headers: ", EXPOSED, "\r\n"]);
    for (name, value) in &answer.headers {
        line(&[name.as_str(), ": ", value, "\r\n"]);
    }
    if close {
        line(&["Connection: close\r\n"]);
    }
    head.push_str("Date: ");
    push_date(&mut head, SystemTime::now());
    // Writing to a String can't fail.
    let _ = write!(head, "\r\nContent-Length: {}\r\n\r\n", answer.content.len());
    head
}

async fn send_bytes(socket: &TcpStream, head: &[u8], body: &[u8]) -> Result<()> {
    let mut left = head.chain(body);
    while left.has_remaining() {
        let sent = when_writable(socket, || {
            let mut slices = [IoSlice::new(&[]); 2];
            let count = left.chunks_vectored(&mut slices);
            socket.try_write_vectored(&slices[..count])
        });
        left.advance(sent.await?);
    }
    Ok(())
}

/// The head waits in the kernel for the body (`MSG_MORE`), so that both share a TCP segment.
async fn send_head(socket: &TcpStream, mut head: &[u8]) -> Result<()> {
    while !head.is_empty() {
        let sent = when_writable(socket, || {
            socket
                .try_io(Interest::WRITABLE, || Ok(send(socket, head, SendFlags::MORE | SendFlags::NOSIGNAL)?))
        });
        head = &head[sent.await?..];
    }
    Ok(())
}

async fn send_file(socket: &TcpStream, file: &rustix::fd::OwnedFd, range: Range<usize>) -> Result<()> {
    let (mut offset, end) = (range.start as u64, range.end as u64);
    while offset < end {
        let sent = when_writable(socket, || {
            let left = (end - offset) as usize;
            socket.try_io(Interest::WRITABLE, || Ok(sendfile(socket, file, Some(&mut offset), left)?))
        });
        if sent.await? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(())
}

/// Tries until the socket takes something.
async fn when_writable(socket: &TcpStream, mut attempt: impl FnMut() -> Result<usize>) -> Result<usize> {
    loop {
        match attempt() {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            done => return done,
        }
        tokio::time::timeout(STALL_MAX, socket.writable())
            .await
            .map_err(|_| Error::from(Errno::TIMEDOUT))??;
    }
}
