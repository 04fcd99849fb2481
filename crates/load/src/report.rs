//! The result, for people and for programs.

use crate::crowd::Measured;
use crate::gates::Gate;
use crate::machine::Cost;
use crate::profile::Profile;
use crate::quantity::Share;
use crate::stats::{Distribution, Tally};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

/// A run's result. Its JSON form is what `--json` writes.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) window_seconds: f64,
    pub(crate) profiles: Vec<Row>,
    pub(crate) total: Row,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) server: Option<Server>,
    pub(crate) generator: Generator,
    pub(crate) gates: Vec<Gate>,
    pub(crate) passed: bool,
}

/// One profile, or all together. Times are milliseconds.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) protocol: &'static str,
    pub(crate) url: String,
    viewers: u64,
    connected: u64,
    playing: u64,
    silent: u64,
    stalls: u64,
    stalled_viewers: u64,
    stall_rate: f64,
    disconnects: u64,
    disconnect_reasons: BTreeMap<String, u64>,
    slow_viewers: u64,
    slow_closed: BTreeMap<String, u64>,
    bytes: u64,
    bytes_total: u64,
    mbit_per_second: f64,
    viewer_kbit_per_second: Spread,
    first_byte_ms: Spread,
    first_media_ms: Spread,
    frame_age_ms: Spread,
    probed_frames: u64,
    timestamps_back: u64,
    /// Of pictures by WebRTC.
    packets: u64,
    packets_lost: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    hls: Option<HlsRow>,
}

#[derive(Debug, Serialize)]
struct HlsRow {
    playlists: u64,
    deltas: u64,
    parts: u64,
    segments: u64,
    late: u64,
    reload_ms: Spread,
    fetch_ms: Spread,
    errors: BTreeMap<String, u64>,
}

/// A distribution in six numbers.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Spread {
    pub(crate) count: u64,
    pub(crate) min: f64,
    pub(crate) p50: f64,
    pub(crate) p95: f64,
    pub(crate) p99: f64,
    pub(crate) max: f64,
}

/// What the server paid within the window.
#[derive(Debug, Serialize)]
pub(crate) struct Server {
    pub(crate) pid: u32,
    cpu_seconds: f64,
    user_seconds: f64,
    cpu_percent: f64,
    pub(crate) cpu_seconds_per_gib: Option<f64>,
    rss_mib: f64,
    rss_kib_per_viewer: f64,
    threads: u64,
}

/// What the generator itself did: a result from one that was overloaded is about the generator.
#[derive(Debug, Serialize)]
pub(crate) struct Generator {
    pub(crate) processes: u16,
    pub(crate) cpu_percent: f64,
    pub(crate) tick_lag_ms: Spread,
}

/// The server's cost at the three moments that matter.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Samples {
    pub(crate) pid: u32,
    pub(crate) idle: Cost,
    pub(crate) from: Cost,
    pub(crate) until: Cost,
}

impl Report {
    /// Puts a result together; the gates come later.
    pub(crate) fn new(
        profiles: &[Profile],
        measured: &Measured,
        samples: Option<Samples>,
        window_seconds: f64,
        processes: u16,
    ) -> (Self, Tally) {
        let mut total = Tally::default();
        measured.tallies.iter().for_each(|tally| total.add(tally));
        let rows = profiles.iter().zip(&measured.tallies).map(|(profile, tally)| {
            let scheme = match profile.target.protocol {
                crate::profile::Protocol::Ws => "ws",
                crate::profile::Protocol::Rtmp => "rtmp",
                _ => "http",
            };
            let url = format!("{scheme}://{}{}", profile.target.host, profile.target.path);
            Row::new(profile.target.protocol.name(), url, tally, window_seconds)
        });
        let report = Self {
            window_seconds,
            profiles: rows.collect(),
            total: Row::new("total", String::new(), &total, window_seconds),
            server: samples.map(|samples| Server::new(&samples, &total, window_seconds)),
            generator: Generator {
                processes,
                cpu_percent: measured.own_cpu_seconds / window_seconds * 100.0,
                tick_lag_ms: Spread::of(&measured.lag, 1000.0),
            },
            gates: Vec::new(),
            passed: true,
        };
        (report, total)
    }
}

