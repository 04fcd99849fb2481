//! `floodtide doctor` finds what stands in the way, says what to do, and ends with 1.

use anyhow::{Context, Result, ensure};
use e2e::{Finished, Folder, Server, Tool, project};
use serde_json::Value;
use std::net::{TcpListener, UdpSocket};
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

/// One thing could be better; `text` and `advice` are parts of what is said.
fn warns(done: &Finished, check: &str, text: &str, advice: &str) -> Result<()> {
    let finding = finding(done, check)?;
    ensure!(finding["verdict"] == "warning", "{finding:#}");
    ensure!(finding["found"].as_str().is_some_and(|found| found.contains(text)), "{finding:#}");
    ensure!(finding["advice"].as_str().is_some_and(|said| said.contains(advice)), "{finding:#}");
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
    let media = finding(&done, "webrtc media")?;
    ensure!(media["found"] == format!("{webrtc} let us in by TCP, and refuse no datagrams"), "{media:#}");
    // Another of this machine's addresses, where the server doesn't listen.
    let elsewhere = [&settings[..], &[("FLOODTIDE_WEBRTC__ADDRESSES", "[\"127.0.0.9\"]")]].concat();
    let done = doctor(&[], &elsewhere)?;
    let found = format!("127.0.0.9:{} lets nobody in by TCP", server.ports.webrtc);
    warns(&done, "webrtc media", &found, &format!("let UDP and TCP {} through", server.ports.webrtc))
}

/// Answers every STUN request with this address, on a thread that ends with the test's process.
fn stun_server(told: [u8; 4]) -> Result<String> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    let address = socket.local_addr()?.to_string();
    std::thread::spawn(move || {
        let mut request = [0; 512];
        while let Ok((20.., from)) = socket.recv_from(&mut request) {
            let cookie = &request[4..8];
            let masked = told.iter().zip(cookie).map(|(byte, mask)| byte ^ mask).collect();
            let attribute = [vec![0, 0x20, 0, 8, 0, 1, 0, 0], masked].concat();
            let answer = [&[1, 1, 0, 12], &request[4..20], &attribute[..]].concat();
            if socket.send_to(&answer, from).is_err() {
                break;
            }
        }
    });
    Ok(address)
}

#[test]
fn the_address_that_webrtc_is_reached_by_is_judged() -> Result<()> {
    // All of this machine's addresses, in a network where it has none to the outside.
    let inside = ["unshare", "--net", "sh", "-c", "ip link set lo up; exec \"$0\" \"$@\""];
    let everywhere = ("FLOODTIDE_WEBRTC__LISTEN", "0.0.0.0:8000");
    let done = doctor(&inside, &[everywhere])?;
    warns(&done, "webrtc address", "127.0.0.1:8000 (this machine's own): nobody", "set webrtc.addresses")?;
    let addresses = ("FLOODTIDE_WEBRTC__ADDRESSES", "[\"1.2.3.4\", \"10.0.0.5\"]");
    let done = doctor(&inside, &[everywhere, addresses])?;
    let address = finding(&done, "webrtc address")?;
    ensure!(address["verdict"] == "ok", "{address:#}");
    ensure!(address["found"] == "answers name 1.2.3.4:8000, 10.0.0.5:8000 (webrtc.addresses)", "{address:#}");
    let off = doctor(&[], &[("FLOODTIDE_WEBRTC__ENABLED", "false")])?;
    ensure!(finding(&off, "webrtc address").is_err(), "{off}");
    Ok(())
}

#[test]
fn what_a_stun_server_sees_is_named_by_the_doctor_and_in_answers() -> Result<()> {
    let stun = stun_server([1, 2, 3, 4])?;
    let asking = ("FLOODTIDE_WEBRTC__STUN", &*stun);
    let done = doctor(&[], &[asking])?;
    let address = finding(&done, "webrtc address")?;
    ensure!(address["verdict"] == "ok", "{address:#}");
    ensure!(
        address["found"].as_str().is_some_and(|found| found.contains("name 1.2.3.4:0, 127.0.0.1:0")),
        "{address:#}"
    );
    let set = ("FLOODTIDE_WEBRTC__ADDRESSES", "[\"5.6.7.8\"]");
    warns(&doctor(&[], &[asking, set])?, "webrtc address", "sees us as 1.2.3.4", "set webrtc.addresses")?;
    let nobody = UdpSocket::bind("127.0.0.1:0")?.local_addr()?.to_string();
    let done = doctor(&[], &[("FLOODTIDE_WEBRTC__STUN", &nobody)])?;
    warns(&done, "webrtc address", "told nothing", "name another STUN server")?;
    let server = Server::demo(&[asking])?;
    let publisher = Tool::ffmpeg().words("-re -i").arg(project().join("demo/clip.flv"));
    let _publisher = publisher.words("-c copy -f flv").arg(server.rtmp("/live/x")).start()?;
    server.wait_live("live/x")?;
    let offer = project().join("crates/node/src/gateway/webrtc/captures/chromium-plays.sdp");
    let play = Tool::new("curl").words("-s -H Content-Type:application/sdp --data-binary");
    let play = play.arg(format!("@{}", offer.display())).arg(server.http("/live/x/whep"));
    let (answer, port) = (play.succeed(LIMIT)?.text(), server.ports.webrtc);
    for address in ["1.2.3.4", "127.0.0.1"] {
        ensure!(answer.contains(&format!(" {address} {port} typ host")), "{address}:\n{answer}");
    }
    Ok(())
}
