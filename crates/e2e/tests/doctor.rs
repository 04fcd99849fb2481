//! `floodtide doctor` finds what stands in the way, says what to do, and ends with 1.

use anyhow::{Context, Result, ensure};
use e2e::{Finished, Folder, Server, Tool};
use serde_json::Value;
use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(30);

/// Ports that nobody takes from this test: the doctor only tries them.
const ANY_PORTS: [(&str, &str); 4] = [
    ("FLOODTIDE_RTMP__LISTEN", "127.0.0.1:0"),
    ("FLOODTIDE_HTTP__LISTEN", "127.0.0.1:0"),
    ("FLOODTIDE_ADMIN__LISTEN", "127.0.0.1:0"),
    ("FLOODTIDE_WEBRTC__LISTEN", "127.0.0.1:0"),
];

/// The doctor with these settings, in the hands of another program: `["setpriv", "--…"]`.
fn doctor(inside: &[&str], settings: &[(&str, &str)]) -> Result<Finished> {
    let folder = Folder::new()?;
    let binary = Tool::floodtide_path();
    let mut words: Vec<&std::ffi::OsStr> = inside.iter().map(AsRef::as_ref).collect();
    words.extend([binary.as_os_str(), "doctor".as_ref(), "--json".as_ref()]);
    let mut tool = Tool::new(words[0]).env("FLOODTIDE_STATE__FOLDER", folder.file("state"));
    for word in &words[1..] {
        tool = tool.arg(word);
    }
    for (name, value) in ANY_PORTS.iter().chain(settings) {
        tool = tool.env(name, value);
    }
    tool.run(LIMIT)
}

/// What was found about one thing.
fn finding(done: &Finished, check: &str) -> Result<Value> {
    let json = done.json()?;
    let findings = json["findings"].as_array().context("no findings")?;
    let found = findings.iter().find(|finding| finding["check"] == check);
    Ok(found.with_context(|| format!("nothing about {check}: {json:#}"))?.clone())
}

/// One thing fails, so the doctor ends with 1; `text` and `advice` are parts of what it says.
fn fails(done: &Finished, check: &str, text: &str, advice: &str) -> Result<()> {
    let finding = finding(done, check)?;
    ensure!(finding["verdict"] == "failure", "{finding:#}");
    ensure!(finding["found"].as_str().is_some_and(|found| found.contains(text)), "{finding:#}");
    ensure!(finding["advice"].as_str().is_some_and(|said| said.contains(advice)), "{finding:#}");
    ensure!(done.status.code() == Some(1), "{done}");
    Ok(())
}

#[test]
fn a_machine_that_can_serve_is_told_so() -> Result<()> {
    let done = doctor(&[], &[("FLOODTIDE_PUBLISH__STREAM_KEY", "long enough")])?;
    ensure!(done.status.success(), "{done}");
    ensure!(done.json()?["ok"] == true);
    ensure!(finding(&done, "port of rtmp.listen")?["verdict"] == "ok", "{done}");
    let text = Tool::floodtide().arg("doctor").run(LIMIT)?.text();
    for part in ["STATE", "CHECK", "FOUND", "version", "clock", "failures"] {
        ensure!(text.contains(part), "{part} is missing in:\n{text}");
    }
    Ok(())
}

#[test]
fn who_has_a_busy_port_is_named() -> Result<()> {
    let taken = TcpListener::bind("127.0.0.1:0")?;
    let address = taken.local_addr()?.to_string();
    let done = doctor(&[], &[("FLOODTIDE_HTTP__LISTEN", &address)])?;
    let process = format!("process {}", std::process::id());
    fails(&done, "port of http.listen", &process, "set http.listen to another address")
}

#[test]
fn a_port_of_the_system_needs_a_right_and_the_doctor_says_which() -> Result<()> {
    // A network of its own, where nothing was changed about such ports.
    let inside = ["unshare", "--net", "setpriv", "--bounding-set=-net_bind_service"];
    let done = doctor(&inside, &[("FLOODTIDE_RTMP__LISTEN", "0.0.0.0:81")])?;
    fails(
        &done,
        "port of rtmp.listen",
        "0.0.0.0:81 is for the system's programs only",
        "CAP_NET_BIND_SERVICE",
    )
}

#[test]
fn few_descriptors_fail() -> Result<()> {
    let done = doctor(&["prlimit", "--nofile=256:256"], &[])?;
    fails(&done, "open files", "at most 256", "LimitNOFILE=")
}

fn certificate(folder: &Folder, days: &str) -> Result<()> {
    let openssl = |words: &str| Tool::new("openssl").words(words);
    let (request, key, names) = (folder.file("r.pem"), folder.file("k.pem"), folder.file("names"));
    std::fs::write(&names, "subjectAltName=DNS:localhost,IP:127.0.0.1\n")?;
    openssl("req -newkey rsa:2048 -nodes -subj /CN=localhost -keyout")
        .arg(&key)
        .arg("-out")
        .arg(&request)
        .succeed(LIMIT)?;
    let sign = openssl("x509 -req -days").arg(days).arg("-in").arg(&request).arg("-signkey").arg(&key);
    sign.arg("-extfile").arg(&names).arg("-out").arg(folder.file("c.pem")).succeed(LIMIT)?;
    Ok(())
}

