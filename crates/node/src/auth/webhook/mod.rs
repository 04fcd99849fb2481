//! Webhooks: a web service decides who may publish and play, and is told what ended. See docs/webhooks.md.
//!
//! - [`Hooks`] asks and tells; [`Telling`] is its tasks
//! - [`event`] what is sent and answered
//! - [`breaker`] leaves a server alone that fails; [`cache`] keeps decisions; both pure
//! - [`client`] one signed request; [`telling`] a queue and a task per server

mod breaker;
mod cache;
mod client;
mod event;
mod telling;

pub use client::ClientError;
pub(crate) use event::{Ended, Event, Kind};
pub(crate) use telling::Telling;

use crate::config::{OnFailure, Webhook};
use breaker::Breaker;
use bytes::Bytes;
use cache::Cache;
use client::Client;
use event::Answer;
use http::Uri;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};
use telling::Queue;
use tokio::sync::Semaphore;

/// Asks and tells. Clones share.
#[derive(Clone, Debug)]
pub(crate) struct Hooks(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    client: Client,
    by_kind: BTreeMap<Kind, Vec<Arc<Server>>>,
    /// Each once.
    servers: Vec<Arc<Server>>,
    on_failure: OnFailure,
    retries: u32,
    cache_for: Duration,
    cache_by_address: bool,
    cache: Mutex<Cache>,
    /// Questions that wait for an answer; more wait for these.
    asking: Semaphore,
    counts: Counts,
    /// Makes ids of events.
    seed: u32,
    next: AtomicU64,
}

/// One URL.
#[derive(Debug)]
struct Server {
    uri: Uri,
    breaker: Mutex<Breaker>,
    queue: Queue,
}

/// What a hook allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Allowed {
    /// When the right ends, if the hook said so.
    pub(crate) expires: Option<SystemTime>,
}

/// Why a hook's answer is no.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HookRefusal {
    /// The hook said so, with its reason.
    #[error("{0}")]
    Denied(String),
    /// Nobody answered, and `webhook.on_failure` is `"closed"`.
    #[error("the service that decides who may doesn't answer; try again later")]
    Unavailable,
}

/// What happened since the start.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// Questions that were allowed, denied, or answered by nobody; those from the cache are also in `cached`.
    pub(crate) allowed: AtomicU64,
    pub(crate) denied: AtomicU64,
    pub(crate) unanswered: AtomicU64,
    pub(crate) cached: AtomicU64,
    /// Requests that failed, of questions and of telling.
    pub(crate) failures: AtomicU64,
    /// Events that a server took; that it didn't take after all retries; that its full queue dropped.
    pub(crate) told: AtomicU64,
    pub(crate) given_up: AtomicU64,
    pub(crate) dropped: AtomicU64,
}

/// Questions at a time: a crowd that joins must not become a crowd at the hook.
const ASKING_MAX: usize = 256;
/// Players by HLS ask several times a second; their hook is asked this often at most.
const POLL_CACHE_MIN: Duration = Duration::from_secs(10);
/// Said when a hook gives no reason.
const NO_REASON: &str = "this is not allowed here";

impl Hooks {
    /// Hooks of the configuration, with a task per server that is told. `seed` makes ids unique over restarts.
    ///
    /// # Errors
    /// When the certificates of `webhook.ca`, or those of the system, can't be read.
    pub(crate) fn start(config: &Webhook, seed: u32) -> Result<(Hooks, Telling), ClientError> {
        let mut servers: BTreeMap<&str, Arc<Server>> = BTreeMap::new();
        let mut by_kind: BTreeMap<Kind, Vec<Arc<Server>>> = BTreeMap::new();
        for (kind, urls) in Kind::ALL.into_iter().zip(config.urls()) {
            for url in urls.1 {
                let server = match servers.get(url.as_str()) {
                    Some(server) => Arc::clone(server),
                    None => Arc::new(Server::new(config, url)?),
                };
                servers.insert(url, Arc::clone(&server));
                by_kind.entry(kind).or_default().push(server);
            }
        }
        let hooks = Hooks(Arc::new(Shared {
            client: Client::new(config)?,
            by_kind,
            servers: servers.into_values().collect(),
            on_failure: config.on_failure,
            retries: config.retries,
            cache_for: config.cache.0,
            cache_by_address: config.cache_by_address,
            cache: Mutex::default(),
            asking: Semaphore::new(ASKING_MAX),
            counts: Counts::default(),
            seed,
            next: AtomicU64::new(1),
        }));
        let telling = Telling::start(&hooks.0);
        Ok((hooks, telling))
    }

    /// Whether anybody is asked or told of such events.
    pub(crate) fn wants(&self, kind: Kind) -> bool {
        self.0.by_kind.contains_key(&kind)
    }

