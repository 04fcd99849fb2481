//! What `deploy/` ships fits the metrics that are served, and `promtool` says that it works.

use super::Wanted;
use super::reference::{entries, metrics, root};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;

fn files(folder: &str, suffix: &str) -> Vec<PathBuf> {
    let all = std::fs::read_dir(root().join(folder)).unwrap().map(|entry| entry.unwrap().path());
    let found: Vec<_> = all.filter(|path| path.to_string_lossy().ends_with(suffix)).collect();
    assert!(!found.is_empty(), "no *{suffix} in {folder}");
    found
}

fn read(files: &[PathBuf]) -> String {
    files.iter().map(|file| std::fs::read_to_string(file).unwrap()).collect()
}

fn run(program: &str, arguments: &[&str], files: &[PathBuf]) {
    let output = Command::new(program).args(arguments).args(files).current_dir(root()).output();
    let output =
        output.unwrap_or_else(|error| panic!("{program}: {error}; see scripts/install-test-tools.sh"));
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{program} {arguments:?}: {said}");
}

/// What stands behind `key` in lines of YAML.
fn values<'a>(text: &'a str, key: &str) -> BTreeSet<&'a str> {
    text.lines().filter_map(|line| line.trim().strip_prefix(key)).map(str::trim).collect()
}

#[test]
fn rules_and_dashboards_name_only_metrics_that_exist() {
    let mut known: BTreeSet<String> = entries(&metrics().0.text(Wanted::Classic)).into_keys().collect();
    let rules = files("deploy/prometheus", ".rules.yml");
    known.extend(values(&read(&rules), "- record:").into_iter().map(str::to_owned));
    let mut named = 0;
    for file in
        rules.iter().chain(&files("deploy/prometheus", ".test.yml")).chain(&files("deploy/grafana", ".json"))
    {
        let text = std::fs::read_to_string(file).unwrap();
        let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != ':');
        let ours = ["floodtide_", "floodtide:", "process_"];
        for name in words
            .map(|word| word.trim_end_matches(':'))
            .filter(|word| ours.iter().any(|prefix| word.starts_with(prefix)))
        {
            let base = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| name.strip_suffix(suffix));
            let exists = known.contains(name) || base.is_some_and(|base| known.contains(base));
            assert!(exists, "{} names {name}, which docs/metrics.md doesn't know", file.display());
            named += 1;
        }
    }
    assert!(named > 100, "only {named} names were found");
}

#[test]
fn rules_are_right_and_fire_when_they_should() {
    run("promtool", &["check", "config", "deploy/prometheus/prometheus.yml"], &[]);
    run("promtool", &["check", "rules"], &files("deploy/prometheus", ".rules.yml"));
    run("promtool", &["test", "rules"], &files("deploy/prometheus", ".test.yml"));
}

#[test]
fn every_alert_has_a_level_a_test_and_a_page_in_the_runbook() {
    let rules = read(&files("deploy/prometheus", ".rules.yml"));
    let tests = read(&files("deploy/prometheus", ".test.yml"));
    let runbook = std::fs::read_to_string(root().join("docs/runbook.md")).unwrap();
    let alerts = values(&rules, "- alert:");
    assert!(alerts.len() >= 10, "{alerts:?}");
    for alert in alerts {
        assert!(tests.contains(&format!("alertname=\"{alert}\"")), "{alert} has no test");
        assert!(runbook.contains(&format!("### {alert}\n")), "{alert} has no page in docs/runbook.md");
        let link = format!("runbook_url: docs/runbook.md#{}\n", alert.to_lowercase());
        assert!(rules.contains(&link), "{alert} doesn't link to the runbook");
    }
    assert_eq!(values(&rules, "level:"), BTreeSet::from(["warn", "mitigate", "rebuild"]));
}

#[test]
fn dashboards_are_json_with_panels_that_ask_something() {
    let mut panels = 0;
    run("python3", &["scripts/make-dashboards.py", "--check"], &[]);
    for path in files("deploy/grafana", ".json") {
        let dashboard: serde_json::Value =
            serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        assert!(dashboard["uid"].is_string() && dashboard["title"].is_string(), "{}", path.display());
        for panel in dashboard["panels"].as_array().unwrap().iter().filter(|p| p["type"] != "row") {
            let targets = panel["targets"].as_array().unwrap();
            let asks = |t: &serde_json::Value| t["expr"].as_str().is_some_and(|expr| !expr.is_empty());
            assert!(
                !targets.is_empty() && targets.iter().all(asks),
                "{}: {}",
                path.display(),
                panel["title"]
            );
            panels += 1;
        }
    }
    assert!(panels > 20, "{panels} panels");
}
