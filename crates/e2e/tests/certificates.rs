//! Certificates: several by name, replaced while the server runs, and got by ACME from pebble.

use anyhow::{Context, Result, ensure};
use e2e::wait::{Look, until};
use e2e::{Certificate, Folder, Pebble, Publisher, Server, Tool, clips};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A disk that is busy with something else holds up whoever writes for half a minute and more, the log too.
const LIMIT: Duration = Duration::from_secs(120);

/// A certificate of its own for one name: the paths of certificate and key.
fn make(folder: &Path, file: &str, name: &str) -> Result<(PathBuf, PathBuf)> {
    std::fs::create_dir_all(folder)?;
    let Certificate { chain, key } = Certificate::make(folder, file, name)?;
    Ok((chain, key))
}

/// Whether a client that trusts only this certificate gets an answer from `https://NAME`.
fn answers(server: &Server, name: &str, trusted: &Path) -> Result<bool> {
    let (port, url) = (server.ports.https, format!("https://{name}:{}/", server.ports.https));
    let curl = Tool::new("curl").words("--silent --output /dev/null --cacert").arg(trusted);
    let curl = curl.arg("--resolve").arg(format!("{name}:{port}:127.0.0.1")).arg(url);
    Ok(curl.run(LIMIT)?.status.success())
}

fn wait_answers(server: &Server, name: &str, trusted: &Path) -> Result<()> {
    until(LIMIT, &format!("{name} has the certificate {}", trusted.display()), || {
        let answers = answers(server, name, trusted)?;
        Ok(if answers { Look::Found(()) } else { Look::NotYet(server.log()) })
    })
}

#[test]
fn a_client_gets_the_certificate_of_the_name_that_it_asks_for() -> Result<()> {
    let folder = Folder::new()?;
    let place = folder.file("");
    let (one, one_key) = make(&place, "one", "one.test")?;
    let (two, two_key) = make(&place, "two", "*.two.test")?;
    let tls = format!("[tls]\ncertificate = {one:?}\nkey = {one_key:?}\n");
    let pair = format!("[[tls.pair]]\ncertificate = {two:?}\nkey = {two_key:?}\n");
    let server = Server::serve(&format!("{tls}{pair}"))?;
    ensure!(answers(&server, "one.test", &one)?);
    ensure!(answers(&server, "a.two.test", &two)?);
    ensure!(!answers(&server, "other.test", &two)?, "who asks for another name gets the first");
    server.configure(&tls)?;
    server.wait_logged("configuration reloaded")?;
    ensure!(!answers(&server, "a.two.test", &two)?, "it is not configured any more");
    Ok(())
}

#[test]
fn a_replaced_certificate_is_for_new_connections_and_a_bad_one_is_refused() -> Result<()> {
    let folder = Folder::new()?;
    let place = folder.file("");
    // As Kubernetes does: the files are links into a folder that is a link, which is replaced.
    let (old, _) = make(&folder.file("v1"), "tls", "one.test")?;
    let (new, _) = make(&folder.file("v2"), "tls", "one.test")?;
    std::os::unix::fs::symlink("v1", place.join("data"))?;
    for file in ["tls.pem", "tls.key"] {
        std::os::unix::fs::symlink(format!("data/{file}"), place.join(file))?;
    }
    let (certificate, key) = (place.join("tls.pem"), place.join("tls.key"));
    let server = Server::serve(&format!(
        "[publish]\nstream_key = 'k'\n[tls]\ncertificate = {certificate:?}\nkey = {key:?}\n"
    ))?;
    let _publisher = Publisher::start(server.ports.rtmp, "x?key=k", &clips::long()?)?;
    server.wait_live("live/x")?;
    let viewer = Tool::new("curl").words("--silent --insecure --no-buffer --output").arg(folder.file("body"));
    let mut viewer = viewer.arg(server.https("/live/x.flv")).start()?;
    wait_answers(&server, "one.test", &old)?;
    let swap = |to: &str| -> Result<()> {
        std::os::unix::fs::symlink(to, place.join("next"))?;
        Ok(std::fs::rename(place.join("next"), place.join("data"))?)
    };
    swap("v2")?;
    wait_answers(&server, "one.test", &new)?;
    ensure!(!answers(&server, "one.test", &old)?);

    std::fs::create_dir(folder.file("v3"))?;
    std::fs::copy(folder.file("v1/tls.pem"), folder.file("v3/tls.pem"))?;
    std::fs::copy(folder.file("v2/tls.key"), folder.file("v3/tls.key"))?;
    swap("v3")?;
    server.wait_logged("don't fit each other")?;
    ensure!(answers(&server, "one.test", &new)?, "the old one stays");
    std::fs::remove_file(folder.file("v3/tls.pem"))?;
    swap("v1")?;
    wait_answers(&server, "one.test", &old)?;
    let bytes = || std::fs::metadata(folder.file("body")).map_or(0, |body| body.len());
    let before = bytes();
    until(LIMIT, "the viewer from before goes on", || {
        ensure!(viewer.is_running()?, "the viewer was cut");
        Ok(if bytes() > before { Look::Found(()) } else { Look::NotYet(before.to_string()) })
    })
}

