//! Who may administrate: nobody from elsewhere until a credential exists, then whoever has one.

use super::problem::Problem;
use crate::auth::jwt::{Role, Tokens};
use crate::auth::keys::Hash;
use crate::config::{AdminToken, Config};
use crate::gateway::random_bytes;
use crate::reload::Reloader;
use arc_swap::ArcSwapOption;
use axum::extract::Request;
use axum::http::header::{AUTHORIZATION, COOKIE, FORWARDED, HOST, HeaderMap, HeaderName, ORIGIN};
use axum::http::{Method, Uri};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

/// Decides about requests.
#[derive(Debug)]
pub(super) struct Access {
    reloader: Reloader,
    known: ArcSwapOption<Credentials>,
    logins: Mutex<HashMap<Hash, Login>>,
    failures: Mutex<HashMap<IpAddr, Failures>>,
}

/// Where a request comes from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer {
    pub(super) ip: IpAddr,
}

/// Who sends a request.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    pub(super) name: String,
    pub(super) role: Role,
    /// Whether it showed a credential; without, it is this machine.
    pub(super) known: bool,
}

/// What may be presented, as the running configuration says.
#[derive(Debug)]
struct Credentials {
    config: Arc<Config>,
    tokens: Vec<(Hash, AdminToken)>,
    jwt: Tokens,
}

/// Somebody's cookie. The credential behind it is looked at again each time, so that a reload that removes it ends it.
#[derive(Debug)]
struct Login {
    credential: String,
    until: Instant,
}

/// Wrong credentials from one address.
#[derive(Clone, Copy, Debug)]
struct Failures {
    since: Instant,
    count: u32,
}

/// The cookie of a login.
pub(super) const COOKIE_NAME: &str = "floodtide_admin";
/// How long a login lasts: a day at work.
pub(super) const LOGIN_TIME_MAX: Duration = Duration::from_secs(12 * 3600);
/// Logins at a time; one more ends the oldest.
const LOGINS_MAX: usize = 256;
/// Wrong credentials from one address before it has to wait.
const FAILURES_MAX: u32 = 10;
/// How long it waits.
const FAILURES_TIME: Duration = Duration::from_secs(60);
/// Addresses that are remembered for that; more than that many attackers are slowed down together.
const FAILURES_ADDRESSES_MAX: usize = 1024;
/// What proxies add. Behind one, everybody looks like this machine.
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

impl Access {
    pub(super) fn new(reloader: &Reloader) -> Access {
        Access {
            reloader: reloader.clone(),
            known: ArcSwapOption::empty(),
            logins: Mutex::default(),
            failures: Mutex::default(),
        }
    }

    /// Whether a request may have this role.
    pub(super) fn admit(&self, peer: Peer, request: &Request, role: Role) -> Result<Caller, Problem> {
        let headers = request.headers();
        self.way(peer, headers)?;
        let credentials = self.credentials()?;
        let caller = if !credentials.exist() {
            Caller { name: "this machine".to_owned(), role: Role::Admin, known: false }
        } else if let Some(token) = bearer(headers) {
            self.counted(peer, &credentials, token)?
        } else if let Some(cookie) = cookie(headers) {
            // A page of another origin can't send our cookie (SameSite), but one of another port of this host can.
            if *request.method() != Method::GET {
                same_origin(headers)?;
            }
            let login = self.login_of(cookie).ok_or_else(|| Problem::unauthorized("log in again"))?;
            credentials.who(&login, peer).ok_or_else(|| Problem::unauthorized("log in again"))?
        } else {
            return Err(Problem::unauthorized(
                "a credential is needed: Authorization: Bearer TOKEN, or POST /v1/login",
            ));
        };
        if caller.role < role {
            let (needs, has) = (role.as_str(), caller.role.as_str());
            return Err(Problem::forbidden(format!("this needs the role {needs}; yours is {has}")));
        }
        Ok(caller)
    }

