//! `floodtide ctl` on a running server: broadcasts, sessions, the node, its configuration.

use super::client::{Client, element};
use super::{Place, follow, say, stage};
use crate::table::table;
use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// How the server fares, and what is live.
    Status,
    /// Everything that is live.
    Broadcasts,
    /// One broadcast: tracks, health, sessions.
    Broadcast {
        /// As in the list.
        path: String,
    },
    /// Who publishes and who watches.
    Sessions(Sessions),
    /// End sessions by id. A publisher may come back; its broadcast waits as long as publish.grace says.
    Kick {
        /// From the list of sessions.
        #[arg(required = true)]
        ids: Vec<String>,
    },
    /// End a broadcast at once, without grace.
    End {
        /// As in the list.
        path: String,
    },
    /// Let the next publisher take a broadcast over within 60 s, whatever publish.collision says; viewers stay.
    Takeover {
        /// As in the list.
        path: String,
    },
    /// The server: CPU, memory, descriptors, egress workers.
    Node,
    /// Broadcasts that are pushed to other servers.
    Restreams,
    /// Broadcasts that are fetched from other servers.
    Pulls,
    /// Co-hosts: who is on which stage, invited, muted.
    #[command(subcommand)]
    Stage(stage::Command),
    /// Matches ("PK"): two broadcasts that show each other for a while.
    #[command(subcommand)]
    Match(stage::MatchCommand),
    /// What happened lately: sessions, broadcasts, health, reloads.
    Events(follow::Options),
    /// The newest lines of the log.
    Logs(follow::LogOptions),
    /// The configuration that the running server has, without secrets.
    #[command(subcommand)]
    Config(Config),
    /// Read the configuration again.
    Reload,
    /// The description of the API, OpenAPI 3.1.
    Openapi,
}

#[derive(Debug, Subcommand)]
pub(super) enum Config {
    /// Show it as TOML.
    Show,
}

#[derive(Debug, Args)]
pub(super) struct Sessions {
    /// publisher or viewer.
    #[arg(long)]
    role: Option<String>,
    /// Only those of this broadcast.
    #[arg(long)]
    path: Option<String>,
    /// rtmp, flv, ws-flv or hls.
    #[arg(long)]
    protocol: Option<String>,
    /// How many at most; of those that are over, 1000 are kept.
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// Those that are over, newest first, with the reason.
    #[arg(long, conflicts_with_all = ["role", "path", "protocol"])]
    ended: bool,
}

pub(super) async fn run(place: &Place, client: &Client, command: &Command) -> Result<()> {
    match command {
        Command::Status => {
            let (node, broadcasts) = (client.get("/v1/node").await?, broadcasts(client).await?);
            place.show(&json!({ "node": node, "broadcasts": broadcasts }), |_| {
                format!("{}\n\n{}", node_text(&node), broadcasts_text(&broadcasts))
            })
        }
        Command::Broadcasts => place.show(&broadcasts(client).await?, broadcasts_text),
        Command::Broadcast { path } => place.show(&client.get(&broadcast(path)).await?, broadcast_text),
        Command::Sessions(which) if which.ended => {
            place.show(&client.get(&format!("/v1/sessions/ended?limit={}", which.limit)).await?, ended_text)
        }
        Command::Sessions(which) => place.show(&which.list(client).await?, sessions_text),
        Command::Kick { ids } => kick(place, client, ids).await,
        Command::End { path } => {
            client.delete(&broadcast(path)).await?;
            place.done(&format!("{path} is over"), &json!({ "ended": path }))
        }
        Command::Takeover { path } => {
            client.post(&format!("{}/takeover", broadcast(path)), String::new()).await?;
            let said = format!("the next publisher of {path} takes it over, within 60 s");
            place.done(&said, &json!({ "open": path }))
        }
        Command::Node => place.show(&client.get("/v1/node").await?, node_text),
        Command::Restreams => place.show(&client.get("/v1/restreams").await?, outward_text),
        Command::Pulls => place.show(&client.get("/v1/pulls").await?, outward_text),
        Command::Stage(command) => stage::run(place, client, command).await,
        Command::Match(command) => stage::run_match(place, client, command).await,
        Command::Events(options) => follow::events(place, client, options).await,
        Command::Logs(options) => follow::logs(place, client, options).await,
        Command::Config(Config::Show) => {
            let as_toml = |tree: &Value| toml::to_string(tree).unwrap_or_else(|_| format!("{tree:#}"));
            place.show(&client.get("/v1/config").await?, |tree| as_toml(&without_nulls(tree)))
        }
        Command::Reload => place.show(&client.post("/v1/config/reload", String::new()).await?, reloaded_text),
        Command::Openapi => say(&format!("{:#}", client.get("/v1/openapi.json").await?)),
    }
}

