//! The server under test.

use crate::folder::{Folder, project};
use crate::http;
use crate::wait::{Look, until};
use anyhow::{Context, Result, bail};
use std::ffi::{OsStr, OsString};
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// A running server on ports of its own; killed when it goes out of scope.
#[derive(Debug)]
pub struct Server {
    child: Child,
    /// Where it listens.
    pub ports: Ports,
    folder: Folder,
    arguments: Vec<OsString>,
    settings: Vec<(String, String)>,
}

/// Where a server listens, on 127.0.0.1.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Ports {
    pub rtmp: u16,
    pub rtmps: u16,
    pub http: u16,
    pub https: u16,
    pub admin: u16,
    /// UDP.
    pub webrtc: u16,
    /// UDP.
    pub srt: u16,
    /// Of a program beside the server.
    pub beside: u16,
}

/// A process whose successor serves; killed when it goes out of scope.
#[derive(Debug)]
pub struct Old(Child);

impl Old {
    /// Whether it still runs.
    ///
    /// # Errors
    /// When the system doesn't say.
    pub fn runs(&mut self) -> Result<bool> {
        Ok(self.0.try_wait()?.is_none())
    }
}

impl Drop for Old {
    fn drop(&mut self) {
        // Both fail only when it ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// From start to ready; generous, since two tests share two cores.
const READY_MAX: Duration = Duration::from_secs(20);
/// From the first frame to the list of broadcasts.
const LIVE_MAX: Duration = Duration::from_secs(10);
/// A disk that is busy with something else holds up whoever writes for half a minute and more, the log too.
const LOG_MAX: Duration = Duration::from_secs(120);

impl Server {
    /// `floodtide serve` with this configuration file.
    ///
    /// # Errors
    /// When it can't be started or isn't ready in time.
    pub fn serve(toml: &str) -> Result<Server> {
        Server::serve_with(toml, &[])
    }

    /// The same with environment variables.
    ///
    /// # Errors
    /// When it can't be started or isn't ready in time.
    pub fn serve_with(toml: &str, settings: &[(&str, &str)]) -> Result<Server> {
        let folder = Folder::new()?;
        let config = folder.file("floodtide.toml");
        std::fs::write(&config, toml)?;
        Server::start(&["serve".as_ref(), "--config".as_ref(), config.as_os_str()], settings, folder)
    }

    /// `floodtide demo --no-clip`, where anyone publishes; `settings` are environment variables.
    ///
    /// # Errors
    /// When it can't be started or isn't ready in time.
    pub fn demo(settings: &[(&str, &str)]) -> Result<Server> {
        Server::start(&["demo".as_ref(), "--no-clip".as_ref()], settings, Folder::new()?)
    }

    /// `floodtide demo`, which publishes its clip as `live/demo`.
    ///
    /// # Errors
    /// When it can't be started or isn't ready in time.
    pub fn demo_clip() -> Result<Server> {
        Server::start(&["demo".as_ref()], &[], Folder::new()?)
    }

    fn start(arguments: &[&OsStr], settings: &[(&str, &str)], folder: Folder) -> Result<Server> {
        let ports = free_ports()?;
        let mut arguments: Vec<OsString> = arguments.iter().map(Into::into).collect();
        let flags = [
            ("--rtmp", ports.rtmp),
            ("--http", ports.http),
            ("--admin", ports.admin),
            ("--webrtc", ports.webrtc),
            ("--srt", ports.srt),
        ];
        for (flag, port) in flags {
            arguments.extend([flag.into(), format!("127.0.0.1:{port}").into()]);
        }
        let mut settings: Vec<_> = settings.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        for (name, port) in [("RTMP", ports.rtmps), ("HTTP", ports.https)] {
            settings.push((format!("FLOODTIDE_{name}__TLS_LISTEN"), format!("127.0.0.1:{port}")));
        }
        let state = folder.file("state").to_string_lossy().into_owned();
        settings.push(("FLOODTIDE_STATE__FOLDER".to_owned(), state));
        let child = spawn(&arguments, &settings, &folder)?;
        let mut server = Server { child, ports, folder, arguments, settings };
        server.wait_ready()?;
        Ok(server)
    }

    /// Ends it with SIGKILL and starts it again, on the same ports and as it was.
    ///
    /// # Errors
    /// When it isn't ready again in time.
    pub fn restart(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        self.child = spawn(&self.arguments, &self.settings, &self.folder)?;
        self.wait_ready()
    }

    /// A second process that takes over from this one: the same ports, the same state folder. What was the server is the
    /// old one from then on; it is returned.
    ///
    /// # Errors
    /// When it can't be started or isn't ready in time.
    pub fn succeed(&mut self) -> Result<Old> {
        let mut arguments = self.arguments.clone();
        arguments.push("--take-over".into());
        let new = spawn(&arguments, &self.settings, &self.folder)?;
        let old = Old(std::mem::replace(&mut self.child, new));
        until(READY_MAX, "the new process serves", || {
            let log = self.log();
            Ok(if log.matches("floodtide is ready").count() > 1 {
                Look::Found(())
            } else {
                Look::NotYet(log)
            })
        })?;
        self.wait_ready()?;
        Ok(old)
    }

    /// Its state folder.
    pub fn state(&self) -> PathBuf {
        self.folder.file("state")
    }

    fn wait_ready(&mut self) -> Result<()> {
        until(READY_MAX, "the server answers /readyz", || {
            if let Some(status) = self.child.try_wait()? {
                bail!("the server ended with {status}:\n{}", self.log());
            }
            Ok(match http::fetch(self.ports.admin, "/readyz", &[]) {
                Ok(answer) if answer.status == 200 => Look::Found(()),
                Ok(answer) => Look::NotYet(format!("status {}", answer.status)),
                Err(error) => Look::NotYet(format!("{error:#}")),
            })
        })
    }

    /// `http://127.0.0.1:PORT` with this path.
    pub fn http(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.ports.http)
    }

    /// `https://127.0.0.1:PORT` with this path.
    pub fn https(&self, path: &str) -> String {
        format!("https://127.0.0.1:{}{path}", self.ports.https)
    }

    /// `rtmp://127.0.0.1:PORT` with this path.
    pub fn rtmp(&self, path: &str) -> String {
        format!("rtmp://127.0.0.1:{}{path}", self.ports.rtmp)
    }

    /// `srt://127.0.0.1:PORT` with this stream id, as it is, and the rest of a query.
    pub fn srt(&self, stream_id: &str, more: &str) -> String {
        format!("srt://127.0.0.1:{}?streamid={stream_id}{more}", self.ports.srt)
    }

    /// `rtmps://127.0.0.1:PORT` with this path.
    pub fn rtmps(&self, path: &str) -> String {
        format!("rtmps://127.0.0.1:{}{path}", self.ports.rtmps)
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until the list of broadcasts has `path`.
    ///
    /// # Errors
    /// When it doesn't in time.
    pub fn wait_live(&self, path: &str) -> Result<()> {
        until(LIVE_MAX, &format!("{path} is live"), || {
            let list = http::fetch(self.ports.http, "/api/broadcasts", &[])?.json()?;
            let paths: Vec<_> = list["broadcasts"].as_array().into_iter().flatten().collect();
            let live = paths
                .iter()
                .any(|b| b["path"] == path && b["video"].as_str().or(b["audio"].as_str()).is_some());
            Ok(if live { Look::Found(()) } else { Look::NotYet(format!("{list}; log:\n{}", self.log())) })
        })
    }

    /// The sum of a metric over its labels; zero when it isn't there.
    ///
    /// # Errors
    /// When `/metrics` doesn't answer.
    pub fn metric(&self, name: &str) -> Result<f64> {
        let text = http::fetch(self.ports.admin, "/metrics", &[])?.text()?;
        let of_name = |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '{']));
        Ok(text.lines().filter(of_name).filter_map(|l| l.rsplit(' ').next()?.parse::<f64>().ok()).sum())
    }

    /// Waits until it ends by itself.
    ///
    /// # Errors
    /// When it still runs after `limit`.
    pub fn exit(&mut self, limit: Duration) -> Result<ExitStatus> {
        until(limit, "the server ends", || {
            Ok(match self.child.try_wait()? {
                Some(status) => Look::Found(status),
                None => Look::NotYet("it runs".to_owned()),
            })
        })
    }

    /// Writes its configuration file anew, in one step.
    ///
    /// # Errors
    /// When the file can't be written.
    pub fn configure(&self, toml: &str) -> Result<()> {
        let (new, file) = (self.folder.file("floodtide.toml.new"), self.folder.file("floodtide.toml"));
        std::fs::write(&new, toml)?;
        Ok(std::fs::rename(&new, &file)?)
    }

    /// What it logged and printed.
    pub fn log(&self) -> String {
        let read = |name| std::fs::read_to_string(self.folder.file(name)).unwrap_or_default();
        format!("{}{}", read("out"), read("log"))
    }

    /// Waits until the log has `text`.
    ///
    /// # Errors
    /// When it doesn't in time.
    pub fn wait_logged(&self, text: &str) -> Result<()> {
        until(LOG_MAX, &format!("the log says {text:?}"), || {
            let log = self.log();
            Ok(if log.contains(text) { Look::Found(()) } else { Look::NotYet(log) })
        })
    }

    /// The path of a new file beside its log.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.file(name)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Test runners show this when the test failed.
        println!("the server's log:\n{}", self.log());
        // Both fail only when it ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts the binary; what it writes goes behind what an earlier one wrote.
