//! One connection of a worker.

use super::engine::{Event, Peer, Rid, Step};
use super::outlet::{Outlet, is_rtcp};
use super::play::{Feed, Seat, Takes};
use super::publish::Intake;
use super::quality::Chooser;
use super::registry::Key;
use super::renditions::{Ladder, Rung};
use super::socket::{Route, Wire};
use super::stun;
use super::wheel::Wheel;
use crate::limits::Admission;
use crate::metrics::CloseReason;
use crate::sessions::SessionGuard;
use crate::transcode::Audible;
use hub::ViewerGuard;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

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
pub(super) struct Member {
    pub(super) key: Key,
    /// Its other names: those of its ICE restarts.
    pub(super) names: Vec<Key>,
    pub(super) peer: Peer,
    pub(super) role: Role,
    pub(super) session: SessionGuard,
    pub(super) _admission: Admission,
    pub(super) asked: Instant,
    pub(super) connected: bool,
    /// When something came last that is the peer's for sure: a signed check, media or a report that opens. A peer that is there asks for
    /// consent every few seconds (RFC 7675 §5.1), or sends.
    pub(super) heard: Instant,
    /// Where datagrams came from, the oldest first.
    pub(super) known: Vec<Known>,
    /// Where the peer wants to be sent to since its last nomination.
    pub(super) nominated: Option<Route>,
    /// Which of our addresses the peer used last.
    pub(super) local: IpAddr,
    pub(super) deadline: Instant,
    /// The tick that it is armed for.
    pub(super) armed: u64,
    /// It panicked, so it isn't touched any more.
    pub(super) broken: bool,
}

/// What a report of a viewer told.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Heard {
    /// It is the viewer's for sure.
    pub(super) proved: bool,
    /// It is time to choose a quality.
    pub(super) choose: bool,
}

/// Where datagrams of a connection come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) route: Route,
    /// The worker that they come to.
    pub(super) by: usize,
}

pub(super) enum Role {
    Publish(Box<Intake>),
    Play(Box<Watching>),
}

/// A viewer.
pub(super) struct Watching {
    /// The feed of the broadcast itself.
    pub(super) base: usize,
    /// The feed of the quality that its pictures come from, if that isn't the broadcast itself.
    pub(super) pictures: Option<Pictures>,
    /// Where its pictures come from as soon as a keyframe is there.
    pub(super) next: Option<Pictures>,
    /// When its publisher offers several qualities.
    quality: Option<Quality>,
    pub(super) seat: Seat,
    wants_group: bool,
    resent: Option<Instant>,
    _lease: Option<ViewerGuard>,
}

/// Where media of one connection goes out now.
pub(super) struct Exit<'a> {
    pub(super) wire: &'a mut Wire,
    /// Where the peer is.
    to: Route,
    /// Which of our addresses it knows.
    local: IpAddr,
    pub(super) now: Instant,
}

/// A feed of pictures.
#[derive(Clone, Debug)]
pub(super) struct Pictures {
    pub(super) feed: usize,
    pub(super) rung: Arc<Rung>,
    /// Since when it is waited for.
    pub(super) since: Instant,
    /// Until when nothing is sent of the better pictures of before: the network doesn't carry them, so that they would only stand in its
    /// way. What waits in the network already is shown meanwhile.
    pub(super) relieved: Option<Instant>,
}

/// What chooses among several qualities.
pub(super) struct Quality {
    ladder: Arc<Ladder>,
    chooser: Chooser,
}

/// Where a viewer's pictures are to come from.
pub(super) enum Turn {
    /// No change.
    Stay,
    /// What it waits for isn't wanted any more.
    Cancel,
    /// `down`: the network doesn't carry what it has.
    To { rung: Arc<Rung>, down: bool },
}

/// How long a peer that isn't heard is kept: its network may change.
const SILENCE_MAX: Duration = Duration::from_secs(15);
/// From the first datagram to media.
const CONNECT_MAX: Duration = Duration::from_secs(20);
/// A keyframe of another quality that doesn't come is asked for again.
const ASK_AGAIN: Duration = Duration::from_millis(600);
/// A publisher that is asked for a keyframe sends it within this time; if it doesn't, the pictures of before go on.
pub(super) const RELIEF_MAX: Duration = Duration::from_millis(800);
/// A viewer who lost pictures is sent the group again, but not for every report of the same loss.
const RESEND_MIN: Duration = Duration::from_millis(400);

