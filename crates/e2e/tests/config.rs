//! `floodtide config`: what is wrong in a file, what holds, what a change would do.

use anyhow::{Context, Result, ensure};
use e2e::wait::{Look, until};
use e2e::{Finished, Folder, Server, Tool, project};
use std::path::PathBuf;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(20);

fn file(folder: &Folder, name: &str, toml: &str) -> Result<PathBuf> {
    let file = folder.file(name);
    std::fs::write(&file, toml)?;
    Ok(file)
}

fn config(folder: &Folder, words: &str) -> Tool {
    // Keys of another server on this machine don't count.
    Tool::floodtide().words("config").words(words).env("FLOODTIDE_STATE__FOLDER", folder.file("state"))
}

#[track_caller]
fn has(done: &Finished, parts: &[&str]) -> Result<()> {
    for part in parts {
        ensure!(done.text().contains(part), "{part:?} is missing in:\n{done}");
    }
    Ok(())
}

#[test]
fn every_mistake_is_told_at_once_with_line_and_key_and_what_was_meant() -> Result<()> {
    let folder = Folder::new()?;
    let wrong =
        file(&folder, "wrong.toml", "[http]\nlistem = 'x'\n[publish]\ngrace = 10\n[hls]\npart = '1x'\n")?;
    let done = config(&folder, "check").arg(&wrong).run(LIMIT)?;
    ensure!(done.status.code() == Some(1), "{done}");
    has(
        &done,
        &[
            "wrong.toml: line 2: http.listem: unknown field `listem`",
            "did you mean `listen`?",
            "line 4: publish.grace: invalid type: integer `10`",
            "write it as in grace = \"10s\"",
            "line 6: hls.part: \"1x\" is no length of time",
        ],
    )?;
    let json = config(&folder, "check --json").arg(&wrong).run(LIMIT)?.json()?;
    ensure!(json["errors"].as_array().is_some_and(|errors| errors.len() == 3), "{json}");
    Ok(())
}

#[test]
fn what_would_not_start_is_an_error_and_what_is_hardly_meant_a_warning() -> Result<()> {
    let folder = Folder::new()?;
    let busy = file(&folder, "twice.toml", "[http]\nlisten = '0.0.0.0:1935'\n")?;
    let done = config(&folder, "check").arg(&busy).run(LIMIT)?;
    ensure!(done.status.code() == Some(1), "{done}");
    has(&done, &["error: http.listen is 0.0.0.0:1935, but rtmp.listen", "warning: nobody can publish"])?;
    let torn = file(
        &folder,
        "torn.toml",
        "[tls]\ncertificate = '/nonexistent/c.pem'\nkey = '/nonexistent/k.pem'\n",
    )?;
    let done = config(&folder, "check").arg(&torn).run(LIMIT)?;
    ensure!(done.status.code() == Some(1), "{done}");
    has(&done, &["can't read the certificate /nonexistent/c.pem"])?;
    let told = "[publish]\nstream_key = 'long enough'\n[webhook]\nrecord = ['https://site.example/x']\n";
    let done = config(&folder, "check").arg(&file(&folder, "record.toml", told)?).succeed(LIMIT)?;
    has(&done, &["warning: webhook.record is told nothing: this version makes no recordings"])?;
    let open = file(&folder, "open.toml", "[publish]\nstream_key = 'long enough'\n")?;
    Tool::new("chmod").arg("644").arg(&open).succeed(LIMIT)?;
    let done = config(&folder, "check").arg(&open).succeed(LIMIT)?;
    has(&done, &["every user of this machine can read it: chmod 640", "open.toml is good"])
}

#[test]
fn the_sample_file_is_good() -> Result<()> {
    let folder = Folder::new()?;
    let sample = project().join("deploy/floodtide.toml");
    let done = config(&folder, "check").arg(sample).succeed(LIMIT)?;
    has(&done, &["warning: nobody can publish"])
}

#[test]
fn each_value_is_shown_with_its_origin_and_no_secret_unless_asked() -> Result<()> {
    let folder = Folder::new()?;
    let toml = "[publish]\nstream_key = 'hunter22'\n[[publish.key]]\nid = 'a'\nsecret = 'swordfish'\npath = 'live/*'\n";
    let file = file(&folder, "floodtide.toml", toml)?;
    let show = |more: &str| {
        let tool = config(&folder, "show").words(more).arg("--config").arg(&file);
        tool.env("FLOODTIDE_HTTP__LISTEN", "127.0.0.1:81").succeed(LIMIT)
    };
    let shown = show("")?;
    has(
        &shown,
        &[
            "listen = \"127.0.0.1:81\"  # environment FLOODTIDE_HTTP__LISTEN",
            "stream_key = \"********\"  # file",
            "grace = \"10s\"  # default",
            "[[publish.key]]  # file",
        ],
    )?;
    ensure!(!shown.text().contains("hunter22") && !shown.text().contains("swordfish"), "{shown}");
    has(&show("--secrets")?, &["hunter22", "swordfish"])?;
    let changed = show("--changed --json")?.json()?;
    let keys: Vec<_> =
        changed.as_array().into_iter().flatten().filter_map(|one| one["key"].as_str()).collect();
    ensure!(keys == ["http.listen", "publish.key", "publish.stream_key", "state.folder"], "{changed}");
    Ok(())
}

