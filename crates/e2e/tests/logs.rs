//! What the log says, what it must not say, and how that changes at run time.

use anyhow::{Context, Result, ensure};
use e2e::compare::publish;
use e2e::http::{Connection, fetch};
use e2e::wait::{Look, until};
use e2e::{Folder, Publisher, Server, Tool, clips, project};
use serde_json::Value;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(20);
const KEY: &str = "s3cretKey";
const TOKEN: &str = "t0kenOfAViewer";
const PASSWORD: &str = "wr0ngPassword";
const RESTREAM_KEY: &str = "keyElsewhere";
const ADMIN: &str = "an-administrators-token-of-32-bytes-or-more";
/// Clients come from here, so that their address can't be mistaken for one that the server listens on.
const PEER: &str = "127.77.3.9";

/// Waits for a line with all of these words.
fn line_with(server: &Server, words: &[&str]) -> Result<String> {
    until(LIMIT, &format!("a line with {words:?}"), || {
        let log = server.log();
        let found = log.lines().find(|line| words.iter().all(|word| line.contains(word)));
        Ok(found.map_or_else(|| Look::NotYet(log.clone()), |line| Look::Found(line.to_owned())))
    })
}

/// A client at [`PEER`]; it may be refused, or cut after two seconds.
fn curl(server: &Server, target: &str) -> Result<()> {
    let words = format!("-s -o /dev/null --max-time 2 --interface {PEER}");
    Tool::new("curl").words(&words).arg(server.http(target)).run(LIMIT)?;
    Ok(())
}

/// Everything that a server logs about: publishers, viewers of all kinds, refusals.
fn everything(server: &Server) -> Result<()> {
    let clip = clips::h264_aac()?;
    let publisher = Publisher::start(server.ports.rtmp, &format!("x?key={KEY}"), &clip)?;
    server.wait_live("live/x")?;
    ensure!(Publisher::start(server.ports.rtmp, "y?key=notTheKey", &clip).is_err(), "a wrong key is taken");
    for target in ["/live/x.flv", "/live/x/index.m3u8", "/live/none.flv", "/", "/api/broadcasts", "/nothing"]
    {
        curl(server, &format!("{target}?token={TOKEN}"))?;
    }
    let player = Tool::ffprobe().words("-v error -show_entries stream=codec_name");
    player.arg(server.rtmp(&format!("/live/x?token={TOKEN}"))).run(LIMIT)?;
    drop(publisher);
    Ok(())
}

/// The ways in that are neither RTMP with a key nor HTTP: a user who fails to log in, SRT, WebRTC, administrators. Returns the
/// secrets that the server made meanwhile.
fn every_other_way_in(server: &Server) -> Result<Vec<String>> {
    let clip = clips::h264_aac()?;
    let failed = server.rtmp("/studio/a").replace("rtmp://", &format!("rtmp://alice:{PASSWORD}@"));
    publish(&clip, "", &failed)?.finish(LIMIT)?;
    let srt = Tool::ffmpeg().words("-re -i").arg(&clip.path).words("-c copy -f mpegts");
    let _srt = srt.arg(server.srt(&format!("live/s?key={KEY}"), "")).start()?;
    server.wait_live("live/s")?;
    let player =
        Tool::ffmpeg().words("-i").arg(server.srt(&format!("#!::r=live/s,m=request,token={TOKEN}"), ""));
    player.words("-t 1 -c copy -f null -").succeed(LIMIT)?;
    let webrtc = Tool::floodtide().words("load run --quiet -n 1 --warmup 1s --duration 1s --json - --file");
    let webrtc = webrtc.arg(project().join("demo/clip.flv")).words("--publish-url");
    let webrtc = webrtc.arg(server.http(&format!("/live/w/whip?key={KEY}"))).arg("--url");
    webrtc.arg(server.http(&format!("/live/w/whep?token={TOKEN}"))).succeed(Duration::from_secs(60))?;
    let mut secrets = vec![a_connection_by_webrtc(server)?];
    for token in [ADMIN, "notTheToken"] {
        let authorization = format!("Bearer {token}");
        let sessions =
            fetch(server.ports.admin, "/v1/sessions", &[("Authorization", &authorization)])?.json()?;
        let ids = sessions.as_array().into_iter().flatten().filter_map(|s| s["id"].as_str());
        secrets.extend(ids.map(str::to_owned));
    }
    ensure!(secrets.len() > 1, "no session has an id: {secrets:?}");
    Ok(secrets)
}

