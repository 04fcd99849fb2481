//! Co-host stages and matches over HTTP: who gets in and who doesn't, what muting and removing do to real media.

use anyhow::{Context, Result, ensure};
use e2e::clips::Clip;
use e2e::wait::{Look, until};
use e2e::{Folder, Publisher, Running, Server, Tool, Viewer, clips};
use serde_json::{Value, json};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(40);
/// Nobody plays without a credential, and nobody publishes without one.
const CLOSED: &str = "[publish]\nstream_key = 's3cret'\n[play]\naccess = 'credential'\n\
    [[auth.jwt]]\nsecret = 'a-secret-of-at-least-32-characters'\n[stage]\nmembers_max = 3\nstages_max = 2\n";

/// What a server answers: its status, and its body as JSON or text.
#[derive(Debug)]
struct Answer {
    status: u16,
    body: Value,
}

fn ask(method: &str, url: &str, bearer: Option<&str>, body: Option<&Value>) -> Result<Answer> {
    let tool = Tool::new("curl").words("--silent --show-error --max-time 30 -X").arg(method);
    let tool = tool.words("-w").arg("\n%{http_code}");
    let tool = match bearer {
        Some(bearer) => tool.arg("--oauth2-bearer").arg(bearer),
        None => tool,
    };
    let tool = match body {
        Some(body) => tool.words("-H Content-Type:application/json --data").arg(body.to_string()),
        None => tool,
    };
    let said = tool.arg(url).succeed(LIMIT)?.text();
    let (body, status) = said.trim_end().rsplit_once('\n').with_context(|| said.clone())?;
    let body = serde_json::from_str(body).unwrap_or_else(|_| json!(body.trim()));
    Ok(Answer { status: status.parse()?, body })
}

/// The administrators' API.
fn admin(server: &Server, method: &str, target: &str, body: Option<&Value>) -> Result<Answer> {
    ask(method, &format!("http://127.0.0.1:{}{target}", server.ports.admin), None, body)
}

/// What everybody reaches.
fn public(server: &Server, method: &str, target: &str, bearer: Option<&str>) -> Result<Answer> {
    ask(method, &server.http(target), bearer, None)
}

#[track_caller]
fn check(answer: &Answer, status: u16, says: &str) -> Result<()> {
    let text = answer.body.to_string();
    ensure!(
        answer.status == status && text.contains(says),
        "{status} and {says:?} were expected: {answer:?}"
    );
    Ok(())
}

fn open(server: &Server, path: &str) -> Result<()> {
    check(&admin(server, "POST", "/v1/stages", Some(&json!({ "path": path, "title": "Talk" })))?, 201, "Talk")
}

/// An invitation to `live/talk`.
fn invite(server: &Server, name: &str, ttl_s: u64) -> Result<String> {
    let answer = admin(
        server,
        "POST",
        "/v1/stages/live%2Ftalk/members",
        Some(&json!({ "name": name, "ttl_s": ttl_s })),
    )?;
    check(&answer, 201, "/stage?path=live%2Ftalk#invitation=")?;
    Ok(answer.body["invitation"].as_str().context("no invitation")?.to_owned())
}

fn accept(server: &Server, invitation: &str) -> Result<Answer> {
    let body = json!({ "invitation": invitation });
    ask("POST", &server.http("/live/talk/stage/accept"), None, Some(&body))
}

/// The pass of a new member of `live/talk`.
fn join(server: &Server, name: &str) -> Result<String> {
    let accepted = accept(server, &invite(server, name, 600)?)?;
    check(&accepted, 200, &format!("\"you\":\"{name}\""))?;
    Ok(accepted.body["pass"].as_str().context("no pass")?.to_owned())
}

