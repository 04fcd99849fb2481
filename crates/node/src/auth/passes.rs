//! Passes: what a stage signs. An invitation lets somebody become a member, a pass says who is one, and during a match a third kind lets
//! the audience of one broadcast see the other. They are JWT (RFC 7519) by a key that this process made for itself: they hold as
//! long as its stages do, and what they open is decided by the stage as it is then.

use crate::stage::{Nonce, StageError};
use hub::BroadcastPath;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::{Duration, SystemTime};

/// Signs and reads them.
pub(crate) struct Passes {
    signing: EncodingKey,
    checking: DecodingKey,
    validation: Validation,
    /// The first part of every one of them.
    header: String,
}

/// What a good one says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pass {
    pub(crate) kind: Kind,
    /// The stage, or for [`Kind::Match`] the broadcast whose audience it is for.
    pub(crate) path: BroadcastPath,
    /// The member's name; empty for [`Kind::Match`].
    pub(crate) name: String,
    pub(crate) nonce: Nonce,
    pub(crate) expires: SystemTime,
}

/// What it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    Invitation,
    Member,
    Match,
}

/// RFC 7519 §4.1.
#[derive(Debug, Serialize, Deserialize)]
struct Claims {
    exp: u64,
    kind: Kind,
    path: String,
    sub: String,
    jti: String,
}

/// Tells their header from those of tokens by keys of the configuration.
const KEY_ID: &str = "floodtide-stage";
/// Ours have some 300 bytes; paths and names are bounded.
const PASS_BYTES_MAX: usize = 2 << 10;

impl Passes {
    /// By a secret that nobody else knows.
    pub(super) fn new(secret: &[u8; 32]) -> Passes {
        let mut validation = Validation::new(Algorithm::HS256);
        // The library would ask the clock; times are looked at here.
        validation.validate_exp = false;
        validation.required_spec_claims.clear();
        let passes = Passes {
            signing: EncodingKey::from_secret(secret),
            checking: DecodingKey::from_secret(secret),
            validation,
            header: String::new(),
        };
        let path = BroadcastPath::parse("app/name");
        let any = path.ok().map(|path| Pass {
            kind: Kind::Match,
            path,
            name: String::new(),
            nonce: Nonce(0),
            expires: SystemTime::UNIX_EPOCH,
        });
        let header = any.and_then(|any| Some(passes.sign(&any)?.split_once('.')?.0.to_owned()));
        Passes { header: header.unwrap_or_default(), ..passes }
    }

    /// Whether a token claims to be one of these.
    pub(super) fn is_meant(&self, token: &str) -> bool {
        token.split_once('.').is_some_and(|(header, _)| header == self.header)
    }

    /// As text, for URLs and `Authorization`; `None` if the library refuses, which it does for no claims of these.
    pub(super) fn sign(&self, pass: &Pass) -> Option<String> {
        let header = Header { kid: Some(KEY_ID.to_owned()), ..Header::new(Algorithm::HS256) };
        let exp = pass.expires.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        let claims = Claims {
            exp,
            kind: pass.kind,
            path: pass.path.to_string(),
            sub: pass.name.clone(),
            jti: pass.nonce.to_string(),
        };
        jsonwebtoken::encode(&header, &claims, &self.signing).ok()
    }

    /// What a token says that we signed and whose time isn't over.
    ///
    /// # Errors
    /// When somebody else made it up, or it is too late.
    pub(super) fn read(&self, token: &str, now: SystemTime) -> Result<Pass, StageError> {
        if token.len() > PASS_BYTES_MAX || !self.is_meant(token) {
            return Err(StageError::PassForged);
        }
        let token = jsonwebtoken::decode::<Claims>(token, &self.checking, &self.validation);
        let claims = token.map_err(|_| StageError::PassForged)?.claims;
        let expires = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(claims.exp));
        let expires = expires.ok_or(StageError::PassForged)?;
        if expires <= now {
            return Err(match claims.kind {
                Kind::Invitation => StageError::InvitationExpired,
                Kind::Member | Kind::Match => StageError::PassExpired,
            });
        }
        Ok(Pass {
            kind: claims.kind,
            path: BroadcastPath::parse(&claims.path)?,
            name: claims.sub,
            nonce: claims.jti.parse().map_err(|_| StageError::PassForged)?,
            expires,
        })
    }
}

/// Keys are nobody's to see.
impl fmt::Debug for Passes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Passes").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pass(kind: Kind) -> Pass {
        let path = BroadcastPath::parse("live/show").unwrap();
        let expires = SystemTime::UNIX_EPOCH + Duration::from_secs(1000);
        Pass { kind, path, name: "alice".into(), nonce: Nonce(u128::MAX - 1), expires }
    }

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn a_pass_is_read_as_it_was_signed_until_its_time_is_over() {
        let passes = Passes::new(&[7; 32]);
        for (kind, late) in
            [(Kind::Member, StageError::PassExpired), (Kind::Invitation, StageError::InvitationExpired)]
        {
            let token = passes.sign(&pass(kind)).unwrap();
            assert!(passes.is_meant(&token));
            assert_eq!(passes.read(&token, at(999)), Ok(pass(kind)));
            assert_eq!(passes.read(&token, at(1000)), Err(late));
        }
    }

    #[test]
    fn what_another_process_signed_or_somebody_changed_is_forged() {
        let passes = Passes::new(&[7; 32]);
        let token = passes.sign(&pass(Kind::Member)).unwrap();
        let other = Passes::new(&[8; 32]).sign(&pass(Kind::Member)).unwrap();
        let (head, rest) = token.split_once('.').unwrap();
        let (claims, signature) = rest.split_once('.').unwrap();
        let (_, of_other) = other.rsplit_once('.').unwrap();
        let none = "eyJhbGciOiJub25lIiwia2lkIjoiZmxvb2R0aWRlLXN0YWdlIn0";
        for forged in [
            other.clone(),
            format!("{head}.{claims}.{of_other}"),
            format!("{none}.{claims}."),
            format!("{none}.{claims}.{signature}"),
            format!("{head}.{claims}"),
            format!("{head}.{claims}A.{signature}"),
            String::new(),
            "x".repeat(100_000),
        ] {
            assert_eq!(passes.read(&forged, at(0)), Err(StageError::PassForged), "{forged}");
        }
    }
}
