//! What a token claims.

use super::{Role, TokenError};
use crate::auth::Action;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

/// The claims that we know; others are passed over. RFC 7519 §4.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct Claims {
    #[serde(serialize_with = "whole")]
    pub(super) exp: Option<f64>,
    #[serde(skip_serializing)]
    pub(super) nbf: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) aud: Option<OneOrMany>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) iss: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) sub: Option<String>,
    /// `publish`, `play` or both.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) act: Option<OneOrMany>,
    /// A pattern.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) path: Option<String>,
    /// An address, or a network as `10.0.0.0/8`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ip: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) role: Option<Role>,
}

/// One address, or a network such as `192.0.2.0/24`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network(IpNet);

/// A text or a list of texts, as RFC 7519 §4.1.3 has it for `aud`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(untagged)]
pub(super) enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl OneOrMany {
    fn contains(&self, text: &str) -> bool {
        match self {
            OneOrMany::One(one) => one == text,
            OneOrMany::Many(many) => many.iter().any(|one| one == text),
        }
    }
}

/// The year 9999: later times are a mistake, and some systems can't print them.
const SECONDS_MAX: f64 = 253_402_300_799.0;

impl Claims {
    pub(super) fn expires(&self) -> Result<SystemTime, TokenError> {
        moment(self.exp.ok_or(TokenError::Malformed("it has no exp"))?)
    }

    pub(super) fn begins(&self) -> Result<Option<SystemTime>, TokenError> {
        self.nbf.map(moment).transpose()
    }

    pub(super) fn allows(&self, action: Action) -> bool {
        self.act.as_ref().is_some_and(|act| act.contains(action.as_str()))
    }

    /// Whether it is meant for us. RFC 7519 §4.1.3: who has no name of its own must refuse a token that names somebody.
    pub(super) fn is_for(&self, audience: Option<&str>) -> bool {
        match (audience, &self.aud) {
            (None, None) => true,
            (Some(audience), Some(aud)) => aud.contains(audience),
            _ => false,
        }
    }

    pub(super) fn comes_from(&self, peer: IpAddr) -> Result<bool, TokenError> {
        self.ip.as_deref().map_or(Ok(true), |text| {
            let network: Network =
                text.parse().map_err(|_| TokenError::Malformed("its ip is no address or network"))?;
            Ok(network.contains(peer))
        })
    }
}

impl Network {
    /// Whether a client comes from there. An IPv4 client on an IPv6 socket is an IPv4 client.
    pub(in crate::auth) fn contains(self, peer: IpAddr) -> bool {
        self.0.contains(&peer.to_canonical())
    }
}

impl std::str::FromStr for Network {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, &'static str> {
        let address = text.parse::<IpAddr>().map(|ip| IpNet::from(ip.to_canonical()));
        let network = address.or_else(|_| text.parse());
        network.map(Network).map_err(|_| "write an address, or a network as in 192.0.2.0/24")
    }
}

impl std::fmt::Display for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let is_one = self.0.prefix_len() == self.0.max_prefix_len();
        if is_one { self.0.addr().fmt(f) } else { self.0.fmt(f) }
    }
}

/// Without a fraction, which some libraries can't read.
fn whole<S: serde::Serializer>(seconds: &Option<f64>, s: S) -> Result<S::Ok, S::Error> {
    seconds.map(|seconds| seconds as u64).serialize(s)
}

/// A NumericDate, RFC 7519 §2: seconds since 1970, perhaps with a fraction.
fn moment(seconds: f64) -> Result<SystemTime, TokenError> {
    if !(0.0..=SECONDS_MAX).contains(&seconds) {
        return Err(TokenError::Malformed("its times are not seconds since 1970"));
    }
    Ok(SystemTime::UNIX_EPOCH + Duration::from_secs_f64(seconds))
}
