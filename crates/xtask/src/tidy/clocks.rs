//! The lints that keep clocks out of pure crates. Clippy itself finds the calls; here we see to it that it looks.

use super::floors;
use super::source::Token;
use super::tree::{File, Tree};
use super::violation::Violation;
use anyhow::{Context, Result};
use std::path::Path;
use toml::Table;

const RULE: &str = "clocks";
/// Where tests get an instant to begin with.
const VIRTUAL_CLOCK: &str = "crates/testkit/src/clock.rs";
/// What no crate below the top floor may call.
const BANNED: [&str; 3] = ["std::time::Instant::now", "std::time::SystemTime::now", "std::thread::sleep"];

pub(super) fn check(tree: &Tree, found: &mut Vec<Violation>) -> Result<()> {
    let root = match tree.file(Path::new("clippy.toml")) {
        Some(file) => table(file)?,
        None => Table::new(),
    };
    for name in floors::pure_crates() {
        let folder = Path::new("crates").join(name);
        let Some(manifest) = tree.file(&folder.join("Cargo.toml")) else { continue };
        match tree.file(&folder.join("clippy.toml")) {
            Some(file) => check_lints(file, &root, found)?,
            None => found.push(violation(
                manifest,
                1,
                format!("{name} is pure and has no clippy.toml, so clippy lets it read clocks"),
                "copy the clippy.toml of crates/media",
            )),
        }
    }
    check_inheritance(tree, found)?;
    for (file, source) in tree.rust() {
        if file.crate_name().is_some_and(|name| floors::pure_crates().any(|pure| pure == name))
            && file.path != Path::new(VIRTUAL_CLOCK)
        {
            check_calls(file, source.tokens(), found);
        }
    }
    Ok(())
}

/// Clippy finds a clock by its type; this finds the usual spellings, also where clippy has not looked yet.
fn check_calls(file: &File, tokens: &[Token], found: &mut Vec<Violation>) {
    for at in 0..tokens.len() {
        let texts: Vec<&str> = tokens[at..].iter().take(4).map(|t| t.text.as_str()).collect();
        let what = match texts[..] {
            ["Instant" | "SystemTime", ":", ":", "now"] | [".", "elapsed", "(", ")"] => {
                "a pure crate reads a clock"
            }
            ["disallowed_methods", ..] => "a pure crate switches off the lint that keeps clocks out",
            _ => continue,
        };
        found.push(violation(
            file,
            tokens[at].line,
            what.to_owned(),
            "take `now` or the seed as an argument",
        ));
    }
}

/// Every banned path is in the file, and every other key is as at the root: clippy reads only the nearest file.
fn check_lints(file: &File, root: &Table, found: &mut Vec<Violation>) -> Result<()> {
    let lints = table(file)?;
    let entries =
        lints.get("disallowed-methods").and_then(toml::Value::as_array).cloned().unwrap_or_default();
    let paths: Vec<&str> =
        entries.iter().filter_map(|entry| entry.as_str().or_else(|| entry.get("path")?.as_str())).collect();
    for banned in BANNED.iter().filter(|banned| !paths.contains(*banned)) {
        let what = format!("disallowed-methods does not name {banned}");
        found.push(violation(file, 1, what, "list it, so that clippy refuses the call"));
    }
    let keys = root.keys().chain(lints.keys()).filter(|key| *key != "disallowed-methods");
    for key in keys.collect::<std::collections::BTreeSet<_>>() {
        if root.get(key) != lints.get(key) {
            let line = file.line_where(|line| line.starts_with(key.as_str()));
            let what = format!("{key} differs from the clippy.toml at the root");
            found.push(violation(file, line, what, "keep both equal: clippy reads only the nearest file"));
        }
    }
    Ok(())
}

/// Without `[lints] workspace = true` none of the lints apply.
fn check_inheritance(tree: &Tree, found: &mut Vec<Violation>) -> Result<()> {
    let manifests =
        tree.files.iter().filter(|file| file.path.ends_with("Cargo.toml") && file.crate_name().is_some());
    for file in manifests {
        let manifest = table(file)?;
        let inherits = manifest.get("lints").and_then(|lints| lints.get("workspace")?.as_bool());
        if inherits != Some(true) {
            let what = "the crate does not take the workspace's lints".to_owned();
            found.push(violation(file, 1, what, "add [lints] workspace = true"));
        }
    }
    Ok(())
}

fn table(file: &File) -> Result<Table> {
    file.text.parse().with_context(|| format!("{} is no TOML", file.path.display()))
}

fn violation(file: &File, line: usize, what: String, instead: &str) -> Violation {
    Violation { path: file.path.clone(), line, rule: RULE, what, instead: instead.to_owned() }
}
