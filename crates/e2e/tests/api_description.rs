//! The API's description is a valid one, and the running server keeps to it whatever is asked.

use anyhow::{Context, Result, ensure};
use e2e::http::Connection;
use e2e::{Folder, Server, Tool, project};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

/// The run takes 15 s on two idle cores.
const LIMIT: Duration = Duration::from_secs(240);
const TOKEN: &str = "a-token-for-tests-with-many-more-bytes-than-needed";
/// Cases for each operation, beside those that are made of its description's limits.
const CASES: &str = "20";
/// Of all checks that there are: some valid requests ask for what can't be, such as a path that nobody may have; and who
/// shows wrong credentials again and again has to wait, so `tests/api.rs` looks at these.
const CHECKS_LEFT_OUT: &str = "positive_data_acceptance,ignored_auth";

/// A program of the tests' Python environment.
fn program(name: &str) -> PathBuf {
    // Another folder is where it is run.
    let tools = project().join("target/test-tools/venv/bin");
    std::path::absolute(tools.join(name)).unwrap_or_default()
}

#[test]
fn the_description_is_valid_openapi() -> Result<()> {
    let description = project().join("docs/api/openapi.json");
    let done = Tool::new(program("openapi-spec-validator")).arg(description).run(LIMIT)?;
    ensure!(done.status.success(), "{done}");
    Ok(())
}

/// A section of a pull or a restream that is tried again soon.
fn always(section: &str) -> String {
    format!("{section}\nretry_min = '100ms'\nretry_max = '200ms'\n")
}

/// Publishers and viewers that come back whatever is done to them; and two connections that never succeed.
fn config(source: &Server, itself: Option<&Server>) -> String {
    let mut config = format!(
        "[[admin.token]]\nname = 'tests'\nrole = 'admin'\ntoken = '{TOKEN}'\n\
         [[auth.jwt]]\nsecret = '{TOKEN}'\n[[auth.url]]\nkid = 'a'\nsecret = '{TOKEN}'\n\
         [stage]\nstages_max = 10000\nmatches_max = 10000\n"
    );
    let pull = |path: &str, from: String| {
        always(&format!("[[pull]]\npath = '{path}'\nfrom = '{from}'\nwhen = 'always'"))
    };
    config.push_str(&pull("live/show", source.rtmp("/live/demo")));
    if let Some(server) = itself {
        config.push_str(&pull("live/again", server.http("/live/show.flv")));
    }
    let nobody = format!("127.0.0.1:{}", source.ports.beside);
    config.push_str(&format!(
        "[[pull]]\npath = 'live/never'\nfrom = 'http://{nobody}/live/x.flv'\nwhen = 'always'\nretry_min = '60s'\nretry_max = '60s'\n\
         [[restream]]\npath = 'live/*'\nto = 'rtmp://{nobody}/live/{{name}}'\nretry_min = '60s'\nretry_max = '60s'\n"
    ));
    config
}

fn get(server: &Server, target: &str) -> Result<Value> {
    let bearer = format!("Bearer {TOKEN}");
    Connection::open(server.ports.admin)?.request("GET", target, &[("Authorization", &bearer)])?.json()
}

/// Requests made up from the description, good and bad ones, from a fixed seed. Whoever is listed may be kicked and ended.
#[test]
fn the_server_keeps_to_its_description_whatever_is_asked() -> Result<()> {
    let source = Server::demo_clip()?;
    source.wait_live("live/demo")?;
    let server = Server::serve(&config(&source, None))?;
    server.configure(&config(&source, Some(&server)))?;
    for path in ["live/show", "live/again"] {
        server.wait_live(path)?;
    }
    // It keeps notes where it runs.
    let folder = Folder::new()?;
    let url = format!("http://127.0.0.1:{}", server.ports.admin);
    let run = Tool::new("env").arg("-C").arg(folder.path()).arg(program("schemathesis"));
    let run = run.words("run --seed 9457 --request-timeout 5 --no-color --max-examples").arg(CASES);
    let run = run.words("--checks all --exclude-checks").arg(CHECKS_LEFT_OUT);
    // Ten wrong credentials, and nothing else would be answered.
    let run = run.words("--exclude-path /v1/login -H").arg(format!("Authorization: Bearer {TOKEN}"));
    let run = run
        .env("PYTHONPATH", std::path::absolute(project().join("crates/e2e/checks"))?)
        .env("SCHEMATHESIS_HOOKS", "floodtide_hooks")
        .env("FLOODTIDE_API", &url)
        .env("FLOODTIDE_TOKEN", TOKEN);
    let description = std::path::absolute(project().join("docs/api/openapi.json"))?;
    let done = run.arg("--url").arg(&url).arg(description).run(LIMIT)?;
    ensure!(done.status.success(), "{}", done.text());
    ensure!(!server.log().contains("panicked"), "{}", server.log());
    every_operation_succeeded(&std::fs::read_to_string(folder.file("answers"))?)?;
    let stats = get(&server, "/v1/stats")?;
    for ends in ["publisher_ends", "viewer_ends"] {
        ensure!(stats[ends]["kicked"].as_u64() > Some(0), "nobody was kicked, so little was tried: {stats}");
    }
    for path in ["live/show", "live/again"] {
        server.wait_live(path)?;
    }
    Ok(())
}

/// Otherwise only refusals would have been compared with the description.
fn every_operation_succeeded(answers: &str) -> Result<()> {
    let succeeded: BTreeSet<&str> =
        answers.lines().filter_map(|line| line.rsplit_once(" 2").map(|(operation, _)| operation)).collect();
    let description = std::fs::read_to_string(project().join("docs/api/openapi.json"))?;
    let description: Value = serde_json::from_str(&description)?;
    let paths = description["paths"].as_object().context("no paths")?;
    let all = paths.iter().flat_map(|(path, item)| {
        let methods = item.as_object().into_iter().flat_map(serde_json::Map::keys);
        methods.map(move |method| format!("{} {path}", method.to_uppercase()))
    });
    let never: Vec<_> =
        all.filter(|one| one != "POST /v1/login" && !succeeded.contains(one.as_str())).collect();
    ensure!(never.is_empty(), "these were never answered well: {never:?}");
    Ok(())
}
