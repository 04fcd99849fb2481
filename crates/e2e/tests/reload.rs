//! New settings for a running server.

use anyhow::{Result, ensure};
use e2e::http::fetch;
use e2e::wait::{Look, until};
use e2e::{Certificate, Folder, Publisher, Running, Server, Tool, Viewer, clips};
use serde_json::Value;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(20);
/// Two apps, each with a key of its own.
const TWO_KEYS: &str = "[app.live]\nstream_key = 'one'\n[app.other]\nstream_key = 'two'\n";

#[test]
fn a_new_key_ends_only_the_publisher_whose_key_is_gone() -> Result<()> {
    let server = Server::serve(TWO_KEYS)?;
    let clip = clips::h264_aac()?;
    let first = Publisher::start(server.ports.rtmp, "a?key=one", &clip)?;
    let second = Publisher::start(server.ports.rtmp, "other/b?key=two", &clip)?;
    server.wait_live("live/a")?;
    server.wait_live("other/b")?;
    let mut viewer = Viewer::open(&server, "/other/b.flv")?;
    server.configure(&TWO_KEYS.replace("'one'", "'three'"))?;
    first.ended(LIMIT)?;
    viewer.watch(Duration::from_secs(2))?;
    ensure!(second.failure().is_none(), "the other publisher ended: {:?}", second.failure());
    Publisher::start(server.ports.rtmp, "a?key=three", &clip)?;
    let refused = Publisher::start(server.ports.rtmp, "c?key=one", &clip).expect_err("the key is gone");
    ensure!(format!("{refused:#}").contains("the stream key is wrong"), "{refused:#}");
    Ok(())
}

#[test]
fn closing_an_app_ends_its_viewers_with_a_reason_and_nobody_else() -> Result<()> {
    let server = Server::serve(TWO_KEYS)?;
    let clip = clips::h264_aac()?;
    let _first = Publisher::start(server.ports.rtmp, "a?key=one", &clip)?;
    let _second = Publisher::start(server.ports.rtmp, "other/b?key=two", &clip)?;
    server.wait_live("live/a")?;
    server.wait_live("other/b")?;
    let (mut closed, mut open) =
        (Viewer::open(&server, "/live/a.flv")?, Viewer::open(&server, "/other/b.flv")?);
    server.configure(&TWO_KEYS.replace("'one'\n", "'one'\nplay = 'nobody'\n"))?;
    until(LIMIT, "the viewer of the closed app is ended", || {
        Ok(if closed.one()? { Look::NotYet("it still gets frames".to_owned()) } else { Look::Found(()) })
    })?;
    open.watch(Duration::from_secs(2))?;
    let answer = fetch(server.ports.http, "/live/a.flv", &[])?;
    ensure!(answer.status == 403 && answer.text()?.contains("nobody may play here"));
    Ok(())
}

#[test]
fn a_bad_file_is_refused_with_line_and_key_and_the_old_one_stays() -> Result<()> {
    let server = Server::serve(TWO_KEYS)?;
    server.configure("[publish]\nstream_key = 'x'\ncolision = 'reject'\n")?;
    until(LIMIT, "the log says what is wrong", || {
        let log = server.log();
        let said = log.contains("colision") && log.contains("line 3") && log.contains("the old one stays");
        Ok(if said { Look::Found(()) } else { Look::NotYet(log) })
    })?;
    Publisher::start(server.ports.rtmp, "a?key=one", &clips::h264_aac()?)?;
    Ok(())
}

#[test]
fn what_needs_a_restart_is_said_and_the_rest_is_applied_by_a_signal() -> Result<()> {
    let server = Server::serve("[publish]\nstream_key = 'old'\n")?;
    server.configure("[publish]\nstream_key = 'new'\n[hls]\npart = '333ms'\n")?;
    Tool::new("kill").words("-HUP").arg(server.pid().to_string()).succeed(LIMIT)?;
    until(LIMIT, "the log says what was done", || {
        let log = server.log();
        let said = log.contains("publish.stream_key") && log.contains("hls.part");
        Ok(if said { Look::Found(()) } else { Look::NotYet(log) })
    })?;
    Publisher::start(server.ports.rtmp, "a?key=new", &clips::h264_aac()?)?;
    Ok(())
}