/// What is shown is a configuration: shown again it is the same.
#[test]
fn what_is_shown_can_be_used_as_a_file() -> Result<()> {
    let folder = Folder::new()?;
    let first = config(&folder, "show --secrets").succeed(LIMIT)?.text();
    let shown = file(&folder, "shown.toml", &first)?;
    let again = config(&folder, "show --secrets --config").arg(&shown).succeed(LIMIT)?.text();
    let bare = |text: &str| {
        text.lines().map(|line| line.split("  # ").next().map(str::to_owned)).collect::<Vec<_>>()
    };
    ensure!(bare(&first) == bare(&again), "{first}\n--\n{again}");
    Ok(())
}

#[test]
fn the_difference_says_what_a_reload_then_does() -> Result<()> {
    let server = Server::serve("[publish]\nstream_key = 'old-key-1'\n")?;
    let next = "[publish]\nstream_key = 'new-key-1'\n[hls]\npart = '333ms'\n";
    let folder = Folder::new()?;
    let new = file(&folder, "new.toml", next)?;
    let diff = |more: &str| {
        config(&folder, "diff").words(more).arg(server.file("floodtide.toml")).arg(&new).succeed(LIMIT)
    };
    has(
        &diff("")?,
        &[
            "hls.part: \"500ms\" -> \"333ms\"  (needs a restart)",
            "publish.stream_key: \"********\" -> \"********\"\n",
        ],
    )?;
    let changes = diff("--json")?.json()?;
    server.configure(next)?;
    let log = until(LIMIT, "the server reloads", || {
        let log = server.log();
        Ok(if log.contains("after a restart") { Look::Found(log) } else { Look::NotYet(log) })
    })?;
    let line =
        |said: &str| log.lines().find(|line| line.contains(said)).context("no such line").map(str::to_owned);
    let (applied, waits) = (line("configuration reloaded")?, line("after a restart")?);
    for change in changes.as_array().context("no list")? {
        let key = change["key"].as_str().context("no key")?;
        let said = if change["needs_restart"] == true { &waits } else { &applied };
        ensure!(said.contains(key), "{key} is not in {said:?}");
    }
    Ok(())
}

/// The running server runs with a file, an environment and flags; only the file is compared, and secrets are told by stars.
#[test]
fn a_file_is_compared_with_what_the_running_server_has() -> Result<()> {
    let began = "[publish]\nstream_key = 'old-key-1'\ngrace = '20s'\n";
    let server = Server::serve_with(began, &[("FLOODTIDE_PUBLISH__COLLISION", "takeover")])?;
    let url = format!("http://127.0.0.1:{}", server.ports.admin);
    let folder = Folder::new()?;
    let diff = |more: &str| config(&folder, "diff --server --url").arg(&url).words(more);
    has(&diff("").succeed(LIMIT)?, &["nothing differs"])?;
    let next =
        "[publish]\nstream_key = 'new-key-1'\ncollision = 'reject'\ngrace = '20s'\n[hls]\npart = '333ms'\n";
    let new = file(&folder, "new.toml", next)?;
    let told = diff("").arg(&new).succeed(LIMIT)?;
    let expect = "hls.part: \"500ms\" -> \"333ms\"  (needs a restart)\n\
                  publish.stream_key: \"********\" -> \"********\"\n";
    ensure!(told.text() == expect, "{told}");
    let unchanged = file(&folder, "unchanged.toml", began)?;
    has(&diff("").arg(&unchanged).succeed(LIMIT)?, &["nothing differs"])?;
    // What waits for a restart differs until then; what holds already doesn't.
    server.configure(next)?;
    until(LIMIT, "the server reloads", || {
        let log = server.log();
        Ok(if log.contains("after a restart") { Look::Found(()) } else { Look::NotYet(log) })
    })?;
    let left = diff("--json").succeed(LIMIT)?.json()?;
    let expect =
        serde_json::json!([{ "key": "hls.part", "from": "500ms", "to": "333ms", "needs_restart": true }]);
    ensure!(left == expect, "{left}");
    Ok(())
}

#[test]
fn who_compares_a_bad_file_or_with_no_server_is_told_why() -> Result<()> {
    let server = Server::serve("")?;
    let url = format!("http://127.0.0.1:{}", server.ports.admin);
    let folder = Folder::new()?;
    let bad = file(&folder, "bad.toml", "[publish]\ngrace = 10\n")?;
    let fails = |tool: Tool, parts: &[&str]| {
        let done = tool.run(LIMIT)?;
        ensure!(done.status.code() == Some(1), "{done}");
        for part in parts {
            ensure!(done.log.contains(part), "{part:?} is missing in:\n{done}");
        }
        anyhow::Ok(())
    };
    let diff = || config(&folder, "diff --server --url").arg(&url);
    fails(diff().arg(&bad), &["bad.toml: line 2: publish.grace"])?;
    server.configure("[publish]\ngrace = 10\n")?;
    fails(diff(), &["floodtide.toml: line 2: publish.grace"])?;
    fails(config(&folder, "diff --server --url http://127.0.0.1:1"), &["no server answers at", "--url"])?;
    let neither = config(&folder, "diff").run(LIMIT)?;
    ensure!(neither.status.code() == Some(2) && neither.log.contains("FILE"), "{neither}");
    Ok(())
}
