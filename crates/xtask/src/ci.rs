//! All checks, in the order in which they fail fastest.

use crate::tidy;
use anyhow::{Context, Result, bail};
use std::process::Command;
use std::time::Instant;

/// Runs everything; the first failure ends it.
pub(crate) fn run() -> Result<()> {
    step("tidy", tidy::run)?;
    cargo("format", &["fmt", "--all", "--check"], &[])?;
    cargo("lints", &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"], &[])?;
    // End-to-end tests need the release binary and real clients: scripts/test-all.sh runs them.
    if has_nextest() {
        cargo("tests", &["nextest", "run", "--workspace", "--exclude", "e2e"], &[])?;
    } else {
        cargo("tests", &["test", "--workspace", "--exclude", "e2e"], &[])?;
    }
    cargo("docs", &["doc", "--workspace", "--no-deps"], &[("RUSTDOCFLAGS", "-D warnings")])
}

fn has_nextest() -> bool {
    Command::new("cargo").args(["nextest", "--version"]).output().is_ok_and(|o| o.status.success())
}

fn cargo(name: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Result<()> {
    step(name, || {
        let status = Command::new("cargo")
            .args(arguments)
            .envs(environment.iter().copied())
            .status()
            .context("can't start cargo")?;
        if !status.success() {
            bail!("cargo {} failed", arguments.join(" "));
        }
        Ok(())
    })
}

fn step(name: &str, work: impl FnOnce() -> Result<()>) -> Result<()> {
    eprintln!("== {name}");
    let start = Instant::now();
    work()?;
    eprintln!("== {name}: {:.1} s", start.elapsed().as_secs_f64());
    Ok(())
}
