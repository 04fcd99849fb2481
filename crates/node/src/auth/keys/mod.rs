//! Stream keys: the secrets that publishers present.
//!
//! - [`Key`] one key: what it is for, and the hash of its secret
//! - [`Keys`] all keys, to look one up by its secret
//! - [`KeyStore`] the file of those that were made at run time

mod store;

pub use store::{KEYS_MAX, KeyStore, NewKey, StoreError};

use super::pattern::Pattern;
use crate::config::{Moment, StreamKey};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hub::BroadcastPath;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

/// A stream key without its secret, of which only the hash is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Key {
    /// Its name in lists and logs; those made by us begin with `k_`.
    pub id: String,
    /// Of the secret's bytes.
    pub secret_sha256: Hash,
    /// What it is for.
    pub path: Pattern,
    /// When it ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Moment>,
    /// Whether it is good at all.
    pub enabled: bool,
    /// What an operator wants to remember about it.
    #[serde(default)]
    pub note: String,
    /// When it was made; those in the configuration don't say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<Moment>,
}

/// SHA-256, written in hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Hash([u8; 32]);

/// A new key's secret. It can be seen this once; afterwards only its hash is there.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

/// Random bytes that a new key is made of: 24 for the secret, 8 for the id.
pub const RANDOM_BYTES: usize = 32;
const SECRET_BYTES: usize = 24;

/// All keys, to look one up by its secret.
#[derive(Clone, Debug, Default)]
pub struct Keys {
    /// An attacker can't steer hashes, so the time of a look-up tells nothing about a secret.
    by_hash: HashMap<Hash, Vec<Arc<Key>>>,
}

/// What a secret is good for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// Which key it was.
    pub id: String,
    /// When the right ends.
    pub expires: Option<SystemTime>,
}

/// Why a stream key is refused. All but the first are told only to who knows a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// No key has this secret.
    #[error("the stream key is wrong")]
    Unknown,
    /// It is for other paths.
    #[error("the stream key is for another path")]
    Path,
    /// Its time is over.
    #[error("the stream key has expired")]
    Expired,
    /// An operator disabled it.
    #[error("the stream key is disabled")]
    Disabled,
}

impl Keys {
    /// These and no others.
    pub fn new(keys: impl IntoIterator<Item = Key>) -> Keys {
        let mut by_hash: HashMap<Hash, Vec<Arc<Key>>> = HashMap::new();
        for key in keys {
            by_hash.entry(key.secret_sha256).or_default().push(Arc::new(key));
        }
        Keys { by_hash }
    }

    /// Whether there is none, so that nobody can publish by one.
    pub fn is_empty(&self) -> bool {
        self.by_hash.is_empty()
    }

    /// Whether a secret allows to publish there. Several keys may have one secret; one that allows is enough.
    ///
    /// # Errors
    /// When no key has this secret, or none of those which have it holds for this path and moment.
    pub fn check(&self, secret: &str, path: &BroadcastPath, now: SystemTime) -> Result<Accepted, KeyError> {
        let given = Hash::of(secret);
        let mut refused = KeyError::Unknown;
        for key in self.by_hash.get(&given).into_iter().flatten() {
            match key.check(given, path, now) {
                Ok(()) => {
                    let expires = key.expires.map(|moment| moment.0);
                    return Ok(Accepted { id: key.id.clone(), expires });
                }
                Err(error) => refused = error,
            }
        }
        Err(refused)
    }
}

impl Key {
    fn check(&self, given: Hash, path: &BroadcastPath, now: SystemTime) -> Result<(), KeyError> {
        if verify_slices_are_equal(&given.0, &self.secret_sha256.0).is_err() {
            Err(KeyError::Unknown)
        } else if !self.enabled {
            Err(KeyError::Disabled)
        } else if self.expires.is_some_and(|end| end.0 <= now) {
            Err(KeyError::Expired)
        } else if !self.path.matches(path) {
            Err(KeyError::Path)
        } else {
            Ok(())
        }
    }

    /// One of the configuration. `None` if it has no secret, which the check of the configuration refuses.
    pub fn from_config(key: &StreamKey) -> Option<Key> {
        let secret_sha256 = match (&key.secret, &key.secret_sha256) {
            (Some(secret), _) => Hash::of(secret),
            (None, Some(hex)) => hex.parse().ok()?,
            (None, None) => return None,
        };
        Some(Key {
            id: key.id.clone(),
            secret_sha256,
            path: key.path.clone(),
            expires: key.expires,
            enabled: key.enabled,
            note: key.note.clone(),
            created: None,
        })
    }

    /// A new one, and its secret.
    pub fn generate(new: NewKey, random: &[u8; RANDOM_BYTES], now: SystemTime) -> (Key, Secret) {
        let (secret, id) = random.split_at(SECRET_BYTES);
        let secret = Secret(URL_SAFE_NO_PAD.encode(secret));
        let key = Key {
            id: format!("k_{}", hex(id)),
            secret_sha256: Hash::of(&secret.0),
            path: new.path,
            expires: new.expires,
            enabled: true,
            note: new.note,
            created: Some(Moment(now)),
        };
        (key, secret)
    }
}

impl Hash {
    /// That of a text.
    pub fn of(text: &str) -> Hash {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest::digest(&digest::SHA256, text.as_bytes()).as_ref());
        Hash(hash)
    }
}

impl Secret {
    /// To show it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Lower-case hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl std::str::FromStr for Hash {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, &'static str> {
        const WRONG: &str = "a SHA-256 has 64 hexadecimal digits";
        let mut hash = [0; 32];
        if text.len() != 64 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(WRONG);
        }
        for (byte, at) in hash.iter_mut().zip((0..64).step_by(2)) {
            *byte = u8::from_str_radix(&text[at..at + 2], 16).map_err(|_| WRONG)?;
        }
        Ok(Hash(hash))
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hash(…)")
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Serialize for Hash {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests;
