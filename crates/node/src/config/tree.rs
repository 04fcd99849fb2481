//! The whole tree, and what a type alone can't say about it.

use super::{
    Admin, App, Auth, Egress, Hls, Http, Limits, Log, Play, Publish, Pull, Restream, Rtmp, Shutdown, Srt,
    Stage, State, Tls, Transcode, Vhost, Webhook, Webrtc,
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use toml::{Table, Value};

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
    /// Tokens and signed URLs. See [auth.md](auth.md).
    pub auth: Auth,
    /// Web services that are asked or told. See [webhooks.md](webhooks.md). An event without a URL asks and tells nobody.
    pub webhook: Webhook,
    /// What outlives a restart: stream keys made by `floodtide ctl key` or the API.
    pub state: State,
    /// RTMP and RTMPS.
    pub rtmp: Rtmp,
    /// HTTP, HTTPS and WebSocket.
    pub http: Http,
    /// The administrators' listener.
    pub admin: Admin,
    /// Certificates of the TLS listeners. They are read again when a file changes. See [tls.md](tls.md).
    pub tls: Tls,
    /// What one address, and everybody together, may take; all of it changes at a reload. Behind an address there may be a crowd
    /// (a school, a mobile network), so the defaults are wide: make them narrower where you know who comes.
    pub limits: Limits,
    /// Broadcasts that are pushed to another server as long as they are live. See [restream.md](restream.md).
    pub restream: Vec<Restream>,
    /// Broadcasts that are fetched from another server. See [restream.md](restream.md).
    pub pull: Vec<Pull>,
    /// WebRTC: publishing by WHIP, playing by WHEP. See [webrtc.md](webrtc.md).
    pub webrtc: Webrtc,
    /// SRT: publishing and playing MPEG-TS over UDP. See [srt.md](srt.md).
    pub srt: Srt,
    /// Co-host stages and matches. See [stage.md](stage.md).
    pub stage: Stage,
    /// How viewers are written to.
    pub egress: Egress,
    /// HLS and LL-HLS.
    pub hls: Hls,
    /// Sound in another codec, for players that don't know the one that was published. See [transcode.md](transcode.md).
    pub transcode: Transcode,
    /// Logs. Lines go to the standard error and never wait for it: what it doesn't take is lost. `FLOODTIDE_LOG` replaces
    /// `log.level` by filters of its own, as `info,node=debug`. Level, access lines and addresses change at a reload.
    pub log: Log,
    /// The end of a server.
    pub shutdown: Shutdown,
}

impl Config {
    /// The same, with what needs a restart as it is in `running`.
    #[must_use]
    pub(crate) fn at_run_time(self, running: &Config) -> Config {
        // Every section stands here, so that a new one can't be forgotten.
        let Config {
            publish,
            play,
            app,
            vhost,
            auth,
            webhook,
            restream,
            pull,
            tls,
            limits,
            shutdown,
            log,
            rtmp: _,
            http: _,
            admin,
            webrtc: Webrtc { b_frames, .. },
            srt: _,
            stage: _,
            egress: _,
            hls: _,
            transcode: Transcode { ffmpeg, pictures_max, .. },
            state: _,
        } = self;
        let admin = Admin { listen: running.admin.listen, ..admin };
        let Config { rtmp, http, webrtc, srt, stage, egress, hls, transcode, state, .. } = running.clone();
        let webrtc = Webrtc { b_frames, ..webrtc };
        let transcode = Transcode { ffmpeg, pictures_max, ..transcode };
        // The listeners are opened at the start.
        let tls = if tls.is_on() == running.tls.is_on() { tls } else { running.tls.clone() };
        let log = Log { format: running.log.format, otlp: running.log.otlp.clone(), ..log };
        Config {
            publish,
            play,
            app,
            vhost,
            auth,
            webhook,
            restream,
            pull,
            state,
            rtmp,
            http,
            admin,
            tls,
            limits,
            webrtc,
            srt,
            stage,
            egress,
            hls,
            transcode,
            shutdown,
            log,
        }
    }

    /// The keys whose values differ, as `section.key`.
    pub(crate) fn difference(&self, other: &Config) -> Vec<String> {
        let mut keys = Vec::new();
        if let (Ok(a), Ok(b)) = (Table::try_from(self), Table::try_from(other)) {
            differ("", &a, &b, &mut keys);
        }
        keys
    }

    /// What a type alone can't say. The text names the key and what is allowed.
    pub(super) fn check(&self) -> Result<(), String> {
        self.auth.check()?;
        self.webhook.check()?;
        self.tls.check()?;
        super::restream::check(&self.restream)?;
        super::pull::check(&self.pull)?;
        self.admin.check(self.auth.jwt.iter().any(|rule| rule.admin))?;
        super::auth::check_keys(&self.publish.key)?;
        super::user::check(&self.publish.user)?;
        self.limits.check()?;
        self.webrtc.check()?;
        self.srt.check()?;
        self.stage.check()?;
        for (section, on) in [("rtmp", self.rtmp.proxy_protocol), ("http", self.http.proxy_protocol)] {
            if on && self.limits.trusted_proxies.is_empty() {
                return Err(format!(
                    "{section}.proxy_protocol is on, but limits.trusted_proxies is empty: name the networks of your proxies"
                ));
            }
        }
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

fn differ(prefix: &str, a: &Table, b: &Table, keys: &mut Vec<String>) {
    let names: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    for name in names {
        match (a.get(name), b.get(name)) {
            (Some(Value::Table(a)), Some(Value::Table(b))) => differ(&format!("{prefix}{name}."), a, b, keys),
            (a, b) if a != b => keys.push(format!("{prefix}{name}")),
            _ => {}
        }
    }
}

/// RFC 8216bis: shorter parts cost more requests than they save latency, longer ones are no low latency.
const PART_RANGE_MS: (u128, u128) = (200, 1000);
const SEGMENT_RANGE_MS: (u128, u128) = (1000, 10_000);
/// Less doesn't hold a group of pictures.
const BUDGET_BYTES_MIN: usize = 1 << 20;
