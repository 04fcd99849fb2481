//! Lines and sockets over a Unix socket.

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};
use serde::{Deserialize, Serialize};
use std::io::{Error, ErrorKind, IoSlice, IoSliceMut, Read, Result, Write};
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// What the new process says first.
pub(super) const HELLO: &str = "floodtide take-over 2";
/// What it says when it serves.
pub(super) const READY: &str = "ready";
/// Sockets at a time: six listeners, and room for those to come.
pub(super) const SOCKETS_MAX: usize = 16;
/// The longest line. A path has at most 256 bytes; the offer has some hundred per listener.
const LINE_BYTES_MAX: usize = 8 << 10;
/// A step that takes longer has failed.
pub(super) const STEP_MAX: Duration = Duration::from_secs(10);

/// What the old process offers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Offer {
    /// The listening sockets, in the order in which they are passed.
    pub(super) listeners: Vec<Listener>,
    /// Where the old process still plays, over HTTP.
    pub(super) media: SocketAddr,
    /// Opens every broadcast there.
    pub(super) secret: String,
    /// Above the numbers of all HLS segments so far.
    pub(super) segments_end: u32,
}

/// One listening socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Listener {
    /// The key of the configuration that it is for.
    pub(super) key: String,
    pub(super) address: SocketAddr,
}

/// A connection whose lines are read without reading ahead, since sockets come with certain bytes.
#[derive(Debug)]
pub(super) struct Line(UnixStream);

impl Line {
    pub(super) fn new(stream: UnixStream) -> Result<Line> {
        stream.set_read_timeout(Some(STEP_MAX))?;
        stream.set_write_timeout(Some(STEP_MAX))?;
        Ok(Line(stream))
    }

    /// The connection, whose end is yet to come.
    pub(super) fn into_stream(self) -> Result<UnixStream> {
        self.0.set_read_timeout(None)?;
        Ok(self.0)
    }

    /// How long the next line may take.
    pub(super) fn patience(&self, time: Duration) -> Result<()> {
        self.0.set_read_timeout(Some(time))
    }

    pub(super) fn say(&mut self, line: &str) -> Result<()> {
        self.0.write_all(format!("{line}\n").as_bytes())
    }

    /// The next line without its end.
    pub(super) fn hear(&mut self) -> Result<String> {
        let mut line = Vec::new();
        self.rest_of_line(&mut line)?;
        Ok(String::from_utf8_lossy(&line).into_owned())
    }

    fn rest_of_line(&mut self, line: &mut Vec<u8>) -> Result<()> {
        let mut byte = [0];
        loop {
            self.0.read_exact(&mut byte)?;
            match byte[0] {
                b'\n' => return Ok(()),
                _ if line.len() >= LINE_BYTES_MAX => return Err(Error::from(ErrorKind::InvalidData)),
                other => line.push(other),
            }
        }
    }

    /// A line that sockets come with. unix(7), `SCM_RIGHTS`.
    pub(super) fn say_with(&mut self, line: &str, sockets: &[BorrowedFd<'_>]) -> Result<()> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(SOCKETS_MAX))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        if sockets.len() > SOCKETS_MAX || !ancillary.push(SendAncillaryMessage::ScmRights(sockets)) {
            return Err(Error::other("too many sockets to pass"));
        }
        let line = format!("{line}\n");
        let sent = sendmsg(&self.0, &[IoSlice::new(line.as_bytes())], &mut ancillary, SendFlags::NOSIGNAL)?;
        self.0.write_all(&line.as_bytes()[sent..])
    }

    /// A line, and the sockets that come with it.
    pub(super) fn hear_with(&mut self) -> Result<(String, Vec<OwnedFd>)> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(SOCKETS_MAX))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let mut first = [0];
        let flags = RecvFlags::CMSG_CLOEXEC;
        let got = recvmsg(self.0.as_fd(), &mut [IoSliceMut::new(&mut first)], &mut ancillary, flags)?;
        if got.bytes == 0 {
            return Err(Error::from(ErrorKind::UnexpectedEof));
        }
        let mut sockets = Vec::new();
        for message in ancillary.drain() {
            if let RecvAncillaryMessage::ScmRights(passed) = message {
                sockets.extend(passed);
            }
        }
        let mut line = vec![first[0]];
        self.rest_of_line(&mut line)?;
        Ok((String::from_utf8_lossy(&line).into_owned(), sockets))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn a_listening_socket_goes_over_with_its_line_and_still_listens() {
        let (old, new) = UnixStream::pair().unwrap();
        let (mut old, mut new) = (Line::new(old).unwrap(), Line::new(new).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        old.say_with("offer", &[listener.as_fd()]).unwrap();
        old.say("next").unwrap();
        drop(listener);
        let (line, mut sockets) = new.hear_with().unwrap();
        assert_eq!((line.as_str(), sockets.len()), ("offer", 1));
        assert_eq!(new.hear().unwrap(), "next");
        let taken = TcpListener::from(sockets.remove(0));
        std::net::TcpStream::connect(address).unwrap();
        assert!(taken.accept().is_ok());
    }

    #[test]
    fn fuzz_lines_end_or_are_refused() {
        let mut random = testkit::Random::seeded(4);
        for _ in 0..1000 {
            let (old, new) = UnixStream::pair().unwrap();
            let mut new = Line::new(new).unwrap();
            let text = random.mutate(
                b"{\"listeners\":[],\"media\":\"127.0.0.1:1\",\"secret\":\"x\",\"segments_end\":7}\n",
            );
            (&old).write_all(&text).unwrap();
            drop(old);
            if let Ok((line, _)) = new.hear_with() {
                // Either an offer or not; never a panic.
                let _ = serde_json::from_str::<Offer>(&line);
            }
        }
    }
}
