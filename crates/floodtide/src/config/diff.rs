//! `floodtide config diff`: what a change would do to a running server.

use crate::ctl::{Address, wait};
use anyhow::{Context, Result};
use clap::Args;
use node::config::{Change, Config, Layers};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The file as it is now; with --server, the file that the server would get, or its own if not said.
    #[arg(value_name = "FILE", required_unless_present = "server")]
    from: Option<PathBuf>,
    /// The file that would take its place. Without it, FILE is compared with the defaults.
    #[arg(value_name = "NEW", conflicts_with = "server")]
    to: Option<PathBuf>,
    /// Compare with what the running server runs with, below its environment and flags.
    #[arg(long)]
    server: bool,
    #[command(flatten)]
    address: Address,
    /// The server's configuration file, which says where its API is.
    #[arg(long, value_name = "FILE", env = "FLOODTIDE_CONFIG")]
    config: Option<PathBuf>,
    /// Show secrets as they are; those of a running server are never shown.
    #[arg(long, conflicts_with = "server")]
    secrets: bool,
    /// Answer with JSON instead of text.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let changes = match (&options.from, &options.to) {
        (file, _) if options.server => running(options, file.as_deref())?,
        (Some(from), Some(to)) => local(options, &read(from)?, &read(to)?),
        (Some(from), None) => local(options, &Config::default(), &read(from)?),
        (None, _) => Vec::new(),
    };
    if options.json {
        println!("{:#}", json!(changes));
    } else if changes.is_empty() {
        println!("nothing differs");
    } else {
        changes.iter().for_each(|change| println!("{}", as_text(change)));
    }
    Ok(ExitCode::SUCCESS)
}

/// What the server itself finds: it knows its flags, its environment, and secrets.
fn running(options: &Options, file: Option<&Path>) -> Result<Vec<Value>> {
    let text = match file {
        Some(file) => {
            // What is wrong in it is told with its name.
            read(file)?;
            std::fs::read_to_string(file).with_context(|| format!("can't read {}", file.display()))?
        }
        None => String::new(),
    };
    let client = options.address.client(options.config.as_deref())?;
    let changes = wait(client.post("/v1/config/diff", text))?;
    Ok(changes.as_array().cloned().unwrap_or_default())
}

fn local(options: &Options, from: &Config, to: &Config) -> Vec<Value> {
    let shown = |change: Change| if options.secrets { change } else { change.without_secrets() };
    from.changes_to(to).into_iter().map(shown).map(|change| as_json(&change)).collect()
}

/// A file alone: the environment is the same before and afterwards.
fn read(path: &Path) -> Result<Config> {
    Ok(Layers::file(path).load()?)
}

fn as_text(change: &Value) -> String {
    let shown = |value: &Value| if value.is_null() { "(not set)".to_owned() } else { value.to_string() };
    let when = if change["needs_restart"] == true { "  (needs a restart)" } else { "" };
    let key = change["key"].as_str().unwrap_or_default();
    format!("{key}: {} -> {}{when}", shown(&change["from"]), shown(&change["to"]))
}

fn as_json(change: &Change) -> Value {
    let Change { key, from, to, needs_restart } = change;
    json!({ "key": key, "from": from, "to": to, "needs_restart": needs_restart })
}
