//! All workers, and what the HTTP side needs of them.

use super::capture::CaptureClocks;
use super::engine::{self, Credentials, Engine, OfferError, Offered, Peer};
use super::inbox::{Inbox, Restart};
use super::member::Arriving;
use super::registry::{Ice, Key, Overloaded, Registry};
use super::renditions::{Rendition, Renditions};
use super::socket::{self, Wire};
use super::tcp;
use super::worker::{Place, WAKE, Worker};
use crate::gateway::{Door, random_bytes};
use crate::limits::Limits;
use crate::metrics::Metrics;
use anyhow::{Context, Result};
use hub::BroadcastPath;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// WebRTC's threads. Clones share.
#[derive(Clone)]
pub(crate) struct Plane {
    engine: Arc<Engine>,
    registry: Registry,
    inboxes: Arc<[Arc<Inbox>]>,
    addresses: Arc<[SocketAddr]>,
    renditions: Renditions,
    captures: CaptureClocks,
}

/// The threads of a plane; joined at shutdown.
#[derive(Debug)]
pub(crate) struct Threads(Vec<JoinHandle<()>>);

/// How it is set up.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) listen: SocketAddr,
    /// Addresses that clients reach it by.
    pub(crate) addresses: Vec<IpAddr>,
    pub(crate) workers: usize,
    /// The shortest time that a viewer stays at one quality before a better one.
    pub(crate) stay: Duration,
    /// Whether another process may still have the port.
    pub(crate) shared: bool,
}

/// A worker has its turn within milliseconds.
const PIN_MAX: Duration = Duration::from_secs(2);

impl Plane {
    /// Opens the port and starts the workers.
    ///
    /// # Errors
    /// When the port is taken, or the system gives no thread.
    pub(crate) fn start(
        settings: &Settings,
        metrics: &Arc<Metrics>,
        limits: &Limits,
    ) -> Result<(Plane, Threads)> {
        let listen = settings.listen;
        let sockets = socket::open(listen, settings.workers.max(1), settings.shared).with_context(|| {
            format!("can't listen on {listen}/udp: is another program using the port? Choose another with webrtc.listen")
        })?;
        let local = sockets.first().context("no socket")?.local_addr()?;
        let listeners = tcp::open(local, sockets.len(), settings.shared).with_context(|| {
            format!("can't listen on {local}/tcp: is another program using the port? Choose another with webrtc.listen")
        })?;
        let addresses: Arc<[SocketAddr]> =
            settings.addresses.iter().map(|ip| SocketAddr::new(*ip, local.port())).collect();
        let (registry, mut polls, mut inboxes) = (Registry::default(), Vec::new(), Vec::new());
        for _ in &sockets {
            let poll = mio::Poll::new()?;
            inboxes.push(Arc::new(Inbox::new(mio::Waker::new(poll.registry(), WAKE)?)));
            polls.push(poll);
        }
        let inboxes: Arc<[Arc<Inbox>]> = inboxes.into();
        let (mut threads, renditions) = (Vec::new(), Renditions::default());
        let captures = CaptureClocks::default();
        for (number, ((socket, listener), poll)) in sockets.into_iter().zip(listeners).zip(polls).enumerate()
        {
            let worker = Worker::new(Place {
                number,
                poll,
                inboxes: Arc::clone(&inboxes),
                registry: registry.clone(),
                wire: Wire::new(socket, listener, Door::new(false, limits))?,
                addresses: Arc::clone(&addresses),
                renditions: renditions.clone(),
                captures: captures.clone(),
                stay: settings.stay,
                metrics: Arc::clone(metrics),
            })?;
            let thread = std::thread::Builder::new().name(format!("webrtc-{number}"));
            threads.push(thread.spawn(move || worker.run())?);
        }
        let engine = Arc::new(Engine::new()?);
        Ok((Plane { engine, registry, inboxes, addresses, renditions, captures }, Threads(threads)))
    }

