//! Signed URLs: a query that somebody with the secret wrote, for players and encoders that know nothing of tokens.
//!
//! `act=play&path=live/*&expires=1800000000&ip=192.0.2.7&kid=a&sig=…`: `sig` is the HMAC-SHA256, in lower-case hexadecimal
//! digits, of these lines, each ended by a line feed, the last one too:
//!
//! ```text
//! floodtide-url-v1
//! KID
//! ACT
//! PATH
//! EXPIRES
//! IP (empty if there is none)
//! ```
//!
//! The values are signed as text before they are encoded for the URL. Other parameters of the query are not signed.

use super::Action;
use super::jwt::Network;
use super::keys::hex;
use super::pattern::Pattern;
use crate::config::SignedUrl;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;
use hub::BroadcastPath;
use std::borrow::Cow;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

/// The keys that URLs may be signed with.
#[derive(Clone, Debug, Default)]
pub struct UrlKeys {
    keys: Vec<UrlKey>,
}

#[derive(Clone, Debug)]
struct UrlKey {
    kid: String,
    path: Pattern,
    key: hmac::Key,
}

/// What a good URL says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedUrl {
    /// The key that signed it.
    pub kid: String,
    /// When the right ends.
    pub expires: SystemTime,
}

/// What a URL shall allow.
#[derive(Clone, Debug)]
pub struct UrlRight {
    /// To publish rather than to play.
    pub publish: bool,
    /// Where.
    pub path: Pattern,
    /// When it ends; to the second.
    pub expires: SystemTime,
    /// The only addresses that it is good for.
    pub ip: Option<Network>,
}

/// Why a signed URL is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// Something is missing, said twice or unreadable.
    #[error("the signed URL is malformed: {0}")]
    Malformed(&'static str),
    /// No key of ours signed this.
    #[error("the signed URL has a wrong signature")]
    Signature,
    /// Its time is over.
    #[error("the signed URL has expired")]
    Expired,
    /// It is for other broadcasts.
    #[error("the signed URL is for another path")]
    Path,
    /// It is for playing and not for publishing, or the other way round.
    #[error("the signed URL is for another action")]
    Action,
    /// It is for another client.
    #[error("the signed URL is for another address")]
    Address,
}

/// The signed parameters as they stand in a query.
#[derive(Default)]
struct Parameters<'a> {
    act: Option<Cow<'a, str>>,
    path: Option<Cow<'a, str>>,
    expires: Option<Cow<'a, str>>,
    ip: Option<Cow<'a, str>>,
    kid: Option<Cow<'a, str>>,
    sig: Option<Cow<'a, str>>,
}

/// A URL that passes a proxy has at most 8 kB.
const QUERY_BYTES_MAX: usize = 8 << 10;
/// The first line, so that a signature made for something else never fits.
const VERSION: &str = "floodtide-url-v1";

/// Whether a query claims to be signed.
pub fn is_signed(query: &str) -> bool {
    query.split('&').any(|pair| pair.starts_with("sig="))
}

impl UrlKeys {
    /// The keys of the configuration.
    pub fn new(rules: &[SignedUrl]) -> UrlKeys {
        let key = |rule: &SignedUrl| UrlKey {
            kid: rule.kid.clone(),
            path: rule.path.clone(),
            key: hmac::Key::new(hmac::HMAC_SHA256, rule.secret.as_bytes()),
        };
        UrlKeys { keys: rules.iter().map(key).collect() }
    }

