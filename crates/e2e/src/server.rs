//! The server under test.

use crate::folder::{Folder, project};
use crate::http;
use crate::wait::{Look, until};
use anyhow::{Context, Result, bail};
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
}

/// From start to ready; generous, since two tests share two cores.
const READY_MAX: Duration = Duration::from_secs(20);
/// From the first frame to the list of broadcasts.
const LIVE_MAX: Duration = Duration::from_secs(10);

impl Server {
    /// `floodtide serve` with this configuration file.
    ///
    /// # Errors
    /// When it can't be started or isn't ready in time.
    pub fn serve(toml: &str) -> Result<Server> {
        let folder = Folder::new()?;
        let config = folder.file("floodtide.toml");
        std::fs::write(&config, toml)?;
        let mut command = Command::new(binary());
        command.arg("serve").arg("--config").arg(&config);
        Server::start(command, folder)
    }

    /// `floodtide demo --no-clip`, where anyone publishes; `settings` are environment variables.
    ///
    /// # Errors
    /// When it can't be started or isn't ready in time.
    pub fn demo(settings: &[(&str, &str)]) -> Result<Server> {
        let mut command = Command::new(binary());
        command.args(["demo", "--no-clip"]).envs(settings.iter().copied());
        Server::start(command, Folder::new()?)
    }

    /// `floodtide demo`, which publishes its clip as `live/demo`.
    ///
    /// # Errors
    /// When it can't be started or isn't ready in time.
    pub fn demo_clip() -> Result<Server> {
        let mut command = Command::new(binary());
        command.arg("demo");
        Server::start(command, Folder::new()?)
    }

    fn start(mut command: Command, folder: Folder) -> Result<Server> {
        let ports = free_ports()?;
        for (flag, port) in [("--rtmp", ports.rtmp), ("--http", ports.http), ("--admin", ports.admin)] {
            command.args([flag, &format!("127.0.0.1:{port}")]);
        }
        command
            .env("FLOODTIDE_RTMP__TLS_LISTEN", format!("127.0.0.1:{}", ports.rtmps))
            .env("FLOODTIDE_HTTP__TLS_LISTEN", format!("127.0.0.1:{}", ports.https))
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .stdout(std::fs::File::create(folder.file("out"))?)
            .stderr(std::fs::File::create(folder.file("log"))?);
        let child = command.spawn().with_context(|| {
            format!("can't start {}: cargo build --release -p floodtide", binary().display())
        })?;
        let mut server = Server { child, ports, folder };
        until(READY_MAX, "the server answers /readyz", || {
            if let Some(status) = server.child.try_wait()? {
                bail!("the server ended with {status}:\n{}", server.log());
            }
            Ok(match http::fetch(ports.admin, "/readyz", &[]) {
                Ok(answer) if answer.status == 200 => Look::Found(()),
                Ok(answer) => Look::NotYet(format!("status {}", answer.status)),
                Err(error) => Look::NotYet(format!("{error:#}")),
            })
        })?;
        Ok(server)
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

/// The binary: `FLOODTIDE`, or the release build.
pub(crate) fn binary() -> PathBuf {
    std::env::var_os("FLOODTIDE").map_or_else(|| project().join("target/release/floodtide"), PathBuf::from)
}

/// Ports below those that the system gives to clients, so that none is taken between the look and the server's start.
/// Tests of other processes begin their search elsewhere.
fn free_ports() -> Result<Ports> {
    const FIRST: u32 = 20_000;
    const BLOCKS: u32 = 1500;
    const BLOCK: u32 = 8;
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    for _ in 0..BLOCKS {
        let block = (std::process::id() + 97 * TAKEN.fetch_add(1, Ordering::Relaxed)) % BLOCKS;
        let port = |n| u16::try_from(FIRST + block * BLOCK + n).unwrap_or(0);
        let ports = Ports { rtmp: port(0), rtmps: port(1), http: port(2), https: port(3), admin: port(4) };
        let all = [ports.rtmp, ports.rtmps, ports.http, ports.https, ports.admin];
        if all.iter().all(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok()) {
            return Ok(ports);
        }
    }
    bail!("no free ports from {FIRST} on")
}
