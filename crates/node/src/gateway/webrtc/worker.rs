//! The loop of one thread: a socket, its connections, and their timers.

use super::engine::{Event, Peer, Step};
use super::inbox::{Contents, Inbox, Stray};
use super::play::{Feed, Seat};
use super::publish::Intake;
use super::registry::{Found, Key, Registry};
use super::socket::{Datagram, Inbound, Wire};
use super::stun::{self, Content};
use super::wheel::Wheel;
use crate::limits::Admission;
use crate::metrics::{CloseReason, Metrics, Shard};
use crate::sessions::{Protocol, SessionGuard};
use crate::transcode::Audible;
use hub::{Batch, Broadcast, ViewerGuard};
use mio::{Interest, Token};
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The token of the inbox.
pub(super) const WAKE: Token = Token(0);
const SOCKET: Token = Token(1);

/// One thread. Owns its connections and feeds.
pub(super) struct Worker {
    number: usize,
    poll: mio::Poll,
    inbox: Arc<Inbox>,
    inboxes: Arc<[Arc<Inbox>]>,
    registry: Registry,
    wire: Wire,
    addresses: Arc<[SocketAddr]>,
    metrics: Arc<Metrics>,
    shard: Arc<Shard>,
    members: Vec<Option<Member>>,
    free: Vec<usize>,
    by_key: HashMap<Key, usize>,
    by_address: HashMap<SocketAddr, Owner>,
    feeds: Vec<Option<Feed>>,
    free_feeds: Vec<usize>,
    wheel: Wheel,
    batch: Batch,
    doomed: Vec<(usize, CloseReason)>,
    checked: Instant,
}

/// Whose datagrams come from an address.
#[derive(Clone, Debug)]
enum Owner {
    /// The connection in this slot.
    Here(usize),
    /// A connection of another worker.
    Elsewhere(usize, Key),
}

/// A connection that was answered, on its way to a worker.
#[derive(Debug)]
pub(super) struct Arriving {
    pub(super) key: Key,
    pub(super) peer: Peer,
    pub(super) part: Part,
    pub(super) session: SessionGuard,
    /// Counts its connection.
    pub(super) admission: Admission,
    /// When its offer was complete.
    pub(super) asked: Instant,
}

/// What a connection is for.
#[derive(Debug)]
pub(super) enum Part {
    Publish(Box<Intake>),
    Play(Audible),
}

/// One connection.
struct Member {
    key: Key,
    peer: Peer,
    role: Role,
    session: SessionGuard,
    _admission: Admission,
    asked: Instant,
    connected: bool,
    /// When something came last. A peer that is there asks for consent every few seconds (RFC 7675 §5.1).
    heard: Instant,
    /// Where datagrams came from, the oldest first.
    known: Vec<SocketAddr>,
    /// Which of our addresses the peer used last.
    local: IpAddr,
    deadline: Instant,
    /// The tick that it is armed for.
    armed: u64,
    resent: Option<Instant>,
    /// It panicked, so it isn't touched any more.
    broken: bool,
}

enum Role {
    Publish(Box<Intake>),
    Play { feed: usize, seat: Seat, wants_group: bool, _lease: Option<ViewerGuard> },
}

/// How often sessions are reported and silent connections looked for.
const CHECK_EVERY: Duration = Duration::from_millis(200);
/// How long a peer that isn't heard is kept: its network may change.
const SILENCE_MAX: Duration = Duration::from_secs(15);
/// From the first datagram to media.
const CONNECT_MAX: Duration = Duration::from_secs(20);
/// Addresses of one peer: its networks and their NATs.
const ADDRESSES_MAX: usize = 8;
/// A viewer who lost pictures is sent the group again, but not for every report of the same loss.
const RESEND_MIN: Duration = Duration::from_millis(400);
/// Datagrams read before timers and feeds have their turn.
const READ_ROUNDS_MAX: usize = 16;
/// A publisher's clock work: what is missing is given up, keyframes are asked for.
const PUBLISHER_TICK: Duration = Duration::from_millis(50);

/// What a worker is made of.
pub(super) struct Place {
    pub(super) number: usize,
    pub(super) poll: mio::Poll,
    pub(super) inboxes: Arc<[Arc<Inbox>]>,
    pub(super) registry: Registry,
    pub(super) wire: Wire,
    pub(super) addresses: Arc<[SocketAddr]>,
    pub(super) metrics: Arc<Metrics>,
}