impl<'a> Exit<'a> {
    pub(super) fn new(wire: &'a mut Wire, to: Route, local: IpAddr, now: Instant) -> Exit<'a> {
        Exit { wire, to, local, now }
    }

    /// Where to append a datagram of so many bytes; end it by [`Wire::end`].
    pub(super) fn datagram(&mut self, bytes: usize) -> &mut Vec<u8> {
        self.wire.begin(self.to, self.local, bytes)
    }
}

impl Quality {
    pub(super) fn new(ladder: Arc<Ladder>, stay: Duration) -> Quality {
        Quality { ladder, chooser: Chooser::new(stay) }
    }
}

impl Watching {
    pub(super) fn new(base: usize, quality: Option<Quality>, lease: Option<ViewerGuard>) -> Watching {
        Watching {
            base,
            pictures: None,
            next: None,
            quality,
            seat: Seat::default(),
            wants_group: true,
            resent: None,
            _lease: lease,
        }
    }

    /// The feed that its pictures come from.
    pub(super) fn pictures_feed(&self) -> usize {
        self.pictures.as_ref().map_or(self.base, |pictures| pictures.feed)
    }

    /// All feeds that it is in.
    pub(super) fn feeds(&self) -> impl Iterator<Item = usize> {
        let others = [&self.pictures, &self.next].into_iter().flatten().map(|pictures| pictures.feed);
        std::iter::once(self.base).chain(others)
    }

    /// What it takes from a feed.
    fn takes(&self, feed: usize, now: Instant) -> Takes {
        Takes { pictures: feed == self.pictures_feed() && !self.is_relieved(now), sound: feed == self.base }
    }

    /// Whether its network is left alone until the keyframe of another quality comes.
    fn is_relieved(&self, now: Instant) -> bool {
        self.next.as_ref().and_then(|next| next.relieved).is_some_and(|until| now < until)
    }

    /// Whether it wants the group and may have it: it lost pictures, and wasn't sent the group just now.
    fn is_due_group(&self, now: Instant) -> bool {
        let rested = self.resent.is_none_or(|at| now.saturating_duration_since(at) >= RESEND_MIN);
        self.wants_group && rested && !self.is_relieved(now)
    }

    /// It is sent the group.
    fn takes_group(&mut self, now: Instant) {
        (self.wants_group, self.resent) = (false, Some(now));
    }

    /// Goes on in the feed that it waits for.
    fn go_on_in_next(&mut self, now: Instant) {
        let before = self.place();
        self.pictures = self.next.take();
        self.seat.started = false;
        let up = self.place() > before;
        if let Some(quality) = &mut self.quality {
            quality.chooser.switched(up, now);
        }
    }

    /// The rate that its network is to be tried out for, bits per second, when it is time for that.
    pub(super) fn worth_trying(&mut self, now: Instant) -> Option<u64> {
        let at = self.place()?;
        let quality = self.quality.as_mut()?;
        let better = quality.ladder.rungs().get(at + 1)?.bits_per_second();
        quality.chooser.try_out(better, now)
    }

    /// Takes in what was found out of its network. True when it is time to choose.
    pub(super) fn learn(&mut self, outlet: &mut Outlet) -> bool {
        let Some(quality) = &mut self.quality else { return false };
        if let Some(rate) = outlet.carries() {
            quality.chooser.learn(rate);
        }
        if let Some(share) = outlet.take_loss() {
            quality.chooser.lost(share);
        }
        let held_up = outlet.is_held_up();
        quality.chooser.held_up(held_up) && held_up && self.next.is_none()
    }

    /// The quality that it has.
    fn rung(&self) -> Option<Rid> {
        let base = || self.quality.as_ref().and_then(|quality| quality.ladder.base());
        self.pictures.as_ref().map(|pictures| pictures.rung.rid).or_else(base)
    }

    /// The place of that among all, the lowest first.
    fn place(&self) -> Option<usize> {
        let (quality, at) = (self.quality.as_ref()?, self.rung()?);
        quality.ladder.rungs().iter().position(|rung| rung.rid == at)
    }

