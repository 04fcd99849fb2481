//! The API over HTTP: who may what, what is told, what can be ended, and that nothing that comes in makes it fail.

use anyhow::{Context, Result, ensure};
use e2e::wait::{Look, until};
use e2e::{Publisher, Running, Server, Tool, Viewer, clips};
use serde_json::Value;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(20);
const ROLES: [&str; 3] = ["viewer", "operator", "admin"];

/// Nobody has a credential here, so this machine may do everything.
fn open() -> Result<Server> {
    Server::serve("[app.live]\nstream_key = 'key'\n")
}

/// With a token for each role.
fn guarded() -> Result<Server> {
    let tokens = ROLES.map(|role| {
        format!("[[admin.token]]\nname = 'the-{role}'\nrole = '{role}'\ntoken = '{}'\n", token(role))
    });
    Server::serve(&format!("[app.live]\nstream_key = 'key'\n{}", tokens.concat()))
}

fn token(role: &str) -> String {
    format!("a-token-for-{role}-with-many-more-bytes-than-needed")
}

fn publish(server: &Server, name: &str) -> Result<Publisher> {
    let publisher = Publisher::start(server.ports.rtmp, &format!("{name}?key=key"), &clips::long()?)?;
    server.wait_live(&format!("live/{name}"))?;
    Ok(publisher)
}

/// An answer: its status, its type, its body.
#[derive(Debug)]
struct Answer {
    status: u16,
    kind: String,
    body: String,
}

impl Answer {
    fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.body).with_context(|| format!("no JSON: {self:?}"))
    }
}

/// `METHOD /target`, with further arguments of curl.
fn ask(server: &Server, request: &str, more: &[&str]) -> Result<Answer> {
    let (method, target) = request.split_once(' ').context("METHOD /target")?;
    let mut tool = Tool::new("curl").words("--silent --show-error --max-time 10 --path-as-is -X").arg(method);
    for word in more {
        tool = tool.arg(word);
    }
    let tool = tool.arg("-w").arg("\n%{http_code} %{content_type}");
    let text = tool.arg(format!("http://127.0.0.1:{}{target}", server.ports.admin)).succeed(LIMIT)?.text();
    let (body, last) = text.rsplit_once('\n').context("no status")?;
    let (status, kind) = last.split_once(' ').unwrap_or((last, ""));
    Ok(Answer { status: status.parse()?, kind: kind.to_owned(), body: body.to_owned() })
}

fn ask_as(server: &Server, role: &str, request: &str, more: &[&str]) -> Result<Answer> {
    let bearer = format!("Authorization: Bearer {}", token(role));
    ask(server, request, &[&["-H", &bearer], more].concat())
}

fn get(server: &Server, target: &str) -> Result<Value> {
    let answer = ask(server, &format!("GET {target}"), &[])?;
    ensure!(answer.status == 200, "{target}: {answer:?}");
    answer.json()
}

/// A refusal that says why, in the form of RFC 9457 §3.1.
fn problem(answer: &Answer, status: u16, part: &str) -> Result<()> {
    ensure!(answer.status == status && answer.kind == "application/problem+json", "not {status}: {answer:?}");
    let told = answer.json()?;
    ensure!(told["type"] == "about:blank" && told["status"] == status, "{told}");
    ensure!(told["title"].as_str().is_some_and(|title| !title.is_empty()), "no title: {told}");
    let detail = told["detail"].as_str().context("no detail")?;
    ensure!(!detail.is_empty() && detail.contains(part), "{part:?} is missing: {told}");
    Ok(())
}

fn all(list: &Value) -> &[Value] {
    list.as_array().map_or(&[], Vec::as_slice)
}

#[test]
fn without_a_credential_this_machine_may_all_and_with_one_nobody_without() -> Result<()> {
    let server = open()?;
    let who = get(&server, "/v1/whoami")?;
    ensure!(who["role"] == "admin", "{who}");
    drop(server);
    let server = guarded()?;
    problem(&ask(&server, "GET /v1/broadcasts", &[])?, 401, "")?;
    problem(&ask(&server, "GET /v1/broadcasts", &["-H", "Authorization: Bearer wrong"])?, 401, "")?;
    for role in ROLES {
        let who = ask_as(&server, role, "GET /v1/whoami", &[])?.json()?;
        ensure!(who["role"] == role && who["name"] == format!("the-{role}"), "{who}");
    }
    // Probes have no credential.
    for target in ["/healthz", "/readyz"] {
        ensure!(ask(&server, &format!("GET {target}"), &[])?.status == 200, "{target}");
    }
    Ok(())
}

