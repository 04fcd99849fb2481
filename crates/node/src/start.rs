//! Start-up, in the order that matters.

use crate::api::{self, Api};
use crate::auth::Auth;
use crate::auth::keys::KeyStore;
use crate::config::{Config, Layers, Pull, Surroundings};
use crate::egress::{Plane, Settings};
use crate::follow::{self, Files};
use crate::gateway::{Door, http, random_bytes, rtmp, srt, webrtc};
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
use crate::stage::Stages;
use crate::tls::{Acquiring, Certificates, Challenges};
use crate::transcode::{Pictures, Transcodes};
use anyhow::{Context, Result};
use hub::{Hub, Limits};
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
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
    pub(crate) transcodes: Transcodes,
    /// WebRTC's plane, if it is served.
    pub(crate) webrtc: Option<(webrtc::Plane, webrtc::Threads)>,
    /// SRT's thread, if it is served.
    pub(crate) srt: Option<srt::Served>,
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
        files.also_of(&config.tls);
        let state = config.state.folder(&Surroundings::here());
        make_state_folder(&state);
        // It may take a second, so before anything is taken over.
        let reached_by = reached_by(&config.webrtc).await;
        let keys = KeyStore::new(&state);
        files.also(&keys.path());
        let mut taken = match coming {
            Coming::Afresh => Taken::default(),
            Coming::TakeOver => Taken::ask(&handover::socket_path(&state))?,
        };
        let (hub, sockets) = (Hub::new(hub_limits(config)), Sockets::default());
        let sessions = Sessions::new(u32::from_ne_bytes(random_bytes()?));
        let metrics = Arc::new(Metrics::new(&hub, &sessions));
        let ingest = Ingest::start(&metrics).context("can't start ingest")?;
        let inherited = taken.pulls();
        let open = Open::all(&mut Listening::new(&mut taken, &sockets), &ingest, config)?;
        let addresses = open.addresses()?;
        let (plane, threads) =
            Plane::start(&egress_settings(config), &metrics).context("can't start egress")?;
        let sound = crate::transcode::Settings::new(&config.transcode, hub_limits(config));
        let transcodes = Transcodes::start(sound, &metrics.transcodes).context("can't convert sound")?;
        let (phases, life) = Phases::new();
        let (challenges, given) = (Challenges::default(), Given::default());
        let parts = parts(config, (&state, keys), inherited, (&hub, &sessions, &metrics), &challenges)?;
        let mut tasks = JoinSet::new();
        spawn_parts(&mut tasks, &ingest, &parts, &metrics, &life);
        let packagings = take_up(config, &taken, &hub, &metrics, &transcodes).await;
        // From here on, what comes to ports that are shared may come to this process.
        let srt = open_srt(config, coming)?;
        let webrtc = open_webrtc(config, reached_by, coming, (&metrics, &parts.limits))?;
        let planes = (&plane, &transcodes, webrtc.as_ref().map(|(plane, _)| plane));
        let publishing = (challenges, addresses.rtmp.port());
        let gateways = Gateways::new(config, &parts, planes, (&metrics, &packagings), publishing);
        let auth = Arc::clone(&parts.auth);
        if !layers.is_demo() {
            let giving = gateways.giving(&parts, &sockets, &given)?;
            tasks.spawn(giving.serve(handover::socket_path(&state), life.clone()));
        }
        let (ways, doors) = ((gateways.rtmp, gateways.http), doors(config, &parts.limits));
        let admin = open.serve(&mut tasks, &ingest, ways, doors, &parts.certificates, &life)?;
        let srt = srt.map(|settings| serve_srt(settings, &parts, &metrics, &life)).transpose()?;
        let reloader = Reloader::new(layers.clone(), config.clone(), parts);
        let api = Arc::new(Api::new(&hub, &sessions, &metrics, &reloader, (&life, planes.1, planes.2)));
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
            transcodes,
            webrtc,
            srt,
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

/// The listeners.
struct Open {
    rtmp: TcpListener,
    http: TcpListener,
    admin: TcpListener,
    /// The TLS twins of RTMP and HTTP, if there are certificates.
    tls: Option<(TcpListener, TcpListener)>,
}

impl Open {
    fn all(listening: &mut Listening<'_>, ingest: &Ingest, config: &Config) -> Result<Open> {
        let rtmp = listening.open_on(ingest, "rtmp.listen", config.rtmp.listen)?;
        let http = listening.open("http.listen", config.http.listen)?;
        let admin = listening.open("admin.listen", config.admin.listen)?;
        let tls = if config.tls.is_on() {
            let rtmps = listening.open_on(ingest, "rtmp.tls_listen", config.rtmp.tls_listen)?;
            Some((rtmps, listening.open("http.tls_listen", config.http.tls_listen)?))
        } else {
            None
        };
        Ok(Open { rtmp, http, admin, tls })
    }

