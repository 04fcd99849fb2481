//! Tokens and signed URLs.

use super::values::{Moment, Span};
use crate::auth::pattern::Pattern;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;

/// Tokens and signed URLs. See docs/auth.md.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Auth {
    /// A key that tokens (JWT) are signed with. Exactly one of `secret` and `public_key` is needed.
    pub jwt: Vec<Jwt>,
    /// A key that URLs are signed with. Two at a time let you change it while old URLs still hold.
    pub url: Vec<SignedUrl>,
}

/// A key that tokens are signed with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Jwt {
    /// Its name: a token with a `kid` is checked by the key of this name only.
    pub kid: Option<String>,
    /// A shared secret of at least 32 bytes: tokens are signed by HS256.
    pub secret: Option<String>,
    /// PEM file with a public key: tokens are signed by RS256, ES256 or EdDSA, whichever the key is for.
    pub public_key: Option<PathBuf>,
    /// What a token must have in `aud`. Without it, a token that has an `aud` is refused.
    pub audience: Option<String>,
    /// What a token must have as `iss`.
    pub issuer: Option<String>,
    /// How far clocks may differ, for `exp` and `nbf`: `"5s"` if not said, at most `"5m"`.
    pub leeway: Span,
    /// The paths that tokens of this key may be for, whatever they say themselves; `"**"`, all, if not said.
    pub path: Pattern,
    /// Whether tokens of this key may have a `role` for the API, and so administrate; `false` if not said.
    pub admin: bool,
}

impl Default for Jwt {
    fn default() -> Self {
        Jwt {
            kid: None,
            secret: None,
            public_key: None,
            audience: None,
            issuer: None,
            leeway: Span(Duration::from_secs(5)),
            path: Pattern::everything(),
            admin: false,
        }
    }
}

/// A key that URLs are signed with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedUrl {
    /// Its name, which stands in the URL: letters, digits, `-` and `_`.
    pub kid: String,
    /// A secret of at least 32 bytes.
    pub secret: String,
    /// The paths that URLs of this key may be for, whatever they say themselves; `"**"`, all, if not said.
    #[serde(default = "Pattern::everything")]
    pub path: Pattern,
}

/// A stream key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StreamKey {
    /// Its name in lists and logs: letters, digits, `-` and `_`.
    pub id: String,
    /// The secret that a publisher presents as `?key=…`, at least 8 bytes. Either this or `secret_sha256` is needed.
    pub secret: Option<String>,
    /// SHA-256 of the secret in hexadecimal digits, so that the file doesn't hold the secret itself.
    pub secret_sha256: Option<String>,
    /// The paths that it is for, such as `"live/alice"`, `"live/*"` or `"live/**"`; a vhost other than the default one stands
    /// first.
    pub path: Pattern,
    /// When it ends, as in `"2027-01-31T18:00:00Z"`.
    pub expires: Option<Moment>,
    /// Whether it is good at all; `true` if not said.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// What you want to remember about it.
    #[serde(default)]
    pub note: String,
}

fn yes() -> bool {
    true
}

/// RFC 7518 §3.2: an HS256 key has at least the size of its hash.
pub(crate) const SECRET_BYTES_MIN: usize = 32;
/// A key that somebody chose has to be typed into an encoder; a random one is longer.
const STREAM_KEY_BYTES_MIN: usize = 8;
const LEEWAY_MAX: Duration = Duration::from_secs(300);

impl Auth {
    /// What a type alone can't say.
    pub(super) fn check(&self) -> Result<(), String> {
        for (at, rule) in self.jwt.iter().enumerate() {
            rule.check().map_err(|e| format!("auth.jwt, number {}: {e}", at + 1))?;
        }
        for (at, rule) in self.url.iter().enumerate() {
            let twice = self.url[..at].iter().any(|other| other.kid == rule.kid);
            rule.check(twice).map_err(|e| format!("auth.url, number {}: {e}", at + 1))?;
        }
        Ok(())
    }
}

impl Jwt {
    fn check(&self) -> Result<(), String> {
        match (&self.secret, &self.public_key) {
            (None, None) | (Some(_), Some(_)) => return Err("set either secret or public_key".to_owned()),
            (Some(secret), None) => check_secret(secret)?,
            (None, Some(_)) => {}
        }
        if self.leeway.0 > LEEWAY_MAX {
            return Err(format!("leeway is {}; it must be at most 5m", self.leeway));
        }
        Ok(())
    }
}

