//! Where files of a test lie.

use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// The project's root.
pub fn project() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// A folder of one test below `target/`. It goes with its owner.
#[derive(Debug)]
pub struct Folder(PathBuf);

static NUMBER: AtomicU32 = AtomicU32::new(0);

impl Folder {
    /// A new empty folder.
    ///
    /// # Errors
    /// When the system refuses it.
    pub fn new() -> Result<Folder> {
        let name = format!("{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let path = project().join("target/e2e").join(name);
        if path.exists() {
            std::fs::remove_dir_all(&path).with_context(|| format!("can't empty {}", path.display()))?;
        }
        std::fs::create_dir_all(&path).with_context(|| format!("can't make {}", path.display()))?;
        Ok(Folder(path))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The path of a file in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What stays is below target/, where nobody minds it.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
