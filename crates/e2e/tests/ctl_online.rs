//! `floodtide ctl` on a running server.

use anyhow::{Context, Result, ensure};
use e2e::wait::{Look, until};
use e2e::{Finished, Folder, Publisher, Running, Server, Tool, Viewer, clips};
use serde_json::Value;
use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(20);
const TOKEN: &str = "a-token-of-an-administrator-with-many-bytes";
const ONLOOKER: &str = "a-token-of-an-onlooker-which-is-as-long-too";

fn open() -> Result<Server> {
    Server::serve("[app.live]\nstream_key = 'key'\n")
}

/// A server that lets in by credential only.
fn guarded() -> Result<Server> {
    Server::serve(&format!(
        "[app.live]\nstream_key = 'key'\n\
         [[admin.token]]\nname = 'ops'\nrole = 'admin'\ntoken = '{TOKEN}'\n\
         [[admin.token]]\nname = 'onlooker'\nrole = 'viewer'\ntoken = '{ONLOOKER}'\n"
    ))
}

fn publish(server: &Server, name: &str) -> Result<Publisher> {
    let publisher = Publisher::start(server.ports.rtmp, &format!("{name}?key=key"), &clips::long()?)?;
    server.wait_live(&format!("live/{name}"))?;
    Ok(publisher)
}

fn at(url: &str, words: &str) -> Tool {
    Tool::floodtide().words("ctl --url").arg(url).words(words)
}

fn ctl(server: &Server, words: &str) -> Tool {
    at(&format!("http://127.0.0.1:{}", server.ports.admin), words)
}

fn table(server: &Server, words: &str) -> Result<String> {
    Ok(ctl(server, words).succeed(LIMIT)?.text())
}

fn json(server: &Server, words: &str) -> Result<Value> {
    ctl(server, words).words("--json").succeed(LIMIT)?.json()
}

/// It fails, and says all of this.
#[track_caller]
fn refused(done: &Finished, parts: &[&str]) -> Result<()> {
    ensure!(done.status.code() == Some(1), "{done}");
    ensure!(done.out.is_empty(), "an error stands in the output: {done}");
    has(&done.log, parts)
}

#[track_caller]
fn has(text: &str, parts: &[&str]) -> Result<()> {
    for part in parts {
        ensure!(text.contains(part), "{part:?} is missing in:\n{text}");
    }
    Ok(())
}

/// The id of the only session of this role.
fn session(server: &Server, role: &str) -> Result<String> {
    let all = json(server, &format!("sessions --role {role}"))?;
    ensure!(all.as_array().is_some_and(|all| all.len() == 1), "{all}");
    Ok(all[0]["id"].as_str().context("no id")?.to_owned())
}

/// Waits until it has printed this.
fn printed(running: &mut Running, part: &str) -> Result<String> {
    until(LIMIT, &format!("{part:?} is printed"), || {
        let text = running.text_so_far();
        ensure!(running.is_running()?, "it ended: {text}");
        Ok(if text.contains(part) { Look::Found(text) } else { Look::NotYet(text) })
    })
}

