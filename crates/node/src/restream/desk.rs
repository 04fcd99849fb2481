//! Which broadcast goes where, now.

use super::push::Push;
use crate::config::Restream;
use crate::life::Life;
use crate::metrics::Metrics;
use crate::outward::{Board, Dialer, Report};
use hub::{Broadcast, BroadcastPath, Hub};
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

/// All restreams of a server. Clones share.
#[derive(Clone, Debug)]
pub(crate) struct Restreams {
    wanted: Arc<watch::Sender<Vec<Restream>>>,
    board: Board,
}

/// The task that has all others.
struct Desk {
    hub: Hub,
    dialer: Dialer,
    board: Board,
    /// By broadcast and `to`: two rules that mean the same push once.
    running: HashMap<(BroadcastPath, String), Running>,
    tasks: JoinSet<()>,
}

/// One that runs. Dropping `stop` asks it to end.
struct Running {
    restream: Restream,
    _stop: watch::Sender<()>,
    task: AbortHandle,
}

impl Restreams {
    pub(crate) fn new(restreams: &[Restream], metrics: &Metrics) -> Restreams {
        Restreams {
            wanted: Arc::new(watch::Sender::new(restreams.to_vec())),
            board: Board::new("restream", metrics.restreams.clone()),
        }
    }

    /// Takes other restreams; those that are among the new ones go on.
    pub(crate) fn apply(&self, restreams: &[Restream]) {
        self.wanted.send_if_modified(|wanted| {
            let is_new = wanted != restreams;
            *wanted = restreams.to_vec();
            is_new
        });
    }

    /// How each is doing.
    pub(crate) fn snapshot(&self) -> Vec<Report> {
        self.board.snapshot()
    }

    /// Asks one that waits to try again now; false if there is none that waits of this number.
    pub(crate) fn retry(&self, number: u64) -> bool {
        self.board.retry(number)
    }

    /// Pushes until shutdown.
    pub(crate) async fn run(self, hub: Hub, dialer: Dialer, mut life: Life) {
        let mut wanted = self.wanted.subscribe();
        let mut desk = Desk {
            hub: hub.clone(),
            dialer,
            board: self.board.clone(),
            running: HashMap::new(),
            tasks: JoinSet::new(),
        };
        let mut seen = 0;
        loop {
            let restreams = wanted.borrow_and_update().clone();
            desk.compare(&restreams);
            tokio::select! {
                now = hub.changed(seen), if !restreams.is_empty() => seen = now,
                _ = wanted.changed() => {}
                Some(ended) = desk.tasks.join_next(), if !desk.tasks.is_empty() => {
                    if ended.is_err() {
                        tracing::error!("a restream panicked");
                    }
                }
                () = life.stopping() => break,
            }
        }
        desk.running.clear();
        while desk.tasks.join_next().await.is_some() {}
    }
}

impl Desk {
    /// Stops what is wanted no more, starts what isn't there yet.
    fn compare(&mut self, restreams: &[Restream]) {
        self.running
            .retain(|_, running| restreams.contains(&running.restream) && !running.task.is_finished());
        if restreams.is_empty() {
            return;
        }
        for broadcast in self.hub.broadcasts().iter().filter(|b| !b.is_ended()) {
            for restream in restreams.iter().filter(|r| r.path.matches(broadcast.path())) {
                self.start(broadcast, restream);
            }
        }
    }

    fn start(&mut self, broadcast: &Arc<Broadcast>, restream: &Restream) {
        let key = (broadcast.path().clone(), restream.to.clone());
        if self.running.contains_key(&key) {
            return;
        }
        let remote = match restream.remote(broadcast.path()) {
            Ok(remote) => remote.to_string(),
            Err(_) => String::new(),
        };
        let (_stop, stop) = watch::channel(());
        let push = Push {
            restream: restream.clone(),
            broadcast: Arc::clone(broadcast),
            dialer: self.dialer.clone(),
            entry: self.board.enter(broadcast.path(), remote),
            stop,
        };
        let task = self.tasks.spawn(push.run());
        self.running.insert(key, Running { restream: restream.clone(), _stop, task });
    }
}
