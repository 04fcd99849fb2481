//! From the command line to a verdict.

use crate::args::{
    Args, AudienceArgs, Command, FloorArgs, GateArgs, OutputArgs, PublishArgs, RunArgs, SourceArgs, ViewArgs,
};
use crate::clock::{self, MILLIS, Nanos, SECONDS};
use crate::crowd::{Crowd, Measured, Progress, Schedule, ShowProgress};
use crate::floor::Floor;
use crate::flv::Clip;
use crate::gates;
use crate::machine;
use crate::processes::{self, Again, Share, ToParent};
use crate::profile::{Makeup, Profile, Protocol, Target, profiles, seats};
use crate::publish::{PublishPlan, Published, WhipSource, lower_qualities, publish};
use crate::report::{Report, Samples, Spread};
use crate::socket;
use anyhow::{Context, bail, ensure};
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Whether a run was good enough.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct Verdict {
    /// One line for each gate that failed, as it was shown.
    pub failures: Vec<String>,
}

impl Verdict {
    /// True when no gate failed.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.failures.is_empty()
    }
}

impl From<Verdict> for ExitCode {
    fn from(verdict: Verdict) -> Self {
        if verdict.passed() { Self::SUCCESS } else { Self::FAILURE }
    }
}

/// Runs `floodtide load`.
///
/// # Errors
/// When the run could not take place: nothing listens, no such file, arguments that contradict each other. A gate that
/// fails is no error but a [`Verdict`].
pub fn run(args: Args) -> anyhow::Result<Verdict> {
    match args.command {
        Command::View(view) => run_view(&view),
        Command::Publish(args) => run_publish(&args),
        Command::Run(args) => run_both(&args),
        Command::Floor(args) => run_floor(&args),
    }
}

fn run_view(args: &ViewArgs) -> anyhow::Result<Verdict> {
    let profiles = profiles_of(&args.audience)?;
    if let Some(share) = Share::from_environment()? {
        return work(&args.audience, &profiles, share);
    }
    for profile in &profiles {
        reach(&profile.target)?;
    }
    let plan = ViewPlan { audience: &args.audience, profiles: &profiles, again: None };
    let (measured, samples) = plan.measure(args.output.quiet)?;
    conclude(&plan, &measured, samples, &args.gates, &args.output)
}

fn run_both(args: &RunArgs) -> anyhow::Result<Verdict> {
    if Share::from_environment()?.is_some() {
        // The parent publishes.
        return run_view(&args.view);
    }
    let audience = &args.view.audience;
    let plan = publish_plan(&args.publish_url, &args.source, audience.broadcasts as usize, None)?;
    reach(&plan.target)?;
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let publisher = scope.spawn(|| publish(&plan, &stop, true));
        let ramp = Duration::from_secs_f64(plan.publishers as f64 / plan.ramp);
        std::thread::sleep(args.lead + ramp);
        let verdict = run_view(&args.view);
        stop.store(true, Ordering::Relaxed);
        let published = publisher.join().ok().context("the publishers panicked")??;
        if args.view.output.json.as_deref() != Some(Path::new("-")) {
            print!("{}", publish_table(&published));
        }
        verdict
    })
}

fn run_publish(args: &PublishArgs) -> anyhow::Result<Verdict> {
    let plan = publish_plan(&args.url, &args.source, args.publishers as usize, args.duration)?;
    reach(&plan.target)?;
    let published = publish(&plan, &AtomicBool::new(false), args.output.quiet)?;
    let lost: u64 = published.lost.values().sum();
    let value = serde_json::json!({
        "publishers": published.publishers,
        "accepted": published.accepted,
        "publishing": published.publishing,
        "ready_ms": Spread::of(&published.ready, 1000.0),
        "lost": published.lost,
        "bytes": published.bytes,
        "dropped_frames": published.dropped_frames,
        "backlog_bytes_max": published.backlog_bytes_max,
    });
    output(&publish_table(&published), &value, &args.output)?;
    let failures =
        if published.publishing == 0 { vec![format!("all {lost} publishers were lost")] } else { vec![] };
    failures.iter().for_each(|failure| eprintln!("{failure}"));
    Ok(Verdict { failures })
}