#[test]
fn what_is_live_is_shown_as_a_table_and_as_json() -> Result<()> {
    let server = open()?;
    has(&table(&server, "status")?, &["nothing is live"])?;
    has(&table(&server, "sessions")?, &["nobody is connected"])?;
    let _publisher = publish(&server, "x")?;
    let mut viewer = Viewer::open(&server, "/live/x.flv")?;
    viewer.one()?;
    let row = ["PATH", "live/x", "live", "h264 ", "aac"];
    has(&table(&server, "broadcasts")?, &row)?;
    has(&table(&server, "status")?, &[&row[..], &["version", "descriptors", "from 1 publishers"]].concat())?;
    has(&table(&server, "node")?, &["version", "up for", "memory", "worker 0"])?;
    has(&table(&server, "broadcast live/x")?, &["live/x", "publisher", "viewer", "flv", "rtmp"])?;
    has(&table(&server, "sessions")?, &["ID", "publisher", "viewer", "live/x", "127.0.0.1"])?;
    has(&table(&server, "sessions --role viewer --protocol flv --path live/x")?, &["viewer"])?;
    has(&table(&server, "sessions --role viewer --protocol hls")?, &["nobody is connected"])?;
    has(&table(&server, "restreams")?, &["REMOTE", "LAST ERROR"])?;
    has(&table(&server, "pulls")?, &["REMOTE", "LAST ERROR"])?;
    let status = json(&server, "status")?;
    ensure!(status["node"]["version"].is_string() && status["broadcasts"][0]["path"] == "live/x", "{status}");
    ensure!(json(&server, "broadcasts")?[0]["viewers"] == 1);
    ensure!(json(&server, "broadcast live/x")?["publisher"]["role"] == "publisher");
    ensure!(json(&server, "node")?["egress"]["viewers"] == 1);
    ensure!(json(&server, "sessions")?.as_array().is_some_and(|all| all.len() == 2));
    for list in ["restreams", "pulls"] {
        ensure!(json(&server, list)?.as_array().is_some_and(Vec::is_empty));
    }
    ensure!(json(&server, "openapi")?["openapi"].as_str().is_some_and(|v| v.starts_with("3.1")));
    Ok(())
}

#[test]
fn a_kicked_viewer_is_gone_and_the_list_of_those_that_are_over_says_why() -> Result<()> {
    let server = open()?;
    let _publisher = publish(&server, "x")?;
    let mut viewer = Viewer::open(&server, "/live/x.flv")?;
    viewer.one()?;
    let id = session(&server, "viewer")?;
    // One that isn't there doesn't save the other.
    let done = ctl(&server, &format!("kick ffff {id}")).run(LIMIT)?;
    ensure!(done.status.code() == Some(1), "{done}");
    has(&done.text(), &[&id])?;
    has(&done.log, &["ffff: there is no such session", "floodtide ctl sessions"])?;
    until(LIMIT, "the viewer is gone", || {
        Ok(if viewer.one()? { Look::NotYet("it still gets frames".to_owned()) } else { Look::Found(()) })
    })?;
    until(LIMIT, "the session is over", || {
        let ended = table(&server, "sessions --ended")?;
        Ok(if ended.contains(&id) { Look::Found(()) } else { Look::NotYet(ended) })
    })?;
    let ended = json(&server, "sessions --ended")?;
    ensure!(ended[0]["id"] == id.as_str() && ended[0]["reason"] == "kicked", "{ended}");
    has(
        &table(&server, "sessions --ended")?,
        &["REASON", &id, ended[0]["reason_text"].as_str().context("no text")?],
    )?;
    let publisher = session(&server, "publisher")?;
    ensure!(json(&server, &format!("kick {publisher}"))?["kicked"][0] == publisher.as_str());
    Ok(())
}

#[test]
fn an_ended_broadcast_is_over_at_once() -> Result<()> {
    let server = Server::serve("[app.live]\nstream_key = 'key'\n[publish]\ngrace = '60s'\n")?;
    let publisher = publish(&server, "x")?;
    has(&table(&server, "end live/x")?, &["live/x is over"])?;
    publisher.ended(LIMIT)?;
    has(&table(&server, "broadcasts")?, &["nothing is live"])?;
    let _again = publish(&server, "x")?;
    ensure!(json(&server, "end live/x")?["ended"] == "live/x");
    Ok(())
}

#[test]
fn a_takeover_lets_the_next_publisher_in_and_viewers_stay() -> Result<()> {
    let server = Server::serve("[app.live]\nstream_key = 'key'\n[publish]\ncollision = 'reject'\n")?;
    let first = publish(&server, "x")?;
    let mut viewer = Viewer::open(&server, "/live/x.flv")?;
    viewer.one()?;
    let clip = clips::long()?;
    Publisher::start(server.ports.rtmp, "x?key=key", &clip).expect_err("the path is occupied");
    has(&table(&server, "takeover live/x")?, &["the next publisher of live/x takes it over"])?;
    let second = Publisher::start(server.ports.rtmp, "x?key=key", &clip)?;
    first.ended(LIMIT)?;
    viewer.watch(Duration::from_secs(1))?;
    ensure!(second.failure().is_none(), "{:?}", second.failure());
    ensure!(json(&server, "takeover live/x")?["open"] == "live/x");
    Ok(())
}