    /// The quality to go to. With one only there is no choice.
    pub(super) fn turn(&mut self, now: Instant) -> Turn {
        let Some(quality) = &self.quality else { return Turn::Stay };
        let rungs = quality.ladder.rungs();
        if rungs.len() < 2 {
            return Turn::Stay;
        }
        let rates: Vec<u64> = rungs.iter().map(|rung| rung.bits_per_second()).collect();
        let at = self.place();
        let wanted = quality.chooser.choose(&rates, at, now).filter(|wanted| Some(*wanted) != at);
        match (wanted.map(|wanted| &rungs[wanted]), &mut self.next) {
            (None, None) => Turn::Stay,
            (None, Some(_)) => Turn::Cancel,
            (Some(rung), Some(next)) if rung.rid == next.rung.rid => {
                if now.saturating_duration_since(next.since) >= ASK_AGAIN {
                    next.since = now;
                    next.rung.want_keyframe();
                }
                Turn::Stay
            }
            (Some(rung), _) => {
                let down = at.is_some_and(|at| wanted < Some(at));
                Turn::To { rung: Arc::clone(rung), down }
            }
        }
    }

    /// Its feed of pictures ended: the broadcast itself goes on, from its newest group.
    pub(super) fn fall_back(&mut self) {
        (self.pictures, self.next) = (None, None);
        self.seat.started = false;
        (self.wants_group, self.resent) = (true, None);
    }
}

impl Member {
    pub(super) fn happened(&mut self, event: Event, now: Instant) -> Result<(), CloseReason> {
        if event.proves() {
            self.heard = now;
        }
        match (event, &mut self.role) {
            (Event::Connected, _) => self.connected = true,
            (Event::Packet(packet), Role::Publish(intake)) => intake.packet(packet, now)?,
            (Event::Clock(clock), Role::Publish(intake)) => intake.clock(&clock, SystemTime::now()),
            (Event::KeyframeWanted, Role::Play(watching)) => watching.wants_group = true,
            _ => {}
        }
        Ok(())
    }

    /// The peer wants to be sent to there. What went to another place before that is lost, so it begins anew.
    pub(super) fn nominate(&mut self, route: Route) {
        let moved = self.nominated.replace(route).is_some_and(|before| before != route);
        if let (true, Role::Play(watching)) = (moved, &mut self.role) {
            (watching.wants_group, watching.resent) = (true, None);
        }
    }

    /// Whether the group is to be sent now.
    pub(super) fn wants_group(&self, now: Instant) -> bool {
        let Role::Play(watching) = &self.role else { return false };
        self.connected && watching.is_due_group(now)
    }

    pub(super) fn give_group(&mut self, feed: &Feed, now: Instant, wire: &mut Wire) {
        let Some(mut exit) = self.exit(wire, now) else { return };
        if let Role::Play(watching) = &mut self.role {
            watching.takes_group(now);
            feed.give_group(&mut watching.seat, &mut self.peer, &mut exit);
            if let Some(quality) = &mut watching.quality {
                quality.chooser.burst(now);
            }
        }
    }

    /// Sends the pictures that waited for their time.
    pub(super) fn go_on(&mut self, now: Instant, wire: &mut Wire) {
        let Some(mut exit) = self.exit(wire, now) else { return };
        if let Some(outlet) = self.peer.outlet() {
            outlet.go_on(&mut exit);
        }
    }

    /// While pictures wait, it is woken for them.
    pub(super) fn come_back(&mut self, now: Instant) {
        if let Some(due) = self.peer.outlet().and_then(|outlet| outlet.due(now)) {
            self.deadline = self.deadline.min(due);
        }
    }

