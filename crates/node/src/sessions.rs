//! Everybody who is connected, publishers and viewers: who they are, what they got, why they ended, and how to end them.

use crate::auth::{self, Ask, Hooks, Rule};
use crate::logs::AccessLog;
use crate::metrics::CloseReason;
use arc_swap::ArcSwapOption;
use hub::{BroadcastPath, ViewerGuard};
use media::Codec;
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::broadcast;

/// All sessions of one process. Clones share.
#[derive(Clone, Debug)]
pub(crate) struct Sessions(Arc<Shared>);

/// Names a session; unique over restarts, since its upper half is random.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct SessionId(u64);

/// What a session is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Publisher,
    Viewer,
}

/// How it speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Protocol {
    Rtmp,
    Flv,
    WsFlv,
    Hls,
    Whip,
    Whep,
    Srt,
}

/// One session. What others may read while it runs.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) id: SessionId,
    pub(crate) role: Role,
    pub(crate) path: BroadcastPath,
    pub(crate) vhost: Arc<str>,
    /// What was asked for, to decide once more when rules change.
    pub(crate) ask: Ask,
    /// What allowed it.
    pub(crate) rule: Rule,
    /// The name of its key, or the subject of its token.
    pub(crate) who: Option<String>,
    pub(crate) began: SystemTime,
    pub(crate) since: Instant,
    /// When its grant ends.
    pub(crate) expires: Option<Instant>,
    bytes: AtomicU64,
    skips: AtomicU32,
    /// To what its sound is converted, if it is.
    transcoded: OnceLock<Codec>,
    ending: AtomicU8,
    link: ArcSwapOption<Link>,
}

/// How the way to the other side is, where the protocol measures it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Link {
    pub(crate) rtt: Duration,
    /// How long a lost packet is waited for.
    pub(crate) latency: Duration,
    /// Packets of media so far, those that were sent again left out.
    pub(crate) packets: u64,
    /// Packets that were missing when a later one came, or that the other side asked for again.
    pub(crate) missed: u64,
    /// Packets that were sent again.
    pub(crate) resent: u64,
    /// Packets that never came in time.
    pub(crate) lost: u64,
    /// Media bits in the second before.
    pub(crate) bits_per_s: u64,
    pub(crate) is_encrypted: bool,
}

/// What a session begins with.
#[derive(Debug)]
pub(crate) struct Beginning {
    pub(crate) path: BroadcastPath,
    pub(crate) vhost: Arc<str>,
    pub(crate) ask: Ask,
    pub(crate) rule: Rule,
    pub(crate) who: Option<String>,
    pub(crate) expires: Option<Instant>,
}

/// The life of a session; dropping it takes the session off the list.
#[derive(Debug)]
pub(crate) struct SessionGuard {
    session: Arc<Session>,
    sessions: Sessions,
    reason: CloseReason,
    /// Lasts as long as the session. Viewers are many, so theirs is for who asks for it.
    span: tracing::Span,
    _counted: Option<ViewerGuard>,
}

/// Why a session is ended from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Ending {
    /// An operator ended it.
    Kicked = 1,
    /// Its grant ran out.
    Expired = 2,
    /// The rule that allowed it is gone.
    Revoked = 3,
    /// The server shuts down, and its time is over.
    Shutdown = 4,
}

/// A session that is over.
#[derive(Clone, Debug)]
pub(crate) struct Ended {
    pub(crate) session: Arc<Session>,
    pub(crate) reason: CloseReason,
    pub(crate) after: Duration,
}

/// What happened, for those who follow.
#[derive(Clone, Debug)]
pub(crate) enum Notice {
    Began(Arc<Session>),
    Ended(Ended),
}

#[derive(Debug)]
struct Shared {
    next: AtomicU64,
    shards: [Mutex<HashMap<SessionId, Arc<Session>>>; SHARDS],
    /// Sessions now, by role and protocol.
    live: [[AtomicU64; Protocol::ALL.len()]; 2],
    /// Sessions that ended, by role and reason.
    ends: [[AtomicU64; CloseReason::ALL.len()]; 2],
    ended: Mutex<VecDeque<Ended>>,
    notices: broadcast::Sender<Notice>,
    access: AccessLog,
    /// Told of every end.
    hooks: ArcSwapOption<Hooks>,
    seed: u32,
}