/// H.264 without B-frames and a tone in Opus, 60 s.
fn clip(folder: &Folder) -> Result<Clip> {
    let path = folder.file("member.mkv");
    let tool = Tool::ffmpeg9().words("-f lavfi -i testsrc2=size=320x180:rate=15:duration=60");
    let tool =
        tool.words("-f lavfi -i sine=sample_rate=48000:duration=60 -ac 2 -c:v libx264 -profile:v baseline");
    let tool = tool.words(
        "-preset ultrafast -bf 0 -g 15 -sc_threshold 0 -pix_fmt yuv420p -b:v 200k -c:a libopus -b:a 64k",
    );
    tool.arg(&path).succeed(LIMIT)?;
    Ok(Clip { path })
}

fn whip(clip: &Clip, server: &Server, name: &str, pass: &str) -> Result<Running> {
    let tool =
        Tool::ffmpeg9().words("-re -i").arg(&clip.path).words("-c copy -f whip -authorization").arg(pass);
    tool.arg(server.http(&format!("/live/talk/{name}/whip"))).start()
}

/// Waits until a member's media comes, as the stage tells.
fn publishes(server: &Server, name: &str, pass: &str, wanted: bool) -> Result<()> {
    until(LIMIT, &format!("{name} publishes: {wanted}"), || {
        let seen = public(server, "GET", "/live/talk/stage", Some(pass))?;
        let members = seen.body["members"].as_array().cloned().unwrap_or_default();
        let is_so = members.iter().any(|member| member["name"] == name && member["publishes"] == wanted);
        Ok(if is_so { Look::Found(()) } else { Look::NotYet(seen.body.to_string()) })
    })
}

/// The loudest sound within two seconds of a member, in dB below full scale.
fn loudness(server: &Server, name: &str, pass: &str) -> Result<f64> {
    let url = server.http(&format!("/live/talk/{name}.flv?token={pass}"));
    let tool = Tool::ffmpeg9().words("-v info -i").arg(url);
    // The newest group, from before a change, is heard first.
    let heard = tool.words("-vn -af atrim=start=1.5:end=3.5,volumedetect -t 2 -f null -").succeed(LIMIT)?;
    let line = heard.log.lines().find_map(|line| line.split_once("max_volume: ")).map(|(_, found)| found);
    let found = line.and_then(|found| found.split(' ').next()).with_context(|| heard.log.clone())?;
    Ok(found.parse()?)
}

#[test]
fn an_invitation_lets_one_person_in_once_and_the_rest_is_told_why_not() -> Result<()> {
    let server = Server::serve(CLOSED)?;
    open(&server, "live/talk")?;
    let invitation = invite(&server, "alice", 600)?;
    check(&accept(&server, "made.up.entirely")?, 403, "no invitation or pass of this server")?;
    let changed = invitation.replacen("ey", "eX", 1);
    check(&accept(&server, &changed)?, 403, "no invitation or pass of this server")?;
    let (front, signature) = invitation.rsplit_once('.').context("no signature")?;
    let guessed = format!("{front}.{}", signature.chars().rev().collect::<String>());
    check(&accept(&server, &guessed)?, 403, "no invitation or pass of this server")?;
    let elsewhere = json!({ "invitation": invitation });
    let elsewhere = ask("POST", &server.http("/live/other/stage/accept"), None, Some(&elsewhere))?;
    check(&elsewhere, 403, "for another path")?;
    let accepted = accept(&server, &invitation)?;
    check(&accepted, 200, "\"title\":\"Talk\"")?;
    check(&accept(&server, &invitation)?, 409, "was used")?;
    let late = invite(&server, "late", 1)?;
    until(LIMIT, "the invitation's time is over, and its seat is free", || {
        let members = admin(&server, "GET", "/v1/stages/live%2Ftalk", None)?.body["members"].clone();
        Ok(if members.to_string().contains("late") {
            Look::NotYet(members.to_string())
        } else {
            Look::Found(())
        })
    })?;
    check(&accept(&server, &late)?, 403, "the invitation has expired")?;
    Ok(())
}

