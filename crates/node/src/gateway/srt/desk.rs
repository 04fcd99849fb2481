//! All connections: datagrams, timers, what is decided about callers.

use super::ask::{Decided, Granted, decide};
use super::listen::Gateway;
use super::play::{Payload, Portion, feed};
use super::publish::Intake;
use crate::life::Life;
use crate::limits::Admission;
use crate::metrics::{CloseReason, Shard};
use crate::sessions::{Link, Protocol, SessionGuard};
use hub::Broadcast;
use srt::{Arrival, Caller, Connection, DATAGRAM_BYTES_MAX, Listener, Received, Refusal, Refused, Stats};
use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, Id, JoinError, JoinSet};

/// The one who has the port.
///
/// Connections are bounded by `limits.connections`, callers that are decided about by [`DECIDING_MAX`]; who is more is
/// refused. What belongs to nobody is dropped before anything is kept for it.
pub(super) struct Desk {
    socket: UdpSocket,
    listener: Listener,
    gateway: Arc<Gateway>,
    shard: Arc<Shard>,
    members: HashMap<u32, Member>,
    /// The same by who called; zero while it is decided about.
    callers: HashMap<(SocketAddr, u32), u32>,
    timers: BTreeSet<(Instant, u32)>,
    deciding: JoinSet<Decided>,
    /// Callers that are decided about, by task: one that panics says no name.
    decided_about: HashMap<Id, (SocketAddr, u32)>,
    feeds: HashMap<u64, Feed>,
    feeding: JoinSet<()>,
    portions: (mpsc::Sender<Portion>, mpsc::Receiver<Portion>),
    /// Where numbers of sockets, and of feeds, go on.
    next_socket: u32,
    next_feed: u64,
    is_closing: bool,
}

/// One connection.
struct Member {
    from: SocketAddr,
    caller: u32,
    connection: Connection,
    role: Role,
    session: SessionGuard,
    _admission: Admission,
    asked: Instant,
    deadline: Instant,
    /// Media bytes at the last check.
    checked: (Instant, u64),
}

enum Role {
    Publish(Box<Intake>),
    Play {
        feed: u64,
        /// Whether it got the start of a group.
        started: bool,
    },
}

/// One broadcast that is played.
struct Feed {
    broadcast: Arc<Broadcast>,
    members: Vec<u32>,
    /// From the start of the newest group on; empty if that was too long.
    group: Vec<Payload>,
    task: AbortHandle,
}

/// Callers that are decided about.
const DECIDING_MAX: usize = 512;
/// Portions that wait; a feed that is faster waits itself.
const PORTIONS_MAX: usize = 64;
/// Payloads of a group that is kept for who joins, 16 MB at most: a connection has room for more. Longer ones are joined at
/// the next one.
const GROUP_PAYLOADS_MAX: usize = 12_000;
/// Datagrams read before anything else gets its turn.
const READ_MAX: usize = 256;
/// How often sessions are looked at.
const CHECK_EVERY: Duration = Duration::from_secs(1);

impl Desk {
    pub(super) fn new(socket: UdpSocket, listener: Listener, gateway: Arc<Gateway>, seed: u32) -> Desk {
        Desk {
            socket,
            listener,
            shard: gateway.metrics.here(),
            gateway,
            members: HashMap::new(),
            callers: HashMap::new(),
            timers: BTreeSet::new(),
            deciding: JoinSet::new(),
            decided_about: HashMap::new(),
            feeds: HashMap::new(),
            feeding: JoinSet::new(),
            portions: mpsc::channel(PORTIONS_MAX),
            next_socket: seed,
            next_feed: 1,
            is_closing: false,
        }
    }

    /// Serves until shutdown, or until another process has the port.
    pub(super) async fn run(mut self, mut life: Life) {
        let mut check = tokio::time::interval(CHECK_EVERY);
        let mut drains = life.clone();
        let mut room = vec![0; DATAGRAM_BYTES_MAX + 1];
        loop {
            let next = self.timers.first().map_or_else(|| Instant::now() + CHECK_EVERY, |(at, _)| *at);
            tokio::select! {
                ready = self.socket.readable() => match ready {
                    Ok(()) => self.read(&mut room),
                    Err(error) => tracing::warn!(%error, "SRT's port can't be read"),
                },
                Some(portion) = self.portions.1.recv() => self.spread(portion),
                Some(decided) = self.deciding.join_next_with_id(), if !self.deciding.is_empty() => {
                    self.decided(decided);
                }
                Some(_) = self.feeding.join_next(), if !self.feeding.is_empty() => {}
                () = tokio::time::sleep_until(next.into()) => self.wake(Instant::now()),
                _ = check.tick() => self.check(Instant::now()),
                () = drains.draining(), if !self.is_closing => self.is_closing = true,
                () = life.handed_over() => break,
            }
        }
        for socket in self.members.keys().copied().collect::<Vec<_>>() {
            self.close(socket, CloseReason::Shutdown);
        }
    }

