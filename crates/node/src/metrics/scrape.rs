//! What is looked up when somebody asks: sessions, broadcasts, and the blocks of all threads.

use super::histogram::Sum;
use super::input;
use super::reason::CloseReason;
use super::shard::{STATUSES, Shard, Shards};
use crate::auth::HookCounts as Counts;
use crate::logs::LogControl;
use crate::logs::access::RequestKind;
use crate::sessions::{Protocol, Role, Sessions};
use hub::Hub;
use hub::health::{AdviceCode, advice};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

/// Adds up at each scrape.
#[derive(Debug)]
pub(super) struct Scrape {
    pub(super) hub: Hub,
    pub(super) sessions: Sessions,
    pub(super) shards: Arc<Shards>,
    pub(super) polling: Arc<Polling>,
    pub(super) lines: Arc<Lines>,
}

/// Lines of the log that somebody didn't get.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// Those of the process, as soon as it is known.
    pub(super) logs: OnceLock<LogControl>,
    /// Those that followers of the API came too late for.
    pub(super) missed: AtomicU64,
}

/// Estimates of viewers who have no session: those who load playlists again and again.
#[derive(Debug, Default)]
pub(super) struct Polling {
    /// By whether they block for the next part.
    pub(super) low_latency: AtomicU64,
    pub(super) usual: AtomicU64,
}

type Labels<'a> = [(&'a str, &'a str); 1];

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let mut page = Page(&mut encoder);
        self.people(&mut page)?;
        self.broadcasts(&mut page)?;
        self.bytes(&mut page)?;
        self.workers(&mut page)?;
        self.webhooks(&mut page)?;
        self.lines(&mut page)?;
        let (mut first_byte, mut frame_age) = (Sum::default(), Sum::default());
        for shard in self.shards.all() {
            first_byte.add(&shard.first_byte);
            frame_age.add(&shard.frame_age);
        }
        page.histogram(
            "time_to_first_byte",
            "From a viewer's request to its first byte of media, on the egress plane",
            &first_byte,
        )?;
        page.histogram(
            "frame_age",
            "From a frame's arrival to its write to a viewer, once per frame and viewer that keeps up, on the egress plane",
            &frame_age,
        )
    }
}

impl Scrape {
    fn lines(&self, page: &mut Page<'_, '_>) -> Result<(), std::fmt::Error> {
        let lost = [
            ("stderr", self.lines.logs.get().map_or(0, LogControl::lost)),
            ("api", self.lines.missed.load(Ordering::Relaxed)),
        ];
        let help = "Lines of the log that a consumer didn't get, since it was too slow";
        page.counters("log_lines_lost", help, None, "consumer", &lost)
    }

    fn webhooks(&self, page: &mut Page<'_, '_>) -> Result<(), std::fmt::Error> {
        let hooks = self.sessions.hooks();
        let counts = hooks.as_ref().map(|hooks| hooks.counts());
        let count = |of: fn(&Counts) -> &AtomicU64| counts.map_or(0, |all| of(all).load(Ordering::Relaxed));
        let questions = [
            ("allowed", count(|c| &c.allowed)),
            ("denied", count(|c| &c.denied)),
            ("unanswered", count(|c| &c.unanswered)),
        ];
        page.counters("webhook_questions", "Questions to webhooks, by answer", None, "answer", &questions)?;
        let told = [
            ("told", count(|c| &c.told)),
            ("given_up", count(|c| &c.given_up)),
            ("dropped", count(|c| &c.dropped)),
        ];
        page.counters(
            "webhook_events",
            "Events that webhooks were to be told of, by what became of it",
            None,
            "result",
            &told,
        )?;
        let trouble = [("failed", count(|c| &c.failures)), ("from_cache", count(|c| &c.cached))];
        page.counters(
            "webhook_requests",
            "Requests to webhooks that failed, or weren't needed",
            None,
            "result",
            &trouble,
        )?;
        let resting = hooks.as_ref().map_or(0, |hooks| hooks.left_alone() as u64);
        page.gauges(
            "webhook_servers",
            "Webhook servers that are left alone, since they failed",
            None,
            "state",
            &[("resting", resting)],
        )
    }

    fn people(&self, page: &mut Page<'_, '_>) -> Result<(), std::fmt::Error> {
        let of = |role: Role| Protocol::ALL.map(|p| (p.as_str(), self.sessions.live(role, p)));
        // Nobody who watches by playlists has a session; an estimate takes its place.
        let mut viewers: Vec<(&str, u64)> =
            of(Role::Viewer).into_iter().filter(|(name, _)| *name != Protocol::Hls.as_str()).collect();
        viewers.push(("hls", self.polling.usual.load(Ordering::Relaxed)));
        viewers.push(("ll-hls", self.polling.low_latency.load(Ordering::Relaxed)));
        page.gauges("viewers", "Viewers now; those by HLS are an estimate", None, "protocol", &viewers)?;
        let publishers = [Protocol::Rtmp, Protocol::Flv, Protocol::Whip, Protocol::Srt]
            .map(|p| (p.as_str(), self.sessions.live(Role::Publisher, p)));
        page.gauges("publishers", "Publishers now, pulls among them", None, "protocol", &publishers)?;
        for (role, name, help) in [
            (Role::Viewer, "viewer_ends", "Viewers' sessions that ended, by reason"),
            (Role::Publisher, "publisher_ends", "Publishers' sessions that ended, by reason"),
        ] {
            let ends = CloseReason::ALL.map(|reason| (reason.label(), self.sessions.ends(role, reason)));
            page.counters(name, help, None, "reason", &ends)?;
        }
        Ok(())
    }

