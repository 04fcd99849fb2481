//! Accepts connections and looks at their requests, until one takes the whole connection.

use super::deadline::Deadline;
use super::head::{self, First, HEAD_BYTES_MAX, Play};
use super::hls::{self, FileAnswer, FileAsk, Packagings};
use super::leaving::Polls;
use super::refusal::{self, Refusals};
use super::service::Service;
use super::{direct, flv, websocket};
use crate::auth::{Again, Auth};
use crate::egress::{NewViewer, Plane};
use crate::gateway::{Door, Io, Offers, Shut, accept_each};
use crate::life::{Life, Phase};
use crate::limits::{Limit, Limits};
use crate::logs::AccessLog;
use crate::logs::access::{Answered, RequestKind};
use crate::metrics::Metrics;
use crate::sessions::Protocol;
use crate::tls::Challenges;
use crate::transcode::Transcodes;
use bytes::{Buf, Bytes, BytesMut};
use http::{StatusCode, Version};
use hub::Hub;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use std::io::{Error, ErrorKind};
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// What every connection needs.
#[derive(Debug)]
pub(crate) struct Gateway {
    pub(crate) auth: Arc<Auth>,
    pub(crate) hub: Hub,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) plane: Plane,
    pub(crate) transcodes: Transcodes,
    pub(crate) packagings: Arc<Packagings>,
    pub(crate) access: AccessLog,
    pub(crate) limits: Limits,
    pub(crate) challenges: Challenges,
    /// How long a member of a stage may stay and come back.
    pub(crate) pass: Duration,
    /// Where publishers connect to, for the page that says how.
    pub(crate) publish_port: u16,
    /// Who takes offers, if somebody does.
    pub(crate) offers: Option<Offers>,
}

impl Gateway {
    /// Counts and logs a request.
    pub(super) fn answered(&self, answered: &Answered<'_>) {
        self.metrics.here().request(answered.kind, answered.status);
        self.access.request(answered);
    }

    /// The answer to a request for a file of a broadcast. `again` is what was decided about the request before it.
    pub(super) async fn file(
        &self,
        FileAsk { target, query, caller, wishes }: FileAsk<'_>,
        (peer, phase): (SocketAddr, Phase),
        again: &mut Again,
    ) -> FileAnswer {
        let query_text = query.unwrap_or_default();
        let shows = caller.shows(&target.path, query_text, peer);
        let grant = match self.auth.looks_again(&shows, again) {
            Some(grant) => grant,
            None => {
                let ask = caller.asks_to_play(target.path.clone(), query_text, peer, Protocol::Hls);
                match self.auth.look(ask, again).await {
                    Ok(grant) => grant,
                    Err(refusal) => return hls::forbidden(&refusal.to_string()),
                }
            }
        };
        let handed_over = phase > Phase::Draining;
        if handed_over && hls::is_playlist(target.file) {
            return hls::come_over(target.file, query);
        }
        let packaging = if phase == Phase::Serving {
            match grant.look().await {
                Ok(broadcast) => self.packagings.of(&broadcast, target.sound),
                Err(demand) => match self.packagings.kept(demand.path(), target.sound) {
                    Some(packaging) => packaging,
                    None => return hls::absent(demand.path()),
                },
            }
        } else {
            match self.packagings.kept(grant.opens(), target.sound) {
                Some(packaging) => packaging,
                None if handed_over => return hls::come_over(target.file, query),
                None => return hls::about_to_end(),
            }
        };
        let answer = hls::answer(&self.packagings, &packaging, target.file, query, wishes).await;
        // It may be a file of the successor's: browsers use whichever connection is open.
        if handed_over && answer.status == StatusCode::NOT_FOUND {
            return hls::come_over(target.file, query);
        }
        answer
    }
}

/// Room for a usual head.
const HEAD_BYTES_USUAL: usize = 1024;
/// Streams that one HTTP/2 connection may have open; a page with a player needs a dozen.
const STREAMS_MAX: u32 = 128;

