//! The loop of one thread: a socket, its connections, and their timers.

mod routing;

use super::capture::CaptureClocks;
use super::engine::Step;
use super::inbox::{Contents, Inbox, Restart};
use super::member::{
    Arriving, Heard, Member, Part, Pictures, Quality, RELIEF_MAX, Role, Turn, Watching, arm, pump, towards,
};
use super::pins::Pins;
use super::play::Feed;
use super::registry::{Key, Registry};
use super::renditions::{Renditions, Rung};
use super::socket::{Datagram, Inbound, Route, Wire};
use super::stun::{self, Content};
use super::tcp::{self, Pipes};
use super::wheel::Wheel;
use crate::metrics::{CloseReason, Metrics, Shard};
use crate::sessions::Protocol;
use crate::transcode::Audible;
use hub::{Batch, Broadcast};
use mio::{Interest, Token};
use routing::Owner;
use std::collections::HashMap;
use std::net::SocketAddr;
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
    pins: Pins,
    addresses: Arc<[SocketAddr]>,
    renditions: Renditions,
    captures: CaptureClocks,
    stay: Duration,
    metrics: Arc<Metrics>,
    shard: Arc<Shard>,
    members: Vec<Option<Member>>,
    free: Vec<usize>,
    by_key: HashMap<Key, usize>,
    by_address: HashMap<Route, Owner>,
    feeds: Vec<Option<Feed>>,
    free_feeds: Vec<usize>,
    wheel: Wheel,
    batch: Batch,
    doomed: Vec<(usize, CloseReason)>,
    checked: Instant,
}

/// How often sessions are reported and silent connections looked for.
const CHECK_EVERY: Duration = Duration::from_millis(200);
/// Events taken at a time; what is left comes with the next.
const EVENTS_MAX: usize = 256;
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
    pub(super) renditions: Renditions,
    pub(super) captures: CaptureClocks,
    /// The shortest time at one quality before a better one.
    pub(super) stay: Duration,
    pub(super) metrics: Arc<Metrics>,
}

