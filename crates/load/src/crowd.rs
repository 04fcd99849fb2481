//! The crowd: one thread that joins viewers along the ramp, wakes on a tick, and reads what has come.
//!
//! A tick, because a generator that wakes for every packet makes the server pay for waking it (on loopback the sender's
//! system call does the receiver's work) and measures itself. Read at once are only probes, so that frame age is the
//! server's and not the tick's, and viewers that have no media yet, as a join takes several round trips.

use crate::clock::{self, MICROS, MILLIS, Nanos, SECONDS};
use crate::profile::{Profile, Protocol, Seat, Temper};
use crate::stats::{Distribution, Tally};
use crate::viewer::{Appearances, Flow, HlsViewer, WhepViewer};
use crate::webrtc::Engine;
use mio::event::Source;
use mio::{Events, Interest, Poll, Registry, Token};
use serde::{Deserialize, Serialize};
use std::io;
use std::time::{Duration, Instant};

/// When things happen, and how closely to look.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Schedule {
    /// When the first viewer joins; the same in every process.
    pub(crate) start: Nanos,
    /// New viewers a second, over all processes.
    pub(crate) ramp: f64,
    /// The measured window.
    pub(crate) window_from: Nanos,
    pub(crate) window_until: Nanos,
    pub(crate) tick: Nanos,
    pub(crate) stall_after: Nanos,
    pub(crate) late_after: Nanos,
    pub(crate) sources: usize,
}

impl Schedule {
    /// When viewer `number` joins.
    fn joins_at(&self, number: usize) -> Nanos {
        self.start + (number as f64 / self.ramp * SECONDS as f64) as Nanos
    }
}

/// What all viewers of a process use together.
#[derive(Debug)]
pub(crate) struct Shared {
    /// One per profile.
    pub(crate) tallies: Vec<Tally>,
    /// Within the measured window.
    pub(crate) window_open: bool,
    /// For every read; its length bounds what one call discards.
    pub(crate) buffer: Vec<u8>,
    pub(crate) sources: usize,
    pub(crate) late_after: Nanos,
    pub(crate) appearances: Appearances,
    /// For WebRTC; there only if somebody watches by it.
    pub(crate) engine: Option<Engine>,
    /// Read on the tick.
    steady: Registry,
    /// Read at once.
    prompt: Registry,
}

impl Shared {
    /// Has the socket's events come under `token`: at once, or on the tick.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub(crate) fn watch(&self, stream: &mut impl Source, token: usize, prompt: bool) -> io::Result<()> {
        let registry = if prompt { &self.prompt } else { &self.steady };
        registry.register(stream, Token(token), Interest::READABLE | Interest::WRITABLE)
    }

    /// From now on the tick is enough for this socket. What has arrived meanwhile is announced anew.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub(crate) fn calm(&self, stream: &mut impl Source, token: usize) -> io::Result<()> {
        self.prompt.deregister(stream)?;
        self.watch(stream, token, false)
    }
}

#[derive(Debug)]
enum Viewer {
    Flow(Flow),
    Hls(Box<HlsViewer>),
    Whep(Box<WhepViewer>),
}

/// The viewers of one process.
#[derive(Debug)]
pub(crate) struct Crowd<'a> {
    profiles: &'a [Profile],
    /// In order of joining.
    seats: Vec<Seat>,
    schedule: Schedule,
    viewers: Vec<Viewer>,
    shared: Shared,
    poll: Poll,
    prompt_poll: Poll,
    events: Events,
    next_look: Nanos,
    next_slow: Nanos,
    lag: Distribution,
    steady_bytes_before: u64,
}

/// Where the crowd stands, for the progress line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Progress {
    pub(crate) joined: u64,
    pub(crate) playing: u64,
    pub(crate) lost: u64,
    pub(crate) stalls: u64,
    pub(crate) bytes: u64,
}

impl Progress {
    /// Adds another process's.
    pub(crate) fn add(&mut self, other: Self) {
        self.joined += other.joined;
        self.playing += other.playing;
        self.lost += other.lost;
        self.stalls += other.stalls;
        self.bytes += other.bytes;
    }
}

