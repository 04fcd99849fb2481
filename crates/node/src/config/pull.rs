//! Fetching broadcasts from other servers.

use super::restream::{check_retry, check_url, retry_max, retry_min};
use super::values::Span;
use crate::auth::pattern::Pattern;
use crate::outward::{Remote, Retry};
use crate::pull::SCHEMES;
use hub::BroadcastPath;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Broadcasts that are fetched from another server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pull {
    /// What it is called here: `"live/alice"`, `"live/*"`, `"live/**"`, with `VHOST/` before where it isn't the default one.
    pub path: Pattern,
    /// Where from: `"rtmp://host/app/name"`, `rtmps://`, or FLV from `http://` and `https://`. `{app}` and `{name}` stand for
    /// those of the broadcast. With HTTP, a user and a password may stand before the host.
    pub from: String,
    /// `"demand"`: when a viewer asks; viewers wait up to 5 s for it. `"always"`: as long as the server runs, for a path without
    /// `*`.
    #[serde(default)]
    pub when: When,
    /// A pull on demand ends so long after the last viewer left.
    #[serde(default = "idle")]
    pub idle: Span,
    /// Pulls on demand at a time; viewers of others are told that nobody publishes there.
    #[serde(default = "max")]
    pub max: usize,
    /// How long it waits before it tries again, at first; doubled each time.
    #[serde(default = "retry_min")]
    pub retry_min: Span,
    /// How long it waits at most.
    #[serde(default = "retry_max")]
    pub retry_max: Span,
    /// Of a process that this one took over from: times stay as they are there.
    #[serde(skip)]
    pub(crate) inherited: bool,
}

/// When a broadcast is fetched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum When {
    /// When a viewer asks for it.
    #[default]
    Demand,
    /// As long as the server runs.
    Always,
}

/// The old process is on this machine; whoever publishes may leave it at any moment.
const INHERITED_RETRY: Duration = Duration::from_millis(500);

fn idle() -> Span {
    Span(Duration::from_secs(30))
}

fn max() -> usize {
    100
}

impl Pull {
    /// One that is always fetched, and tried again at once.
    pub(crate) fn inherited(path: &BroadcastPath, from: String) -> Option<Pull> {
        Some(Pull {
            path: path.as_str().parse().ok()?,
            from,
            when: When::Always,
            idle: idle(),
            max: max(),
            retry_min: Span(INHERITED_RETRY),
            retry_max: Span(INHERITED_RETRY),
            inherited: true,
        })
    }

    /// When to try again.
    pub(crate) fn retry(&self) -> Retry {
        Retry { min: self.retry_min.0, max: self.retry_max.0 }
    }

    /// Where a broadcast comes from. The configuration was checked, so that it is there.
    pub(crate) fn remote(&self, path: &BroadcastPath) -> Result<Remote, String> {
        Remote::of_template(&self.from, path, &SCHEMES)
    }

    /// The path that is always fetched.
    pub(crate) fn always(&self) -> Option<BroadcastPath> {
        (self.when == When::Always).then(|| BroadcastPath::parse(self.path.as_str()).ok())?
    }

    fn check(&self) -> Result<(), String> {
        check_url("pull.from", &self.from, &SCHEMES)?;
        check_retry("pull", self.retry_min, self.retry_max)?;
        if self.max == 0 {
            return Err("pull.max is 0; it must be at least 1".to_owned());
        }
        if self.when == When::Always && self.always().is_none() {
            return Err(format!("pull.path is {}; what is fetched always needs a path without *", self.path));
        }
        Ok(())
    }
}

/// What a type alone can't say.
pub(super) fn check(all: &[Pull]) -> Result<(), String> {
    for (n, pull) in all.iter().enumerate() {
        pull.check()?;
        if all[..n].iter().any(|other| other.path == pull.path) {
            return Err(format!("pull.path: {} stands there twice", pull.path));
        }
    }
    Ok(())
}
