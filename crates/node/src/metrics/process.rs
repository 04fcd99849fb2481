//! What the system says about the process, under the names that all exporters use.

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;
use rustix::process::{Resource, getrlimit};
use rustix::time::{ClockId, clock_gettime};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Asked at each scrape.
#[derive(Debug)]
pub(crate) struct Process {
    started: f64,
}

impl Process {
    pub(super) fn new() -> Process {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Process { started: since.as_secs_f64() }
    }

    /// CPU time of all its threads.
    pub(crate) fn cpu_time() -> Duration {
        let cpu = clock_gettime(ClockId::ProcessCPUTime);
        Duration::new(u64::try_from(cpu.tv_sec).unwrap_or(0), u32::try_from(cpu.tv_nsec).unwrap_or(0))
    }

    /// Bytes that it has in RAM: the second number of `/proc/self/statm`, in pages (proc(5)).
    pub(crate) fn resident_bytes() -> u64 {
        let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
        let pages: u64 = text.split(' ').nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0);
        pages * rustix::param::page_size() as u64
    }

    /// Descriptors that are open.
    pub(crate) fn open_descriptors() -> u64 {
        std::fs::read_dir("/proc/self/fd").map_or(0, |entries| entries.count() as u64)
    }

    /// Descriptors that may be open; `None` for any number.
    pub(crate) fn descriptors_max() -> Option<u64> {
        getrlimit(Resource::Nofile).current
    }
}

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let cpu = Process::cpu_time().as_secs_f64();
        let help = "CPU time of the process, of the user and the system";
        ConstCounter::new(cpu).encode(encoder.encode_descriptor(
            "process_cpu",
            help,
            Some(&Unit::Seconds),
            MetricType::Counter,
        )?)?;
        let gauges: [(&str, &str, Option<Unit>, f64); 5] = [
            (
                "process_resident_memory",
                "Memory that the process has in RAM",
                Some(Unit::Bytes),
                Process::resident_bytes() as f64,
            ),
            ("process_open_fds", "Open descriptors", None, Process::open_descriptors() as f64),
            (
                "process_max_fds",
                "Descriptors that may be open",
                None,
                Process::descriptors_max().map_or(f64::INFINITY, |max| max as f64),
            ),
            (
                "process_threads",
                "Threads",
                None,
                std::fs::read_dir("/proc/self/task").map_or(0, Iterator::count) as f64,
            ),
            ("process_start_time", "When the process started, since 1970", Some(Unit::Seconds), self.started),
        ];
        for (name, help, unit, value) in gauges {
            let encoder = encoder.encode_descriptor(name, help, unit.as_ref(), MetricType::Gauge)?;
            ConstGauge::new(value).encode(encoder)?;
        }
        Ok(())
    }
}
