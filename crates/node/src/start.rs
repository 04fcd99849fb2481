//! Start-up, in the order that matters.

use crate::api::{self, Api};
use crate::auth::Auth;
use crate::auth::keys::KeyStore;
use crate::config::{Config, Layers, Surroundings};
use crate::egress::{Plane, Settings};
use crate::follow::{self, Files};
use crate::gateway::{Door, http, random_bytes, rtmp};
use crate::handover::{self, Given, Giving, Sockets, Taken};
use crate::ingest::Ingest;
use crate::life::{Life, Phases};
use crate::limits::{Limits as ClientLimits, sweep};
use crate::listening::Listening;
use crate::metrics::Metrics;
use crate::outward::Dialer;
use crate::pull::{Pulls, Room};
use crate::reload::{Parts, Reloader};
use crate::restream::Restreams;
use crate::sessions::Sessions;
use crate::tls;
use anyhow::{Context, Result};
use hub::{Hub, Limits};
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// A running server. Dropping it does not stop it; [`Node::stop`] does.
#[derive(Debug)]
pub struct Node {
    pub(crate) sockets: Sockets,
    pub(crate) given: Given,
    pub(crate) hub: Hub,
    pub(crate) plane: Plane,
    pub(crate) packagings: Arc<http::Packagings>,
    pub(crate) threads: crate::egress::Threads,
    pub(crate) tasks: JoinSet<()>,
    /// Threads that publishers' sessions run on.
    pub(crate) ingest: Ingest,
    pub(crate) phases: Phases,
    pub(crate) sessions: Sessions,
    pub(crate) auth: Arc<Auth>,
    pub(crate) reloader: Reloader,
    addresses: Addresses,
}

/// How a server comes to its sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coming {
    /// It opens them.
    Afresh,
    /// It takes them from the server that runs with the same state folder, which then drains.
    TakeOver,
}

/// Where a server listens, after port 0 was replaced by what the system gave.
#[derive(Clone, Copy, Debug)]
pub struct Addresses {
    /// RTMP.
    pub rtmp: SocketAddr,
    /// HTTP and WebSocket.
    pub http: SocketAddr,
    /// Metrics and health.
    pub admin: SocketAddr,
}

/// How often broadcasts whose grace ran out are looked for.
const EXPIRE_EVERY: Duration = Duration::from_millis(250);

impl Node {
    /// Starts a server: listeners first, so that a busy port is told before anything runs.
    ///
    /// # Errors
    /// When a port is taken, a certificate can't be read, or the system gives no threads.
    pub async fn start(layers: Layers, coming: Coming) -> Result<Node> {
        // Read before they are used, so that no change between goes unseen.
        let mut files = Files::read(layers.path());
        let config = &layers.load()?;
        let state = config.state.folder(&Surroundings::here());
        make_state_folder(&state);
        let keys = KeyStore::new(&state);
        let mut taken = match coming {
            Coming::Afresh => Taken::default(),
            Coming::TakeOver => Taken::ask(&handover::socket_path(&state))?,
        };
        let inherited = taken.pulls();
        let sockets = Sockets::default();
        let mut listening = Listening::new(&mut taken, &sockets);
        files.also(&keys.path());
        let hub = Hub::new(hub_limits(config));
        let sessions = Sessions::new(u32::from_ne_bytes(random_bytes()?));
        let metrics = Arc::new(Metrics::new(&hub, &sessions));
        let ingest = Ingest::start(&metrics).context("can't start ingest")?;
        let rtmp = listening.open_on(&ingest, "rtmp.listen", config.rtmp.listen)?;
        let http = listening.open("http.listen", config.http.listen)?;
        let admin = listening.open("admin.listen", config.admin.listen)?;
        let addresses =
            Addresses { rtmp: rtmp.local_addr()?, http: http.local_addr()?, admin: admin.local_addr()? };
        let (plane, threads) =
            Plane::start(&egress_settings(config), &metrics).context("can't start egress")?;
        let (phases, life) = Phases::new();
        let (given, secret) = (Given::default(), secret()?);
        let limits = ClientLimits::new(&config.limits, &metrics);
        let restreams = Restreams::new(&config.restream, &metrics);
        let pulls = Pulls::new(&config.pull, inherited, &metrics);
        let auth = Arc::new(Auth::new(&hub, &sessions, pulls.fetchable(), config, keys, &metrics)?);
        let rtmp_gateway = Arc::new(rtmp::Gateway {
            auth: Arc::clone(&auth),
            plane: plane.clone(),
            metrics: Arc::clone(&metrics),
            access: sessions.access().clone(),
        });
        let packagings = Arc::new(http::Packagings::new(http::Cutting::new(&config.hls), &metrics));
        let http_gateway = Arc::new(http::Gateway {
            auth: Arc::clone(&auth),
            hub: hub.clone(),
            metrics: Arc::clone(&metrics),
            plane: plane.clone(),
            packagings: Arc::clone(&packagings),
            access: sessions.access().clone(),
            limits: limits.clone(),
        });
        let (rtmp_door, http_door) = doors(config, &limits);
        let mut tasks = JoinSet::new();
        if let Some(server) = tls::server(&config.tls)? {
            let rtmps = listening.open_on(&ingest, "rtmp.tls_listen", config.rtmp.tls_listen)?;
            let https = listening.open("http.tls_listen", config.http.tls_listen)?;
            let rtmps_door = rtmp_door.with_tls(server.acceptor(&[]));
            let serving = rtmp::serve(rtmps, rtmps_door, Arc::clone(&rtmp_gateway), life.clone());
            tasks.spawn_on(serving, ingest.handle());
            let https_door = http_door.with_tls(server.acceptor(&[b"h2", b"http/1.1"]));
            tasks.spawn(http::serve(https, https_door, Arc::clone(&http_gateway), life.clone()));
        }
        auth.open_to_successor(&secret);
        if !layers.is_demo() {
            let (gateway, given) = (Arc::clone(&http_gateway), given.clone());
            let giving =
                Giving { sockets: sockets.clone(), gateway, door: Door::new(false, &limits), secret, given };
            tasks.spawn(giving.serve(handover::socket_path(&state), life.clone()));
        }
        tasks.spawn_on(rtmp::serve(rtmp, rtmp_door, rtmp_gateway, life.clone()), ingest.handle());
        tasks.spawn(http::serve(http, http_door, http_gateway, life.clone()));
        let dialer = Dialer::default();
        tasks.spawn(restreams.clone().run(hub.clone(), dialer.clone(), life.clone()));
        let room = Room::new(&hub, &auth, &metrics, dialer, &life);
        tasks.spawn_on(pulls.clone().run(room), ingest.handle());
        tasks.spawn(expire(hub.clone(), life.clone()));
        tasks.spawn(sweep(limits.clone(), life.clone()));
        let (hub_of, auth_of, sessions_of) = (hub.clone(), Arc::clone(&auth), sessions.clone());
        let parts = Parts { auth: auth_of, hub: hub_of, sessions: sessions_of, limits, restreams, pulls };
        let reloader = Reloader::new(layers.clone(), config.clone(), parts);
        let api = Arc::new(Api::new(&hub, &sessions, &metrics, &reloader, &life));
        tasks.spawn(Arc::clone(&api).watch());
        tasks.spawn(api::serve(admin, api));
        tasks.spawn(follow::reload_when_changed(reloader.clone(), files, life.clone()));
        if let Some(old) = taken.ready()? {
            tasks.spawn(old.outlive(reloader.clone(), life));
        }
        Ok(Node {
            sockets,
            given,
            hub,
            plane,
            packagings,
            threads,
            tasks,
            ingest,
            phases,
            sessions,
            auth,
            reloader,
            addresses,
        })
    }

