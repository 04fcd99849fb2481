//! `floodtide ctl token`.

use super::{Place, Ttl};
use anyhow::Result;
use clap::{Args, Subcommand, ValueEnum};
use node::auth::jwt::{Mint, Network, Right, Role, Signer};
use node::auth::pattern::Pattern;
use node::config::Moment;
use serde_json::json;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// A token to play.
    Play {
        /// What it is for: live/alice, live/* (one element) or live/** (all behind it); a vhost stands first.
        #[arg(long, value_name = "PATTERN")]
        path: Pattern,
        #[command(flatten)]
        common: Common,
    },
    /// A token to publish.
    Publish {
        /// What it is for: live/alice, live/* (one element) or live/** (all behind it); a vhost stands first.
        #[arg(long, value_name = "PATTERN")]
        path: Pattern,
        #[command(flatten)]
        common: Common,
    },
    /// A token for the API; its [[auth.jwt]] needs admin = true.
    Admin {
        /// What it allows; each role may do what those before it may.
        #[arg(long, default_value = "viewer")]
        role: RoleName,
        #[command(flatten)]
        common: Common,
    },
}

#[derive(Debug, Args)]
pub(super) struct Common {
    /// How long it holds, as in 6h or 30d.
    #[arg(long, value_name = "TIME")]
    ttl: Ttl,
    /// The only address, or network such as 192.0.2.0/24, that it is good for.
    #[arg(long, value_name = "ADDRESS")]
    ip: Option<Network>,
    /// Whom it is for; shown in lists and logs.
    #[arg(long, value_name = "NAME")]
    subject: Option<String>,
    /// Which [[auth.jwt]] signs, by its kid; the first that can if not said.
    #[arg(long)]
    kid: Option<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum RoleName {
    /// May look.
    Viewer,
    /// May also end sessions.
    Operator,
    /// May also change keys and configuration.
    Admin,
}

pub(super) fn run(place: &Place, command: &Command) -> Result<()> {
    let (right, common) = match command {
        Command::Play { path, common } => (Right::Play(path.clone()), common),
        Command::Publish { path, common } => (Right::Publish(path.clone()), common),
        Command::Admin { role, common } => (Right::Administrate((*role).into()), common),
    };
    let signer = Signer::choose(&place.configuration()?.auth.jwt, common.kid.as_deref(), &right)?;
    let expires = common.ttl.end()?;
    let token = signer.mint(&Mint { right, expires, subject: common.subject.clone(), ip: common.ip })?;
    if place.json {
        println!("{:#}", json!({ "token": token, "expires": Moment(expires) }));
    } else {
        println!("{token}");
    }
    Ok(())
}

impl From<RoleName> for Role {
    fn from(role: RoleName) -> Role {
        match role {
            RoleName::Viewer => Role::Viewer,
            RoleName::Operator => Role::Operator,
            RoleName::Admin => Role::Admin,
        }
    }
}
