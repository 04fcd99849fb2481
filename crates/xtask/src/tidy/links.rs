//! Documents point at what is there.

use super::tree::Tree;
use super::violation::Violation;
use std::path::Path;

pub(super) fn check(tree: &Tree, found: &mut Vec<Violation>) {
    for file in tree.files.iter().filter(|file| file.path.extension().is_some_and(|e| e == "md")) {
        let folder = file.path.parent().unwrap_or(Path::new(""));
        for (line, target) in links(&file.text) {
            let path = target.split(['#', '?']).next().unwrap_or_default();
            if path.is_empty() || target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            let full = match path.strip_prefix('/') {
                Some(from_root) => tree.root.join(from_root),
                None => tree.root.join(folder).join(path),
            };
            if !full.exists() {
                found.push(Violation {
                    path: file.path.clone(),
                    line,
                    rule: "links",
                    what: format!("{target} is not there"),
                    instead: "correct the path, or add the file".to_owned(),
                });
            }
        }
    }
}

/// `(line, target)` of every inline link and image outside code.
fn links(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut fenced = false;
    for (index, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        if fenced {
            continue;
        }
        // Every other piece between backticks is code.
        for piece in line.split('`').step_by(2) {
            let targets =
                piece.match_indices("](").filter_map(|(at, mark)| piece[at + mark.len()..].split(')').next());
            found.extend(targets.map(|target| (index + 1, target.split(' ').next().unwrap_or(target))));
        }
        // A link around code: [`name`](target) leaves its brackets in two pieces.
        for piece in line.split('`').skip(2).step_by(2).filter_map(|piece| piece.strip_prefix("](")) {
            found.extend(piece.split(')').next().map(|target| (index + 1, target)));
        }
    }
    found.sort_unstable();
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use super::links;

    #[test]
    fn links_and_images_outside_code_are_found() {
        let check = |text, expect: &[(usize, &str)]| assert_eq!(links(text), expect, "{text}");
        check("see [a](b.md) and\n![c](d.png \"title\")", &[(1, "b.md"), (2, "d.png")]);
        check("[`a`](b.md#c)", &[(1, "b.md#c")]);
        check("`[a](b)`\n```\n[c](d)\n```\n", &[]);
    }
}