    /// Where its media goes out; none before anything came from it.
    fn exit<'a>(&self, wire: &'a mut Wire, now: Instant) -> Option<Exit<'a>> {
        let to = self.nominated.or_else(|| self.known.last().map(|known| known.route))?;
        Some(Exit::new(wire, to, self.local, now))
    }

    /// Takes a report of a viewer in; what is to be sent again is sent. `None`: it is none, or one for the library.
    pub(super) fn hear(&mut self, datagram: &[u8], now: Instant, wire: &mut Wire) -> Option<Heard> {
        if !is_rtcp(datagram) {
            return None;
        }
        let mut exit = self.exit(wire, now)?;
        let (Role::Play(watching), Some(outlet)) = (&mut self.role, self.peer.outlet()) else { return None };
        let stuck = outlet.hear(datagram, &mut exit);
        watching.wants_group |= stuck == Some(true);
        let proved = stuck.is_some();
        Some(Heard { proved, choose: proved && watching.learn(outlet) })
    }

    /// Finds out whether its network carries that, bits per second.
    pub(super) fn try_out(&mut self, bits_per_second: u64, now: Instant, wire: &mut Wire) {
        let Some(mut exit) = self.exit(wire, now) else { return };
        if let Some(outlet) = self.peer.outlet() {
            outlet.try_out(bits_per_second, &mut exit);
        }
    }

    /// Sends what is new in one of its feeds; the feed that it left for this one, if it did.
    pub(super) fn play(
        &mut self,
        number: usize,
        feed: &Feed,
        now: Instant,
        wire: &mut Wire,
    ) -> Option<usize> {
        let mut exit = self.exit(wire, now)?;
        let mut left = None;
        if let Role::Play(watching) = &mut self.role {
            let waits = watching.next.as_ref().is_some_and(|next| next.feed == number);
            if waits && feed.has_fresh_keyframe() {
                left = watching.pictures.as_ref().map(|pictures| pictures.feed);
                watching.go_on_in_next(now);
                if let Some(outlet) = self.peer.outlet() {
                    outlet.begin_anew();
                }
            }
            let takes = watching.takes(number, now);
            feed.give(takes, &mut watching.seat, &mut self.peer, &mut exit);
        }
        self.come_back(now);
        left
    }

    pub(super) fn sent_bytes(&self) -> u64 {
        match &self.role {
            Role::Play(watching) => watching.seat.sent_bytes,
            Role::Publish(_) => 0,
        }
    }

    pub(super) fn bytes(&self) -> u64 {
        match &self.role {
            Role::Play(watching) => watching.seat.sent_bytes,
            Role::Publish(intake) => intake.bytes,
        }
    }

    pub(super) fn lost(&self, now: Instant) -> Option<CloseReason> {
        let longer = |since: Instant, most| now.saturating_duration_since(since) > most;
        let never = !self.connected && longer(self.asked, CONNECT_MAX);
        (never || longer(self.heard, SILENCE_MAX)).then_some(CloseReason::Stalled)
    }
}

/// Arms a connection for its deadline, unless it comes up before anyway.
pub(super) fn arm(wheel: &mut Wheel, slot: usize, member: &mut Member) {
    let tick = wheel.tick_of(member.deadline);
    if member.armed == 0 || tick < member.armed {
        member.armed = tick.max(1);
        wheel.arm(slot as u32, member.armed);
    }
}

/// Sends what a connection wants to send, and leaves the rest of what it wants.
pub(super) fn pump(peer: &mut Peer, wire: &mut Wire, (nominated, local): (Option<Route>, IpAddr)) {
    loop {
        match peer.step() {
            Step::Send { to, datagram } => wire.send(towards(to, nominated, &datagram), local, &datagram),
            Step::Event(_) => {}
            Step::Wait(_) | Step::Over => return,
        }
    }
}

/// Answers to checks go where those came from; all else where the peer wants it. ICE itself would stay on a path as long as it
/// seems alive, but a peer that names another one has left it: its network changed.
pub(super) fn towards(to: Route, nominated: Option<Route>, datagram: &[u8]) -> Route {
    match nominated {
        Some(route) if !stun::is_stun(datagram) => route,
        _ => to,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_storm_of_wishes_of_a_viewer_gives_one_group() {
        let (mut watching, began) = (Watching::new(0, None, None), Instant::now());
        let mut given = 0;
        let mut wish = |millis: u32| {
            let now = began + Duration::from_millis(1) * millis;
            watching.wants_group = true;
            if watching.is_due_group(now) {
                watching.takes_group(now);
                given += 1;
            }
            given
        };
        // A hundred in 400 ms.
        assert_eq!((0..100).map(|n| wish(4 * n)).last(), Some(1));
        assert_eq!(wish(399), 1);
        // The wish is still there when its time has come, once.
        assert_eq!((wish(400), wish(401), wish(799), wish(800)), (2, 2, 2, 3));
    }
}
