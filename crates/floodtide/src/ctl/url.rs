//! `floodtide ctl url`.

use super::{Place, Ttl};
use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use node::auth::jwt::Network;
use node::auth::pattern::Pattern;
use node::auth::signed_url::{UrlKeys, UrlRight};
use node::config::Moment;
use serde_json::json;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// A URL to play.
    Play(Common),
    /// A URL to publish.
    Publish(Common),
}

#[derive(Debug, Args)]
pub(super) struct Common {
    /// What it is for: live/alice, live/* (one element) or live/** (all behind it); a vhost stands first.
    #[arg(long, value_name = "PATTERN")]
    path: Pattern,
    /// How long it holds, as in 6h or 30d.
    #[arg(long, value_name = "TIME")]
    ttl: Ttl,
    /// The only address, or network such as 192.0.2.0/24, that it is good for.
    #[arg(long, value_name = "ADDRESS")]
    ip: Option<Network>,
    /// Which [[auth.url]] signs, by its kid; the first if not said.
    #[arg(long)]
    kid: Option<String>,
    /// The URL to sign; without it, only the query is shown.
    #[arg(long, value_name = "URL")]
    base: Option<String>,
}

pub(super) fn run(place: &Place, command: &Command) -> Result<()> {
    let (publish, common) = match command {
        Command::Play(common) => (false, common),
        Command::Publish(common) => (true, common),
    };
    let keys = UrlKeys::new(&place.configuration()?.auth.url);
    let expires = common.ttl.end()?;
    let right = UrlRight { publish, path: common.path.clone(), expires, ip: common.ip };
    let missing = "no [[auth.url]] signs this: add one with kid and secret to the configuration, or check --config and --kid";
    let query = keys.sign(common.kid.as_deref(), &right).context(missing)?;
    let url = match &common.base {
        None => query,
        Some(base) if base.contains('?') => format!("{base}&{query}"),
        Some(base) => format!("{base}?{query}"),
    };
    if place.json {
        println!("{:#}", json!({ "url": url, "expires": Moment(expires) }));
    } else {
        println!("{url}");
    }
    Ok(())
}