impl Row {
    fn new(protocol: &'static str, url: String, tally: &Tally, window_seconds: f64) -> Self {
        let hls = &tally.hls;
        let has_hls = hls.playlists > 0 || !hls.errors.is_empty();
        Self {
            protocol,
            url,
            viewers: tally.viewers,
            connected: tally.connected,
            playing: tally.playing,
            silent: tally.silent,
            stalls: tally.stalls,
            stalled_viewers: tally.stalled_viewers,
            stall_rate: tally.stall_rate(),
            disconnects: tally.disconnected(),
            disconnect_reasons: tally.disconnects.clone(),
            slow_viewers: tally.slow,
            slow_closed: tally.slow_closed.clone(),
            bytes: tally.bytes,
            bytes_total: tally.bytes_total,
            mbit_per_second: tally.bytes as f64 * 8.0 / 1e6 / window_seconds,
            viewer_kbit_per_second: Spread::of(&tally.viewer_rate, 1000.0),
            first_byte_ms: Spread::of(&tally.first_byte, 1000.0),
            first_media_ms: Spread::of(&tally.first_media, 1000.0),
            frame_age_ms: Spread::of(&tally.frame_age, 1000.0),
            probed_frames: tally.frames,
            timestamps_back: tally.timestamps_back,
            packets: tally.packets,
            packets_lost: tally.packets_lost,
            hls: has_hls.then(|| HlsRow {
                playlists: hls.playlists,
                deltas: hls.deltas,
                parts: hls.parts,
                segments: hls.segments,
                late: hls.late,
                reload_ms: Spread::of(&hls.reload, 1000.0),
                fetch_ms: Spread::of(&hls.fetch, 1000.0),
                errors: hls.errors.clone(),
            }),
        }
    }
}

impl Spread {
    pub(crate) fn of(values: &Distribution, per_unit: f64) -> Self {
        let at = |percent| values.percentile(percent) as f64 / per_unit;
        Self {
            count: values.len(),
            min: at(0.0),
            p50: at(50.0),
            p95: at(95.0),
            p99: at(99.0),
            max: values.max() as f64 / per_unit,
        }
    }

    fn pair(&self, low: f64, high: f64) -> String {
        if self.count == 0 { "-".to_owned() } else { format!("{} / {}", ms(low), ms(high)) }
    }
}

impl Server {
    fn new(samples: &Samples, total: &Tally, window_seconds: f64) -> Self {
        let cpu_seconds = samples.until.cpu_seconds - samples.from.cpu_seconds;
        let gib = total.bytes as f64 / (1u64 << 30) as f64;
        Self {
            pid: samples.pid,
            cpu_seconds,
            user_seconds: samples.until.user_seconds - samples.from.user_seconds,
            cpu_percent: cpu_seconds / window_seconds * 100.0,
            cpu_seconds_per_gib: (gib > 0.0).then(|| cpu_seconds / gib),
            rss_mib: samples.until.rss_kib as f64 / 1024.0,
            rss_kib_per_viewer: (samples.until.rss_kib as f64 - samples.idle.rss_kib as f64)
                / total.viewers.max(1) as f64,
            threads: samples.until.threads,
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines = vec![HEADINGS.map(str::to_owned)];
        lines.extend(self.profiles.iter().map(cells));
        if self.profiles.len() > 1 {
            lines.push(cells(&self.total));
        }
        write_table(f, &lines)?;
        for row in &self.profiles {
            details(f, row)?;
        }
        if let Some(server) = &self.server {
            let per_gib =
                server.cpu_seconds_per_gib.map_or_else(|| "-".to_owned(), |cost| format!("{cost:.2} s/GiB"));
            writeln!(
                f,
                "server {}: CPU {:.1} % of a core, {per_gib}; memory {:.1} MiB, {:.1} KiB a viewer; {} threads",
                server.pid, server.cpu_percent, server.rss_mib, server.rss_kib_per_viewer, server.threads
            )?;
        }
        let lag = self.generator.tick_lag_ms;
        writeln!(
            f,
            "generator: {} process(es), CPU {:.1} % of a core, ticks late by {} ms P50/P99; window {:.1} s",
            self.generator.processes,
            self.generator.cpu_percent,
            lag.pair(lag.p50, lag.p99),
            self.window_seconds
        )?;
        if lag.p99 > LAG_MS_GOOD {
            writeln!(f, "warning: the generator could not keep up; take more --processes or fewer viewers")?;
        }
        self.gates.iter().try_for_each(|gate| writeln!(f, "{}", gate.line()))
    }
}

fn cells(row: &Row) -> [String; COLUMNS] {
    [
        row.protocol.to_owned(),
        row.viewers.to_string(),
        row.playing.to_string(),
        row.silent.to_string(),
        format!("{} ({})", row.stalled_viewers, Share(row.stall_rate.min(1.0))),
        row.disconnects.to_string(),
        row.first_byte_ms.pair(row.first_byte_ms.p50, row.first_byte_ms.p95),
        row.first_media_ms.pair(row.first_media_ms.p50, row.first_media_ms.p95),
        row.frame_age_ms.pair(row.frame_age_ms.p50, row.frame_age_ms.p99),
        format!("{:.1}", row.mbit_per_second),
    ]
}

fn write_table(f: &mut fmt::Formatter<'_>, lines: &[[String; COLUMNS]]) -> fmt::Result {
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; COLUMNS] = std::array::from_fn(width);
    for line in lines {
        let mut text = format!("{:<width$}", line[0], width = widths[0]);
        for (cell, width) in line.iter().zip(widths).skip(1) {
            // Writing to a string does not fail.
            let _ = write!(text, "  {cell:>width$}");
        }
        writeln!(f, "{}", text.trim_end())?;
    }
    Ok(())
}

