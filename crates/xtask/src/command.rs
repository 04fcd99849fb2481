//! Reads the command line.

use crate::{ci, tidy};
use anyhow::{Context, Result, bail};
use std::path::PathBuf;
use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask COMMAND
  tidy [FOLDER]  check floors, sizes, names, links and paths of the project (or of another tree)
  ci [--e2e]     everything that must hold before a change lands; --e2e adds the end-to-end tests,
                 which need ffmpeg (scripts/test-all.sh installs it)";

/// Runs one command. `arguments` come without the program's name.
///
/// # Errors
/// When the command is unknown, or can't do its work; a check that fails is an exit code.
pub fn run(arguments: impl Iterator<Item = String>) -> Result<ExitCode> {
    let arguments: Vec<String> = arguments.collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["tidy"] => report(&project_root()?),
        ["tidy", folder] => report(&PathBuf::from(folder)),
        ["ci"] => ci::run(&project_root()?, ci::Scope::WithoutE2e),
        ["ci", "--e2e"] => ci::run(&project_root()?, ci::Scope::All),
        ["help" | "--help" | "-h"] => {
            println!("{USAGE}");
            Ok(ExitCode::SUCCESS)
        }
        _ => bail!("unknown command {arguments:?}\n{USAGE}"),
    }
}

fn report(root: &std::path::Path) -> Result<ExitCode> {
    let violations = tidy::check(root)?;
    for violation in &violations {
        println!("{violation}");
    }
    if violations.is_empty() {
        println!("tidy: nothing to mend");
        return Ok(ExitCode::SUCCESS);
    }
    println!("tidy: {} to mend", violations.len());
    Ok(ExitCode::FAILURE)
}

/// Cargo tells where this crate lies; the project is two folders above.
fn project_root() -> Result<PathBuf> {
    let here = std::env::var_os("CARGO_MANIFEST_DIR").context("run it as `cargo xtask …`")?;
    let root = PathBuf::from(here).join("../..");
    root.canonicalize().with_context(|| format!("no project at {}", root.display()))
}