#[test]
fn each_role_may_what_it_may_and_is_told_what_it_needs_for_the_rest() -> Result<()> {
    let server = guarded()?;
    let requests = [
        ("viewer", "GET /v1/sessions"),
        ("viewer", "GET /v1/config"),
        ("operator", "POST /v1/config/reload"),
        ("operator", "DELETE /v1/sessions/00000000000000ff"),
        ("operator", "DELETE /v1/broadcasts/live%2Fnobody"),
        ("admin", "GET /v1/keys"),
        ("admin", "DELETE /v1/keys/nokey"),
    ];
    for (needed, request) in requests {
        let rank = |role: &str| ROLES.iter().position(|r| *r == role);
        for role in ROLES {
            let answer = ask_as(&server, role, request, &[])?;
            if rank(role) < rank(needed) {
                problem(&answer, 403, needed).with_context(|| format!("{role}: {request}"))?;
            } else {
                ensure!(answer.status != 403 && answer.status < 500, "{role}: {request}: {answer:?}");
            }
        }
    }
    let secrets = ask_as(&server, "viewer", "GET /v1/config?secrets=true", &[])?;
    problem(&secrets, 403, "admin")?;
    let shown = ask_as(&server, "viewer", "GET /v1/config", &[])?;
    ensure!(!shown.body.contains("a-token-for"), "a secret: {shown:?}");
    ensure!(shown.json()?["app"]["live"]["stream_key"] == "********", "a secret: {shown:?}");
    Ok(())
}

/// What reads, and what acts.
const REQUESTS: [&str; 4] =
    ["GET /v1/sessions", "GET /v1/events", "POST /v1/config/reload", "DELETE /v1/broadcasts/live%2Fnobody"];
const FOREIGN: [&str; 4] = [
    "Origin: http://evil.example",
    "Origin: null",
    "Origin: http://127.0.0.1:1",
    "Origin: https://127.0.0.1",
];

#[test]
fn pages_of_other_sites_get_nothing_while_there_is_no_credential() -> Result<()> {
    let server = open()?;
    let own = format!("Origin: http://127.0.0.1:{}", server.ports.admin);
    for request in REQUESTS {
        for host in ["Host: evil.example", "Host: 127.0.0.1.evil.example"] {
            let rebound = ask(&server, request, &["-H", host])?;
            problem(&rebound, 403, "names are refused").with_context(|| format!("{host}: {request}"))?;
        }
        for origin in FOREIGN {
            let foreign = ask(&server, request, &["-H", origin])?;
            problem(&foreign, 403, "another origin").with_context(|| format!("{origin}: {request}"))?;
        }
        let proxied = ask(&server, request, &["-H", "X-Forwarded-For: 192.0.2.7"])?;
        problem(&proxied, 403, "proxy").with_context(|| request.to_owned())?;
        let answer = ask(&server, request, &["-H", &own])?;
        ensure!(matches!(answer.status, 200 | 404), "our own page: {request}: {answer:?}");
    }
    Ok(())
}

/// A program says a token with each request; no page of another site knows it, or gets it said by a browser.
#[test]
fn a_token_is_good_from_anywhere_and_its_absence_from_nowhere() -> Result<()> {
    let server = guarded()?;
    for from in FOREIGN.into_iter().chain(["Host: evil.example", "Host: console.example:9080"]) {
        for request in REQUESTS {
            problem(&ask(&server, request, &["-H", from])?, 401, "credential")
                .with_context(|| format!("{from}: {request}"))?;
            let answer = ask_as(&server, "operator", request, &["-H", from])?;
            ensure!(matches!(answer.status, 200 | 404), "{from}: {request}: {answer:?}");
        }
    }
    Ok(())
}

