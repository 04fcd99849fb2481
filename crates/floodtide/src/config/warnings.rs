//! What is allowed and yet hardly meant, and what would keep a server from starting.

use node::config::{Access, BFrames, Config, Surroundings, Vhost, masked};
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::SystemTime;
use toml::Value;

/// Shorter keys are guessed.
const STREAM_KEY_BYTES: usize = 8;

/// What a server would not start with, although each value is allowed.
pub(crate) fn errors(config: &Config) -> Vec<String> {
    let mut found = conflicts(config);
    if let Err(error) = node::check_certificate(&config.tls) {
        found.push(format!("{error:#}"));
    }
    found
}

/// The same, without the certificate.
pub(crate) fn conflicts(config: &Config) -> Vec<String> {
    let mut found = twice(&listeners(config));
    let state = config.state.folder(&Surroundings::here());
    if let Err(error) = node::auth::somebody_may_publish(config, &state) {
        found.push(error.to_string());
    }
    found.extend(config.log.otlp.missing().map(str::to_owned));
    found
}

/// What is hardly meant. `file` is where the configuration stands.
pub(crate) fn warnings(config: &Config, file: Option<&Path>) -> Vec<String> {
    let state = config.state.folder(&Surroundings::here());
    let mut found = Vec::new();
    if let Ok(false) = node::auth::somebody_may_publish(config, &state)
        && config.webhook.publish.is_empty()
    {
        found.push(
            "nobody can publish: set publish.stream_key, or make a key by floodtide ctl key add".to_owned(),
        );
    }
    found.extend(credentials(config, SystemTime::now()));
    found.extend(open_doors(config));
    found.extend(missing_program(config));
    if !config.webhook.record.is_empty() {
        found.push("webhook.record is told nothing: this version makes no recordings".to_owned());
    }
    found.extend(file.and_then(|file| readable_by_all(config, file)));
    found
}

/// Whether pictures are to be coded anew and there is nothing that does.
fn missing_program(config: &Config) -> Option<String> {
    let vhosts = config.vhost.values();
    let of_apps = config.app.values().chain(vhosts.clone().flat_map(|vhost| vhost.app.values()));
    let said = of_apps.map(|app| app.b_frames).chain(vhosts.map(|vhost| vhost.b_frames));
    let wanted = said.flatten().chain([config.webrtc.b_frames]).any(|policy| policy == BFrames::Transcode);
    (wanted && config.webrtc.enabled && node::find_program(&config.transcode.ffmpeg).is_none()).then(|| {
        format!(
            "b_frames is \"transcode\", but there is no {} here, so broadcasts with B-frames are refused by WebRTC: install ffmpeg, or \
             set transcode.ffmpeg to where it is",
            config.transcode.ffmpeg
        )
    })
}

/// Every listener with its key.
pub(crate) fn listeners(config: &Config) -> Vec<(&'static str, SocketAddr)> {
    let mut all = vec![
        ("rtmp.listen", config.rtmp.listen),
        ("http.listen", config.http.listen),
        ("admin.listen", config.admin.listen),
    ];
    if config.tls.certificate.is_some() {
        all.extend([
            ("rtmp.tls_listen", config.rtmp.tls_listen),
            ("http.tls_listen", config.http.tls_listen),
        ]);
    }
    // Media by TCP comes to the same number as by UDP.
    all.extend(config.webrtc.enabled.then_some(("webrtc.listen by TCP", config.webrtc.listen)));
    all
}

/// Every UDP port with its key.
pub(crate) fn datagram_ports(config: &Config) -> Vec<(&'static str, SocketAddr)> {
    let webrtc = config.webrtc.enabled.then_some(("webrtc.listen", config.webrtc.listen));
    let srt = config.srt.enabled.then_some(("srt.listen", config.srt.listen));
    webrtc.into_iter().chain(srt).collect()
}

/// Listeners that want the same port.
fn twice(listeners: &[(&str, SocketAddr)]) -> Vec<String> {
    let overlap = |a: IpAddr, b: IpAddr| a == b || a.is_unspecified() || b.is_unspecified();
    let mut found = Vec::new();
    for (at, (key, address)) in listeners.iter().enumerate() {
        for (other, taken) in &listeners[..at] {
            if address.port() != 0 && address.port() == taken.port() && overlap(address.ip(), taken.ip()) {
                found.push(format!("{key} is {address}, but {other} ({taken}) has this port already"));
            }
        }
    }
    found
}

fn credentials(config: &Config, now: SystemTime) -> Vec<String> {
    let mut found = Vec::new();
    if config.publish.stream_key.as_ref().is_some_and(|key| key.len() < STREAM_KEY_BYTES) {
        found.push(format!("publish.stream_key is short: take at least {STREAM_KEY_BYTES} characters"));
    }
    for key in &config.publish.key {
        if key.expires.is_some_and(|end| end.0 <= now) {
            found.push(format!(
                "the stream key {} has expired: change publish.key.expires or remove it",
                key.id
            ));
        }
    }
    let asks = |vhost: &Vhost| vhost.play == Some(Access::Credential);
    let wanted = config.play.access == Access::Credential || config.vhost.values().any(asks);
    if wanted && config.auth.jwt.is_empty() && config.auth.url.is_empty() {
        found.push(
            "playing needs a credential, but there is no [[auth.jwt]] or [[auth.url]] to sign one".to_owned(),
        );
    }
    found
}

