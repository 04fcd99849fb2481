//! What is written, and how that changes at run time.

use super::requests::{RequestLines, Wanted};
use super::ring::{Keep, LINES_MAX as KEPT_MAX, LogRing};
use crate::config::{AccessLines, Log, LogFormat};
use std::io::{BufWriter, IsTerminal, Write};
use std::time::Duration;
use tracing_appender::non_blocking::{ErrorCounter, NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry};

/// Logs of a process, from now until it is dropped, which writes what is left.
#[derive(Debug)]
pub struct Logs {
    control: LogControl,
    _writer: WorkerGuard,
    #[cfg(feature = "otlp")]
    traces: Option<super::otlp::Traces>,
}

/// Changes what is logged. Clones share.
#[derive(Clone, Debug)]
pub struct LogControl {
    filter: reload::Handle<EnvFilter, Registry>,
    /// Filters that win over the configured level.
    fixed: Option<String>,
    ring: LogRing,
    lost: ErrorCounter,
    /// None where a person watches, for whom the library colours them.
    requests: Option<RequestLines>,
}

/// Why there are no logs.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The filters of the environment are none.
    #[error("FLOODTIDE_LOG: {0}; write a level, or as in \"info,node=debug\"")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// There are logs already.
    #[error(transparent)]
    Twice(#[from] tracing_subscriber::util::TryInitError),
    /// An endpoint for traces is set, and this build can't serve it.
    #[error("{0}")]
    Otlp(String),
}

/// Lines that may wait for a slow standard error; more are lost, since a server must not wait for its log.
const LINES_MAX: usize = 8192;
/// How long lines gather. At most so much later is a line to be read; at 100,000 lines a second 2,000 wait.
const REST: Duration = Duration::from_millis(20);
/// Bytes of one write.
const GATHERED_BYTES_MAX: usize = 8 << 10;

impl Logs {
    /// Starts them for the whole process. `fixed` are filters that win over the configured level.
    ///
    /// # Errors
    /// When there are logs already, `fixed` is no filter, or traces can't be had.
    pub fn start(config: &Log, fixed: Option<String>) -> Result<Logs, LogError> {
        let (writer, guard) = writer(std::io::stderr());
        let text = filters(config, fixed.as_deref());
        let (filter, handle) = reload::Layer::new(EnvFilter::try_new(&text)?);
        let ring = LogRing::new(KEPT_MAX, 0);
        let lost = writer.error_counter();
        let coloured = config.format == LogFormat::Text && is_coloured();
        let requests =
            (!coloured).then(|| RequestLines::new(writer.clone(), config.format, Wanted::by(&text)));
        let control = LogControl { filter: handle, fixed, ring: ring.clone(), lost, requests };
        let lines = lines(config.format, coloured, writer).and_then(Keep(ring)).with_filter(filter);
        let subscriber = tracing_subscriber::registry().with(lines);
        #[cfg(feature = "otlp")]
        {
            let traces = config.otlp.endpoint.as_deref().map(super::otlp::Traces::start).transpose()?;
            subscriber.with(traces.as_ref().map(super::otlp::Traces::layer)).try_init()?;
            Ok(Logs { control, _writer: guard, traces })
        }
        #[cfg(not(feature = "otlp"))]
        {
            if let Some(why) = config.otlp.missing() {
                return Err(LogError::Otlp(why.to_owned()));
            }
            subscriber.try_init()?;
            Ok(Logs { control, _writer: guard })
        }
    }

    /// What changes them.
    pub fn control(&self) -> LogControl {
        self.control.clone()
    }
}

#[cfg(feature = "otlp")]
impl Drop for Logs {
    fn drop(&mut self) {
        if let Some(traces) = self.traces.take() {
            traces.stop();
        }
    }
}

impl LogControl {
    /// The newest lines.
    pub(crate) fn ring(&self) -> &LogRing {
        &self.ring
    }

    /// Where lines of requests go.
    pub(crate) fn requests(&self) -> Option<&RequestLines> {
        self.requests.as_ref()
    }

    /// Lines that were lost, since the standard error was too slow.
    pub(crate) fn lost(&self) -> u64 {
        self.lost.dropped_lines() as u64
    }