    /// Takes an offer: a name for the connection, the connection, and the answer.
    pub(super) fn answer(&self, offer: &str, offered: Offered) -> Result<(Key, Peer, String), OfferError> {
        let (key, credentials) = secrets()?;
        let (peer, answer) =
            self.engine.answer(offer, offered, &self.addresses, &credentials, Instant::now())?;
        Ok((key, peer, answer))
    }

    /// The ICE session of the connection with that URL.
    pub(super) fn ice(&self, url: &str) -> Option<Ice> {
        self.registry.ice(url)
    }

    /// Begins the ICE of a connection anew: the new session, and what its peer has to know of it (RFC 8840 §9).
    pub(super) fn restart(&self, url: &str, remote: &Credentials) -> Option<(Ice, String)> {
        let (name, local) = secrets().ok()?;
        let change = |arriving: &mut Arriving| arriving.peer.restart(&local, remote);
        let tell = |worker: usize, key: &Key| {
            if let Some(inbox) = self.inboxes.get(worker) {
                let (key, name) = (key.clone(), name.clone());
                inbox.restart(Restart { key, name, local: local.clone(), remote: remote.clone() });
            }
        };
        let ice = self.registry.restart(url, &name, &remote.user, change, tell)?;
        Some((ice, engine::fragment(&local, &self.addresses)))
    }

    /// The qualities of publishers.
    pub(super) fn renditions(&self) -> &Renditions {
        &self.renditions
    }

    /// When pictures were taken, as publishers tell.
    pub(super) fn captures(&self) -> &CaptureClocks {
        &self.captures
    }

    /// The qualities of a broadcast, the one with the fewest bits first; none where its publisher sends one.
    pub(crate) fn told_renditions(&self, path: &BroadcastPath) -> Vec<Rendition> {
        self.renditions.of(path).map(|ladder| ladder.told()).unwrap_or_default()
    }

    /// Lets a connection wait for its first datagram.
    pub(super) fn expect(
        &self,
        arriving: Arriving,
        (url, remote_user): (&str, String),
    ) -> Result<Ice, Overloaded> {
        self.registry.wait(url, arriving, remote_user, Instant::now())
    }

    /// Ends the connection with that URL. False if there is none.
    pub(super) fn end(&self, url: &str) -> bool {
        self.registry.end(url, &self.inboxes)
    }

    /// Before another process opens the port: gives all peers sockets of their own, so that it doesn't get what they send. Returns
    /// once they have them.
    pub(crate) fn pin(&self) {
        // Each worker says so once.
        let (done, all_done) = std::sync::mpsc::sync_channel(self.inboxes.len());
        self.inboxes.iter().for_each(|inbox| inbox.pin(done.clone()));
        for _ in self.inboxes.iter() {
            if all_done.recv_timeout(PIN_MAX).is_err() {
                tracing::warn!("some connections by WebRTC may be lost in the handover");
                return;
            }
        }
    }

    /// Another process has the port: all that is new is its own.
    pub(crate) fn leave(&self) {
        self.inboxes.iter().for_each(|inbox| inbox.leave());
    }

    /// Asks all workers to end.
    pub(crate) fn shutdown(&self) {
        self.inboxes.iter().for_each(|inbox| inbox.shutdown());
    }
}

impl std::fmt::Debug for Plane {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Plane").field("addresses", &self.addresses).finish_non_exhaustive()
    }
}

impl Threads {
    /// Waits for the workers to end.
    pub(crate) fn join(self) {
        for thread in self.0 {
            if thread.join().is_err() {
                tracing::error!("a WebRTC worker panicked");
            }
        }
    }
}

/// A new name and its password.
fn secrets() -> Result<(Key, Credentials), OfferError> {
    let local = |error: std::io::Error| OfferError::Local(error.to_string());
    let key = Key::new().map_err(local)?;
    let password: [u8; 16] = random_bytes().map_err(local)?;
    let password = password.iter().map(|byte| format!("{byte:02x}")).collect();
    let credentials = Credentials { user: key.as_str().to_owned(), password };
    Ok((key, credentials))
}
