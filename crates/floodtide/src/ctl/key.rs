//! `floodtide ctl key`.

use super::{Place, Ttl};
use crate::table::table;
use anyhow::{Context, Result, bail};
use clap::Subcommand;
use node::auth::keys::{Key, KeyStore, NewKey, RANDOM_BYTES};
use node::auth::pattern::Pattern;
use node::config::{Config, Moment};
use serde_json::{Value, json};
use std::time::SystemTime;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make a key; its secret is shown this once.
    Add {
        /// What it is for: live/alice, live/* (one element) or live/** (all behind it); a vhost stands first.
        #[arg(long, value_name = "PATTERN")]
        path: Pattern,
        /// How long it holds, as in 30d; for ever if not said.
        #[arg(long, value_name = "TIME")]
        ttl: Option<Ttl>,
        /// What you want to remember about it.
        #[arg(long, default_value = "", hide_default_value = true)]
        note: String,
    },
    /// Show all keys, those of the configuration too; never their secrets.
    List,
    /// Make a key useless until it is enabled; sessions that it allowed end.
    Disable {
        /// From the list.
        id: String,
    },
    /// Make a disabled key good again.
    Enable {
        /// From the list.
        id: String,
    },
    /// Remove a key for ever; sessions that it allowed end.
    Remove {
        /// From the list.
        id: String,
    },
}

pub(super) fn run(place: &Place, command: &Command) -> Result<()> {
    let config = place.configuration()?;
    let store = KeyStore::new(&place.state_folder(&config));
    match command {
        Command::Add { path, ttl, note } => add(place, &store, path, *ttl, note),
        Command::List => list(place, &store, &config),
        Command::Disable { id } => change(place, &config, id, store.set_enabled(id, false), "disabled"),
        Command::Enable { id } => change(place, &config, id, store.set_enabled(id, true), "enabled"),
        Command::Remove { id } => change(place, &config, id, store.remove(id), "removed"),
    }
}

fn add(place: &Place, store: &KeyStore, path: &Pattern, ttl: Option<Ttl>, note: &str) -> Result<()> {
    let expires = ttl.map(Ttl::end).transpose()?.map(Moment);
    let mut random = [0; RANDOM_BYTES];
    aws_lc_rs::rand::fill(&mut random).ok().context("the system gives no random bytes")?;
    let new = NewKey { path: path.clone(), expires, note: note.to_owned() };
    let (key, secret) = store.add(new, &random, SystemTime::now())?;
    if place.json {
        let mut shown = json(&key, "store");
        shown["secret"] = secret.as_str().into();
        println!("{shown:#}");
    } else {
        println!("key     {}\nsecret  {}\npath    {}", key.id, secret.as_str(), key.path);
        println!("expires {}", key.expires.map_or_else(|| "never".to_owned(), |end| end.to_string()));
        println!("\nThe secret is not shown again. Publish to …/NAME?key={}", secret.as_str());
    }
    Ok(())
}

fn list(place: &Place, store: &KeyStore, config: &Config) -> Result<()> {
    let configured = config.publish.key.iter().filter_map(Key::from_config).map(|key| (key, "configuration"));
    let keys: Vec<(Key, &str)> =
        configured.chain(store.read()?.into_iter().map(|key| (key, "store"))).collect();
    if place.json {
        println!("{:#}", Value::from(keys.iter().map(|(key, from)| json(key, from)).collect::<Vec<_>>()));
        return Ok(());
    }
    let moment =
        |moment: Option<Moment>, none: &str| moment.map_or_else(|| none.to_owned(), |m| m.to_string());
    let rows: Vec<[String; 7]> = keys
        .into_iter()
        .map(|(key, from)| {
            let (made, ends) = (moment(key.created, "-"), moment(key.expires, "never"));
            [
                key.id.clone(),
                key.path.to_string(),
                state(&key).to_owned(),
                ends,
                made,
                from.to_owned(),
                key.note,
            ]
        })
        .collect();
    println!("{}", table(["ID", "PATH", "STATE", "EXPIRES", "CREATED", "FROM", "NOTE"], &rows));
    Ok(())
}

fn change(
    place: &Place,
    config: &Config,
    id: &str,
    changed: Result<Key, node::auth::keys::StoreError>,
    what: &str,
) -> Result<()> {
    if changed.is_err() && config.publish.key.iter().any(|key| key.id == id) {
        bail!("the key {id} stands in the configuration ([[publish.key]]): change it there");
    }
    let key = changed?;
    if place.json {
        println!("{:#}", json(&key, "store"));
    } else {
        println!("{} is {what}", key.id);
    }
    Ok(())
}

fn state(key: &Key) -> &'static str {
    match key.expires {
        _ if !key.enabled => "disabled",
        Some(end) if end.0 <= SystemTime::now() => "expired",
        _ => "good",
    }
}

fn json(key: &Key, from: &str) -> Value {
    json!({
        "id": key.id,
        "path": key.path,
        "state": state(key),
        "enabled": key.enabled,
        "expires": key.expires,
        "created": key.created,
        "from": from,
        "note": key.note,
    })
}
