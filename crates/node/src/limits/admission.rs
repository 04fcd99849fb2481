//! Counts connections and requests, and says who is too much.

use super::forwarded::{self, Told};
use super::limit::{Limit, TooMuch};
use super::prefix::{Prefix, within};
use crate::config;
use crate::life::Life;
use crate::metrics::Metrics;
use arc_swap::{ArcSwap, Guard};
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota};
use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};
use std::collections::HashMap;
use std::error::Error;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use std::{io, iter};

/// The limits of one server, and who takes how much now. Clones share.
#[derive(Clone, Debug)]
pub(crate) struct Limits(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    rules: ArcSwap<Rules>,
    connections: AtomicUsize,
    /// Connections by prefix; none has zero.
    by_prefix: [Mutex<HashMap<Prefix, u32>>; SHARDS],
    metrics: Arc<Metrics>,
}

/// What may be taken.
#[derive(Debug)]
pub(crate) struct Rules {
    pub(crate) config: config::Limits,
    connections_max: usize,
    new_connections: Option<Rate>,
    requests: Option<Rate>,
}

/// So many a second for each prefix, and as many at once. Prefixes that are at rest are forgotten by [`sweep`].
type Rate = DefaultKeyedRateLimiter<Prefix>;

/// A connection that is counted, until this is dropped.
#[derive(Debug)]
pub(crate) struct Admission {
    limits: Limits,
    prefix: Option<Prefix>,
}

/// Thousands may come within a second, on every thread.
const SHARDS: usize = 16;
/// When to come again to a server that is full.
const FULL_RETRY: Duration = Duration::from_secs(5);
/// Every so many descriptors one is left for files, listeners and what the server asks of others.
const SPARE_SHARE: u64 = 8;

impl Limits {
    /// As configured.
    pub(crate) fn new(config: &config::Limits, metrics: &Arc<Metrics>) -> Limits {
        let rules = Rules::new(config);
        metrics.connections_max.set(i64::try_from(rules.connections_max).unwrap_or(i64::MAX));
        Limits(Arc::new(Shared {
            rules: ArcSwap::from_pointee(rules),
            connections: AtomicUsize::new(0),
            by_prefix: Default::default(),
            metrics: Arc::clone(metrics),
        }))
    }

    /// Takes new rules. Nobody who is here is sent away; rates begin anew.
    pub(crate) fn apply(&self, config: &config::Limits) {
        if self.rules().config != *config {
            let rules = Rules::new(config);
            self.0.metrics.connections_max.set(i64::try_from(rules.connections_max).unwrap_or(i64::MAX));
            self.0.rules.store(Arc::new(rules));
        }
    }

    /// What holds now.
    pub(crate) fn rules(&self) -> Guard<Arc<Rules>> {
        self.0.rules.load()
    }