    fn addresses(&self) -> Result<Addresses> {
        let (rtmp, http) = (self.rtmp.local_addr()?, self.http.local_addr()?);
        Ok(Addresses { rtmp, http, admin: self.admin.local_addr()? })
    }

    /// Lets publishers and viewers in; what is left is the administrators' listener.
    fn serve(
        self,
        tasks: &mut JoinSet<()>,
        ingest: &Ingest,
        (rtmp, http): (Arc<rtmp::Gateway>, Arc<http::Gateway>),
        (rtmp_door, http_door): (Door, Door),
        certificates: &Certificates,
        life: &Life,
    ) -> Result<TcpListener> {
        if let Some((rtmps, https)) = self.tls {
            let door = rtmp_door.with_tls(certificates.acceptor(&[])?);
            tasks.spawn_on(rtmp::serve(rtmps, door, Arc::clone(&rtmp), life.clone()), ingest.handle());
            let door = http_door.with_tls(certificates.acceptor(&[b"h2", b"http/1.1"])?);
            tasks.spawn(http::serve(https, door, Arc::clone(&http), life.clone()));
        }
        tasks.spawn_on(rtmp::serve(self.rtmp, rtmp_door, rtmp, life.clone()), ingest.handle());
        tasks.spawn(http::serve(self.http, http_door, http, life.clone()));
        Ok(self.admin)
    }
}

/// What clients come to.
struct Gateways {
    rtmp: Arc<rtmp::Gateway>,
    http: Arc<http::Gateway>,
}

impl Gateways {
    fn new(
        config: &Config,
        parts: &Parts,
        (plane, transcodes, webrtc): (&Plane, &Transcodes, Option<&webrtc::Plane>),
        (metrics, packagings): (&Arc<Metrics>, &Arc<http::Packagings>),
        (challenges, publish_port): (Challenges, u16),
    ) -> Gateways {
        let rtmp = rtmp::Gateway {
            auth: Arc::clone(&parts.auth),
            plane: plane.clone(),
            transcodes: transcodes.clone(),
            metrics: Arc::clone(metrics),
            access: parts.sessions.access().clone(),
        };
        let http = http::Gateway {
            auth: Arc::clone(&parts.auth),
            hub: parts.hub.clone(),
            metrics: Arc::clone(metrics),
            plane: plane.clone(),
            transcodes: transcodes.clone(),
            packagings: Arc::clone(packagings),
            access: parts.sessions.access().clone(),
            limits: parts.limits.clone(),
            challenges,
            pass: config.stage.pass.0,
            publish_port,
            offers: webrtc.map(|plane| webrtc::Gateway {
                transcodes: transcodes.clone(),
                pictures: parts.pictures.clone(),
                auth: Arc::clone(&parts.auth),
                metrics: Arc::clone(metrics),
                limits: parts.limits.clone(),
                plane: plane.clone(),
                overflow: config.webrtc.overflow(),
                links: config
                    .webrtc
                    .turn
                    .iter()
                    .map(|t| webrtc::link(&t.url, &t.username, &t.password))
                    .collect(),
            }),
        };
        Gateways { rtmp: Arc::new(rtmp), http: Arc::new(http) }
    }

    /// What a successor is given.
    fn giving(&self, parts: &Parts, sockets: &Sockets, given: &Given) -> Result<Giving> {
        let (secret, door) = (secret()?, Door::new(false, &parts.limits));
        parts.auth.open_to_successor(&secret);
        let (gateway, given) = (Arc::clone(&self.http), given.clone());
        Ok(Giving { sockets: sockets.clone(), gateway, door, secret, given })
    }
}

/// Which addresses WebRTC's clients are told.
async fn reached_by(config: &crate::config::Webrtc) -> Vec<IpAddr> {
    if !config.enabled {
        return Vec::new();
    }
    let reach = webrtc::Reach::find(config).await;
    if let webrtc::Known::Untold(why) = &reach.known {
        tracing::warn!(%why, "webrtc.stun tells no address, so clients are told this machine's own");
    }
    reach.addresses
}

