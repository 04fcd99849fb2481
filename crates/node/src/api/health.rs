//! How a broadcast comes in, for people and programs.

use hub::health::{Advice, Flow, Groups, Health, Presence, Severity, advice};
use serde::Serialize;
use std::time::Duration;
use utoipa::ToSchema;

/// Whether something is wrong with what the publisher sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Status {
    /// Nothing, or only little.
    Ok,
    /// Some viewers notice.
    Warning,
    /// All viewers notice.
    Error,
}

/// Input health in short.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct HealthBrief {
    pub(super) status: Status,
    /// What the publisher could do better, the worst first.
    advice: Vec<AdviceView>,
}

/// One thing that a publisher could do better.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct AdviceView {
    /// What it is about; stable.
    code: &'static str,
    /// `info`, `warning` or `problem`.
    severity: &'static str,
    /// What was seen, and what to do.
    text: String,
}

/// Input health with its figures. "Lately" is the last 60 s.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct HealthFull {
    #[serde(flatten)]
    brief: HealthBrief,
    /// How long its publisher is there; null while nobody publishes.
    publishing_s: Option<f64>,
    video: FlowView,
    audio: FlowView,
    groups: GroupsView,
    /// Whether pictures are reordered.
    b_frames: bool,
    /// The longest way from decoding to showing a picture.
    reorder_ms: f64,
    /// Timestamps that were mended since the broadcast began, and lately.
    repairs: u64,
    repairs_lately: u64,
    /// How often the publisher came back, and lately.
    reconnects: u64,
    reconnects_lately: u64,
}

/// Pictures or sound as they come in.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct FlowView {
    /// `absent`, `here`, `promised` (but not here) or `silent` (it was here).
    presence: &'static str,
    /// How long nothing came.
    silent_s: Option<f64>,
    /// Over the last ten seconds.
    frames_per_s: Option<f64>,
    /// As the publisher says.
    frames_per_s_nominal: Option<f64>,
    /// Lately.
    kbit_s: Option<f64>,
    /// Standard deviation of the seconds' bits, divided by their mean.
    variation: Option<f64>,
    jitter_ms: f64,
    lateness_ms: f64,
    /// Frames, lately, that came more than half a second late.
    late: u64,
}

/// Groups of pictures: from one keyframe to before the next.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct GroupsView {
    last_s: Option<f64>,
    mean_s: Option<f64>,
    longest_s: Option<f64>,
    /// The one that is not over yet.
    open_s: Option<f64>,
    mean_frames: f64,
    /// Lately, those that lasted more than 4 s or more than twice the usual.
    gaps_lately: u64,
}

impl Status {
    pub(super) fn of(advice: &[Advice]) -> Status {
        match advice.iter().map(|a| a.severity).max() {
            Some(Severity::Problem) => Status::Error,
            Some(Severity::Warning) => Status::Warning,
            Some(Severity::Info) | None => Status::Ok,
        }
    }
}

impl HealthBrief {
    pub(super) fn of(health: &Health) -> HealthBrief {
        let advice = advice(health);
        let view = |a: &Advice| AdviceView {
            code: a.code.as_str(),
            severity: a.severity.as_str(),
            text: a.text.clone(),
        };
        HealthBrief { status: Status::of(&advice), advice: advice.iter().map(view).collect() }
    }
}

impl HealthFull {
    pub(crate) fn of(health: &Health) -> HealthFull {
        HealthFull {
            brief: HealthBrief::of(health),
            publishing_s: health.publishing_for.map(seconds),
            video: FlowView::of(&health.video),
            audio: FlowView::of(&health.audio),
            groups: GroupsView::of(&health.groups),
            b_frames: health.b_frames,
            reorder_ms: millis(health.reorder),
            repairs: health.repairs,
            repairs_lately: health.repairs_lately,
            reconnects: health.reconnects,
            reconnects_lately: health.reconnects_lately,
        }
    }
}

impl FlowView {
    fn of(flow: &Flow) -> FlowView {
        FlowView {
            presence: match flow.presence {
                Presence::Absent => "absent",
                Presence::Here => "here",
                Presence::Promised => "promised",
                Presence::Silent => "silent",
            },
            silent_s: flow.silent_for.map(seconds),
            frames_per_s: flow.frames_per_s.map(rounded),
            frames_per_s_nominal: flow.frames_per_s_nominal.map(rounded),
            kbit_s: flow.bits_per_s.map(|bits| rounded(bits / 1000.0)),
            variation: flow.variation.map(rounded),
            jitter_ms: millis(flow.jitter),
            lateness_ms: millis(flow.lateness),
            late: flow.late,
        }
    }
}

impl GroupsView {
    fn of(groups: &Groups) -> GroupsView {
        GroupsView {
            last_s: groups.last.map(seconds),
            mean_s: groups.mean.map(seconds),
            longest_s: groups.longest.map(seconds),
            open_s: groups.open.map(seconds),
            mean_frames: rounded(groups.mean_frames),
            gaps_lately: groups.gaps_lately,
        }
    }
}

/// Seconds with three digits.
pub(super) fn seconds(span: Duration) -> f64 {
    (span.as_secs_f64() * 1000.0).round() / 1000.0
}

pub(super) fn millis(span: Duration) -> f64 {
    (span.as_secs_f64() * 10_000.0).round() / 10.0
}

/// With three digits; what JSON can't say is zero.
pub(super) fn rounded(value: f64) -> f64 {
    if value.is_finite() { (value * 1000.0).round() / 1000.0 } else { 0.0 }
}
