//! `floodtide ctl events` and `floodtide ctl logs`: what happened, or what happens.

use super::client::{Client, Events};
use super::online::text;
use super::{Place, say};
use anyhow::Result;
use clap::Args;
use serde_json::Value;

#[derive(Debug, Args)]
pub(super) struct Options {
    /// Go on and show what happens as it happens, until Ctrl-C.
    #[arg(long, short)]
    watch: bool,
    /// Only these types, parted by commas: session.began, session.ended, broadcast, health, config, stage, match.
    #[arg(long)]
    types: Option<String>,
    /// How many at most, the newest.
    #[arg(long, default_value_t = 100)]
    limit: usize,
}

#[derive(Debug, Args)]
pub(super) struct LogOptions {
    /// Go on and show lines as they come, until Ctrl-C.
    #[arg(long, short)]
    watch: bool,
    /// The least important lines: error, warn, info, debug or trace.
    #[arg(long)]
    level: Option<String>,
    /// How many at most, the newest.
    #[arg(long, default_value_t = 100)]
    limit: usize,
}

pub(super) async fn events(place: &Place, client: &Client, options: &Options) -> Result<()> {
    let target = target("/v1/events", options.limit, "types", options.types.as_deref());
    show(place, client, &target, options.watch, event).await
}

pub(super) async fn logs(place: &Place, client: &Client, options: &LogOptions) -> Result<()> {
    let target = target("/v1/logs", options.limit, "level", options.level.as_deref());
    show(place, client, &target, options.watch, line).await
}

async fn show(
    place: &Place,
    client: &Client,
    target: &str,
    watch: bool,
    shown: fn(&Value) -> String,
) -> Result<()> {
    if watch {
        let mut events = client.events(target, None).await?;
        loop {
            follow(place, &mut events, shown).await?;
            // The server ends such answers now and then, to see the credential again.
            let last_id = events.last_id.take();
            events = client.events(target, last_id.as_deref()).await?;
        }
    }
    let all = client.get(target).await?;
    if place.json {
        return say(&format!("{all:#}"));
    }
    all.as_array().into_iter().flatten().try_for_each(|one| say(&shown(one)))
}

async fn follow(place: &Place, events: &mut Events, shown: fn(&Value) -> String) -> Result<()> {
    while let Some(one) = events.next().await? {
        say(&if place.json { one.to_string() } else { shown(&one) })?;
    }
    Ok(())
}

fn target(path: &str, limit: usize, name: &str, value: Option<&str>) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("limit", &limit.to_string());
    if let Some(value) = value {
        query.append_pair(name, value);
    }
    format!("{path}?{}", query.finish())
}

/// One line: time, type, and the rest as `name=value`.
fn event(event: &Value) -> String {
    let known = ["id", "time", "type"];
    let rest = event.as_object().into_iter().flatten().filter(|(name, _)| !known.contains(&name.as_str()));
    let mut out = format!("{} {:<16}", text(&event["time"]), text(&event["type"]));
    rest.for_each(|(name, value)| out += &format!(" {name}={}", plain(value)));
    out
}

fn line(line: &Value) -> String {
    if let Some(missed) = line["count"].as_u64() {
        return format!("… {missed} lines came too fast and are left out …");
    }
    let level = text(&line["level"]).to_uppercase();
    let mut out = format!("{} {level:>5} {}", text(&line["time"]), text(&line["text"]));
    let fields = line["fields"].as_object().into_iter().flatten();
    fields.for_each(|(name, value)| out += &format!(" {name}={}", plain(value)));
    out
}

fn plain(value: &Value) -> String {
    match value {
        Value::Array(all) => all.iter().map(text).collect::<Vec<_>>().join(","),
        one => text(one),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn events_and_lines_are_one_line_each() {
        let shown = event(
            &json!({"id": 7, "time": "T", "type": "config.reloaded", "applied": ["a", "b"], "revoked": 0}),
        );
        assert_eq!(shown, "T config.reloaded  applied=a,b revoked=0");
        let shown = line(
            &json!({"id": 7, "time": "T", "level": "warn", "text": "it fails", "fields": {"path": "live/x"}}),
        );
        assert_eq!(shown, "T  WARN it fails path=live/x");
    }
}
