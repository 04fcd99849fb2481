//! What comes from another server goes to the hub as if a publisher sent it.

use crate::auth::Auth;
use crate::ingest;
use crate::metrics::{CloseReason, Metrics};
use crate::outward::{Entry, Failure};
use crate::publishing::Publishing;
use crate::sessions::{Protocol, SessionGuard};
use bytes::Bytes;
use hub::BroadcastPath;
use mux::flv::TagType;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Where one pull's media goes. It takes the seat when the first media comes: a server may accept us and have nothing.
pub(super) struct Intake {
    auth: Arc<Auth>,
    metrics: Arc<Metrics>,
    path: BroadcastPath,
    keeps_times: bool,
    pub(super) entry: Entry,
    publishing: Option<(Publishing, SessionGuard)>,
    /// `onMetaData`, until there is a seat.
    metadata: Option<Bytes>,
    heard: Instant,
    live_since: Option<Instant>,
}

/// How long a server may take to send the first media after it accepted us. Some accept everything and send nothing.
const FIRST_MEDIA_MAX: Duration = Duration::from_secs(10);
/// How often silence and the session are looked at.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(500);

impl Intake {
    pub(super) fn new(
        auth: &Arc<Auth>,
        metrics: &Arc<Metrics>,
        (path, keeps_times): (&BroadcastPath, bool),
        entry: Entry,
    ) -> Intake {
        let (auth, metrics, path) = (Arc::clone(auth), Arc::clone(metrics), path.clone());
        let heard = Instant::now();
        Intake {
            auth,
            metrics,
            path,
            keeps_times,
            entry,
            publishing: None,
            metadata: None,
            heard,
            live_since: None,
        }
    }

    /// The server accepted us: its silence counts from now on.
    pub(super) fn accepted(&mut self) {
        self.heard = Instant::now();
    }

    /// Takes one tag body in.
    pub(super) fn tag(
        &mut self,
        tag: TagType,
        time_ms: u32,
        body: &Bytes,
        from: (SocketAddr, Protocol),
    ) -> Result<(), Failure> {
        let now = ingest::arrived(Instant::now(), true);
        self.heard = now;
        self.entry.count(body.len() as u64);
        if self.publishing.is_none() {
            if tag == TagType::Script {
                self.metadata = Some(body.clone());
                return Ok(());
            }
            self.take_seat(from, now)?;
            if let Some(metadata) = self.metadata.take() {
                self.give(TagType::Script, time_ms, &metadata, now)?;
            }
        }
        self.give(tag, time_ms, body, now)
    }

    fn take_seat(&mut self, (peer, protocol): (SocketAddr, Protocol), now: Instant) -> Result<(), Failure> {
        let grant = self.auth.pull(self.path.clone(), peer, protocol);
        let seat = grant.publish(now);
        let (producer, mut session) = seat.map_err(|why| Failure::NotPublished(why.to_string()))?;
        self.metrics.publishes.inc();
        // Whoever drops the pull without a word has removed it from the configuration.
        session.ends(CloseReason::Revoked);
        let publishing = Publishing::new(producer, Arc::clone(&self.metrics));
        let publishing = if self.keeps_times { publishing.keeping_times() } else { publishing };
        self.publishing = Some((publishing, session));
        self.live_since = Some(now);
        self.entry.live();
        Ok(())
    }

    fn give(&mut self, tag: TagType, time_ms: u32, body: &Bytes, now: Instant) -> Result<(), Failure> {
        if let Some((publishing, session)) = &mut self.publishing {
            session.span().in_scope(|| publishing.tag(tag, time_ms, body, now))?;
        }
        Ok(())
    }

    /// Looked at now and then: whether it is silent for too long, or its session has to end.
    pub(super) fn look(&mut self) -> Result<(), Failure> {
        let now = Instant::now();
        let silence_max = match &self.publishing {
            None => FIRST_MEDIA_MAX,
            Some((publishing, session)) => {
                session.session().report(publishing.bytes(), 0);
                if let Some(ending) = session.session().ending(now) {
                    return Err(Failure::NotPublished(CloseReason::from(ending).as_str().to_owned()));
                }
                self.auth.publisher_idle()
            }
        };
        if now.saturating_duration_since(self.heard) > silence_max {
            return Err(Failure::Silent(silence_max));
        }
        Ok(())
    }

    /// An attempt is over: the broadcast waits for the next one. Returns for how long media came.
    pub(super) fn attempt_ended(&mut self, why: &Failure) -> Duration {
        let now = Instant::now();
        if let Some((publishing, mut session)) = self.publishing.take() {
            session.session().report(publishing.bytes(), 0);
            session.ends(match session.session().ending(now) {
                Some(ending) => ending.into(),
                None => why.reason(),
            });
            publishing.leave(now);
        }
        self.metadata = None;
        self.live_since.take().map_or(Duration::ZERO, |since| now.saturating_duration_since(since))
    }

    /// The pull is over, and with it the broadcast.
    pub(super) fn over(mut self, why: CloseReason) {
        if let Some((publishing, session)) = &mut self.publishing {
            session.session().report(publishing.bytes(), 0);
            session.ends(why);
        }
    }
}

impl Failure {
    /// The same, as sessions are counted.
    fn reason(&self) -> CloseReason {
        match self {
            Failure::Media(error) => error.reason(),
            Failure::Ended => CloseReason::Ended,
            Failure::Silent(_) | Failure::Stalled(_) => CloseReason::Idle,
            Failure::Wire(_) => CloseReason::Broken,
            _ => CloseReason::Left,
        }
    }
}
