//! `floodtide config diff`: what a change would do to a running server.

use anyhow::Result;
use clap::Args;
use node::config::{Change, Config, Layers, masked};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use toml::Value;

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The file as it is now.
    #[arg(value_name = "FILE")]
    from: PathBuf,
    /// The file that would take its place. Without it, FILE is compared with the defaults.
    #[arg(value_name = "NEW")]
    to: Option<PathBuf>,
    /// Show secrets as they are.
    #[arg(long)]
    secrets: bool,
    /// Answer with JSON instead of text.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let changes = match &options.to {
        Some(to) => read(&options.from)?.changes_to(&read(to)?),
        None => Config::default().changes_to(&read(&options.from)?),
    };
    let changes: Vec<Change> = match options.secrets {
        true => changes,
        false => changes.into_iter().map(without_secrets).collect(),
    };
    if options.json {
        println!("{:#}", json!(changes.iter().map(as_json).collect::<Vec<_>>()));
    } else if changes.is_empty() {
        println!("nothing differs");
    } else {
        changes.iter().for_each(|change| println!("{}", as_text(change)));
    }
    Ok(ExitCode::SUCCESS)
}

/// A file alone: the environment is the same before and afterwards.
fn read(path: &Path) -> Result<Config> {
    Ok(Layers::file(path).load()?)
}

fn without_secrets(change: Change) -> Change {
    let name = change.key.rsplit('.').next().unwrap_or_default().to_owned();
    let hide = |value: Option<Value>| value.map(|value| masked(&name, &value));
    Change { from: hide(change.from), to: hide(change.to), ..change }
}

fn as_text(change: &Change) -> String {
    let shown = |value: &Option<Value>| value.as_ref().map_or("(not set)".to_owned(), Value::to_string);
    let when = if change.needs_restart { "  (needs a restart)" } else { "" };
    format!("{}: {} -> {}{when}", change.key, shown(&change.from), shown(&change.to))
}

fn as_json(change: &Change) -> serde_json::Value {
    let Change { key, from, to, needs_restart } = change;
    json!({ "key": key, "from": from, "to": to, "needs_restart": needs_restart })
}
