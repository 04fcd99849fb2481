//! The one definition of "checked".

use crate::tidy;
use anyhow::{Context, Result};
use std::path::Path;
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
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
    let Steps { first, aside, last } = steps(scope, has_nextest());
    let aside = aside.map(|step| Aside::start(root, step)).transpose()?;
    let held = run_each(root, &first)? && aside.map_or(Ok(true), Aside::finish)? && run_each(root, &last)?;
    if !held {
        return Ok(ExitCode::FAILURE);
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

/// Whether all of them hold; the first that doesn't is the last that runs.
fn run_each(root: &Path, steps: &[Step]) -> Result<bool> {
    for step in steps {
        let shown = step.shown();
        println!("== {shown}");
        let began = Instant::now();
        let status = step.command(root).status().with_context(|| format!("can't run {shown}"))?;
        if !step.told(status, began) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// One cargo call.
struct Step {
    arguments: Vec<&'static str>,
    environment: Vec<(&'static str, &'static str)>,
}

/// What is run.
struct Steps {
    first: Vec<Step>,
    /// Beside the first ones: neither compiler nor linker keeps two cores busy all the time.
    aside: Option<Step>,
    /// After both.
    last: Vec<Step>,
}

/// A step beside others. Dropping ends it.
struct Aside {
    step: Step,
    child: Child,
    began: Instant,
}

impl Aside {
    fn start(root: &Path, step: Step) -> Result<Aside> {
        let shown = step.shown();
        println!("== {shown}, beside what follows");
        let child = step.command(root).spawn().with_context(|| format!("can't run {shown}"))?;
        Ok(Aside { step, child, began: Instant::now() })
    }

    /// Waits for it; whether it holds.
    fn finish(mut self) -> Result<bool> {
        println!("== {}", self.step.shown());
        let status = self.child.wait()?;
        Ok(self.step.told(status, self.began))
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        // An error means that it is over already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Step {
    fn shown(&self) -> String {
        format!("cargo {}", self.arguments.join(" "))
    }

    fn command(&self, root: &Path) -> Command {
        let mut command = Command::new(cargo());
        command.args(&self.arguments).envs(self.environment.iter().copied()).current_dir(root);
        command.stdin(Stdio::null());
        command
    }

    /// Says how it ended; whether that is well.
    fn told(&self, status: ExitStatus, began: Instant) -> bool {
        let seconds = began.elapsed().as_secs();
        match status.success() {
            true => println!("   {seconds} s"),
            false => println!("ci: {} failed ({status}) after {seconds} s", self.shown()),
        }
        status.success()
    }
}

fn steps(scope: Scope, nextest: bool) -> Steps {
    let step = |line: &'static str| Step { arguments: line.split(' ').collect(), environment: Vec::new() };
    let mut first = vec![step("fmt --all -- --check")];
    first.push(step("clippy --workspace --all-targets -- -D warnings"));
    first.push(step(match nextest {
        // With every feature: without them all is built by clippy and for the release. The end-to-end tests are built too, in one go
        // with what they share with the others; chosen alone they would have it built anew, with fewer features.
        true => "nextest run --workspace --features node/otlp --no-fail-fast -E !package(e2e)",
        false => "test --workspace --exclude e2e --features node/otlp --lib --bins --tests --no-fail-fast",
    }));
    first.push(step("test --workspace --exclude e2e --features node/otlp --doc"));
    let mut docs = step("doc --workspace --no-deps --document-private-items");
    docs.environment.push(("RUSTDOCFLAGS", "-D warnings -A rustdoc::private_intra_doc_links"));
    first.push(docs);
    if scope == Scope::WithoutE2e {
        return Steps { first, aside: None, last: Vec::new() };
    }
    let end_to_end = step(match nextest {
        true => "nextest run --workspace --features node/otlp --no-fail-fast -E package(e2e)",
        false => "test -p e2e --no-fail-fast -- --test-threads 2",
    });
    Steps { first, aside: Some(step("build --release --quiet -p floodtide")), last: vec![end_to_end] }
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

    fn lines(steps: &[Step]) -> Vec<String> {
        steps.iter().map(Step::shown).collect()
    }

    #[test]
    fn warnings_are_errors_in_code_and_docs() {
        let Steps { first, .. } = steps(Scope::WithoutE2e, true);
        assert!(
            first.iter().any(|s| s.arguments.ends_with(&["-D", "warnings"]) && s.arguments[0] == "clippy")
        );
        assert!(
            first.iter().any(|s| s.environment.iter().any(|(_, flags)| flags.starts_with("-D warnings")))
        );
    }

    #[test]
    fn end_to_end_tests_run_only_when_asked_and_after_the_release_build() {
        let without = steps(Scope::WithoutE2e, true);
        assert!(without.aside.is_none() && without.last.is_empty());
        assert!(lines(&without.first).iter().any(|line| line.ends_with("-E !package(e2e)")));
        let all = steps(Scope::All, true);
        assert!(all.aside.is_some_and(|step| step.shown().starts_with("cargo build --release")));
        assert!(lines(&all.last).iter().all(|line| line.ends_with("-E package(e2e)")) && all.last.len() == 1);
    }

    #[test]
    fn without_nextest_cargo_test_runs_the_same_tests() {
        let Steps { first, last, .. } = steps(Scope::All, false);
        assert!(!lines(&first).iter().chain(&lines(&last)).any(|line| line.contains("nextest")));
    }

    #[test]
    fn a_step_beside_others_says_how_it_ended_and_goes_with_its_owner() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let aside = |arguments| Aside::start(root, Step { arguments, environment: Vec::new() }).unwrap();
        assert!(aside(vec!["--version"]).finish().unwrap());
        assert!(!aside(vec!["no-such-command"]).finish().unwrap());
        drop(aside(vec!["--version"]));
    }
}