/// A viewer by WebRTC from [`PEER`] who comes, and leaves; the name of its connection.
fn a_connection_by_webrtc(server: &Server) -> Result<String> {
    let publisher =
        Tool::ffmpeg().words("-re -i").arg(project().join("demo/clip.flv")).words("-c copy -f flv");
    let _publisher = publisher.arg(server.rtmp(&format!("/live/r?key={KEY}"))).start()?;
    server.wait_live("live/r")?;
    let offer = project().join("crates/node/src/gateway/webrtc/captures/chromium-plays.sdp");
    let words =
        format!("-s -D - -o /dev/null --interface {PEER} -H Content-Type:application/sdp --data-binary");
    let create = Tool::new("curl").words(&words).arg(format!("@{}", offer.display()));
    let created = create.arg(server.http(&format!("/live/r/whep?token={TOKEN}"))).succeed(LIMIT)?.text();
    let location = created.lines().find_map(|line| line.strip_prefix("location: "));
    let location = location.with_context(|| created.clone())?.trim().to_owned();
    for method in ["PATCH", "DELETE"] {
        let words = format!("-s -o /dev/null -X {method} --interface {PEER}");
        Tool::new("curl").words(&words).arg(server.http(&location)).succeed(LIMIT)?;
    }
    Ok(location.rsplit('/').next().unwrap_or_default().to_owned())
}

/// Whether a word in a text looks like 64 random bits or more, in hexadecimal digits or any base of letters and digits: such a
/// word changes between digits, small and large letters more often than words of people do.
fn has_secret(text: &str) -> bool {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric());
    words.filter(|word| word.len() >= 11).any(|word| {
        let kinds = |byte: u8| (byte.is_ascii_digit(), byte.is_ascii_uppercase());
        let changes = word.as_bytes().windows(2).filter(|pair| kinds(pair[0]) != kinds(pair[1])).count();
        word.bytes().any(|b| b.is_ascii_digit()) && changes >= 4
    })
}

#[test]
fn random_words_are_told_from_words_of_people() {
    for secret in [
        "id=00a1b2c3d4e5f607",
        "connection 9f86d081884c7d659a2feaa0c55ad015 ended",
        "/live/x/whep/n4bQgYhMfWWaLqgxVyD",
        "name=\"mfrggzdfmztwq2lkn5zhk4tu\"",
        "eyJhbGciOiJIUzI1NiJ9.eyJhY3QiOiJwbGF5In0.x",
    ] {
        assert!(has_secret(secret), "{secret}");
    }
    for harmless in [
        "2026-11-27T04:31:46.123456Z  INFO access::session: viewer left path=live/x",
        "NetStream.Publish.Denied: the stream key is wrong",
        "ms=123456789012 seconds=3",
        "floodtide::gateway::webrtc::outlet h264 aac protocol=\"ws-flv\"",
    ] {
        assert!(!has_secret(harmless), "{harmless}");
    }
}

