//! Accepts connections and drives their sessions until it is clear what they are.

use super::play::PLAY_FORMAT;
use super::publish::tag_type;
use crate::auth::{Action, Ask, Auth, Playing, Refusal, agent};
use crate::egress::{NewViewer, Plane};
use crate::gateway::{Door, Io, Shut, accept_each, random_bytes};
use crate::ingest;
use crate::life::Life;
use crate::limits::{Limit, Limits};
use crate::logs::AccessLog;
use crate::metrics::{CloseReason, Metrics};
use crate::publishing::{PublishError, Publishing};
use crate::sessions::{Ending, Protocol, SessionGuard};
use crate::transcode::Transcodes;
use bytes::{Bytes, BytesMut};
use hub::BroadcastPath;
use rtmp::{Connect, Event, Output, RejectCode, Request, ServerConfig, ServerSession};
use std::cell::RefCell;
use std::future::poll_fn;
use std::io::{Error, ErrorKind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadBuf};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// What every session needs.
#[derive(Debug)]
pub(crate) struct Gateway {
    pub(crate) auth: Arc<Auth>,
    pub(crate) plane: Plane,
    pub(crate) transcodes: Transcodes,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) access: AccessLog,
}

/// Why a session ended; logged once.
#[derive(Debug, thiserror::Error)]
pub(super) enum End {
    #[error("the peer closed the connection")]
    Left,
    #[error("{0}")]
    Io(#[from] std::io::Error),
    #[error("{0}")]
    Shut(Shut),
    #[error("{0}")]
    Wire(#[from] rtmp::Error),
    #[error("{0}")]
    Publish(#[from] PublishError),
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
    #[error("{}", CloseReason::from(*.0).as_str())]
    Told(Ending),
}

/// Accepts until shutdown.
pub(crate) async fn serve(listener: TcpListener, door: Door, gateway: Arc<Gateway>, mut life: Life) {
    let mut sessions = JoinSet::new();
    loop {
        tokio::select! {
            (socket, peer) = accept_each(&listener) => {
                // A handshake only to say no would be what a flood wants.
                let Ok(admission) = door.admit(peer) else { continue };
                let (gateway, door, life) = (Arc::clone(&gateway), door.clone(), life.clone());
                sessions.spawn(async move {
                    let (began, access) = (Instant::now(), gateway.access.clone());
                    let (end, peer) = match door.open(socket, peer, admission).await {
                        Ok(io) => {
                            let client = io.peer();
                            (Session::run(io, gateway, &door.limits, life).await, client)
                        }
                        Err(shut) => (End::Shut(shut), peer),
                    };
                    access.connection("rtmp", &end.to_string(), began.elapsed(), peer);
                });
            }
            Some(ended) = sessions.join_next(), if !sessions.is_empty() => {
                if ended.is_err() {
                    tracing::error!("an RTMP session panicked");
                }
            }
            () = life.draining() => break,
        }
    }
    // From here on connections are refused.
    drop(listener);
    while sessions.join_next().await.is_some() {}
}

/// One connection.
struct Session {
    io: Io,
    wire: ServerSession,
    gateway: Arc<Gateway>,
    publishing: Option<(Publishing, SessionGuard)>,
    out: BytesMut,
    /// The user that it showed to be when it connected.
    login: Option<rtmp::adobe::Answer>,
}

/// Bytes read at a time.
const READ_BYTES: usize = 64 << 10;

thread_local! {
    /// Sessions of a thread read one after the other, so they share what they read into.
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ_BYTES].into());
}

/// How often a session looks at its timers.
const TICK: Duration = Duration::from_secs(1);

/// A peer that takes no answer for so long is given up.
const SEND_TIME_MAX: Duration = Duration::from_secs(10);

impl Session {
    async fn run(io: Io, gateway: Arc<Gateway>, limits: &Limits, life: Life) -> End {
        let random = match random_bytes() {
            Ok(random) => random,
            Err(error) => return End::Io(error),
        };
        let config = ServerConfig { request_timeout: limits.rules().config.rtmp_request.0 };
        let wire = ServerSession::new(&config, Instant::now(), random);
        let mut session = Session { io, wire, gateway, publishing: None, out: BytesMut::new(), login: None };
        match session.drive(life).await {
            Ok(playing) => session.hand_over(playing).await,
            Err(end) => {
                if matches!(end, End::Wire(rtmp::Error::Timeout)) {
                    limits.too_much(Limit::RtmpRequest, Duration::ZERO);
                }
                if let Some((publishing, mut guard)) = session.publishing.take() {
                    tracing::debug!(path = %publishing.path(), %end, "publishing ended");
                    guard.session().report(publishing.bytes(), 0);
                    guard.ends(end.reason());
                    publishing.leave(Instant::now());
                }
                end
            }
        }
    }

