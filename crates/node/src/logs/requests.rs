//! Lines of requests, as other lines are but put together here: a busy server writes one for each request, and the detour by fields
//! and visitors would cost more than most answers do.

use super::access::{Answered, REQUESTS, shown_path};
use crate::config::LogFormat;
use std::fmt::Write as _;
use std::io::Write as _;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::SystemTime;
use tracing::Level;
use tracing_appender::non_blocking::NonBlocking;
use tracing_subscriber::filter::Targets;

/// Writes them. Clones share.
#[derive(Clone, Debug)]
pub(crate) struct RequestLines {
    out: NonBlocking,
    format: LogFormat,
    wanted: Arc<AtomicU8>,
}

/// Whether lines of requests are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Wanted {
    No,
    Yes,
    /// The filters say more than can be told here.
    AskFilters,
}

impl Wanted {
    /// By filters as text.
    pub(super) fn by(filters: &str) -> Wanted {
        // What holds in some spans only, or with some fields.
        if filters.contains('[') {
            return Wanted::AskFilters;
        }
        match filters.parse::<Targets>() {
            Ok(targets) if targets.would_enable(REQUESTS, &Level::INFO) => Wanted::Yes,
            Ok(_) => Wanted::No,
            Err(_) => Wanted::AskFilters,
        }
    }
}

/// Room for a usual line.
const LINE_BYTES_USUAL: usize = 224;

impl RequestLines {
    pub(super) fn new(out: NonBlocking, format: LogFormat, wanted: Wanted) -> RequestLines {
        RequestLines { out, format, wanted: Arc::new(AtomicU8::new(wanted as u8)) }
    }

    pub(super) fn want(&self, wanted: Wanted) {
        self.wanted.store(wanted as u8, Ordering::Relaxed);
    }

    /// Writes a line if it is wanted; false if that is for the filters to say.
    pub(super) fn write(&self, answered: &Answered<'_>, peer: Option<IpAddr>) -> bool {
        let wanted = self.wanted.load(Ordering::Relaxed);
        if wanted == Wanted::Yes as u8 {
            let line = line(answered, peer, self.format, SystemTime::now());
            // An error means that the process ends.
            let _ = self.out.clone().write_all(line.as_bytes());
        }
        wanted != Wanted::AskFilters as u8
    }
}

/// The line, as the library makes those of others. `None` isn't shown.
fn line(answered: &Answered<'_>, peer: Option<IpAddr>, format: LogFormat, now: SystemTime) -> String {
    let Answered { kind: _, method, path, status, bytes, after, peer: _ } = answered;
    let (path, ms) = (shown_path(path), u64::try_from(after.as_millis()).unwrap_or(u64::MAX));
    let mut out = String::with_capacity(LINE_BYTES_USUAL);
    let json = format == LogFormat::Json;
    if json {
        out.push_str("{\"timestamp\":\"");
        moment(&mut out, now);
        out.push_str("\",\"level\":\"INFO\",\"message\":\"answered\"");
    } else {
        moment(&mut out, now);
        out.push_str("  INFO answered");
    }
    let name = |out: &mut String, name: &str| {
        if json {
            out.push_str(",\"");
            out.push_str(name);
            out.push_str("\":");
        } else {
            out.push(' ');
            out.push_str(name);
            out.push('=');
        }
    };
    name(&mut out, "method");
    quoted(&mut out, method, format);
    name(&mut out, "path");
    quoted(&mut out, &path, format);
    name(&mut out, "status");
    number(&mut out, u64::from(*status));
    if let Some(bytes) = bytes {
        name(&mut out, "bytes");
        number(&mut out, *bytes);
    }
    name(&mut out, "ms");
    number(&mut out, ms);
    if let Some(peer) = peer {
        name(&mut out, "peer");
        let peer = peer.to_string();
        if json { quoted(&mut out, &peer, format) } else { out.push_str(&peer) }
    }
    out.push_str(if json { "}\n" } else { "\n" });
    out
}

fn number(out: &mut String, number: u64) {
    let (mut digits, mut at, mut left) = ([b'0'; 20], 20, number);
    loop {
        at -= 1;
        digits[at] = b'0' + (left % 10) as u8;
        left /= 10;
        if left == 0 {
            break;
        }
    }
    out.extend(digits[at..].iter().map(|digit| char::from(*digit)));
}