fn run_floor(args: &FloorArgs) -> anyhow::Result<Verdict> {
    let clip = Clip::read(&args.file)?;
    // As many viewers as the machine lets us have; what is missing shows when they cannot connect.
    let _ = socket::raise_descriptor_limit(FLOOR_DESCRIPTORS);
    let floor = Floor::bind(args.listen, clip, args.window)?;
    eprintln!("the floor listens on http://{}/x.flv and writes every {:?}", floor.address()?, args.window);
    let deadline = args.duration.map(|duration| clock::now() + clock::nanos(duration));
    floor.run(deadline, &AtomicBool::new(false))?;
    Ok(Verdict { failures: Vec::new() })
}

fn profiles_of(audience: &AudienceArgs) -> anyhow::Result<Vec<Profile>> {
    ensure!(
        audience.slow.0 + audience.stopped.0 <= 1.0,
        "--slow and --stopped are more than all viewers together"
    );
    ensure!(!audience.tick.is_zero(), "--tick 0 would never sleep; take 1ms");
    ensure!(!audience.duration.is_zero(), "--duration 0 measures nothing");
    let profiles = profiles(&audience.urls, &audience.shares, audience.mix.as_deref(), audience.rtmp_port)?;
    if audience.broadcasts > 1 && !profiles.iter().any(|profile| profile.target.path.contains("{i}")) {
        bail!("--broadcasts {} needs `{{i}}` in the URL, as in /live/x{{i}}.flv", audience.broadcasts);
    }
    Ok(profiles)
}

/// One process's part of the crowd.
fn work(audience: &AudienceArgs, profiles: &[Profile], share: Share) -> anyhow::Result<Verdict> {
    let plan = ViewPlan { audience, profiles, again: None };
    let measured = plan.watch(share, &mut ToParent)?;
    ToParent::hand_over(measured)?;
    Ok(Verdict { failures: Vec::new() })
}

/// A crowd to be measured.
#[derive(Debug)]
pub(crate) struct ViewPlan<'a> {
    pub(crate) audience: &'a AudienceArgs,
    pub(crate) profiles: &'a [Profile],
    /// How workers are started; None: as this process was.
    pub(crate) again: Option<Again>,
}

impl ViewPlan<'_> {
    /// Runs the crowd in as many processes as it wants, and samples the server meanwhile.
    ///
    /// # Errors
    /// When it cannot take place.
    pub(crate) fn measure(&self, quiet: bool) -> anyhow::Result<(Measured, Option<Samples>)> {
        let processes = usize::from(self.audience.processes);
        let start = clock::now() + if processes > 1 { WORKERS_START } else { 0 };
        let schedule = self.schedule(start);
        let idle = match self.audience.sample_pid {
            Some(pid) => Some((
                pid,
                machine::sample(pid).with_context(|| format!("--sample-pid {pid}: no such process"))?,
            )),
            None => None,
        };
        let mut show = ProgressLine::new(u64::from(self.audience.viewers), quiet);
        std::thread::scope(|scope| {
            let sampler = idle.map(|(pid, idle)| {
                scope.spawn(move || {
                    clock::sleep_until(schedule.window_from);
                    let from = machine::sample(pid)?;
                    clock::sleep_until(schedule.window_until);
                    Some(Samples { pid, idle, from, until: machine::sample(pid)? })
                })
            });
            let measured = if processes > 1 {
                let again = self.again.clone().map_or_else(Again::this_process, Ok)?;
                processes::run(&again, processes, start, &mut show)
            } else {
                self.watch(Share { index: 0, processes: 1, start }, &mut show)
            };
            show.end();
            let measured = measured?;
            let samples = match sampler.map(std::thread::ScopedJoinHandle::join) {
                None => None,
                Some(Ok(Some(samples))) => Some(samples),
                Some(_) => bail!("the server (process {:?}) ended during the run", self.audience.sample_pid),
            };
            Ok((measured, samples))
        })
    }

    /// Runs one process's part of the crowd.
    ///
    /// # Errors
    /// When there are too few descriptors, or the kernel refuses to wait.
    pub(crate) fn watch(&self, share: Share, show: &mut dyn ShowProgress) -> anyhow::Result<Measured> {
        let seats: Vec<_> = seats(self.makeup(), self.profiles)
            .into_iter()
            .filter(|seat| seat.number % share.processes == share.index)
            .collect();
        let connections: usize =
            seats.iter().map(|seat| self.profiles[seat.profile].target.protocol.connections()).sum();
        if let Err(limit) = socket::raise_descriptor_limit(connections as u64 + DESCRIPTORS_BESIDES) {
            let processes =
                (connections * share.processes) as u64 / limit.saturating_sub(DESCRIPTORS_BESIDES).max(1) + 1;
            bail!(
                "{connections} connections in one process, but it may open only {limit} files: \
                 `ulimit -n` raises that, or use --processes {processes}"
            );
        }
        Ok(Crowd::new(self.profiles, seats, self.schedule(share.start))?.run(show)?)
    }

    fn makeup(&self) -> Makeup {
        Makeup {
            viewers: self.audience.viewers as usize,
            broadcasts: self.audience.broadcasts as usize,
            probes: self.audience.probe as usize,
            slow: self.audience.slow,
            stopped: self.audience.stopped,
        }
    }

    fn schedule(&self, start: Nanos) -> Schedule {
        let audience = self.audience;
        let ramp_time = (f64::from(audience.viewers) / audience.ramp * SECONDS as f64) as Nanos;
        let window_from = start + ramp_time + clock::nanos(audience.warmup);
        let connections = audience.viewers as usize * 2;
        let enough = (connections / PORTS_PER_SOURCE + 1).clamp(SOURCES_DEFAULT, socket::SOURCES_MAX);
        Schedule {
            start,
            ramp: audience.ramp,
            window_from,
            window_until: window_from + clock::nanos(audience.duration),
            tick: clock::nanos(audience.tick),
            stall_after: clock::nanos(audience.stall_after),
            late_after: clock::nanos(audience.late_after),
            sources: audience.sources.map_or(enough, usize::from),
        }
    }
}

