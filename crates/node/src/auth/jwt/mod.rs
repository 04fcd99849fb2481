//! Tokens (JWT, RFC 7519): claims that somebody with the right key signed.
//!
//! The algorithm belongs to the key, never to the token: a token that says another one is refused, `none` among them.
//! Signatures are checked by a library; what the claims mean is decided here, with `now` as an argument.

mod claims;
mod known;
mod mint;

pub use mint::{Mint, MintError, Right, Signer};

use super::Action;
use super::pattern::Pattern;
use crate::config::Jwt;
use claims::Claims;
pub use claims::Network;
use hub::BroadcastPath;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use known::{Genuine, Known};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// The keys that tokens may be signed with.
#[derive(Clone, Debug, Default)]
pub struct Tokens {
    rules: Vec<Rule>,
    known: Arc<Known>,
}

#[derive(Clone, Debug)]
struct Rule {
    id: String,
    kid: Option<String>,
    key: DecodingKey,
    validation: Validation,
    audience: Option<String>,
    issuer: Option<String>,
    leeway: Duration,
    path: Pattern,
    admin: bool,
}

/// What a token shall allow.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'a> {
    pub(crate) action: Action,
    pub(crate) path: &'a BroadcastPath,
    pub(crate) peer: IpAddr,
}

/// What a good token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// The key that it was checked by: its `kid`, or `jwt` and its number.
    pub rule: String,
    /// Its `sub`.
    pub subject: Option<String>,
    /// When the right ends.
    pub expires: SystemTime,
}

/// What a good token of an administrator says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Administrator {
    /// What it may do.
    pub role: Role,
    /// The rest.
    pub verified: Verified,
}

/// What an administrator may do. Each may do what those before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Look.
    Viewer,
    /// End sessions, take broadcasts over.
    Operator,
    /// Change keys and configuration.
    Admin,
}

impl Role {
    /// As in tokens and the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Viewer => "viewer",
            Role::Operator => "operator",
            Role::Admin => "admin",
        }
    }
}

/// Why a token is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It can't be read.
    #[error("the token is malformed: {0}")]
    Malformed(&'static str),
    /// No key of ours signed it.
    #[error("the token has a wrong signature")]
    Signature,
    /// Its time is over.
    #[error("the token has expired")]
    Expired,
    /// Its time comes later.
    #[error("the token is not yet valid")]
    NotYet,
    /// It is meant for another service.
    #[error("the token is for another audience")]
    Audience,
    /// Somebody else issued it.
    #[error("the token is from another issuer")]
    Issuer,
    /// It is for other broadcasts.
    #[error("the token is for another path")]
    Path,
    /// It is for playing and not for publishing, or the other way round, or for neither.
    #[error("the token is for another action")]
    Action,
    /// It is for another client.
    #[error("the token is for another address")]
    Address,
}

/// Why a key can't be used.
#[derive(Debug, thiserror::Error)]
pub enum RuleError {
    /// The file can't be read.
    #[error("can't read auth.jwt.public_key {path}: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file holds something else.
    #[error(
        "auth.jwt.public_key {path} is no public key in PEM of RSA, of P-256 (ES256) or of Ed25519 (EdDSA): \
         openssl pkey -in PRIVATE.pem -pubout"
    )]
    NoKey {
        /// The file.
        path: PathBuf,
    },
    /// The configuration has neither a secret nor a file, which its check refuses.
    #[error("auth.jwt: set either secret or public_key")]
    Neither,
}

/// A token stands in a URL or a header, which are bounded as well; ours have some 300 bytes.
pub const TOKEN_BYTES_MAX: usize = 8 << 10;
/// A PEM file of an RSA key of 16,384 bits has 3 kB.
const PEM_BYTES_MAX: usize = 64 << 10;
/// Uncompressed, SEC 1 §2.3.3.
const P256_BYTES: usize = 65;