impl Worker {
    /// # Errors
    /// When the system can't watch the socket.
    pub(super) fn new(mut place: Place) -> std::io::Result<Worker> {
        place.poll.registry().register(place.wire.source(), SOCKET, Interest::READABLE)?;
        let now = Instant::now();
        Ok(Worker {
            number: place.number,
            poll: place.poll,
            inbox: Arc::clone(&place.inboxes[place.number]),
            inboxes: place.inboxes,
            registry: place.registry,
            wire: place.wire,
            addresses: place.addresses,
            shard: place.metrics.worker(),
            metrics: place.metrics,
            members: Vec::new(),
            free: Vec::new(),
            by_key: HashMap::new(),
            by_address: HashMap::new(),
            feeds: Vec::new(),
            free_feeds: Vec::new(),
            wheel: Wheel::new(now),
            batch: Batch::default(),
            doomed: Vec::new(),
            checked: now,
        })
    }

    /// Runs until shutdown.
    pub(super) fn run(mut self) {
        let mut events = mio::Events::with_capacity(8);
        let (mut contents, mut inbound, mut due) = (Contents::default(), Inbound::new(), Vec::new());
        while !contents.shutdown {
            let rest = self.wheel.rest(Instant::now(), CHECK_EVERY);
            if let Err(error) = self.poll.poll(&mut events, Some(rest))
                && error.kind() != std::io::ErrorKind::Interrupted
            {
                tracing::error!(%error, "the WebRTC worker can't wait for events; it ends");
                return;
            }
            self.read(&mut inbound);
            if self.inbox.take(&mut contents) {
                self.handed(&mut contents);
            }
            let now = Instant::now();
            self.wheel.due(now, &mut due);
            for slot in due.drain(..) {
                self.guarded(slot as usize, |worker| worker.wake(slot as usize, now));
            }
            self.wire.flush();
            if now.saturating_duration_since(self.checked) >= CHECK_EVERY {
                self.check(now);
            }
        }
        let all: Vec<usize> = (0..self.members.len()).collect();
        all.into_iter().for_each(|slot| self.close(slot, CloseReason::Shutdown));
        self.wire.flush();
    }