    /// Whether a request comes a way that is allowed. While no credential exists, that is from this machine, by no proxy and
    /// from no page of somebody else, whatever name it gave to this address.
    pub(super) fn way(&self, peer: Peer, headers: &HeaderMap) -> Result<(), Problem> {
        if self.credentials()?.exist() {
            return Ok(());
        }
        if !peer.ip.to_canonical().is_loopback() {
            return Err(Problem::forbidden(
                "no credential is configured, so only this machine may administrate: add [[admin.token]]",
            ));
        }
        if headers.contains_key(FORWARDED) || headers.contains_key(FORWARDED_FOR) {
            return Err(Problem::forbidden(
                "this came through a proxy, and no credential is configured: add [[admin.token]]",
            ));
        }
        let host = host(headers).unwrap_or_default();
        if !is_address(&host) {
            return Err(Problem::forbidden(
                "ask by an address, as http://127.0.0.1:9080: while no credential is configured, names are refused, since \
                 anyone's may mean this address",
            ));
        }
        same_origin(headers)
    }

    /// Takes a credential for a cookie's value.
    pub(super) fn login(&self, peer: Peer, credential: &str) -> Result<(Caller, String), Problem> {
        let credentials = self.credentials()?;
        if !credentials.exist() {
            return Err(Problem::bad_request("no credential is configured, and none is needed here"));
        }
        let caller = self.counted(peer, &credentials, credential)?;
        let random: [u8; 24] = random_bytes().map_err(|error| {
            Problem::new(axum::http::StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
        })?;
        let value = URL_SAFE_NO_PAD.encode(random);
        let login = Login { credential: credential.to_owned(), until: Instant::now() + LOGIN_TIME_MAX };
        let mut logins = lock(&self.logins);
        if logins.len() >= LOGINS_MAX {
            let oldest = logins.iter().min_by_key(|(_, login)| login.until).map(|(hash, _)| *hash);
            oldest.map(|hash| logins.remove(&hash));
        }
        logins.insert(Hash::of(&value), login);
        Ok((caller, value))
    }

    /// Ends the login of a request, if it has one.
    pub(super) fn logout(&self, headers: &HeaderMap) -> Result<(), Problem> {
        if let Some(value) = cookie(headers) {
            same_origin(headers)?;
            lock(&self.logins).remove(&Hash::of(value));
        }
        Ok(())
    }

    fn login_of(&self, value: &str) -> Option<String> {
        let now = Instant::now();
        let mut logins = lock(&self.logins);
        logins.retain(|_, login| login.until > now);
        logins.get(&Hash::of(value)).map(|login| login.credential.clone())
    }

    /// Who a credential is; wrong ones are counted.
    fn counted(&self, peer: Peer, credentials: &Credentials, token: &str) -> Result<Caller, Problem> {
        let (now, key) = (Instant::now(), prefix(peer.ip));
        let mut failures = lock(&self.failures);
        failures.retain(|_, f| now.saturating_duration_since(f.since) < FAILURES_TIME);
        // Beyond the bound, all the others share one place.
        let full = failures.len() >= FAILURES_ADDRESSES_MAX && !failures.contains_key(&key);
        let key = if full { IpAddr::V6(Ipv6Addr::UNSPECIFIED) } else { key };
        if let Some(failed) = failures.get(&key).filter(|f| f.count >= FAILURES_MAX) {
            let left = FAILURES_TIME.saturating_sub(now.saturating_duration_since(failed.since));
            return Err(Problem::later(left.as_secs() + 1, "too many wrong credentials; wait a minute"));
        }
        if let Some(caller) = credentials.who(token, peer) {
            return Ok(caller);
        }
        let failed = failures.entry(key).or_insert(Failures { since: now, count: 0 });
        failed.count += 1;
        drop(failures);
        tracing::warn!("an administrator's credential is wrong");
        Err(Problem::unauthorized("the credential is wrong, or its time is over"))
    }

    /// Those of the running configuration.
    fn credentials(&self) -> Result<Arc<Credentials>, Problem> {
        let config = self.reloader.running();
        if let Some(known) = self.known.load_full().filter(|known| Arc::ptr_eq(&known.config, &config)) {
            return Ok(known);
        }
        let credentials = Credentials::new(config).map_err(|error| {
            tracing::error!(%error, "nobody may administrate");
            Problem::new(axum::http::StatusCode::SERVICE_UNAVAILABLE, "a key of [[auth.jwt]] can't be read")
        })?;
        let credentials = Arc::new(credentials);
        self.known.store(Some(Arc::clone(&credentials)));
        Ok(credentials)
    }
}

impl Credentials {
    fn new(config: Arc<Config>) -> Result<Credentials, crate::auth::jwt::RuleError> {
        let hash = |token: &AdminToken| match (&token.token, &token.token_sha256) {
            (Some(secret), _) => Some(Hash::of(secret)),
            (None, hex) => hex.as_deref()?.parse().ok(),
        };
        let tokens = config.admin.token.iter().filter_map(|t| Some((hash(t)?, t.clone()))).collect();
        let jwt = Tokens::new(&config.auth.jwt)?;
        Ok(Credentials { config, tokens, jwt })
    }

