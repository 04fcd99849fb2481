//! Which frames a file or broadcast has: their hashes and times, as ffmpeg's `framemd5` lists them.

use crate::tool::{Finished, Tool};
use anyhow::{Context, Result, ensure};
use std::collections::HashMap;
use std::time::Duration;

/// One frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Presentation time in microseconds.
    pub pts: i64,
    /// Decode time in microseconds.
    pub dts: i64,
    /// What tells it from all others.
    pub hash: String,
}

/// The frames of a file: pictures and sound, each in order of decoding.
#[derive(Clone, Debug, Default)]
pub struct Frames {
    /// Pictures.
    pub video: Vec<Frame>,
    /// Sound.
    pub audio: Vec<Frame>,
    /// Codec names as ffmpeg says them.
    pub codecs: Vec<String>,
}

/// What the hash of a picture is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    /// The coded bytes.
    Coded,
    /// The decoded picture: for containers that write the coded bytes differently.
    Picture,
}

/// The frames of `input`: of `seconds`, or to its end.
///
/// # Errors
/// When ffmpeg fails, or isn't done within `limit`.
pub fn read(tool: Tool, input: &str, of: Of, seconds: Option<u32>, limit: Duration) -> Result<Frames> {
    let finished = listing(tool, input, of, seconds).succeed(limit)?;
    Frames::parse(&finished).with_context(|| format!("{finished}"))
}

/// The command that lists frames; parse what it printed with [`Frames::parse`].
pub fn listing(tool: Tool, input: &str, of: Of, seconds: Option<u32>) -> Tool {
    let coding = match of {
        Of::Coded => "-c copy",
        // Times are those of the container, not rounded to the frame rate: a millisecond can make a whole frame of that.
        // ADTS headers belong to the container.
        Of::Picture => {
            "-c:v rawvideo -fps_mode passthrough -enc_time_base:v 1:90000 -c:a copy -bsf:a aac_adtstoasc"
        }
    };
    let length = seconds.map_or_else(String::new, |seconds| format!("-t {seconds}"));
    tool.words("-i").arg(input).words(coding).words(&length).words("-f framemd5 -")
}

impl Frames {
    /// Reads what `framemd5` printed.
    ///
    /// # Errors
    /// When it is something else.
    pub fn parse(finished: &Finished) -> Result<Frames> {
        let mut frames = Frames::default();
        let mut kinds: HashMap<usize, Kind> = HashMap::new();
        for line in finished.text().lines() {
            if let Some(comment) = line.strip_prefix('#') {
                frames.note(comment, &mut kinds).with_context(|| format!("in {line:?}"))?;
                continue;
            }
            let fields: Vec<&str> = line.split(',').map(str::trim).collect();
            ensure!(fields.len() >= 6, "no frame: {line:?}");
            let kind = kinds.get(&fields[0].parse()?).context("a frame of no track")?;
            let micros = |text: &str| {
                Ok::<_, std::num::ParseIntError>(text.parse::<i64>()? * kind.micros.0 / kind.micros.1)
            };
            let frame =
                Frame { dts: micros(fields[1])?, pts: micros(fields[2])?, hash: fields[5].to_owned() };
            if kind.video { frames.video.push(frame) } else { frames.audio.push(frame) }
        }
        Ok(frames)
    }

    fn note(&mut self, comment: &str, kinds: &mut HashMap<usize, Kind>) -> Result<()> {
        let (name, value) = comment.split_once(':').unwrap_or((comment, ""));
        let (name, value) = (name.trim(), value.trim());
        let Some((name, number)) = name.split_once(' ') else { return Ok(()) };
        match name {
            "tb" => {
                let (above, below) = value.split_once('/').context("no time base")?;
                kinds.entry(number.parse()?).or_default().micros =
                    (above.parse::<i64>()? * 1_000_000, below.parse()?);
            }
            "media_type" => kinds.entry(number.parse()?).or_default().video = value == "video",
            "codec_id" => self.codecs.push(value.to_owned()),
            _ => {}
        }
        Ok(())
    }
}

#[derive(Debug, Default)]
struct Kind {
    video: bool,
    /// A unit of time is this fraction of microseconds.
    micros: (i64, i64),
}

/// Where `out` lies in `whole`, both in order; every frame of `out` must be there, none between left out.
///
/// # Errors
/// When a frame is unknown, lost, doubled or out of order.
pub fn contiguous(out: &[Frame], whole: &[Frame]) -> Result<usize> {
    let places: HashMap<&str, usize> = whole.iter().enumerate().map(|(n, f)| (f.hash.as_str(), n)).collect();
    ensure!(places.len() == whole.len(), "the clip has equal frames: {} of {}", places.len(), whole.len());
    let place = |n: usize| {
        let frame = &out[n];
        places
            .get(frame.hash.as_str())
            .copied()
            .with_context(|| format!("frame {n} of {} is none of the clip's: {frame:?}", out.len()))
    };
    ensure!(!out.is_empty(), "no frames at all");
    let start = place(0)?;
    for n in 1..out.len() {
        let (at, expected) = (place(n)?, start + n);
        ensure!(
            at == expected,
            "after {n} of {} frames comes the clip's frame {at} instead of {expected}",
            out.len()
        );
    }
    Ok(start)
}
