//! Who may depend on whom. Floors, not folders: one may only look down.

use super::tree::{File, Tree};
use super::violation::Violation;
use anyhow::{Context, Result, bail};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What one crate may see.
struct Floor {
    name: &'static str,
    /// Crates of ours that it may depend on.
    ours: &'static [&'static str],
    /// Features of tokio that it may have; none means no tokio.
    tokio: Tokio,
}

enum Tokio {
    None,
    Only(&'static [&'static str]),
    All,
}

/// A door in the house: adding a crate adds a line.
const FLOORS: [Floor; 12] = [
    pure("media", &[]),
    pure("mux", &["media"]),
    pure("hls", &["media", "mux"]),
    pure("rtmp", &[]),
    pure("srt", &[]),
    pure("testkit", &[]),
    Floor { name: "hub", ours: &["media"], tokio: Tokio::Only(&["sync"]) },
    top("node", &["hls", "hub", "media", "mux", "rtmp", "srt"]),
    top("load", &["hls", "media", "mux", "rtmp"]),
    top("floodtide", &["hls", "hub", "load", "media", "mux", "node", "rtmp"]),
    top("e2e", &["load", "media", "mux", "rtmp", "testkit"]),
    top("xtask", &[]),
];

/// Crates that read sockets, clocks or random bits: top floor only.
const OUTSIDE: [&str; 14] = [
    "async-std",
    "chrono",
    "fastrand",
    "getrandom",
    "hyper",
    "mio",
    "nix",
    "quinn",
    "rand",
    "rustix",
    "smol",
    "socket2",
    "time",
    "uuid",
];

const fn pure(name: &'static str, ours: &'static [&'static str]) -> Floor {
    Floor { name, ours, tokio: Tokio::None }
}

const fn top(name: &'static str, ours: &'static [&'static str]) -> Floor {
    Floor { name, ours, tokio: Tokio::All }
}

/// The crates below the top floor: no clock, no random source, no IO.
pub(super) fn pure_crates() -> impl Iterator<Item = &'static str> {
    FLOORS.iter().filter(|floor| floor.is_pure()).map(|floor| floor.name)
}

pub(super) fn check(tree: &Tree, found: &mut Vec<Violation>) -> Result<()> {
    for package in packages(&tree.root)? {
        let manifest = Manifest::of(tree, &package);
        let Some(floor) = FLOORS.iter().find(|floor| floor.name == package.name) else {
            let what = format!("crate {} has no floor", package.name);
            found.push(manifest.violation(
                "[package]",
                what,
                "add it to FLOORS in crates/xtask/src/tidy/floors.rs",
            ));
            continue;
        };
        for dependency in &package.dependencies {
            check_dependency(floor, dependency, &manifest, found);
        }
        let features = package.features.values().flatten();
        for feature in features.filter_map(|f| f.replace('?', "").strip_prefix("tokio/").map(str::to_owned)) {
            check_tokio(floor, &[feature], &manifest, found);
        }
    }
    Ok(())
}

fn check_dependency(
    floor: &Floor,
    dependency: &Dependency,
    manifest: &Manifest<'_>,
    found: &mut Vec<Violation>,
) {
    let name = dependency.name.as_str();
    if dependency.path.is_some() {
        let tests_only = dependency.kind.as_deref() == Some("dev") && name == "testkit";
        if !floor.ours.contains(&name) && !tests_only {
            let what = format!("{} depends on {name}", floor.name);
            let allowed = match floor.ours {
                [] => "no crate of ours".to_owned(),
                ours => format!("only {}", ours.join(", ")),
            };
            let instead =
                format!("it may see {allowed}: convert at the edge, in the crate above that sees both sides");
            found.push(manifest.violation(name, what, &instead));
        }
    } else if name == "tokio" {
        check_tokio(floor, &dependency.features, manifest, found);
    } else if floor.is_pure() && OUTSIDE.contains(&name) {
        let what = format!(
            "{} depends on {name}, and crates below the top floor have no IO, clock or random",
            floor.name
        );
        found.push(manifest.violation(
            name,
            what,
            "take bytes, `now` and seeds as arguments; do the IO in node",
        ));
    }
}

fn check_tokio(floor: &Floor, features: &[String], manifest: &Manifest<'_>, found: &mut Vec<Violation>) {
    let (what, instead) = match floor.tokio {
        Tokio::All => return,
        Tokio::None => (
            format!("{} depends on tokio, which only the top floor may", floor.name),
            "write it as a pure session: handle_input(now, bytes), poll_output(), poll_timeout()".to_owned(),
        ),
        Tokio::Only(allowed) => {
            let refused: Vec<_> =
                features.iter().filter(|f| !allowed.contains(&f.as_str())).cloned().collect();
            if refused.is_empty() {
                return;
            }
            (
                format!("{} has tokio with {}", floor.name, refused.join(", ")),
                format!(
                    "it may have tokio with {} only; what needs more belongs to node",
                    allowed.join(", ")
                ),
            )
        }
    };
    found.push(manifest.violation("tokio", what, &instead));
}

impl Floor {
    fn is_pure(&self) -> bool {
        !matches!(self.tokio, Tokio::All)
    }
}

/// One `Cargo.toml`, to point into.
struct Manifest<'a> {
    path: PathBuf,
    file: Option<&'a File>,
}

impl<'a> Manifest<'a> {
    fn of(tree: &'a Tree, package: &Package) -> Manifest<'a> {
        let path =
            package.manifest_path.strip_prefix(&tree.root).unwrap_or(&package.manifest_path).to_owned();
        Manifest { file: tree.file(&path), path }
    }

    fn violation(&self, key: &str, what: String, instead: &str) -> Violation {
        let is_key = |line: &str| {
            let line = line.trim_start();
            line.strip_prefix(key)
                .is_some_and(|rest| key.starts_with('[') || rest.starts_with(['.', ' ', '=']))
        };
        let line = self.file.map_or(1, |file| file.line_where(is_key));
        Violation { path: self.path.clone(), line, rule: "floors", what, instead: instead.to_owned() }
    }
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    manifest_path: PathBuf,
    dependencies: Vec<Dependency>,
    features: BTreeMap<String, Vec<String>>,
}

/// Cargo has already merged what the workspace says about it.
#[derive(Deserialize)]
struct Dependency {
    name: String,
    kind: Option<String>,
    features: Vec<String>,
    /// Set for crates of ours.
    path: Option<PathBuf>,
}

fn packages(root: &Path) -> Result<Vec<Package>> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let mut command = Command::new(cargo);
    command.args(["metadata", "--no-deps", "--offline", "--format-version", "1"]).current_dir(root);
    let output = command.output().context("can't run cargo metadata")?;
    if !output.status.success() {
        bail!("cargo metadata refuses the workspace:\n{}", String::from_utf8_lossy(&output.stderr));
    }
    let metadata: Metadata = serde_json::from_slice(&output.stdout).context("can't read cargo metadata")?;
    Ok(metadata.packages)
}