    /// Where it listens.
    pub fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// Whether there is any way to publish.
    pub fn somebody_may_publish(&self) -> bool {
        self.auth.somebody_may_publish()
    }

    /// What takes new settings.
    pub fn reloader(&self) -> &Reloader {
        &self.reloader
    }
}

/// Makes the folder if it can: what is made there later is seen only if the folder is watched from the start.
fn make_state_folder(folder: &Path) {
    if let Err(error) = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder) {
        tracing::debug!(folder = %folder.display(), %error, "no state folder");
    }
}

/// The ways in by RTMP and by HTTP, without TLS.
fn doors(config: &Config, limits: &ClientLimits) -> (Door, Door) {
    (Door::new(config.rtmp.proxy_protocol, limits), Door::new(config.http.proxy_protocol, limits))
}

/// What the hub may hold.
pub(crate) fn hub_limits(config: &Config) -> Limits {
    Limits {
        broadcasts_max: config.publish.broadcasts_max,
        log_bytes_max: config.publish.log.0,
        grace: config.publish.grace.0,
    }
}

/// Opens everything to a successor; new with every start.
fn secret() -> Result<String> {
    let bytes: [u8; 24] = random_bytes()?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Cores that the process may use.
pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

fn egress_settings(config: &Config) -> Settings {
    Settings {
        workers: if config.egress.workers == 0 { cores() } else { config.egress.workers },
        merge_window: config.egress.merge_window,
        lag_max: config.egress.lag_max.0,
        stall_max: config.egress.stall_max.0,
        feed_bytes_max: config.egress.queue.0,
    }
}

async fn expire(hub: Hub, mut life: Life) {
    let mut tick = tokio::time::interval(EXPIRE_EVERY);
    loop {
        tokio::select! {
            _ = tick.tick() => hub.expire(Instant::now()),
            () = life.stopping() => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_busy_port_is_told_with_the_key_that_changes_it() {
        let mut layers = Layers::default();
        for section in ["rtmp", "http", "admin"] {
            layers.put(&[section, "listen"], "127.0.0.1:0");
        }
        let first = Node::start(layers.clone(), Coming::Afresh).await.expect("free ports");
        layers.put(&["http", "listen"], &first.addresses().http.to_string());
        let error = Node::start(layers, Coming::Afresh).await.expect_err("the port is taken");
        assert!(format!("{error:#}").contains("http.listen"), "{error:#}");
        first.stop().await;
    }
}
