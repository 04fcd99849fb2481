//! The one definition of "checked".

use crate::tidy;
use anyhow::{Context, Result};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

/// How much is tested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// All but the tests that need the release binary and other programs.
    WithoutE2e,
    /// The end-to-end tests too.
    All,
}

/// Runs every check, stops at the first that fails, and says which.
pub(crate) fn run(root: &Path, scope: Scope) -> Result<ExitCode> {
    let before = tree_state(root)?;
    println!("== tidy");
    let violations = tidy::check(root)?;
    violations.iter().for_each(|violation| println!("{violation}"));
    if !violations.is_empty() {
        println!("ci: tidy failed with {} to mend", violations.len());
        return Ok(ExitCode::FAILURE);
    }
    for step in steps(scope, has_nextest()) {
        let shown = step.arguments.join(" ");
        println!("== cargo {shown}");
        let began = Instant::now();
        let mut command = Command::new(cargo());
        command.args(&step.arguments).envs(step.environment.iter().copied()).current_dir(root);
        let status =
            command.stdin(Stdio::null()).status().with_context(|| format!("can't run cargo {shown}"))?;
        if !status.success() {
            println!("ci: cargo {shown} failed ({status}) after {} s", began.elapsed().as_secs());
            return Ok(ExitCode::FAILURE);
        }
        println!("   {} s", began.elapsed().as_secs());
    }
    println!("== generated files unchanged");
    if let (Some(before), Some(after)) = (before, tree_state(root)?)
        && before != after
    {
        println!("ci: a check changed tracked files; commit what it generated:\n{after}");
        return Ok(ExitCode::FAILURE);
    }
    println!("ci: everything holds");
    Ok(ExitCode::SUCCESS)
}

/// One cargo call.
struct Step {
    arguments: Vec<&'static str>,
    environment: Vec<(&'static str, &'static str)>,
}

fn steps(scope: Scope, nextest: bool) -> Vec<Step> {
    let step = |line: &'static str| Step { arguments: line.split(' ').collect(), environment: Vec::new() };
    let mut steps = vec![step("fmt --all -- --check")];
    steps.push(step("clippy --workspace --all-targets -- -D warnings"));
    steps.push(step(match nextest {
        // With every feature: without them all is built by clippy and for the release.
        true => "nextest run --workspace --exclude e2e --features node/otlp --no-fail-fast",
        false => "test --workspace --exclude e2e --features node/otlp --lib --bins --tests --no-fail-fast",
    }));
    steps.push(step("test --workspace --exclude e2e --features node/otlp --doc"));
    let mut docs = step("doc --workspace --no-deps --document-private-items");
    docs.environment.push(("RUSTDOCFLAGS", "-D warnings -A rustdoc::private_intra_doc_links"));
    steps.push(docs);
    if scope == Scope::All {
        steps.push(step("build --release -p floodtide"));
        steps.push(step(match nextest {
            true => "nextest run -p e2e --no-fail-fast",
            false => "test -p e2e --no-fail-fast -- --test-threads 2",
        }));
    }
    steps
}

fn cargo() -> String {
    std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned())
}

fn has_nextest() -> bool {
    let mut command = Command::new(cargo());
    command.args(["nextest", "--version"]).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// What differs from the last commit in tracked files; none outside a git clone.
fn tree_state(root: &Path) -> Result<Option<String>> {
    let output = Command::new("git").args(["diff", "HEAD"]).current_dir(root).output();
    let Ok(output) = output else { return Ok(None) };
    if !output.status.success() {
        return Ok(None);
    }
    Ok(Some(String::from_utf8_lossy(&output.stdout).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(scope: Scope, nextest: bool) -> Vec<String> {
        steps(scope, nextest).iter().map(|step| step.arguments.join(" ")).collect()
    }

    #[test]
    fn warnings_are_errors_in_code_and_docs() {
        let steps = steps(Scope::WithoutE2e, true);
        assert!(
            steps.iter().any(|s| s.arguments.ends_with(&["-D", "warnings"]) && s.arguments[0] == "clippy")
        );
        assert!(
            steps.iter().any(|s| s.environment.iter().any(|(_, flags)| flags.starts_with("-D warnings")))
        );
    }

    #[test]
    fn end_to_end_tests_run_only_when_asked_and_against_the_release_build() {
        assert!(!lines(Scope::WithoutE2e, true).iter().any(|l| l.contains("-p e2e")));
        let all = lines(Scope::All, true);
        let build = all.iter().position(|l| l == "build --release -p floodtide").unwrap();
        let test = all.iter().position(|l| l.starts_with("nextest run -p e2e")).unwrap();
        assert!(build < test);
    }

    #[test]
    fn without_nextest_cargo_test_runs_the_same_tests() {
        assert!(!lines(Scope::All, false).iter().any(|l| l.contains("nextest")));
    }
}