#[test]
fn an_invitation_is_no_pass_and_a_pass_opens_no_more_than_the_stage() -> Result<()> {
    let server = Server::serve(CLOSED)?;
    open(&server, "live/talk")?;
    let invitation = invite(&server, "bob", 600)?;
    let pass = join(&server, "alice")?;
    let offer = |target: &str, secret: Option<&str>| {
        let tool = Tool::new("curl").words("--silent --max-time 10 -w").arg("\n%{http_code}");
        let tool = tool.words("-H Content-Type:application/sdp --data v=0");
        let tool = match secret {
            Some(secret) => tool.arg("--oauth2-bearer").arg(secret),
            None => tool,
        };
        Ok::<_, anyhow::Error>(tool.arg(server.http(target)).succeed(LIMIT)?.text())
    };
    let says = |said: String, parts: &[&str]| -> Result<()> {
        ensure!(parts.iter().all(|part| said.contains(part)), "{parts:?} in {said:?}");
        Ok(())
    };
    says(offer("/live/talk/alice/whip", Some(&pass))?, &["the offer", "400"])?;
    says(offer("/live/talk/bob/whip", Some(&pass))?, &["for another path", "403"])?;
    says(offer("/live/elsewhere/whip", Some(&pass))?, &["for another path", "403"])?;
    says(offer("/live/elsewhere/whep", Some(&pass))?, &["for another path", "403"])?;
    says(offer("/live/talk/bob/whip", Some(&invitation))?, &["accepted first", "403"])?;
    says(offer("/live/talk/alice/whip", None)?, &["belongs to a stage", "403"])?;
    says(offer("/live/talk/alice/whip?key=s3cret", None)?, &["belongs to a stage", "403"])?;
    says(offer("/live/talk/alice/whep", Some(&pass))?, &["nobody publishes", "404"])?;
    let rtmp = Publisher::start(server.ports.rtmp, &format!("live/talk/alice?token={pass}"), &clips::long()?);
    let refused = rtmp.expect_err("members publish by WHIP");
    ensure!(format!("{refused:#}").contains("publish by WHIP"), "{refused:#}");
    // A second peer that guesses a connection's name can neither read nor end it.
    for method in ["GET", "DELETE"] {
        let guess =
            public(&server, method, "/live/talk/alice/whip/00112233445566778899aabbccddeeff", Some(&pass))?;
        ensure!(guess.status == if method == "GET" { 405 } else { 404 }, "{guess:?}");
    }
    // The audience reads it with what plays it, and nobody else; the administrators' API is elsewhere.
    check(&public(&server, "GET", "/live/talk/stage", None)?, 403, "a token is needed")?;
    let config = server.file("token.toml");
    std::fs::write(&config, CLOSED)?;
    let token =
        Tool::floodtide().words("ctl --config").arg(&config).words("token play --path live/talk/* --ttl 1h");
    let token = token.succeed(LIMIT)?.text();
    let seen = public(&server, "GET", "/live/talk/stage", Some(token.trim()))?;
    check(&seen, 200, "\"layout\":[\"alice\"]")?;
    ensure!(!seen.body.to_string().contains("bob"), "the audience sees who is invited: {seen:?}");
    check(&public(&server, "GET", "/live/talk/stage", Some(&pass))?, 200, "\"state\":\"invited\"")?;
    ensure!(public(&server, "GET", "/v1/stages", None)?.status == 404, "the API is on the public listener");
    check(&public(&server, "GET", "/live/none/stage", Some(token.trim()))?, 403, "another path")
}