    /// Counts a connection of whoever it is.
    ///
    /// # Errors
    /// When the server is full.
    pub(crate) fn enter(&self) -> Result<Admission, TooMuch> {
        let max = self.rules().connections_max;
        let one_more = |count: usize| (count < max).then_some(count + 1);
        match self.0.connections.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more) {
            Ok(_) => {
                self.0.metrics.connections.inc();
                Ok(Admission { limits: self.clone(), prefix: None })
            }
            Err(_) => Err(self.too_much(Limit::Connections, FULL_RETRY)),
        }
    }

    /// Counts a request.
    ///
    /// # Errors
    /// When there were too many from its address.
    pub(crate) fn request(&self, client: IpAddr) -> Result<(), TooMuch> {
        let rules = self.rules();
        match &rules.requests {
            Some(rate) if !rules.is_exempt(client) => {
                let prefix = rules.prefix(client);
                check(rate, prefix).map_err(|wait| self.too_much(Limit::RequestsPerAddress, wait))
            }
            _ => Ok(()),
        }
    }

    /// The client of a request that came from `peer` and says this.
    pub(crate) fn client(&self, peer: SocketAddr, told: &Told) -> SocketAddr {
        if *told == Told::default() {
            return peer;
        }
        let config = &self.rules().config;
        let Some(value) = told.by(config.client_header) else { return peer };
        let client = forwarded::client(peer.ip(), value, config.client_header, &config.trusted_proxies);
        if client == peer.ip() { peer } else { SocketAddr::new(client, 0) }
    }

    /// Counts somebody who ran into a limit.
    pub(crate) fn too_much(&self, limit: Limit, retry_after: Duration) -> TooMuch {
        self.0.metrics.limited(limit);
        TooMuch { limit, retry_after }
    }

    /// Counts a peer if this is how its connection ended: it took nothing for too long, and the system, or who wrote to it, gave
    /// it up.
    pub(crate) fn ended_by(&self, error: &io::Error) {
        let first: &(dyn Error + 'static) = error;
        let causes = iter::successors(Some(first), |error| (*error).source());
        let given_up = Some(Errno::TIMEDOUT.raw_os_error());
        let mut codes = causes.filter_map(|cause| cause.downcast_ref()).map(io::Error::raw_os_error);
        if codes.any(|code| code == given_up) {
            self.0.metrics.limited(Limit::Unacknowledged);
        }
    }

    fn shard(&self, prefix: Prefix) -> std::sync::MutexGuard<'_, HashMap<Prefix, u32>> {
        // No invariant can be broken by a panic between two statements.
        self.0.by_prefix[prefix.place(SHARDS)].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Rules {
    fn new(config: &config::Limits) -> Rules {
        let rate = |count: u32| NonZeroU32::new(count).map(|count| Rate::keyed(Quota::per_second(count)));
        Rules {
            config: config.clone(),
            connections_max: connections_max(config.connections, getrlimit(Resource::Nofile).current),
            new_connections: rate(config.new_connections_per_address),
            requests: rate(config.requests_per_address),
        }
    }

    /// Whether it is believed who the client is.
    pub(crate) fn trusts(&self, proxy: IpAddr) -> bool {
        within(&self.config.trusted_proxies, proxy)
    }

    fn is_exempt(&self, client: IpAddr) -> bool {
        within(&self.config.exempt, client) || self.trusts(client)
    }

    fn prefix(&self, client: IpAddr) -> Prefix {
        Prefix::of(client, self.config.ipv4_prefix, self.config.ipv6_prefix)
    }
}

impl Admission {
    /// The addresses that it is counted for; none: it isn't counted for any.
    pub(crate) fn prefix(&self) -> Option<Prefix> {
        self.prefix
    }

    /// Counts it for the client as well.
    ///
    /// # Errors
    /// When there are too many connections from its address, or too many new ones.
    pub(crate) fn identify(&mut self, client: IpAddr) -> Result<(), TooMuch> {
        let rules = self.limits.rules();
        if rules.is_exempt(client) {
            return Ok(());
        }
        let prefix = rules.prefix(client);
        if let Some(rate) = &rules.new_connections {
            check(rate, prefix)
                .map_err(|wait| self.limits.too_much(Limit::NewConnectionsPerAddress, wait))?;
        }
        let max = match rules.config.connections_per_address {
            0 => u32::MAX,
            max => max,
        };
        let mut shard = self.limits.shard(prefix);
        let count = shard.get(&prefix).copied().unwrap_or(0);
        if count >= max {
            drop(shard);
            return Err(self.limits.too_much(Limit::ConnectionsPerAddress, FULL_RETRY));
        }
        shard.insert(prefix, count + 1);
        drop(shard);
        self.prefix = Some(prefix);
        Ok(())
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        self.limits.0.connections.fetch_sub(1, Ordering::Relaxed);
        self.limits.0.metrics.connections.dec();
        if let Some(prefix) = self.prefix {
            let mut shard = self.limits.shard(prefix);
            match shard.get_mut(&prefix) {
                Some(count) if *count > 1 => *count -= 1,
                _ => drop(shard.remove(&prefix)),
            }
        }
    }
}

/// Counts one, or says how long to wait for the next.
fn check(rate: &Rate, prefix: Prefix) -> Result<(), Duration> {
    rate.check_key(&prefix).map_err(|not_until| not_until.wait_time_from(DefaultClock::default().now()))
}

/// As many as asked for, and as descriptors allow.
fn connections_max(wanted: usize, descriptors: Option<u64>) -> usize {
    let possible =
        descriptors.map_or(usize::MAX, |max| usize::try_from(max - max / SPARE_SHARE).unwrap_or(usize::MAX));
    if wanted == 0 { possible } else { wanted.min(possible) }
}

/// Forgets addresses that are at rest, and says in the log when limits were hit, until shutdown.
pub(crate) async fn sweep(limits: Limits, mut life: Life) {
    let mut told = 0;
    for second in 1_u64.. {
        if !life.rest(SWEEP_EVERY).await {
            return;
        }
        {
            let rules = limits.rules();
            for rate in [&rules.new_connections, &rules.requests].into_iter().flatten() {
                rate.retain_recent();
                rate.shrink_to_fit();
            }
        }
        let all = limits.0.metrics.limited_all();
        if second.is_multiple_of(TELL_EVERY_SWEEPS) && all > told {
            tracing::warn!(times = all - told, "limits were hit; floodtide_limited_total says which");
            told = all;
        }
    }
}

/// A rate is at rest after one second, so no more addresses are kept than come within two.
const SWEEP_EVERY: Duration = Duration::from_secs(1);
/// A flood makes one line in so many sweeps.
const TELL_EVERY_SWEEPS: u64 = 10;

#[cfg(test)]
impl Limits {
    /// As configured, without a server.
    pub(crate) fn alone(config: &config::Limits) -> Limits {
        let hub = hub::Hub::new(hub::Limits::default());
        let metrics = Metrics::new(&hub, &crate::sessions::Sessions::new(1));
        Limits::new(config, &Arc::new(metrics))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(config: &config::Limits) -> Limits {
        Limits::alone(config)
    }

    fn few() -> config::Limits {
        config::Limits {
            connections: 6,
            connections_per_address: 2,
            new_connections_per_address: 3,
            requests_per_address: 5,
            ..config::Limits::default()
        }
    }

    fn admit(limits: &Limits, address: &str) -> Result<Admission, Limit> {
        let mut admission = limits.enter().map_err(|e| e.limit)?;
        admission.identify(address.parse().unwrap()).map_err(|e| e.limit)?;
        Ok(admission)
    }

    #[test]
    fn an_address_has_so_many_connections_and_gets_one_back_when_one_ends() {
        let limits = limits(&config::Limits { new_connections_per_address: 0, ..few() });
        let first = admit(&limits, "9.9.9.9").unwrap();
        let _second = admit(&limits, "9.9.9.9").unwrap();
        assert_eq!(admit(&limits, "9.9.9.9").unwrap_err(), Limit::ConnectionsPerAddress);
        let _another = admit(&limits, "9.9.9.8").unwrap();
        drop(first);
        let _third = admit(&limits, "9.9.9.9").unwrap();
        assert_eq!(limits.0.metrics.limited_all(), 1);
    }

    #[test]
    fn addresses_of_one_ipv6_network_share_what_one_may_take() {
        let limits = limits(&config::Limits { new_connections_per_address: 0, ..few() });
        let _first = admit(&limits, "2001:db8:1:2::1").unwrap();
        let _second = admit(&limits, "2001:db8:1:2:ffff:ffff:ffff:fffe").unwrap();
        assert_eq!(admit(&limits, "2001:db8:1:2:3:4:5:6").unwrap_err(), Limit::ConnectionsPerAddress);
        let _beside = admit(&limits, "2001:db8:1:3::1").unwrap();
        let ask = |address: &str| limits.request(address.parse().unwrap()).map_err(|e| e.limit);
        assert!((0..5).all(|n| ask(&format!("2001:db8:1:2::{n}")).is_ok()));
        assert_eq!(ask("2001:db8:1:2::77"), Err(Limit::RequestsPerAddress));
        assert_eq!(ask("2001:db8:1:3::77"), Ok(()));
    }

    #[test]
    fn new_connections_of_one_ipv6_network_are_counted_together() {
        let limits = limits(&few());
        for n in 1..=3 {
            admit(&limits, &format!("2001:db8:1:2::{n}")).unwrap();
        }
        assert_eq!(admit(&limits, "2001:db8:1:2:9::").unwrap_err(), Limit::NewConnectionsPerAddress);
        admit(&limits, "2001:db8:1:3::1").unwrap();
    }

    #[test]
    fn nothing_is_kept_of_who_left() {
        let limits = limits(&few());
        drop((admit(&limits, "9.9.9.9").unwrap(), admit(&limits, "2001:db8::1").unwrap()));
        assert!(limits.0.by_prefix.iter().all(|shard| shard.lock().unwrap().is_empty()));
        assert_eq!(limits.0.connections.load(Ordering::Relaxed), 0);
        assert_eq!(limits.0.metrics.connections.get(), 0);
    }

    #[test]
    fn new_connections_are_counted_whether_or_not_old_ones_ended() {
        let limits = limits(&few());
        for _ in 0..3 {
            admit(&limits, "9.9.9.9").unwrap();
        }
        assert_eq!(admit(&limits, "9.9.9.9").unwrap_err(), Limit::NewConnectionsPerAddress);
        admit(&limits, "9.9.9.8").unwrap();
    }

    #[test]
    fn a_full_server_takes_nobody_not_even_the_exempt() {
        let limits = limits(&few());
        let _six: Vec<_> = (0..6).map(|_| admit(&limits, "127.0.0.1").unwrap()).collect();
        assert_eq!(admit(&limits, "127.0.0.1").unwrap_err(), Limit::Connections);
    }

    #[test]
    fn requests_are_counted_per_address_and_the_exempt_are_not() {
        let limits = limits(&few());
        let ask = |address: &str| limits.request(address.parse().unwrap());
        assert!((0..5).all(|_| ask("9.9.9.9").is_ok()));
        let refused = ask("9.9.9.9").unwrap_err();
        assert_eq!((refused.limit, refused.retry_after_s()), (Limit::RequestsPerAddress, 1));
        assert!((0..50).all(|_| ask("127.0.0.1").is_ok() && ask("::1").is_ok()));
    }

    #[test]
    fn new_rules_hold_for_who_comes_and_send_nobody_away() {
        let limits = limits(&few());
        let _two = [admit(&limits, "9.9.9.9").unwrap(), admit(&limits, "9.9.9.9").unwrap()];
        limits.apply(&config::Limits { connections_per_address: 1, ..few() });
        assert_eq!(admit(&limits, "9.9.9.9").unwrap_err(), Limit::ConnectionsPerAddress);
        limits.apply(&config::Limits { connections_per_address: 3, ..few() });
        admit(&limits, "9.9.9.9").unwrap();
    }

    #[test]
    fn a_fresh_install_takes_a_crowd_behind_one_address() {
        let config = config::Limits::default();
        let limits = limits(&config);
        let crowd: Vec<_> = (0..1000).map(|_| admit(&limits, "9.9.9.9").unwrap()).collect();
        assert!(crowd.len() * 8 <= config.connections_per_address as usize);
        assert!((0..8000).all(|_| limits.request("9.9.9.9".parse().unwrap()).is_ok()));
    }

    /// As libraries wrap what the system says.
    #[derive(Debug, thiserror::Error)]
    #[error("the connection ended")]
    struct Wrapped(#[source] io::Error);

    #[test]
    fn who_took_nothing_for_too_long_is_counted_whoever_says_so_and_nobody_else() {
        let limits = limits(&config::Limits::default());
        let given_up = || io::Error::from(Errno::TIMEDOUT);
        for error in [given_up(), io::Error::other(Wrapped(given_up()))] {
            limits.ended_by(&error);
        }
        // A cut connection, and a head that was late, which is counted elsewhere.
        for error in [Errno::CONNRESET.into(), io::ErrorKind::TimedOut.into()] {
            limits.ended_by(&error);
        }
        assert_eq!(limits.0.metrics.limited_all(), 2);
    }

    #[test]
    fn descriptors_are_left_for_ourselves() {
        assert_eq!(connections_max(0, Some(1024)), 896);
        assert_eq!(connections_max(5000, Some(1024)), 896);
        assert_eq!(connections_max(100, Some(1024)), 100);
        assert_eq!(connections_max(100, None), 100);
    }

    #[test]
    fn only_a_proxy_of_ours_is_believed_who_the_client_is() {
        let limits =
            limits(&config::Limits { trusted_proxies: vec!["10.0.0.0/8".parse().unwrap()], ..few() });
        let told =
            Told { x_forwarded_for: Some("9.9.9.9".to_owned()), forwarded: Some("8.8.8.8".to_owned()) };
        let client = |peer: &str| limits.client(peer.parse().unwrap(), &told).ip().to_string();
        assert_eq!(client("10.0.0.1:1"), "9.9.9.9");
        assert_eq!(client("11.0.0.1:1"), "11.0.0.1");
        assert!((0..50).all(|_| limits.request("10.0.0.1".parse().unwrap()).is_ok()));
    }
}
