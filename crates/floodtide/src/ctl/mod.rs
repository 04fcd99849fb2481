//! `floodtide ctl`: what an operator does from the command line.
//!
//! - [`key`], [`token`], [`url`] make credentials, without a running server
//! - [`online`] looks at a running server and acts on it; [`follow`] shows what happens, [`client`] asks

mod client;
mod follow;
mod key;
mod online;
mod token;
mod url;

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use client::Client;
use node::config::{Config, Layers, Surroundings};
use serde_json::Value;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
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
    /// Where the API of the running server is; from admin.listen of the configuration if not said.
    #[arg(long, value_name = "URL", global = true, env = "FLOODTIDE_CTL_URL")]
    url: Option<String>,
    /// The credential for it: an admin.token, or an administrator's JWT.
    #[arg(long, value_name = "TOKEN", global = true, env = "FLOODTIDE_CTL_TOKEN", hide_env_values = true)]
    token: Option<String>,
}

/// How long something shall hold: `90s`, `6h`, `30d`.
#[derive(Clone, Copy, Debug)]
struct Ttl(Duration);

pub(crate) fn run(options: &Options) -> Result<()> {
    match &options.command {
        Command::Key(command) => key::run(&options.place, command),
        Command::Token(command) => token::run(&options.place, command),
        Command::Url(command) => url::run(&options.place, command),
        Command::Online(command) => options.place.ask(command),
    }
}

impl Place {
    /// Asks the running server.
    fn ask(&self, command: &online::Command) -> Result<()> {
        let client = Client::new(&self.url()?, self.token.clone())?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(online::run(self, &client, command))
    }

    /// Where the server's API is. Whoever listens on all addresses listens on this machine's own.
    fn url(&self) -> Result<String> {
        if let Some(url) = &self.url {
            return Ok(url.clone());
        }
        let mut listen = self.configuration()?.admin.listen;
        if listen.ip().is_unspecified() {
            let own: IpAddr =
                if listen.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() };
            listen.set_ip(own);
        }
        Ok(format!("http://{listen}"))
    }

    /// Prints an answer, as it is or as a person reads it.
    fn show(&self, answer: &Value, text: impl FnOnce(&Value) -> String) {
        if self.json {
            println!("{answer:#}");
        } else {
            println!("{}", text(answer).trim_end());
        }
    }

    /// Prints that something is done.
    fn done(&self, said: &str, answer: &Value) {
        self.show(answer, |_| said.to_owned());
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