/// Ends them all; one that is over already doesn't save the others.
async fn kick(place: &Place, client: &Client, ids: &[String]) -> Result<()> {
    let (mut kicked, mut failed) = (Vec::new(), Vec::new());
    for id in ids {
        match client.delete(&format!("/v1/sessions/{}", element(id))).await {
            Ok(_) => kicked.push(id.as_str()),
            Err(error) => failed.push(format!("{id}: {error:#}")),
        }
    }
    if !kicked.is_empty() {
        place.done(&format!("within a second ends {}", kicked.join(", ")), &json!({ "kicked": kicked }))?;
    }
    if failed.is_empty() { Ok(()) } else { bail!("{}", failed.join("\n")) }
}

/// What one answer of the API lists at most.
const PAGE: usize = 1000;

/// All of them, however many.
async fn broadcasts(client: &Client) -> Result<Value> {
    let mut all: Vec<Value> = Vec::new();
    loop {
        let after = all.last().map(|b| format!("&after={}", element(&text(&b["path"])))).unwrap_or_default();
        let page = client.get(&format!("/v1/broadcasts?history=false&limit={PAGE}{after}")).await?;
        let page = page.as_array().cloned().unwrap_or_default();
        let is_last = page.len() < PAGE;
        all.extend(page);
        if is_last {
            return Ok(all.into());
        }
    }
}

fn broadcast(path: &str) -> String {
    format!("/v1/broadcasts/{}", element(path))
}

impl Sessions {
    /// Page after page, until there are no more or enough.
    async fn list(&self, client: &Client) -> Result<Value> {
        let limit = self.limit as usize;
        let mut all: Vec<Value> = Vec::new();
        loop {
            // One more than is wanted tells whether there are more.
            let count = (limit + 1 - all.len()).min(PAGE);
            let page = client.get(&self.target(count, all.last())).await?;
            let page = page.as_array().cloned().unwrap_or_default();
            let is_last = page.len() < count;
            all.extend(page);
            if all.len() > limit {
                all.truncate(limit);
                eprintln!("there are more than {limit}: --limit shows them");
                return Ok(all.into());
            }
            if is_last {
                return Ok(all.into());
            }
        }
    }

    /// The next `count` after `last`.
    fn target(&self, count: usize, last: Option<&Value>) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("limit", &count.to_string());
        if let Some(last) = last {
            query.append_pair("after", &text(&last["id"]));
        }
        for (name, value) in [("role", &self.role), ("path", &self.path), ("protocol", &self.protocol)] {
            if let Some(value) = value {
                query.append_pair(name, value);
            }
        }
        format!("/v1/sessions?{}", query.finish())
    }
}

/// How a column shows an item.
pub(super) type Cell = fn(&Value) -> String;

/// A row per item: the heads of columns, the field that each shows (all of the item if it is ""), and how.
pub(super) fn listing<const COLUMNS: usize>(all: &Value, columns: [(&str, &str, Cell); COLUMNS]) -> String {
    let row =
        |item: &Value| columns.map(|(_, field, cell)| cell(item.pointer(field).unwrap_or(&Value::Null)));
    table(columns.map(|(head, ..)| head), &items(all).map(row).collect::<Vec<_>>())
}

