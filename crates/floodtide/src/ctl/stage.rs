//! `floodtide ctl stage` and `floodtide ctl match`: co-hosts, and two broadcasts that show each other.

use super::client::{Client, element};
use super::online::{items, listing, text};
use super::{Place, Ttl};
use anyhow::Result;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// All stages.
    List,
    /// One stage: its members, and what the audience is shown.
    Show {
        /// As in the list.
        path: String,
    },
    /// Open a stage. Its members publish below its path.
    Open {
        /// As of a broadcast: live/talk.
        path: String,
        /// What its page shows.
        #[arg(long, default_value = "")]
        title: String,
    },
    /// Invite somebody; the invitation is shown once.
    Invite {
        /// As in the list.
        path: String,
        /// What the guest is called on the stage.
        name: String,
        /// How long the invitation holds; as stage.invitation says if not said.
        #[arg(long)]
        ttl: Option<Ttl>,
    },
    /// Turn a member's sound or picture off for everybody.
    Mute(Which),
    /// Turn it on again.
    Unmute(Which),
    /// Choose what the audience is shown, in this order; without names, everybody who is on the stage.
    Layout {
        /// As in the list.
        path: String,
        /// Members.
        names: Vec<String>,
    },
    /// Remove a member, or take an invitation back.
    Remove {
        /// As in the list.
        path: String,
        /// As on the stage.
        name: String,
    },
    /// End a stage.
    End {
        /// As in the list.
        path: String,
    },
}

#[derive(Debug, Args)]
pub(super) struct Which {
    /// As in the list.
    path: String,
    /// As on the stage.
    name: String,
    /// The sound; this is what is meant if neither is said.
    #[arg(long)]
    audio: bool,
    /// The picture.
    #[arg(long)]
    video: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum MatchCommand {
    /// All matches.
    List,
    /// Begin a match: whoever watches one sees the other, too.
    Begin {
        /// A broadcast or a stage.
        one: String,
        /// Another one.
        other: String,
        /// How long it lasts.
        #[arg(long = "for", value_name = "TIME", default_value = "5m")]
        length: Ttl,
    },
    /// End a match before its time.
    End {
        /// From the list.
        id: u64,
    },
}

pub(super) async fn run(place: &Place, client: &Client, command: &Command) -> Result<()> {
    match command {
        Command::List => place.show(&client.get("/v1/stages").await?, stages_text),
        Command::Show { path } => place.show(&client.get(&stage(path)).await?, stage_text),
        Command::Open { path, title } => {
            let opened = client.post_json("/v1/stages", &json!({ "path": path, "title": title })).await?;
            place.show(&opened, |_| {
                format!("{path} is open: invite its members by floodtide ctl stage invite")
            })
        }
        Command::Invite { path, name, ttl } => {
            let wish = json!({ "name": name, "ttl_s": ttl.map(|ttl| ttl.0.as_secs()) });
            let made = client.post_json(&format!("{}/members", stage(path)), &wish).await?;
            place.show(&made, invitation_text)
        }
        Command::Mute(which) => which.set(place, client, true).await,
        Command::Unmute(which) => which.set(place, client, false).await,
        Command::Layout { path, names } => {
            let layout = if names.is_empty() { Value::Null } else { json!(names) };
            let changed = client.patch_json(&stage(path), &json!({ "layout": layout })).await?;
            place.show(&changed, stage_text)
        }
        Command::Remove { path, name } => {
            client.delete(&member(path, name)).await?;
            place.done(&format!("{name} is gone from {path}"), &json!({ "removed": name }))
        }
        Command::End { path } => {
            client.delete(&stage(path)).await?;
            place.done(&format!("{path} is over"), &json!({ "ended": path }))
        }
    }
}

pub(super) async fn run_match(place: &Place, client: &Client, command: &MatchCommand) -> Result<()> {
    match command {
        MatchCommand::List => place.show(&client.get("/v1/matches").await?, matches_text),
        MatchCommand::Begin { one, other, length } => {
            let wish = json!({ "between": [one, other], "length_s": length.0.as_secs() });
            let begun = client.post_json("/v1/matches", &wish).await?;
            place.show(&begun, |begun| matches_text(&json!([begun])))
        }
        MatchCommand::End { id } => {
            client.delete(&format!("/v1/matches/{id}")).await?;
            place.done(&format!("match {id} is over"), &json!({ "ended": id }))
        }
    }
}

fn stage(path: &str) -> String {
    format!("/v1/stages/{}", element(path))
}

fn member(path: &str, name: &str) -> String {
    format!("{}/members/{}", stage(path), element(name))
}

impl Which {
    async fn set(&self, place: &Place, client: &Client, muted: bool) -> Result<()> {
        let mut wish = serde_json::Map::new();
        if self.audio || !self.video {
            wish.insert("audio_muted".to_owned(), muted.into());
        }
        if self.video {
            wish.insert("video_muted".to_owned(), muted.into());
        }
        place.show(&client.patch_json(&member(&self.path, &self.name), &wish.into()).await?, stage_text)
    }
}

fn stages_text(all: &Value) -> String {
    if items(all).next().is_none() {
        return "there is no stage".to_owned();
    }
    listing(
        all,
        [
            ("PATH", "/path", text),
            ("TITLE", "/title", text),
            ("SHOWN", "/layout", names),
            ("MEMBERS", "/members", |members| items(members).count().to_string()),
            ("MATCH", "/match", text),
            ("SINCE", "/began", text),
        ],
    )
}

fn stage_text(stage: &Value) -> String {
    let yes = |value: &Value| if value == true { "yes" } else { "no" }.to_owned();
    let members = listing(
        &stage["members"],
        [
            ("NAME", "/name", text),
            ("STATE", "/state", text),
            ("PUBLISHES", "/publishes", yes),
            ("SOUND OFF", "/audio_muted", yes),
            ("PICTURE OFF", "/video_muted", yes),
            ("UNTIL", "/until", text),
        ],
    );
    format!("{}\n\n{members}", stages_text(&json!([stage])))
}

fn invitation_text(made: &Value) -> String {
    format!(
        "{} is invited until {}. The page, behind the address of your public listener:\n\n{}",
        text(&made["name"]),
        text(&made["expires"]),
        text(&made["page"])
    )
}

fn matches_text(all: &Value) -> String {
    if items(all).next().is_none() {
        return "there is no match".to_owned();
    }
    listing(
        all,
        [
            ("ID", "/id", text),
            ("BETWEEN", "/between", names),
            ("BEGAN", "/began", text),
            ("ENDS", "/ends", text),
        ],
    )
}

fn names(all: &Value) -> String {
    let names: Vec<String> = items(all).map(text).collect();
    if names.is_empty() { "-".to_owned() } else { names.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_is_a_row_and_its_members_a_table() {
        let shown = stage_text(&json!({
            "path": "live/talk", "title": "Talk", "layout": ["bob", "alice"], "began": "B", "match": null,
            "members": [{ "name": "alice", "state": "on_stage", "publishes": true, "audio_muted": true, "video_muted": false, "until": "U" }],
        }));
        let lines: Vec<Vec<&str>> = shown.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines[1], ["live/talk", "Talk", "bob,", "alice", "1", "-", "B"]);
        assert_eq!(lines[4], ["alice", "on_stage", "yes", "yes", "no", "U"]);
        assert_eq!(stages_text(&json!([])), "there is no stage");
    }
}