/// Thousands may join within a second, from every worker.
const SHARDS: usize = 16;
/// Sessions that are over and still shown.
const ENDED_MAX: usize = 1000;
/// Notices that wait for a follower; one that is slower misses the oldest.
const NOTICES_MAX: usize = 1024;

impl Sessions {
    /// None yet. `seed` makes ids unique over restarts.
    pub(crate) fn new(seed: u32) -> Sessions {
        Sessions(Arc::new(Shared {
            next: AtomicU64::new(u64::from(seed) << 32 | 1),
            shards: Default::default(),
            live: Default::default(),
            ends: Default::default(),
            ended: Mutex::default(),
            notices: broadcast::Sender::new(NOTICES_MAX),
            access: AccessLog::default(),
            hooks: ArcSwapOption::empty(),
            seed,
        }))
    }

    /// Puts a session on the list until its guard is dropped.
    pub(crate) fn begin(
        &self,
        role: Role,
        beginning: Beginning,
        counted: Option<ViewerGuard>,
    ) -> SessionGuard {
        let Beginning { path, vhost, ask, rule, who, expires } = beginning;
        let session = Arc::new(Session {
            id: SessionId(self.0.next.fetch_add(1, Ordering::Relaxed)),
            role,
            path,
            vhost,
            ask,
            rule,
            who,
            began: SystemTime::now(),
            since: Instant::now(),
            expires,
            bytes: AtomicU64::new(0),
            skips: AtomicU32::new(0),
            transcoded: OnceLock::new(),
            ending: AtomicU8::new(0),
            link: ArcSwapOption::empty(),
        });
        self.0.live[role as usize][session.ask.protocol as usize].fetch_add(1, Ordering::Relaxed);
        self.shard(session.id).insert(session.id, Arc::clone(&session));
        self.tell(|| Notice::Began(Arc::clone(&session)));
        let span = span_of(&session);
        SessionGuard { session, sessions: self.clone(), reason: CloseReason::Left, span, _counted: counted }
    }

    /// All sessions now, in the order in which they came.
    pub(crate) fn list(&self) -> Vec<Arc<Session>> {
        let mut all: Vec<_> =
            self.0.shards.iter().flat_map(|s| lock(s).values().cloned().collect::<Vec<_>>()).collect();
        all.sort_by_key(|s| s.id);
        all
    }

    /// What writes a line when one of them ends.
    pub(crate) fn access(&self) -> &AccessLog {
        &self.0.access
    }

    /// Tells these from now on how sessions end.
    pub(crate) fn tell_hooks(&self, hooks: Hooks) {
        self.0.hooks.store(Some(Arc::new(hooks)));
    }

    /// The hooks that are told, if there are any.
    pub(crate) fn hooks(&self) -> Option<Arc<Hooks>> {
        self.0.hooks.load_full()
    }

    /// What makes ids unique over restarts.
    pub(crate) fn seed(&self) -> u32 {
        self.0.seed
    }

    /// How many there are now.
    pub(crate) fn live(&self, role: Role, protocol: Protocol) -> u64 {
        self.0.live[role as usize][protocol as usize].load(Ordering::Relaxed)
    }

    /// How many ever ended for that reason.
    pub(crate) fn ends(&self, role: Role, reason: CloseReason) -> u64 {
        self.0.ends[role as usize][reason as usize].load(Ordering::Relaxed)
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.0.shards.iter().map(|s| lock(s).len()).sum()
    }

    /// Whether a path is only fetched from elsewhere.
    pub(crate) fn is_pulled(&self, path: &BroadcastPath) -> bool {
        let pulls = |s: &Arc<Session>| s.role == Role::Publisher && s.rule == Rule::Pull && s.path == *path;
        self.0.shards.iter().any(|shard| lock(shard).values().any(pulls))
    }

    /// Whoever publishes there.
    pub(crate) fn publisher(&self, path: &BroadcastPath) -> Option<Arc<Session>> {
        let publishes = |s: &&Arc<Session>| s.role == Role::Publisher && s.path == *path;
        self.0.shards.iter().find_map(|shard| lock(shard).values().find(publishes).cloned())
    }