fn broadcasts_text(all: &Value) -> String {
    if items(all).next().is_none() {
        return "nothing is live".to_owned();
    }
    let state: Cell = |live| if live == true { "live" } else { "waiting" }.to_owned();
    listing(
        all,
        [
            ("PATH", "/path", text),
            ("STATE", "/live", state),
            ("AGE", "/age_s", age),
            ("VIEWERS", "/viewers", text),
            ("IN", "/ingest/kbit_s", rate),
            ("OUT", "/egress/kbit_s", rate),
            ("MEDIA", "", media),
            ("HEALTH", "/health/status", text),
        ],
    )
}

fn broadcast_text(b: &Value) -> String {
    let mut out = broadcasts_text(&json!([b]));
    for advice in items(&b["health"]["advice"]) {
        out += &format!("\n\n{}: {}", text(&advice["severity"]), text(&advice["text"]));
    }
    let sessions: Vec<Value> = items(&json!([b["publisher"]]))
        .filter(|p| !p.is_null())
        .chain(items(&b["sessions"]))
        .cloned()
        .collect();
    if !sessions.is_empty() {
        out += &format!("\n\n{}", sessions_text(&sessions.into()));
    }
    out
}

fn sessions_text(all: &Value) -> String {
    if items(all).next().is_none() {
        return "nobody is connected".to_owned();
    }
    listing(
        all,
        [
            ("ID", "/id", text),
            ("ROLE", "/role", text),
            ("PROTOCOL", "/protocol", text),
            ("PATH", "/path", text),
            ("PEER", "/peer", text),
            ("AGE", "/age_s", age),
            ("BYTES", "/bytes", size),
            ("USER", "/user", text),
            ("AGENT", "/user_agent", text),
        ],
    )
}

fn ended_text(all: &Value) -> String {
    listing(
        all,
        [
            ("ID", "/id", text),
            ("ROLE", "/role", text),
            ("PROTOCOL", "/protocol", text),
            ("PATH", "/path", text),
            ("LASTED", "/duration_s", age),
            ("BYTES", "/bytes", size),
            ("REASON", "/reason_text", text),
        ],
    )
}

fn outward_text(all: &Value) -> String {
    listing(
        all,
        [
            ("ID", "/id", text),
            ("PATH", "/path", text),
            ("REMOTE", "/remote", text),
            ("STATE", "/state", text),
            ("ATTEMPTS", "/attempts", text),
            ("BYTES", "/bytes", size),
            ("LAST ERROR", "/last_error", text),
        ],
    )
}

fn node_text(node: &Value) -> String {
    let (cpu, egress) = (&node["cpu"], &node["egress"]);
    let mut lines = vec![
        format!("version      {}, {}", text(&node["version"]), text(&node["phase"])),
        format!("up for       {}", age(&node["uptime_s"])),
        format!("cpu          {} of {} cores", percent(&cpu["busy"]), text(&cpu["cores"])),
        format!("memory       {}", size(&node["memory"]["rss"])),
        format!(
            "descriptors  {} of {}",
            text(&node["descriptors"]["open"]),
            text(&node["descriptors"]["max"])
        ),
        format!(
            "in           {} from {} publishers",
            rate(&node["ingest"]["kbit_s"]),
            text(&node["ingest"]["publishers"])
        ),
        format!("out          {} to {} viewers", rate(&egress["kbit_s"]), text(&egress["viewers"])),
    ];
    for (number, worker) in items(&egress["workers"]).enumerate() {
        lines.push(format!(
            "worker {number:<5} {} busy, {} viewers, window {} ms, queue {}",
            percent(&worker["busy"]),
            text(&worker["viewers"]),
            text(&worker["window_ms"]),
            size(&worker["queue_bytes"])
        ));
    }
    lines.join("\n")
}

fn reloaded_text(reloaded: &Value) -> String {
    let list = |keys: &Value| items(keys).map(text).collect::<Vec<_>>().join(", ");
    let (applied, restart) = (list(&reloaded["applied"]), list(&reloaded["needs_restart"]));
    let mut lines =
        vec![if applied.is_empty() { "nothing changed".into() } else { format!("applied: {applied}") }];
    if !restart.is_empty() {
        lines.push(format!("needs a restart: {restart}"));
    }
    if let Some(revoked @ 1..) = reloaded["revoked"].as_u64() {
        lines.push(format!("{revoked} sessions end: the new rules don't allow them"));
    }
    lines.join("\n")
}