    /// What happened since the start.
    pub(crate) fn counts(&self) -> &Counts {
        &self.0.counts
    }

    /// Servers that are left alone now, since they failed.
    pub(crate) fn left_alone(&self) -> usize {
        let now = Instant::now();
        self.0.servers.iter().filter(|server| server.breaker().is_open(now)).count()
    }

    /// Asks whether an event may happen. Allows what nobody is asked about.
    ///
    /// # Errors
    /// When a hook denies it, or none answers and `webhook.on_failure` is `"closed"`.
    pub(crate) async fn ask(&self, event: &Event) -> Result<Allowed, HookRefusal> {
        let shared = &*self.0;
        let Some(servers) = shared.by_kind.get(&event.event) else { return Ok(Allowed { expires: None }) };
        let key = event.key(shared.cache_by_address);
        let answer = match shared.cached(&key) {
            Some(answer) => Some(answer),
            None => self.ask_servers(servers, event, key).await,
        };
        let (count, result) = match answer {
            Some(Answer { allow: true, expires, .. }) => (&shared.counts.allowed, Ok(Allowed { expires })),
            Some(Answer { reason, .. }) => {
                let reason = reason.unwrap_or_else(|| NO_REASON.to_owned());
                (&shared.counts.denied, Err(HookRefusal::Denied(reason)))
            }
            None if shared.on_failure == OnFailure::Open => {
                (&shared.counts.unanswered, Ok(Allowed { expires: None }))
            }
            None => (&shared.counts.unanswered, Err(HookRefusal::Unavailable)),
        };
        count.fetch_add(1, Ordering::Relaxed);
        result
    }

    /// The first answer, in the order of the configuration. Each server has `webhook.timeout`.
    async fn ask_servers(&self, servers: &[Arc<Server>], event: &Event, key: cache::Key) -> Option<Answer> {
        let shared = &*self.0;
        let body = shared.body(event);
        let least = if event.polls { POLL_CACHE_MIN } else { Duration::ZERO };
        for server in servers {
            if !server.breaker().may_try(Instant::now()) {
                continue;
            }
            match shared.ask_server(server, body.clone(), &key, least).await {
                Ok(answer) => {
                    server.breaker().succeeded();
                    return Some(answer);
                }
                Err(error) => shared.failed(server, &error),
            }
        }
        None
    }

    /// Tells of an event that happened. Never waits: a full queue drops its oldest event.
    pub(crate) fn tell(&self, event: &Event) {
        let Some(servers) = self.0.by_kind.get(&event.event) else { return };
        let body = self.0.body(event);
        for server in servers {
            if server.queue.push(body.clone()) {
                self.0.counts.dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

impl Shared {
    fn body(&self, event: &Event) -> Bytes {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        event.body(&format!("e_{:08x}{number:08x}", self.seed), SystemTime::now())
    }

    fn cached(&self, key: &cache::Key) -> Option<Answer> {
        let found = self.cache().find(key, Instant::now())?;
        self.counts.cached.fetch_add(1, Ordering::Relaxed);
        Some(found)
    }

    async fn ask_server(
        &self,
        server: &Server,
        body: Bytes,
        key: &cache::Key,
        least: Duration,
    ) -> Result<Answer, client::Failure> {
        let exchange = async {
            let _turn = self.asking.acquire().await;
            // Somebody else of the crowd may have asked the same meanwhile.
            if let Some(answer) = self.cached(key) {
                return Ok(answer);
            }
            let (status, body) = self.client.post(&server.uri, body).await?;
            let answer = event::answer(status, &body, SystemTime::now())?;
            let keep = answer.cache_for.unwrap_or(self.cache_for).max(least);
            let left =
                answer.expires.map_or(keep, |end| end.duration_since(SystemTime::now()).unwrap_or_default());
            self.cache().keep(*key, answer.clone(), keep.min(left), Instant::now());
            Ok(answer)
        };
        tokio::time::timeout(self.client.timeout(), exchange).await.unwrap_or(Err(client::Failure::Timeout))
    }

    fn failed(&self, server: &Server, error: &client::Failure) {
        self.counts.failures.fetch_add(1, Ordering::Relaxed);
        let opened = server.breaker().failed(Instant::now());
        let host = server.uri.host().unwrap_or_default();
        tracing::warn!(host, %error, "a webhook failed");
        if opened {
            tracing::warn!(host, "the webhook failed too often in a row and is left alone for a while");
        }
    }

    fn cache(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Server {
    fn new(config: &Webhook, url: &str) -> Result<Server, ClientError> {
        let uri = url.parse().map_err(|_| ClientError::Url(url.to_owned()))?;
        let breaker = Mutex::new(Breaker::new(config.breaker_failures, config.breaker_rest.0));
        Ok(Server { uri, breaker, queue: Queue::new(config.queue) })
    }

    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