    fn read(&mut self, inbound: &mut Inbound) {
        for _ in 0..READ_ROUNDS_MAX {
            let mut any = false;
            // The iterator borrows the buffers only; the wire's own state is not touched while it lives.
            let datagrams: Vec<Datagram<'_>> = match self.wire.receive(inbound) {
                Ok(datagrams) => datagrams.collect(),
                Err(error) => {
                    tracing::debug!(%error, "datagrams can't be read");
                    return;
                }
            };
            let now = Instant::now();
            for datagram in datagrams {
                any = true;
                self.datagram(&datagram, now);
            }
            self.close_doomed();
            if !any {
                return;
            }
        }
    }

    /// Nothing is allocated for a datagram before it is known whose it is.
    fn datagram(&mut self, datagram: &Datagram<'_>, now: Instant) {
        match stun::content(datagram.bytes) {
            Content::Junk => {}
            Content::Stun(user) => self.request(&Key::named(user), datagram, now),
            Content::Other => match self.by_address.get(&datagram.from) {
                Some(Owner::Here(slot)) => self.feed_peer(*slot, datagram, now),
                Some(Owner::Elsewhere(worker, key)) => {
                    let (worker, key) = (*worker, key.clone());
                    self.forward(worker, key, datagram);
                }
                None => {}
            },
        }
    }

    /// A STUN request names its connection, and proves by a signature that it knows the password.
    fn request(&mut self, key: &Key, datagram: &Datagram<'_>, now: Instant) {
        let to = self.inside(datagram.to);
        if let Some(slot) = self.by_key.get(key).copied() {
            let Some(member) = &self.members[slot] else { return };
            if member.peer.accepts(now, datagram.from, to, datagram.bytes) {
                self.came_from(slot, datagram.from);
                self.feed_peer(slot, datagram, now);
            }
            return;
        }
        let proved = |arriving: &Arriving| arriving.peer.accepts(now, datagram.from, to, datagram.bytes);
        match self.registry.find(key, proved, self.number) {
            Found::Nowhere => {}
            Found::Elsewhere(worker) => {
                self.by_address.insert(datagram.from, Owner::Elsewhere(worker, key.clone()));
                self.forward(worker, key.clone(), datagram);
            }
            Found::Arrives(arriving) => {
                let slot = self.settle(*arriving, datagram, now);
                self.came_from(slot, datagram.from);
                self.feed_peer(slot, datagram, now);
            }
        }
    }

    fn forward(&mut self, worker: usize, key: Key, datagram: &Datagram<'_>) {
        let stray = Stray { key, from: datagram.from, to: datagram.to, bytes: datagram.bytes.into() };
        if let Some(inbox) = self.inboxes.get(worker) {
            inbox.stray(stray);
        }
    }

    fn came_from(&mut self, slot: usize, from: SocketAddr) {
        let Some(member) = self.members[slot].as_mut() else { return };
        if member.known.contains(&from) {
            return;
        }
        if member.known.len() >= ADDRESSES_MAX {
            let oldest = member.known.remove(0);
            self.by_address.remove(&oldest);
        }
        member.known.push(from);
        self.by_address.insert(from, Owner::Here(slot));
    }

    /// Which of the addresses in the answer a datagram was sent to. Behind a NAT ours is another than the one that it has here.
    fn inside(&self, to: SocketAddr) -> SocketAddr {
        let same_family = |address: &&SocketAddr| address.is_ipv4() == to.is_ipv4();
        if self.addresses.contains(&to) {
            to
        } else {
            *self.addresses.iter().find(same_family).unwrap_or(&to)
        }
    }

    /// A panic in one connection ends that one only.
    fn guarded(&mut self, slot: usize, work: impl FnOnce(&mut Worker)) {
        // What is left half done is the connection's own, and that is thrown away.
        if std::panic::catch_unwind(AssertUnwindSafe(|| work(self))).is_err() {
            tracing::error!("a WebRTC connection panicked; it ends");
            if let Some(member) = self.members[slot].as_mut() {
                member.broken = true;
            }
            self.doomed.push((slot, CloseReason::Broken));
        }
    }

    fn feed_peer(&mut self, slot: usize, datagram: &Datagram<'_>, now: Instant) {
        self.guarded(slot, |worker| worker.take_in(slot, datagram, now));
    }

    fn take_in(&mut self, slot: usize, datagram: &Datagram<'_>, now: Instant) {
        let to = self.inside(datagram.to);
        let Some(member) = self.members[slot].as_mut() else { return };
        member.local = datagram.to.ip();
        member.heard = now;
        member.peer.receive(now, datagram.from, to, datagram.bytes);
        self.drain(slot, now);
    }

    /// Takes a connection whose first datagram came to this worker.
    fn settle(&mut self, arriving: Arriving, datagram: &Datagram<'_>, now: Instant) -> usize {
        let role = match arriving.part {
            Part::Publish(intake) => Role::Publish(intake),
            Part::Play(Audible { broadcast, lease, .. }) => {
                let feed = self.feed_for(&broadcast);
                Role::Play { feed, seat: Seat::default(), wants_group: true, _lease: lease }
            }
        };
        let slot = self.free.pop().unwrap_or_else(|| {
            self.members.push(None);
            self.members.len() - 1
        });
        if let Role::Play { feed, .. } = &role
            && let Some(feed) = self.feeds[*feed].as_mut()
        {
            feed.members.push(slot);
        }
        self.by_key.insert(arriving.key.clone(), slot);
        self.members[slot] = Some(Member {
            key: arriving.key,
            peer: arriving.peer,
            role,
            session: arriving.session,
            _admission: arriving.admission,
            asked: arriving.asked,
            connected: false,
            heard: now,
            known: Vec::new(),
            local: datagram.to.ip(),
            deadline: now,
            armed: 0,
            resent: None,
            broken: false,
        });
        self.count();
        slot
    }

    fn feed_for(&mut self, broadcast: &Arc<Broadcast>) -> usize {
        let same = |feed: &Feed| Arc::ptr_eq(&feed.broadcast, broadcast);
        if let Some(number) = self.feeds.iter().position(|f| f.as_ref().is_some_and(same)) {
            return number;
        }
        let number = self.free_feeds.pop().unwrap_or_else(|| {
            self.feeds.push(None);
            self.feeds.len() - 1
        });
        let mut feed = Feed::new(number, &self.inbox, broadcast);
        feed.drain(&mut self.batch);
        self.feeds[number] = Some(feed);
        number
    }

    fn handed(&mut self, contents: &mut Contents) {
        let now = Instant::now();
        for stray in contents.strays.drain(..) {
            let Some(slot) = self.by_key.get(&stray.key).copied() else { continue };
            let datagram = Datagram { from: stray.from, to: stray.to, bytes: &stray.bytes };
            match stun::content(datagram.bytes) {
                Content::Stun(_) => self.request(&stray.key, &datagram, now),
                _ => self.feed_peer(slot, &datagram, now),
            }
        }
        for key in contents.ended.drain(..) {
            if let Some(slot) = self.by_key.get(&key) {
                self.doomed.push((*slot, CloseReason::Left));
            }
        }
        for feed in contents.feeds.drain(..) {
            self.flush(feed, now);
        }
        self.close_doomed();
    }

    /// Sends what is new in a broadcast to its viewers.
    fn flush(&mut self, number: usize, now: Instant) {
        let Some(mut feed) = self.feeds.get_mut(number).and_then(Option::take) else { return };
        feed.drain(&mut self.batch);
        let mut sent = 0;
        let mut given = 0;
        for slot in &feed.members {
            let Some(member) = self.members[*slot].as_mut() else { continue };
            if !member.connected {
                continue;
            }
            let before = member.sent_bytes();
            member.play(&feed, now, &mut self.wire);
            sent += member.sent_bytes() - before;
            given += 1;
            arm(&mut self.wheel, *slot, member);
        }
        self.wire.flush();
        self.shard.egress(Protocol::Whep, sent);
        feed.broadcast.add_egress_bytes(sent);
        if given > 0 {
            let written = Instant::now();
            feed.arrivals()
                .for_each(|at| self.shard.frame_written(written.saturating_duration_since(at), given));
        }
        if let Some(why) = feed.broken {
            tracing::info!(path = %feed.broadcast.path(), why, "viewers by WebRTC have to join again");
        }
        if feed.ended || feed.broken.is_some() {
            self.doomed.extend(feed.members.iter().map(|slot| (*slot, CloseReason::Ended)));
        }
        self.feeds[number] = Some(feed);
        self.close_doomed();
    }

    /// A timer of a connection.
    fn wake(&mut self, slot: usize, now: Instant) {
        let Some(member) = self.members.get_mut(slot).and_then(Option::as_mut) else { return };
        member.armed = 0;
        if member.deadline > now {
            member.armed = self.wheel.tick_of(member.deadline);
            self.wheel.arm(slot as u32, member.armed);
            return;
        }
        member.peer.tick(now);
        if let Role::Publish(intake) = &mut member.role {
            match intake.tick(now) {
                Ok(false) => {}
                Ok(true) => {
                    pump(&mut member.peer, &mut self.wire, member.local);
                    member.peer.ask_for_keyframe();
                }
                Err(reason) => self.doomed.push((slot, reason)),
            }
        }
        self.drain(slot, now);
        self.close_doomed();
    }

    /// Takes all that a connection wants.
    fn drain(&mut self, slot: usize, now: Instant) {
        let Some(member) = self.members[slot].as_mut() else { return };
        loop {
            match member.peer.step() {
                Step::Send { to, datagram } => self.wire.send(to, member.local, &datagram),
                Step::Event(event) => {
                    if let Err(reason) = member.happened(event, now) {
                        self.doomed.push((slot, reason));
                    }
                }
                Step::Wait(at) => {
                    let publishes = matches!(member.role, Role::Publish(_));
                    member.deadline = if publishes { at.min(now + PUBLISHER_TICK) } else { at };
                    break;
                }
                Step::Over => {
                    self.doomed.push((slot, CloseReason::Left));
                    return;
                }
            }
        }
        if let Role::Play { feed, .. } = &member.role
            && member.wants_group(now)
            && let Some(feed) = self.feeds[*feed].as_ref()
        {
            let before = member.sent_bytes();
            member.give_group(feed, now, &mut self.wire);
            self.shard.egress(Protocol::Whep, member.sent_bytes() - before);
            feed.broadcast.add_egress_bytes(member.sent_bytes() - before);
            if before == 0 && member.sent_bytes() > 0 {
                self.shard.first_byte(now.saturating_duration_since(member.asked));
            }
        }
        arm(&mut self.wheel, slot, member);
    }

    fn check(&mut self, now: Instant) {
        self.checked = now;
        for (slot, member) in self.members.iter_mut().enumerate() {
            let Some(member) = member else { continue };
            let session = member.session.session();
            session.report(member.bytes(), 0);
            if let Some(ending) = session.ending(now) {
                self.doomed.push((slot, ending.into()));
            } else if let Some(reason) = member.lost(now) {
                self.doomed.push((slot, reason));
            }
        }
        self.close_doomed();
        self.metrics.unsent_datagrams.inc_by(self.wire.take_lost());
        if self.number == 0 {
            // Dropping them ends their sessions.
            drop(self.registry.sweep(now));
        }
    }

    fn close_doomed(&mut self) {
        while let Some((slot, reason)) = self.doomed.pop() {
            self.close(slot, reason);
        }
    }

    fn close(&mut self, slot: usize, reason: CloseReason) {
        let Some(mut member) = self.members.get_mut(slot).and_then(Option::take) else { return };
        self.free.push(slot);
        self.by_key.remove(&member.key);
        self.registry.forget(&member.key);
        for address in &member.known {
            self.by_address.remove(address);
        }
        // The peer is told, so that it needn't wait for silence.
        if !member.broken {
            member.peer.close();
            pump(&mut member.peer, &mut self.wire, member.local);
        }
        self.wire.flush();
        member.session.session().report(member.bytes(), 0);
        member.session.ends(reason);
        match member.role {
            Role::Publish(intake) => intake.leave(Instant::now()),
            Role::Play { feed: number, .. } => {
                if let Some(feed) = self.feeds[number].as_mut() {
                    feed.members.retain(|other| *other != slot);
                    if feed.members.is_empty() {
                        self.feeds[number] = None;
                        self.free_feeds.push(number);
                    }
                }
            }
        }
        self.count();
    }

    fn count(&self) {
        let plays = |m: &&Member| matches!(m.role, Role::Play { .. });
        self.shard.set_viewers(self.members.iter().flatten().filter(plays).count());
    }
}