/// What one process measured.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Measured {
    /// One per profile.
    pub(crate) tallies: Vec<Tally>,
    /// How late its ticks were, in µs: a generator that cannot keep up measures itself.
    pub(crate) lag: Distribution,
    /// CPU seconds that it used itself within the window.
    pub(crate) own_cpu_seconds: f64,
}

impl Measured {
    /// Adds another process's.
    pub(crate) fn add(&mut self, other: &Self) {
        self.tallies.resize_with(self.tallies.len().max(other.tallies.len()), Tally::default);
        for (ours, theirs) in self.tallies.iter_mut().zip(&other.tallies) {
            ours.add(theirs);
        }
        self.lag.add(&other.lag);
        self.own_cpu_seconds += other.own_cpu_seconds;
    }
}

impl<'a> Crowd<'a> {
    /// A crowd that has not joined yet.
    ///
    /// # Errors
    /// When the kernel refuses an epoll instance.
    pub(crate) fn new(profiles: &'a [Profile], seats: Vec<Seat>, schedule: Schedule) -> io::Result<Self> {
        let (poll, prompt_poll) = (Poll::new()?, Poll::new()?);
        let shared = Shared {
            tallies: vec![Tally::default(); profiles.len()],
            window_open: false,
            buffer: vec![0; DISCARD_BYTES],
            sources: schedule.sources,
            late_after: schedule.late_after,
            appearances: Appearances::default(),
            engine: profiles.iter().find(|p| p.target.protocol == Protocol::Whep).and_then(|_| Engine::new()),
            steady: poll.registry().try_clone()?,
            prompt: prompt_poll.registry().try_clone()?,
        };
        Ok(Self {
            profiles,
            viewers: Vec::with_capacity(seats.len()),
            seats,
            schedule,
            shared,
            poll,
            prompt_poll,
            events: Events::with_capacity(EVENTS_PER_CALL),
            next_look: 0,
            next_slow: 0,
            lag: Distribution::default(),
            steady_bytes_before: 0,
        })
    }

    /// Runs to the end of the window and shows its progress once a second.
    ///
    /// # Errors
    /// When the kernel refuses to wait.
    pub(crate) fn run(mut self, progress: &mut dyn ShowProgress) -> io::Result<Measured> {
        let mut wake = self.schedule.start;
        let mut next_progress = self.schedule.start + SECONDS;
        let mut own_cpu = 0.0;
        loop {
            wake += self.schedule.tick;
            let now = self.wait_until(wake)?;
            let late = now.saturating_sub(wake);
            if self.shared.window_open {
                self.lag.record(late / MICROS);
            }
            if late > CATCH_UP {
                wake = now;
            }
            self.join(now);
            self.read_all()?;
            self.look(now);
            if !self.shared.window_open && now >= self.schedule.window_from {
                self.open_window();
                own_cpu = clock::own_cpu_seconds();
            }
            if now >= next_progress {
                next_progress = now + SECONDS;
                progress.show(self.progress(now));
            }
            if now >= self.schedule.window_until {
                return Ok(self.finish(now, own_cpu));
            }
        }
    }

    /// Sleeps until the tick, and reads meanwhile what is read at once.
    fn wait_until(&mut self, wake: Nanos) -> io::Result<Nanos> {
        loop {
            let now = clock::now();
            if now >= wake {
                return Ok(now);
            }
            // epoll waits whole milliseconds; the rest is slept.
            let whole_ms = (wake - now) / MILLIS;
            if whole_ms == 0 {
                clock::sleep_until(wake);
                continue;
            }
            poll_once(&mut self.prompt_poll, &mut self.events, Duration::from_millis(whole_ms))?;
            dispatch(&self.events, &mut self.viewers, &mut self.shared);
        }
    }

