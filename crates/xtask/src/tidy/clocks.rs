//! The lints that keep clocks, files, sockets and threads out of pure crates. Clippy itself finds them; here we see to it that it
//! looks.

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
/// What no crate below the top floor may call, or name.
const BANNED: [(&str, &[&str]); 2] = [
    (
        "disallowed-methods",
        &[
            "std::time::Instant::now",
            "std::time::SystemTime::now",
            "std::thread::sleep",
            "std::thread::spawn",
            "std::fs::read",
            "std::fs::read_to_string",
            "std::fs::write",
            "std::fs::copy",
            "std::fs::rename",
            "std::fs::read_dir",
            "std::fs::create_dir",
            "std::fs::create_dir_all",
            "std::fs::remove_file",
            "std::fs::remove_dir_all",
            "std::fs::metadata",
        ],
    ),
    (
        "disallowed-types",
        &[
            "std::fs::File",
            "std::fs::OpenOptions",
            "std::net::TcpListener",
            "std::net::TcpStream",
            "std::net::UdpSocket",
            "std::process::Command",
            "std::thread::Builder",
        ],
    ),
];

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
                format!(
                    "{name} is pure and has no clippy.toml, so clippy lets it read clocks and open files"
                ),
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

/// Clippy finds what is banned by its type; this finds the usual spellings, also where clippy has not looked yet.
fn check_calls(file: &File, tokens: &[Token], found: &mut Vec<Violation>) {
    for at in 0..tokens.len() {
        let texts: Vec<&str> = tokens[at..].iter().take(4).map(|t| t.text.as_str()).collect();
        let (what, instead) = match texts[..] {
            ["Instant" | "SystemTime", ":", ":", "now"] | [".", "elapsed", "(", ")"] => {
                ("a pure crate reads a clock", "take `now` or the seed as an argument")
            }
            ["std", ":", ":", "fs" | "process"] => {
                ("a pure crate opens files or processes", "take the bytes as an argument")
            }
            [
                "TcpStream" | "TcpListener" | "UdpSocket" | "UnixStream" | "UnixListener" | "UnixDatagram",
                ..,
            ] => (
                "a pure crate names a socket",
                "take bytes in and give bytes out; sockets belong to the top floor",
            ),
            ["thread", ":", ":", "spawn" | "scope" | "Builder"] => {
                ("a pure crate starts a thread", "leave threads to the top floor")
            }
            ["disallowed_methods" | "disallowed_types", ..] => (
                "a pure crate switches off the lint that keeps clocks and sockets out",
                "take what is needed as an argument",
            ),
            _ => continue,
        };
        found.push(violation(file, tokens[at].line, what.to_owned(), instead));
    }
}

/// Every banned path is in the file, and every other key is as at the root: clippy reads only the nearest file.
fn check_lints(file: &File, root: &Table, found: &mut Vec<Violation>) -> Result<()> {
    let lints = table(file)?;
    for (list, banned) in BANNED {
        let entries = lints.get(list).and_then(toml::Value::as_array).cloned().unwrap_or_default();
        let named = |path: &str| {
            entries.iter().any(|entry| entry.as_str().or_else(|| entry.get("path")?.as_str()) == Some(path))
        };
        for path in banned.iter().filter(|path| !named(path)) {
            let what = format!("{list} does not name {path}");
            found.push(violation(file, 1, what, "list it, so that clippy refuses it"));
        }
    }
    let is_list = |key: &str| BANNED.iter().any(|(list, _)| *list == key);
    let keys = root.keys().chain(lints.keys()).filter(|key| !is_list(key));
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