/// A browser sends the console's cookie for pages of other ports of this host, too.
#[test]
fn the_consoles_cookie_serves_its_own_pages_only() -> Result<()> {
    let server = guarded()?;
    let login = format!("{{\"token\": \"{}\"}}", token("operator"));
    let jar = server.file("cookies");
    let jar = jar.to_str().context("a path")?;
    let json = ["-H", "Content-Type: application/json", "--data", &login, "--cookie-jar", jar];
    let answer = ask(&server, "POST /v1/login", &json)?;
    ensure!(answer.status == 200 && answer.json()?["role"] == "operator", "{answer:?}");
    let own = format!("Origin: http://127.0.0.1:{}", server.ports.admin);
    let cookie = ["--cookie", jar];
    for request in REQUESTS {
        let answer = ask(&server, request, &[&cookie[..], &["-H", &own]].concat())?;
        ensure!(matches!(answer.status, 200 | 404), "our own page: {request}: {answer:?}");
        for origin in FOREIGN {
            let answer = ask(&server, request, &[&cookie[..], &["--include", "-H", origin]].concat())?;
            // Whoever only reads is kept from it by the browser: nothing here allows it to see the answer.
            let cors = answer.body.to_lowercase().contains("access-control-allow");
            ensure!(!cors, "{origin}: {request}: {answer:?}");
            if !request.starts_with("GET") {
                let answer = ask(&server, request, &[&cookie[..], &["-H", origin]].concat())?;
                problem(&answer, 403, "another origin").with_context(|| format!("{origin}: {request}"))?;
            }
        }
    }
    // Whoever can't act can't end the login either.
    let logout = ask(&server, "POST /v1/logout", &[&cookie[..], &["-H", FOREIGN[0]]].concat())?;
    problem(&logout, 403, "another origin")?;
    ensure!(ask(&server, "GET /v1/whoami", &cookie)?.status == 200, "logged out by another site");
    ensure!(ask(&server, "POST /v1/logout", &[&cookie[..], &["-H", &own]].concat())?.status == 204);
    problem(&ask(&server, "GET /v1/whoami", &cookie)?, 401, "log in")
}

/// The viewers that are listed once there are so many, the oldest first.
fn viewers(server: &Server, count: usize) -> Result<Vec<Value>> {
    until(LIMIT, &format!("{count} viewers are listed"), || {
        let listed = get(server, "/v1/sessions?role=viewer")?;
        let listed = all(&listed);
        Ok(if listed.len() == count {
            Look::Found(listed.to_vec())
        } else {
            Look::NotYet(format!("{listed:?}"))
        })
    })
}

#[test]
fn a_session_tells_how_it_fares_and_ends_alone() -> Result<()> {
    let server = open()?;
    let _publisher = publish(&server, "x")?;
    let began = Instant::now();
    let mut one = Viewer::open(&server, "/live/x.flv")?;
    let opened = Instant::now();
    let id = viewers(&server, 1)?[0]["id"].as_str().context("no id")?.to_owned();
    let mut other = Viewer::open(&server, "/live/x.flv")?;
    viewers(&server, 2)?;
    one.watch(Duration::from_secs(2))?;
    let least = opened.elapsed();
    let told = get(&server, &format!("/v1/sessions/{id}"))?;
    let most = began.elapsed();
    ensure!(told["protocol"] == "flv" && told["path"] == "live/x" && told["role"] == "viewer", "{told}");
    ensure!(told["bytes"].as_u64() > Some(1000) && told["skips"] == 0, "{told}");
    let age_s = told["age_s"].as_f64().context("no age")?;
    // It is told in milliseconds, and began before the answer came.
    let range = least.as_secs_f64() - 0.001..=most.as_secs_f64() + 0.001;
    ensure!(range.contains(&age_s), "{age_s} s is not within {range:?}: {told}");

    ensure!(ask(&server, &format!("DELETE /v1/sessions/{id}"), &[])?.status == 204);
    let left = viewers(&server, 1)?;
    ensure!(left[0]["id"] != id.as_str(), "the other one was ended: {left:?}");
    // What was on its way still comes.
    let deadline = Instant::now() + LIMIT;
    while one.one().unwrap_or(false) {
        ensure!(Instant::now() < deadline, "it plays on");
    }
    other.watch(Duration::from_secs(1)).context("the other one was ended too")?;
    let ended = get(&server, "/v1/sessions/ended")?;
    ensure!(all(&ended).len() == 1, "{ended}");
    ensure!(ended[0]["id"] == id.as_str() && ended[0]["reason"] == "kicked", "{ended}");
    ensure!(ended[0]["duration_s"].as_f64() >= Some(age_s), "it lasted less than it was old: {ended}");
    problem(&ask(&server, &format!("DELETE /v1/sessions/{id}"), &[])?, 404, "session")
}

