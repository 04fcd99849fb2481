//! The whole tree, and what a type alone can't say about it.

use super::{Admin, App, Egress, Hls, Http, Play, Publish, Rtmp, Tls, Vhost};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The whole tree.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Publishing.
    pub publish: Publish,
    /// Playing.
    pub play: Play,
    /// An app of the default vhost with rules of its own. If there is none, every app name is one; if there is one, the
    /// others are unknown.
    pub app: BTreeMap<String, App>,
    /// A vhost, with rules of its own. The one called `default` is that of all hosts which no other claims.
    pub vhost: BTreeMap<String, Vhost>,
    /// RTMP and RTMPS.
    pub rtmp: Rtmp,
    /// HTTP, HTTPS and WebSocket.
    pub http: Http,
    /// The administrators' listener.
    pub admin: Admin,
    /// Certificate of the TLS listeners.
    pub tls: Tls,
    /// How viewers are written to.
    pub egress: Egress,
    /// HLS and LL-HLS.
    pub hls: Hls,
}

impl Config {
    /// What a type alone can't say. The text names the key and what is allowed.
    pub(super) fn check(&self) -> Result<(), String> {
        let spans = [
            ("hls.part", self.hls.part, PART_RANGE_MS),
            ("hls.segment", self.hls.segment, SEGMENT_RANGE_MS),
            ("publish.idle", self.publish.idle, (1000, u128::MAX)),
            ("egress.stall_max", self.egress.stall_max, (1000, u128::MAX)),
        ];
        for (key, span, (least, most)) in spans {
            let ms = span.0.as_millis();
            if ms < least || ms > most {
                let most = if most == u128::MAX { String::new() } else { format!(", at most {most}ms") };
                return Err(format!("{key} is {span}; it must be at least {least}ms{most}"));
            }
        }
        let sizes = [
            ("publish.log", self.publish.log),
            ("egress.queue", self.egress.queue),
            ("hls.memory", self.hls.memory),
        ];
        match sizes.into_iter().find(|(_, size)| size.0 < BUDGET_BYTES_MIN) {
            Some((key, size)) => Err(format!("{key} is {size}; it must be at least 1MiB")),
            None => Ok(()),
        }
    }
}

/// RFC 8216bis: shorter parts cost more requests than they save latency, longer ones are no low latency.
const PART_RANGE_MS: (u128, u128) = (200, 1000);
const SEGMENT_RANGE_MS: (u128, u128) = (1000, 10_000);
/// Less doesn't hold a group of pictures.
const BUDGET_BYTES_MIN: usize = 1 << 20;
