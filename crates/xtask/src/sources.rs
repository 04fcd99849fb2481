//! Sizes, names, clocks and links, line by line.

use crate::tidy::{Violation, files};
use anyhow::Result;
use std::path::Path;

/// Code lines of one file; comments and blank lines don't count.
const CODE_LINES_MAX: usize = 600;
/// Code lines of a test module inside a source file; longer ones move to `tests.rs` beside it.
const INLINE_TEST_LINES_MAX: usize = 150;
/// Lines of `main.rs`.
const MAIN_LINES_MAX: usize = 30;
/// Crates that must not read a clock, also where clippy doesn't look.
const PURE: [&str; 5] = ["media", "mux", "hls", "rtmp", "hub"];

/// A text that must not stand in a line of code, and what to do instead.
const BANNED: [(&str, &str); 8] = [
    ("fn get_", "name it after what it gives, without get_"),
    ("fn do_", "name it after what it does, without do_"),
    ("unbounded_channel", "an unbounded queue grows with a slow reader; use a bounded one with a policy"),
    ("mpsc::channel()", "an unbounded queue grows with a slow reader; use sync_channel"),
    ("struct Stream", "say broadcast, track or session"),
    ("struct Packet", "say frame, message or datagram"),
    ("todo!(", "finish it"),
    ("unimplemented!(", "finish it"),
];

/// Checks all sources and documents.
pub(crate) fn check(root: &Path) -> Result<Vec<Violation>> {
    let mut violations = Vec::new();
    for path in files(&root.join("crates"), ".rs")? {
        let text = std::fs::read_to_string(&path)?;
        let place = path.strip_prefix(root).unwrap_or(&path).display().to_string();
        check_source(&place, &text, &mut violations);
    }
    for path in files(root, ".md")? {
        check_links(root, &path, &mut violations)?;
    }
    Ok(violations)
}

fn is_code(line: &str) -> bool {
    let line = line.trim();
    !line.is_empty() && !line.starts_with("//")
}

fn check_source(place: &str, text: &str, violations: &mut Vec<Violation>) {
    let mut add = |line: usize, rule: String| {
        violations.push(Violation { place: format!("{place}:{line}"), rule });
    };
    let code = text.lines().filter(|l| is_code(l)).count();
    if code > CODE_LINES_MAX {
        add(1, format!("{code} code lines, {CODE_LINES_MAX} are allowed: split it by concern"));
    }
    if place.ends_with("src/main.rs") && text.lines().count() > MAIN_LINES_MAX {
        add(1, format!("main.rs has at most {MAIN_LINES_MAX} lines: move the work to a module"));
    }
    if let Some((_, tests)) = text.split_once("\nmod tests {") {
        let lines = tests.lines().filter(|l| is_code(l)).count();
        if lines > INLINE_TEST_LINES_MAX {
            add(1, format!("{lines} lines of inline tests hide the code: move them to tests.rs"));
        }
    }
    // The checks' own words would be found in themselves.
    if place.contains("xtask/src") {
        return;
    }
    let pure = PURE.iter().any(|name| place.starts_with(&format!("crates/{name}/src")));
    for (number, line) in text.lines().enumerate().filter(|(_, l)| is_code(l)) {
        for (banned, instead) in BANNED {
            if contains_name(line, banned) {
                add(number + 1, format!("{banned:?} is banned: {instead}"));
            }
        }
        if pure && (line.contains("Instant::now") || line.contains("SystemTime::now")) {
            add(number + 1, "a pure crate reads a clock: take the time as an argument".to_owned());
        }
    }
}

/// Whether `line` has `name`, not as the beginning of a longer type name.
fn contains_name(line: &str, name: &str) -> bool {
    line.match_indices(name).any(|(at, _)| {
        let next = line[at + name.len()..].chars().next();
        !name.starts_with("struct") || !next.is_some_and(char::is_alphanumeric)
    })
}

fn check_links(root: &Path, path: &Path, violations: &mut Vec<Violation>) -> Result<()> {
    let text = std::fs::read_to_string(path)?;
    let folder = path.parent().unwrap_or(root);
    for (number, line) in text.lines().enumerate() {
        for piece in line.split("](").skip(1) {
            let target = piece.split([')', '#']).next().unwrap_or_default();
            let local = !target.is_empty() && !target.contains("://") && !target.starts_with("mailto:");
            if local && !folder.join(target).exists() {
                violations.push(Violation {
                    place: format!("{}:{}", path.strip_prefix(root).unwrap_or(path).display(), number + 1),
                    rule: format!("the link to {target} leads nowhere"),
                });
            }
        }
    }
    Ok(())
}
