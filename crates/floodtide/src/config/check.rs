//! `floodtide config check`.

use super::{errors, warnings};
use anyhow::{Context, Result};
use clap::Args;
use node::config::{Layers, problems};
use serde_json::json;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Configuration file (TOML).
    #[arg(value_name = "FILE", env = "FLOODTIDE_CONFIG")]
    file: PathBuf,
    /// Answer with JSON instead of text.
    #[arg(long)]
    json: bool,
}

/// What was found.
#[derive(Debug, Default)]
struct Verdict {
    errors: Vec<String>,
    warnings: Vec<String>,
}

pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let verdict = verdict(options)?;
    if options.json {
        println!("{:#}", json!({ "errors": verdict.errors, "warnings": verdict.warnings }));
    } else {
        verdict.errors.iter().for_each(|error| println!("error: {error}"));
        verdict.warnings.iter().for_each(|warning| println!("warning: {warning}"));
        if verdict.errors.is_empty() {
            println!("{} is good", options.file.display());
        }
    }
    Ok(if verdict.errors.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn verdict(options: &Options) -> Result<Verdict> {
    let shown = options.file.display();
    let text = std::fs::read_to_string(&options.file).with_context(|| format!("can't read {shown}"))?;
    let found = problems(&text);
    if !found.is_empty() {
        let errors = found.iter().map(|problem| format!("{shown}: {problem}")).collect();
        return Ok(Verdict { errors, ..Verdict::default() });
    }
    // The server reads the environment, too.
    Ok(match Layers::file(&options.file).environment(std::env::vars()).load() {
        Ok(config) => Verdict { errors: errors(&config), warnings: warnings(&config, Some(&options.file)) },
        Err(error) => Verdict { errors: vec![error.to_string()], ..Verdict::default() },
    })
}
