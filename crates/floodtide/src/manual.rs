//! Manual pages and shell completions, made from the command line's own description for packages.

use anyhow::{Context, Result};
use clap::{Args, Command};
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(crate) struct Shell {
    /// Which shell.
    shell: clap_complete::Shell,
}

#[derive(Debug, Args)]
pub(crate) struct Folder {
    /// Where the pages go; it is made if it isn't there.
    folder: PathBuf,
}

/// Prints the completions of a shell.
pub(crate) fn complete(mut command: Command, shell: &Shell) {
    clap_complete::generate(shell.shell, &mut command, "floodtide", &mut std::io::stdout());
}

/// Writes a page per command: `floodtide.1`, `floodtide-serve.1` and so on.
pub(crate) fn write(command: Command, folder: &Folder) -> Result<()> {
    let told = || format!("can't write manual pages into {}", folder.folder.display());
    std::fs::create_dir_all(&folder.folder).with_context(told)?;
    clap_mangen::generate_to(command, &folder.folder).with_context(told)
}