    fn join(&mut self, now: Nanos) {
        while let Some(&seat) = self.seats.get(self.viewers.len()) {
            if self.schedule.joins_at(seat.number) > now {
                break;
            }
            let token = self.viewers.len() * TOKENS_PER_VIEWER;
            let profile = &self.profiles[seat.profile];
            // Thousands at once take a while: each has its own beginning.
            let began = clock::now();
            self.viewers.push(match profile.target.protocol {
                Protocol::Hls => {
                    Viewer::Hls(Box::new(HlsViewer::join(seat, token, profile, &mut self.shared, began)))
                }
                Protocol::Whep => {
                    Viewer::Whep(Box::new(WhepViewer::join(seat, token, profile, &self.shared, began)))
                }
                _ => Viewer::Flow(Flow::join(seat, token, profile, &self.shared, began)),
            });
            if clock::now() > now + JOIN_AT_ONCE {
                break;
            }
        }
    }

    fn read_all(&mut self) -> io::Result<()> {
        for _ in 0..POLLS_PER_TICK {
            poll_once(&mut self.poll, &mut self.events, Duration::ZERO)?;
            let full = self.events.iter().count() == EVENTS_PER_CALL;
            dispatch(&self.events, &mut self.viewers, &mut self.shared);
            if !full {
                break;
            }
        }
        poll_once(&mut self.prompt_poll, &mut self.events, Duration::ZERO)?;
        dispatch(&self.events, &mut self.viewers, &mut self.shared);
        Ok(())
    }

    /// What does not wait for data: timers, stalls, slow readers.
    fn look(&mut self, now: Nanos) {
        let instant = Instant::now();
        for viewer in &mut self.viewers {
            match viewer {
                Viewer::Hls(viewer) => viewer.tick(&mut self.shared, now),
                Viewer::Whep(viewer) => viewer.tick(&mut self.shared, now, instant),
                Viewer::Flow(_) => {}
            }
        }
        if now >= self.next_look {
            self.next_look = now + LOOK_EVERY;
            for viewer in &mut self.viewers {
                match viewer {
                    Viewer::Flow(viewer) => viewer.look(self.schedule.stall_after, &self.shared, now),
                    Viewer::Hls(viewer) => viewer.look(&self.shared, now),
                    Viewer::Whep(viewer) => viewer.look(self.schedule.stall_after, &self.shared, now),
                }
            }
        }
        if now >= self.next_slow {
            self.next_slow = now + SLOW_READ_EVERY;
            let allowance = self.slow_allowance();
            for viewer in &mut self.viewers {
                if let Viewer::Flow(viewer) = viewer {
                    viewer.read_slowly(allowance, &mut self.shared, now);
                }
            }
        }
    }

    /// A tenth of what a steady viewer of this crowd received since the last time.
    fn slow_allowance(&mut self) -> usize {
        let (mut bytes, mut steady) = (0, 0);
        for viewer in &self.viewers {
            if let Viewer::Flow(viewer) = viewer
                && viewer.seat.temper == Temper::Steady
                && viewer.is_playing()
            {
                bytes += viewer.record.bytes;
                steady += 1;
            }
        }
        let since = bytes.saturating_sub(std::mem::replace(&mut self.steady_bytes_before, bytes));
        let tenth = usize::try_from(since / steady.max(1) / 10).unwrap_or(0);
        if steady == 0 { SLOW_BYTES_DEFAULT } else { tenth.clamp(1, SLOW_BYTES_MAX) }
    }

    fn open_window(&mut self) {
        self.shared.window_open = true;
        for viewer in &mut self.viewers {
            match viewer {
                Viewer::Flow(viewer) => viewer.record.open_window(),
                Viewer::Hls(viewer) => viewer.record.open_window(),
                Viewer::Whep(viewer) => viewer.record.open_window(),
            }
        }
    }

    fn progress(&self, now: Nanos) -> Progress {
        let mut progress = Progress { joined: self.viewers.len() as u64, ..Progress::default() };
        for viewer in &self.viewers {
            let (record, playing) = match viewer {
                Viewer::Flow(viewer) => (&viewer.record, viewer.is_playing()),
                Viewer::Hls(viewer) => (&viewer.record, viewer.is_playing(now)),
                Viewer::Whep(viewer) => (&viewer.record, viewer.is_playing()),
            };
            progress.playing += u64::from(playing);
            progress.lost += u64::from(record.end.is_some());
            progress.stalls += u64::from(record.stalls);
            progress.bytes += record.bytes;
        }
        progress
    }