/// WebRTC's port and threads, if it is served.
fn open_webrtc(
    config: &Config,
    addresses: Vec<IpAddr>,
    coming: Coming,
    (metrics, limits): (&Arc<Metrics>, &ClientLimits),
) -> Result<Option<(webrtc::Plane, webrtc::Threads)>> {
    if !config.webrtc.enabled {
        return Ok(None);
    }
    let settings = webrtc::Settings {
        listen: config.webrtc.listen,
        addresses,
        workers: if config.webrtc.workers == 0 { cores() } else { config.webrtc.workers },
        stay: config.webrtc.rendition_stay.0,
        // The one that is taken over from lets go of the port only then.
        shared: coming == Coming::TakeOver,
    };
    Ok(Some(webrtc::Plane::start(&settings, metrics, limits)?))
}

/// Who packages, once it has what the process before packages.
async fn take_up(
    config: &Config,
    taken: &Taken,
    hub: &Hub,
    metrics: &Arc<Metrics>,
    transcodes: &Transcodes,
) -> Arc<http::Packagings> {
    let packagings = http::Packagings::new(http::Cutting::new(&config.hls), metrics, transcodes);
    let packagings = Arc::new(packagings);
    packagings.take_up(taken.packaged(), hub).await;
    packagings
}

/// SRT's port, if it is served.
fn open_srt(config: &Config, coming: Coming) -> Result<Option<srt::Settings>> {
    let shared = coming == Coming::TakeOver;
    config.srt.enabled.then(|| srt::Settings::open(&config.srt, shared)).transpose()
}

/// Starts SRT's thread.
fn serve_srt(
    settings: srt::Settings,
    parts: &Parts,
    metrics: &Arc<Metrics>,
    life: &Life,
) -> Result<srt::Served> {
    let gateway = srt::Gateway {
        auth: Arc::clone(&parts.auth),
        metrics: Arc::clone(metrics),
        limits: parts.limits.clone(),
        access: parts.sessions.access().clone(),
    };
    gateway.serve(settings, life.clone())
}

/// What takes new settings while the server runs.
fn parts(
    config: &Config,
    (state, keys): (&Path, KeyStore),
    inherited: Vec<Pull>,
    (hub, sessions, metrics): (&Hub, &Sessions, &Arc<Metrics>),
    challenges: &Challenges,
) -> Result<Parts> {
    let pulls = Pulls::new(&config.pull, inherited, metrics);
    let stages = Stages::new(config.stage.limits());
    let certificates = Certificates::counted(metrics);
    certificates.apply(Certificates::read(&config.tls)?);
    Ok(Parts {
        auth: Arc::new(Auth::new(hub, sessions, (pulls.fetchable(), &stages), config, keys, metrics)?),
        hub: hub.clone(),
        sessions: sessions.clone(),
        limits: ClientLimits::new(&config.limits, metrics),
        restreams: Restreams::new(&config.restream, metrics),
        pulls,
        acquiring: Acquiring::new(&config.tls.acme, &certificates, challenges, state),
        pictures: Pictures::new(&config.transcode, hub_limits(config), &metrics.transcodes),
        certificates,
        metrics: Arc::clone(metrics),
    })
}

/// What works by itself, beside the listeners.
fn spawn_parts(tasks: &mut JoinSet<()>, ingest: &Ingest, parts: &Parts, metrics: &Arc<Metrics>, life: &Life) {
    let dialer = Dialer::default();
    tasks.spawn(parts.restreams.clone().run(parts.hub.clone(), dialer.clone(), life.clone()));
    let room = Room::new(&parts.hub, &parts.auth, metrics, dialer, life);
    tasks.spawn_on(parts.pulls.clone().run(room), ingest.handle());
    let stages = parts.auth.stages().clone();
    tasks.spawn(stages.run(Arc::clone(&parts.auth), parts.sessions.clone(), life.clone()));
    tasks.spawn(expire(parts.hub.clone(), life.clone()));
    tasks.spawn(sweep(parts.limits.clone(), life.clone()));
    tasks.spawn(parts.acquiring.clone().run(life.clone()));
    tasks.spawn(parts.pictures.clone().run(life.clone()));
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
        for section in ["rtmp", "http", "admin", "webrtc", "srt"] {
            layers.put(&[section, "listen"], "127.0.0.1:0");
        }
        let first = Node::start(layers.clone(), Coming::Afresh).await.expect("free ports");
        layers.put(&["http", "listen"], &first.addresses().http.to_string());
        let error = Node::start(layers, Coming::Afresh).await.expect_err("the port is taken");
        assert!(format!("{error:#}").contains("http.listen"), "{error:#}");
        first.stop().await;
    }
}
