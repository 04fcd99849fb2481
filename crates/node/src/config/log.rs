//! Logs.

use serde::{Deserialize, Serialize};

/// What is logged, and how. Lines go to the standard error. `FLOODTIDE_LOG` replaces `log.level` by filters of its own, as
/// `info,node=debug`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// The least important lines that are written: `"error"`, `"warn"`, `"info"`, `"debug"` or `"trace"`.
    pub level: Level,
    /// `"text"` for people or `"json"` for programs.
    pub format: LogFormat,
    /// What the access log has: `"off"`, `"sessions"` (a line for every publisher and viewer who left) or `"requests"` (also one
    /// for every HTTP request and every connection).
    pub access: AccessLines,
    /// How addresses of clients are shown: `"none"`, `"truncated"` (to /24, IPv6 to /48) or `"full"`.
    pub addresses: ShownAddresses,
    /// Sessions as traces, by OTLP over HTTP. Needs a build with the feature `otlp`: another build does not start with an endpoint, and
    /// `floodtide config check` says so.
    pub otlp: Otlp,
}

/// Sessions as traces, by OTLP over HTTP.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Otlp {
    /// Where they go, as `http://127.0.0.1:4318/v1/traces`; a collector elsewhere that wants TLS is reached by one on this machine.
    /// Without an endpoint there are no traces.
    pub endpoint: Option<String>,
}

impl Otlp {
    /// Why this build can't do what is asked for, if it can't.
    pub fn missing(&self) -> Option<&'static str> {
        let asked = self.endpoint.is_some();
        (asked && !cfg!(feature = "otlp"))
            .then_some("log.otlp.endpoint is set, and this build has no traces: build with --features otlp")
    }
}

/// How important a line is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Level {
    Error,
    Warn,
    #[default]
    Info,
    Debug,
    Trace,
}

/// How lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// What the access log has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AccessLines {
    /// Nothing.
    Off,
    /// Every publisher and viewer who left.
    #[default]
    Sessions,
    /// Also every request and every connection.
    Requests,
}

/// How addresses of clients are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum ShownAddresses {
    /// Not at all.
    #[default]
    None = 0,
    /// The network: /24, or /48 of IPv6.
    Truncated = 1,
    /// As they are.
    Full = 2,
}

impl Level {
    /// As filters name it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Level::Error => "error",
            Level::Warn => "warn",
            Level::Info => "info",
            Level::Debug => "debug",
            Level::Trace => "trace",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_for_traces_needs_a_build_with_them() {
        assert_eq!(Otlp::default().missing(), None);
        let asked = Otlp { endpoint: Some("http://127.0.0.1:4318/v1/traces".to_owned()) };
        assert_eq!(asked.missing().is_none(), cfg!(feature = "otlp"));
    }
}
