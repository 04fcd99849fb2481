//! The API over HTTP: who may what, what is told, what can be ended, and that nothing that comes in makes it fail.

use anyhow::{Context, Result, ensure};
use e2e::wait::{Look, until};
use e2e::{Publisher, Running, Server, Tool, Viewer, clips};
use serde_json::Value;
use std::time::Duration;

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

/// A refusal that says why, in the form of RFC 9457.
#[track_caller]
fn problem(answer: &Answer, status: u16, part: &str) -> Result<()> {
    ensure!(answer.status == status && answer.kind.starts_with("application/problem+json"), "{answer:?}");
    ensure!(
        answer.body.contains(part) && answer.json()?["status"] == status,
        "{part:?} is missing: {answer:?}"
    );
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

#[test]
fn pages_of_other_sites_get_nothing() -> Result<()> {
    let server = open()?;
    let rebound = ask(&server, "GET /v1/sessions", &["-H", "Host: evil.example"])?;
    ensure!((400..500).contains(&rebound.status), "{rebound:?}");
    for request in ["GET /v1/sessions", "POST /v1/config/reload", "POST /v1/keys"] {
        let foreign = ask(&server, request, &["-H", "Origin: http://evil.example", "--data", "{}"])?;
        ensure!((400..500).contains(&foreign.status), "{request}: {foreign:?}");
    }
    let own = format!("Origin: http://127.0.0.1:{}", server.ports.admin);
    ensure!(ask(&server, "GET /v1/sessions", &["-H", &own])?.status == 200);
    Ok(())
}

#[test]
fn a_session_tells_how_it_fares_and_ends_alone() -> Result<()> {
    let server = open()?;
    let _publisher = publish(&server, "x")?;
    let (mut one, mut other) = (Viewer::open(&server, "/live/x.flv")?, Viewer::open(&server, "/live/x.flv")?);
    one.watch(Duration::from_secs(2))?;
    let viewers = get(&server, "/v1/sessions?role=viewer")?;
    ensure!(all(&viewers).len() == 2, "{viewers}");
    let first = &viewers[0];
    ensure!(first["protocol"] == "flv" && first["path"] == "live/x", "{first}");
    ensure!(first["bytes"].as_u64() > Some(1000) && first["skips"] == 0, "{first}");
    let id = first["id"].as_str().context("no id")?;
    ensure!(ask(&server, &format!("DELETE /v1/sessions/{id}"), &[])?.status == 204);
    until(LIMIT, "one of the two is ended", || {
        let left = get(&server, "/v1/sessions?role=viewer")?;
        Ok(if all(&left).len() == 1 { Look::Found(()) } else { Look::NotYet(left.to_string()) })
    })?;
    let goes_on = other.watch(Duration::from_secs(1)).is_ok() || one.watch(Duration::from_secs(1)).is_ok();
    ensure!(goes_on, "the other one was ended too");
    let ended = get(&server, "/v1/sessions/ended")?;
    ensure!(ended[0]["id"] == id && ended[0]["reason"] == "kicked", "{ended}");
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

/// What curl has printed so far has this.
fn printed(events: &Running, part: &str) -> Result<String> {
    until(LIMIT, &format!("{part:?} comes"), || {
        let text = events.text_so_far();
        Ok(if text.contains(part) { Look::Found(text) } else { Look::NotYet(text) })
    })
}

fn follow(server: &Server, more: &[&str]) -> Result<Running> {
    let mut curl =
        Tool::new("curl").words("--silent --no-buffer --max-time 20 -H").arg("Accept: text/event-stream");
    for word in more {
        curl = curl.arg(word);
    }
    curl.arg(format!("http://127.0.0.1:{}/v1/events", server.ports.admin)).start()
}

#[test]
fn what_happens_is_told_as_it_happens_and_from_where_a_follower_stopped() -> Result<()> {
    let server = open()?;
    let events = follow(&server, &[])?;
    printed(&events, "\n\n")?;
    let first = publish(&server, "first")?;
    let text = printed(&events, "live/first")?;
    let last = text
        .lines()
        .filter_map(|line| line.strip_prefix("id:"))
        .next_back()
        .context("no id")?
        .trim()
        .to_owned();
    drop(events);
    drop(first);
    let _second = publish(&server, "second")?;
    let resumed = follow(&server, &["-H", &format!("Last-Event-ID: {last}")])?;
    printed(&resumed, "live/second")?;
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
    problem(&ask(&server, "GET /v1/nothing", &[])?, 404, "")?;
    problem(&ask(&server, "GET /v1/broadcasts/live%2Fnobody", &[])?, 404, "live/nobody")?;
    problem(&ask(&server, "GET /v1/sessions/nonsense", &[])?, 400, "")?;
    problem(&ask(&server, "GET /v1/sessions?limit=many", &[])?, 400, "limit")?;
    problem(&ask(&server, "PUT /v1/keys", &[])?, 405, "")?;
    for body in ["{", "[]", "{\"path\": 7}", "{\"path\": \"live/x\", \"unknown\": 1}", "\u{1}", ""] {
        let answer = ask(&server, "POST /v1/keys", &[&json[..], &[body]].concat())?;
        ensure!((400..500).contains(&answer.status), "{body:?}: {answer:?}");
    }
    let large = "x".repeat(120_000);
    let answer = ask(&server, "POST /v1/config/check", &["--data", &large])?;
    ensure!(answer.status < 500, "{answer:?}");
    for request in ["GET /v1/version", "GET /v1/stats", "GET /v1/node", "GET /v1/pulls", "GET /v1/restreams"]
    {
        ensure!(ask(&server, request, &[])?.json()?.is_object() || request.ends_with('s'), "{request}");
    }
    Ok(())
}
