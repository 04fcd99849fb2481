//! The one owner of the state: commands in, snapshots out. It also hears whose media comes, ends what is over, and has the sessions
//! ended that nothing allows any more.

use super::error::StageError;
use super::state::{Command, Done, Limits, State};
use crate::auth::Auth;
use crate::life::Life;
use crate::sessions::{Notice, Role, Sessions};
use arc_swap::ArcSwap;
use hub::BroadcastPath;
use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};

/// All stages and matches of a server. Clones share.
#[derive(Clone, Debug)]
pub(crate) struct Stages(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    now: ArcSwap<State>,
    /// Grows with every change; at its end nobody is held any more.
    changes: watch::Sender<u64>,
    commands: mpsc::Sender<Wish>,
    /// Taken by who runs the desk.
    waiting: Mutex<Option<mpsc::Receiver<Wish>>>,
    held: Arc<Semaphore>,
}

#[derive(Debug)]
struct Wish {
    command: Command,
    answer: mpsc::Sender<Result<Done, StageError>>,
}

/// Somebody who waits for a change.
#[derive(Debug)]
pub(crate) struct Hold {
    changes: watch::Receiver<u64>,
    _permit: OwnedSemaphorePermit,
}

/// What became of the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    None,
    Told,
    /// Somebody may not go on: all sessions are looked at, which may be many.
    Revokes,
}

/// Commands that wait; who comes then waits for a place.
const COMMANDS_MAX: usize = 64;
/// Requests that wait for a change at a time; others are answered at once.
const HELD_MAX: usize = 4096;
/// Told when nobody is to be held any more.
const CLOSED: u64 = u64::MAX;
/// A session that was allowed just before a change begins a moment after it: it is looked for once more.
const LOOK_AGAIN: Duration = Duration::from_secs(2);
/// How long the desk rests when nothing is due: clocks may be set.
const REST_MAX: Duration = Duration::from_secs(60);

impl Stages {
    pub(crate) fn new(limits: Limits) -> Stages {
        let (commands, waiting) = mpsc::channel(COMMANDS_MAX);
        let began = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        Stages(Arc::new(Shared {
            // Below 2^53, so that scripts can read it.
            now: ArcSwap::from_pointee(State::new(limits, began << 20)),
            changes: watch::Sender::new(0),
            commands,
            waiting: Mutex::new(Some(waiting)),
            held: Arc::new(Semaphore::new(HELD_MAX)),
        }))
    }

    /// All of them as they are now.
    pub(crate) fn now(&self) -> Arc<State> {
        self.0.now.load_full()
    }

    /// Changes something.
    ///
    /// # Errors
    /// When it can't be.
    pub(crate) async fn tell(&self, command: Command) -> Result<Done, StageError> {
        let (answer, mut answered) = mpsc::channel(1);
        let gone = |_| StageError::Closing;
        self.0.commands.send(Wish { command, answer }).await.map_err(gone)?;
        answered.recv().await.ok_or(StageError::Closing)?
    }

    /// Hears of changes, the last one when nobody is held any more.
    pub(crate) fn follow(&self) -> watch::Receiver<u64> {
        self.0.changes.subscribe()
    }

    /// A place to wait for changes from now on; `None` when too many wait, or the server is about to end.
    pub(crate) fn hold(&self) -> Option<Hold> {
        let changes = self.0.changes.subscribe();
        if *changes.borrow() == CLOSED {
            return None;
        }
        Some(Hold { changes, _permit: Arc::clone(&self.0.held).try_acquire_owned().ok()? })
    }

    /// Owns the state until nobody new is let in; then nobody is held, and until shutdown only sessions end.
    pub(crate) async fn run(self, auth: Arc<Auth>, sessions: Sessions, mut life: Life) {
        let waiting = self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut waiting) = waiting else { return };
        let mut notices = sessions.follow();
        let mut state = State::clone(&self.now());
        let mut look_again: Option<Instant> = None;
        let mut draining = life.clone();
        let mut open = true;
        loop {
            let (change, answer) = tokio::select! {
                Some(wish) = waiting.recv() => {
                    let change = if wish.command.may_revoke() { Change::Revokes } else { Change::Told };
                    let done = state.take(wish.command, SystemTime::now());
                    (change, Some((wish.answer, done)))
                }
                notice = notices.recv() => {
                    let changed = concerns(&notice, &state) && state.note_publishing(&publishing(&sessions));
                    (if changed { Change::Told } else { Change::None }, None)
                }
                () = tokio::time::sleep(rest(&state, look_again)) => {
                    if look_again.take_if(|at| *at <= Instant::now()).is_some() {
                        auth.end_off_stage();
                    }
                    (if state.expire(SystemTime::now()) { Change::Revokes } else { Change::None }, None)
                }
                () = draining.draining(), if open => {
                    open = false;
                    self.0.changes.send_replace(CLOSED);
                    (Change::None, None)
                }
                () = life.stopping() => return,
            };
            if change != Change::None {
                self.publish(&state);
            }
            if change == Change::Revokes {
                auth.end_off_stage();
                look_again = Some(Instant::now() + LOOK_AGAIN);
            }
            if let Some((wish, done)) = answer {
                // Who gave up waiting needs no answer.
                let _ = wish.try_send(done);
            }
        }
    }

    fn publish(&self, state: &State) {
        self.0.now.store(Arc::new(state.clone()));
        self.0.changes.send_if_modified(|version| {
            let is_open = *version != CLOSED;
            *version = if is_open { *version + 1 } else { CLOSED };
            is_open
        });
    }
}

impl Hold {
    /// Waits for the next change. False when nobody is held any more.
    pub(crate) async fn changed(&mut self) -> bool {
        self.changes.changed().await.is_ok() && *self.changes.borrow() != CLOSED
    }
}

/// Whether a publisher of a stage came or went, or nobody knows who did.
fn concerns(notice: &Result<Notice, RecvError>, state: &State) -> bool {
    match notice {
        Ok(Notice::Began(session)) => session.role == Role::Publisher && state.owner(&session.path).is_some(),
        Ok(Notice::Ended(ended)) => {
            ended.session.role == Role::Publisher && state.owner(&ended.session.path).is_some()
        }
        Err(_) => !state.is_empty(),
    }
}

/// The paths that somebody publishes.
fn publishing(sessions: &Sessions) -> HashSet<BroadcastPath> {
    let publishers = sessions.list().into_iter().filter(|session| session.role == Role::Publisher);
    publishers.map(|session| session.path.clone()).collect()
}

/// How long nothing is due.
fn rest(state: &State, look_again: Option<Instant>) -> Duration {
    let due = state.next_end().map(|end| end.duration_since(SystemTime::now()).unwrap_or_default());
    let look_again = look_again.map(|at| at.saturating_duration_since(Instant::now()));
    [due, look_again].into_iter().flatten().fold(REST_MAX, Duration::min)
}