/// A text in quotes; what would break them is escaped.
fn quoted(out: &mut String, text: &str, format: LogFormat) {
    let plain = |byte: u8| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\';
    if text.bytes().all(plain) {
        out.push('"');
        out.push_str(text);
        out.push('"');
    } else if format == LogFormat::Json {
        out.push_str(&serde_json::Value::from(text).to_string());
    } else {
        out.push_str(&format!("{text:?}"));
    }
}

/// As RFC 3339 has it, to the microsecond.
fn moment(out: &mut String, now: SystemTime) {
    // An error means that the clock is after the year 9999; a clock before 1970 would be a panic.
    let _ = write!(out, "{}", humantime::format_rfc3339_micros(now.max(SystemTime::UNIX_EPOCH)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logs::access::RequestKind;
    use std::sync::Mutex;
    use std::time::Duration;

    /// What the library writes.
    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// The same line by the library's way.
    fn by_library(answered: &Answered<'_>, peer: Option<IpAddr>, format: LogFormat) -> String {
        let written = Written::default();
        let out = written.clone();
        let lines = tracing_subscriber::fmt().with_target(false).with_writer(move || out.clone());
        let tell = || super::super::access::tell(answered, peer);
        match format {
            LogFormat::Text => tracing::subscriber::with_default(lines.with_ansi(false).finish(), tell),
            LogFormat::Json => {
                let lines = lines.json().flatten_event(true).with_span_list(false).finish();
                tracing::subscriber::with_default(lines, tell);
            }
        }
        let bytes = written.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    /// Without the moment, as text and as JSON, both ways.
    #[track_caller]
    fn check(path: &str, bytes: Option<u64>, peer: Option<&str>) {
        let (kind, after) = (RequestKind::Hls, Duration::from_millis(1234));
        let address = ([127, 0, 0, 1], 1).into();
        let answered = Answered { kind, method: "GET", path, status: 200, bytes, after, peer: address };
        let peer = peer.map(|peer| peer.parse().unwrap());
        let rest = |line: &str| {
            let at = line.find("Z").unwrap();
            line[at..].to_owned()
        };
        for format in [LogFormat::Text, LogFormat::Json] {
            let own = line(&answered, peer, format, SystemTime::now());
            let library = by_library(&answered, peer, format);
            assert_eq!(rest(&own), rest(&library));
            assert_eq!(own.find('Z'), library.find('Z'), "{own} {library}");
        }
    }

    #[test]
    fn lines_are_those_that_the_library_writes() {
        check("/live/x/video/index.m3u8", Some(3892), None);
        check("/live/x/video/seg-7.m4s", Some(u64::MAX), Some("192.0.2.7"));
        check("/live/x.flv", None, Some("2001:db8::1"));
        check("/live/\"a\\b'/直播/\u{7f}\u{202e}/é", Some(0), None);
        check("", Some(10), None);
    }

    #[test]
    fn filters_say_whether_lines_are_wanted_and_what_is_not_understood_is_left_to_them() {
        assert_eq!(Wanted::by("info,access=info"), Wanted::Yes);
        assert_eq!(Wanted::by("warn,access=info"), Wanted::Yes);
        assert_eq!(Wanted::by("info,access::request=off"), Wanted::No);
        assert_eq!(Wanted::by("info,access=off"), Wanted::No);
        assert_eq!(Wanted::by("warn,node=trace,access=off"), Wanted::No);
        assert_eq!(Wanted::by("info,[publisher]=trace,access=info"), Wanted::AskFilters);
    }

    #[test]
    fn moments_are_written_to_the_microsecond() {
        let mut out = String::new();
        moment(&mut out, SystemTime::UNIX_EPOCH + Duration::from_nanos(1_800_000_000_123_456_789));
        assert_eq!(out, "2027-01-15T08:00:00.123456Z");
        out.clear();
        moment(&mut out, SystemTime::UNIX_EPOCH - Duration::from_secs(1));
        assert_eq!(out, "1970-01-01T00:00:00.000000Z");
    }
}
