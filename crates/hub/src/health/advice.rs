//! What is worth telling a publisher, in words.

use super::figures::{Flow, Health, Presence};
use super::meter::{GAP_MIN, SILENT_MIN};
use std::time::Duration;

/// One thing that a publisher could do better.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advice {
    /// What it is about; stable, for programs.
    pub code: AdviceCode,
    /// How much it matters.
    pub severity: Severity,
    /// What was seen, and what to do, for people.
    pub text: String,
}

/// How much an advice matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// It could be better.
    Info,
    /// Some viewers notice.
    Warning,
    /// All viewers notice.
    Problem,
}

/// What an advice is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AdviceCode {
    /// Neither pictures nor sound come.
    NothingComes,
    /// Pictures were promised or came before, and don't come.
    VideoMissing,
    /// Sound was promised or came before, and doesn't come.
    AudioMissing,
    /// Keyframes are far apart.
    KeyframesRare,
    /// Keyframes are very close.
    KeyframesFrequent,
    /// The distance of keyframes changes.
    KeyframesIrregular,
    /// Pictures are reordered.
    BFrames,
    /// Fewer pictures come than the publisher says.
    FrameRateLow,
    /// The bitrate jumps.
    BitRateUnsteady,
    /// Timestamps had to be mended.
    TimestampsMended,
    /// Frames come late and in bursts.
    ArrivalsLate,
    /// The publisher comes back again and again.
    Reconnecting,
}

impl AdviceCode {
    /// All of them.
    pub const ALL: [AdviceCode; 12] = [
        AdviceCode::NothingComes,
        AdviceCode::VideoMissing,
        AdviceCode::AudioMissing,
        AdviceCode::KeyframesRare,
        AdviceCode::KeyframesFrequent,
        AdviceCode::KeyframesIrregular,
        AdviceCode::BFrames,
        AdviceCode::FrameRateLow,
        AdviceCode::BitRateUnsteady,
        AdviceCode::TimestampsMended,
        AdviceCode::ArrivalsLate,
        AdviceCode::Reconnecting,
    ];

    /// Its name in metrics and answers.
    pub fn as_str(self) -> &'static str {
        match self {
            AdviceCode::NothingComes => "nothing_comes",
            AdviceCode::VideoMissing => "video_missing",
            AdviceCode::AudioMissing => "audio_missing",
            AdviceCode::KeyframesRare => "keyframes_rare",
            AdviceCode::KeyframesFrequent => "keyframes_frequent",
            AdviceCode::KeyframesIrregular => "keyframes_irregular",
            AdviceCode::BFrames => "b_frames",
            AdviceCode::FrameRateLow => "frame_rate_low",
            AdviceCode::BitRateUnsteady => "bit_rate_unsteady",
            AdviceCode::TimestampsMended => "timestamps_mended",
            AdviceCode::ArrivalsLate => "arrivals_late",
            AdviceCode::Reconnecting => "reconnecting",
        }
    }
}

impl Severity {
    /// Its name in answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Info => "info",
            Severity::Warning => "warning",
            Severity::Problem => "problem",
        }
    }
}

/// Groups this long make every join and every HLS segment slow.
const GROUP_LONG_MIN: Duration = Duration::from_secs(10);
/// Shorter groups spend bits on keyframes that nobody needs.
const GROUP_SHORT_MAX: Duration = Duration::from_millis(500);
/// Groups that must be seen before their mean says something.
const GROUPS_MIN: usize = 3;
/// A rate below this share of the promised one is low.
const FRAME_RATE_SHARE_MIN: f64 = 0.85;
/// Below this share all viewers see it.
const FRAME_RATE_SHARE_BAD: f64 = 0.5;
/// How long a publisher must be there before its frame rate says something.
const FRAME_RATE_AFTER: Duration = Duration::from_secs(10);
/// A constant bitrate with keyframes every 2 s stays below 0.4.
const VARIATION_MAX: f64 = 0.6;
/// Mended timestamps in a minute that are worth a word; one is what every reconnect may cost.
const REPAIRS_MIN: u64 = 3;
/// Late frames in a minute that are worth a word: a third of a second of pictures.
const LATE_FRAMES_MIN: u64 = 10;
/// Beyond this delay viewers at the live edge stop.
const LATENESS_BAD: Duration = Duration::from_secs(3);
/// Reconnects in a minute that are worth a word.
const RECONNECTS_MIN: u64 = 2;
/// What we advise between keyframes.
const GROUP_ADVISED_S: f64 = 2.0;