fn conclude(
    plan: &ViewPlan<'_>,
    measured: &Measured,
    samples: Option<Samples>,
    gate_args: &GateArgs,
    output_args: &OutputArgs,
) -> anyhow::Result<Verdict> {
    let seconds = plan.audience.duration.as_secs_f64();
    let (mut report, total) = Report::new(plan.profiles, measured, samples, seconds, plan.audience.processes);
    let cpu_per_gib = report.server.as_ref().and_then(|server| server.cpu_seconds_per_gib);
    report.gates = gates::judge(gate_args, &total, cpu_per_gib);
    report.passed = report.gates.iter().all(|gate| gate.passed);
    let failures: Vec<String> = report.gates.iter().filter(|g| !g.passed).map(gates::Gate::line).collect();
    output(&report.to_string(), &report, output_args)?;
    // Where the table is not shown, the reason for the exit code still is.
    if output_args.json.as_deref() == Some(Path::new("-")) {
        failures.iter().for_each(|failure| eprintln!("{failure}"));
    }
    Ok(Verdict { failures })
}

fn publish_plan(
    url: &str,
    source: &SourceArgs,
    publishers: usize,
    duration: Option<Duration>,
) -> anyhow::Result<PublishPlan> {
    let target = Target::parse(url)?;
    ensure!(
        matches!(target.protocol, Protocol::Rtmp | Protocol::Whip),
        "{url}: publishers speak RTMP or WHIP; write rtmp://HOST/live/NAME or http://HOST:8080/live/NAME/whip"
    );
    ensure!(publishers == 1 || target.path.contains("{i}"), "several publishers need `{{i}}` in their URL");
    let sockets = publishers * target.protocol.connections();
    socket::raise_descriptor_limit(sockets as u64 + DESCRIPTORS_BESIDES).map_err(|limit| {
        anyhow::anyhow!(
            "{publishers} publishers, but this process may open only {limit} files; see `ulimit -n`"
        )
    })?;
    let mut clip = Clip::read(&source.file)?;
    let lower = lower_qualities(&source.lower, &mut clip, target.protocol)?;
    let paths = std::iter::once(&source.file).chain(&source.lower).map(PathBuf::as_path);
    let qualities = paths.zip(std::iter::once(&clip).chain(&lower));
    let whip = (target.protocol == Protocol::Whip).then(|| WhipSource::of(qualities)).transpose()?;
    Ok(PublishPlan {
        target,
        whip,
        clip,
        lower,
        publishers,
        ramp: source.publish_ramp,
        stamp: !source.no_stamp,
        sources: SOURCES_DEFAULT,
        deadline: duration.map(|duration| clock::now() + clock::nanos(duration)),
    })
}

