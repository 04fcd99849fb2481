//! What an accepted request gets: a way into the hub, and a place on the list of sessions.

use super::rules::Allowed;
use super::{Ask, Refusal, Rule};
use crate::pull::Fetchable;
use crate::sessions::{Beginning, Role, SessionGuard, Sessions};
use crate::stage::Muting;
use hub::{Broadcast, BroadcastPath, Demand, Hub, Producer};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// The right to publish one path.
#[derive(Debug)]
pub(crate) struct PublishGrant(Grant);

/// The right to play one path.
#[derive(Debug)]
pub(crate) struct PlayGrant(Grant, Fetchable);

/// The right to look at one path for one request of many, which is no session.
#[derive(Debug)]
pub(crate) struct LookGrant<'a> {
    hub: &'a Hub,
    fetchable: &'a Fetchable,
    path: BroadcastPath,
}

/// A viewer that was accepted.
#[derive(Debug)]
pub(crate) struct Playing {
    pub(crate) broadcast: Arc<Broadcast>,
    pub(crate) session: SessionGuard,
}

#[derive(Debug)]
struct Grant {
    hub: Hub,
    sessions: Sessions,
    ask: Ask,
    allowed: Allowed,
}

impl Grant {
    fn new(hub: &Hub, sessions: &Sessions, ask: Ask, allowed: Allowed) -> Grant {
        Grant { hub: hub.clone(), sessions: sessions.clone(), ask, allowed }
    }

    /// On this machine's clock of timers.
    fn expires(&self) -> Option<Instant> {
        let left = self.allowed.expires?.duration_since(SystemTime::now()).unwrap_or_default();
        Instant::now().checked_add(left)
    }
}

impl Beginning {
    fn new(allowed: Allowed, ask: Ask, expires: Option<Instant>) -> Beginning {
        let Allowed { path, vhost, rule, who, .. } = allowed;
        Beginning { path, vhost, ask, rule, who, expires }
    }
}

impl PublishGrant {
    pub(super) fn new(hub: &Hub, sessions: &Sessions, ask: Ask, allowed: Allowed) -> PublishGrant {
        PublishGrant(Grant::new(hub, sessions, ask, allowed))
    }

    /// What of the publisher reaches nobody: nothing but a stage leaves anything out.
    pub(crate) fn muting(&self) -> Muting {
        self.0.allowed.muting.clone()
    }

    /// What is published there, by whom ever. Nobody's seat is taken.
    pub(crate) fn broadcast(&self) -> Option<Arc<Broadcast>> {
        self.0.hub.broadcast(&self.0.allowed.path)
    }

    /// What was asked for, as its client calls it.
    pub(crate) fn path(&self) -> &BroadcastPath {
        &self.0.ask.path
    }

    /// Takes the publisher's seat.
    pub(crate) fn publish(self, now: Instant) -> Result<(Producer, SessionGuard), Refusal> {
        let expires = self.0.expires();
        let Grant { hub, sessions, ask, allowed } = self.0;
        let producer = match hub.publish(&allowed.path, allowed.collision, now) {
            // What is only fetched makes way for who publishes here.
            Err(hub::Error::Occupied) if allowed.rule != Rule::Pull && sessions.is_pulled(&allowed.path) => {
                hub.publish(&allowed.path, hub::Collision::Takeover, now)?
            }
            taken => taken?,
        };
        let session = sessions.begin(Role::Publisher, Beginning::new(allowed, ask, expires), None);
        Ok((producer, session))
    }
}

impl PlayGrant {
    pub(super) fn new(
        hub: &Hub,
        sessions: &Sessions,
        fetchable: &Fetchable,
        ask: Ask,
        allowed: Allowed,
    ) -> PlayGrant {
        PlayGrant(Grant::new(hub, sessions, ask, allowed), fetchable.clone())
    }

    /// The broadcast and a session, or a wish for it that lasts as long as the demand is kept.
    pub(crate) async fn play(self) -> Result<Playing, Demand> {
        let expires = self.0.expires();
        let broadcast = arrival(&self.0.hub, &self.1, &self.0.allowed.path).await?;
        let Grant { sessions, ask, allowed, .. } = self.0;
        let counted = Some(broadcast.count_viewer());
        let session = sessions.begin(Role::Viewer, Beginning::new(allowed, ask, expires), counted);
        Ok(Playing { broadcast, session })
    }
}

impl<'a> LookGrant<'a> {
    pub(super) fn new(hub: &'a Hub, fetchable: &'a Fetchable, path: BroadcastPath) -> LookGrant<'a> {
        LookGrant { hub, fetchable, path }
    }

    /// The path that it opens, as the hub has it.
    pub(crate) fn opens(&self) -> &BroadcastPath {
        &self.path
    }

    /// The broadcast. It is waited for as by a viewer.
    pub(crate) async fn look(self) -> Result<Arc<Broadcast>, Demand> {
        arrival(self.hub, self.fetchable, &self.path).await
    }
}

/// The broadcast of a path, or a wish for it. What a pull can fetch is waited for, but not for long.
async fn arrival(hub: &Hub, fetchable: &Fetchable, path: &BroadcastPath) -> Result<Arc<Broadcast>, Demand> {
    if let Some(broadcast) = hub.broadcast(path) {
        return Ok(broadcast);
    }
    let demand = hub.demand(path);
    if !fetchable.covers(path) {
        return Err(demand);
    }
    match tokio::time::timeout(FETCH_MAX, hub.arrival(&demand)).await {
        Ok(Some(broadcast)) => Ok(broadcast),
        Ok(None) | Err(_) => Err(demand),
    }
}

/// How long a viewer waits for what has to be fetched: time to connect, and for a keyframe.
const FETCH_MAX: Duration = Duration::from_secs(5);