impl Tokens {
    /// The keys of the configuration.
    ///
    /// # Errors
    /// When a file can't be read or holds no public key.
    pub fn new(rules: &[Jwt]) -> Result<Tokens, RuleError> {
        let rules = rules.iter().enumerate().map(|(at, rule)| Rule::new(at + 1, rule));
        Ok(Tokens { rules: rules.collect::<Result<_, _>>()?, known: Arc::default() })
    }

    /// Whether there is no key, so that no token is good.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Whether some key may sign tokens of administrators.
    pub fn somebody_may_administrate(&self) -> bool {
        self.rules.iter().any(|rule| rule.admin)
    }

    /// Whether a token allows what is wanted.
    ///
    /// # Errors
    /// When it doesn't. A token of an administrator allows neither to publish nor to play.
    pub(crate) fn verify(
        &self,
        token: &str,
        wanted: &Wanted<'_>,
        now: SystemTime,
    ) -> Result<Verified, TokenError> {
        let (rule, claims) = self.genuine(token, wanted.peer, now)?;
        if claims.role.is_some() || !claims.allows(wanted.action) {
            return Err(TokenError::Action);
        }
        let pattern = claims.path.as_deref().ok_or(TokenError::Malformed("it has no path"))?;
        let pattern: Pattern =
            pattern.parse().map_err(|_| TokenError::Malformed("its path is no pattern"))?;
        if !pattern.matches(wanted.path) || !rule.path.matches(wanted.path) {
            return Err(TokenError::Path);
        }
        rule.verified(&claims)
    }

    /// Whether a token is one of an administrator.
    ///
    /// # Errors
    /// When it isn't good, has no role, or its key may not sign such tokens.
    pub fn verify_administrator(
        &self,
        token: &str,
        peer: IpAddr,
        now: SystemTime,
    ) -> Result<Administrator, TokenError> {
        let (rule, claims) = self.genuine(token, peer, now)?;
        match claims.role {
            Some(role) if rule.admin && claims.act.is_none() => {
                Ok(Administrator { role, verified: rule.verified(&claims)? })
            }
            _ => Err(TokenError::Action),
        }
    }

    /// The first key that a token is good by, and what it claims; not yet whether that is enough.
    fn genuine(
        &self,
        token: &str,
        peer: IpAddr,
        now: SystemTime,
    ) -> Result<(&Rule, Arc<Claims>), TokenError> {
        let holds = |known: Genuine| {
            let rule = self.rules.get(known.key)?;
            rule.check(&known.claims, peer, now).is_ok().then_some((rule, known.claims))
        };
        match self.known.of(token).and_then(holds) {
            Some(good) => Ok(good),
            None => self.read(token, peer, now),
        }
    }

    /// The same from the token alone.
    fn read(&self, token: &str, peer: IpAddr, now: SystemTime) -> Result<(&Rule, Arc<Claims>), TokenError> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(TokenError::Malformed("it is too long"));
        }
        let header = jsonwebtoken::decode_header(token).map_err(|_| {
            TokenError::Malformed("its header can't be read, or names an algorithm that nobody may use")
        })?;
        if header.crit.is_some() {
            // RFC 7515 §4.1.11: what we must understand and don't.
            return Err(TokenError::Malformed("it has critical headers"));
        }
        let mut refused = TokenError::Signature;
        for (key, rule) in self.rules.iter().enumerate() {
            let is_meant = rule.kid.is_none() || header.kid.is_none() || rule.kid == header.kid;
            if !is_meant || !rule.validation.algorithms.contains(&header.alg) {
                continue;
            }
            match rule.claims(token, peer, now) {
                Ok(claims) => {
                    let claims = Arc::new(claims);
                    self.known.learn(token, Genuine { key, claims: Arc::clone(&claims) });
                    return Ok((rule, claims));
                }
                // A signature that another key doesn't know says less than what was wrong behind a good one.
                Err(TokenError::Signature) => {}
                Err(error) => refused = error,
            }
        }
        Err(refused)
    }
}