    /// Whether there is no key, so that no signed URL is good.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Whether a query allows `action` on `path`.
    ///
    /// # Errors
    /// When it doesn't; what it says is only told to who signed it rightly.
    pub(crate) fn verify(
        &self,
        query: &str,
        action: Action,
        path: &BroadcastPath,
        peer: IpAddr,
        now: SystemTime,
    ) -> Result<VerifiedUrl, UrlError> {
        let found = Parameters::read(query)?;
        let kid = found.kid.as_deref().ok_or(UrlError::Malformed("it has no kid"))?;
        let act = found.act.as_deref().ok_or(UrlError::Malformed("it has no act"))?;
        let pattern = found.path.as_deref().ok_or(UrlError::Malformed("it has no path"))?;
        let expires = found.expires.as_deref().ok_or(UrlError::Malformed("it has no expires"))?;
        let given = found.sig.as_deref().ok_or(UrlError::Malformed("it has no sig"))?;
        let ip = found.ip.as_deref().unwrap_or_default();
        let key = self.keys.iter().find(|key| key.kid == kid).ok_or(UrlError::Signature)?;
        let right = key.sign(act, pattern, expires, ip);
        if verify_slices_are_equal(given.as_bytes(), right.as_bytes()).is_err() {
            return Err(UrlError::Signature);
        }
        let expires =
            moment(expires).ok_or(UrlError::Malformed("its expires is no number of seconds since 1970"))?;
        if expires <= now {
            return Err(UrlError::Expired);
        }
        if act != action.as_str() {
            return Err(UrlError::Action);
        }
        let pattern: Pattern = pattern.parse().map_err(|_| UrlError::Malformed("its path is no pattern"))?;
        if !pattern.matches(path) || !key.path.matches(path) {
            return Err(UrlError::Path);
        }
        if !ip.is_empty() {
            let network: Network =
                ip.parse().map_err(|_| UrlError::Malformed("its ip is no address or network"))?;
            if !network.contains(peer) {
                return Err(UrlError::Address);
            }
        }
        Ok(VerifiedUrl { kid: key.kid.clone(), expires })
    }

    /// A signed query, by the first key or the one of this name. `None` if there is none, or the time can't be written.
    pub fn sign(&self, kid: Option<&str>, right: &UrlRight) -> Option<String> {
        let key = self.keys.iter().find(|key| kid.is_none_or(|kid| key.kid == kid))?;
        let act = if right.publish { Action::Publish } else { Action::Play }.as_str();
        let expires = right.expires.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_secs().to_string();
        moment(&expires)?;
        let path = right.path.as_str();
        let ip = right.ip.map(|ip| ip.to_string()).unwrap_or_default();
        let signature = key.sign(act, path, &expires, &ip);
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("act", act).append_pair("path", path).append_pair("expires", &expires);
        if !ip.is_empty() {
            query.append_pair("ip", &ip);
        }
        Some(query.append_pair("kid", &key.kid).append_pair("sig", &signature).finish())
    }
}

impl UrlKey {
    fn sign(&self, act: &str, path: &str, expires: &str, ip: &str) -> String {
        let text = format!("{VERSION}\n{}\n{act}\n{path}\n{expires}\n{ip}\n", self.kid);
        hex(hmac::sign(&self.key, text.as_bytes()).as_ref())
    }
}

impl<'a> Parameters<'a> {
    fn read(query: &'a str) -> Result<Parameters<'a>, UrlError> {
        if query.len() > QUERY_BYTES_MAX {
            return Err(UrlError::Malformed("it is too long"));
        }
        let mut found = Parameters::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let place = match &*name {
                "act" => &mut found.act,
                "path" => &mut found.path,
                "expires" => &mut found.expires,
                "ip" => &mut found.ip,
                "kid" => &mut found.kid,
                "sig" => &mut found.sig,
                _ => continue,
            };
            // A line feed would let one value pass for two.
            if value.contains('\n') {
                return Err(UrlError::Malformed("a value has a line feed"));
            }
            if place.replace(value).is_some() {
                return Err(UrlError::Malformed("a parameter stands twice"));
            }
        }
        Ok(found)
    }
}

/// Seconds since 1970, at most those of the year 9999.
fn moment(text: &str) -> Option<SystemTime> {
    let is_plain = (1..=12).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    let seconds = is_plain.then(|| text.parse::<u64>().ok()).flatten()?;
    (seconds <= 253_402_300_799).then(|| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests;