    /// The session of that id.
    pub(crate) fn find(&self, id: SessionId) -> Option<Arc<Session>> {
        self.shard(id).get(&id).cloned()
    }

    /// Those that ended last, newest first.
    pub(crate) fn ended(&self) -> Vec<Ended> {
        lock(&self.0.ended).iter().rev().cloned().collect()
    }

    /// Everything that happens from now on.
    pub(crate) fn follow(&self) -> broadcast::Receiver<Notice> {
        self.0.notices.subscribe()
    }

    /// Asks a session to end; it does within a second.
    pub(crate) fn end(session: &Session, why: Ending) {
        // The first reason stays; a failure means that there is one.
        let _ = session.ending.compare_exchange(0, why as u8, Ordering::AcqRel, Ordering::Acquire);
    }

    fn tell(&self, notice: impl FnOnce() -> Notice) {
        if self.0.notices.receiver_count() > 0 {
            // Nobody may be left by now; then there is nobody to tell.
            let _ = self.0.notices.send(notice());
        }
    }

    fn shard(&self, id: SessionId) -> MutexGuard<'_, HashMap<SessionId, Arc<Session>>> {
        lock(&self.0.shards[id.0 as usize % SHARDS])
    }
}

impl Session {
    /// Media bytes that went through it.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Groups it skipped.
    pub(crate) fn skips(&self) -> u32 {
        self.skips.load(Ordering::Relaxed)
    }

    /// To what its sound is converted.
    pub(crate) fn transcoded(&self) -> Option<Codec> {
        self.transcoded.get().copied()
    }

    /// Told once, before its first byte.
    pub(crate) fn hears(&self, transcoded: Codec) {
        // Set already means that it was told already.
        let _ = self.transcoded.set(transcoded);
    }

    /// Reported now and then by whoever moves its bytes.
    pub(crate) fn report(&self, bytes: u64, skips: u32) {
        self.bytes.store(bytes, Ordering::Relaxed);
        self.skips.store(skips, Ordering::Relaxed);
    }

    /// How the way to the other side is, where that is measured.
    pub(crate) fn link(&self) -> Option<Arc<Link>> {
        self.link.load_full()
    }

    /// Reported now and then by whoever measures it.
    pub(crate) fn measure(&self, link: Link) {
        self.link.store(Some(Arc::new(link)));
    }

    /// Why it has to end, if it has to.
    pub(crate) fn ending(&self, now: Instant) -> Option<Ending> {
        match self.ending.load(Ordering::Acquire) {
            0 => self.expires.filter(|at| *at <= now).map(|_| Ending::Expired),
            1 => Some(Ending::Kicked),
            2 => Some(Ending::Expired),
            3 => Some(Ending::Revoked),
            _ => Some(Ending::Shutdown),
        }
    }
}

impl SessionGuard {
    /// What it is.
    pub(crate) fn session(&self) -> &Arc<Session> {
        &self.session
    }

    /// What its lines belong to.
    pub(crate) fn span(&self) -> &tracing::Span {
        &self.span
    }

    /// Says why it ends; without it, the peer left.
    pub(crate) fn ends(&mut self, reason: CloseReason) {
        self.reason = reason;
    }
}

impl Drop for SessionGuard {
    fn drop(&mut self) {
        let session = Arc::clone(&self.session);
        self.sessions.shard(session.id).remove(&session.id);
        let (role, protocol) = (session.role as usize, session.ask.protocol as usize);
        self.sessions.0.live[role][protocol].fetch_sub(1, Ordering::Relaxed);
        self.sessions.0.ends[role][self.reason as usize].fetch_add(1, Ordering::Relaxed);
        let ended = Ended { after: session.since.elapsed(), session, reason: self.reason };
        self.span.record("reason", ended.reason.as_str());
        self.span.record("bytes", ended.session.bytes());
        self.sessions.0.access.session(&ended);
        if let Some(hooks) = &*self.sessions.0.hooks.load() {
            auth::tell(hooks, &ended);
        }
        self.sessions.tell(|| Notice::Ended(ended.clone()));
        let mut recent = lock(&self.sessions.0.ended);
        if recent.len() >= ENDED_MAX {
            recent.pop_front();
        }
        recent.push_back(ended);
    }
}

