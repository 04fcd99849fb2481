//! Webhooks.

use super::values::Span;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;

/// Web services that are asked or told. See docs/webhooks.md. An event without a URL asks and tells nobody.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Webhook {
    /// Asked whether somebody may publish. The first is asked; the next only if those before it fail.
    pub publish: Vec<String>,
    /// Asked whether somebody may play, likewise.
    pub play: Vec<String>,
    /// All of them are told that a publisher left.
    pub unpublish: Vec<String>,
    /// All of them are told that a viewer left. Viewers by HLS have no session that could end, so nothing is told of them.
    pub unplay: Vec<String>,
    /// Kept for recordings that are finished. This version records nothing, so nothing is sent; `floodtide config check` warns.
    pub record: Vec<String>,
    /// Signs bodies, in the header `X-Floodtide-Signature`; at least 32 bytes.
    pub secret: Option<String>,
    /// PEM file with the certificates of authorities that hooks are trusted by, instead of the system's.
    pub ca: Option<PathBuf>,
    /// How long an answer may take, connecting included.
    pub timeout: Span,
    /// What holds when nobody answers: `"closed"` refuses, `"open"` allows.
    pub on_failure: OnFailure,
    /// How often telling is tried again, after a failed connection or an answer of 500 or more. Asking is never tried again.
    pub retries: u32,
    /// How long an answer holds for the same question, if it doesn't say itself. `"0s"` asks every time.
    pub cache: Span,
    /// Whether the client's address is a part of the question, so that a kept answer holds for this address only.
    pub cache_by_address: bool,
    /// After so many failures in a row a server is left alone for a while.
    pub breaker_failures: u32,
    /// How long it is left alone; then one request shows whether it is back.
    pub breaker_rest: Span,
    /// Events that wait for a slow server, per server. The oldest are dropped.
    pub queue: usize,
}

impl Default for Webhook {
    fn default() -> Self {
        Webhook {
            publish: Vec::new(),
            play: Vec::new(),
            unpublish: Vec::new(),
            unplay: Vec::new(),
            record: Vec::new(),
            secret: None,
            ca: None,
            timeout: Span(Duration::from_secs(3)),
            on_failure: OnFailure::Closed,
            retries: 3,
            cache: Span(Duration::ZERO),
            cache_by_address: true,
            breaker_failures: 5,
            breaker_rest: Span(Duration::from_secs(10)),
            queue: 10_000,
        }
    }
}

/// What holds when a hook doesn't answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnFailure {
    /// Nobody may.
    #[default]
    Closed,
    /// Everybody may whom the other rules allow.
    Open,
}

/// A server that is down must not hold a session up for longer.
const TIMEOUT_RANGE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(30));
const QUEUE_MAX: usize = 1_000_000;
const RETRIES_MAX: u32 = 10;
/// The backup of the backup of the backup.
const URLS_MAX: usize = 8;

impl Webhook {
    /// The URLs of all events, with the keys that they stand under.
    pub(crate) fn urls(&self) -> [(&'static str, &[String]); 5] {
        [
            ("publish", &self.publish),
            ("play", &self.play),
            ("unpublish", &self.unpublish),
            ("unplay", &self.unplay),
            ("record", &self.record),
        ]
    }

    /// What a type alone can't say.
    pub(super) fn check(&self) -> Result<(), String> {
        for (key, urls) in self.urls() {
            if urls.len() > URLS_MAX {
                return Err(format!("webhook.{key} has {} URLs; it must be at most {URLS_MAX}", urls.len()));
            }
            for url in urls {
                let uri = url.parse::<http::Uri>().ok();
                let scheme = uri.as_ref().filter(|u| u.host().is_some()).and_then(http::Uri::scheme_str);
                if uri.as_ref().and_then(http::Uri::authority).is_some_and(|a| a.as_str().contains('@')) {
                    return Err(format!(
                        "webhook.{key}: a URL has no user here; let the hook check the signature instead"
                    ));
                }
                if !matches!(scheme, Some("http" | "https")) {
                    return Err(format!(
                        "webhook.{key}: {url:?} is no URL that begins with http:// or https://"
                    ));
                }
            }
        }
        let (least, most) = TIMEOUT_RANGE;
        if self.timeout.0 < least || self.timeout.0 > most {
            return Err(format!("webhook.timeout is {}; it must be 50ms to 30s", self.timeout));
        }
        if self.queue == 0 || self.queue > QUEUE_MAX {
            return Err(format!("webhook.queue is {}; it must be 1 to {QUEUE_MAX}", self.queue));
        }
        if self.retries > RETRIES_MAX {
            return Err(format!("webhook.retries is {}; it must be at most {RETRIES_MAX}", self.retries));
        }
        if self.breaker_failures == 0 {
            return Err("webhook.breaker_failures is 0; it must be at least 1".to_owned());
        }
        match &self.secret {
            Some(secret) if secret.len() < super::auth::SECRET_BYTES_MIN => {
                Err("webhook.secret must have at least 32 bytes: openssl rand -base64 32".to_owned())
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    #[test]
    fn values_that_cannot_work_are_refused_by_name() {
        let check = |line: &str, expect: &str| {
            let config: Config = toml::from_str(&format!("[webhook]\n{line}")).unwrap();
            let error = config.check().unwrap_err();
            assert!(error.contains(expect), "{error}");
        };
        check("play = ['ftp://x/']", "webhook.play: \"ftp://x/\"");
        check("publish = ['/hook']", "webhook.publish");
        check("publish = ['http://u:p@h/hook']", "has no user");
        check("timeout = '5m'", "webhook.timeout");
        check("queue = 0", "webhook.queue");
        check("retries = 99", "webhook.retries");
        check("breaker_failures = 0", "webhook.breaker_failures");
        check("secret = 'short'", "webhook.secret");
        let good: Config = toml::from_str("[webhook]\npublish = ['https://h.example/a?b=c']").unwrap();
        assert_eq!(good.check(), Ok(()));
    }
}
