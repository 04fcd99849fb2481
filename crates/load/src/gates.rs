//! Gates: bounds on a result. What could not be measured does not pass.

use crate::args::GateArgs;
use crate::quantity::Share;
use crate::stats::{Distribution, Tally};
use serde::Serialize;
use std::time::Duration;

/// One gate's outcome.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Gate {
    /// As on the command line.
    pub(crate) name: &'static str,
    pub(crate) limit: String,
    pub(crate) measured: String,
    pub(crate) passed: bool,
    /// How far beyond the limit, when it failed.
    pub(crate) by: Option<String>,
}

impl Gate {
    /// One line for people.
    pub(crate) fn line(&self) -> String {
        let Self { name, limit, measured, .. } = self;
        match &self.by {
            None => format!("pass  {name} {limit}: {measured}"),
            Some(by) => format!("FAIL  {name} {limit}: {measured}, {by}"),
        }
    }
}

/// Judges all gates that were asked for.
pub(crate) fn judge(gates: &GateArgs, total: &Tally, cpu_per_gib: Option<f64>) -> Vec<Gate> {
    let mut judged = Vec::new();
    if let Some(limit) = gates.max_stall_rate {
        let measured = (total.first_media.len() > 0).then(|| total.stall_rate());
        judged.push(at_most("--max-stall-rate", limit.0, measured, |value| Share(value).to_string()));
    }
    if let Some(limit) = gates.max_age_p99 {
        judged.push(time("--max-age-p99", limit, &total.frame_age, 99.0));
    }
    if let Some(limit) = gates.max_first_media_p95 {
        judged.push(time("--max-first-media-p95", limit, &total.first_media, 95.0));
    }
    if let Some(limit) = gates.min_playing {
        let measured = (total.steady > 0).then(|| total.playing as f64 / total.steady as f64);
        let mut gate = at_most("--min-playing", -limit.0, measured.map(|share| -share), |value| {
            Share(value.abs()).to_string()
        });
        if let (Some(by), Some(share)) = (&mut gate.by, measured) {
            *by = format!("{} too few", Share(limit.0 - share));
        }
        judged.push(gate);
    }
    if let Some(limit) = gates.max_disconnects {
        judged.push(at_most("--max-disconnects", limit as f64, Some(total.disconnected() as f64), whole));
    }
    if let Some(limit) = gates.max_late {
        let measured = (total.hls.reload.len() > 0).then_some(total.hls.late as f64);
        judged.push(at_most("--max-late", limit as f64, measured, whole));
    }
    if let Some(limit) = gates.max_cpu_per_gib {
        judged.push(at_most("--max-cpu-per-gib", limit, cpu_per_gib, |value| format!("{value:.2} s")));
    }
    judged
}

fn time(name: &'static str, limit: Duration, times: &Distribution, percent: f64) -> Gate {
    let measured = (times.len() > 0).then(|| times.percentile(percent) as f64);
    at_most(name, limit.as_micros() as f64, measured, |micros| format!("{:.1} ms", micros / 1000.0))
}

fn at_most(name: &'static str, limit: f64, measured: Option<f64>, show: impl Fn(f64) -> String) -> Gate {
    let by = match measured {
        None => Some("so it cannot pass".to_owned()),
        Some(value) if value > limit => Some(format!("{} too much", show(value - limit))),
        Some(_) => None,
    };
    let shown = measured.map_or_else(|| "nothing was measured".to_owned(), &show);
    Gate { name, limit: show(limit), measured: shown, passed: by.is_none(), by }
}

fn whole(value: f64) -> String {
    format!("{value:.0}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(gates: &GateArgs, tally: &Tally) -> Vec<String> {
        judge(gates, tally, None).iter().filter(|gate| !gate.passed).map(Gate::line).collect()
    }

    #[test]
    fn a_failed_gate_says_by_how_much() {
        let mut tally = Tally { steady: 100, playing: 97, stalled_viewers: 3, ..Tally::default() };
        tally.disconnects.insert("closed".to_owned(), 3);
        for _ in 0..100 {
            tally.first_media.record(300_000);
        }
        let gates = GateArgs {
            max_stall_rate: Some(Share(0.01)),
            max_first_media_p95: Some(Duration::from_millis(250)),
            min_playing: Some(Share(0.99)),
            max_disconnects: Some(1),
            ..GateArgs::default()
        };
        let lines = failed(&gates, &tally);
        assert_eq!(lines.len(), 4, "{lines:?}");
        assert_eq!(lines[0], "FAIL  --max-stall-rate 1.00 %: 3.00 %, 2.00 % too much");
        assert!(lines[1].starts_with("FAIL  --max-first-media-p95 250.0 ms: 300."), "{}", lines[1]);
        assert_eq!(lines[2], "FAIL  --min-playing 99.0 %: 97.0 %, 2.00 % too few");
        assert_eq!(lines[3], "FAIL  --max-disconnects 1: 3, 2 too much");
    }

    #[test]
    fn what_was_not_measured_does_not_pass() {
        let gates = GateArgs {
            max_age_p99: Some(Duration::from_secs(1)),
            max_cpu_per_gib: Some(1.0),
            max_late: Some(0),
            ..GateArgs::default()
        };
        assert_eq!(failed(&gates, &Tally::default()).len(), 3);
    }

    #[test]
    fn a_good_run_passes() {
        let mut tally = Tally { steady: 2, playing: 2, ..Tally::default() };
        tally.frame_age.record(5_000);
        tally.first_media.record(10_000);
        let gates = GateArgs {
            max_stall_rate: Some(Share(0.0)),
            max_age_p99: Some(Duration::from_millis(50)),
            min_playing: Some(Share(1.0)),
            max_disconnects: Some(0),
            ..GateArgs::default()
        };
        assert_eq!(failed(&gates, &tally), Vec::<String>::new());
    }
}
