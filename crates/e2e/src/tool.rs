//! Programs of others: ffmpeg, ffprobe, curl, openssl, players.

use crate::folder::project;
use crate::server;
use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use std::ffi::OsStr;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A command in the making.
#[derive(Debug)]
pub struct Tool {
    command: Command,
    shown: String,
}

/// A command that was started; killed when it goes out of scope.
#[derive(Debug)]
pub struct Running {
    child: Child,
    shown: String,
    out: Pipe,
    log: Pipe,
}

/// What a program has written so far, and the thread that reads on.
#[derive(Debug)]
struct Pipe {
    bytes: Arc<Mutex<Vec<u8>>>,
    reader: Option<JoinHandle<()>>,
}

/// A command that ended.
#[derive(Debug)]
pub struct Finished {
    /// How.
    pub status: ExitStatus,
    /// Its standard output.
    pub out: Vec<u8>,
    /// Its standard error.
    pub log: String,
    shown: String,
}

/// Between two looks at a process.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// More of a log is not shown.
const LOG_BYTES_SHOWN: usize = 4000;

impl Tool {
    /// Any program.
    pub fn new(program: impl AsRef<OsStr>) -> Tool {
        let shown = program.as_ref().to_string_lossy().into_owned();
        Tool { command: Command::new(program), shown }
    }

    /// The system's ffmpeg, quiet but for warnings.
    pub fn ffmpeg() -> Tool {
        Tool::new("ffmpeg").words("-hide_banner -nostdin -v warning -y")
    }

    /// ffmpeg 9, of `FFMPEG9` or of `scripts/install-test-tools.sh`.
    pub fn ffmpeg9() -> Tool {
        let installed = || project().join("target/test-tools/ffmpeg9");
        let program = std::env::var_os("FFMPEG9").map_or_else(installed, PathBuf::from);
        Tool::new(program).words("-hide_banner -nostdin -v warning -y")
    }

    /// ffprobe.
    pub fn ffprobe() -> Tool {
        Tool::new("ffprobe").words("-hide_banner -v warning")
    }

    /// The binary under test, for its other commands.
    pub fn floodtide() -> Tool {
        Tool::new(server::binary())
    }

    /// Where the binary under test is, for programs that start it.
    pub fn floodtide_path() -> PathBuf {
        server::binary()
    }

    /// Adds arguments that have no spaces.
    #[must_use]
    pub fn words(mut self, words: &str) -> Tool {
        for word in words.split_whitespace() {
            self = self.arg(word);
        }
        self
    }

    /// Adds one argument.
    #[must_use]
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Tool {
        self.shown.push(' ');
        self.shown.push_str(&argument.as_ref().to_string_lossy());
        self.command.arg(argument);
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Tool {
        self.command.env(name, value);
        self
    }

    /// Starts it.
    ///
    /// # Errors
    /// When there is no such program.
    pub fn start(self) -> Result<Running> {
        self.start_with(Stdio::null())
    }

    /// Starts it with an input of ours: see [`Running::say`].
    ///
    /// # Errors
    /// When there is no such program.
    pub fn start_to_talk(self) -> Result<Running> {
        self.start_with(Stdio::piped())
    }

    fn start_with(mut self, input: Stdio) -> Result<Running> {
        let command = self.command.stdin(input).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().with_context(|| {
            format!("can't run {}: scripts/install-test-tools.sh installs it", self.shown)
        })?;
        let out = Pipe::new(child.stdout.take().context("no output")?);
        let log = Pipe::new(child.stderr.take().context("no log")?);
        Ok(Running { child, shown: self.shown, out, log })
    }

    /// Runs it to its end.
    ///
    /// # Errors
    /// When it isn't over within `limit`.
    pub fn run(self, limit: Duration) -> Result<Finished> {
        self.start()?.finish(limit)
    }

    /// Runs it to its end, which must be a good one.
    ///
    /// # Errors
    /// When it isn't over within `limit`, or failed.
    pub fn succeed(self, limit: Duration) -> Result<Finished> {
        let finished = self.run(limit)?;
        ensure!(finished.status.success(), "{finished}");
        Ok(finished)
    }
}

impl Running {
    /// Waits for its end.
    ///
    /// # Errors
    /// When it isn't over within `limit`; then it is killed.
    pub fn finish(mut self, limit: Duration) -> Result<Finished> {
        let began = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait()? {
                break status;
            }
            if began.elapsed() > limit {
                self.kill()?;
                bail!("killed after {limit:?}: {}", self.collect(None)?);
            }
            std::thread::sleep(LOOK_EVERY);
        };
        self.collect(Some(status))
    }

    /// Whether it still runs.
    ///
    /// # Errors
    /// When the system can't say.
    pub fn is_running(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has written to its standard output so far.
    pub fn out_so_far(&self) -> Vec<u8> {
        self.out.so_far()
    }

    /// What it has written so far, output and then log, as text.
    pub fn text_so_far(&self) -> String {
        [self.out.so_far(), self.log.so_far()]
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .concat()
    }

    /// Writes a line to its standard input.
    ///
    /// # Errors
    /// When it reads no more, or was started without an input.
    pub fn say(&mut self, line: &str) -> Result<()> {
        let input = self.child.stdin.as_mut().context("started without an input")?;
        writeln!(input, "{line}").with_context(|| format!("{} reads no more", self.shown))
    }

    /// Ends it with SIGKILL: it says goodbye to nobody.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    fn collect(&mut self, status: Option<ExitStatus>) -> Result<Finished> {
        let status = status.map_or_else(|| self.child.wait(), Ok)?;
        let out = self.out.rest();
        let log = String::from_utf8_lossy(&self.log.rest()).into_owned();
        Ok(Finished { status, out, log, shown: self.shown.clone() })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Fails only when it ended by itself.
        let _ = self.kill();
    }
}

impl Finished {
    /// Its standard output as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.out).into_owned()
    }

    /// Its standard output as JSON.
    ///
    /// # Errors
    /// When it is none.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_slice(&self.out).with_context(|| format!("no JSON: {self}"))
    }
}

impl std::fmt::Display for Finished {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let end = |text: &str| {
            let from = text.char_indices().rev().nth(LOG_BYTES_SHOWN).map_or(0, |(at, _)| at);
            text[from..].to_owned()
        };
        write!(f, "{}\n{}: {}\n{}", self.shown, self.status, end(&self.log), end(&self.text()))
    }
}

impl Pipe {
    /// Reads a pipe to its end, or the program would wait for us.
    fn new(mut pipe: impl Read + Send + 'static) -> Pipe {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let reader = std::thread::spawn({
            let bytes = Arc::clone(&bytes);
            move || {
                let mut buffer = [0; 16 << 10];
                // What was read before an error counts.
                while let Ok(count @ 1..) = pipe.read(&mut buffer) {
                    bytes.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&buffer[..count]);
                }
            }
        });
        Pipe { bytes, reader: Some(reader) }
    }

    fn so_far(&self) -> Vec<u8> {
        self.bytes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// All of it, after the program's end.
    fn rest(&mut self) -> Vec<u8> {
        if let Some(reader) = self.reader.take() {
            // It has no reason to panic.
            let _ = reader.join();
        }
        self.so_far()
    }
}
