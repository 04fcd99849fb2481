//! What is fetched, now.

use super::Fetchable;
use super::fetch::Fetch;
use super::intake::Intake;
use crate::auth::Auth;
use crate::config::{Pull, When};
use crate::life::{Life, Phase};
use crate::metrics::Metrics;
use crate::outward::{Board, Dialer, Report};
use hub::{BroadcastPath, Hub};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

/// All pulls of a server. Clones share.
#[derive(Clone, Debug)]
pub(crate) struct Pulls {
    wanted: Arc<watch::Sender<Vec<Pull>>>,
    /// Those that were left by a process which this one took over from.
    inherited: Arc<Mutex<Vec<Pull>>>,
    fetchable: Fetchable,
    board: Board,
}

/// What pulls work with.
#[derive(Clone)]
pub(crate) struct Room {
    hub: Hub,
    auth: Arc<Auth>,
    metrics: Arc<Metrics>,
    dialer: Dialer,
    life: Life,
}

/// The task that has all others.
struct Desk {
    room: Room,
    board: Board,
    running: HashMap<BroadcastPath, Running>,
    tasks: JoinSet<()>,
}

/// One that runs. Dropping `stop` asks it to end.
struct Running {
    pull: Pull,
    _stop: watch::Sender<()>,
    task: AbortHandle,
}

impl Pulls {
    pub(crate) fn new(pulls: &[Pull], inherited: Vec<Pull>, metrics: &Metrics) -> Pulls {
        let all = Pulls {
            wanted: Arc::new(watch::Sender::new(Vec::new())),
            inherited: Arc::new(Mutex::new(inherited)),
            fetchable: Fetchable::default(),
            board: Board::new("pull", metrics.pulls.clone()),
        };
        all.apply(pulls);
        all
    }

    /// Which paths a viewer may wait for.
    pub(crate) fn fetchable(&self) -> &Fetchable {
        &self.fetchable
    }

    /// Takes other pulls; those that are among the new ones go on.
    pub(crate) fn apply(&self, pulls: &[Pull]) {
        let inherited = self.inherited.lock().unwrap_or_else(PoisonError::into_inner);
        let on_demand = pulls.iter().filter(|pull| pull.when == When::Demand);
        // What was inherited is on its way.
        let soon_there = on_demand.chain(&*inherited);
        self.fetchable.set(soon_there.map(|pull| pull.path.clone()).collect());
        let pulls: Vec<Pull> = pulls.iter().chain(&*inherited).cloned().collect();
        self.wanted.send_if_modified(|wanted| {
            let is_new = *wanted != pulls;
            *wanted = pulls;
            is_new
        });
    }

    /// Pulls beside the configured ones; they hold with the next [`Pulls::apply`].
    pub(crate) fn inherit(&self, pulls: Vec<Pull>) {
        *self.inherited.lock().unwrap_or_else(PoisonError::into_inner) = pulls;
    }

    /// How each is doing.
    pub(crate) fn snapshot(&self) -> Vec<Report> {
        self.board.snapshot()
    }

    /// Asks one that waits to try again now; false if there is none that waits of this number.
    pub(crate) fn retry(&self, number: u64) -> bool {
        self.board.retry(number)
    }

    /// Fetches until shutdown.
    pub(crate) async fn run(self, room: Room) {
        let (hub, mut life) = (room.hub.clone(), room.life.clone());
        let mut wanted = self.wanted.subscribe();
        let mut desk =
            Desk { room, board: self.board.clone(), running: HashMap::new(), tasks: JoinSet::new() };
        let mut seen = 0;
        loop {
            let pulls = wanted.borrow_and_update().clone();
            desk.compare(&pulls);
            tokio::select! {
                now = hub.changed(seen), if !pulls.is_empty() => seen = now,
                _ = wanted.changed() => {}
                Some(ended) = desk.tasks.join_next(), if !desk.tasks.is_empty() => {
                    if ended.is_err() {
                        tracing::error!("a pull panicked");
                    }
                }
                () = life.stopping() => break,
            }
        }
        while desk.tasks.join_next().await.is_some() {}
    }
}

impl Room {
    pub(crate) fn new(
        hub: &Hub,
        auth: &Arc<Auth>,
        metrics: &Arc<Metrics>,
        dialer: Dialer,
        life: &Life,
    ) -> Room {
        let (auth, metrics) = (Arc::clone(auth), Arc::clone(metrics));
        Room { hub: hub.clone(), auth, metrics, dialer, life: life.clone() }
    }
}

impl Desk {
    /// Stops what is configured no more, starts what isn't there yet.
    fn compare(&mut self, pulls: &[Pull]) {
        self.running.retain(|_, running| pulls.contains(&running.pull) && !running.task.is_finished());
        if self.room.life.phase() > Phase::Serving {
            return;
        }
        for pull in pulls {
            if let Some(path) = pull.always() {
                self.start(&path, pull);
            }
        }
        if pulls.iter().all(|pull| pull.when == When::Always) {
            return;
        }
        for (path, _) in self.room.hub.demands() {
            if let Some(pull) = pulls.iter().find(|pull| pull.path.matches(&path)) {
                self.start(&path, pull);
            }
        }
    }

    fn start(&mut self, path: &BroadcastPath, pull: &Pull) {
        if self.running.contains_key(path) {
            return;
        }
        let running = self.running.values().filter(|running| running.pull == *pull).count();
        if running >= pull.max {
            self.room.hub.decline(path);
            return;
        }
        let remote = pull.remote(path).map(|remote| remote.to_string()).unwrap_or_default();
        let Room { hub, auth, metrics, dialer, life } = self.room.clone();
        let (_stop, stop) = watch::channel(());
        let intake = Intake::new(&auth, &metrics, (path, pull.inherited), self.board.enter(path, remote));
        let fetch = Fetch { pull: pull.clone(), path: path.clone(), hub, dialer, intake, stop, life };
        let task = self.tasks.spawn(fetch.run());
        self.running.insert(path.clone(), Running { pull: pull.clone(), _stop, task });
    }
}