impl Rule {
    fn new(number: usize, rule: &Jwt) -> Result<Rule, RuleError> {
        let (algorithm, key) = match (&rule.secret, &rule.public_key) {
            (Some(secret), _) => (Algorithm::HS256, DecodingKey::from_secret(secret.as_bytes())),
            (None, Some(path)) => read_public_key(path)?,
            (None, None) => return Err(RuleError::Neither),
        };
        let mut validation = Validation::new(algorithm);
        // The library would ask the clock; claims are looked at here.
        validation.validate_exp = false;
        validation.validate_aud = false;
        validation.required_spec_claims.clear();
        Ok(Rule {
            id: rule.kid.clone().unwrap_or_else(|| format!("jwt {number}")),
            kid: rule.kid.clone(),
            key,
            validation,
            audience: rule.audience.clone(),
            issuer: rule.issuer.clone(),
            leeway: rule.leeway.0,
            path: rule.path.clone(),
            admin: rule.admin,
        })
    }

    /// The claims of a token that this key signed and that holds now, here and for this client.
    fn claims(&self, token: &str, peer: IpAddr, now: SystemTime) -> Result<Claims, TokenError> {
        let token = jsonwebtoken::decode::<Claims>(token, &self.key, &self.validation);
        let claims = token.map_err(|error| unreadable(&error))?.claims;
        self.check(&claims, peer, now)?;
        Ok(claims)
    }

    /// Whether what a genuine token claims holds now, here and for this client.
    fn check(&self, claims: &Claims, peer: IpAddr, now: SystemTime) -> Result<(), TokenError> {
        if claims.expires()?.checked_add(self.leeway).is_none_or(|end| end <= now) {
            return Err(TokenError::Expired);
        }
        if claims.begins()?.is_some_and(|begin| now.checked_add(self.leeway).is_some_and(|soon| soon < begin))
        {
            return Err(TokenError::NotYet);
        }
        if !claims.is_for(self.audience.as_deref()) {
            return Err(TokenError::Audience);
        }
        if self.issuer.is_some() && self.issuer != claims.iss {
            return Err(TokenError::Issuer);
        }
        if !claims.comes_from(peer)? {
            return Err(TokenError::Address);
        }
        Ok(())
    }

    fn verified(&self, claims: &Claims) -> Result<Verified, TokenError> {
        let expires = claims.expires()?.checked_add(self.leeway).ok_or(TokenError::Expired)?;
        Ok(Verified { rule: self.id.clone(), subject: claims.sub.clone(), expires })
    }
}

fn unreadable(error: &jsonwebtoken::errors::Error) -> TokenError {
    use jsonwebtoken::errors::ErrorKind;
    match error.kind() {
        ErrorKind::Json(_) | ErrorKind::Utf8(_) => TokenError::Malformed("its claims can't be read"),
        _ => TokenError::Signature,
    }
}

/// A public key and the one algorithm that it is for.
fn read_public_key(path: &Path) -> Result<(Algorithm, DecodingKey), RuleError> {
    let pem =
        std::fs::read(path).map_err(|source| RuleError::Unreadable { path: path.to_owned(), source })?;
    public_key(&pem).ok_or_else(|| RuleError::NoKey { path: path.to_owned() })
}

fn public_key(pem: &[u8]) -> Option<(Algorithm, DecodingKey)> {
    // A private key doesn't belong on a server that only checks.
    if pem.len() > PEM_BYTES_MAX || !String::from_utf8_lossy(pem).contains("PUBLIC KEY-----") {
        return None;
    }
    if let Ok(key) = DecodingKey::from_ed_pem(pem) {
        return Some((Algorithm::EdDSA, key));
    }
    if let Ok(key) = DecodingKey::from_ec_pem(pem) {
        return (key.try_get_as_bytes().ok()?.len() == P256_BYTES).then_some((Algorithm::ES256, key));
    }
    DecodingKey::from_rsa_pem(pem).ok().map(|key| (Algorithm::RS256, key))
}

#[cfg(test)]
mod tests;
