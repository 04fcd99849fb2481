//! The program that codes pictures anew: ffmpeg, as a process of its own.

use super::feeding::Container;
use std::collections::VecDeque;
use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};

/// One that runs. It ends with this value, and by itself when this process is gone: then there is nothing left to read.
#[derive(Debug)]
pub(super) struct Program {
    child: Child,
    pub(super) stdin: ChildStdin,
    pub(super) stdout: ChildStdout,
    pub(super) complaints: Complaints,
}

/// The last lines of its standard error.
///
/// Overflow policy: the oldest lines, and what a line has too much, are lost.
#[derive(Debug)]
pub(super) struct Complaints {
    from: Option<ChildStderr>,
    lines: VecDeque<String>,
    line: Vec<u8>,
}

/// Lines that are kept: the first of them tell what went wrong, the last that it did.
const LINES_MAX: usize = 8;
/// Bytes of a line that are kept; a screen's width, and a long path.
const LINE_BYTES_MAX: usize = 300;
/// How long one that was killed is waited for. The system takes some milliseconds; one that hangs in it is left to it.
const END_MAX: Duration = Duration::from_secs(2);
/// Of the server's surroundings, what the program is told. The others may be secrets.
const SURROUNDINGS: [&str; 3] = ["PATH", "LD_LIBRARY_PATH", "TMPDIR"];
/// Bits a second for each pixel, at most: 3.7 Mbit/s at 720p, 8.3 at 1080p.
const BITS_PER_PIXEL: u64 = 4;
/// For very small pictures.
const BITS_LEAST: u64 = 500_000;
/// Where the size isn't known.
const PIXELS_USUAL: u64 = 1920 * 1080;

/// Where a program is: what has a slash in it is a path, else `PATH` is looked through. None if it isn't there, or nobody may run it.
pub fn find(name: &str) -> Option<PathBuf> {
    let runs = |path: &Path| {
        std::fs::metadata(path).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
    };
    if name.contains('/') {
        return Some(PathBuf::from(name)).filter(|path| runs(path));
    }
    let folders = std::env::var_os("PATH")?;
    std::env::split_paths(&folders)
        .map(|folder| folder.join(name))
        .find(|path| !name.is_empty() && runs(path))
}

impl Program {
    /// Starts it for pictures of that size.
    ///
    /// # Errors
    /// When the system can't.
    pub(super) fn start(
        path: &Path,
        container: Container,
        size: Option<(u32, u32)>,
    ) -> std::io::Result<Program> {
        let mut command = Command::new(path);
        command.args(arguments(container, size)).env_clear().kill_on_drop(true);
        for name in SURROUNDINGS {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        // A signal from the terminal is for the server, which ends it in its time.
        command.process_group(0);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let no_pipe = || std::io::Error::other("no pipe to it");
        Ok(Program {
            stdin: child.stdin.take().ok_or_else(no_pipe)?,
            stdout: child.stdout.take().ok_or_else(no_pipe)?,
            complaints: Complaints { from: child.stderr.take(), lines: VecDeque::new(), line: Vec::new() },
            child,
        })
    }

    /// Its number in the system, as long as it runs.
    pub(super) fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Ends it now; how it ended, if it had done so by itself, and what it complained of last.
    pub(super) async fn end(mut self) -> String {
        let by_itself = self.child.try_wait().ok().flatten();
        // It may be gone already.
        let _ = self.child.start_kill();
        let _ = tokio::time::timeout(END_MAX, self.child.wait()).await;
        // All of it is there by now.
        let _ = tokio::time::timeout(END_MAX, self.complaints.rest()).await;
        let how = by_itself.map(|status| status.to_string());
        how.into_iter().chain(self.complaints.lines).collect::<Vec<_>>().join("; ")
    }
}

impl Complaints {
    /// Takes in what it says next. Never ready once it says nothing more.
    pub(super) async fn next(&mut self) {
        let mut bytes = [0; 1024];
        let Some(from) = &mut self.from else { return std::future::pending().await };
        match from.read(&mut bytes).await {
            Ok(0) | Err(_) => self.from = None,
            Ok(count) => self.take(&bytes[..count]),
        }
    }

