//! Which crate may depend on which, and that pure crates ban clocks.

use crate::tidy::Violation;
use anyhow::{Context, Result};
use std::path::Path;
use toml::{Table, Value};

/// Our crates below the top floor, and which of ours each may see. Those not listed may see all.
const PURE: [(&str, &[&str]); 6] = [
    ("testkit", &[]),
    ("media", &[]),
    ("rtmp", &[]),
    ("mux", &["media"]),
    ("hub", &["media"]),
    ("hls", &["media", "mux"]),
];

/// All our crates.
const OURS: [&str; 11] =
    ["media", "mux", "hls", "rtmp", "hub", "node", "load", "testkit", "floodtide", "xtask", "e2e"];

/// Libraries that do IO or keep time; a pure crate has none of them.
const IMPURE: [&str; 8] = ["tokio", "mio", "rustix", "socket2", "hyper", "rand", "chrono", "libc"];

/// Calls that `clippy.toml` of a pure crate bans.
const BANNED: [&str; 3] = ["std::time::Instant::now", "std::time::SystemTime::now", "std::thread::sleep"];

/// Checks every pure crate that is there.
pub(crate) fn check(root: &Path) -> Result<Vec<Violation>> {
    let mut violations = Vec::new();
    for (name, allowed) in PURE {
        let folder = root.join("crates").join(name);
        if !folder.join("Cargo.toml").exists() {
            continue;
        }
        let place = format!("crates/{name}/Cargo.toml");
        for dependency in dependencies(&folder.join("Cargo.toml"))? {
            let ours = OURS.contains(&dependency.as_str()) && !allowed.contains(&dependency.as_str());
            if ours || IMPURE.contains(&dependency.as_str()) {
                let may = if allowed.is_empty() { "none of ours".to_owned() } else { allowed.join(", ") };
                violations.push(Violation {
                    place: place.clone(),
                    rule: format!(
                        "{name} may not depend on {dependency}: it is a pure crate that sees {may}; \
                         move the code that needs it to the top floor, or pass what it needs as an argument"
                    ),
                });
            }
        }
        violations.extend(clocks(&folder, name)?);
    }
    Ok(violations)
}

fn dependencies(manifest: &Path) -> Result<Vec<String>> {
    let text = std::fs::read_to_string(manifest)?;
    let table: Table = toml::from_str(&text).with_context(|| manifest.display().to_string())?;
    let names = |section: &str| match table.get(section) {
        Some(Value::Table(dependencies)) => dependencies.keys().cloned().collect(),
        _ => Vec::new(),
    };
    Ok([names("dependencies"), names("build-dependencies")].concat())
}

fn clocks(folder: &Path, name: &str) -> Result<Vec<Violation>> {
    let text = std::fs::read_to_string(folder.join("clippy.toml")).unwrap_or_default();
    let table: Table = toml::from_str(&text)?;
    let banned = table.get("disallowed-methods").map(ToString::to_string).unwrap_or_default();
    let missing = BANNED.iter().filter(|call| !banned.contains(**call));
    Ok(missing
        .map(|call| Violation {
            place: format!("crates/{name}/clippy.toml"),
            rule: format!("must ban {call}: a pure crate takes the time as an argument"),
        })
        .collect())
}