fn with_certificate(certificate: &Path, key: &Path) -> Result<Finished> {
    let (certificate, key) = (certificate.to_string_lossy(), key.to_string_lossy());
    doctor(
        &[],
        &[
            ("FLOODTIDE_TLS__CERTIFICATE", &certificate),
            ("FLOODTIDE_TLS__KEY", &key),
            ("FLOODTIDE_RTMP__TLS_LISTEN", "127.0.0.1:0"),
            ("FLOODTIDE_HTTP__TLS_LISTEN", "127.0.0.1:0"),
        ],
    )
}

#[test]
fn a_certificate_is_judged_by_its_time_and_names() -> Result<()> {
    let folder = Folder::new()?;
    let (path, key) = (folder.file("c.pem"), folder.file("k.pem"));
    certificate(&folder, "-1")?;
    fails(&with_certificate(&path, &key)?, "certificate", "expired", "renew it")?;
    certificate(&folder, "5")?;
    let soon = with_certificate(&path, &key)?;
    ensure!(finding(&soon, "certificate")?["verdict"] == "warning", "{soon}");
    certificate(&folder, "90")?;
    let good = with_certificate(&path, &key)?;
    ensure!(finding(&good, "certificate")?["verdict"] == "ok", "{good}");
    ensure!(finding(&good, "certificate's names")?["found"] == "localhost, 127.0.0.1", "{good}");
    ensure!(finding(&good, "name localhost")?["verdict"] == "ok", "{good}");
    ensure!(good.status.success(), "{good}");
    Ok(())
}

#[test]
fn a_certificate_that_cannot_be_used_fails() -> Result<()> {
    let (one, other) = (Folder::new()?, Folder::new()?);
    certificate(&one, "90")?;
    certificate(&other, "90")?;
    let torn = with_certificate(&one.file("c.pem"), &other.file("k.pem"))?;
    fails(&torn, "certificate", "don't fit each other", "tls.certificate and tls.key")?;
    let none = with_certificate(&one.file("nothing.pem"), &one.file("k.pem"))?;
    fails(&none, "certificate", "can't read the certificate", "tls.certificate")
}

#[test]
fn a_state_folder_that_cannot_be_written_fails() -> Result<()> {
    let folder = Folder::new()?;
    let file = folder.file("state");
    std::fs::write(&file, "")?;
    let done = doctor(&[], &[("FLOODTIDE_STATE__FOLDER", &file.to_string_lossy())])?;
    fails(&done, "state folder", "is a file, not a folder", "set state.folder")?;
    let bare = folder.file("bare");
    std::fs::create_dir(&bare)?;
    let bare = bare.to_string_lossy();
    // Root may write anywhere but on a disk that nobody may.
    let mount = format!("mount -t tmpfs -o ro none '{bare}' && exec \"$0\" \"$@\"");
    let inside = ["unshare", "--mount", "sh", "-c", &mount];
    let done = doctor(&inside, &[("FLOODTIDE_STATE__FOLDER", &bare)])?;
    fails(&done, "state folder", "Read-only file system", "set state.folder")
}

#[test]
fn a_webhook_whose_name_nobody_knows_fails() -> Result<()> {
    let folder = Folder::new()?;
    let file = folder.file("floodtide.toml");
    std::fs::write(&file, "[webhook]\npublish = ['https://hooks.invalid/x']\n")?;
    let done = doctor(&[], &[("FLOODTIDE_CONFIG", &file.to_string_lossy())])?;
    fails(&done, "name hooks.invalid", "can't be looked up", "resolv.conf")
}

#[test]
fn a_configuration_that_is_refused_fails() -> Result<()> {
    let done = doctor(&[], &[("FLOODTIDE_HTTP__LISTEM", "x")])?;
    fails(&done, "configuration", "did you mean `listen`?", "floodtide config check")
}

#[test]
fn the_server_that_runs_is_known_and_asked() -> Result<()> {
    let server = Server::serve("[publish]\nstream_key = 'long enough'\n")?;
    let at = |port: u16| format!("127.0.0.1:{port}");
    let (rtmp, http, admin) = (at(server.ports.rtmp), at(server.ports.http), at(server.ports.admin));
    let webrtc = at(server.ports.webrtc);
    let settings = [
        ("FLOODTIDE_RTMP__LISTEN", &*rtmp),
        ("FLOODTIDE_HTTP__LISTEN", &*http),
        ("FLOODTIDE_ADMIN__LISTEN", &*admin),
        ("FLOODTIDE_WEBRTC__LISTEN", &*webrtc),
    ];
    let done = doctor(&[], &settings)?;
    ensure!(done.status.success(), "{done}");
    let used = format!("{rtmp} is used by floodtide, process {}", server.pid());
    ensure!(finding(&done, "port of rtmp.listen")?["found"] == used, "{done}");
    let used = format!("{webrtc}/udp is used by floodtide, process {}", server.pid());
    ensure!(finding(&done, "port of webrtc.listen")?["found"] == used, "{done}");
    let used = format!("{webrtc} is used by floodtide, process {}", server.pid());
    ensure!(finding(&done, "port of webrtc.listen by TCP")?["found"] == used, "{done}");
    ensure!(finding(&done, "running server")?["found"] == format!("ready at {admin}"), "{done}");
    Ok(())
}
