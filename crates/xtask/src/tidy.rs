//! The repository's test of itself.

use crate::{floors, sources};
use anyhow::{Result, bail};
use std::path::{Path, PathBuf};

/// Something that breaks a floor: where, which rule, what to do instead.
#[derive(Debug)]
pub(crate) struct Violation {
    pub(crate) place: String,
    pub(crate) rule: String,
}

/// Checks this repository.
pub(crate) fn run() -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize()?;
    let violations = check(&root)?;
    for violation in &violations {
        eprintln!("{}: {}", violation.place, violation.rule);
    }
    if violations.is_empty() { Ok(()) } else { bail!("{} violations of the floors", violations.len()) }
}

/// All violations below `root`.
pub(crate) fn check(root: &Path) -> Result<Vec<Violation>> {
    let mut violations = floors::check(root)?;
    violations.extend(sources::check(root)?);
    Ok(violations)
}

/// All files below `folder` with that ending, build output left out.
pub(crate) fn files(folder: &Path, ending: &str) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder)? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() {
                if !matches!(name.as_str(), "target" | "node_modules" | ".git" | "vendor") {
                    folders.push(path);
                }
            } else if name.ends_with(ending) {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// A small repository: one pure crate, in a folder of its own.
    struct Fixture(PathBuf);

    impl Fixture {
        fn new(name: &str) -> Fixture {
            let root = std::env::temp_dir().join(format!("floodtide-tidy-{name}-{}", std::process::id()));
            fs::create_dir_all(root.join("crates/hub/src")).unwrap();
            let fixture = Fixture(root);
            fixture
                .write("crates/hub/Cargo.toml", "[package]\nname = \"hub\"\n[dependencies]\nmedia = \"1\"\n");
            fixture.write("crates/hub/clippy.toml", include_str!("../../hub/clippy.toml"));
            fixture.write("crates/hub/src/lib.rs", "//! Fine.\n");
            fixture
        }

        fn write(&self, path: &str, text: &str) {
            fs::write(self.0.join(path), text).unwrap();
        }

        #[track_caller]
        fn check(&self, expect: &str) {
            let found = check(&self.0).unwrap();
            let texts: Vec<String> = found.iter().map(|v| format!("{}: {}", v.place, v.rule)).collect();
            if expect.is_empty() {
                assert!(texts.is_empty(), "{texts:?}");
            } else {
                assert!(texts.iter().any(|t| t.contains(expect)), "{texts:?} lacks {expect:?}");
            }
        }
    }

    impl Drop for Fixture {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_good_tree_passes() {
        Fixture::new("good").check("");
    }

    #[test]
    fn a_forbidden_dependency_fails() {
        let fixture = Fixture::new("dependency");
        fixture.write("crates/hub/Cargo.toml", "[package]\nname = \"hub\"\n[dependencies]\nmux = \"1\"\n");
        fixture.check("hub may not depend on mux");
        fixture.write(
            "crates/hub/Cargo.toml",
            "[package]\nname = \"hub\"\n[dependencies]\ntokio = { version = \"1\", features = [\"net\"] }\n",
        );
        fixture.check("hub may not depend on tokio");
    }

    #[test]
    fn a_clock_in_a_pure_crate_fails() {
        let fixture = Fixture::new("clock");
        fixture.write("crates/hub/src/lib.rs", "fn f() { let _ = std::time::Instant::now(); }\n");
        fixture.check("reads a clock");
        fixture.write("crates/hub/src/lib.rs", "//! Fine.\n");
        fixture.write("crates/hub/clippy.toml", "too-many-lines-threshold = 70\n");
        fixture.check("must ban");
    }

    #[test]
    fn a_file_of_700_lines_fails() {
        let fixture = Fixture::new("long");
        fixture.write("crates/hub/src/lib.rs", &"fn f() {}\n".repeat(700));
        fixture.check("700 code lines");
        fixture.write("crates/hub/src/lib.rs", &"// a comment is no code\n".repeat(700));
        fixture.check("");
    }

    #[test]
    fn banned_names_and_dead_links_fail() {
        let fixture = Fixture::new("names");
        fixture.write("crates/hub/src/lib.rs", "pub struct Packet;\n");
        fixture.check("Packet");
        fixture.write("crates/hub/src/lib.rs", "fn get_it() {}\n");
        fixture.check("get_");
        fixture.write("crates/hub/src/lib.rs", "fn f() { let c = unbounded_channel(); }\n");
        fixture.check("unbounded");
        fixture.write("crates/hub/src/lib.rs", "//! Fine.\n");
        fixture.write("README.md", "See [this](docs/nowhere.md).\n");
        fixture.check("docs/nowhere.md");
    }
}
