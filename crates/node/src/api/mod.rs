//! The administrators' API, under `/v1`. Handlers only translate; what crosses the wire are types of their own.
//!
//! - one file per resource: [`broadcasts`], [`sessions`], [`keys`], [`tokens`], [`config`], [`outward`] (restreams and pulls),
//!   [`stages`], [`mod@matches`], [`node`], [`stats`], [`events`], [`logs`], [`auth`] (login)
//! - [`guards`] routes by the role that they need, [`access`] who has which
//! - [`live`] answers that go on
//! - [`webrtc`] what viewers by WebRTC get of a broadcast
//! - [`watch`] looks once a second; [`samples`] the last minute of all broadcasts and of the node
//! - [`mod@serve`] the listener, with metrics beside the API; [`probes`] whether it lives and is ready
//! - [`extract`], [`problem`] what handlers take, and how they refuse
//! - [`openapi`] the description of all of it

mod access;
mod auth;
mod broadcasts;
mod config;
mod events;
mod extract;
mod guards;
mod health;
mod keys;
mod live;
mod logs;
mod matches;
mod node;
mod openapi;
mod outward;
mod probes;
mod problem;
mod samples;
mod serve;
mod sessions;
mod stage_events;
mod stages;
mod stats;
mod time;
mod tokens;
mod watch;
mod webrtc;

pub(crate) use health::HealthFull;
pub(crate) use serve::serve;

use crate::auth::Auth;
use crate::gateway::webrtc::Plane;
use crate::life::Life;
use crate::metrics::Metrics;
use crate::reload::Reloader;
use crate::ring::Ring;
use crate::sessions::Sessions;
use crate::stage::Stages;
use crate::transcode::Transcodes;
use access::Access;
use axum::http::StatusCode;
use events::Event;
use hub::Hub;
use problem::Problem;
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
    transcodes: Transcodes,
    webrtc: Option<Plane>,
    auth: Arc<Auth>,
    stages: Stages,
    access: Access,
    samples: Samples,
    events: Ring<Event>,
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
        (life, transcodes, webrtc): (&Life, &Transcodes, Option<&Plane>),
    ) -> Api {
        Api {
            hub: hub.clone(),
            sessions: sessions.clone(),
            metrics: Arc::clone(metrics),
            reloader: reloader.clone(),
            life: life.clone(),
            transcodes: transcodes.clone(),
            webrtc: webrtc.cloned(),
            auth: Arc::clone(reloader.auth()),
            stages: reloader.auth().stages().clone(),
            access: Access::new(reloader),
            samples: Samples::default(),
            events: events::ring(),
            anchor: Anchor::now(),
            document: OnceLock::new(),
        }
    }
}

/// Runs what waits for a disk.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
    let failed = |_| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "it failed; the log says why");
    tokio::task::spawn_blocking(work).await.map_err(failed)
}
