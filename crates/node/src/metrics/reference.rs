//! `docs/metrics.md` says what `/metrics` says, `promtool` reads it, and the number of series
//! stays bounded whatever the server does.

use super::{CloseReason, Metrics, Wanted};
use crate::auth::Ask;
use crate::sessions::{Beginning, Protocol, Role, SessionGuard, Sessions};
use hub::{BroadcastPath, Collision, Hub, Limits};
use media::{Codec, Frame, Timestamp, Track, TrackId};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const HEAD: &str = "# Metrics\n\n\
    `GET /metrics` on the administrators' listener (`admin.listen`) answers with everything below: in OpenMetrics if the `Accept`\n\
    header asks for it, as Prometheus does, else in the older text format. Labels have a fixed set of values; no path, address, key or\n\
    session is among them. What concerns one broadcast or viewer is in the API.\n\n\
    Histograms are classic ones with fixed bounds, so `_bucket`, `_sum` and `_count` exist for each.\n\n\
    This page is generated from the code: `UPDATE=1 cargo test -p node metrics::reference`.\n";

/// Series that one server may have.
const SERIES_MAX: usize = 5000;

/// One metric as it is described.
pub(super) struct Entry {
    kind: String,
    help: String,
    labels: BTreeMap<String, BTreeSet<String>>,
}

/// A server's worth of counters: everything that can be counted was, once.
pub(super) fn metrics() -> (Metrics, Hub, Sessions) {
    let (hub, sessions) = (Hub::new(Limits::default()), Sessions::new(7));
    let metrics = Metrics::new(&hub, &sessions);
    for _ in 0..2 {
        metrics.worker().first_byte(Duration::from_millis(3));
    }
    (metrics, hub, sessions)
}

/// Metrics by name, from the older text format.
pub(super) fn entries(text: &str) -> BTreeMap<String, Entry> {
    let mut found: BTreeMap<String, Entry> = BTreeMap::new();
    let mut help = String::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            help = rest.split_once(' ').unwrap().1.trim_end_matches('.').to_owned();
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' '))
        {
            let entry = Entry { kind: kind.to_owned(), help: help.clone(), labels: BTreeMap::new() };
            found.insert(name.to_owned(), entry);
        } else {
            let name = line.split(['{', ' ']).next().unwrap();
            let (_, entry) = found.range_mut(..=name.to_owned()).next_back().unwrap();
            let labels = line.split_once('{').and_then(|(_, rest)| rest.split_once('}'));
            for pair in labels.map_or("", |(labels, _)| labels).split(',').filter(|pair| !pair.is_empty()) {
                let (label, value) = pair.split_once('=').unwrap();
                entry.labels.entry(label.to_owned()).or_default().insert(value.trim_matches('"').to_owned());
            }
        }
    }
    found
}

fn series(text: &str) -> usize {
    text.lines().filter(|line| !line.starts_with('#')).count()
}

fn labels(entry: &Entry) -> String {
    let shown =
        entry.labels.iter().filter(|(label, _)| *label != "le").map(|(label, values)| match label.as_str() {
            "worker" => "`worker`: its number".to_owned(),
            "version" => "`version`".to_owned(),
            _ => format!("`{label}`: {}", values.iter().cloned().collect::<Vec<_>>().join(", ")),
        });
    shown.collect::<Vec<_>>().join("; ")
}

pub(super) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn begin(sessions: &Sessions, role: Role, protocol: Protocol, path: &str) -> SessionGuard {
    let ask = Ask { protocol, ..Ask::for_test(path) };
    sessions.begin(role, Beginning { ask, ..Beginning::for_test(path) }, None)
}

#[test]
fn the_reference_is_what_the_code_says() {
    let mut reference = HEAD.to_owned();
    let text = metrics().0.text(Wanted::Classic);
    for (title, ours) in [("The server", true), ("The process", false)] {
        writeln!(reference, "\n## {title}\n\n| Metric | Type | Labels | Meaning |\n|---|---|---|---|")
            .unwrap();
        for (name, entry) in entries(&text).iter().filter(|(name, _)| name.starts_with("floodtide") == ours) {
            writeln!(reference, "| `{name}` | {} | {} | {} |", entry.kind, labels(entry), entry.help)
                .unwrap();
        }
    }
    let path = root().join("docs/metrics.md");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &reference).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(written, reference, "run UPDATE=1 cargo test -p node metrics::reference");
}

#[test]
fn a_thousand_broadcasts_and_ten_thousand_viewers_make_no_series_of_their_own() {
    let (metrics, hub, sessions) = metrics();
    let before = series(&metrics.text(Wanted::OpenMetrics));
    let now = Instant::now();
    let mut kept = Vec::new();
    for n in 0..1000 {
        let path = format!("app{n}/secret-name-{n}");
        let parsed = BroadcastPath::parse(&path).unwrap();
        let mut producer = hub.publish(&parsed, Collision::Reject, now).unwrap();
        producer.track(Track::new(TrackId::VIDEO, Codec::H264, bytes::Bytes::new())).unwrap();
        let at = Timestamp::from_millis(1);
        let frame = Frame { dts: at, pts: at, keyframe: true, payload: bytes::Bytes::from_static(b"x") };
        producer.write(TrackId::VIDEO, frame, now).unwrap();
        let publisher = begin(&sessions, Role::Publisher, Protocol::Rtmp, &path);
        let protocols = [Protocol::Rtmp, Protocol::Flv, Protocol::WsFlv];
        let viewers: Vec<_> =
            (0..10).map(|v| begin(&sessions, Role::Viewer, protocols[v % protocols.len()], &path)).collect();
        kept.push((producer, publisher, viewers));
    }
    let text = metrics.text(Wanted::OpenMetrics);
    assert!(text.contains("floodtide_broadcasts{state=\"live\"} 1000"), "{text}");
    assert!(text.contains("floodtide_viewers{protocol=\"flv\"} 3000"), "{text}");
    for (_, _, viewers) in &mut kept {
        for (viewer, reason) in viewers.iter_mut().zip(CloseReason::ALL) {
            viewer.ends(reason);
        }
    }
    drop(kept);
    let text = metrics.text(Wanted::OpenMetrics);
    assert!(text.contains("floodtide_viewer_ends_total{reason=\"stalled\"} 1000"), "{text}");
    assert!(text.contains("floodtide_viewers{protocol=\"flv\"} 0"), "{text}");
    assert_eq!(series(&text), before);
    assert!(before < SERIES_MAX / 10, "{before} series at rest");
    assert!(!text.contains("secret-name"), "a path is no label");
}

#[test]
fn promtool_finds_nothing_to_mend() {
    let text = metrics().0.text(Wanted::Classic);
    let check = run_promtool(&["check", "metrics"], &text);
    assert!(check.is_empty(), "{check}\n{text}");
    // promtool doesn't look for what quantiles need.
    let whole = "floodtide_time_to_first_byte_seconds_bucket{le=\"+Inf\"} 2\n";
    assert!(text.contains(whole), "{text}");
}

/// What promtool says about the text; nothing if all is well.
fn run_promtool(arguments: &[&str], text: &str) -> String {
    use std::io::Write;
    use std::process::{Command, Stdio};
    let mut child = Command::new("promtool")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool, of Debian's prometheus");
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    if output.status.success() { said } else { format!("{}: {said}", output.status) }
}
