//! Looks once a second, and hears what happens between.

use super::Api;
use super::events::{Event, Known};
use super::stage_events::differences;
use crate::reload::Reloaded;
use crate::sessions::{Notice, Role};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::broadcast::error::RecvError;
use tokio::time::MissedTickBehavior;

/// Between two looks.
pub(super) const EVERY: Duration = Duration::from_secs(1);

impl Api {
    /// Keeps the last minute and the newest events, until shutdown.
    pub(crate) async fn watch(self: Arc<Self>) {
        let mut life = self.life.clone();
        let (mut notices, mut reloads) = (self.sessions.follow(), self.reloader.follow());
        let (mut known, mut second) = (Known::default(), 0);
        let (mut changes, mut stages) = (self.stages.follow(), self.stages.now());
        let mut tick = tokio::time::interval(EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = tick.tick() => {
                    let (broadcasts, now) = (self.hub.broadcasts(), Instant::now());
                    second += 1;
                    self.samples.look(&broadcasts, &self.metrics, now);
                    self.compare(&mut known, &broadcasts, second, now);
                }
                notice = notices.recv() => {
                    if self.hear(notice) {
                        // A broadcast that lasts less than a second is one, too.
                        self.compare(&mut known, &self.hub.broadcasts(), second, Instant::now());
                    }
                }
                Ok(()) = changes.changed() => {
                    let now = self.stages.now();
                    differences(&stages, &now).into_iter().for_each(|what| self.events.push(Event::on_stage(what)));
                    stages = now;
                }
                reloaded = reloads.recv() => self.reloaded(reloaded),
                () = life.stopping() => return,
            }
        }
    }

    /// Notes what happened to a session; true when it is a publisher's.
    fn hear(&self, notice: Result<Notice, RecvError>) -> bool {
        let (event, role) = match notice {
            Ok(Notice::Began(session)) => (Event::began(Arc::clone(&session)), session.role),
            Ok(Notice::Ended(ended)) => (Event::ended(ended.clone()), ended.session.role),
            Err(RecvError::Lagged(count)) => (Event::missed(count), Role::Publisher),
            // It lives as long as we do.
            Err(RecvError::Closed) => return false,
        };
        self.events.push(event);
        role == Role::Publisher
    }

    fn reloaded(&self, reloaded: Result<Reloaded, RecvError>) {
        match reloaded {
            Ok(reloaded) => self.events.push(Event::reloaded(reloaded)),
            Err(RecvError::Lagged(count)) => self.events.push(Event::missed(count)),
            Err(RecvError::Closed) => {}
        }
    }
}