#[test]
fn seats_stages_and_names_have_limits_that_are_told() -> Result<()> {
    let server = Server::serve(CLOSED)?;
    open(&server, "live/talk")?;
    let wish =
        |name: &str| admin(&server, "POST", "/v1/stages/live%2Ftalk/members", Some(&json!({ "name": name })));
    check(&wish("Alice!")?, 400, "small letters")?;
    check(&wish("whip")?, 400, "no word of URLs")?;
    for name in ["a", "b", "c"] {
        check(&wish(name)?, 201, "invitation")?;
    }
    check(&wish("d")?, 409, "all 3 seats")?;
    check(&admin(&server, "DELETE", "/v1/stages/live%2Ftalk/members/c", None)?, 204, "")?;
    check(&wish("d")?, 201, "invitation")?;
    check(&admin(&server, "POST", "/v1/stages", Some(&json!({ "path": "live/talk" })))?, 409, "already")?;
    open(&server, "live/two")?;
    check(&admin(&server, "POST", "/v1/stages", Some(&json!({ "path": "live/three" })))?, 409, "stages_max")?;
    check(&admin(&server, "DELETE", "/v1/stages/live%2Fnone", None)?, 404, "no stage live/none")?;
    let none =
        admin(&server, "PATCH", "/v1/stages/live%2Ftalk/members/x", Some(&json!({ "audio_muted": true })))?;
    check(&none, 404, "nobody on the stage")
}

#[test]
fn muted_sound_and_pictures_reach_nobody_and_come_back() -> Result<()> {
    let folder = Folder::new()?;
    let (clip, server) = (clip(&folder)?, Server::serve(CLOSED)?);
    open(&server, "live/talk")?;
    let (alice, bob) = (join(&server, "alice")?, join(&server, "bob")?);
    let _publisher = whip(&clip, &server, "alice", &alice)?;
    publishes(&server, "alice", &bob, true)?;
    let mute = |body: Value| admin(&server, "PATCH", "/v1/stages/live%2Ftalk/members/alice", Some(&body));
    let before = loudness(&server, "alice", &bob)?;
    ensure!(before > -40.0, "{before} dB");
    check(&mute(json!({ "audio_muted": true }))?, 200, "\"audio_muted\":true")?;
    let own = public(&server, "GET", "/live/talk/stage", Some(&alice))?;
    check(&own, 200, "\"audio_muted\":true")?;
    let muted = loudness(&server, "alice", &bob)?;
    ensure!(muted < -80.0, "{muted} dB while muted");
    check(&mute(json!({ "audio_muted": false, "video_muted": true }))?, 200, "\"video_muted\":true")?;
    let mut viewer = Viewer::open(&server, &format!("/live/talk/alice.flv?token={bob}"))?;
    viewer.watch(Duration::from_secs(2))?;
    let (pictures, sounds) = (viewer.last_ms[1], viewer.last_ms[0]);
    viewer.watch(Duration::from_secs(2))?;
    ensure!(viewer.last_ms[1] == pictures && viewer.last_ms[0] > sounds, "pictures come: {viewer:?}");
    // Who joins now hears it, and waits for no pictures.
    let again = loudness(&server, "alice", &bob)?;
    ensure!(again > -40.0, "{again} dB");
    check(&mute(json!({ "video_muted": false }))?, 200, "\"video_muted\":false")?;
    viewer.keyframes = 0;
    viewer.watch(Duration::from_secs(3))?;
    ensure!(viewer.last_ms[1] > pictures && viewer.keyframes > 0, "no pictures again: {viewer:?}");
    Ok(())
}

