//! What the compiler can't enforce. One file per concern:
//!
//! - [`floors`] who may depend on whom
//! - [`clocks`] the lints of pure crates
//! - [`sizes`] how long a file may get
//! - [`names`] words that mean nothing here, and channels without a bound
//! - [`protocols`] no file speaks two
//! - [`links`] documents point at what is there
//! - [`machine`] nothing from one machine
//!
//! [`tree`] finds the files, [`source`] reads Rust, [`violation`] is what they answer.

mod clocks;
mod floors;
mod links;
mod machine;
mod names;
mod protocols;
mod sizes;
mod source;
mod tree;
mod violation;

pub use violation::Violation;

use anyhow::Result;
use std::path::Path;
use tree::Tree;

/// Checks the project below `root`; what it finds is sorted by file and line.
///
/// # Errors
/// When files can't be read, or `cargo metadata` refuses the workspace.
pub fn check(root: &Path) -> Result<Vec<Violation>> {
    let tree = Tree::read(root)?;
    let mut found = Vec::new();
    floors::check(&tree, &mut found)?;
    clocks::check(&tree, &mut found)?;
    sizes::check(&tree, &mut found);
    names::check(&tree, &mut found);
    protocols::check(&tree, &mut found);
    links::check(&tree, &mut found);
    machine::check(&tree, &mut found);
    found.sort_by(|a, b| (&a.path, a.line, a.rule).cmp(&(&b.path, b.line, b.rule)));
    Ok(found)
}