fn open_doors(config: &Config) -> Vec<String> {
    let mut found = Vec::new();
    if !config.admin.listen.ip().is_loopback() {
        let at = config.admin.listen;
        found.push(format!(
            "admin.listen is {at}: whoever reaches it reads the metrics; let a firewall guard it"
        ));
    }
    let hooks = &config.webhook;
    let urls = [&hooks.publish, &hooks.play, &hooks.unpublish, &hooks.unplay, &hooks.record];
    let plain = |url: &&String| url.starts_with("http://") && !is_local(url);
    if let Some(url) = urls.into_iter().flatten().find(plain) {
        let url = masked("url", &Value::String(url.clone()));
        found.push(format!("webhooks go to {url} without TLS: everybody on the way reads and changes them"));
    }
    found
}

fn is_local(url: &str) -> bool {
    ["http://127.", "http://localhost", "http://[::1]"].iter().any(|local| url.starts_with(local))
}

/// A file with a secret that every user of this machine can read.
fn readable_by_all(config: &Config, file: &Path) -> Option<String> {
    let holds_secret = config
        .values()
        .iter()
        .any(|(key, value)| masked(key.rsplit('.').next().unwrap_or_default(), value) != *value);
    let mode = std::fs::metadata(file).ok()?.permissions().mode();
    (holds_secret && mode & 0o004 != 0).then(|| {
        let file = file.display();
        format!("{file} holds a secret and every user of this machine can read it: chmod 640 {file}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Config {
        toml::from_str(text).expect("a good configuration")
    }

    #[track_caller]
    fn check(text: &str, expect: &str) {
        let told = warnings(&config(text), None);
        assert!(told.iter().any(|warning| warning.contains(expect)), "{expect:?} is missing in {told:?}");
    }

    #[test]
    fn what_is_hardly_meant_is_told() {
        let empty = "[state]\nfolder = '/nonexistent'\n";
        check(empty, "nobody can publish");
        check("[publish]\nstream_key = 'abc'", "publish.stream_key is short");
        check(
            "[[publish.key]]\nid = 'late'\nsecret = 'long enough'\npath = '**'\nexpires = '2020-01-01T00:00:00Z'",
            "late has expired",
        );
        check("[play]\naccess = 'credential'", "no [[auth.jwt]]");
        let missing = "[transcode]\nffmpeg = '/no/such/ffmpeg'\n";
        check(&format!("{missing}[webrtc]\nb_frames = 'transcode'"), "no /no/such/ffmpeg here");
        check(&format!("{missing}[vhost.v.app.a]\nb_frames = 'transcode'"), "transcode.ffmpeg");
        check("[admin]\nlisten = '0.0.0.0:9080'", "admin.listen is 0.0.0.0:9080");
        check("[webhook]\nrecord = ['https://h.example/x']", "webhook.record is told nothing");
        check("[webhook]\nplay = ['http://h.example/x?k=v']", "h.example/x?k=********");
    }

    #[test]
    fn a_good_configuration_has_no_warning() {
        let good = config("[publish]\nstream_key = 'long enough'\n[webhook]\nplay = ['http://127.0.0.1/x']");
        assert_eq!(warnings(&good, None), Vec::<String>::new());
        assert_eq!(errors(&good), Vec::<String>::new());
    }

    #[test]
    fn two_listeners_on_one_port_are_an_error() {
        let told = errors(&config("[http]\nlisten = '127.0.0.1:1935'"));
        assert_eq!(
            told,
            ["http.listen is 127.0.0.1:1935, but rtmp.listen (0.0.0.0:1935) has this port already"]
        );
        let apart = config("[http]\nlisten = '127.0.0.1:1'\n[rtmp]\nlisten = '127.0.0.2:1'");
        assert_eq!(errors(&apart), Vec::<String>::new());
    }

    #[test]
    fn traces_that_this_build_does_not_have_are_an_error() {
        let traced =
            config("[publish]\nstream_key = 'long enough'\n[log.otlp]\nendpoint = 'http://127.0.0.1:4318/'");
        assert_eq!(errors(&traced), Vec::from_iter(traced.log.otlp.missing().map(str::to_owned)));
    }

    #[test]
    fn a_certificate_that_cannot_be_read_is_an_error() {
        let told = errors(&config("[tls]\ncertificate = '/nonexistent/c.pem'\nkey = '/nonexistent/k.pem'"));
        assert!(told.iter().any(|error| error.contains("/nonexistent/c.pem")), "{told:?}");
    }
}