/// What is worth telling the publisher of a broadcast of that health, the worst first. Nothing while the seat is vacant.
pub fn advice(health: &Health) -> Vec<Advice> {
    let Some(publishing_for) = health.publishing_for else { return Vec::new() };
    let mut found = Vec::new();
    missing(health, &mut found);
    keyframes(health, &mut found);
    frame_rate(&health.video, publishing_for, &mut found);
    arrival(health, &mut found);
    if health.b_frames {
        let text = format!(
            "B-frames are on: they add {} ms of delay, and WebRTC can't carry them, so its viewers get the pictures without \
             them, coded anew or not at all, as webrtc.b_frames says. For low latency turn them off (OBS: Settings → Output → \
             B-frames 0; ffmpeg: -bf 0).",
            health.reorder.as_millis()
        );
        found.push(Advice { code: AdviceCode::BFrames, severity: Severity::Info, text });
    }
    found.sort_by_key(|advice| std::cmp::Reverse(advice.severity));
    found
}

fn missing(health: &Health, found: &mut Vec<Advice>) {
    let gone = |flow: &Flow| matches!(flow.presence, Presence::Promised | Presence::Silent);
    let there = |flow: &Flow| flow.presence == Presence::Here;
    let mut add = |code, text: String| found.push(Advice { code, severity: Severity::Problem, text });
    let waiting = health.publishing_for.is_some_and(|d| d > SILENT_MIN);
    if waiting && !there(&health.video) && !there(&health.audio) {
        let text = "The connection is open but neither pictures nor sound come: look at the encoder's network and \
                    whether it is paused or has lost its sources.";
        return add(AdviceCode::NothingComes, text.to_owned());
    }
    let since = |flow: &Flow| match (flow.presence, flow.silent_for) {
        (Presence::Silent, Some(silent)) => format!("stopped {} s ago", silent.as_secs()),
        (Presence::Silent, None) => "is gone since the publisher came back".to_owned(),
        _ => "was announced but never came".to_owned(),
    };
    if gone(&health.video) {
        let text = format!(
            "The picture {}: look at the encoder's video source and whether the video encoder runs (OBS: a hardware \
             encoder may have failed; choose x264 under Settings → Output).",
            since(&health.video)
        );
        add(AdviceCode::VideoMissing, text);
    }
    if gone(&health.audio) {
        let text = format!(
            "The sound {}: look at the audio source and its track (OBS: Settings → Audio, and Settings → Output → \
             Audio Track). Players that wait for sound may not start.",
            since(&health.audio)
        );
        add(AdviceCode::AudioMissing, text);
    }
}

