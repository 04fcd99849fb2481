//! What the conversion of sound and pictures counts.

use media::Codec;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};
use std::sync::atomic::AtomicU64;

type Label = [(&'static str, &'static str); 1];

/// One set. Clones share.
#[derive(Clone, Debug)]
pub(crate) struct TranscodeMetrics {
    jobs: Family<Label, Gauge>,
    frames: Family<Label, Counter>,
    /// Frames that were left out, since the threads are too busy.
    pub(crate) dropped: Counter,
    /// Frames of sound that couldn't be decoded or encoded.
    pub(crate) errors: Counter,
    /// Programs that were started again.
    pub(crate) restarts: Counter,
    /// Pictures that were left out, since their program is too slow.
    pub(crate) dropped_pictures: Counter,
    /// CPU time of the threads, in seconds.
    pub(crate) cpu: Counter<f64, AtomicU64>,
}

impl TranscodeMetrics {
    pub(super) fn registered(registry: &mut Registry) -> TranscodeMetrics {
        let metrics = TranscodeMetrics {
            jobs: Family::default(),
            frames: Family::default(),
            dropped: Counter::default(),
            errors: Counter::default(),
            restarts: Counter::default(),
            dropped_pictures: Counter::default(),
            cpu: Counter::default(),
        };
        for codec in [Codec::Aac, Codec::Opus, Codec::H264] {
            // Seen before the first one.
            metrics.jobs(codec);
            metrics.frames(codec);
        }
        let help = "Broadcasts whose sound (aac, opus) is converted, or whose pictures (h264) are coded anew, now, by the codec they become";
        registry.register("transcodes", help, metrics.jobs.clone());
        let help = "Frames of converted sound and of pictures that were coded anew, by their codec";
        registry.register("transcoded_frames", help, metrics.frames.clone());
        let help = "Frames that were left out, since the threads that convert sound were too busy";
        registry.register("transcode_dropped_frames", help, metrics.dropped.clone());
        let help = "Frames of sound that could not be decoded or encoded";
        registry.register("transcode_errors", help, metrics.errors.clone());
        let help = "Programs that code pictures anew and were started again, since they ended or stood still";
        registry.register("transcode_restarts", help, metrics.restarts.clone());
        let help = "Pictures that were left out, since the program that codes them anew was too slow";
        registry.register("transcode_dropped_pictures", help, metrics.dropped_pictures.clone());
        let help = "CPU time of the threads that convert sound";
        registry.register_with_unit("transcode_cpu", help, Unit::Seconds, metrics.cpu.clone());
        metrics
    }

    /// How many run.
    pub(crate) fn jobs(&self, to: Codec) -> Gauge {
        self.jobs.get_or_create(&[("to", name(to))]).clone()
    }

    /// Frames that came out.
    pub(crate) fn frames(&self, to: Codec) -> Counter {
        self.frames.get_or_create(&[("to", name(to))]).clone()
    }
}

fn name(codec: Codec) -> &'static str {
    match codec {
        Codec::Opus => "opus",
        Codec::H264 => "h264",
        _ => "aac",
    }
}