fn spawn(arguments: &[OsString], settings: &[(String, String)], folder: &Folder) -> Result<Child> {
    let file = |name| std::fs::File::options().create(true).append(true).open(folder.file(name));
    let mut command = Command::new(binary());
    command.args(arguments).envs(settings.iter().map(|(name, value)| (name, value))).env("NO_COLOR", "1");
    command.stdin(Stdio::null()).stdout(file("out")?).stderr(file("log")?);
    command
        .spawn()
        .with_context(|| format!("can't start {}: cargo build --release -p floodtide", binary().display()))
}

/// The binary: `FLOODTIDE`, or the release build.
pub(crate) fn binary() -> PathBuf {
    std::env::var_os("FLOODTIDE").map_or_else(|| project().join("target/release/floodtide"), PathBuf::from)
}

/// Ports below those that the system gives to clients, so that none is taken between the look and the server's start.
/// Tests of other processes begin their search elsewhere.
pub(crate) fn free_ports() -> Result<Ports> {
    const FIRST: u32 = 20_000;
    const BLOCKS: u32 = 1500;
    const BLOCK: u32 = 8;
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    for _ in 0..BLOCKS {
        let block = (std::process::id() + 97 * TAKEN.fetch_add(1, Ordering::Relaxed)) % BLOCKS;
        let port = |n| u16::try_from(FIRST + block * BLOCK + n).unwrap_or(0);
        let [rtmp, rtmps, http, https, admin, beside, webrtc, srt] = [0, 1, 2, 3, 4, 5, 6, 7].map(port);
        let ports = Ports { rtmp, rtmps, http, https, admin, webrtc, srt, beside };
        let all = [rtmp, rtmps, http, https, admin, beside];
        if all.iter().all(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok()) {
            return Ok(ports);
        }
    }
    bail!("no free ports from {FIRST} on")
}