#[test]
fn a_certificate_is_got_from_pebble_kept_and_not_asked_for_again() -> Result<()> {
    let folder = Folder::new()?;
    let (own, key) = make(&folder.file("own"), "tls", "one.test")?;
    let config = format!("[tls]\ncertificate = {own:?}\nkey = {key:?}\n");
    let mut server = Server::serve(&config)?;
    let state = server.file("state");
    let pebble = Pebble::start(server.ports.http)?;
    let acme = acme(&pebble, "'live.test', 'cdn.live.test'");
    server.configure(&format!("{config}{acme}contact = 'ops@example.org'\n"))?;
    server.wait_logged("got a certificate")?;
    let root = pebble.root()?;
    for (name, trusted) in [("live.test", &root), ("cdn.live.test", &root), ("one.test", &own)] {
        ensure!(answers(&server, name, trusted)?, "{name}: {}", server.log());
    }
    ensure!(server.metric("floodtide_certificate_ends_seconds")? > 1e9);
    // Disks may take their time.
    until(LIMIT, "the certificate is stored", || {
        let stored = state.join("acme/certificate.pem").exists();
        Ok(if stored { Look::Found(()) } else { Look::NotYet(server.log()) })
    })?;
    for file in ["account.json", "certificate.pem"] {
        let mode = std::fs::metadata(state.join("acme").join(file))?.permissions().mode();
        ensure!(mode & 0o777 == 0o600, "{file} has mode {mode:o}");
    }
    let kept = std::fs::read(state.join("acme/certificate.pem"))?;
    server.restart()?;
    ensure!(answers(&server, "live.test", &root)?, "it is there at once: {}", server.log());
    ensure!(std::fs::read(state.join("acme/certificate.pem"))? == kept, "it was got anew");
    ensure!(server.log().matches("got a certificate").count() == 1);
    // One more name needs another certificate; the account stays.
    let account = std::fs::read(state.join("acme/account.json"))?;
    server.configure(&format!("{config}{}", acme.replace("'live.test'", "'live.test', 'more.test'")))?;
    wait_answers(&server, "more.test", &root)?;
    ensure!(std::fs::read(state.join("acme/account.json"))? == account, "another account");
    Ok(())
}

#[test]
fn a_name_that_is_not_ours_is_refused_with_the_reason_of_the_authority() -> Result<()> {
    // Nobody listens where the authority asks.
    let pebble = Pebble::start(1)?;
    let acme = acme(&pebble, "'live.test'");
    let server = Server::serve(&acme)?;
    server.wait_logged("connection refused")?;
    let log = server.log();
    let line = log.lines().find(|line| line.contains("getting a certificate fails")).context("no line")?;
    ensure!(line.contains("live.test") && line.contains("retry_s"), "{line}");
    let curl = Tool::new("curl").words("--silent --insecure --output /dev/null").arg(server.https("/"));
    ensure!(!curl.run(LIMIT)?.status.success(), "there is no certificate yet");
    Ok(())
}

/// The section for these hosts.
fn acme(pebble: &Pebble, hosts: &str) -> String {
    let (directory, ca) = (pebble.directory(), pebble.ca());
    format!("[tls.acme]\nhosts = [{hosts}]\naccept_terms = true\ndirectory = '{directory}'\nca = {ca:?}\n")
}
