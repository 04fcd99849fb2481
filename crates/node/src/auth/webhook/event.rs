//! What is sent to a hook, and what it answers.

use super::cache::Key;
use super::client::Failure;
use aws_lc_rs::digest;
use bytes::Bytes;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

/// What a hook is asked or told about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// Somebody wants to publish.
    Publish,
    /// Somebody wants to play.
    Play,
    /// A publisher left.
    Unpublish,
    /// A viewer left.
    Unplay,
    /// A recording is finished.
    Record,
}

impl Kind {
    /// In the order of `config::Webhook::urls`.
    pub(super) const ALL: [Kind; 5] =
        [Kind::Publish, Kind::Play, Kind::Unpublish, Kind::Unplay, Kind::Record];
}

/// What happens. The form that hooks see: docs/webhooks.md.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Event {
    /// Whether the same is asked again and again by one viewer.
    #[serde(skip)]
    pub(crate) polls: bool,
    pub(crate) event: Kind,
    /// The session's id; a question may be asked before there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) session: Option<String>,
    pub(crate) vhost: String,
    pub(crate) app: String,
    pub(crate) name: String,
    pub(crate) protocol: String,
    /// The client's; a recording has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) address: Option<IpAddr>,
    /// As the client wrote it, with its secrets: the hook decides on them.
    pub(crate) query: String,
    /// From `Authorization: Bearer …`, likewise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) bearer: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) user_agent: Option<String>,
    /// Of `unpublish` and `unplay`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ended: Option<Ended>,
    /// Of `record`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) recording: Option<Recording>,
}

/// How a session ended.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Ended {
    /// The close reason, as in metrics.
    pub(crate) reason: String,
    pub(crate) seconds: f64,
    /// Of media, in or out.
    pub(crate) bytes: u64,
}

/// A recording that is finished.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Recording {
    pub(crate) file: String,
    pub(crate) seconds: f64,
    pub(crate) bytes: u64,
}

/// What a hook decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) allow: bool,
    pub(super) reason: Option<String>,
    pub(super) expires: Option<SystemTime>,
    pub(super) cache_for: Option<Duration>,
}

/// The body of an answer; other fields are passed over.
#[derive(Deserialize)]
struct Body {
    allow: bool,
    reason: Option<String>,
    /// Seconds.
    expires_in: Option<u64>,
    /// Seconds.
    cache_for: Option<u64>,
}

#[derive(Serialize)]
struct Sent<'a> {
    id: &'a str,
    time: String,
    #[serde(flatten)]
    event: &'a Event,
}

/// A reason goes into an RTMP status or a line of text.
const REASON_CHARS_MAX: usize = 200;
/// Ten years.
const SECONDS_MAX: u64 = 315_360_000;
/// Parameters that a player changes with every request of one session. RFC 8216bis §6.2.5.
const DELIVERY_DIRECTIVE: &str = "_HLS_";

impl Event {
    /// As JSON. The same event has the same body, however often it is sent.
    pub(super) fn body(&self, id: &str, now: SystemTime) -> Bytes {
        let time = humantime::format_rfc3339_millis(now).to_string();
        // Maps with text keys and numbers: there is nothing that JSON can't say.
        serde_json::to_vec(&Sent { id, time, event: self }).unwrap_or_default().into()
    }

    /// What makes two questions the same.
    pub(super) fn key(&self, by_address: bool) -> Key {
        let query = self.query.split('&').filter(|pair| !pair.starts_with(DELIVERY_DIRECTIVE));
        let address = self.address.filter(|_| by_address).map(|ip| ip.to_string());
        let kind = [self.event as u8];
        let fields = [
            Some(&kind[..]),
            Some(self.vhost.as_bytes()),
            Some(self.app.as_bytes()),
            Some(self.name.as_bytes()),
            Some(self.protocol.as_bytes()),
            self.bearer.as_deref().map(str::as_bytes),
            address.as_deref().map(str::as_bytes),
        ];
        let mut hash = digest::Context::new(&digest::SHA256);
        // Lengths keep fields apart, and what is missing differs from what is empty.
        let mut add = |field: Option<&[u8]>| {
            hash.update(&field.map_or(u64::MAX, |f| f.len() as u64).to_be_bytes());
            hash.update(field.unwrap_or_default());
        };
        fields.into_iter().for_each(&mut add);
        query.for_each(|pair| add(Some(pair.as_bytes())));
        let mut key = [0; 32];
        key.copy_from_slice(hash.finish().as_ref());
        key
    }
}