    async fn rest(&mut self) {
        while self.from.is_some() {
            self.next().await;
        }
        self.take(b"\n");
    }

    fn take(&mut self, bytes: &[u8]) {
        for byte in bytes {
            match byte {
                b'\n' | b'\r' if self.line.is_empty() => {}
                b'\n' | b'\r' => {
                    if self.lines.len() >= LINES_MAX {
                        self.lines.pop_front();
                    }
                    self.lines
                        .push_back(String::from_utf8_lossy(&std::mem::take(&mut self.line)).into_owned());
                }
                _ if self.line.len() >= LINE_BYTES_MAX => {}
                // Nothing that a terminal would take for a command.
                byte => self.line.push(if byte.is_ascii_control() { b' ' } else { *byte }),
            }
        }
    }
}

/// How it is called.
fn arguments(container: Container, size: Option<(u32, u32)>) -> Vec<String> {
    let pixels = size.map_or(PIXELS_USUAL, |(width, height)| u64::from(width) * u64::from(height));
    let bits = (pixels * BITS_PER_PIXEL).max(BITS_LEAST).to_string();
    // One frame after the other is decoded, since decoding several at a time holds each back by as many. The format is said, so that
    // nothing has to be guessed from the first seconds.
    let input = format!(
        "-hide_banner -nostdin -nostats -loglevel error -protocol_whitelist pipe -probesize {} -analyzeduration 0 \
         -thread_type slice -f {} -i pipe:0",
        container.probe_bytes(),
        container.name(),
    );
    // Times stay as they are, to the millisecond, and keyframes where they were: who joins begins there, and so does a group.
    let output = "-map 0:v:0 -copyts -enc_time_base 1/1000 -force_key_frames source -g 600 -sc_threshold 0 -c:v libx264 \
         -preset veryfast -tune zerolatency -bf 0 -profile:v baseline -pix_fmt yuv420p -crf 23";
    let rest = ["-maxrate", &bits, "-bufsize", &bits];
    let sink = "-f flv -flvflags no_duration_filesize -flush_packets 1 pipe:1";
    let words = input.split_whitespace().chain(output.split_whitespace());
    words.chain(rest).chain(sink.split_whitespace()).map(str::to_owned).collect()
}

/// As shown to people.
pub(super) fn shown(path: &Path) -> String {
    path.file_name().unwrap_or(OsStr::new("ffmpeg")).to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_found_on_the_path_or_by_its_own() {
        let shell = find("sh").expect("a system has a shell");
        assert_eq!(find(&shell.to_string_lossy()), Some(shell));
        for nothing in ["", "no-such-program", "/no/such/program", "/etc/passwd", "/tmp"] {
            assert_eq!(find(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn the_last_lines_are_kept_and_neither_long_ones_nor_many_fill_the_memory() {
        let mut complaints = Complaints { from: None, lines: VecDeque::new(), line: Vec::new() };
        complaints.take(b"first\r\n\n");
        (0..20).for_each(|n| complaints.take(format!("line {n}\x1b[31m\n").as_bytes()));
        complaints.take(&[b'x'; 5000]);
        assert_eq!(complaints.lines.len(), LINES_MAX);
        assert_eq!(complaints.lines.back().map(String::as_str), Some("line 19 [31m"));
        assert_eq!(complaints.line.len(), LINE_BYTES_MAX);
    }

    #[test]
    fn the_rate_goes_with_the_size() {
        let rate = |size| {
            let all = arguments(Container::Flv, size);
            let at = all.iter().position(|word| word == "-maxrate").unwrap();
            all[at + 1].parse::<u64>().unwrap()
        };
        assert_eq!(rate(Some((1280, 720))), 3_686_400);
        assert_eq!(rate(Some((16, 16))), BITS_LEAST);
        assert_eq!(rate(None), 8_294_400);
    }
}