/// Accepts until shutdown.
pub(crate) async fn serve(listener: TcpListener, door: Door, gateway: Arc<Gateway>, mut life: Life) {
    let mut connections = JoinSet::new();
    let refusals = Refusals::default();
    loop {
        tokio::select! {
            (socket, peer) = accept_each(&listener) => {
                let admission = match door.admit(peer) {
                    Ok(admission) => admission,
                    Err(too_much) => {
                        if let Some(answer) = refusals.answer(&door, socket, too_much) {
                            connections.spawn(answer);
                        }
                        continue;
                    }
                };
                let (gateway, door, life) = (Arc::clone(&gateway), door.clone(), life.clone());
                let (refusals, limits, mut ended) = (refusals.clone(), gateway.limits.clone(), life.clone());
                connections.spawn(async move {
                    let work = async {
                        match door.open(socket, peer, admission).await {
                            Ok(io) => requests(io, gateway, life.clone()).await,
                            Err(Shut::Io(error)) => Err(error),
                            Err(Shut::TooMuch(socket, too_much)) => {
                                if let Some(answer) = refusals.answer(&door, socket, too_much) {
                                    answer.await;
                                }
                                Ok(())
                            }
                        }
                    };
                    tokio::select! {
                        ended = work => if let Err(error) = ended {
                            limits.ended_by(&error);
                            tracing::debug!(%error, "HTTP connection ended");
                        },
                        () = ended.stopping() => {}
                    }
                });
            }
            Some(ended) = connections.join_next(), if !connections.is_empty() => {
                if ended.is_err() {
                    tracing::error!("an HTTP connection panicked");
                }
            }
            () = gateway.closing(&mut life) => break,
        }
    }
    // From here on connections are refused.
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// What comes after a look at the bytes of a connection.
enum Next {
    /// The head of a request isn't all here.
    Bytes,
    /// A request was answered, whose head had so many bytes.
    Request(usize),
    Hyper,
}

/// Reads requests until one takes the whole connection.
async fn requests(mut io: Io, gateway: Arc<Gateway>, mut life: Life) -> Result<(), Error> {
    let (mut bytes, polls, mut again) = (BytesMut::new(), Polls::default(), Again::default());
    let mut deadline = Deadline::new(Instant::now().into(), gateway.limits.rules().config.http_head.0);
    // Made once, since nearly all requests come while the server serves.
    let (mut first, mut serves, mut drained) = (true, true, life.clone());
    let mut draining = pin!(drained.draining());
    loop {
        let next = match head::look(&bytes) {
            First::Play(play) if life.phase() == Phase::Draining => {
                let peer = gateway.limits.client(io.peer(), &play.caller.told);
                return gateway.refuse_player(&mut io, &format!("/{}.flv", play.path), peer).await;
            }
            First::Play(play) => return start_play(io, play, &gateway).await,
            First::File(request) if io.plain().is_some() => {
                let peer = gateway.limits.client(io.peer(), &request.caller.told);
                if let Err(too_much) = gateway.limits.request(peer.ip()) {
                    gateway.answered(&request.refused(&too_much, peer));
                    return refusal::send(&mut io, &too_much).await;
                }
                let at = (peer, life.phase());
                if !direct::respond(&mut io, &request, at, &gateway, &mut again).await? {
                    return io.shutdown().await;
                }
                Next::Request(request.head_bytes)
            }
            First::Incomplete if bytes.len() < HEAD_BYTES_MAX => Next::Bytes,
            First::File(_) | First::Other | First::Incomplete => Next::Hyper,
        };
        match next {
            Next::Bytes => {}
            Next::Request(head_bytes) => {
                bytes.advance(head_bytes);
                polls.note(true, Version::HTTP_11);
                first = false;
                deadline.set(Instant::now().into(), gateway.limits.rules().config.http_head.0);
                if !bytes.is_empty() {
                    continue;
                }
            }
            Next::Hyper => {
                io.unread(bytes);
                return serve_hyper(io, gateway, life).await;
            }
        }
        bytes.reserve(HEAD_BYTES_USUAL);
        tokio::select! {
            biased;
            read = io.read_buf(&mut bytes) => if read? == 0 {
                return Err(Error::from(ErrorKind::UnexpectedEof));
            },
            () = deadline.passed() => {
                // A connection that rests between requests did nothing wrong.
                if first || !bytes.is_empty() {
                    gateway.limits.too_much(Limit::HttpHead, Duration::ZERO);
                }
                return Err(Error::from(ErrorKind::TimedOut));
            }
            () = draining.as_mut(), if serves => serves = false,
            () = polls.leave(&mut life, &gateway), if !serves => return io.shutdown().await,
        }
    }
}

async fn start_play(mut io: Io, play: Play<'_>, gateway: &Gateway) -> Result<(), Error> {
    let (began, path) = (Instant::now(), format!("/{}.flv", play.path));
    let peer = gateway.limits.client(io.peer(), &play.caller.told);
    let answered = |status| {
        let (kind, method, after) = (RequestKind::Flv, "GET", began.elapsed());
        gateway.answered(&Answered { kind, method, path: &path, status, bytes: None, after, peer });
    };
    if let Err(too_much) = gateway.limits.request(peer.ip()) {
        answered(too_much.status().as_u16());
        return refusal::send(&mut io, &too_much).await;
    }
    let protocol = if play.websocket_key.is_some() { Protocol::WsFlv } else { Protocol::Flv };
    let ask = play.caller.asks_to_play(play.path, play.query, peer, protocol);
    let grant = match gateway.auth.play(ask).await {
        Ok(grant) => grant,
        Err(refusal) => {
            answered(403);
            return refusal::refuse(&mut io, StatusCode::FORBIDDEN, "", &format!("{refusal}\n")).await;
        }
    };
    let playing = match grant.play().await {
        Ok(playing) => playing,
        Err(demand) => {
            answered(404);
            return refusal::refuse(
                &mut io,
                StatusCode::NOT_FOUND,
                "",
                &format!("nobody publishes {}\n", demand.path()),
            )
            .await;
        }
    };
    let (format, preface): (&'static dyn crate::egress::Format, Bytes) = match &play.websocket_key {
        Some(key) => (&websocket::MESSAGES, websocket::response_head(key)),
        None => (&flv::FLV, flv::response_head()),
    };
    answered(if play.websocket_key.is_some() { 101 } else { 200 });
    let audible = gateway.transcodes.for_flv(&playing.broadcast).await;
    audible.transcoded.inspect(|codec| playing.session.session().hears(*codec));
    let (transport, admission) = io.into_transport()?;
    let viewer = NewViewer {
        transport,
        admission,
        asked: playing.session.session().since,
        broadcast: audible.broadcast,
        lease: audible.lease,
        session: playing.session,
        format,
        preface,
    };
    gateway.plane.hand_over(viewer).map_err(|_| Error::other("the egress plane is overloaded"))
}

async fn serve_hyper(io: Io, gateway: Arc<Gateway>, mut life: Life) -> Result<(), Error> {
    let (config, limits) = (gateway.limits.rules().config.clone(), gateway.limits.clone());
    let moved = io.moved();
    let mut server = auto::Builder::new(TokioExecutor::new());
    server
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(config.http_head.0)
        .max_buf_size(64 << 10)
        .half_close(false);
    server.http2().timer(TokioTimer::new()).max_concurrent_streams(STREAMS_MAX);
    let polls = Polls::default();
    let service = Service::new(Arc::clone(&gateway), io.peer(), life.clone(), polls.clone());
    let mut connection = pin!(server.serve_connection(TokioIo::new(io), service));
    let served = tokio::select! {
        served = &mut connection => served,
        () = polls.leave(&mut life, &gateway) => {
            // HTTP/2 is told by GOAWAY (RFC 9113 §6.8), HTTP/1.1 by `Connection: close`.
            connection.as_mut().graceful_shutdown();
            connection.await
        }
        () = idle(&moved, config.http_idle.0) => {
            limits.too_much(Limit::HttpIdle, Duration::ZERO);
            return Err(Error::from(ErrorKind::TimedOut));
        }
    };
    served.map_err(Error::other)
}

/// Returns when no byte moved for so long: nobody asks, or nobody takes the answer.
async fn idle(moved: &AtomicU64, time: Duration) {
    let mut before = None;
    loop {
        let now = moved.load(Ordering::Relaxed);
        if before == Some(now) {
            return;
        }
        before = Some(now);
        tokio::time::sleep(time).await;
    }
}