#[test]
fn watched_events_are_printed_as_they_happen_also_behind_a_reload() -> Result<()> {
    let server = open()?;
    let mut watching = ctl(&server, "events --watch").start()?;
    let as_json = ctl(&server, "events --watch --json --types config").start()?;
    // A reload ends the answers, and both go on where they were.
    until(LIMIT, "both watch", || {
        server.configure("[app.live]\nstream_key = 'key'\n[publish]\ngrace = '11s'\n")?;
        table(&server, "reload")?;
        server.configure("[app.live]\nstream_key = 'key'\n")?;
        table(&server, "reload")?;
        let seen = [watching.text_so_far(), as_json.text_so_far()];
        let both = seen.iter().all(|text| text.contains("config.reloaded"));
        Ok(if both { Look::Found(()) } else { Look::NotYet(seen.concat()) })
    })?;
    let _publisher = publish(&server, "x")?;
    let shown = printed(&mut watching, "broadcast.began")?;
    has(&shown, &["session.began", "path=live/x", "role=publisher", "applied=publish.grace"])?;
    // Who began to watch between two of them has the later ones; none of those is lost behind a reload, and none comes twice.
    let ids = |events: &[Value]| events.iter().filter_map(|event| event["id"].as_u64()).collect::<Vec<_>>();
    let mut all = ids(json(&server, "events --types config --limit 1000")?.as_array().context("no list")?);
    all.sort_unstable();
    until(LIMIT, "every reload is printed once", || {
        // The last line may be half there.
        let lines = as_json.text_so_far();
        let seen = ids(&lines.lines().filter_map(|line| serde_json::from_str(line).ok()).collect::<Vec<_>>());
        let whole = seen.first().is_some_and(|first| all.iter().filter(|id| *id >= first).eq(&seen));
        Ok(if whole { Look::Found(()) } else { Look::NotYet(format!("{seen:?} of {all:?}")) })
    })?;
    for line in as_json.text_so_far().lines() {
        let event: Value = serde_json::from_str(line)?;
        ensure!(event["type"] == "config.reloaded", "{line}");
    }
    has(&table(&server, "events")?, &["broadcast.began", "path=live/x"])?;
    ensure!(json(&server, "events --types broadcast --limit 1")?[0]["type"] == "broadcast.began");
    Ok(())
}

#[test]
fn watched_lines_of_the_log_are_printed_as_they_come() -> Result<()> {
    let server = open()?;
    let mut watching = ctl(&server, "logs --watch").start()?;
    printed(&mut watching, "floodtide is ready")?;
    let _publisher = publish(&server, "x")?;
    has(&printed(&mut watching, "live/x")?, &["INFO"])?;
    has(&table(&server, "logs --limit 1000")?, &["floodtide is ready", "live/x"])?;
    let errors = json(&server, "logs --level error")?;
    ensure!(errors.as_array().is_some_and(Vec::is_empty), "{errors}");
    refused(&ctl(&server, "logs --level loud").run(LIMIT)?, &["loud", "warn"])?;
    refused(&ctl(&server, "logs --limit 100000").run(LIMIT)?, &["limit is 100000"])
}

#[test]
fn who_watches_a_server_that_goes_away_is_told() -> Result<()> {
    let server = open()?;
    let mut watching = ctl(&server, "logs --watch").start()?;
    printed(&mut watching, "floodtide is ready")?;
    let port = server.ports.admin;
    drop(server);
    let done = watching.finish(LIMIT)?;
    ensure!(done.status.code() == Some(1), "{done}");
    // It may be met in the moment of its end.
    has(&done.log, &[&format!("http://127.0.0.1:{port}"), "is it running"])
}