/// 20 publishers and 1,000 viewers live through 50 new configurations, half of them by signal and half by the file's change;
/// a publisher whose key goes ends each time. A crowd stays for half a minute; the next one goes on where it left off, so that a slow
/// machine takes longer and proves the same.
#[test]
fn fifty_reloads_under_a_thousand_viewers_cut_nobody_whose_rule_did_not_change() -> Result<()> {
    let folder = Folder::new()?;
    let make = |file| Certificate::make(folder.path(), file, "localhost");
    let pair = [make("even")?, make("odd")?];
    let server = Server::serve(&changing(0, &pair))?;
    let clip = clips::long()?;
    let steady = Tool::floodtide().words("load publish --quiet --publishers 20 --file").arg(&clip.path);
    let mut steady = steady.arg("--url").arg(server.rtmp("/live/x{i}?key=steady")).start()?;
    server.wait_live("live/x19")?;
    let over_tls = Tool::new("curl").words("--silent --output /dev/null --cacert").arg(&pair[0].chain);
    let mut over_tls = over_tls.arg(server.https("/live/x0.flv")).start()?;
    let (mut rounds, mut watched) = (0, 0);
    while watched < 50 {
        let mut crowd = thousand(&server)?;
        while watched < 50 {
            rounds += 1;
            let key = format!("odd/y?key=key{}", rounds - 1);
            let ending = Publisher::start(server.ports.rtmp, &key, &clip)?;
            server.configure(&changing(rounds, &pair))?;
            if rounds.is_multiple_of(2) {
                Tool::new("kill").words("-HUP").arg(server.pid().to_string()).succeed(LIMIT)?;
            }
            ending.ended(LIMIT)?;
            what_is_new_holds(&server, rounds, &pair)?;
            // What nobody watched to its end proves nothing.
            if !crowd.is_running()? {
                break;
            }
            watched += 1;
        }
        let result = crowd.finish(CROWD_MAX)?;
        ensure!(result.status.success(), "{result}");
    }
    ensure!(steady.is_running()? && over_tls.is_running()?, "who publishes, or watches over TLS, was cut");
    let ended = server.metric("floodtide_publisher_ends_total")?;
    ensure!(ended == rounds as f64, "{ended} publishers ended in {rounds} rounds");
    ensure!(server.log().matches("configuration reloaded").count() >= rounds, "{}", server.log());
    Ok(())
}

/// The longest that a crowd may take from its start to its verdict.
const CROWD_MAX: Duration = Duration::from_secs(90);

/// A thousand viewers who have all come, and stay for half a minute.
fn thousand(server: &Server) -> Result<Running> {
    let viewers = || server.metric("floodtide_viewers");
    until(LIMIT, "the last crowd has left", || {
        Ok(if viewers()? < 100.0 { Look::Found(()) } else { Look::NotYet(viewers()?.to_string()) })
    })?;
    let crowd = Tool::floodtide()
        .words("load view --quiet -n 1000 --broadcasts 20 --ramp 1000 --warmup 1s --duration 30s --json -")
        .words("--max-stall-rate 0.7% --min-playing 100% --max-disconnects 0 --mix")
        .arg("58% flv, 20% ws, 20% rtmp, 2% hls")
        .arg("--rtmp-port")
        .arg(server.ports.rtmp.to_string())
        .arg("--url")
        .arg(server.http("/live/x{i}.flv"))
        .start()?;
    until(LIMIT, "the crowd is there", || {
        // Those by HLS are counted a second later, by what they ask for.
        Ok(if viewers()? >= 980.0 { Look::Found(()) } else { Look::NotYet(viewers()?.to_string()) })
    })?;
    Ok(crowd)
}

/// A configuration whose key of the app `odd`, grace, collision policy, limits, certificate and log level change with every
/// round.
fn changing(round: usize, pair: &[Certificate; 2]) -> String {
    let collision = if round.is_multiple_of(2) { "reject" } else { "takeover" };
    let level = if round.is_multiple_of(2) { "info" } else { "debug" };
    format!(
        "[publish]\ngrace = '{}s'\ncollision = '{collision}'\n[app.live]\nstream_key = 'steady'\n\
         [app.odd]\nstream_key = 'key{round}'\n[log]\nlevel = '{level}'\n[tls]\n{}\
         [limits]\nexempt = []\nconnections_per_address = {}\nrequests_per_address = {}\nhttp_idle = '{}s'\n",
        5 + round,
        pair[round % 2].toml(),
        5000 + round,
        9000 + round,
        60 + round,
    )
}

/// New connections get the round's certificate, and the server says the round's limits and log level.
fn what_is_new_holds(server: &Server, round: usize, pair: &[Certificate; 2]) -> Result<()> {
    let [now, before] = [&pair[round % 2], &pair[(round + 1) % 2]];
    for (certificate, expect) in [(now, true), (before, false)] {
        let curl = Tool::new("curl").words("--silent --output /dev/null --cacert").arg(&certificate.chain);
        let trusted = curl.arg(server.https("/")).run(LIMIT)?.status.success();
        ensure!(trusted == expect, "round {round}: {} is trusted: {trusted}", certificate.chain.display());
    }
    let config: Value = serde_json::from_str(&fetch(server.ports.admin, "/v1/config", &[])?.text()?)?;
    ensure!(config["limits"]["connections_per_address"] == 5000 + round, "round {round}: {config:#}");
    ensure!(config["log"]["level"] == ["info", "debug"][round % 2], "round {round}: {config:#}");
    Ok(())
}
