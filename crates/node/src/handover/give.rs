//! The old process's side: offers its sockets, and drains once the new one serves.

use super::wire::{HELLO, Line, Listener, Offer, READY};
use crate::gateway::{Door, http};
use crate::life::{Life, Phases};
use rustix::fd::{AsFd, OwnedFd};
use std::io::{Error, Result};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::{TcpListener, UnixListener, UnixStream};
use tokio::sync::Notify;
use tokio::task::JoinSet;

/// The listening sockets of a server, for its successor. Clones share.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sockets(Arc<Mutex<Vec<Socket>>>);

/// One listening socket.
#[derive(Debug)]
pub(crate) struct Socket {
    key: &'static str,
    address: SocketAddr,
    owned: OwnedFd,
}

/// Told once the successor serves.
#[derive(Clone, Debug, Default)]
pub(crate) struct Given(Arc<Notify>);

/// A successor that reads its configuration and starts its gateways takes so long at most.
const START_MAX: Duration = Duration::from_secs(60);

impl Sockets {
    pub(crate) fn add(&self, key: &'static str, socket: impl AsFd, address: SocketAddr) -> Result<()> {
        let socket = Socket { key, address, owned: socket.as_fd().try_clone_to_owned()? };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(socket);
        Ok(())
    }

    /// Closes them: from then on only those listen who hold the same sockets.
    pub(crate) fn close(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

impl Given {
    /// Waits until a successor has taken over.
    pub(crate) async fn wait(&self) {
        self.0.notified().await;
    }
}

/// What a server gives to a successor.
pub(crate) struct Giving {
    pub(crate) sockets: Sockets,
    /// Plays what is here to the successor.
    pub(crate) gateway: Arc<http::Gateway>,
    /// How the successor's requests come in.
    pub(crate) door: Door,
    /// Opens every broadcast to it.
    pub(crate) secret: String,
    pub(crate) given: Given,
}

impl Giving {
    /// Waits for successors until one has taken over, then plays to it until the server stops.
    pub(crate) async fn serve(self, path: PathBuf, mut life: Life) {
        let listener = match bind(&path) {
            Ok(listener) => listener,
            Err(error) => {
                tracing::debug!(path = %path.display(), %error, "no successor can take over from here");
                return;
            }
        };
        loop {
            let stream = tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => stream,
                    Err(_) => continue,
                },
                () = life.draining() => return,
            };
            // The door for media is not one of those that shut when draining begins.
            let (open, media_life) = Phases::new();
            match self.give(stream, media_life).await {
                Ok(playing) => {
                    tracing::info!("a new process has taken over");
                    self.given.0.notify_one();
                    life.stopping().await;
                    drop((open, playing));
                    return;
                }
                Err(error) => tracing::warn!(%error, "a new process didn't take over; this one goes on"),
            }
        }
    }

    /// The whole exchange; good when the successor serves. What is returned plays to it.
    async fn give(&self, stream: UnixStream, media_life: Life) -> Result<(JoinSet<()>, Line)> {
        let media = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = media.local_addr()?;
        let mut playing = JoinSet::new();
        playing.spawn(http::serve(media, self.door.clone(), Arc::clone(&self.gateway), media_life));
        let (sockets, secret, gateway) =
            (self.sockets.clone(), self.secret.clone(), Arc::clone(&self.gateway));
        let stream = stream.into_std()?;
        let offered = tokio::task::spawn_blocking(move || offer(stream, &sockets, address, secret, &gateway));
        let line = offered.await.unwrap_or_else(|_| Err(Error::other("it panicked")))?;
        Ok((playing, line))
    }
}

/// Only the same user may come; a socket of a process that is gone is replaced.
fn bind(path: &Path) -> Result<UnixListener> {
    if path.exists() {
        std::fs::remove_file(path)?;
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// The whole exchange; good when the successor serves, which then sees by the end of the connection that this process is
/// gone.
fn offer(
    stream: std::os::unix::net::UnixStream,
    sockets: &Sockets,
    media: SocketAddr,
    secret: String,
    gateway: &http::Gateway,
) -> Result<Line> {
    stream.set_nonblocking(false)?;
    let mut line = Line::new(stream)?;
    if line.hear()? != HELLO {
        return Err(Error::other("it speaks another version"));
    }
    // From here on the successor may open WebRTC's port.
    if let Some(offers) = &gateway.offers {
        offers.plane.pin();
    }
    {
        let sockets = sockets.0.lock().unwrap_or_else(PoisonError::into_inner);
        let listeners =
            sockets.iter().map(|s| Listener { key: s.key.to_owned(), address: s.address }).collect();
        let segments_end = gateway.packagings.numbers_end();
        let offer = Offer { listeners, media, secret, segments_end };
        let passed: Vec<_> = sockets.iter().map(|s| s.owned.as_fd()).collect();
        line.say_with(&serde_json::to_string(&offer)?, &passed)?;
    }
    for broadcast in gateway.hub.broadcasts() {
        line.say(broadcast.path().as_str())?;
    }
    line.say("")?;
    for playlist in gateway.packagings.playlists() {
        line.say(&playlist)?;
    }
    line.say("")?;
    line.patience(START_MAX)?;
    match line.hear()?.as_str() {
        READY => Ok(line),
        other => Err(Error::other(format!("it said {other:?} instead of being ready"))),
    }
}
