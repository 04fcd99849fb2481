//! Several processes: the parent starts its own command line again, once per worker, and adds up what they print.
//!
//! One thread reads about a gigabit; with the connections' own limits (descriptors, one epoll) a process is the honest unit.

use crate::clock::Nanos;
use crate::crowd::{Measured, Progress, ShowProgress};
use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;

/// Which part of the crowd this process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Share {
    /// Takes every viewer whose number leaves this remainder.
    pub(crate) index: usize,
    pub(crate) processes: usize,
    /// When the first viewer joins, on the clock that all processes have in common.
    pub(crate) start: Nanos,
}

impl Share {
    /// The part that a parent has given to this process, if it is a worker.
    ///
    /// # Errors
    /// When the environment holds something else.
    pub(crate) fn from_environment() -> anyhow::Result<Option<Self>> {
        match std::env::var(WORKER) {
            Err(_) => Ok(None),
            Ok(text) => {
                Self::parse(&text).map(Some).with_context(|| format!("{WORKER}={text} makes no sense"))
            }
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.split('/').map(str::parse::<u64>);
        let mut next = || numbers.next()?.ok();
        let (index, processes, start) = (next()?, next()?, next()?);
        (index < processes).then_some(Self { index: index as usize, processes: processes as usize, start })
    }

    fn text(self) -> String {
        format!("{}/{}/{}", self.index, self.processes, self.start)
    }
}

/// How to start this program again.
#[derive(Debug, Clone)]
pub(crate) struct Again {
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<OsString>,
}

impl Again {
    /// The command line of this process.
    ///
    /// # Errors
    /// When the operating system does not tell which program runs.
    pub(crate) fn this_process() -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("finding this program to start it again")?;
        Ok(Self { program, arguments: std::env::args_os().skip(1).collect() })
    }
}

#[derive(Debug, Serialize, Deserialize)]
enum Line {
    Progress(Progress),
    Measured(Box<Measured>),
}

/// A worker's side: progress and result go to standard output, a line each.
#[derive(Debug)]
pub(crate) struct ToParent;

impl ToParent {
    /// Hands the result over.
    ///
    /// # Errors
    /// When it cannot be put into words.
    pub(crate) fn hand_over(measured: Measured) -> anyhow::Result<()> {
        print_line(&Line::Measured(Box::new(measured)))
    }
}

impl ShowProgress for ToParent {
    fn show(&mut self, progress: Progress) {
        // A parent that has gone away is noticed with the result.
        let _ = print_line(&Line::Progress(progress));
    }
}

fn print_line(line: &Line) -> anyhow::Result<()> {
    let text = serde_json::to_string(line)?;
    // One write: lines of test harnesses must not come between.
    println!("\n{MARK}{text}");
    Ok(())
}

/// Starts `processes` workers and waits for their results.
///
/// # Errors
/// When a worker cannot be started or ends without a result.
pub(crate) fn run(
    again: &Again,
    processes: usize,
    start: Nanos,
    show: &mut dyn ShowProgress,
) -> anyhow::Result<Measured> {
    let (sender, receiver) = mpsc::sync_channel::<(usize, Line)>(LINES_MAX);
    let mut workers = Workers(Vec::new());
    let mut readers = Vec::new();
    for index in 0..processes {
        let share = Share { index, processes, start };
        let mut child = Command::new(&again.program)
            .args(&again.arguments)
            .env(WORKER, share.text())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("starting worker {index}"))?;
        let output = child.stdout.take().context("a worker without output")?;
        workers.0.push(child);
        let sender = sender.clone();
        readers.push(std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let line = line.strip_prefix(MARK).map(serde_json::from_str);
                if let Some(Ok(line)) = line
                    && sender.send((index, line)).is_err()
                {
                    break;
                }
            }
        }));
    }
    drop(sender);
    let (mut measured, mut finished) = (Measured::default(), 0);
    let mut latest = vec![Progress::default(); processes];
    for (index, line) in receiver {
        match line {
            Line::Measured(part) => {
                measured.add(&part);
                finished += 1;
            }
            Line::Progress(progress) => {
                latest[index] = progress;
                if index == processes - 1 {
                    let mut sum = Progress::default();
                    latest.iter().for_each(|part| sum.add(*part));
                    show.show(sum);
                }
            }
        }
    }
    for reader in readers {
        let _ = reader.join();
    }
    if finished < processes {
        bail!("{} of {processes} worker processes ended without a result", processes - finished);
    }
    Ok(measured)
}

/// Ends with the parent.
struct Workers(Vec<Child>);

impl Drop for Workers {
    fn drop(&mut self) {
        for child in &mut self.0 {
            // Those that have ended are only reaped.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

const WORKER: &str = "FLOODTIDE_LOAD_WORKER";
const MARK: &str = "floodtide-load-worker: ";
/// Lines that wait to be added up; workers then wait too.
const LINES_MAX: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_survives_the_environment() {
        let share = Share { index: 2, processes: 4, start: 123_456 };
        assert_eq!(Share::parse(&share.text()), Some(share));
        for wrong in ["", "1", "4/4/0", "a/b/c"] {
            assert_eq!(Share::parse(wrong), None, "{wrong}");
        }
    }
}