/// What an answer means: 2xx without a body allows, 401 and 403 deny, JSON says more; everything else is a failure.
pub(super) fn answer(status: StatusCode, body: &[u8], now: SystemTime) -> Result<Answer, Failure> {
    let is_denied = matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
    if !is_denied && !status.is_success() {
        return Err(Failure::Status(status));
    }
    let said = match serde_json::from_slice::<Body>(body) {
        Ok(said) => said,
        Err(_) if is_denied => Body { allow: false, reason: None, expires_in: None, cache_for: None },
        Err(_) if body.trim_ascii().is_empty() => {
            Body { allow: true, reason: None, expires_in: None, cache_for: None }
        }
        Err(error) => return Err(Failure::Answer(error.to_string())),
    };
    let span = |seconds: u64| Duration::from_secs(seconds.min(SECONDS_MAX));
    let reason =
        said.reason.map(|text| text.chars().filter(|c| !c.is_control()).take(REASON_CHARS_MAX).collect());
    Ok(Answer {
        allow: said.allow && !is_denied,
        reason,
        expires: said.expires_in.and_then(|seconds| now.checked_add(span(seconds))),
        cache_for: said.cache_for.map(span),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use testkit::Random;

    fn event() -> Event {
        Event {
            polls: false,
            event: Kind::Publish,
            session: None,
            vhost: "default".into(),
            app: "live".into(),
            name: "alice".into(),
            protocol: "rtmp".into(),
            address: Some([192, 0, 2, 7].into()),
            query: "key=s3cret".into(),
            bearer: None,
            user_agent: Some("FMLE/3.0".into()),
            ended: None,
            recording: None,
        }
    }

    /// The documented examples are what is sent.
    #[test]
    fn bodies_are_as_documented() {
        let document = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/webhooks.md");
        let document = std::fs::read_to_string(document).unwrap();
        let now = SystemTime::UNIX_EPOCH + Duration::from_millis(1_800_000_000_125);
        let ended = Ended { reason: "left".into(), seconds: 12.5, bytes: 7_500_000 };
        let told = Event {
            event: Kind::Unpublish,
            session: Some("1a2b3c4d00000001".into()),
            ended: Some(ended),
            ..event()
        };
        for (event, id) in [(event(), "e_5f3a9c0100000001"), (told, "e_5f3a9c0100000002")] {
            let sent: serde_json::Value = serde_json::from_slice(&event.body(id, now)).unwrap();
            let shown = document.split("```json\n").skip(1).map(|part| part.split("```").next().unwrap());
            let mut shown = shown.filter_map(|text| serde_json::from_str::<serde_json::Value>(text).ok());
            assert!(shown.any(|shown| shown == sent), "not in docs/webhooks.md: {sent:#}");
        }
    }

    #[test]
    fn answers_mean_what_the_documentation_says() {
        let now = SystemTime::UNIX_EPOCH;
        let check = |status: u16, body: &str| {
            answer(StatusCode::from_u16(status).unwrap(), body.as_bytes(), now).map(|a| a.allow).ok()
        };
        assert_eq!(check(200, ""), Some(true));
        assert_eq!(check(204, " \n"), Some(true));
        assert_eq!(check(200, r#"{"allow":true,"more":1}"#), Some(true));
        assert_eq!(check(200, r#"{"allow":false}"#), Some(false));
        assert_eq!(check(403, ""), Some(false));
        assert_eq!(check(401, "<html>"), Some(false));
        assert_eq!(check(403, r#"{"allow":true}"#), Some(false));
        for (status, body) in
            [(200, "ok"), (200, "{}"), (200, r#"{"allow":1}"#), (302, ""), (404, ""), (500, ""), (100, "")]
        {
            assert_eq!(check(status, body), None, "{status} {body} is a failure");
        }
        let body = "{\"allow\":false,\"reason\":\"no\\r\\nHeader: x\",\"expires_in\":5,\"cache_for\":9}";
        let found = answer(StatusCode::OK, body.as_bytes(), now).unwrap();
        assert_eq!(found.reason.as_deref(), Some("noHeader: x"), "no line of its own");
        assert_eq!(found.expires, Some(now + Duration::from_secs(5)));
        assert_eq!(found.cache_for, Some(Duration::from_secs(9)));
    }

    #[test]
    fn questions_are_the_same_when_credential_path_and_address_are() {
        let key = |change: fn(&mut Event)| {
            let mut event = event();
            change(&mut event);
            event.key(true)
        };
        let same = key(|_| {});
        assert_eq!(key(|e| e.user_agent = None), same);
        assert_eq!(key(|e| e.query = "_HLS_msn=1&key=s3cret&_HLS_part=2".into()), same);
        for (other, what) in [
            (key(|e| e.event = Kind::Play), "event"),
            (key(|e| e.vhost = "v".into()), "vhost"),
            (key(|e| e.name = "bob".into()), "name"),
            (key(|e| (e.app, e.name) = ("liv".into(), "ealice".into())), "where app ends"),
            (key(|e| e.query = "key=other".into()), "query"),
            (key(|e| e.bearer = Some(String::new())), "bearer"),
            (key(|e| e.address = Some([192, 0, 2, 8].into())), "address"),
        ] {
            assert_ne!(other, same, "{what}");
        }
        let mut elsewhere = event();
        elsewhere.address = Some([192, 0, 2, 8].into());
        assert_eq!(elsewhere.key(false), event().key(false));
    }

    #[test]
    fn fuzz_answers() {
        let mut random = Random::seeded(9);
        let good = br#"{"allow":true,"expires_in":60,"cache_for":18446744073709551615,"reason":"no"}"#;
        for _ in 0..3000 {
            let body = random.mutate(good);
            let status = StatusCode::from_u16([200, 204, 403, 500][random.below(4)]).unwrap();
            if let Ok(answer) = answer(status, &body, SystemTime::UNIX_EPOCH) {
                assert!(!answer.allow || status.is_success());
            }
        }
    }
}