/// One answer of the API lists a thousand at most; here each lists what one is asked for.
#[test]
fn sessions_are_listed_however_many_and_what_is_left_out_is_said() -> Result<()> {
    const VIEWERS: usize = 1010;
    let server = Server::serve("[app.live]\nstream_key = 'key'\n[limits]\nconnections_per_address = 0\n")?;
    let _publisher = publish(&server, "x")?;
    let viewers = Tool::floodtide()
        .words(&format!("load view --quiet -n {VIEWERS} --ramp 2000 --duration 60s --url"))
        .arg(server.http("/live/x.flv"))
        .start()?;
    let list = |more: &str| ctl(&server, "sessions --role viewer --json").words(more).succeed(LIMIT);
    let count = |done: &Finished| -> Result<usize> { Ok(done.json()?.as_array().context("no list")?.len()) };
    until(LIMIT, "all viewers are listed", || {
        let seen = count(&list("--limit 5000")?)?;
        Ok(if seen == VIEWERS {
            Look::Found(())
        } else {
            Look::NotYet(format!("{seen}; {}", viewers.text_so_far()))
        })
    })?;
    let some = list("--limit 1005")?;
    ensure!(count(&some)? == 1005, "{some}");
    has(&some.log, &["there are more than 1005"])?;
    let all = list(&format!("--limit {VIEWERS}"))?;
    ensure!(count(&all)? == VIEWERS && all.log.is_empty(), "{}", all.log);
    Ok(())
}

/// A reader who has enough, such as `head`, is no error.
#[test]
fn who_reads_only_the_first_line_sees_no_panic() -> Result<()> {
    let server = open()?;
    let script = "\"$0\" ctl --url \"$1\" openapi | head -n 1; exit \"${PIPESTATUS[0]}\"";
    let url = format!("http://127.0.0.1:{}", server.ports.admin);
    let done = Tool::new("bash").arg("-c").arg(script).arg(Tool::floodtide_path()).arg(url).succeed(LIMIT)?;
    ensure!(done.log.is_empty() && done.text().lines().count() == 1, "{done}");
    Ok(())
}

#[test]
fn a_reload_says_what_holds_what_waits_and_what_is_wrong() -> Result<()> {
    let server = open()?;
    has(&table(&server, "reload")?, &["nothing changed"])?;
    server.configure("[app.live]\nstream_key = 'new'\n[hls]\npart = '333ms'\n")?;
    let reloaded = ctl(&server, "reload").succeed(LIMIT)?.text();
    // Whoever saw the changed file first: what waits is told each time.
    has(&reloaded, &["needs a restart: hls.part"])?;
    until(LIMIT, "the new key holds", || {
        let shown = table(&server, "events --types config")?;
        let said = shown.contains("applied=app.live.stream_key") || shown.contains("stream_key");
        Ok(if said { Look::Found(()) } else { Look::NotYet(shown) })
    })?;
    let shown = table(&server, "config show")?;
    has(&shown, &["part = \"500ms\"", "stream_key = \"********\""])?;
    let file = server.file("shown.toml");
    std::fs::write(&file, &shown)?;
    Tool::floodtide().words("config check").arg(&file).succeed(LIMIT)?;
    ensure!(json(&server, "config show")?["hls"]["part"] == "500ms");
    ensure!(json(&server, "reload")?["needs_restart"][0] == "hls.part");
    server.configure("[app.live]\nstream_key = 'new'\n[publish]\ngrace = 10\n")?;
    refused(
        &ctl(&server, "reload").run(LIMIT)?,
        &["floodtide.toml: line 4: publish.grace", "grace = \"10s\""],
    )?;
    server.configure("[app.live]\nstream_key = 'new'\ncolour = 'red'\n")?;
    refused(&ctl(&server, "reload").run(LIMIT)?, &["line 3: app.live.colour"])
}