#[test]
fn who_leaves_may_come_back_and_who_is_removed_may_not() -> Result<()> {
    let folder = Folder::new()?;
    let (clip, server) = (clip(&folder)?, Server::serve(CLOSED)?);
    open(&server, "live/talk")?;
    let (alice, bob) = (join(&server, "alice")?, join(&server, "bob")?);
    let mut publisher = whip(&clip, &server, "alice", &alice)?;
    publishes(&server, "alice", &bob, true)?;
    // A request for what comes after a version is held until it changes.
    let version = public(&server, "GET", "/live/talk/stage", Some(&bob))?.body["version"].clone();
    let held = Tool::new("curl").words("--silent --max-time 30 --oauth2-bearer").arg(&bob);
    let mut held = held.arg(server.http(&format!("/live/talk/stage?after={version}"))).start()?;
    ensure!(held.is_running()? && held.text_so_far().is_empty(), "it was answered before anything changed");
    check(&public(&server, "POST", "/live/talk/stage/leave", Some(&alice))?, 200, "\"state\":\"away\"")?;
    let told = held.finish(LIMIT)?.text();
    ensure!(told.contains("\"away\""), "{told}");
    // Its sessions end although its encoder didn't say goodbye.
    publishes(&server, "alice", &bob, false)?;
    publisher.kill()?;
    check(&public(&server, "POST", "/live/talk/stage/join", Some(&alice))?, 200, "\"state\":\"on_stage\"")?;
    let _again = whip(&clip, &server, "alice", &alice)?;
    publishes(&server, "alice", &bob, true)?;
    let mut viewer = Viewer::open(&server, &format!("/live/talk/alice.flv?token={bob}"))?;
    viewer.watch(Duration::from_secs(1))?;
    check(&admin(&server, "DELETE", "/v1/stages/live%2Ftalk/members/bob", None)?, 204, "")?;
    until(LIMIT, "the session of who was removed ends", || {
        Ok(if viewer.one()? { Look::NotYet("it still gets frames".to_owned()) } else { Look::Found(()) })
    })?;
    for target in ["/live/talk/stage", "/live/talk/alice.flv"] {
        check(&public(&server, "GET", target, Some(&bob))?, 403, "good for nobody any more")?;
    }
    check(&admin(&server, "DELETE", "/v1/stages/live%2Ftalk", None)?, 204, "")?;
    check(&public(&server, "GET", "/live/talk/stage", Some(&alice))?, 403, "good for nobody any more")?;
    until(LIMIT, "the publisher of a stage that is over ends", || {
        let sessions = admin(&server, "GET", "/v1/sessions?role=publisher", None)?;
        let none = sessions.body.as_array().is_some_and(Vec::is_empty);
        Ok(if none { Look::Found(()) } else { Look::NotYet(sessions.body.to_string()) })
    })?;
    let events = admin(&server, "GET", "/v1/events?types=stage", None)?.body;
    let kinds: Vec<_> =
        events.as_array().into_iter().flatten().filter_map(|event| event["type"].as_str()).collect();
    for kind in ["stage.began", "stage.joined", "stage.left", "stage.ended"] {
        ensure!(kinds.contains(&kind), "{kind} is missing in {kinds:?}");
    }
    Ok(())
}

