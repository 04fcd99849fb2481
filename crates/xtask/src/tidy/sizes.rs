//! How long a file may get.

use super::tree::{File, Tree};
use super::violation::Violation;

/// Past this a reader loses the thread.
const CODE_LINES_MAX: usize = 600;
/// Longer tests hide the code they stand beside.
const INLINE_TEST_LINES_MAX: usize = 150;
/// `main.rs` only hands over.
const MAIN_LINES_MAX: usize = 30;
/// A map of the house fits on a few pages.
const ARCHITECTURE_LINES_MAX: usize = 200;

pub(super) fn check(tree: &Tree, found: &mut Vec<Violation>) {
    for (file, source) in tree.rust() {
        let lines = source.code_lines();
        check_code(file, lines, found);
        for (line, lines) in source.inline_tests() {
            if lines > INLINE_TEST_LINES_MAX {
                let what = format!("{lines} lines of inline tests, {INLINE_TEST_LINES_MAX} allowed");
                found.push(violation(
                    file,
                    line,
                    what,
                    "move them to tests.rs in a folder of the module's name",
                ));
            }
        }
        if file.path.ends_with("src/main.rs") && lines >= MAIN_LINES_MAX {
            let what = format!("main.rs has {lines} code lines, fewer than {MAIN_LINES_MAX} allowed");
            found.push(violation(file, 1, what, "move the work to a module that can be tested"));
        }
    }
    for file in &tree.files {
        match file.path.extension().and_then(|e| e.to_str()) {
            Some("js" | "mjs" | "css") => check_code(file, script_lines(&file.text), found),
            Some("md") if file.path.ends_with("ARCHITECTURE.md") => {
                let lines = file.text.lines().count();
                if lines > ARCHITECTURE_LINES_MAX {
                    let what = format!("{lines} lines, {ARCHITECTURE_LINES_MAX} allowed");
                    found.push(violation(
                        file,
                        ARCHITECTURE_LINES_MAX,
                        what,
                        "move detail beside the code it explains",
                    ));
                }
            }
            _ => {}
        }
    }
}

fn check_code(file: &File, lines: usize, found: &mut Vec<Violation>) {
    if lines > CODE_LINES_MAX {
        let what = format!("{lines} code lines, {CODE_LINES_MAX} allowed");
        found.push(violation(file, 1, what, "split it by concern, one type or one question per file"));
    }
}

/// Lines of a script or style sheet that are neither blank nor begin as a comment.
fn script_lines(text: &str) -> usize {
    let lines = text.lines().map(str::trim);
    lines
        .filter(|line| !line.is_empty() && !["//", "/*", "*"].iter().any(|mark| line.starts_with(mark)))
        .count()
}

fn violation(file: &File, line: usize, what: String, instead: &str) -> Violation {
    Violation { path: file.path.clone(), line, rule: "sizes", what, instead: instead.to_owned() }
}