impl Worker {
    /// # Errors
    /// When the system can't watch the socket.
    pub(super) fn new(mut place: Place) -> std::io::Result<Worker> {
        place.poll.registry().register(place.wire.source(), SOCKET, Interest::READABLE)?;
        place.wire.pipes.watch(place.poll.registry())?;
        let now = Instant::now();
        Ok(Worker {
            number: place.number,
            poll: place.poll,
            inbox: Arc::clone(&place.inboxes[place.number]),
            inboxes: place.inboxes,
            registry: place.registry,
            wire: place.wire,
            pins: Pins::default(),
            addresses: place.addresses,
            renditions: place.renditions,
            captures: place.captures,
            stay: place.stay,
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
        let mut events = mio::Events::with_capacity(EVENTS_MAX);
        let (mut contents, mut inbound, mut due) = (Contents::default(), Inbound::new(), Vec::new());
        let mut datagram = Vec::new();
        while !contents.shutdown {
            let rest = self.wheel.rest(Instant::now(), CHECK_EVERY);
            if let Err(error) = self.poll.poll(&mut events, Some(rest))
                && error.kind() != std::io::ErrorKind::Interrupted
            {
                tracing::error!(%error, "the WebRTC worker can't wait for events; it ends");
                return;
            }
            let tokens: Vec<Token> = events.iter().map(mio::event::Event::token).collect();
            self.read(&mut inbound);
            for token in tokens {
                match Pins::number(token) {
                    Some(number) => self.read_pinned(number, &mut datagram),
                    None => self.read_tcp(token, &mut datagram),
                }
            }
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
            let datagrams = match self.wire.receive(inbound) {
                Ok(datagrams) => datagrams,
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

    /// Something happened to a TCP connection, or a new one came.
    fn read_tcp(&mut self, token: Token, datagram: &mut Vec<u8>) {
        let now = Instant::now();
        if token == tcp::LISTENER {
            return self.wire.pipes.accept(self.poll.registry(), now);
        }
        let Some(number) = Pipes::number(token) else { return };
        self.wire.pipes.writable(number);
        loop {
            while let Some((from, to)) = self.wire.pipes.next(number, datagram) {
                self.datagram(&Datagram { from, to, bytes: datagram }, now);
            }
            if !self.wire.pipes.fill(number) {
                break;
            }
        }
        if let Some(route) = self.wire.pipes.close_if_over(number)
            && let Some(Owner::Here(slot)) = self.by_address.remove(&route)
            && let Some(member) = self.members[slot].as_mut()
        {
            member.known.retain(|known| known.route != route);
            member.nominated.take_if(|nominated| *nominated == route);
        }
        self.close_doomed();
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
        let heard = member.hear(datagram.bytes, now, &mut self.wire).unwrap_or_else(|| Heard {
            proved: member.peer.receive(now, datagram.from, to, datagram.bytes),
            choose: false,
        });
        // Anybody can send from an address that isn't his (RFC 7675 §5.1): what proves nothing changes nothing.
        if heard.proved {
            (member.local, member.heard) = (datagram.to.ip(), now);
        }
        self.drain(slot, now);
        if heard.choose {
            self.choose_quality(slot, now);
        }
    }

    /// Takes a connection whose first datagram came to this worker.
    fn settle(&mut self, arriving: Arriving, datagram: &Datagram<'_>, now: Instant) -> usize {
        let role = match arriving.part {
            Part::Publish(intake) => Role::Publish(intake),
            Part::Play(Audible { broadcast, lease, recoded, .. }) => {
                let base = self.feed_for(&broadcast, &broadcast);
                // What is coded anew has one quality.
                let ladder = self.renditions.of(broadcast.path()).filter(|_| !recoded);
                let quality = ladder.map(|ladder| Quality::new(ladder, self.stay));
                Role::Play(Box::new(Watching::new(base, quality, lease)))
            }
        };
        let slot = self.free.pop().unwrap_or_else(|| {
            self.members.push(None);
            self.members.len() - 1
        });
        if let Role::Play(watching) = &role
            && let Some(feed) = self.feeds[watching.base].as_mut()
        {
            feed.members.push(slot);
        }
        let mut names = self.registry.names(&arriving.key);
        names.retain(|name| *name != arriving.key);
        for name in names.iter().chain([&arriving.key]) {
            self.by_key.insert(name.clone(), slot);
        }
        self.members[slot] = Some(Member {
            key: arriving.key,
            names,
            peer: arriving.peer,
            role,
            session: arriving.session,
            _admission: arriving.admission,
            asked: arriving.asked,
            connected: false,
            heard: now,
            known: Vec::new(),
            nominated: None,
            local: datagram.to.ip(),
            deadline: now,
            armed: 0,
            broken: false,
        });
        self.count();
        slot
    }

    fn feed_for(&mut self, broadcast: &Arc<Broadcast>, counted: &Arc<Broadcast>) -> usize {
        let same = |feed: &Feed| Arc::ptr_eq(&feed.broadcast, broadcast);
        if let Some(number) = self.feeds.iter().position(|f| f.as_ref().is_some_and(same)) {
            return number;
        }
        let number = self.free_feeds.pop().unwrap_or_else(|| {
            self.feeds.push(None);
            self.feeds.len() - 1
        });
        let mut feed = Feed::new(number, &self.inbox, broadcast, counted, self.captures.of(counted.path()));
        feed.drain(&mut self.batch);
        self.feeds[number] = Some(feed);
        number
    }

    fn handed(&mut self, contents: &mut Contents) {
        let now = Instant::now();
        contents.elsewhere.drain(..).for_each(|elsewhere| self.learn_elsewhere(elsewhere));
        contents.restarts.drain(..).for_each(|restart| self.restart(restart, now));
        for stray in contents.strays.drain(..) {
            let Some(slot) = self.by_key.get(&stray.key).copied() else { continue };
            let datagram = Datagram { from: stray.from, to: stray.to, bytes: &stray.bytes };
            match stun::content(datagram.bytes) {
                Content::Stun(request) => {
                    self.request(stray.key.as_str(), (request.nominates, stray.by), &datagram, now);
                }
                _ => self.feed_peer(slot, &datagram, now),
            }
        }
        for pipe in contents.pipes.drain(..) {
            if let Some(number) = self.wire.pipes.adopt(pipe, self.poll.registry()) {
                self.read_tcp(Pipes::token(number), &mut Vec::new());
            }
        }
        self.hand_over(contents);
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

    /// A connection has one more name, and new secrets.
    fn restart(&mut self, restart: Restart, now: Instant) {
        let Some(slot) = self.by_key.get(&restart.key).copied() else { return };
        let Some(member) = self.members[slot].as_mut() else { return };
        member.peer.restart(&restart.local, &restart.remote);
        member.names.push(restart.name.clone());
        self.by_key.insert(restart.name, slot);
        self.drain(slot, now);
    }

    /// Sends what is new in a broadcast to its viewers.
    fn flush(&mut self, number: usize, now: Instant) {
        let Some(mut feed) = self.feeds.get_mut(number).and_then(Option::take) else { return };
        feed.drain(&mut self.batch);
        let (mut sent, mut given, mut moved) = (0, 0, Vec::new());
        for slot in &feed.members {
            let Some(member) = self.members[*slot].as_mut() else { continue };
            if !member.connected {
                continue;
            }
            let before = member.sent_bytes();
            moved.extend(member.play(number, &feed, now, &mut self.wire).map(|left| (*slot, left)));
            sent += member.sent_bytes() - before;
            given += 1;
            arm(&mut self.wheel, *slot, member);
        }
        self.wire.flush();
        self.shard.egress(Protocol::Whep, sent);
        feed.counted.add_egress_bytes(sent);
        if given > 0 {
            let written = Instant::now();
            feed.arrivals()
                .for_each(|at| self.shard.frame_written(written.saturating_duration_since(at), given));
        }
        self.feeds[number] = Some(feed);
        moved.into_iter().for_each(|(slot, left)| self.leave_feed(slot, left));
        self.look_at_end(number);
        self.close_doomed();
    }

    /// Viewers of a broadcast that ended leave; those of one quality that ended go on in the broadcast itself.
    fn look_at_end(&mut self, number: usize) {
        let Some(feed) = self.feeds[number].as_ref() else { return };
        if let Some(why) = feed.broken {
            tracing::info!(path = %feed.broadcast.path(), why, "viewers by WebRTC have to join again");
        }
        if !feed.ended && feed.broken.is_none() {
            return;
        }
        for slot in feed.members.clone() {
            let Some(Role::Play(watching)) = self.members[slot].as_mut().map(|m| &mut m.role) else {
                continue;
            };
            if watching.base == number {
                self.doomed.push((slot, CloseReason::Ended));
                continue;
            }
            let left: Vec<usize> = watching.feeds().filter(|feed| *feed != watching.base).collect();
            watching.fall_back();
            left.into_iter().for_each(|feed| self.leave_feed(slot, feed));
        }
    }

    /// A connection is not in this feed any more; without viewers it isn't read.
    fn leave_feed(&mut self, slot: usize, number: usize) {
        let Some(feed) = self.feeds[number].as_mut() else { return };
        feed.members.retain(|other| *other != slot);
        if feed.members.is_empty() {
            self.feeds[number] = None;
            self.free_feeds.push(number);
        }
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
        member.go_on(now, &mut self.wire);
        if let Role::Publish(intake) = &mut member.role {
            match intake.tick(now) {
                Ok(rids) if rids.is_empty() => {}
                Ok(rids) => {
                    pump(&mut member.peer, &mut self.wire, (member.nominated, member.local));
                    member.peer.ask_for_keyframes(&rids);
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
                Step::Send { to, datagram } => {
                    self.wire.send(towards(to, member.nominated, &datagram), member.local, &datagram);
                }
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
        if let Role::Play(watching) = &member.role
            && member.wants_group(now)
            && let Some(feed) = self.feeds[watching.pictures_feed()].as_ref()
        {
            let before = member.sent_bytes();
            member.give_group(feed, now, &mut self.wire);
            self.shard.egress(Protocol::Whep, member.sent_bytes() - before);
            feed.counted.add_egress_bytes(member.sent_bytes() - before);
            if before == 0 && member.sent_bytes() > 0 {
                self.shard.first_byte(now.saturating_duration_since(member.asked));
            }
        }
        member.come_back(now);
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
        (0..self.members.len()).for_each(|slot| self.choose_quality(slot, now));
        self.metrics.unsent_datagrams.inc_by(self.wire.take_lost());
        self.wire.pipes.sweep(now);
        if self.number == 0 {
            self.registry.sweep(now);
        }
    }

    /// Moves a viewer towards the quality that its network carries.
    fn choose_quality(&mut self, slot: usize, now: Instant) {
        let Some(member) = self.members[slot].as_mut().filter(|member| member.connected) else { return };
        let Role::Play(watching) = &mut member.role else { return };
        let (rate, turn, base) = (watching.worth_trying(now), watching.turn(now), watching.base);
        let next = if matches!(turn, Turn::Stay) { None } else { watching.next.take() };
        if let Some(rate) = rate {
            member.try_out(rate, now, &mut self.wire);
        }
        if let Some(next) = next {
            self.leave_feed(slot, next.feed);
        }
        if let Turn::To { rung, down } = turn {
            self.wait_for(slot, base, (rung, down), now);
        }
    }

    /// A viewer goes to another quality as soon as that has a keyframe.
    fn wait_for(&mut self, slot: usize, base: usize, (rung, down): (Arc<Rung>, bool), now: Instant) {
        let Some(counted) = self.feeds[base].as_ref().map(|feed| Arc::clone(&feed.counted)) else { return };
        let feed = self.feed_for(&rung.broadcast, &counted);
        rung.want_keyframe();
        if let Some(Role::Play(watching)) = self.members[slot].as_mut().map(|member| &mut member.role) {
            watching.next =
                Some(Pictures { feed, rung, since: now, relieved: down.then(|| now + RELIEF_MAX) });
        }
        if let Some(feed) = self.feeds[feed].as_mut() {
            feed.members.push(slot);
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
        for name in member.names.iter().chain([&member.key]) {
            self.by_key.remove(name);
        }
        self.registry.forget(&member.key);
        // The peer is told, so that it needn't wait for silence.
        if !member.broken {
            member.peer.close();
            pump(&mut member.peer, &mut self.wire, (member.nominated, member.local));
        }
        self.wire.flush();
        member.known.iter().for_each(|known| self.forget(*known));
        member.session.session().report(member.bytes(), 0);
        member.session.ends(reason);
        match member.role {
            Role::Publish(intake) => intake.leave(Instant::now()),
            Role::Play(watching) => watching.feeds().for_each(|feed| self.leave_feed(slot, feed)),
        }
        self.count();
    }

    fn count(&self) {
        let plays = |m: &&Member| matches!(m.role, Role::Play(_));
        self.shard.set_viewers(self.members.iter().flatten().filter(plays).count());
    }
}