    fn finish(mut self, now: Nanos, own_cpu: f64) -> Measured {
        let window = self.schedule.window_until - self.schedule.window_from;
        let tallies = &mut self.shared.tallies;
        for viewer in &self.viewers {
            let (seat, record, playing) = match viewer {
                Viewer::Flow(viewer) => (viewer.seat, &viewer.record, viewer.is_playing()),
                Viewer::Hls(viewer) => (viewer.seat, &viewer.record, viewer.is_playing(now)),
                Viewer::Whep(viewer) => {
                    let (lost, came) = viewer.lost_and_came();
                    let tally = &mut tallies[viewer.seat.profile];
                    (tally.packets_lost, tally.packets) = (tally.packets_lost + lost, tally.packets + came);
                    (viewer.seat, &viewer.record, viewer.is_playing())
                }
            };
            record.add_to(&mut tallies[seat.profile], seat.temper, playing, window);
        }
        // Those who never got to join count as lost, or a generator that is too slow would pass every gate.
        for seat in &self.seats[self.viewers.len()..] {
            let tally = &mut tallies[seat.profile];
            tally.viewers += 1;
            tally.steady += 1;
            crate::stats::count(&mut tally.disconnects, "never joined: the generator was too slow");
        }
        let own_cpu_seconds = clock::own_cpu_seconds() - own_cpu;
        Measured { tallies: self.shared.tallies, lag: self.lag, own_cpu_seconds }
    }
}

/// Takes progress, once a second.
pub(crate) trait ShowProgress {
    /// Shows it, or passes it on.
    fn show(&mut self, progress: Progress);
}

fn poll_once(poll: &mut Poll, events: &mut Events, timeout: Duration) -> io::Result<()> {
    match poll.poll(events, Some(timeout)) {
        Err(error) if error.kind() == io::ErrorKind::Interrupted => {
            events.clear();
            Ok(())
        }
        other => other,
    }
}

fn dispatch(events: &Events, viewers: &mut [Viewer], shared: &mut Shared) {
    if events.is_empty() {
        return;
    }
    let mut now = clock::now();
    for (index, event) in events.iter().enumerate() {
        // A thousand reads take a millisecond or two.
        if index % EVENTS_PER_CLOCK == EVENTS_PER_CLOCK - 1 {
            now = clock::now();
        }
        let token = event.token().0;
        match viewers.get_mut(token / TOKENS_PER_VIEWER) {
            Some(Viewer::Flow(viewer)) => {
                let closed = event.is_read_closed() || event.is_error();
                viewer.ready(event.is_writable(), closed, shared, now);
            }
            Some(Viewer::Hls(viewer)) => viewer.ready(token, shared, now),
            Some(Viewer::Whep(viewer)) => viewer.ready(token, shared, now),
            None => {}
        }
    }
}

/// HLS viewers have two connections, WHEP viewers two sockets.
const TOKENS_PER_VIEWER: usize = 2;
/// One call discards at most so much.
const DISCARD_BYTES: usize = 1 << 20;
const EVENTS_PER_CALL: usize = 4096;
const EVENTS_PER_CLOCK: usize = 64;
/// Bounds the time in which nobody joins and no timer runs.
const POLLS_PER_TICK: usize = 64;
/// A tick that comes later than this is not made up for.
const CATCH_UP: Nanos = SECONDS / 2;
/// After so long of joining, those who have joined are read.
const JOIN_AT_ONCE: Nanos = 20 * MILLIS;
const LOOK_EVERY: Nanos = 100 * MILLIS;
const SLOW_READ_EVERY: Nanos = 100 * MILLIS;
/// When there is no steady viewer to compare with: a tenth of 1 Mbit/s.
const SLOW_BYTES_DEFAULT: usize = 1250;
/// A tenth of 100 Mbit/s.
const SLOW_BYTES_MAX: usize = 125_000;
