//! `floodtide ctl`: what an operator does from the command line.
//!
//! - [`key`], [`token`], [`url`] make credentials, without a running server
//! - [`online`] looks at a running server and acts on it, [`stage`] at its stages and matches; [`follow`] shows what happens, [`client`] asks, [`address`]
//!   knows whom and by which credential

mod address;
mod client;
mod follow;
mod key;
mod online;
mod stage;
mod token;
mod url;

pub(crate) use address::Address;
pub(crate) use client::wait;

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use node::config::{Config, Layers, Surroundings};
use serde_json::Value;
use std::io::{ErrorKind, Write};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    place: Place,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Stream keys: the secrets that publishers present as ?key=…
    #[command(
        subcommand,
        after_help = "Examples:\n  \
        floodtide ctl key add --path live/alice --ttl 30d --note 'Alice, camera 2'\n  \
        floodtide ctl key list\n  \
        floodtide ctl key disable k_0123456789abcdef\n\n\
        Keys are in keys.json in the state folder; no running server is needed. Run it as the server's user."
    )]
    Key(key::Command),
    /// Tokens (JWT): what a person may do, signed by the secret of an [[auth.jwt]] section.
    #[command(
        subcommand,
        after_help = "Examples:\n  \
        floodtide ctl --config floodtide.toml token play --path 'live/*' --ttl 6h\n  \
        floodtide ctl --config floodtide.toml token publish --path live/alice --ttl 30d --ip 192.0.2.7\n  \
        floodtide ctl --config floodtide.toml token admin --role operator --ttl 90d --subject oncall"
    )]
    Token(token::Command),
    /// Signed URLs, by the secret of an [[auth.url]] section.
    #[command(
        subcommand,
        after_help = "Examples:\n  \
        floodtide ctl --config floodtide.toml url play --path live/alice --ttl 6h --base https://host/live/alice.m3u8\n  \
        floodtide ctl --config floodtide.toml url publish --path live/alice --ttl 2h"
    )]
    Url(url::Command),
    #[command(flatten)]
    Online(online::Command),
}

/// Where the server has its things.
#[derive(Debug, Args)]
struct Place {
    /// Configuration file of the server (TOML).
    #[arg(long, value_name = "FILE", global = true, env = "FLOODTIDE_CONFIG")]
    config: Option<PathBuf>,
    /// The server's state folder (state.folder).
    #[arg(long, value_name = "FOLDER", global = true)]
    state: Option<PathBuf>,
    /// Answer with JSON instead of text.
    #[arg(long, global = true)]
    json: bool,
    #[command(flatten)]
    address: Address,
}

/// How long something shall hold: `90s`, `6h`, `30d`.
#[derive(Clone, Copy, Debug)]
struct Ttl(Duration);

pub(crate) fn run(options: &Options) -> Result<()> {
    let place = &options.place;
    match &options.command {
        Command::Key(command) => key::run(place, command),
        Command::Token(command) => token::run(place, command),
        Command::Url(command) => url::run(place, command),
        Command::Online(command) => {
            let client = place.address.client(place.config.as_deref())?;
            client::wait(online::run(place, &client, command)).or_else(nobody_reads)
        }
    }
}

/// Whoever reads what is printed, such as `head`, may have enough.
fn nobody_reads(error: anyhow::Error) -> Result<()> {
    match error.downcast_ref::<std::io::Error>() {
        Some(io) if io.kind() == ErrorKind::BrokenPipe => Ok(()),
        _ => Err(error),
    }
}

/// Prints a line, at once.
fn say(line: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}

impl Place {
    /// Prints an answer, as it is or as a person reads it.
    fn show(&self, answer: &Value, text: impl FnOnce(&Value) -> String) -> Result<()> {
        say(&if self.json { format!("{answer:#}") } else { text(answer).trim_end().to_owned() })
    }

    /// Prints that something is done.
    fn done(&self, said: &str, answer: &Value) -> Result<()> {
        self.show(answer, |_| said.to_owned())
    }

    /// The configuration that the server would read.
    fn configuration(&self) -> Result<Config> {
        let layers = self.config.as_deref().map_or_else(Layers::default, Layers::file);
        Ok(layers.environment(std::env::vars()).load()?)
    }

    fn state_folder(&self, config: &Config) -> PathBuf {
        self.state.clone().unwrap_or_else(|| config.state.folder(&Surroundings::here()))
    }
}

impl Ttl {
    /// When it ends, if it begins now.
    fn end(self) -> Result<SystemTime> {
        SystemTime::now().checked_add(self.0).context("--ttl is too long")
    }
}

impl std::str::FromStr for Ttl {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match humantime::parse_duration(text) {
            Ok(time) if !time.is_zero() => Ok(Ttl(time)),
            _ => Err("write a number and s, m, h or d, as in 30d or 6h".to_owned()),
        }
    }
}