    fn read(&mut self, room: &mut [u8]) {
        for _ in 0..READ_MAX {
            // An error is for one datagram only: a peer's port is closed, or nothing is left.
            let Ok((length, from)) = self.socket.try_recv_from(room) else { return };
            self.datagram(from, &room[..length], Instant::now());
        }
    }

    fn datagram(&mut self, from: SocketAddr, bytes: &[u8], now: Instant) {
        match self.listener.handle_input(from, bytes, now) {
            Arrival::Nothing => {}
            Arrival::Answer(answer) => self.send(from, &answer),
            Arrival::Refused(refused) => {
                // What is over the limit is told, but not logged.
                if let Some(_admission) = self.admit(from) {
                    self.log_refused(from, &refused.error, Duration::ZERO);
                }
                self.send(from, &refused.answer);
            }
            Arrival::Caller(caller) => self.called(*caller, now),
            Arrival::Connection(socket) => {
                if self.members.get(&socket).is_some_and(|member| member.from == from) {
                    self.guarded(socket, |desk| {
                        if let Some(member) = desk.members.get_mut(&socket) {
                            member.connection.handle_input(bytes, now);
                        }
                        desk.pump(socket, now);
                    });
                }
            }
        }
    }

    /// A caller whose address is real.
    fn called(&mut self, caller: Caller, now: Instant) {
        let name = caller.name();
        match self.callers.get(&name) {
            Some(0) => return,
            Some(socket) => {
                let socket = *socket;
                return self.guarded(socket, |desk| {
                    if let Some(member) = desk.members.get_mut(&socket) {
                        member.connection.accept(now);
                    }
                    desk.pump(socket, now);
                });
            }
            None => {}
        }
        if self.is_closing {
            return self.send(name.0, &caller.refuse(Refusal::CLOSE));
        }
        if self.deciding.len() >= DECIDING_MAX {
            return self.send(name.0, &caller.refuse(Refusal::RESOURCE));
        }
        let Some(admission) = self.admit(name.0) else {
            return self.send(name.0, &caller.refuse(Refusal::OVERLOADED));
        };
        match caller.unlock() {
            Ok(request) => {
                let task = self.deciding.spawn(decide(Arc::clone(&self.gateway), request, admission));
                self.callers.insert(name, 0);
                self.decided_about.insert(task.id(), name);
            }
            Err(Refused { error, answer }) => {
                self.log_refused(name.0, &error, now.elapsed());
                self.send(name.0, &answer);
            }
        }
    }

    /// Counts a caller; `None`, and counted by the limit, if it is too much.
    fn admit(&self, from: SocketAddr) -> Option<Admission> {
        let mut admission = self.gateway.limits.enter().ok()?;
        admission.identify(from.ip()).ok()?;
        Some(admission)
    }

    fn log_refused(&self, from: SocketAddr, why: &dyn std::fmt::Display, took: Duration) {
        tracing::warn!(refused = %why, "SRT caller refused");
        self.gateway.access.connection(Protocol::Srt.as_str(), &format!("refused: {why}"), took, from);
    }

    fn decided(&mut self, decided: Result<(Id, Decided), JoinError>) {
        let id = match &decided {
            Ok((id, _)) => *id,
            Err(error) => error.id(),
        };
        if let Some(name) = self.decided_about.remove(&id) {
            self.callers.remove(&name);
        }
        match decided {
            Ok((_, decided)) => self.settle(decided),
            Err(_) => tracing::error!("deciding about an SRT caller panicked"),
        }
    }

    /// It is decided about a caller.
    fn settle(&mut self, decided: Decided) {
        let Decided { request, admission, asked, verdict } = decided;
        let (now, name) = (Instant::now(), request.name());
        let granted = match verdict {
            Ok(granted) => granted,
            Err(refused) => {
                self.log_refused(name.0, &refused, now.saturating_duration_since(asked));
                return self.send(name.0, &request.refuse(refused.code()));
            }
        };
        let socket = self.free_socket();
        let (role, session) = match granted {
            Granted::Publish(intake, session) => (Role::Publish(intake), session),
            Granted::Play(broadcast, session) => {
                (Role::Play { feed: self.feed_of(broadcast, socket), started: false }, session)
            }
        };
        let mut connection = request.accept(socket, now);
        if matches!(role, Role::Play { .. }) {
            connection.ignore_media();
        }
        self.callers.insert(name, socket);
        let member = Member {
            from: name.0,
            caller: name.1,
            connection,
            role,
            session,
            _admission: admission,
            asked,
            deadline: now,
            checked: (now, 0),
        };
        self.members.insert(socket, member);
        self.timers.insert((now, socket));
        self.count();
        self.begin(socket, now);
        self.pump(socket, now);
    }

