//! Accepts connections and drives their sessions until it is clear what they are.

use super::play::PLAY_FORMAT;
use super::publish::Publishing;
use crate::auth::{Ask, Auth, Refusal};
use crate::egress::{NewViewer, Plane};
use crate::gateway::{Io, accept_each, random_bytes};
use crate::metrics::Metrics;
use bytes::{Bytes, BytesMut};
use hub::BroadcastPath;
use rtmp::{Event, Output, RejectCode, Request, ServerConfig, ServerSession};
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// What every session needs.
#[derive(Debug)]
pub(crate) struct Gateway {
    pub(crate) auth: Auth,
    pub(crate) plane: Plane,
    pub(crate) metrics: Arc<Metrics>,
    /// A publisher that sends nothing for so long is closed.
    pub(crate) idle: Duration,
}

/// Why a session ended; logged once.
#[derive(Debug, thiserror::Error)]
pub(super) enum End {
    #[error("the peer closed the connection")]
    Left,
    #[error("{0}")]
    Io(#[from] std::io::Error),
    #[error("{0}")]
    Wire(#[from] rtmp::Error),
    #[error("{0}")]
    Media(#[from] mux::Error),
    #[error("{0}")]
    Hub(#[from] hub::Error),
    #[error("refused: {0}")]
    Refused(String),
    #[error("nothing came for too long")]
    Idle,
    #[error("the publisher ended the broadcast")]
    Ended,
    #[error("the player went to the egress plane")]
    HandedOver,
    #[error("the server shuts down")]
    Shutdown,
}

/// Accepts until shutdown.
pub(crate) async fn serve(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    gateway: Arc<Gateway>,
    mut shutdown: watch::Receiver<bool>,
) {
    let mut sessions = JoinSet::new();
    loop {
        tokio::select! {
            socket = accept_each(&listener) => {
                let (gateway, tls, shutdown) = (Arc::clone(&gateway), tls.clone(), shutdown.clone());
                sessions.spawn(async move {
                    let end = match Io::open(socket, tls.as_ref()).await {
                        Ok(io) => Session::run(io, gateway, shutdown).await,
                        Err(error) => End::Io(error),
                    };
                    tracing::debug!(%end, "RTMP session ended");
                });
            }
            Some(ended) = sessions.join_next(), if !sessions.is_empty() => {
                if ended.is_err() {
                    tracing::error!("an RTMP session panicked");
                }
            }
            _ = shutdown.changed() => break,
        }
    }
    while sessions.join_next().await.is_some() {}
}

/// One connection.
struct Session {
    io: Io,
    wire: ServerSession,
    gateway: Arc<Gateway>,
    publishing: Option<Publishing>,
    out: BytesMut,
}

/// Bytes read at a time.
const READ_BYTES: usize = 64 << 10;
/// How often a session looks at its timers.
const TICK: Duration = Duration::from_secs(1);

impl Session {
    async fn run(io: Io, gateway: Arc<Gateway>, shutdown: watch::Receiver<bool>) -> End {
        let random = match random_bytes() {
            Ok(random) => random,
            Err(error) => return End::Io(error),
        };
        let wire = ServerSession::new(&ServerConfig::default(), Instant::now(), random);
        let mut session = Session { io, wire, gateway, publishing: None, out: BytesMut::new() };
        match session.drive(shutdown).await {
            Ok(playing) => session.hand_over(playing),
            Err(end) => {
                if let Some(publishing) = session.publishing.take() {
                    tracing::info!(path = %publishing.path(), %end, "publisher left");
                    publishing.leave(Instant::now());
                }
                end
            }
        }
    }

    /// Gives an accepted player to the egress plane, which writes to it from then on.
    fn hand_over(self, playing: Playing) -> End {
        let viewer = match self.io.into_transport() {
            Ok(transport) => NewViewer {
                transport,
                guard: playing.broadcast.count_viewer(),
                broadcast: playing.broadcast,
                format: &PLAY_FORMAT,
                preface: Bytes::new(),
                asked: playing.asked,
            },
            Err(error) => return End::Io(error),
        };
        match self.gateway.plane.hand_over(viewer) {
            Ok(()) => End::HandedOver,
            Err(_) => End::Refused("the egress plane is overloaded".to_owned()),
        }
    }

    /// Reads, lets the session work, sends, until the peer is a player that may begin.
    async fn drive(&mut self, mut shutdown: watch::Receiver<bool>) -> Result<Playing, End> {
        let mut buffer = BytesMut::with_capacity(READ_BYTES);
        let mut heard = Instant::now();
        let mut tick = tokio::time::interval(TICK);
        // Kept across messages, so that waiting for it is arranged once.
        let mut stopped = pin!(shutdown.changed());
        loop {
            tokio::select! {
                biased;
                read = self.io.read_buf(&mut buffer) => {
                    if read? == 0 {
                        return Err(End::Left);
                    }
                    heard = Instant::now();
                    self.wire.handle_input(&buffer)?;
                    buffer.clear();
                    buffer.reserve(READ_BYTES / 4);
                }
                _ = tick.tick() => {
                    let now = Instant::now();
                    self.wire.handle_timeout(now)?;
                    if now.saturating_duration_since(heard) > self.gateway.idle {
                        return Err(End::Idle);
                    }
                }
                _ = &mut stopped => return Err(End::Shutdown),
            }
            if let Some(playing) = self.act(heard).await? {
                return Ok(playing);
            }
        }
    }

    /// Acts on all that the session has to say; returns the request of a player that was accepted.
    async fn act(&mut self, now: Instant) -> Result<Option<Playing>, End> {
        let mut playing = None;
        let mut refused = None;
        while let Some(output) = self.wire.poll_output() {
            match output {
                Output::Send(bytes) => self.out.extend_from_slice(&bytes),
                Output::Event(Event::Publish(request)) => {
                    refused = self.publish(&request, now).err();
                    // Media that came along with the request.
                    self.wire.handle_input(&[])?;
                }
                Output::Event(Event::Play(request)) => match self.play(&request) {
                    Ok(play) => playing = Some(play),
                    Err(reason) => refused = Some(reason),
                },
                Output::Event(Event::Media { kind, timestamp, body }) => {
                    if let Some(publishing) = &mut self.publishing {
                        publishing.media(kind, timestamp, &body, now)?;
                    }
                }
                Output::Event(Event::PublishEnded) => {
                    self.send().await?;
                    return Err(End::Ended);
                }
                Output::Event(Event::PlayEnded) => return Err(End::Left),
            }
        }
        self.send().await?;
        match refused {
            Some(reason) => {
                // The peer reads the reason, then closes; if it doesn't, this is when it ends.
                let _ = tokio::time::timeout(TICK, self.io.read(&mut [0; 64])).await;
                Err(End::Refused(reason))
            }
            None => Ok(playing),
        }
    }

    async fn send(&mut self) -> Result<(), End> {
        if !self.out.is_empty() {
            self.io.write_all_buf(&mut self.out).await?;
            self.io.flush().await?;
        }
        Ok(())
    }

    fn publish(&mut self, request: &Request, now: Instant) -> Result<(), String> {
        let path = self.path(request, RejectCode::PublishBadName)?;
        let ask = Ask { path, query: request.query.clone() };
        let granted = self.gateway.auth.decide_publish(&ask).and_then(|grant| grant.publish(now));
        match granted {
            Ok(producer) => {
                tracing::info!(path = %ask.path, "publisher accepted");
                self.gateway.metrics.publishes.inc();
                self.publishing = Some(Publishing::new(producer, Arc::clone(&self.gateway.metrics)));
                self.wire.accept_publish(request.id);
                Ok(())
            }
            Err(refusal) => {
                let code = match refusal {
                    Refusal::Hub(_) => RejectCode::PublishBadName,
                    _ => RejectCode::PublishDenied,
                };
                tracing::warn!(path = %ask.path, %refusal, "publisher refused");
                self.wire.reject(request.id, code, &refusal.to_string());
                Err(refusal.to_string())
            }
        }
    }

    fn play(&mut self, request: &Request) -> Result<Playing, String> {
        let path = self.path(request, RejectCode::PlayNotFound)?;
        let ask = Ask { path, query: request.query.clone() };
        match self.gateway.auth.decide_play(&ask).play() {
            Ok(broadcast) => {
                self.wire.accept_play(request.id);
                Ok(Playing { broadcast, asked: Instant::now() })
            }
            Err(demand) => {
                let reason = format!("nobody publishes {}", demand.path());
                self.wire.reject(request.id, RejectCode::PlayNotFound, &reason);
                Err(reason)
            }
        }
    }

    fn path(&mut self, request: &Request, code: RejectCode) -> Result<BroadcastPath, String> {
        BroadcastPath::new(&request.app, &request.name).map_err(|error| {
            self.wire.reject(request.id, code, &error.to_string());
            error.to_string()
        })
    }
}

/// A player that was accepted.
struct Playing {
    broadcast: Arc<hub::Broadcast>,
    asked: Instant,
}
