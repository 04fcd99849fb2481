//! `floodtide doctor`: what on this machine stands in the way of a server, and what to do about it. It changes nothing.
//!
//! - [`finding`] what a check answers
//! - [`ports`], [`ready`] listeners, and the server that runs already
//! - [`machine`], [`kernel`], [`clock`], [`disk`] what the system gives
//! - [`tls`], [`dns`] certificates and names
//! - [`webrtc`] whether media finds us

mod clock;
mod disk;
mod dns;
mod finding;
mod kernel;
mod machine;
mod ports;
mod ready;
mod tls;
mod webrtc;

use anyhow::Result;
use clap::Args;
use finding::{Finding, Verdict};
use node::config::{Config, ConfigError, Layers};
use serde_json::json;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Instant, SystemTime};

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Configuration file of the server (TOML).
    #[arg(long, value_name = "FILE", env = "FLOODTIDE_CONFIG")]
    config: Option<PathBuf>,
    /// Answer with JSON instead of a table.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let layers = options.config.as_deref().map_or_else(Layers::default, Layers::file);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let findings = runtime.block_on(examine(options, layers.environment(std::env::vars()).load()));
    // A look-up that nobody answers must not hold the process.
    runtime.shutdown_background();
    let failed = findings.iter().any(|finding| finding.verdict == Verdict::Failure);
    if options.json {
        println!("{:#}", json!({ "ok": !failed, "findings": findings }));
    } else {
        println!("{}", finding::as_text(&findings));
    }
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

async fn examine(options: &Options, config: Result<Config, ConfigError>) -> Vec<Finding> {
    let began = (Instant::now(), SystemTime::now());
    let mut findings = machine::check();
    findings.extend(kernel::check());
    match config {
        Ok(config) => {
            findings.extend(configuration(options, &config));
            findings.extend(ports::check(&config));
            findings.push(ready::check(&config).await);
            findings.extend(webrtc::check(&config).await);
            let certificate = tls::read(&config.tls);
            findings.extend(tls::check(&config.tls, certificate.as_ref(), began.1));
            findings.extend(disk::check(&config));
            let names = certificate.map(|certificate| certificate.names).unwrap_or_default();
            findings.extend(dns::check(&config, &names).await);
        }
        Err(error) => {
            findings.push(Finding::failure("configuration", error.to_string()).advise(
                "mend it (floodtide config check FILE tells everything that is wrong), then look again",
            ));
        }
    }
    findings.extend(clock::check(began).await);
    findings
}

fn configuration(options: &Options, config: &Config) -> Vec<Finding> {
    let file = options.config.as_deref();
    let shown = file.map_or("defaults and environment".to_owned(), |file| file.display().to_string());
    let failures = crate::config::conflicts(config).into_iter();
    let warnings = crate::config::warnings(config, file).into_iter();
    let mut findings: Vec<_> = failures
        .map(|text| Finding::failure("configuration", text).advise("change one of the keys that it names"))
        .chain(warnings.map(|text| Finding::warning("configuration", text)))
        .collect();
    if findings.is_empty() {
        findings.push(Finding::ok("configuration", format!("{shown}: good")));
    }
    findings
}