    /// Gives an accepted player to the egress plane, which writes to it from then on.
    async fn hand_over(self, playing: Playing) -> End {
        let audible = self.gateway.transcodes.for_flv(&playing.broadcast).await;
        audible.transcoded.inspect(|codec| playing.session.session().hears(*codec));
        let viewer = match self.io.into_transport() {
            Ok((transport, admission)) => NewViewer {
                transport,
                admission,
                asked: playing.session.session().since,
                session: playing.session,
                broadcast: audible.broadcast,
                lease: audible.lease,
                format: &PLAY_FORMAT,
                preface: Bytes::new(),
            },
            Err(error) => return End::Io(error),
        };
        match self.gateway.plane.hand_over(viewer) {
            Ok(()) => End::HandedOver,
            Err(_) => End::Refused("the egress plane is overloaded".to_owned()),
        }
    }

    /// Reads, lets the session work, sends, until the peer is a player that may begin.
    async fn drive(&mut self, mut life: Life) -> Result<Playing, End> {
        let mut heard = Instant::now();
        let mut tick = tokio::time::interval(TICK);
        // Kept across messages, so that waiting for it is arranged once.
        let mut draining = life.clone();
        let mut draining = pin!(draining.draining());
        let mut told = false;
        let mut stopped = pin!(life.stopping());
        loop {
            tokio::select! {
                biased;
                read = poll_fn(|cx| read(&mut self.io, &mut self.wire, cx)) => {
                    read?;
                    heard = ingest::arrived(Instant::now(), self.publishing.is_some());
                }
                _ = tick.tick() => {
                    let now = Instant::now();
                    self.wire.handle_timeout(now)?;
                    if now.saturating_duration_since(heard) > self.gateway.auth.publisher_idle() {
                        return Err(End::Idle);
                    }
                    if let Some((publishing, guard)) = &self.publishing {
                        guard.session().report(publishing.bytes(), 0);
                        if let Some(ending) = guard.session().ending(now) {
                            return Err(End::Told(ending));
                        }
                    }
                }
                () = &mut draining, if !told => {
                    told = true;
                    self.wire.request_reconnect("this server is about to end");
                }
                () = &mut stopped => return Err(End::Shutdown),
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
        while let Some(output) = self.next_output(now)? {
            match output {
                Output::Send(bytes) => self.out.extend_from_slice(&bytes),
                Output::Event(Event::Connect(connect)) => {
                    refused = self.connect(&connect).err();
                    self.wire.handle_input(&[])?;
                }
                Output::Event(Event::Publish(request)) => {
                    refused = self.publish(&request, now).await.err();
                    // Media that came along with the request.
                    self.wire.handle_input(&[])?;
                }
                Output::Event(Event::Play(request)) => match self.play(&request).await {
                    Ok(play) => playing = Some(play),
                    Err(reason) => refused = Some(reason),
                },
                // Of a peer that isn't a publisher.
                Output::Event(Event::Media { .. }) => {}
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

    /// The next output that isn't media of an accepted publisher; what is goes to the hub on the way.
    fn next_output(&mut self, now: Instant) -> Result<Option<Output>, End> {
        let Some((publishing, guard)) = &mut self.publishing else { return Ok(self.wire.poll_output()) };
        // Media comes many messages at a time, so the span is entered once for all of them.
        guard.span().in_scope(|| {
            while let Some(output) = self.wire.poll_output() {
                let Output::Event(Event::Media { kind, timestamp, body }) = output else {
                    return Ok(Some(output));
                };
                publishing.tag(tag_type(kind), timestamp, &body, now)?;
            }
            Ok(None)
        })
    }

    async fn send(&mut self) -> Result<(), End> {
        if self.out.is_empty() {
            return Ok(());
        }
        let sent = async {
            self.io.write_all_buf(&mut self.out).await?;
            self.io.flush().await
        };
        // Timers stand still meanwhile.
        tokio::time::timeout(SEND_TIME_MAX, sent).await.map_err(|_| Error::from(ErrorKind::TimedOut))??;
        Ok(())
    }

    /// Asks for user and password where they are needed.
    fn connect(&mut self, connect: &Connect) -> Result<(), String> {
        let host = host_of(&connect.tc_url);
        match self.gateway.auth.log_in(connect, host, self.io.peer()) {
            Ok(login) => {
                self.login = login;
                self.wire.accept_connect();
                Ok(())
            }
            Err(denied) => {
                self.wire.reject_connect(&denied.description());
                Err(denied.to_string())
            }
        }
    }

    async fn publish(&mut self, request: &Request, now: Instant) -> Result<(), String> {
        let ask = self.ask(Action::Publish, request, RejectCode::PublishBadName)?;
        let path = ask.path.clone();
        let granted = self.gateway.auth.publish(ask).await.and_then(|grant| grant.publish(now));
        match granted {
            Ok((producer, session)) => {
                tracing::info!(path = %session.session().path, "publisher accepted");
                self.gateway.metrics.publishes.inc();
                let publishing = Publishing::new(producer, Arc::clone(&self.gateway.metrics));
                self.publishing = Some((publishing, session));
                self.wire.accept_publish(request.id);
                Ok(())
            }
            Err(refusal) => {
                let code = match refusal {
                    Refusal::Hub(_) => RejectCode::PublishBadName,
                    _ => RejectCode::PublishDenied,
                };
                tracing::warn!(%path, %refusal, "publisher refused");
                self.wire.reject(request.id, code, &refusal.to_string());
                Err(refusal.to_string())
            }
        }
    }

    async fn play(&mut self, request: &Request) -> Result<Playing, String> {
        let ask = self.ask(Action::Play, request, RejectCode::PlayNotFound)?;
        let grant = match self.gateway.auth.play(ask).await {
            Ok(grant) => grant,
            Err(refusal) => {
                self.wire.reject(request.id, RejectCode::PlayFailed, &refusal.to_string());
                return Err(refusal.to_string());
            }
        };
        match grant.play().await {
            Ok(playing) => {
                self.wire.accept_play(request.id);
                Ok(playing)
            }
            Err(demand) => {
                let reason = format!("nobody publishes {}", demand.path());
                self.wire.reject(request.id, RejectCode::PlayNotFound, &reason);
                Err(reason)
            }
        }
    }

    fn ask(&mut self, action: Action, request: &Request, code: RejectCode) -> Result<Ask, String> {
        let path = BroadcastPath::new(&request.app, &request.name).map_err(|error| {
            self.wire.reject(request.id, code, &error.to_string());
            error.to_string()
        })?;
        Ok(Ask {
            action,
            path,
            host: host_of(&request.tc_url),
            query: request.query.clone(),
            bearer: None,
            login: self.login.clone(),
            agent: agent(&request.flash_ver),
            peer: self.io.peer(),
            protocol: Protocol::Rtmp,
        })
    }
}

/// Reads once and gives it to the session.
fn read(io: &mut Io, wire: &mut ServerSession, cx: &mut Context<'_>) -> Poll<Result<(), End>> {
    SCRATCH.with_borrow_mut(|scratch| {
        let mut buffer = ReadBuf::new(scratch);
        ready!(Pin::new(io).poll_read(cx, &mut buffer))?;
        if buffer.filled().is_empty() {
            return Poll::Ready(Err(End::Left));
        }
        Poll::Ready(Ok(wire.handle_input(buffer.filled())?))
    })
}

/// The host of a `tcUrl`, without user and password.
fn host_of(tc_url: &str) -> Option<String> {
    let (_, rest) = tc_url.split_once("://")?;
    let authority = rest.split(['/', '?']).next()?;
    let host = authority.rsplit('@').next()?;
    (!host.is_empty()).then(|| host.to_owned())
}

impl End {
    /// The same, as sessions are counted.
    fn reason(&self) -> CloseReason {
        match self {
            End::Left | End::Io(_) | End::Shut(_) | End::HandedOver => CloseReason::Left,
            End::Wire(_) | End::Refused(_) => CloseReason::Broken,
            End::Publish(error) => error.reason(),
            End::Idle => CloseReason::Idle,
            End::Ended => CloseReason::Ended,
            End::Shutdown => CloseReason::Shutdown,
            End::Told(ending) => (*ending).into(),
        }
    }
}
