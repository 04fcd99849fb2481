//! Nothing in the project knows one machine.

use super::tree::Tree;
use super::violation::Violation;

/// Cut in two, so that this file does not name them.
const FOLDERS: [&str; 5] = [
    concat!("/wo", "rk/"),
    concat!("/ro", "ot/"),
    concat!("/ho", "me/"),
    concat!("/Us", "ers/"),
    concat!("C:\\", "Users"),
];

pub(super) fn check(tree: &Tree, found: &mut Vec<Violation>) {
    for file in &tree.files {
        for (index, line) in file.text.lines().enumerate() {
            let named = FOLDERS.iter().find(|folder| {
                line.match_indices(*folder).any(|(at, _)| {
                    // `…/x/home/…` in a URL is somebody else's folder; a path of ours begins there.
                    !line[..at].ends_with(|c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | '}'))
                })
            });
            if let Some(folder) = named {
                found.push(Violation {
                    path: file.path.clone(),
                    line: index + 1,
                    rule: "machine",
                    what: format!("a path below {folder} is only on one machine"),
                    instead: "use a path relative to the project, or ask the environment".to_owned(),
                });
            }
        }
    }
}
