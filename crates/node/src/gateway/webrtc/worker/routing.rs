//! Whose a datagram is: by the name in a signed request, later by the address that it comes from.

use super::super::inbox::{Contents, Elsewhere, Stray};
use super::super::member::{Arriving, Known};
use super::super::registry::{Found, Key};
use super::super::socket::Datagram;
use super::super::stun::{self, Content};
use super::Worker;
use std::net::SocketAddr;
use std::time::Instant;

/// Whose datagrams come from an address.
#[derive(Clone, Debug)]
pub(super) enum Owner {
    /// The connection in this slot.
    Here(usize),
    /// A connection of another worker.
    Elsewhere(usize, Key),
}

/// Addresses of one peer: its networks and their NATs.
const ADDRESSES_MAX: usize = 8;

impl Worker {
    /// Nothing is allocated for a datagram before it is known whose it is.
    pub(super) fn datagram(&mut self, datagram: &Datagram<'_>, now: Instant) {
        match stun::content(datagram.bytes) {
            Content::Junk => {}
            Content::Stun(request) => {
                self.request(request.user, (request.nominates, self.number), datagram, now);
            }
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

    /// A STUN request names its connection, and proves by a signature that it knows the password. `by`: the worker that it came to.
    pub(super) fn request(
        &mut self,
        user: &str,
        (nominates, by): (bool, usize),
        datagram: &Datagram<'_>,
        now: Instant,
    ) {
        let to = self.inside(datagram.to);
        let slot = if let Some(slot) = self.by_key.get(user).copied() {
            let Some(member) = &self.members[slot] else { return };
            if !member.peer.accepts(now, datagram.from, to, datagram.bytes) {
                return;
            }
            slot
        } else {
            let proved = |arriving: &Arriving| arriving.peer.accepts(now, datagram.from, to, datagram.bytes);
            match self.registry.find(user, proved, self.number) {
                Found::Nowhere => return,
                Found::Elsewhere(worker) => return self.pass_on(worker, user, datagram),
                Found::Arrives(arriving) => self.settle(*arriving, datagram, now),
            }
        };
        self.came_from(slot, Known { route: datagram.from, by }, nominates);
        self.feed_peer(slot, datagram, now);
    }

    /// Another worker has the connection: it gets the TCP connection too, or this and all later datagrams of that address.
    fn pass_on(&mut self, worker: usize, user: &str, datagram: &Datagram<'_>) {
        if !datagram.from.tcp {
            // Nothing is remembered before the owner has checked the signature.
            return self.forward(worker, Key::named(user), datagram);
        }
        let pipe = self.wire.pipes.give_away(datagram.from.at, datagram.bytes, self.poll.registry());
        if let (Some(pipe), Some(inbox)) = (pipe, self.inboxes.get(worker)) {
            inbox.pipe(pipe);
        }
    }

    fn forward(&mut self, worker: usize, key: Key, datagram: &Datagram<'_>) {
        let stray = Stray {
            key,
            from: datagram.from,
            by: self.number,
            to: datagram.to,
            bytes: datagram.bytes.into(),
        };
        if let Some(inbox) = self.inboxes.get(worker) {
            inbox.stray(stray);
        }
    }

    pub(super) fn came_from(&mut self, slot: usize, known: Known, nominates: bool) {
        let Some(member) = self.members[slot].as_mut() else { return };
        if nominates {
            member.nominate(known.route);
        }
        if member.known.contains(&known) {
            return;
        }
        member.known.push(known);
        let oldest = (member.known.len() > ADDRESSES_MAX).then(|| member.known.remove(0));
        let key = member.key.clone();
        if known.route.tcp {
            self.wire.pipes.known(known.route.at);
        }
        self.by_address.insert(known.route, Owner::Here(slot));
        self.tell_other(known, Some((self.number, key)));
        if let Some(oldest) = oldest {
            self.forget(oldest);
        }
    }

    /// Tells the worker that datagrams of an address come to, if that is another one, whose they are.
    fn tell_other(&self, known: Known, owner: Option<(usize, Key)>) {
        if let Some(inbox) = self.inboxes.get(known.by).filter(|_| known.by != self.number) {
            inbox.elsewhere(Elsewhere { from: known.route, owner });
        }
    }

    /// An address isn't a connection's any more.
    pub(super) fn forget(&mut self, known: Known) {
        self.by_address.remove(&known.route);
        self.pins.remove(known.route.at);
        self.tell_other(known, None);
        if known.route.tcp {
            self.wire.pipes.close(known.route.at);
        }
    }

    pub(super) fn learn_elsewhere(&mut self, elsewhere: Elsewhere) {
        match (elsewhere.owner, self.by_address.get(&elsewhere.from)) {
            (Some((worker, key)), _) => {
                self.by_address.insert(elsewhere.from, Owner::Elsewhere(worker, key));
            }
            (None, Some(Owner::Elsewhere(..))) => {
                self.by_address.remove(&elsewhere.from);
            }
            (None, _) => {}
        }
    }

    /// Which of the addresses in the answer a datagram was sent to. Behind a NAT ours is another than the one that it has here.
    pub(super) fn inside(&self, to: SocketAddr) -> SocketAddr {
        let same_family = |address: &&SocketAddr| address.is_ipv4() == to.is_ipv4();
        if self.addresses.contains(&to) {
            to
        } else {
            *self.addresses.iter().find(same_family).unwrap_or(&to)
        }
    }

    /// Datagrams of a peer that has a socket of its own.
    pub(super) fn read_pinned(&mut self, number: usize, datagram: &mut Vec<u8>) {
        let now = Instant::now();
        while let Some((from, to)) = self.pins.next(number, datagram) {
            self.datagram(&Datagram { from, to, bytes: datagram }, now);
        }
        self.close_doomed();
    }

    /// Another process takes the port over, or has.
    pub(super) fn hand_over(&mut self, contents: &mut Contents) {
        for done in contents.pins.drain(..) {
            self.pin_all();
            // Who doesn't wait any longer needs no answer.
            let _ = done.send(());
        }
        if std::mem::take(&mut contents.leaves) {
            self.pin_all();
            if let Err(error) = self.wire.leave() {
                tracing::warn!(%error, "some of what is meant for the new process may come to this one");
            }
        }
    }

    /// Gives every peer a socket of its own.
    fn pin_all(&mut self) {
        let port = self.wire.port();
        for member in self.members.iter().flatten() {
            let local = SocketAddr::new(member.local, port);
            for known in member.known.iter().filter(|known| !known.route.tcp) {
                if let Err(error) = self.pins.add(known.route.at, local, self.poll.registry()) {
                    tracing::debug!(%error, "a connection by WebRTC may be lost in the handover");
                }
            }
        }
    }
}