    /// Takes new settings in. The format stays.
    pub(crate) fn apply(&self, config: &Log) {
        let text = filters(config, self.fixed.as_deref());
        match EnvFilter::try_new(&text) {
            Ok(filter) => {
                // It is gone when the process ends; then nothing is logged.
                drop(self.filter.reload(filter));
                if let Some(requests) = &self.requests {
                    requests.want(Wanted::by(&text));
                }
            }
            Err(error) => tracing::error!(%error, "the log's level stays"),
        }
    }
}

/// The level, and which access lines pass.
fn filters(config: &Log, fixed: Option<&str>) -> String {
    let level = fixed.unwrap_or(config.level.as_str());
    let access = match config.access {
        AccessLines::Off => "access=off",
        AccessLines::Sessions => "access::request=off",
        AccessLines::Requests => "access=info",
    };
    format!("{level},{access}")
}

/// Writes from a thread of its own, until the guard is dropped.
fn writer(out: impl Write + Send + 'static) -> (NonBlocking, WorkerGuard) {
    let builder = NonBlockingBuilder::default().lossy(true).buffered_lines_limit(LINES_MAX);
    builder.thread_name("log").finish(Gathering(BufWriter::with_capacity(GATHERED_BYTES_MAX, out)))
}

/// Writes many lines at once: after each write it rests, while the lines of a busy server gather. A line that comes alone is
/// written at once. Who waits for a thread to be woken is who logs, so this also saves most of what a line costs there.
struct Gathering<W: Write>(BufWriter<W>);

impl<W: Write> Write for Gathering<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.write(bytes)
    }

    /// Called when no more lines wait.
    fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush()?;
        std::thread::sleep(REST);
        Ok(())
    }
}

type Lines = Box<dyn Layer<Registry> + Send + Sync>;

/// Whether a person watches, who likes colours.
fn is_coloured() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none()
}

fn lines(format: LogFormat, coloured: bool, writer: NonBlocking) -> Lines {
    let lines = tracing_subscriber::fmt::layer().with_writer(writer).with_target(false);
    match format {
        LogFormat::Text => lines.with_ansi(coloured).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).with_span_list(false).boxed(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Level;

    /// Takes nothing before it is told to.
    struct Slow(std::sync::mpsc::Receiver<()>);

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            // An error means that the test is over.
            let _ = self.0.recv();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_that_a_slow_reader_has_no_room_for_are_counted_and_nobody_waits() {
        let (go, told) = std::sync::mpsc::sync_channel(1);
        let (mut writer, guard) = writer(Slow(told));
        let lost = writer.error_counter();
        for _ in 0..LINES_MAX {
            writer.write_all(b"x\n").unwrap();
        }
        assert_eq!(lost.dropped_lines(), 0);
        for _ in 0..LINES_MAX {
            writer.write_all(b"x\n").unwrap();
        }
        // Some may be in the writer's hands: as many as its buffer has room for.
        let held = GATHERED_BYTES_MAX / 2 + 1;
        assert!((LINES_MAX - held..=LINES_MAX).contains(&lost.dropped_lines()), "{}", lost.dropped_lines());
        drop(go);
        drop(guard);
    }

    /// Counts the writes that lines become.
    #[derive(Clone, Default)]
    struct Counting(std::sync::Arc<std::sync::atomic::AtomicUsize>);

    impl Write for Counting {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_of_a_busy_server_go_out_many_at_once() {
        let out = Counting::default();
        let (mut lines, guard) = writer(out.clone());
        for _ in 0..LINES_MAX {
            lines.write_all(b"answered\n").unwrap();
        }
        drop(guard);
        let writes = out.0.load(std::sync::atomic::Ordering::Relaxed);
        assert!(0 < writes && writes < LINES_MAX / 20, "{writes} writes of {LINES_MAX} lines");
    }

    #[test]
    fn the_filter_follows_level_and_access_and_the_environment_wins() {
        let text = |config: &Log, fixed: Option<&str>| {
            EnvFilter::try_new(filters(config, fixed)).unwrap().to_string()
        };
        let mut config = Log::default();
        assert_eq!(text(&config, None), "access::request=off,info");
        (config.level, config.access) = (Level::Debug, AccessLines::Off);
        assert_eq!(text(&config, None), "access=off,debug");
        assert_eq!(text(&config, Some("warn,node=trace")), "access=off,node=trace,warn");
        assert!(EnvFilter::try_new(filters(&config, Some("a=b=c"))).is_err());
    }
}