    /// A number that no connection has; zero is the listener's.
    fn free_socket(&mut self) -> u32 {
        loop {
            // The upper bits of a number are of no use to peers.
            self.next_socket = self.next_socket.wrapping_add(1) & 0x3fff_ffff;
            if self.next_socket != 0 && !self.members.contains_key(&self.next_socket) {
                return self.next_socket;
            }
        }
    }

    fn feed_of(&mut self, broadcast: Arc<Broadcast>, socket: u32) -> u64 {
        let same = |feed: &Feed| Arc::ptr_eq(&feed.broadcast, &broadcast);
        if let Some((number, feed)) = self.feeds.iter_mut().find(|(_, feed)| same(feed)) {
            feed.members.push(socket);
            return *number;
        }
        let number = self.next_feed;
        self.next_feed += 1;
        let task = self.feeding.spawn(feed(Arc::clone(&broadcast), number, self.portions.0.clone()));
        let feed = Feed { broadcast, members: vec![socket], group: Vec::new(), task };
        self.feeds.insert(number, feed);
        number
    }

    /// Gives a viewer the newest group, as far as it is there.
    fn begin(&mut self, socket: u32, now: Instant) {
        let Some(member) = self.members.get_mut(&socket) else { return };
        let Role::Play { feed, started } = &mut member.role else { return };
        let Some(feed) = self.feeds.get(feed).filter(|feed| !feed.group.is_empty()) else { return };
        *started = true;
        feed.group.iter().for_each(|payload| member.connection.send(payload.bytes.clone(), now));
        self.shard.first_byte(now.saturating_duration_since(member.asked));
    }

    /// Sends what is new in a broadcast to its viewers.
    fn spread(&mut self, portion: Portion) {
        let now = Instant::now();
        let Some(feed) = self.feeds.get_mut(&portion.feed) else { return };
        portion.payloads.iter().for_each(|payload| feed.keep(payload));
        let (members, mut given) = (feed.members.clone(), 0);
        for socket in &members {
            let Some(member) = self.members.get_mut(socket) else { continue };
            let Role::Play { started, .. } = &mut member.role else { continue };
            for payload in &portion.payloads {
                if !*started && payload.starts {
                    *started = true;
                    self.shard.first_byte(now.saturating_duration_since(member.asked));
                }
                if *started {
                    member.connection.send(payload.bytes.clone(), now);
                }
            }
            given += u64::from(*started);
            self.pump(*socket, now);
        }
        if given > 0 {
            let written = Instant::now();
            for arrived in portion.arrived {
                self.shard.frame_written(written.saturating_duration_since(arrived), given);
            }
        }
        if portion.ended {
            members.into_iter().for_each(|socket| self.close(socket, CloseReason::Ended));
        }
    }

    /// Does what is due.
    fn wake(&mut self, now: Instant) {
        while let Some((at, socket)) = self.timers.first().copied().filter(|(at, _)| *at <= now) {
            self.timers.remove(&(at, socket));
            self.guarded(socket, |desk| {
                if let Some(member) = desk.members.get_mut(&socket) {
                    member.connection.handle_timeout(now);
                }
                desk.pump(socket, now);
            });
        }
    }

    /// Takes all that a connection has: payloads, datagrams, its next timer, its end.
    fn pump(&mut self, socket: u32, now: Instant) {
        let Some(member) = self.members.get_mut(&socket) else { return };
        let mut end = None;
        while let Some(received) = member.connection.poll_received() {
            let Role::Publish(intake) = &mut member.role else { continue };
            let payload = match received {
                Received::Payload(payload) => payload,
                Received::Lost(packets) => {
                    intake.lost(packets, now);
                    continue;
                }
            };
            if let Err(error) = member.session.span().in_scope(|| intake.take(&payload, now)) {
                tracing::warn!(path = %member.session.session().path, %error, "publishing ended");
                end = Some(error.reason());
                break;
            }
        }
        let before = member.connection.stats().sent_bytes;
        while let Some(datagram) = member.connection.poll_transmit(now) {
            // What the system has no room for is lost on the way, and asked for again.
            let _ = self.socket.try_send_to(&datagram, member.from);
        }
        if let Role::Play { feed, .. } = &member.role {
            let sent = member.connection.stats().sent_bytes - before;
            self.shard.egress(Protocol::Srt, sent);
            if let Some(feed) = self.feeds.get(feed) {
                feed.broadcast.add_egress_bytes(sent);
            }
        }
        let closed = member.connection.closed().map(|reason| match reason {
            srt::CloseReason::Shutdown => CloseReason::Left,
            srt::CloseReason::Idle => CloseReason::Stalled,
        });
        self.timers.remove(&(member.deadline, socket));
        member.deadline = member.connection.poll_timeout();
        self.timers.insert((member.deadline, socket));
        if let Some(reason) = end.or(closed) {
            self.close(socket, reason);
        }
    }