/// TOML has no null.
fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let kept = map.iter().filter(|(_, v)| !v.is_null());
            kept.map(|(k, v)| (k.clone(), without_nulls(v))).collect::<serde_json::Map<_, _>>().into()
        }
        Value::Array(all) => all.iter().map(without_nulls).collect::<Vec<_>>().into(),
        other => other.clone(),
    }
}

pub(super) fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

/// A value as a person reads it. What strangers sent must not steer the terminal.
pub(super) fn text(value: &Value) -> String {
    let shown = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.chars().map(shown).collect(),
        other => other.to_string(),
    }
}

fn media(b: &Value) -> String {
    let video = &b["video"];
    let video = match (video["width"].as_u64(), video["height"].as_u64()) {
        _ if video.is_null() => None,
        (Some(width), Some(height)) => Some(format!("{} {width}x{height}", text(&video["codec"]))),
        _ => Some(text(&video["codec"])),
    };
    let audio = (!b["audio"].is_null()).then(|| text(&b["audio"]["codec"]));
    video.into_iter().chain(audio).collect::<Vec<_>>().join(", ")
}

fn age(seconds: &Value) -> String {
    let whole = std::time::Duration::from_secs(seconds.as_f64().unwrap_or_default() as u64);
    humantime::format_duration(whole).to_string()
}

fn rate(kbit_s: &Value) -> String {
    match kbit_s.as_f64().unwrap_or_default() {
        rate if rate >= 10_000.0 => format!("{:.1} Mbit/s", rate / 1000.0),
        rate => format!("{rate:.0} kbit/s"),
    }
}

fn size(bytes: &Value) -> String {
    match bytes.as_f64().unwrap_or_default() {
        bytes if bytes >= 1e9 => format!("{:.1} GB", bytes / 1e9),
        bytes if bytes >= 1e6 => format!("{:.1} MB", bytes / 1e6),
        bytes => format!("{:.0} kB", bytes / 1e3),
    }
}

fn percent(share: &Value) -> String {
    format!("{:.0} %", share.as_f64().unwrap_or_default() * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broadcast_is_one_row_and_its_advice_a_sentence() {
        let b = json!({
            "path": "live/x", "live": true, "age_s": 61.4, "viewers": 3, "ingest": {"kbit_s": 812.3},
            "egress": {"kbit_s": 24_000.0}, "video": {"codec": "h264", "width": 640, "height": 360},
            "audio": {"codec": "aac"}, "publisher": null, "sessions": [],
            "health": {"status": "warning", "advice": [{"severity": "warning", "text": "Keyframes are rare."}]}
        });
        let shown = broadcast_text(&b);
        assert_eq!(
            shown,
            "PATH    STATE  AGE    VIEWERS  IN          OUT          MEDIA              HEALTH\n\
             live/x  live   1m 1s  3        812 kbit/s  24.0 Mbit/s  h264 640x360, aac  warning\n\n\
             warning: Keyframes are rare."
        );
        assert_eq!(broadcasts_text(&json!([])), "nothing is live");
    }

    #[test]
    fn what_strangers_sent_does_not_steer_the_terminal() {
        assert_eq!(text(&json!("a\u{1b}[2Jb\nc\u{9b}é")), "a\\u{1b}[2Jb\\nc\\u{9b}é");
    }

    #[test]
    fn a_reload_tells_what_it_did() {
        let shown =
            reloaded_text(&json!({"applied": ["log.level"], "needs_restart": ["http.listen"], "revoked": 2}));
        assert_eq!(
            shown,
            "applied: log.level\nneeds a restart: http.listen\n2 sessions end: the new rules don't allow them"
        );
        assert_eq!(
            reloaded_text(&json!({"applied": [], "needs_restart": [], "revoked": 0})),
            "nothing changed"
        );
    }
}