#[test]
fn a_broadcast_tells_its_tracks_and_health_and_is_ended() -> Result<()> {
    let server = open()?;
    let publisher = publish(&server, "x")?;
    let broadcast = get(&server, "/v1/broadcasts/live%2Fx")?;
    let codecs: Vec<_> = all(&broadcast["tracks"]).iter().filter_map(|t| t["codec"].as_str()).collect();
    ensure!(codecs == ["h264", "aac"], "{broadcast}");
    ensure!(broadcast["health"].is_object(), "{broadcast}");
    ensure!(ask(&server, "DELETE /v1/broadcasts/live%2Fx", &[])?.status == 204);
    publisher.ended(LIMIT)?;
    problem(&ask(&server, "GET /v1/broadcasts/live%2Fx", &[])?, 404, "live/x")
}

/// What the metrics say of one series.
fn metric(server: &Server, series: &str) -> Result<f64> {
    let text = ask(server, "GET /metrics", &[])?.body;
    let value = text.lines().find_map(|line| line.strip_prefix(series)?.trim().parse().ok());
    value.with_context(|| format!("no {series} in:\n{text}"))
}

#[test]
fn keyframes_that_are_ten_seconds_apart_are_seen_in_the_api_and_in_metrics() -> Result<()> {
    let server = open()?;
    let gaps = "floodtide_input_keyframe_gaps_total";
    ensure!(metric(&server, gaps)? == 0.0);
    let long_groups = "-re -f lavfi -i testsrc2=size=320x240:rate=25 -c:v libx264 -preset ultrafast -tune zerolatency \
                       -x264-params keyint=250:min-keyint=250:scenecut=0 -f flv";
    let _publisher = Tool::ffmpeg().words(long_groups).arg(server.rtmp("/live/x?key=key")).start()?;
    server.wait_live("live/x")?;
    let health = until(Duration::from_secs(60), "a group ends", || {
        let health = get(&server, "/v1/broadcasts/live%2Fx")?["health"].take();
        let ended = health["groups"]["gaps_lately"] == 1 && health["video"]["variation"].is_number();
        Ok(if ended { Look::Found(health) } else { Look::NotYet(health.to_string()) })
    })?;
    ensure!(health["groups"]["last_s"] == 10.0, "{health}");
    let rate = health["video"]["frames_per_s"].as_f64();
    ensure!(rate.is_some_and(|rate| (20.0..30.0).contains(&rate)), "{health}");
    let advice = all(&health["advice"]).iter().find(|advice| advice["code"] == "keyframes_rare");
    let text = advice.and_then(|advice| advice["text"].as_str()).unwrap_or_default();
    ensure!(text.contains("Keyframe Interval") && text.contains("-g 50"), "{health}");
    ensure!(metric(&server, gaps)? == 1.0);
    for series in [
        "floodtide_input_advice{code=\"keyframes_rare\"}",
        "floodtide_input_keyframe_interval{range=\"to 10 s\"}",
        "floodtide_input_frame_rate{range=\"to 26\"}",
    ] {
        ensure!(metric(&server, series)? == 1.0, "{series}");
    }
    Ok(())
}

/// The events that a follower has printed whole: ids, and what belongs to them.
fn told(events: &Running) -> Vec<(u64, String)> {
    let text = events.text_so_far();
    let whole = text.rsplit_once("\n\n").map_or("", |(whole, _)| whole);
    let id = |event: &str| event.lines().find_map(|line| line.strip_prefix("id:")?.trim().parse().ok());
    whole.split("\n\n").filter_map(|event| Some((id(event)?, event.to_owned()))).collect()
}

/// The same, once an event has this.
fn told_with(events: &Running, part: &str) -> Result<Vec<(u64, String)>> {
    until(LIMIT, &format!("{part:?} comes"), || {
        let told = told(events);
        let found = told.iter().any(|(_, event)| event.contains(part));
        Ok(if found { Look::Found(told) } else { Look::NotYet(events.text_so_far()) })
    })
}

/// The ids of the events that are kept, once one of them is about `path`; the oldest first.
fn kept_with(server: &Server, path: &str) -> Result<Vec<u64>> {
    until(LIMIT, &format!("an event about {path} is listed"), || {
        let list = get(server, "/v1/events")?;
        let ids = all(&list).iter().filter_map(|event| event["id"].as_u64()).collect();
        let found = all(&list).iter().any(|event| event["path"] == path);
        Ok(if found { Look::Found(ids) } else { Look::NotYet(list.to_string()) })
    })
}