#[test]
fn no_address_token_or_session_is_in_a_log_line_or_a_label() -> Result<()> {
    let other = Server::serve(&format!("[publish]\nstream_key = \"{RESTREAM_KEY}\"\n"))?;
    let server = Server::serve(&format!(
        "[publish]\nstream_key = \"{KEY}\"\ndemand_user = true\n[[publish.user]]\nname = 'alice'\npassword = 'of-alice-1'\npath = 'studio/*'\n\
         [[admin.token]]\nname = 'ops'\nrole = 'admin'\ntoken = '{ADMIN}'\n\
         [[restream]]\npath = 'live/x'\nto = 'rtmp://localhost:{}/live/x?key={RESTREAM_KEY}'\n\
         [log]\naccess = \"requests\"\n",
        other.ports.rtmp
    ))?;
    everything(&server)?;
    let made = every_other_way_in(&server)?;
    let line = line_with(&server, &["publisher left", "path=live/x"])?;
    ensure!(
        line.contains("protocol=\"rtmp\"") && line.contains("reason=") && line.contains("bytes="),
        "{line}"
    );
    line_with(&server, &["viewer left", "protocol=\"flv\"", "reason=\"left\""])?;
    line_with(&server, &["viewer left", "protocol=\"rtmp\""])?;
    line_with(&server, &["publisher refused", "the stream key is wrong"])?;
    line_with(&server, &["answered", "path=\"/live/x/index.m3u8\"", "status=200"])?;
    line_with(&server, &["answered", "path=\"/live/none.flv\"", "status=404"])?;
    line_with(&server, &["connection ended", "protocol=\"rtmp\""])?;
    line_with(&server, &["a login failed", "alice"])?;
    line_with(&server, &["kind=\"restream\"", "localhost", "media flows"])?;
    line_with(&server, &["viewer left", "protocol=\"srt\""])?;
    line_with(&server, &["publisher left", "protocol=\"whip\""])?;
    line_with(&server, &["viewer left", "protocol=\"whep\""])?;
    line_with(&server, &["answered", "method=\"DELETE\"", "path=\"/live/r/whep/…\""])?;
    line_with(&server, &["answered", "method=\"PATCH\"", "path=\"/live/r/whep/…\""])?;
    let authorization = format!("Bearer {ADMIN}");
    let metrics = fetch(server.ports.admin, "/metrics", &[("Authorization", &authorization)])?.text()?;
    ensure!(metrics.contains("floodtide_http_requests_total{kind=\"hls\",status=\"2xx\"}"), "{metrics}");
    let given = [KEY, TOKEN, PASSWORD, ADMIN, RESTREAM_KEY, "notTheKey", "notTheToken", "of-alice-1"];
    for text in [server.log(), metrics] {
        for secret in given.into_iter().chain(made.iter().map(String::as_str)) {
            ensure!(!text.contains(secret), "{secret} is in {text}");
        }
        let lines = text.lines().filter(|line| !line.contains("floodtide is ready"));
        let told: Vec<&str> = lines.filter(|line| line.contains("127.") || has_secret(line)).collect();
        ensure!(told.is_empty(), "{told:#?}");
    }
    Ok(())
}

#[test]
fn json_lines_are_json_and_addresses_are_cut_as_asked() -> Result<()> {
    let log = "[log]\nformat = \"json\"\naccess = \"requests\"\naddresses = \"truncated\"\n";
    let server = Server::serve(&format!("[publish]\nstream_key = \"{KEY}\"\n{log}"))?;
    everything(&server)?;
    let line = line_with(&server, &["viewer left", "\"protocol\":\"flv\""])?;
    let line: Value = serde_json::from_str(&line)?;
    ensure!(line["peer"] == "127.77.3.0" && line["path"] == "live/x" && line["reason"] == "left", "{line}");
    for line in server.log().lines() {
        let value: Value = serde_json::from_str(line).with_context(|| line.to_owned())?;
        ensure!(value["timestamp"].is_string() && value["level"].is_string(), "{value}");
    }
    ensure!(!server.log().contains(PEER), "{}", server.log());
    Ok(())
}

#[test]
fn the_log_changes_while_the_server_runs() -> Result<()> {
    let config = |log: &str| format!("[publish]\nstream_key = \"{KEY}\"\n[log]\n{log}\n");
    let server = Server::serve(&config("access = \"off\""))?;
    curl(&server, "/first")?;
    server.configure(&config("access = \"requests\"\naddresses = \"full\"\nlevel = \"debug\""))?;
    line_with(&server, &["configuration reloaded", "log.access, log.addresses, log.level"])?;
    curl(&server, "/second")?;
    let line = line_with(&server, &["answered", "path=\"/second\""])?;
    ensure!(line.contains(PEER), "{line}");
    ensure!(!server.log().contains("/first"), "{}", server.log());
    server.configure(&config("access = \"off\"\nlevel = \"error\""))?;
    until(LIMIT, "nothing is logged any more", || {
        let before = server.log().len();
        curl(&server, "/third")?;
        let more = server.log().len() - before;
        Ok(if more == 0 { Look::Found(()) } else { Look::NotYet(format!("{more} bytes more")) })
    })
}

