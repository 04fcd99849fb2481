//! The new process's side: asks for the sockets, and says when it serves.

use super::wire::{HELLO, Line, Offer, READY};
use hub::BroadcastPath;
use rustix::fd::OwnedFd;
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

/// What was taken over. Empty for a server that starts afresh.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    sockets: Vec<(String, SocketAddr, OwnedFd)>,
    /// Broadcasts that the old process still has.
    pub(crate) broadcasts: Vec<BroadcastPath>,
    /// Where it plays them, and what opens them.
    pub(crate) media: Option<(SocketAddr, String)>,
    line: Option<Line>,
}

/// Why nothing could be taken over.
#[derive(Debug, thiserror::Error)]
pub enum TakeOverError {
    /// Nobody is there.
    #[error(
        "no running server to take over from at {path}: {source}; start without --take-over, or set state.folder"
    )]
    Nobody {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It answered something else.
    #[error("the running server can't be taken over: {0}")]
    Broken(#[from] std::io::Error),
}

/// The list of broadcasts is bounded as hubs are.
const BROADCASTS_MAX: usize = 100_000;

impl Taken {
    /// Asks the server behind the socket.
    pub(crate) fn ask(path: &Path) -> Result<Taken, TakeOverError> {
        let stream = UnixStream::connect(path)
            .map_err(|source| TakeOverError::Nobody { path: path.to_owned(), source })?;
        let mut line = Line::new(stream)?;
        line.say(HELLO)?;
        let (offer, sockets) = line.hear_with()?;
        let offer: Offer = serde_json::from_str(&offer).map_err(std::io::Error::other)?;
        let mut broadcasts = Vec::new();
        loop {
            match line.hear()?.as_str() {
                "" => break,
                path if broadcasts.len() < BROADCASTS_MAX => broadcasts.extend(BroadcastPath::parse(path)),
                _ => {}
            }
        }
        let sockets = offer.listeners.into_iter().zip(sockets).map(|(l, socket)| (l.key, l.address, socket));
        Ok(Taken {
            sockets: sockets.collect(),
            broadcasts,
            media: Some((offer.media, offer.secret)),
            line: Some(line),
        })
    }

    /// The listening socket for a key, if the old process had it on the same address.
    pub(crate) fn socket(&mut self, key: &str, address: SocketAddr) -> Option<OwnedFd> {
        let at = self.sockets.iter().position(|(k, a, _)| k == key && *a == address)?;
        Some(self.sockets.swap_remove(at).2)
    }

    /// Tells the old process that it may drain.
    pub(crate) fn ready(&mut self) -> Result<(), TakeOverError> {
        match self.line.take() {
            Some(mut line) => Ok(line.say(READY)?),
            None => Ok(()),
        }
    }
}