#[test]
fn who_has_no_credential_or_a_wrong_one_is_told_what_to_do() -> Result<()> {
    let server = guarded()?;
    let folder = Folder::new()?;
    let file = |name: &str, text: &str| -> Result<_> {
        let file = folder.file(name);
        std::fs::write(&file, text)?;
        Ok(file)
    };
    let (good, looks) = (file("good", &format!("{TOKEN}\n"))?, file("looks", ONLOOKER)?);
    let (wrong, empty) = (file("wrong", "not-the-one")?, file("empty", "\n")?);
    let by = |words: &str, file: &Path| ctl(&server, words).arg("--token-file").arg(file);
    refused(
        &ctl(&server, "status").run(LIMIT)?,
        &["a credential is needed", "--token-file", "FLOODTIDE_CTL_TOKEN"],
    )?;
    refused(&by("status", &wrong).run(LIMIT)?, &["the credential is wrong", "--token-file"])?;
    refused(&by("status", &empty).run(LIMIT)?, &["holds no credential"])?;
    refused(&by("status", &folder.file("none")).run(LIMIT)?, &["can't read the credential", "none"])?;
    refused(&by("reload", &looks).run(LIMIT)?, &["this needs the role operator; yours is viewer"])?;
    by("status", &looks).succeed(LIMIT)?;
    by("reload", &good).succeed(LIMIT)?;
    ctl(&server, "node").env("FLOODTIDE_CTL_TOKEN", TOKEN).succeed(LIMIT)?;
    ctl(&server, "node").env("FLOODTIDE_CTL_TOKEN_FILE", &good).succeed(LIMIT)?;
    refused(&ctl(&server, "node").env("FLOODTIDE_CTL_TOKEN", "x").run(LIMIT)?, &["the credential is wrong"])
}

/// Everybody on a machine sees the arguments of all its programs.
#[test]
fn a_credential_is_never_an_argument() -> Result<()> {
    let server = guarded()?;
    let given = ctl(&server, "status --token").arg(TOKEN).run(LIMIT)?;
    ensure!(given.status.code() == Some(2) && given.log.contains("--token-file"), "{given}");
    let mut watching = ctl(&server, "logs --watch").env("FLOODTIDE_CTL_TOKEN", TOKEN).start()?;
    printed(&mut watching, "floodtide is ready")?;
    let seen = Tool::new("ps").words("-eo args").succeed(LIMIT)?.text();
    ensure!(seen.contains("logs --watch") && !seen.contains(TOKEN), "ps shows it");
    let shown = watching.text_so_far();
    ensure!(!shown.contains(TOKEN), "{shown}");
    Ok(())
}

#[test]
fn who_asks_for_what_is_not_there_is_told_where_to_look() -> Result<()> {
    let server = open()?;
    for words in ["broadcast live/none", "end live/none", "takeover live/none"] {
        let done = ctl(&server, words).run(LIMIT)?;
        refused(&done, &["live/none isn't live", "floodtide ctl broadcasts"])?;
    }
    refused(
        &ctl(&server, "broadcast nonsense").run(LIMIT)?,
        &["a path is app/name, both parts not empty\n"],
    )?;
    refused(&ctl(&server, "kick zzz").run(LIMIT)?, &["hexadecimal"])?;
    refused(&ctl(&server, "sessions --role king").run(LIMIT)?, &["king", "publisher", "viewer"])?;
    let free = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let nobody = at(&format!("http://{free}"), "status").run(LIMIT)?;
    refused(&nobody, &["no server answers at", &free.to_string(), "is it running", "--url"])?;
    let other_port = at(&server.http(""), "status").run(LIMIT)?;
    refused(&other_port, &["is it Floodtide's admin.listen?"])?;
    refused(&at("127.0.0.1:1", "status").run(LIMIT)?, &["no URL", "http://127.0.0.1:9080"])?;
    let unread = Tool::floodtide().words("ctl --config /nonexistent.toml status").run(LIMIT)?;
    refused(&unread, &["/nonexistent.toml", "--url"])
}

/// On the server's own machine, the server's own configuration says where it is.
#[test]
fn the_configuration_says_where_the_server_is() -> Result<()> {
    let server = open()?;
    let file = server.file("beside.toml");
    std::fs::write(&file, format!("[admin]\nlisten = '127.0.0.1:{}'\n", server.ports.admin))?;
    has(&Tool::floodtide().words("ctl status --config").arg(&file).succeed(LIMIT)?.text(), &["version"])
}
