//! The project's files.

use super::source::Source;
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};

/// The text files of a project, read once.
pub(super) struct Tree {
    pub(super) root: PathBuf,
    pub(super) files: Vec<File>,
}

/// One text file.
pub(super) struct File {
    /// Relative to the project, with `/`.
    pub(super) path: PathBuf,
    pub(super) text: String,
    /// Set for Rust files.
    pub(super) rust: Option<Source>,
}

/// Folders that are not the project's own text.
const SKIPPED: [&str; 5] = ["target", "node_modules", ".git", "vendor", "test-results"];
/// Extensions of the texts that tidy reads.
const TEXTS: [&str; 13] =
    ["rs", "toml", "md", "sh", "js", "mjs", "css", "html", "json", "yml", "yaml", "py", "txt"];
/// A file above this is data, not text that somebody wrote.
const TEXT_BYTES_MAX: u64 = 1 << 20;

impl Tree {
    pub(super) fn read(root: &Path) -> Result<Tree> {
        let mut tree = Tree { root: root.to_owned(), files: Vec::new() };
        tree.walk(Path::new(""))?;
        tree.files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(tree)
    }

    fn walk(&mut self, folder: &Path) -> Result<()> {
        let full = self.root.join(folder);
        for entry in std::fs::read_dir(&full).with_context(|| format!("can't list {}", full.display()))? {
            let entry = entry?;
            let (name, kind) = (entry.file_name(), entry.file_type()?);
            let path = folder.join(&name);
            if kind.is_dir() && !SKIPPED.iter().any(|skipped| name == *skipped) {
                self.walk(&path)?;
            } else if kind.is_file() && is_text(&path) && entry.metadata()?.len() <= TEXT_BYTES_MAX {
                let text =
                    std::fs::read(entry.path()).with_context(|| format!("can't read {}", path.display()))?;
                let text = String::from_utf8_lossy(&text).into_owned();
                let rust = path.extension().is_some_and(|e| e == "rs").then(|| Source::read(&text));
                self.files.push(File { path, text, rust });
            }
        }
        Ok(())
    }

    /// The Rust files.
    pub(super) fn rust(&self) -> impl Iterator<Item = (&File, &Source)> {
        self.files.iter().filter_map(|file| Some((file, file.rust.as_ref()?)))
    }

    /// The file at exactly this path.
    pub(super) fn file(&self, path: &Path) -> Option<&File> {
        self.files.iter().find(|file| file.path == path)
    }
}

impl File {
    /// The crate's folder name for a file below `crates/`.
    pub(super) fn crate_name(&self) -> Option<&str> {
        self.path.strip_prefix("crates").ok()?.components().next()?.as_os_str().to_str()
    }

    /// The first line that `test` holds for, from 1; else 1.
    pub(super) fn line_where(&self, test: impl Fn(&str) -> bool) -> usize {
        self.text.lines().position(test).map_or(1, |index| index + 1)
    }
}

fn is_text(path: &Path) -> bool {
    let extension = path.extension().and_then(|e| e.to_str());
    // `.ci/run`, LICENSE-MIT and the like have none.
    extension.is_none_or(|e| TEXTS.contains(&e)) && path.file_name().is_some_and(|n| n != "Cargo.lock")
}