    /// A panic in one connection ends that one only.
    fn guarded(&mut self, socket: u32, work: impl FnOnce(&mut Desk)) {
        // What is left half done is the connection's own, and that is thrown away.
        if std::panic::catch_unwind(AssertUnwindSafe(|| work(self))).is_err() {
            tracing::error!("an SRT connection panicked; it ends");
            self.close(socket, CloseReason::Broken);
        }
    }

    /// Looks at all sessions: what they report, and whether they have to end.
    fn check(&mut self, now: Instant) {
        let idle = self.gateway.auth.publisher_idle();
        let mut ends = Vec::new();
        for (socket, member) in &mut self.members {
            member.report(now);
            let ending = member.session.session().ending(now).map(CloseReason::from);
            let is_idle = |intake: &Intake| now.saturating_duration_since(intake.heard) > idle;
            let idles = matches!(&member.role, Role::Publish(intake) if is_idle(intake));
            ends.extend(ending.or(idles.then_some(CloseReason::Idle)).map(|reason| (*socket, reason)));
        }
        ends.into_iter().for_each(|(socket, reason)| self.close(socket, reason));
    }

    fn close(&mut self, socket: u32, reason: CloseReason) {
        let Some(mut member) = self.members.remove(&socket) else { return };
        let now = Instant::now();
        self.timers.remove(&(member.deadline, socket));
        self.callers.remove(&(member.from, member.caller));
        member.connection.close(now);
        while let Some(datagram) = member.connection.poll_transmit(now) {
            let _ = self.socket.try_send_to(&datagram, member.from);
        }
        member.report(now);
        member.session.ends(reason);
        match member.role {
            Role::Publish(intake) => intake.leave(now),
            Role::Play { feed: number, .. } => {
                if let Some(feed) = self.feeds.get_mut(&number) {
                    feed.members.retain(|other| *other != socket);
                    if feed.members.is_empty() {
                        feed.task.abort();
                        self.feeds.remove(&number);
                    }
                }
            }
        }
        self.count();
    }

    fn send(&self, to: SocketAddr, datagram: &[u8]) {
        // What is lost is asked for again.
        let _ = self.socket.try_send_to(datagram, to);
    }

    fn count(&self) {
        let plays = |member: &&Member| matches!(member.role, Role::Play { .. });
        self.shard.set_viewers(self.members.values().filter(plays).count());
    }
}

impl Feed {
    fn keep(&mut self, payload: &Payload) {
        if payload.starts {
            self.group.clear();
        } else if self.group.is_empty() {
            return;
        }
        if self.group.len() >= GROUP_PAYLOADS_MAX {
            self.group.clear();
            return;
        }
        self.group.push(payload.clone());
    }
}

impl Member {
    /// Tells the list of sessions how it is.
    fn report(&mut self, now: Instant) {
        let stats = self.connection.stats();
        let (bytes, link) = match &self.role {
            Role::Publish(intake) => (intake.bytes, received(&stats)),
            Role::Play { .. } => (stats.sent_bytes, sent(&stats)),
        };
        let (since, before) = self.checked;
        let span = now.saturating_duration_since(since).as_secs_f64().max(0.001);
        let bits_per_s = (bytes.saturating_sub(before) as f64 * 8.0 / span) as u64;
        self.checked = (now, bytes);
        let session = self.session.session();
        session.report(bytes, 0);
        session.measure(Link { bits_per_s, is_encrypted: self.connection.is_encrypted(), ..link });
    }
}

/// The figures of a publisher.
fn received(stats: &Stats) -> Link {
    Link {
        packets: stats.received.saturating_sub(stats.resent_to_us),
        missed: stats.missed,
        resent: stats.resent_to_us,
        lost: stats.lost,
        ..sent(stats)
    }
}

/// The figures of a viewer.
fn sent(stats: &Stats) -> Link {
    Link {
        rtt: stats.rtt,
        latency: stats.latency,
        packets: stats.sent,
        missed: stats.asked_again,
        resent: stats.resent,
        lost: stats.given_up,
        bits_per_s: 0,
        is_encrypted: false,
    }
}