fn follow(server: &Server, more: &[&str]) -> Result<Running> {
    let mut curl =
        Tool::new("curl").words("--silent --no-buffer --max-time 60 -H").arg("Accept: text/event-stream");
    for word in more {
        curl = curl.arg(word);
    }
    curl.arg(format!("http://127.0.0.1:{}/v1/events", server.ports.admin)).start()
}

#[test]
fn what_happens_is_told_as_it_happens_and_from_where_a_follower_stopped() -> Result<()> {
    let server = open()?;
    let events = follow(&server, &[])?;
    // The place where it begins has an id, and no data.
    told_with(&events, "id:")?;
    let first = publish(&server, "first")?;
    let before = told_with(&events, "live/first")?;
    drop(events);
    let (last, _) = before.last().context("no event")?;
    drop(first);
    // All of this happens while nobody follows.
    let _second = publish(&server, "second")?;
    let kept = kept_with(&server, "live/second")?;
    let missed: Vec<u64> = kept.into_iter().filter(|id| id > last).collect();

    let resumed = follow(&server, &["-H", &format!("Last-Event-ID: {last}")])?;
    let told = told_with(&resumed, "live/second")?;
    let ids: Vec<u64> = told.iter().map(|(id, _)| *id).collect();
    ensure!(ids[0] == *last && !told[0].1.contains("data:"), "the place where it goes on: {told:?}");
    ensure!(ids[1..].starts_with(&missed[..missed.len().min(ids.len() - 1)]), "not {missed:?}: {told:?}");
    ensure!(ids.is_sorted_by(|a, b| a < b), "not in order: {ids:?}");

    // Who names no place begins at now.
    let fresh = follow(&server, &[])?;
    let begins = told_with(&fresh, "id:")?;
    ensure!(begins[0].0 >= missed[missed.len() - 1], "{begins:?} after {missed:?}");
    ensure!(!fresh.text_so_far().contains("live/first"), "what is long over: {}", fresh.text_so_far());
    Ok(())
}

#[test]
fn a_key_made_over_the_api_publishes_at_once_and_its_end_is_its_publishers() -> Result<()> {
    let server = open()?;
    let json =
        ["-H", "Content-Type: application/json", "--data", "{\"path\": \"live/**\", \"note\": \"a test\"}"];
    let made = ask(&server, "POST /v1/keys", &json)?;
    ensure!(made.status == 201, "{made:?}");
    let made = made.json()?;
    let (id, secret) = (made["id"].as_str().context("no id")?, made["secret"].as_str().context("no secret")?);
    let publisher = Publisher::start(server.ports.rtmp, &format!("x?key={secret}"), &clips::long()?)?;
    server.wait_live("live/x")?;
    let listed = get(&server, "/v1/keys")?;
    ensure!(!listed.to_string().contains(secret), "the secret is shown again: {listed}");
    ensure!(ask(&server, &format!("DELETE /v1/keys/{id}"), &[])?.status == 204);
    publisher.ended(LIMIT).map(drop)
}

#[test]
fn what_is_wrong_in_a_request_is_said_and_is_never_the_servers_fault() -> Result<()> {
    let server = open()?;
    let json = ["-H", "Content-Type: application/json", "--data"];
    problem(&ask(&server, "GET /v1/nothing", &[])?, 404, "openapi")?;
    problem(&ask(&server, "GET /v1/broadcasts/live%2Fnobody", &[])?, 404, "live/nobody")?;
    problem(&ask(&server, "GET /v1/sessions/nonsense", &[])?, 400, "hexadecimal")?;
    problem(&ask(&server, "GET /v1/sessions?limit=many", &[])?, 400, "limit")?;
    problem(&ask(&server, "GET /v1/sessions?limit=0", &[])?, 400, "limit")?;
    problem(&ask(&server, "PUT /v1/keys", &[])?, 405, "method")?;
    for (body, status, part) in [
        ("{", 400, "EOF"),
        ("", 400, "EOF"),
        ("\u{1}", 400, "line 1"),
        ("[]", 422, "invalid"),
        ("7", 422, "invalid"),
        ("{}", 422, "path"),
        ("{\"path\": 7}", 422, "path"),
        ("{\"path\": \"live/x\", \"unknown\": 1}", 422, "unknown"),
        ("{\"path\": \"\"}", 400, "path: "),
        ("{\"path\": \"live/x\", \"expires\": \"tomorrow\"}", 400, "expires: "),
    ] {
        let answer = ask(&server, "POST /v1/keys", &[&json[..], &[body]].concat())?;
        problem(&answer, status, part).with_context(|| format!("{body:?}"))?;
    }
    let typeless = ask(&server, "POST /v1/keys", &["-H", "Content-Type: text/plain", "--data", "{}"])?;
    problem(&typeless, 415, "application/json")?;
    let made = get(&server, "/v1/keys")?;
    ensure!(all(&made).is_empty(), "keys were made: {made}");
    // A mebibyte is the most that a body may have.
    let file = server.file("large");
    std::fs::write(&file, " ".repeat((1 << 20) + 1))?;
    let data = format!("@{}", file.display());
    let large = ["-H", "Content-Type: application/json", "-H", "Expect:", "--data-binary", &data];
    for request in ["POST /v1/keys", "POST /v1/config/check"] {
        problem(&ask(&server, request, &large)?, 413, "").with_context(|| request.to_owned())?;
    }
    Ok(())
}

