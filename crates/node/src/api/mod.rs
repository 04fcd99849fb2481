//! The administrators' API, under `/v1`. Handlers only translate; what crosses the wire are types of their own.
//!
//! - [`broadcasts`], [`sessions`], [`node`], [`auth`] one file per resource; [`stats`] totals
//! - [`guards`] routes by the role that they need, [`access`] who has which
//! - [`samples`] the last minute of all broadcasts and of the node
//! - [`serve`] the listener, with metrics and health beside the API
//! - [`extract`], [`problem`] what handlers take, and how they refuse
//! - [`openapi`] the description of all of it

mod access;
mod auth;
mod broadcasts;
mod extract;
mod guards;
mod health;
mod node;
mod openapi;
mod problem;
mod samples;
mod serve;
mod sessions;
mod stats;
mod time;

pub(crate) use serve::serve;

use crate::life::Life;
use crate::metrics::Metrics;
use crate::reload::Reloader;
use crate::sessions::Sessions;
use access::Access;
use hub::Hub;
use samples::Samples;
use std::sync::{Arc, OnceLock};
use time::Anchor;

/// What the API looks at and acts on.
pub(crate) struct Api {
    hub: Hub,
    sessions: Sessions,
    metrics: Arc<Metrics>,
    reloader: Reloader,
    life: Life,
    access: Access,
    samples: Samples,
    anchor: Anchor,
    /// The description, as JSON.
    document: OnceLock<String>,
}

type Shared = Arc<Api>;

impl Api {
    pub(crate) fn new(
        hub: &Hub,
        sessions: &Sessions,
        metrics: &Arc<Metrics>,
        reloader: &Reloader,
        life: &Life,
    ) -> Api {
        Api {
            hub: hub.clone(),
            sessions: sessions.clone(),
            metrics: Arc::clone(metrics),
            reloader: reloader.clone(),
            life: life.clone(),
            access: Access::new(reloader),
            samples: Samples::default(),
            anchor: Anchor::now(),
            document: OnceLock::new(),
        }
    }

    /// Keeps the last minute, until shutdown.
    pub(crate) async fn watch(self: Arc<Self>) {
        samples::watch(&self.samples, &self.hub, &self.metrics, self.life.clone()).await;
    }
}
