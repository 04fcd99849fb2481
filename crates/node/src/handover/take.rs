//! The new process's side: asks for the sockets, and says when it serves.

use super::wire::{HELLO, Line, Offer, READY};
use crate::config::Pull;
use crate::gateway::http::Inherited;
use crate::life::Life;
use crate::reload::Reloader;
use hub::BroadcastPath;
use rustix::fd::OwnedFd;
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use tokio::io::AsyncReadExt;

/// What was taken over. Empty for a server that starts afresh.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    sockets: Vec<(String, SocketAddr, OwnedFd)>,
    /// Broadcasts that the old process still has.
    broadcasts: Vec<BroadcastPath>,
    /// Playlists of those that it packages for somebody.
    playlists: Vec<String>,
    /// Above the numbers of its HLS segments.
    segments_end: u32,
    /// Where it plays them, and what opens them.
    media: Option<(SocketAddr, String)>,
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

/// The process that was taken over from.
#[derive(Debug)]
pub(crate) struct OldProcess(UnixStream);

impl OldProcess {
    /// Waits until it is gone, then fetches nothing more from it.
    pub(crate) async fn outlive(self, reloader: Reloader, mut life: Life) {
        tokio::select! {
            () = self.gone() => {
                tracing::info!("the old process is gone");
                reloader.forget_inherited();
            }
            () = life.stopping() => {}
        }
    }

    async fn gone(self) {
        self.0.set_nonblocking(true).ok();
        let Ok(mut stream) = tokio::net::UnixStream::from_std(self.0) else { return };
        // It says nothing more; its end is all that can come.
        let _ = stream.read(&mut [0]).await;
    }
}

/// Lines until an empty one; what is beyond [`BROADCASTS_MAX`] is left out.
fn list(line: &mut Line) -> std::io::Result<Vec<String>> {
    let mut all = Vec::new();
    loop {
        let next = line.hear()?;
        match next.as_str() {
            "" => return Ok(all),
            _ if all.len() < BROADCASTS_MAX => all.push(next),
            _ => {}
        }
    }
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
        let broadcasts = list(&mut line)?;
        let playlists = list(&mut line)?;
        let sockets = offer.listeners.into_iter().zip(sockets).map(|(l, socket)| (l.key, l.address, socket));
        Ok(Taken {
            sockets: sockets.collect(),
            broadcasts: broadcasts.iter().filter_map(|path| BroadcastPath::parse(path).ok()).collect(),
            playlists,
            segments_end: offer.segments_end,
            media: Some((offer.media, offer.secret)),
            line: Some(line),
        })
    }

    /// The listening socket for a key, if the old process had it on the same address.
    pub(crate) fn socket(&mut self, key: &str, address: SocketAddr) -> Option<OwnedFd> {
        let at = self.sockets.iter().position(|(k, a, _)| k == key && *a == address)?;
        Some(self.sockets.swap_remove(at).2)
    }

    /// What players of HLS have from the old process.
    pub(crate) fn packaged(&self) -> Inherited<'_> {
        let (playlists, numbers_end) = (&self.playlists, self.segments_end);
        Inherited { playlists, numbers_end, media: self.media.as_ref() }
    }

    /// Fetches of what the old process still has.
    pub(crate) fn pulls(&self) -> Vec<Pull> {
        let Some((address, secret)) = &self.media else { return Vec::new() };
        let from = |path: &BroadcastPath| format!("http://{address}/{path}.flv?token={secret}");
        self.broadcasts.iter().filter_map(|path| Pull::inherited(path, from(path))).collect()
    }

    /// Tells the old process that it may drain. What is returned ends with the old process.
    pub(crate) fn ready(self) -> Result<Option<OldProcess>, TakeOverError> {
        let Some(mut line) = self.line else { return Ok(None) };
        line.say(READY)?;
        Ok(Some(OldProcess(line.into_stream()?)))
    }
}
