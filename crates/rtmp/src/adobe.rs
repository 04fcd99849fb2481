//! Authentication by user and password as Adobe's servers began it, `authmod=adobe`. No specification exists; this follows what
//! librtmp (`PublisherAuth`) and FFmpeg (`do_adobe_auth` in `libavformat/rtmpproto.c`) send and read.
//!
//! It takes three connections, of which the server refuses two: a `connect` that names nobody, one with
//! `?authmod=adobe&user=NAME` in its app, and one that answers the challenge:
//! `response = base64(md5(base64(md5(user + salt + password)) + opaque + challenge))`, where the challenge is the client's own.
//!
//! The password itself doesn't cross the wire, but MD5 is fast: whoever listens can guess offline. Use it over TLS.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest, Md5};

/// What a `connect` says about its user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Login {
    /// Nothing.
    Silent,
    /// Its name, to get a challenge.
    User(String),
    /// The answer to a challenge.
    Answer(Answer),
}

/// A client's answer to a challenge.
#[derive(Clone, PartialEq, Eq)]
pub struct Answer {
    user: String,
    opaque: String,
    challenge: String,
    response: String,
}

/// What a server challenges a client with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge<'a>(&'a str);

/// Why a `connect` is refused, as the client is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal<'a> {
    /// It has to name its user.
    NameUser,
    /// It has to answer this challenge.
    Answer {
        /// The user it named.
        user: &'a str,
        /// What it has to answer.
        challenge: Challenge<'a>,
    },
    /// User or password is wrong; which one isn't told.
    Failed {
        /// The user it named.
        user: &'a str,
    },
}

/// Bytes of a user's name. FFmpeg reads 255 bytes of a refusal, and the name stands in it.
pub const USER_BYTES_MAX: usize = 64;
/// Characters of what a challenge carries, for the same reason.
pub const OPAQUE_BYTES_MAX: usize = 40;
/// Characters at the beginning of a challenge's opaque that are its salt, too: so an answer brings its salt along.
pub const SALT_BYTES: usize = 8;
/// Longer than base64 of an MD5, and than what any client makes up as its challenge.
const FIELD_BYTES_MAX: usize = 64;

/// Whether this can be a user's name: 1 to 64 letters, digits, `-` and `_`, which stand in URLs as they are.
pub fn is_user(name: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    !name.is_empty() && name.len() <= USER_BYTES_MAX && name.bytes().all(allowed)
}

impl Login {
    /// From the query of an app. A name that nobody can have, or an answer that is none, says nothing.
    pub fn parse(query: &str) -> Login {
        let value = |name: &str| {
            query.split('&').find_map(|pair| pair.split_once('=').filter(|(n, _)| *n == name).map(|(_, v)| v))
        };
        let field = |name| value(name).filter(|v| !v.is_empty() && v.len() <= FIELD_BYTES_MAX);
        let user = value("user").filter(|user| is_user(user));
        let (Some("adobe"), Some(user)) = (value("authmod"), user) else { return Login::Silent };
        match (field("opaque"), field("challenge"), field("response")) {
            (Some(opaque), Some(challenge), Some(response)) if Challenge::new(opaque).is_some() => {
                Login::Answer(Answer {
                    user: user.to_owned(),
                    opaque: opaque.to_owned(),
                    challenge: challenge.to_owned(),
                    response: response.to_owned(),
                })
            }
            _ => Login::User(user.to_owned()),
        }
    }
}

impl Answer {
    /// Who it says it is.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// What the server's challenge carried. Whether it is a challenge of the server's, and unused, is for the server to know.
    pub fn opaque(&self) -> &str {
        &self.opaque
    }

    /// Whether who made it knew the password.
    pub fn proves(&self, password: &str) -> bool {
        let expected = response(&self.user, password, &self.opaque, &self.challenge);
        aws_lc_rs::constant_time::verify_slices_are_equal(expected.as_bytes(), self.response.as_bytes())
            .is_ok()
    }
}

impl std::fmt::Debug for Answer {
    /// Without what passwords can be guessed from.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Answer").field("user", &self.user).finish_non_exhaustive()
    }
}

impl<'a> Challenge<'a> {
    /// One that carries this: letters, digits, `-` and `_`, 8 to 40 of them. It must not repeat, and its first 8 must not either.
    pub fn new(opaque: &'a str) -> Option<Challenge<'a>> {
        let fits = (SALT_BYTES..=OPAQUE_BYTES_MAX).contains(&opaque.len());
        (fits && is_user(opaque)).then_some(Challenge(opaque))
    }
}

impl Refusal<'_> {
    /// The description of `NetConnection.Connect.Rejected`, which clients look for these words in.
    pub fn description(&self) -> String {
        match self {
            Refusal::NameUser => {
                "[ AccessManager.Reject ] : [ code=403 need auth; authmod=adobe ] : ".to_owned()
            }
            // Some clients hash the opaque, some the challenge: with both the same, it doesn't matter.
            Refusal::Answer { user, challenge: Challenge(opaque) } => format!(
                "[ AccessManager.Reject ] : [ authmod=adobe ] : ?reason=needauth&user={user}&salt={}&challenge={opaque}&opaque={opaque}",
                opaque.get(..SALT_BYTES).unwrap_or(opaque)
            ),
            Refusal::Failed { user } => {
                format!("[ AccessManager.Reject ] : [ authmod=adobe ] : ?reason=authfailed&user={user}")
            }
        }
    }
}

/// A query without what passwords can be guessed from.
pub(crate) fn without_answer(query: &str) -> String {
    if Login::parse(query) == Login::Silent {
        return query.to_owned();
    }
    let is_kept = |pair: &&str| {
        let name = pair.split('=').next().unwrap_or_default();
        !matches!(name, "challenge" | "response" | "opaque")
    };
    query.split('&').filter(is_kept).collect::<Vec<_>>().join("&")
}

fn response(user: &str, password: &str, opaque: &str, challenge: &str) -> String {
    let salt = opaque.get(..SALT_BYTES).unwrap_or(opaque);
    let secret = hash(&[user, salt, password]);
    hash(&[&secret, opaque, challenge])
}

fn hash(parts: &[&str]) -> String {
    let mut md5 = Md5::new();
    parts.iter().for_each(|part| md5.update(part.as_bytes()));
    STANDARD.encode(md5.finalize())
}

/// What a client answers to a refusal, as librtmp and FFmpeg read it; `None` if it gives up. `challenge` is made up by the client.
#[cfg(test)]
pub(crate) fn client_query(description: &str, user: &str, password: &str, challenge: &str) -> Option<String> {
    if description.contains("code=403 need auth") {
        return Some(format!("?authmod=adobe&user={user}"));
    }
    let (_, offer) = description.split_once("?reason=needauth&")?;
    let value = |name: &str| offer.split('&').find_map(|p| p.strip_prefix(name)?.strip_prefix('='));
    let (salt, opaque) = (value("salt")?, value("opaque")?);
    let secret = hash(&[value("user")?, salt, password]);
    let response = hash(&[&secret, opaque, challenge]);
    Some(format!("?authmod=adobe&user={user}&challenge={challenge}&response={response}&opaque={opaque}"))
}

#[cfg(test)]
mod tests;
