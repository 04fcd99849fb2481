//! Pushing broadcasts to other servers.

use super::values::Span;
use crate::auth::pattern::Pattern;
use crate::outward::{Remote, Retry, Scheme};
use crate::restream::SCHEMES;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Broadcasts that are pushed to another server as long as they are live.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Restream {
    /// Which broadcasts: `"live/alice"`, `"live/*"`, `"live/**"`, with `VHOST/` before where it isn't the default one.
    pub path: Pattern,
    /// Where to: `"rtmp://host/app/name"` or `rtmps://`. `{app}` and `{name}` stand for those of the broadcast. A stream
    /// key goes where the other server wants it.
    pub to: String,
    /// How long it waits before it tries again, at first; doubled each time.
    #[serde(default = "retry_min")]
    pub retry_min: Span,
    /// How long it waits at most.
    #[serde(default = "retry_max")]
    pub retry_max: Span,
}

pub(super) fn retry_min() -> Span {
    Span(Duration::from_secs(1))
}

pub(super) fn retry_max() -> Span {
    Span(Duration::from_secs(30))
}

impl Restream {
    /// When to try again.
    pub(crate) fn retry(&self) -> Retry {
        Retry { min: self.retry_min.0, max: self.retry_max.0 }
    }

    /// Where a broadcast goes. The configuration was checked, so that it is there.
    pub(crate) fn remote(&self, path: &hub::BroadcastPath) -> Result<Remote, String> {
        Remote::of_template(&self.to, path, &SCHEMES)
    }

    fn check(&self) -> Result<(), String> {
        check_url("restream.to", &self.to, &SCHEMES)?;
        check_retry("restream", self.retry_min, self.retry_max)
    }
}

/// What a type alone can't say.
pub(super) fn check(all: &[Restream]) -> Result<(), String> {
    for (n, restream) in all.iter().enumerate() {
        restream.check()?;
        if all[..n].iter().any(|other| other.path == restream.path && other.to == restream.to) {
            return Err(format!("restream.path: {} is pushed to the same URL twice", restream.path));
        }
    }
    Ok(())
}

pub(super) fn check_url(key: &str, url: &str, schemes: &[Scheme]) -> Result<(), String> {
    Remote::check_template(url, schemes).map_err(|why| format!("{key}: {why}"))
}

pub(super) fn check_retry(section: &str, min: Span, max: Span) -> Result<(), String> {
    if min.0 < RETRY_LEAST || min.0 > max.0 {
        return Err(format!(
            "{section}.retry_min is {min}; it must be at least 100ms, at most {section}.retry_max ({max})"
        ));
    }
    Ok(())
}

/// More often is an attack.
const RETRY_LEAST: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use crate::config::Config;

    #[test]
    fn values_that_cannot_work_are_refused_by_name() {
        let check = |text: &str, expect: &str| {
            let config: Config = toml::from_str(text).unwrap();
            let error = config.check().unwrap_err();
            assert!(error.contains(expect), "{error}");
        };
        let restream = |rest: &str| format!("[[restream]]\npath = 'live/*'\n{rest}\n");
        check(&restream("to = 'http://h/live/{name}'"), "restream.to");
        check(&restream("to = 'rtmp://h/live/{nam}'"), "{nam}");
        check(&restream("to = 'rtmp://h'"), "rtmp://host/app/name");
        check(&restream("to = 'rtmp://u:p@h/a/b'"), "user");
        check(&restream("to = 'rtmp://h/a/b'\nretry_min = '0s'"), "restream.retry_min");
        check(&restream("to = 'rtmp://h/a/b'\nretry_min = '1m'"), "restream.retry_min");
        check(&restream("to = 'rtmp://h/a/b'").repeat(2), "twice");
        let pull = |rest: &str| format!("[[pull]]\npath = 'live/*'\n{rest}\n");
        check(&pull("from = 'ftp://h/a/b'"), "pull.from");
        check(&pull("from = 'https://u:p@h/a/{x}.flv'"), "{x}");
        check(&pull("from = 'rtmp://h/a/b'\nwhen = 'always'"), "pull.path");
        check(&pull("from = 'rtmp://h/a/b'\nmax = 0"), "pull.max");
        let good: Config = toml::from_str(&format!(
            "{}{}",
            restream("to = 'rtmps://h:4433/{app}/{name}?key=s'"),
            pull("from = 'https://u:p@h/{app}/{name}.flv'")
        ))
        .unwrap();
        assert_eq!(good.check(), Ok(()));
    }
}
