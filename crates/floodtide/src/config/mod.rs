//! `floodtide config`: what is wrong in a configuration, what holds, what a change would do.

mod check;
mod diff;
mod show;
mod warnings;

use anyhow::Result;
use clap::Subcommand;
use std::process::ExitCode;

pub(crate) use warnings::{conflicts, datagram_ports, errors, listeners, warnings};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Tell everything that is wrong in a file, with line and key; end with 1 if something is.
    #[command(after_help = "Example:\n  floodtide config check /etc/floodtide/floodtide.toml")]
    Check(check::Options),
    /// Show every value that holds, and where it is from. Secrets are masked.
    #[command(after_help = "Example:\n  floodtide config show --config /etc/floodtide/floodtide.toml")]
    Show(show::Options),
    /// Show what changes from one file to another, or from what a running server has, and which changes need a restart.
    #[command(after_help = "Examples:\n  \
        floodtide config diff old.toml new.toml\n  \
        floodtide config diff floodtide.toml        what differs from the defaults\n  \
        floodtide config diff --server new.toml     what the running server would change, and what waits for a restart\n  \
        floodtide config diff --server              the same of the server's own file as it is now")]
    Diff(Box<diff::Options>),
}

pub(crate) fn run(command: &Command) -> Result<ExitCode> {
    match command {
        Command::Check(options) => check::run(options),
        Command::Show(options) => show::run(options),
        Command::Diff(options) => diff::run(options),
    }
}
