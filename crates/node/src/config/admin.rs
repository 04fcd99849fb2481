//! The administrators' listener.

use super::auth::{SECRET_BYTES_MIN, check_name};
use crate::auth::jwt::Role;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// The administrators' listener: API, metrics and health.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Admin {
    /// Where it listens. Beyond loopback it needs a credential: an `[[admin.token]]`, or an `[[auth.jwt]]` with `admin = true`.
    pub listen: SocketAddr,
    /// A secret that administrators present. While there is no credential at all, the API answers programs and people of this
    /// machine without one.
    pub token: Vec<AdminToken>,
}

/// A secret that administrators present, as `Authorization: Bearer SECRET`. See docs/api.md.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdminToken {
    /// Whom it is for, in logs: letters, digits, `-` and `_`.
    pub name: String,
    /// `"viewer"` (looks), `"operator"` (also ends sessions and reloads) or `"admin"` (also keys, tokens and secrets).
    pub role: Role,
    /// The secret, at least 32 bytes: `openssl rand -base64 32`. Either this or `token_sha256` is needed.
    pub token: Option<String>,
    /// SHA-256 of the secret in hexadecimal digits, so that the file doesn't hold the secret itself.
    pub token_sha256: Option<String>,
}

impl Default for Admin {
    fn default() -> Self {
        Admin { listen: SocketAddr::from(([127, 0, 0, 1], 9080)), token: Vec::new() }
    }
}

impl Admin {
    /// What a type alone can't say. `others` tells whether administrators may have tokens of another kind.
    pub(super) fn check(&self, others: bool) -> Result<(), String> {
        for (at, token) in self.token.iter().enumerate() {
            let twice = self.token[..at].iter().any(|other| other.name == token.name);
            token.check(twice).map_err(|e| format!("admin.token, number {}: {e}", at + 1))?;
        }
        if !self.listen.ip().is_loopback() && self.token.is_empty() && !others {
            return Err(format!(
                "admin.listen is {}, which others can reach, and no credential is set: add [[admin.token]] with name, role and \
                 token (openssl rand -base64 32), or listen on 127.0.0.1",
                self.listen
            ));
        }
        Ok(())
    }
}

impl AdminToken {
    fn check(&self, twice: bool) -> Result<(), String> {
        check_name("name", &self.name, twice)?;
        match (&self.token, &self.token_sha256) {
            (Some(token), None) if token.len() < SECRET_BYTES_MIN => Err(format!(
                "token has {} bytes; it must have at least {SECRET_BYTES_MIN}: openssl rand -base64 32",
                token.len()
            )),
            (None, Some(hash)) if hash.len() != 64 || !hash.bytes().all(|b| b.is_ascii_hexdigit()) => {
                Err("token_sha256 must be 64 hexadecimal digits: printf %s TOKEN | sha256sum".to_owned())
            }
            (Some(_), None) | (None, Some(_)) => Ok(()),
            _ => Err("set either token or token_sha256".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    #[track_caller]
    fn check(toml: &str, expect: Option<&str>) {
        let error = toml::from_str::<Config>(toml).unwrap().check().err();
        match (&error, expect) {
            (Some(error), Some(expect)) => assert!(error.contains(expect), "{error}"),
            (error, expect) => assert_eq!(error.as_deref(), expect),
        }
    }

    #[test]
    fn a_listener_that_others_reach_needs_a_credential_and_tokens_are_long() {
        let token = format!("[[admin.token]]\nname='a'\nrole='admin'\ntoken='{}'\n", "t".repeat(32));
        let open = "[admin]\nlisten='0.0.0.0:9080'\n";
        check("", None);
        check(open, Some("no credential is set: add [[admin.token]]"));
        check(&format!("{open}{token}"), None);
        let jwt = format!("[[auth.jwt]]\nsecret='{}'\nadmin=", "s".repeat(32));
        check(&format!("{open}{jwt}true"), None);
        check(&format!("{open}{jwt}false"), Some("no credential"));
        check(&format!("{token}{token}"), Some("stands twice"));
        check("[[admin.token]]\nname='a'\nrole='admin'\ntoken='short'", Some("token has 5 bytes"));
        check("[[admin.token]]\nname='a'\nrole='admin'", Some("either token or token_sha256"));
    }
}
