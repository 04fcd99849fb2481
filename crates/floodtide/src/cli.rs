//! The command line.

use crate::{config, ctl, demo, doctor, manual, serve};
use anyhow::Result;
use clap::{Args, CommandFactory, Parser, Subcommand};
use node::Coming;
use node::config::Layers;
use std::path::PathBuf;
use std::process::ExitCode;

/// Live streaming for sudden crowds.
#[derive(Debug, Parser)]
#[command(
    version,
    about,
    after_help = "Examples:\n  \
    floodtide demo                            a built-in broadcast and a page that plays it\n  \
    floodtide serve --stream-key SECRET       a server that takes rtmp://host/live/NAME?key=SECRET\n  \
    floodtide serve --config floodtide.toml\n  \
    floodtide config check floodtide.toml     what is wrong in it, with line and key\n  \
    floodtide doctor                          what on this machine stands in the way\n  \
    floodtide ctl key add --path live/alice   a stream key for one path\n  \
    floodtide ctl status                      how the running server fares, and what is live"
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Publish a built-in clip and show a page that plays it; anyone on this machine may publish too.
    #[command(after_help = "Then open http://127.0.0.1:8080/")]
    Demo(demo::Options),
    /// Run the server.
    #[command(
        after_help = "Every setting is a TOML key, an environment variable (FLOODTIDE_HTTP__LISTEN) and,\n\
        for the common ones, a flag; flags win over the environment, the environment over the file."
    )]
    Serve(ServeOptions),
    /// The configuration: what is wrong in it, what holds, what a change would do.
    #[command(subcommand)]
    Config(config::Command),
    /// Look at this machine and say what stands in the way of a server, and what to do about it.
    #[command(
        after_help = "Ends with 1 if something fails. Run it as the server's user, and with its environment."
    )]
    Doctor(doctor::Options),
    /// Look at a running server and act on it; make keys, tokens and signed URLs.
    #[command(after_help = "Examples:\n  \
        floodtide ctl status                       how the server fares, and what is live\n  \
        floodtide ctl broadcast live/alice         its tracks, health, advice, sessions\n  \
        floodtide ctl sessions --role viewer --path live/alice --json\n  \
        floodtide ctl kick 5f1c                    the id stands in the list of sessions\n  \
        floodtide ctl events --watch --types broadcast,health\n  \
        floodtide ctl logs --watch --level warn\n  \
        floodtide ctl reload                       read the configuration again\n  \
        floodtide ctl --url https://host:9443 --token-file ~/.floodtide-token status\n\n\
        A credential comes from a file (--token-file) or from the variable FLOODTIDE_CTL_TOKEN. Ends with 1 if it fails.")]
    Ctl(Box<ctl::Options>),
    Load(Box<load::Args>),
    /// Print the completions of a shell.
    #[command(hide = true)]
    Complete(manual::Shell),
    /// Write the manual pages into a folder.
    #[command(hide = true)]
    Man(manual::Folder),
}

#[derive(Debug, Args)]
struct ServeOptions {
    /// Configuration file (TOML).
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Take over from the server that runs with the same state folder: its sockets, and what is live there. It drains
    /// then, and nobody is refused meanwhile.
    #[arg(long)]
    take_over: bool,
    /// Secret that publishers present as ?key=… (publish.stream_key).
    #[arg(long, value_name = "SECRET")]
    stream_key: Option<String>,
    #[command(flatten)]
    common: Common,
}

/// Flags of every command that runs a server.
#[derive(Debug, Args)]
pub(crate) struct Common {
    /// Where RTMP is served (rtmp.listen).
    #[arg(long, value_name = "ADDRESS")]
    rtmp: Option<String>,
    /// Where HTTP and WebSocket are served (http.listen).
    #[arg(long, value_name = "ADDRESS")]
    http: Option<String>,
    /// Where metrics and health are served (admin.listen).
    #[arg(long, value_name = "ADDRESS")]
    admin: Option<String>,
    /// Where WebRTC's media goes in and out, by UDP (webrtc.listen).
    #[arg(long, value_name = "ADDRESS")]
    webrtc: Option<String>,
    /// Where SRT listens, by UDP (srt.listen).
    #[arg(long, value_name = "ADDRESS")]
    srt: Option<String>,
    /// How long frames may wait to share a write: adaptive, or 0ms to 500ms (egress.merge_window).
    #[arg(long, value_name = "WINDOW")]
    merge_window: Option<String>,
    /// Threads that write to viewers; 0 is one per core (egress.workers).
    #[arg(long, value_name = "N")]
    egress_workers: Option<String>,
}

impl ServeOptions {
    fn coming(&self) -> Coming {
        if self.take_over { Coming::TakeOver } else { Coming::Afresh }
    }
}

impl Common {
    fn lay_on(&self, layers: &mut Layers) {
        let flags = [
            ("rtmp", "listen", &self.rtmp),
            ("http", "listen", &self.http),
            ("admin", "listen", &self.admin),
            ("webrtc", "listen", &self.webrtc),
            ("srt", "listen", &self.srt),
            ("egress", "merge_window", &self.merge_window),
            ("egress", "workers", &self.egress_workers),
        ];
        for (section, key, value) in flags {
            if let Some(value) = value {
                layers.put(&[section, key], value);
            }
        }
    }
}

impl Cli {
    pub(crate) fn run(self) -> Result<ExitCode> {
        match self.command {
            Command::Demo(options) => {
                demo::run(demo_layers(&options.common), &options)?;
            }
            Command::Config(command) => return config::run(&command),
            Command::Doctor(options) => return doctor::run(&options),
            Command::Ctl(options) => ctl::run(&options)?,
            Command::Serve(options) => serve::run(serve_layers(&options), options.coming())?,
            // Each gate that failed was shown with the result.
            Command::Load(args) => return Ok(load::run(*args)?.into()),
            Command::Complete(shell) => manual::complete(Cli::command(), &shell),
            Command::Man(folder) => manual::write(Cli::command(), &folder)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn serve_layers(options: &ServeOptions) -> Layers {
    let layers = options.config.as_deref().map_or_else(Layers::default, Layers::file);
    let mut layers = layers.environment(std::env::vars());
    options.common.lay_on(&mut layers);
    if let Some(key) = &options.stream_key {
        layers.put(&["publish", "stream_key"], key);
    }
    layers
}

/// The demo is open to this machine only, and needs no file.
fn demo_layers(common: &Common) -> Layers {
    let mut layers = Layers::demo();
    layers.put(&["rtmp", "listen"], "127.0.0.1:1935");
    layers.put(&["http", "listen"], "127.0.0.1:8080");
    let mut layers = layers.environment(std::env::vars());
    common.lay_on(&mut layers);
    layers
}