/// Makes sure that someone listens, before a crowd sets off.
fn reach(target: &Target) -> anyhow::Result<()> {
    socket::try_connect(target.address, REACH_WITHIN).with_context(|| {
        format!(
            "nobody answers on {} ({}). Is the server running? Start it with `floodtide serve` or `floodtide demo`",
            target.address,
            target.protocol.name()
        )
    })
}

fn output(table: &str, value: &impl serde::Serialize, args: &OutputArgs) -> anyhow::Result<()> {
    let json = serde_json::to_string_pretty(value)?;
    match args.json.as_deref() {
        Some(path) if path == Path::new("-") => println!("{json}"),
        Some(path) => {
            std::fs::write(path, json + "\n").with_context(|| format!("writing {}", path.display()))?;
            print!("{table}");
        }
        None => print!("{table}"),
    }
    Ok(())
}

fn publish_table(published: &Published) -> String {
    let ready = Spread::of(&published.ready, 1000.0);
    let mut text = format!(
        "publishers: {} of {} accepted (P95 {:.0} ms, slowest {:.0} ms), {} publishing at the end; {} frames dropped, \
         backlog at most {} KiB\n",
        published.accepted,
        published.publishers,
        ready.p95,
        ready.max,
        published.publishing,
        published.dropped_frames,
        published.backlog_bytes_max / 1024
    );
    for (reason, times) in &published.lost {
        text.push_str(&format!("publishers: {times} × lost: {reason}\n"));
    }
    text
}

/// The line on standard error while a run goes on: rewritten each second on a terminal, a new one now and then elsewhere.
#[derive(Debug)]
pub(crate) struct ProgressLine {
    viewers: u64,
    quiet: bool,
    terminal: bool,
    calls: u64,
    bytes_before: u64,
    shown: bool,
}

impl ProgressLine {
    pub(crate) fn new(viewers: u64, quiet: bool) -> Self {
        let terminal = std::io::stderr().is_terminal();
        Self { viewers, quiet, terminal, calls: 0, bytes_before: 0, shown: false }
    }

    fn end(&mut self) {
        if self.shown && self.terminal {
            eprintln!();
        }
    }
}

impl ShowProgress for ProgressLine {
    fn show(&mut self, progress: Progress) {
        let second = progress.bytes.saturating_sub(std::mem::replace(&mut self.bytes_before, progress.bytes));
        self.calls += 1;
        if self.quiet || !(self.terminal || self.calls.is_multiple_of(PROGRESS_EVERY_CALLS)) {
            return;
        }
        let line = format!(
            "{:>4} s  joined {}/{}  playing {}  lost {}  stalls {}  {:.1} Mbit/s",
            self.calls,
            progress.joined,
            self.viewers,
            progress.playing,
            progress.lost,
            progress.stalls,
            second as f64 * 8.0 / 1e6
        );
        let mut stderr = std::io::stderr().lock();
        // Nobody looks when standard error is closed.
        let _ = if self.terminal { write!(stderr, "\r{line}\x1b[K") } else { writeln!(stderr, "{line}") };
        let _ = stderr.flush();
        self.shown = true;
    }
}

/// Files besides the viewers' sockets: standard streams, epoll, `/proc`.
const DESCRIPTORS_BESIDES: u64 = 64;
const FLOOR_DESCRIPTORS: u64 = 1 << 20;
/// Linux gives out 28,000 ports by default; at this fill, finding a free one is still quick.
const PORTS_PER_SOURCE: usize = 10_000;
const SOURCES_DEFAULT: usize = 8;
/// For workers to start before the first viewer is due.
const WORKERS_START: Nanos = 300 * MILLIS;
const REACH_WITHIN: Nanos = 3 * SECONDS;
const PROGRESS_EVERY_CALLS: u64 = 5;