#[test]
fn a_body_that_never_comes_is_not_waited_for_and_counted() -> Result<()> {
    let server = open()?;
    let counted = || server.metric("floodtide_limited_total{limit=\"http_body\"}");
    ensure!(counted()? == 0.0);
    let mut socket = TcpStream::connect(("127.0.0.1", server.ports.admin))?;
    socket.set_read_timeout(Some(LIMIT))?;
    let head = "POST /v1/keys HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n\
                Content-Length: 40\r\nConnection: close\r\n\r\n{\"path\":";
    socket.write_all(head.as_bytes())?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").with_context(|| format!("no answer: {answer:?}"))?;
    let kind = head.to_lowercase().contains("content-type: application/problem+json");
    ensure!(head.starts_with("HTTP/1.1 408 ") && kind && body.contains("in time"), "{answer}");
    ensure!(counted()? == 1.0, "{} are counted", counted()?);
    Ok(())
}

#[test]
fn a_store_of_keys_that_is_damaged_is_said_and_not_overwritten() -> Result<()> {
    let server = open()?;
    let file = server.state().join("keys.json");
    std::fs::create_dir_all(server.state())?;
    std::fs::write(&file, "half of")?;
    problem(&ask(&server, "GET /v1/keys", &[])?, 503, "the log")?;
    let json = ["-H", "Content-Type: application/json", "--data", "{\"path\": \"live/**\"}"];
    problem(&ask(&server, "POST /v1/keys", &json)?, 503, "the log")?;
    ensure!(std::fs::read_to_string(&file)? == "half of", "what could be mended by hand is gone");
    ensure!(server.log().contains("keys.json is damaged"), "{}", server.log());
    Ok(())
}

#[test]
fn the_server_tells_how_it_fares() -> Result<()> {
    let server = open()?;
    let _publisher = publish(&server, "x")?;
    let mut viewer = Viewer::open(&server, "/live/x.flv")?;
    viewer.watch(Duration::from_secs(1))?;
    let version = get(&server, "/v1/version")?;
    ensure!(version["version"] == env!("CARGO_PKG_VERSION"), "{version}");
    let stats = get(&server, "/v1/stats")?;
    ensure!(stats["uptime_s"].as_f64() > Some(1.0) && stats["publishes"] == 1, "{stats}");
    ensure!(stats["ingest_bytes"].as_u64() > Some(1000), "{stats}");
    ensure!(stats["egress_bytes"]["flv"].as_u64() > Some(1000), "{stats}");
    ensure!(stats["refusals"] == serde_json::json!({}) && stats["timestamp_repairs"] == 0, "{stats}");
    let node = get(&server, "/v1/node")?;
    ensure!(node["version"] == version["version"] && node["phase"] == "serving", "{node}");
    ensure!(node["broadcasts"] == 1 && node["ingest"]["publishers"] == 1, "{node}");
    ensure!(node["egress"]["viewers"] == 1, "{node}");
    ensure!(node["memory"]["rss"].as_u64() > Some(1 << 20), "{node}");
    let open = node["descriptors"]["open"].as_u64();
    ensure!(open > Some(3) && open <= node["descriptors"]["max"].as_u64(), "{node}");
    ensure!((0.0..=1.0).contains(&node["cpu"]["busy"].as_f64().context("no share")?), "{node}");
    for request in ["/v1/pulls", "/v1/restreams"] {
        ensure!(get(&server, request)? == serde_json::json!([]), "{request}");
    }
    Ok(())
}