    fn broadcasts(&self, page: &mut Page<'_, '_>) -> Result<(), std::fmt::Error> {
        let now = Instant::now();
        let broadcasts = self.hub.broadcasts();
        let live = broadcasts.iter().filter(|b| b.is_published()).count() as u64;
        let states = [("live", live), ("grace", broadcasts.len() as u64 - live)];
        let help = "Broadcasts: live, or waiting for their publisher to come back";
        page.gauges("broadcasts", help, None, "state", &states)?;
        let kept: usize = broadcasts.iter().map(|b| b.queue_bytes()).sum();
        page.gauge("hub", "Frames kept for new and slow viewers", Some(&Unit::Bytes), kept as f64)?;
        let help = "Groups of pictures that lasted more than 4 s or more than twice the usual";
        page.counter("input_keyframe_gaps", help, None, self.hub.keyframe_gaps())?;
        let healths: Vec<_> = broadcasts.iter().map(|b| b.health(now)).collect();
        input::encode(page, &healths)?;
        let advised: Vec<_> = healths.iter().flat_map(advice).collect();
        let count = |code: AdviceCode| advised.iter().filter(|a| a.code == code).count() as u64;
        let codes = AdviceCode::ALL.map(|code| (code.as_str(), count(code)));
        let help = "Broadcasts whose publisher could do something better, by advice";
        page.gauges("input_advice", help, None, "code", &codes)
    }

    fn bytes(&self, page: &mut Page<'_, '_>) -> Result<(), std::fmt::Error> {
        let shards = self.shards.all();
        let sum = |of: fn(&Shard) -> u64| shards.iter().map(|s| of(s)).sum::<u64>();
        let sent = Protocol::ALL.map(|p| (p.as_str(), shards.iter().map(|s| s.egress_bytes(p)).sum::<u64>()));
        page.counters("egress", "Sent to viewers", Some(&Unit::Bytes), "protocol", &sent)?;
        page.counter(
            "ingest",
            "Media taken in from publishers",
            Some(&Unit::Bytes),
            sum(Shard::ingest_bytes),
        )?;
        let help = "HTTP requests answered, by what they were for";
        let mut family = page.0.encode_descriptor("http_requests", help, None, MetricType::Counter)?;
        for kind in RequestKind::ALL {
            for (n, status) in STATUSES.into_iter().enumerate() {
                let labels = [("kind", kind.as_str()), ("status", status)];
                let count: u64 = shards.iter().map(|s| s.requests(kind)[n]).sum();
                ConstCounter::new(count).encode(family.encode_family(&labels)?)?;
            }
        }
        let help = "Skips of slow viewers to the newest group";
        page.counter("skipped_groups", help, None, sum(Shard::skipped_groups))?;
        let help = "Chunks kept for the viewers of the egress plane";
        page.gauge("queue", help, Some(&Unit::Bytes), sum(Shard::queue_bytes) as f64)
    }

    fn workers(&self, page: &mut Page<'_, '_>) -> Result<(), std::fmt::Error> {
        let workers = self.shards.workers();
        let ratio = Unit::Other("ratio".to_owned());
        let names: Vec<String> = (0..workers.len()).map(|n| n.to_string()).collect();
        let mut each = |name, help, unit, of: fn(&Shard) -> f64| {
            let mut family = page.0.encode_descriptor(name, help, unit, MetricType::Gauge)?;
            for (name, shard) in names.iter().zip(&workers) {
                let labels: Labels<'_> = [("worker", name)];
                ConstGauge::new(of(shard)).encode(family.encode_family(&labels)?)?;
            }
            Ok(())
        };
        let help = "How much of the last 200 ms an egress worker worked";
        each("egress_busy", help, Some(&ratio), Shard::busy)?;
        let help = "Viewers on an egress worker now";
        each("egress_viewers", help, None, |shard| shard.viewers() as f64)?;
        let help = "How long frames wait to share a write, on an egress worker now";
        each("merge_window", help, Some(&Unit::Seconds), Shard::window_seconds)
    }
}

/// Writes one family after the other.
pub(super) struct Page<'a, 'b>(&'a mut DescriptorEncoder<'b>);

impl Page<'_, '_> {
    fn gauge(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<&Unit>,
        value: f64,
    ) -> Result<(), std::fmt::Error> {
        ConstGauge::new(value).encode(self.0.encode_descriptor(name, help, unit, MetricType::Gauge)?)
    }

    fn counter(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<&Unit>,
        value: u64,
    ) -> Result<(), std::fmt::Error> {
        ConstCounter::new(value).encode(self.0.encode_descriptor(name, help, unit, MetricType::Counter)?)
    }

    pub(super) fn gauges(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<&Unit>,
        label: &str,
        values: &[(&str, u64)],
    ) -> Result<(), std::fmt::Error> {
        let mut family = self.0.encode_descriptor(name, help, unit, MetricType::Gauge)?;
        for (value, count) in values {
            let labels: Labels<'_> = [(label, value)];
            ConstGauge::new(*count as f64).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }

    fn counters(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<&Unit>,
        label: &str,
        values: &[(&str, u64)],
    ) -> Result<(), std::fmt::Error> {
        let mut family = self.0.encode_descriptor(name, help, unit, MetricType::Counter)?;
        for (value, count) in values {
            let labels: Labels<'_> = [(label, value)];
            ConstCounter::new(*count).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }

    fn histogram(&mut self, name: &str, help: &str, sum: &Sum) -> Result<(), std::fmt::Error> {
        sum.encode(self.0.encode_descriptor(name, help, Some(&Unit::Seconds), MetricType::Histogram)?)
    }
}