    fn exist(&self) -> bool {
        !self.tokens.is_empty() || self.jwt.somebody_may_administrate()
    }

    /// Hashes are compared: what an attacker sends says nothing about how near its hash is.
    fn who(&self, token: &str, peer: Peer) -> Option<Caller> {
        let hash = Hash::of(token);
        if let Some((_, found)) = self.tokens.iter().find(|(known, _)| *known == hash) {
            return Some(Caller { name: found.name.clone(), role: found.role, known: true });
        }
        let found = self.jwt.verify_administrator(token, peer.ip, SystemTime::now()).ok()?;
        let name = found.verified.subject.unwrap_or(found.verified.rule);
        Some(Caller { name, role: found.role, known: true })
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// RFC 6265 §5.4: `a=b; c=d`.
fn cookie(headers: &HeaderMap) -> Option<&str> {
    let pairs =
        headers.get_all(COOKIE).into_iter().filter_map(|v| v.to_str().ok()).flat_map(|v| v.split(';'));
    pairs
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, _)| *name == COOKIE_NAME)
        .map(|(_, v)| v)
}

/// `Host` without a port, brackets left off.
fn host(headers: &HeaderMap) -> Option<String> {
    let authority: axum::http::uri::Authority = headers.get(HOST)?.to_str().ok()?.parse().ok()?;
    Some(authority.host().trim_start_matches('[').trim_end_matches(']').to_owned())
}

fn is_address(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok()
}

/// Refuses what a page of another origin sends. Programs send no `Origin`.
fn same_origin(headers: &HeaderMap) -> Result<(), Problem> {
    let Some(origin) = headers.get(ORIGIN) else { return Ok(()) };
    let uri = origin.to_str().ok().and_then(|text| text.parse::<Uri>().ok());
    let theirs = uri.as_ref().and_then(Uri::authority).map(axum::http::uri::Authority::as_str);
    let ours = headers.get(HOST).and_then(|host| host.to_str().ok());
    if theirs.is_some() && theirs == ours {
        Ok(())
    } else {
        Err(Problem::forbidden("a page of another origin may not administrate"))
    }
}

/// An IPv6 network of 64 bits is one person's.
fn prefix(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6((u128::from(v6) & !u128::from(u64::MAX)).into()),
        v4 => v4,
    }
}

/// No invariant of these maps can be broken by a panic between two statements.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(HeaderName, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect()
    }

    #[test]
    fn hosts_that_are_addresses_are_told_from_names() {
        for (value, expect) in [
            ("127.0.0.1:9080", true),
            ("[::1]:9080", true),
            ("localhost", true),
            ("evil.example:9080", false),
            ("127.0.0.1.evil.example", false),
            ("localhost.evil.example", false),
        ] {
            let host = host(&headers(&[(HOST, value)])).unwrap();
            assert_eq!(is_address(&host), expect, "{value}");
        }
    }

    #[test]
    fn only_pages_of_the_same_origin_pass() {
        let check = |origin| same_origin(&headers(&[(HOST, "127.0.0.1:9080"), (ORIGIN, origin)])).is_ok();
        assert!(check("http://127.0.0.1:9080"));
        assert!(!check("http://127.0.0.1:8080"), "the player's port is another origin");
        assert!(!check("null"));
        assert!(!check("https://evil.example"));
        assert!(same_origin(&headers(&[(HOST, "127.0.0.1:9080")])).is_ok(), "a program");
    }

    #[test]
    fn cookies_and_tokens_are_found_among_others() {
        let all = headers(&[(COOKIE, "a=b; floodtide_admin=x; c=d"), (AUTHORIZATION, "bearer  y ")]);
        assert_eq!((cookie(&all), bearer(&all)), (Some("x"), Some("y")));
        let others = headers(&[(COOKIE, "xfloodtide_admin=x"), (AUTHORIZATION, "Basic y")]);
        assert_eq!((cookie(&others), bearer(&others)), (None, None));
    }
}