fn keyframes(health: &Health, found: &mut Vec<Advice>) {
    let groups = &health.groups;
    let Some(length) = groups.distance() else { return };
    let rate = health.video.frames_per_s_nominal.or(health.video.frames_per_s).filter(|r| *r >= 1.0);
    let frames = (rate.unwrap_or(30.0) * GROUP_ADVISED_S).round();
    let set = format!(
        "Set the keyframe interval to 2 s (OBS: Settings → Output → Keyframe Interval; ffmpeg: -g {frames})."
    );
    if length > GAP_MIN {
        let severity = if length > GROUP_LONG_MIN { Severity::Problem } else { Severity::Warning };
        let text = format!(
            "Keyframes are {:.1} s apart: new viewers start that far behind, and HLS segments get that long. {set}",
            length.as_secs_f64()
        );
        return found.push(Advice { code: AdviceCode::KeyframesRare, severity, text });
    }
    if groups.count < GROUPS_MIN {
        return;
    }
    if length < GROUP_SHORT_MAX {
        let text = format!(
            "Keyframes are {} ms apart: they take bits that the picture could use. {set}",
            length.as_millis()
        );
        return found.push(Advice { code: AdviceCode::KeyframesFrequent, severity: Severity::Info, text });
    }
    if groups.gaps_lately > 0 {
        let text = format!(
            "The distance of keyframes changes, up to {:.1} s at a mean of {:.1} s: HLS segments get uneven. {set} \
             Keyframes at scene changes may stay off (x264: scenecut=0).",
            groups.longest.unwrap_or_default().as_secs_f64(),
            length.as_secs_f64()
        );
        found.push(Advice { code: AdviceCode::KeyframesIrregular, severity: Severity::Info, text });
    }
}

fn frame_rate(video: &Flow, publishing_for: Duration, found: &mut Vec<Advice>) {
    let (Some(rate), Some(nominal)) = (video.frames_per_s, video.frames_per_s_nominal) else { return };
    if video.presence != Presence::Here
        || publishing_for < FRAME_RATE_AFTER
        || rate >= nominal * FRAME_RATE_SHARE_MIN
    {
        return;
    }
    let bad = rate < nominal * FRAME_RATE_SHARE_BAD;
    let text = format!(
        "{rate:.1} of {nominal:.0} pictures a second come: the encoder is overloaded or drops frames for its network \
         (OBS: View → Stats). Take a faster preset, a smaller picture or a lower bitrate."
    );
    let severity = if bad { Severity::Problem } else { Severity::Warning };
    found.push(Advice { code: AdviceCode::FrameRateLow, severity, text });
}

/// How what comes in came in.
fn arrival(health: &Health, found: &mut Vec<Advice>) {
    let mut warn = |code, severity, text| found.push(Advice { code, severity, text });
    let lateness = health.video.lateness.max(health.audio.lateness);
    let late = health.video.late + health.audio.late;
    if late >= LATE_FRAMES_MIN {
        let severity = if lateness > LATENESS_BAD { Severity::Problem } else { Severity::Warning };
        let text = format!(
            "Frames came up to {:.1} s late in the last minute, {late} of them more than half a second: the way from the \
             encoder is congested. Lower the bitrate, or use a cable instead of Wi-Fi.",
            lateness.as_secs_f64()
        );
        warn(AdviceCode::ArrivalsLate, severity, text);
    } else if let Some(variation) = health.video.variation.filter(|v| *v > VARIATION_MAX) {
        // Late frames make the bitrate jump as well; then the network is the cause, and told already.
        let text = format!(
            "The bitrate jumps by {:.0} % from second to second: viewers with just enough bandwidth stall. Use a constant \
             bitrate (OBS: Settings → Output → Rate Control CBR; ffmpeg: -maxrate and -bufsize).",
            variation * 100.0
        );
        warn(AdviceCode::BitRateUnsteady, Severity::Info, text);
    }
    if health.repairs_lately >= REPAIRS_MIN {
        let text = format!(
            "{} timestamps had to be mended in the last minute: sound and picture may drift. Restart the encoder, and let \
             one program make both tracks from one clock.",
            health.repairs_lately
        );
        warn(AdviceCode::TimestampsMended, Severity::Warning, text);
    }
    if health.reconnects_lately >= RECONNECTS_MIN {
        let text = format!(
            "The publisher came back {} times in the last minute: the network breaks, or two encoders use the same key.",
            health.reconnects_lately
        );
        warn(AdviceCode::Reconnecting, Severity::Warning, text);
    }
}