impl Member {
    fn happened(&mut self, event: Event, now: Instant) -> Result<(), CloseReason> {
        match (event, &mut self.role) {
            (Event::Connected, _) => self.connected = true,
            (Event::Packet(packet), Role::Publish(intake)) => intake.packet(packet, now)?,
            (Event::Clock { kind, ticks, hz, wallclock }, Role::Publish(intake)) => {
                intake.clock(kind, ticks, hz, wallclock);
            }
            (Event::KeyframeWanted, Role::Play { wants_group, .. }) => *wants_group = true,
            _ => {}
        }
        Ok(())
    }

    /// Whether the group is to be sent now.
    fn wants_group(&self, now: Instant) -> bool {
        let Role::Play { wants_group: true, .. } = self.role else { return false };
        self.connected && self.resent.is_none_or(|at| now.saturating_duration_since(at) >= RESEND_MIN)
    }

    fn give_group(&mut self, feed: &Feed, now: Instant, wire: &mut Wire) {
        self.resent = Some(now);
        let (local, mut deadline) = (self.local, None);
        if let Role::Play { seat, wants_group, .. } = &mut self.role {
            *wants_group = false;
            feed.give_group(seat, &mut self.peer, now, &mut |peer| deadline = pump(peer, wire, local));
        }
        self.deadline = deadline.unwrap_or(self.deadline);
    }

