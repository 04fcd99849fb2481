//! What comes out compared with what went in.

use crate::clips::Clip;
use crate::frames::{self, Frame, Of};
use crate::tool::{Running, Tool};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::time::Duration;

/// One look of ffprobe, or a few seconds of recording.
const LIMIT: Duration = Duration::from_secs(40);
/// How long a stretch of a broadcast is compared with the clip.
pub const RECORDED_SECONDS: u32 = 5;
/// What must come of it in each track. Servers without a cache of groups send sound at once and pictures from the next
/// keyframe on, and clips have groups of up to 2 s.
const ENOUGH_SECONDS: i64 = RECORDED_SECONDS as i64 - 3;

/// What a clip has.
pub const BOTH: [&str; 2] = ["video", "audio"];

/// ffmpeg sends the clip in real time, as it is but for `more`.
///
/// # Errors
/// When there is no ffmpeg.
pub fn publish(clip: &Clip, more: &str, url: &str) -> Result<Running> {
    Tool::ffmpeg()
        .words("-re -i")
        .arg(&clip.path)
        .words("-c copy")
        .words(more)
        .words("-f flv")
        .arg(url)
        .start()
}

/// What ffprobe says of the tracks of a file or broadcast.
///
/// # Errors
/// When it can't read it in time.
pub fn probe(input: &str) -> Result<Value> {
    let found = Tool::ffprobe().words("-of json -show_streams").arg(input).succeed(LIMIT)?.json()?;
    Ok(found["streams"].clone())
}

/// The track of a kind, `video` or `audio`, in what [`probe`] found.
///
/// # Errors
/// When there is none.
pub fn track<'a>(tracks: &'a Value, kind: &str) -> Result<&'a Value> {
    let mut found = tracks.as_array().into_iter().flatten().filter(|t| t["codec_type"] == kind);
    found.next().with_context(|| format!("no {kind} in {tracks}"))
}

/// The tracks that come out have codec, profile, size, rate and channels of the clip's.
///
/// # Errors
/// When they don't, or can't be read.
pub fn same_tracks(input: &str, output: &str) -> Result<()> {
    same_kinds(input, output, &BOTH)
}

/// The same of the tracks of some kinds only, `video` or `audio`; there are no others.
///
/// # Errors
/// When they don't, or can't be read.
pub fn same_kinds(input: &str, output: &str, kinds: &[&str]) -> Result<()> {
    let (before, after) = (probe(input)?, probe(output)?);
    let facts = [
        ("video", &["codec_name", "profile", "level", "width", "height", "pix_fmt", "has_b_frames"][..]),
        ("audio", &["codec_name", "profile", "sample_rate", "channels", "channel_layout"][..]),
    ];
    for (kind, names) in facts {
        if !kinds.contains(&kind) {
            ensure!(track(&after, kind).is_err(), "{output} has {kind}: {after}");
            continue;
        }
        let (before, after) = (track(&before, kind)?, track(&after, kind)?);
        for name in names {
            ensure!(
                before[name] == after[name],
                "{output}: {kind} {name}: {} became {}",
                before[name],
                after[name]
            );
        }
    }
    Ok(())
}

/// A few seconds out of a broadcast are a stretch of the clip without a gap, in pictures and in sound.
///
/// # Errors
/// When they aren't, or can't be read.
pub fn same_frames(clip: &Clip, output: &str, of: Of) -> Result<()> {
    same_frames_of(Tool::ffmpeg, clip, output, of, &BOTH)
}

/// The same, as another ffmpeg reads it and with tracks of some kinds only; there are no others.
///
/// # Errors
/// When they aren't, or can't be read.
pub fn same_frames_of(tool: fn() -> Tool, clip: &Clip, output: &str, of: Of, kinds: &[&str]) -> Result<()> {
    let whole = frames::read(tool(), &clip.path.to_string_lossy(), of, None, LIMIT)?;
    let out = frames::read(tool(), output, of, Some(RECORDED_SECONDS), LIMIT)?;
    for (kind, out, whole) in [("video", &out.video, &whole.video), ("audio", &out.audio, &whole.audio)] {
        if !kinds.contains(&kind) {
            ensure!(out.is_empty(), "{output} has {} frames of {kind}", out.len());
            continue;
        }
        let start = frames::contiguous(out, whole).with_context(|| format!("{kind} of {output}"))?;
        let enough = frames_in(whole, ENOUGH_SECONDS);
        ensure!(
            out.len() >= enough,
            "{kind} of {output}: only {} frames from the clip's {start} on",
            out.len()
        );
        same_steps(out, &whole[start..]).with_context(|| format!("{kind} of {output}"))?;
    }
    Ok(())
}

fn frames_in(whole: &[Frame], seconds: i64) -> usize {
    whole.iter().take_while(|f| f.dts < whole[0].dts + seconds * 1_000_000).count()
}

/// Times between frames are the clip's, within the milliseconds of the wire.
fn same_steps(out: &[Frame], whole: &[Frame]) -> Result<()> {
    for (n, (out_frame, frame)) in out.iter().zip(whole).enumerate() {
        let moved = |f: fn(&Frame) -> i64| (f(out_frame) - f(&out[0])) - (f(frame) - f(&whole[0]));
        let (pts, dts) = (moved(|f| f.pts), moved(|f| f.dts));
        ensure!(pts.abs() <= 2000, "frame {n} is shown {pts} microseconds off");
        ensure!(dts.abs() <= 2000, "frame {n} is decoded {dts} microseconds off");
    }
    Ok(())
}
