//! The port, its thread, and how both start and end.

use super::desk::Desk;
use crate::auth::Auth;
use crate::config;
use crate::gateway::random_bytes;
use crate::life::Life;
use crate::limits::Limits;
use crate::logs::AccessLog;
use crate::metrics::Metrics;
use anyhow::{Context, Result};
use socket2::{Domain, Protocol, Socket, Type};
use srt::{Config, Listener, Passphrase};
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// What every connection needs.
#[derive(Debug)]
pub(crate) struct Gateway {
    pub(crate) auth: Arc<Auth>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) limits: Limits,
    pub(crate) access: AccessLog,
}

/// How it is set up.
#[derive(Debug)]
pub(crate) struct Settings {
    /// Bound, so that a taken port is told before anything runs.
    socket: UdpSocket,
    latency: Duration,
    passphrase: Option<Passphrase>,
}

/// The thread that serves; joined at shutdown.
#[derive(Debug)]
pub(crate) struct Served(JoinHandle<()>);

/// A group goes out to many at once, and publishers' pictures come in bursts.
const SOCKET_BUFFER_BYTES: usize = 8 << 20;

impl Settings {
    /// Opens the port. Unless it is `shared` with the process that is taken over from, that one must not have it: the system
    /// would silently give half of the datagrams to each.
    ///
    /// # Errors
    /// When the port is taken, or the passphrase isn't one.
    pub(crate) fn open(config: &config::Srt, shared: bool) -> Result<Settings> {
        let listen = config.listen;
        let socket = bind(listen, shared).with_context(|| {
            format!("can't listen on {listen}/udp: is another program using the port? Choose another with srt.listen")
        })?;
        let passphrase = match config.passphrase.as_str() {
            "" => None,
            text => Some(Passphrase::new(text).context("srt.passphrase")?),
        };
        Ok(Settings { socket, latency: config.latency.0, passphrase })
    }
}

impl Gateway {
    /// Starts to serve, until the server shuts down or has handed its port over.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(crate) fn serve(self, settings: Settings, life: Life) -> Result<Served> {
        let config = Config {
            latency: settings.latency,
            latency_max: config::LATENCY_MAX,
            passphrase: settings.passphrase,
        };
        let listener = Listener::new(config, random_bytes()?, Instant::now());
        let seed = u32::from_ne_bytes(random_bytes()?);
        // All connections share one loop; timers of milliseconds don't go with threads that rest.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let run = move || {
            self.metrics.own_thread();
            let gateway = Arc::new(self);
            runtime.block_on(async {
                match tokio::net::UdpSocket::from_std(settings.socket) {
                    Ok(socket) => Desk::new(socket, listener, gateway, seed).run(life).await,
                    Err(error) => tracing::error!(%error, "SRT isn't served"),
                }
            });
        };
        Ok(Served(std::thread::Builder::new().name("srt".to_owned()).spawn(run)?))
    }
}

impl Served {
    /// Waits for its end.
    pub(crate) fn join(self) {
        if self.0.join().is_err() {
            tracing::error!("the SRT thread panicked");
        }
    }
}

fn bind(listen: SocketAddr, shared: bool) -> std::io::Result<UdpSocket> {
    if !shared {
        drop(UdpSocket::bind(listen)?);
    }
    let socket = Socket::new(Domain::for_address(listen), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    // Smaller buffers work too, so whatever the system gives is good.
    let _ = socket.set_recv_buffer_size(SOCKET_BUFFER_BYTES);
    let _ = socket.set_send_buffer_size(SOCKET_BUFFER_BYTES);
    socket.bind(&listen.into())?;
    Ok(UdpSocket::from(socket))
}