fn details(f: &mut fmt::Formatter<'_>, row: &Row) -> fmt::Result {
    let name = row.protocol;
    for (reason, times) in &row.disconnect_reasons {
        writeln!(f, "{name}: {times} × lost: {reason}")?;
    }
    if row.disconnect_reasons.keys().any(|reason| reason.contains("404")) {
        writeln!(
            f,
            "{name}: is something being published there? `floodtide load publish` or `floodtide demo` would"
        )?;
    }
    if row.slow_viewers > 0 {
        let closed: u64 = row.slow_closed.values().sum();
        writeln!(
            f,
            "{name}: {} slow or stopped viewers, of them {closed} closed by the server",
            row.slow_viewers
        )?;
    }
    if row.timestamps_back > 0 {
        writeln!(f, "{name}: {} of {} timestamps went back", row.timestamps_back, row.probed_frames)?;
    }
    if row.packets > 0 {
        let (lost, all) = (row.packets_lost, row.packets + row.packets_lost);
        writeln!(f, "{name}: {lost} of {all} packets of pictures never came")?;
    }
    if let Some(hls) = &row.hls {
        let Spread { p50, p99, .. } = hls.reload_ms;
        writeln!(
            f,
            "{name}: {} playlists ({} deltas), {} parts, {} segments; blocking answers after {} ms P50/P99, {} late; \
             fetch P99 {} ms",
            hls.playlists,
            hls.deltas,
            hls.parts,
            hls.segments,
            hls.reload_ms.pair(p50, p99),
            hls.late,
            ms(hls.fetch_ms.p99)
        )?;
        for (reason, times) in &hls.errors {
            writeln!(f, "{name}: {times} × {reason}")?;
        }
    }
    Ok(())
}

fn ms(value: f64) -> String {
    if value < 100.0 { format!("{value:.1}") } else { format!("{value:.0}") }
}

const COLUMNS: usize = 10;
const HEADINGS: [&str; COLUMNS] = [
    "",
    "viewers",
    "playing",
    "silent",
    "stalled",
    "lost",
    "first byte ms P50/P95",
    "first media ms P50/P95",
    "frame age ms P50/P99",
    "Mbit/s",
];
/// Beyond, times are the generator's own.
const LAG_MS_GOOD: f64 = 50.0;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::profiles;

    #[test]
    fn a_report_reads_well_and_parses() {
        let urls = ["http://127.0.0.1:1/live/x.flv".to_owned()];
        let profiles = profiles(&urls, &[], None, 1935).unwrap();
        let mut tally = Tally { viewers: 10, steady: 10, playing: 9, bytes: 1 << 30, ..Tally::default() };
        tally.disconnects.insert("HTTP 404 Not Found before any media".to_owned(), 1);
        tally.first_media.record(12_300);
        let measured = Measured { tallies: vec![tally], ..Measured::default() };
        let cost = |cpu_seconds| Cost { cpu_seconds, ..Cost::default() };
        let samples = Samples { pid: 1, idle: cost(0.0), from: cost(1.0), until: cost(3.0) };
        let (report, _) = Report::new(&profiles, &measured, Some(samples), 10.0, 1);
        let text = report.to_string();
        assert!(text.contains("1 × lost: HTTP 404 Not Found"), "{text}");
        assert!(text.contains("12.3 / 12.3") && text.contains("2.00 s/GiB"), "{text}");
        let value: serde_json::Value = serde_json::to_value(&report).unwrap();
        assert_eq!(value["profiles"][0]["disconnects"], 1);
        assert_eq!(value["server"]["cpu_seconds_per_gib"], 2.0);
    }
}
