//! Making tokens.

use super::claims::{Claims, Network, OneOrMany};
use super::{Role, TOKEN_BYTES_MAX};
use crate::auth::pattern::Pattern;
use crate::config::Jwt;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use std::time::SystemTime;

/// What a new token shall say.
#[derive(Clone, Debug)]
pub struct Mint {
    /// What it allows.
    pub right: Right,
    /// When it ends; to the second.
    pub expires: SystemTime,
    /// Whom it is for, for logs.
    pub subject: Option<String>,
    /// The only addresses that it is good for.
    pub ip: Option<Network>,
}

/// What a token allows.
#[derive(Clone, Debug)]
pub enum Right {
    /// To publish there.
    Publish(Pattern),
    /// To play there.
    Play(Pattern),
    /// To administrate.
    Administrate(Role),
}

/// Signs tokens by a shared secret.
#[derive(Debug)]
pub struct Signer {
    rule: Jwt,
    key: EncodingKey,
}

/// Why a token can't be made.
#[derive(Debug, thiserror::Error)]
pub enum MintError {
    /// No `[[auth.jwt]]` with a secret fits.
    #[error(
        "no [[auth.jwt]] with a secret {0}: add one with secret = \"…\" (openssl rand -base64 32) to the configuration"
    )]
    NoSecret(String),
    /// The key may not.
    #[error(
        "tokens of this key may not administrate: set admin = true in its [[auth.jwt]], or name another by --kid"
    )]
    NotAdmin,
    /// The time is no time.
    #[error("the time that the token ends can't be written: choose a shorter one")]
    Time,
    /// The library refuses, or the token would be refused for its length.
    #[error("can't sign the token: {0}")]
    Signing(String),
}

impl Signer {
    /// The first key with a secret, of this name if one is given, and which may administrate if that is wanted.
    ///
    /// # Errors
    /// When there is none.
    pub fn choose(rules: &[Jwt], kid: Option<&str>, right: &Right) -> Result<Signer, MintError> {
        let named = || rules.iter().filter(|rule| kid.is_none() || rule.kid.as_deref() == kid);
        let mut able = named().filter(|rule| rule.secret.is_some());
        let is_fit = |rule: &&Jwt| rule.admin || !matches!(right, Right::Administrate(_));
        let rule = match able.clone().find(is_fit) {
            Some(rule) => rule,
            None if able.next().is_some() => return Err(MintError::NotAdmin),
            None => {
                let name = kid.map_or_else(|| "is configured".to_owned(), |kid| format!("is called {kid:?}"));
                return Err(MintError::NoSecret(name));
            }
        };
        let secret = rule.secret.as_deref().unwrap_or_default();
        Ok(Signer { rule: rule.clone(), key: EncodingKey::from_secret(secret.as_bytes()) })
    }

    /// A token.
    ///
    /// # Errors
    /// When its times can't be written, or it would be too long.
    pub fn mint(&self, mint: &Mint) -> Result<String, MintError> {
        let seconds =
            mint.expires.duration_since(SystemTime::UNIX_EPOCH).map_err(|_| MintError::Time)?.as_secs();
        let (act, path, role) = match &mint.right {
            Right::Publish(path) => (Some("publish"), Some(path), None),
            Right::Play(path) => (Some("play"), Some(path), None),
            Right::Administrate(role) => (None, None, Some(*role)),
        };
        let claims = Claims {
            exp: Some(seconds as f64),
            aud: self.rule.audience.clone().map(OneOrMany::One),
            iss: self.rule.issuer.clone(),
            sub: mint.subject.clone(),
            act: act.map(|act| OneOrMany::One(act.to_owned())),
            path: path.map(ToString::to_string),
            ip: mint.ip.map(|ip| ip.to_string()),
            role,
            nbf: None,
        };
        claims.expires().map_err(|_| MintError::Time)?;
        let header = Header { kid: self.rule.kid.clone(), ..Header::new(Algorithm::HS256) };
        let token = jsonwebtoken::encode(&header, &claims, &self.key);
        let token = token.map_err(|error| MintError::Signing(error.to_string()))?;
        if token.len() > TOKEN_BYTES_MAX {
            return Err(MintError::Signing(format!("it has more than {TOKEN_BYTES_MAX} bytes")));
        }
        Ok(token)
    }
}