    fn play(&mut self, feed: &Feed, now: Instant, wire: &mut Wire) {
        let (local, mut deadline) = (self.local, None);
        if let Role::Play { seat, .. } = &mut self.role {
            feed.give(seat, &mut self.peer, now, &mut |peer| deadline = pump(peer, wire, local));
        }
        self.deadline = deadline.unwrap_or(self.deadline);
    }

    fn sent_bytes(&self) -> u64 {
        match &self.role {
            Role::Play { seat, .. } => seat.sent_bytes,
            Role::Publish(_) => 0,
        }
    }

    fn bytes(&self) -> u64 {
        match &self.role {
            Role::Play { seat, .. } => seat.sent_bytes,
            Role::Publish(intake) => intake.bytes,
        }
    }

    fn lost(&self, now: Instant) -> Option<CloseReason> {
        let longer = |since: Instant, most| now.saturating_duration_since(since) > most;
        let never = !self.connected && longer(self.asked, CONNECT_MAX);
        (never || longer(self.heard, SILENCE_MAX)).then_some(CloseReason::Stalled)
    }
}

/// Arms a connection for its deadline, unless it comes up before anyway.
fn arm(wheel: &mut Wheel, slot: usize, member: &mut Member) {
    let tick = wheel.tick_of(member.deadline);
    if member.armed == 0 || tick < member.armed {
        member.armed = tick.max(1);
        wheel.arm(slot as u32, member.armed);
    }
}

/// Sends what a connection wants to send after one packet was given to it; when it wants to be woken. Events come only of
/// what is received, so there are none.
fn pump(peer: &mut Peer, wire: &mut Wire, local: IpAddr) -> Option<Instant> {
    loop {
        match peer.step() {
            Step::Send { to, datagram } => wire.send(to, local, &datagram),
            Step::Event(_) => {}
            Step::Wait(at) => return Some(at),
            Step::Over => return None,
        }
    }
}