fn span_of(session: &Session) -> tracing::Span {
    let (path, protocol) = (&session.path, session.ask.protocol.as_str());
    let (reason, bytes) = (tracing::field::Empty, tracing::field::Empty);
    match session.role {
        Role::Publisher => tracing::info_span!("publisher", %path, protocol, reason, bytes),
        Role::Viewer => tracing::debug_span!("viewer", %path, protocol, reason, bytes),
    }
}

impl From<Ending> for CloseReason {
    fn from(ending: Ending) -> CloseReason {
        match ending {
            Ending::Kicked => CloseReason::Kicked,
            Ending::Expired => CloseReason::Expired,
            Ending::Revoked => CloseReason::Revoked,
            Ending::Shutdown => CloseReason::Shutdown,
        }
    }
}

impl Protocol {
    /// All of them, in the order of their numbers.
    pub(crate) const ALL: [Protocol; 7] = [
        Protocol::Rtmp,
        Protocol::Flv,
        Protocol::WsFlv,
        Protocol::Hls,
        Protocol::Whip,
        Protocol::Whep,
        Protocol::Srt,
    ];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Protocol::Rtmp => "rtmp",
            Protocol::Flv => "flv",
            Protocol::WsFlv => "ws-flv",
            Protocol::Hls => "hls",
            Protocol::Whip => "whip",
            Protocol::Whep => "whep",
            Protocol::Srt => "srt",
        }
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::str::FromStr for SessionId {
    type Err = std::num::ParseIntError;
    fn from_str(text: &str) -> Result<SessionId, Self::Err> {
        u64::from_str_radix(text, 16).map(SessionId)
    }
}

/// No invariant of these maps can be broken by a panic between two statements.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
impl Beginning {
    /// A viewer's, from this machine.
    pub(crate) fn for_test(path: &str) -> Beginning {
        let ask = Ask::for_test(path);
        let vhost = "default".into();
        Beginning { path: ask.path.clone(), vhost, ask, rule: Rule::Local, who: None, expires: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begin(sessions: &Sessions, expires: Option<Instant>) -> SessionGuard {
        let path = BroadcastPath::parse("live/x").unwrap();
        let beginning = Beginning { expires, ..Beginning::for_test(path.as_str()) };
        sessions.begin(Role::Viewer, beginning, None)
    }

    #[test]
    fn a_session_is_listed_until_its_guard_is_dropped_and_remembered_with_its_reason() {
        let sessions = Sessions::new(7);
        let mut guard = begin(&sessions, None);
        let id = guard.session().id;
        assert_eq!(sessions.list().len(), 1);
        assert_eq!(id.to_string().parse(), Ok(id));
        guard.session().report(1000, 2);
        guard.ends(CloseReason::Stalled);
        drop(guard);
        assert!(sessions.find(id).is_none());
        let ended = sessions.ended();
        assert_eq!((ended[0].reason, ended[0].session.bytes()), (CloseReason::Stalled, 1000));
    }

    #[test]
    fn ids_differ_over_restarts() {
        assert_ne!(begin(&Sessions::new(1), None).session().id, begin(&Sessions::new(2), None).session().id);
    }

    #[test]
    fn who_is_asked_to_end_learns_the_first_reason() {
        let guard = begin(&Sessions::new(7), None);
        Sessions::end(guard.session(), Ending::Kicked);
        Sessions::end(guard.session(), Ending::Revoked);
        assert_eq!(guard.session().ending(Instant::now()), Some(Ending::Kicked));
    }

    #[test]
    fn a_grant_that_runs_out_ends_the_session() {
        let sessions = Sessions::new(7);
        let now = Instant::now();
        let guard = begin(&sessions, Some(now));
        assert_eq!(guard.session().ending(now), Some(Ending::Expired));
        assert_eq!(begin(&sessions, None).session().ending(now), None);
    }

    #[test]
    fn followers_hear_of_beginnings_and_ends() {
        let sessions = Sessions::new(7);
        let mut follower = sessions.follow();
        drop(begin(&sessions, None));
        assert!(matches!(follower.try_recv(), Ok(Notice::Began(_))));
        assert!(matches!(follower.try_recv(), Ok(Notice::Ended(_))));
    }
}