#[test]
fn a_match_shows_each_the_other_and_ends_what_it_opened() -> Result<()> {
    let server = Server::serve(CLOSED)?;
    let clip = clips::long()?;
    let _publishers = [
        Publisher::start(server.ports.rtmp, "a?key=s3cret", &clip)?,
        Publisher::start(server.ports.rtmp, "b?key=s3cret", &clip)?,
    ];
    let config = server.file("token.toml");
    std::fs::write(&config, CLOSED)?;
    let token =
        Tool::floodtide().words("ctl --config").arg(&config).words("token play --path live/a --ttl 1h");
    let token = token.succeed(LIMIT)?.text();
    let look = || public(&server, "GET", "/live/a/stage", Some(token.trim()));
    check(&look()?, 404, "no stage live/a")?;
    let begun = admin(
        &server,
        "POST",
        "/v1/matches",
        Some(&json!({ "between": ["live/a", "live/b"], "length_s": 600 })),
    )?;
    check(&begun, 201, "live/b")?;
    let seen = look()?;
    ensure!(seen.body["match"]["pictures"] == json!(["live/b"]), "{seen:?}");
    let of_match = seen.body["match"]["token"].as_str().context("no token")?.to_owned();
    check(&public(&server, "GET", "/live/b.flv", Some(token.trim()))?, 403, "another path")?;
    check(&public(&server, "GET", "/live/a.flv", Some(&of_match))?, 403, "another path")?;
    let mut viewer = Viewer::open(&server, &format!("/live/b.flv?token={of_match}"))?;
    viewer.watch(Duration::from_secs(1))?;
    for (body, status, says) in [
        (json!({ "between": ["live/c", "live/b"], "length_s": 60 }), 409, "in a match already"),
        (json!({ "between": ["live/c", "live/c"], "length_s": 60 }), 400, "between two"),
        (json!({ "between": ["live/c"], "length_s": 60 }), 400, "between two"),
        (json!({ "between": ["live/c", "live/d"], "length_s": 9_999_999 }), 400, "stage.match_max"),
    ] {
        check(&admin(&server, "POST", "/v1/matches", Some(&body))?, status, says)?;
    }
    let id = begun.body["id"].clone();
    check(&admin(&server, "DELETE", &format!("/v1/matches/{id}"), None)?, 204, "")?;
    until(LIMIT, "what the match opened ends with it", || {
        Ok(if viewer.one()? { Look::NotYet("it still gets frames".to_owned()) } else { Look::Found(()) })
    })?;
    check(&public(&server, "GET", "/live/b.flv", Some(&of_match))?, 403, "good for nobody any more")?;
    check(&look()?, 404, "no stage live/a")?;
    // By itself, too.
    let short = admin(
        &server,
        "POST",
        "/v1/matches",
        Some(&json!({ "between": ["live/a", "live/b"], "length_s": 1 })),
    )?;
    check(&short, 201, "live/b")?;
    until(LIMIT, "the match ends by itself", || {
        let matches = admin(&server, "GET", "/v1/matches", None)?;
        let none = matches.body.as_array().is_some_and(Vec::is_empty);
        Ok(if none { Look::Found(()) } else { Look::NotYet(matches.body.to_string()) })
    })
}

#[test]
fn the_command_line_runs_a_stage_and_a_match() -> Result<()> {
    let server = Server::serve(CLOSED)?;
    let url = format!("http://127.0.0.1:{}", server.ports.admin);
    let ctl = |words: &str| {
        Ok::<_, anyhow::Error>(
            Tool::floodtide().words("ctl --url").arg(&url).words(words).succeed(LIMIT)?.text(),
        )
    };
    let has = |text: String, parts: &[&str]| -> Result<()> {
        ensure!(parts.iter().all(|part| text.contains(part)), "{parts:?} in:\n{text}");
        Ok(())
    };
    has(ctl("stage list")?, &["there is no stage"])?;
    has(ctl("stage open live/talk --title Talk")?, &["is open"])?;
    has(
        ctl("stage invite live/talk bob --ttl 1h")?,
        &["bob is invited until", "/stage?path=live%2Ftalk#invitation="],
    )?;
    join(&server, "alice")?;
    has(ctl("stage mute live/talk alice --video")?, &["alice", "on_stage", "PICTURE OFF"])?;
    has(ctl("stage layout live/talk alice")?, &["SHOWN", "alice"])?;
    has(ctl("stage show live/talk")?, &["bob", "invited"])?;
    let shown: Value = serde_json::from_str(&ctl("--json stage show live/talk")?)?;
    ensure!(shown["members"][1]["video_muted"] == true && shown["chosen"] == json!(["alice"]), "{shown}");
    has(ctl("stage unmute live/talk alice --video --audio")?, &["no"])?;
    has(ctl("stage remove live/talk alice")?, &["alice is gone"])?;
    has(ctl("match begin live/talk live/b --for 3m")?, &["BETWEEN", "live/talk, live/b"])?;
    has(ctl("match list")?, &["live/b"])?;
    has(ctl("match end 1")?, &["is over"])?;
    has(ctl("stage end live/talk")?, &["live/talk is over"])?;
    has(ctl("match list")?, &["there is no match"])
}