/// A server doesn't wait for whoever takes its log, and counts what that costs.
#[test]
fn lines_that_nobody_takes_in_time_are_counted_and_viewers_are_served() -> Result<()> {
    let folder = Folder::new()?;
    let (first, state) = (folder.file("first-line"), folder.file("state"));
    // The reader takes the first line, and then nothing for as long as the test is.
    let script = "exec \"$0\" serve --rtmp 127.0.0.1:0 --http 127.0.0.1:0 --admin 127.0.0.1:0 2> >(head -n 1 > \"$1\"; sleep 30)";
    let _server = Tool::new("bash")
        .arg("-c")
        .arg(script)
        .arg(Tool::floodtide_path())
        .arg(&first)
        .env("FLOODTIDE_STATE__FOLDER", state)
        .env("FLOODTIDE_WEBRTC__ENABLED", "false")
        .env("FLOODTIDE_SRT__ENABLED", "false")
        .env("FLOODTIDE_LOG__ACCESS", "requests")
        .env("FLOODTIDE_PUBLISH__STREAM_KEY", KEY)
        .env("FLOODTIDE_LIMITS__REQUESTS_PER_ADDRESS", "0")
        .start()?;
    let line = until(LIMIT, "the server is ready", || {
        let line = std::fs::read_to_string(&first).unwrap_or_default();
        Ok(if line.contains("admin=") { Look::Found(line) } else { Look::NotYet(line) })
    })?;
    let port = |name: &str| -> Result<u16> {
        let (_, rest) = line.split_once(&format!("{name}=127.0.0.1:")).context("no port")?;
        Ok(rest.chars().take_while(char::is_ascii_digit).collect::<String>().parse()?)
    };
    let (http, admin) = (port("http")?, port("admin")?);
    let mut connection = Connection::open(http)?;
    until(Duration::from_secs(60), "lines are lost", || {
        for _ in 0..500 {
            ensure!(connection.request("GET", "/api/broadcasts", &[])?.status == 200);
        }
        let (lost, missed) = (lost_lines(admin, "stderr")?, lost_lines(admin, "api")?);
        ensure!(missed == 0.0, "nobody follows, and {missed} were missed");
        Ok(if lost > 0.0 { Look::Found(()) } else { Look::NotYet("none is lost yet".to_owned()) })
    })?;
    // Who comes back to the API after thousands of lines finds the newest only. Lines of requests aren't there, those of
    // viewers are.
    let _publisher = Publisher::start(port("rtmp")?, &format!("x?key={KEY}"), &clips::long()?)?;
    until(LIMIT, "the broadcast is live", || {
        let status = connection.request("HEAD", "/live/x.flv", &[])?.status;
        Ok(if status == 200 { Look::Found(()) } else { Look::NotYet(status.to_string()) })
    })?;
    for _ in 0..2500 {
        ensure!(connection.request("HEAD", "/live/x.flv", &[])?.status == 200);
    }
    let late = [("Accept", "text/event-stream"), ("Last-Event-ID", "1")];
    let (head, _body) = Connection::open(admin)?.endless("/v1/logs", &late)?;
    ensure!(head.status == 200, "{}", head.status);
    until(LIMIT, "what a follower missed is counted", || {
        let missed = lost_lines(admin, "api")?;
        Ok(if missed > 1000.0 { Look::Found(()) } else { Look::NotYet(format!("{missed}")) })
    })
}

/// Lines that this consumer of the log didn't get.
fn lost_lines(admin: u16, consumer: &str) -> Result<f64> {
    let name = format!("floodtide_log_lines_lost_total{{consumer=\"{consumer}\"}} ");
    let metrics = fetch(admin, "/metrics", &[])?.text()?;
    let found = metrics.lines().find_map(|line| line.strip_prefix(&name)?.parse().ok());
    found.with_context(|| format!("no counter for {consumer}"))
}
