//! The API's description is a valid one, and the running server keeps to it whatever is asked.

use anyhow::{Result, ensure};
use e2e::{Folder, Publisher, Server, Tool, Viewer, clips, project};
use std::path::PathBuf;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(240);

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

/// Requests made up from the description, good and bad ones, in a fixed order; a publisher and a viewer are there to be
/// listed, kicked and ended.
#[test]
fn the_server_keeps_to_its_description_whatever_is_asked() -> Result<()> {
    let server = Server::serve(
        "[app.live]\nstream_key = 'key'\n[[auth.jwt]]\nsecret = 'long-enough-for-a-signature-of-256-bits'\n",
    )?;
    let _publisher = Publisher::start(server.ports.rtmp, "x?key=key", &clips::long()?)?;
    server.wait_live("live/x")?;
    let _viewer = Viewer::open(&server, "/live/x.flv")?;
    let url = format!("http://127.0.0.1:{}", server.ports.admin);
    // It keeps notes where it runs.
    let folder = Folder::new()?;
    let run = Tool::new("env")
        .arg("-C")
        .arg(folder.path())
        .arg(program("schemathesis"))
        .words("run --seed 9457 --max-examples 40 --request-timeout 5 --no-color");
    let run = run.words("--checks not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance");
    // These two answer for ever when they are asked for events.
    let run = run.words("--exclude-path /v1/events --exclude-path /v1/logs --url").arg(&url);
    let run = run
        .env("PYTHONPATH", project().join("crates/e2e/checks"))
        .env("SCHEMATHESIS_HOOKS", "floodtide_hooks");
    let done = run.arg(format!("{url}/v1/openapi.json")).run(LIMIT)?;
    ensure!(done.status.success(), "{done}");
    ensure!(server.log().contains("is ready") && !server.log().contains("panicked"), "{}", server.log());
    Ok(())
}