impl SignedUrl {
    fn check(&self, twice: bool) -> Result<(), String> {
        check_name("kid", &self.kid, twice)?;
        check_secret(&self.secret)
    }
}

impl StreamKey {
    fn check(&self, twice: bool) -> Result<(), String> {
        check_name("id", &self.id, twice)?;
        match (&self.secret, &self.secret_sha256) {
            (Some(secret), None) if secret.len() < STREAM_KEY_BYTES_MIN => {
                Err(format!("secret must have at least {STREAM_KEY_BYTES_MIN} bytes"))
            }
            (None, Some(hash)) if hash.len() != 64 || !hash.bytes().all(|b| b.is_ascii_hexdigit()) => {
                Err("secret_sha256 must be 64 hexadecimal digits: printf %s SECRET | sha256sum".to_owned())
            }
            (Some(_), None) | (None, Some(_)) => Ok(()),
            _ => Err("set either secret or secret_sha256".to_owned()),
        }
    }
}

/// What a type alone can't say about stream keys.
pub(super) fn check_keys(keys: &[StreamKey]) -> Result<(), String> {
    for (at, key) in keys.iter().enumerate() {
        let twice = keys[..at].iter().any(|other| other.id == key.id);
        key.check(twice).map_err(|e| format!("publish.key, number {}: {e}", at + 1))?;
    }
    Ok(())
}

pub(super) fn check_name(key: &str, name: &str, twice: bool) -> Result<(), String> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    if name.is_empty() || name.len() > 64 || !name.bytes().all(allowed) {
        return Err(format!("{key} is {name:?}; it must be 1 to 64 letters, digits, - or _"));
    }
    if twice { Err(format!("{key} {name:?} stands twice")) } else { Ok(()) }
}

fn check_secret(secret: &str) -> Result<(), String> {
    if secret.contains("-----BEGIN") {
        // Everybody may know a public key: as a secret, anyone could sign with it.
        return Err("secret is a PEM key; give its file as public_key".to_owned());
    }
    if secret.len() < SECRET_BYTES_MIN {
        return Err(format!(
            "secret has {} bytes; it must have at least {SECRET_BYTES_MIN}: openssl rand -base64 32",
            secret.len()
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    #[track_caller]
    fn check(toml: &str, expect: Option<&str>) {
        let error = match toml::from_str::<Config>(toml) {
            Ok(config) => config.check().err(),
            Err(error) => Some(error.to_string()),
        };
        match (&error, expect) {
            (Some(error), Some(expect)) => assert!(error.contains(expect), "{error}"),
            (error, expect) => assert_eq!(error.as_deref(), expect),
        }
    }

    #[test]
    fn keys_and_secrets_that_are_weak_or_said_twice_are_refused_by_name() {
        let long = "s".repeat(32);
        check(&format!("[[auth.jwt]]\nsecret='{long}'"), None);
        check("[[auth.jwt]]\nsecret='short'", Some("auth.jwt, number 1: secret has 5 bytes"));
        check("[[auth.jwt]]\n", Some("either secret or public_key"));
        check(&format!("[[auth.jwt]]\nsecret='{long}'\npublic_key='x'"), Some("either"));
        check(
            "[[auth.jwt]]\nsecret='-----BEGIN PUBLIC KEY----- AAAAAAAAAAA'",
            Some("give its file as public_key"),
        );
        check(&format!("[[auth.jwt]]\nsecret='{long}'\nleeway='1h'"), Some("at most 5m"));
        check(
            &format!("[[auth.url]]\nkid='a'\nsecret='{long}'\n[[auth.url]]\nkid='a'\nsecret='{long}'"),
            Some("twice"),
        );
        check(&format!("[[auth.url]]\nkid='a b'\nsecret='{long}'"), Some("letters, digits"));
        check("[[publish.key]]\nid='a'\npath='live/*'\nsecret='12345678'", None);
        check("[[publish.key]]\nid='a'\npath='live/*'", Some("either secret or secret_sha256"));
        check("[[publish.key]]\nid='a'\npath='live/*'\nsecret='1234567'", Some("at least 8 bytes"));
        check("[[publish.key]]\nid='a'\npath='live/*'\nsecret_sha256='00'", Some("64 hexadecimal"));
        check("[[publish.key]]\nid='a'\npath='live'\nsecret='12345678'", Some("\"live/*\""));
        check(
            "[[publish.key]]\nid='a'\npath='live/*'\nsecret='12345678'\nexpires='soon'",
            Some("2027-01-31T18:00:00Z"),
        );
    }
}
