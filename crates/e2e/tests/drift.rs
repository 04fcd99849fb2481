//! Sound and pictures stay together.

use anyhow::{Context, Result, ensure};
use e2e::compare::publish;
use e2e::frames::{self, Frame, Frames, Of};
use e2e::{Server, Tool, clips};
use std::collections::HashMap;
use std::time::Duration;

const RECORDED_SECONDS: u32 = 60;
const LIMIT: Duration = Duration::from_secs(100);
const OFFSET_MAX_MICROS: i64 = 40_000;

/// `(time in the clip, how much later it is in the output)` of each frame.
fn shifts(out: &[Frame], whole: &[Frame]) -> Result<Vec<(i64, i64)>> {
    let times: HashMap<&str, i64> = whole.iter().map(|f| (f.hash.as_str(), f.pts)).collect();
    let shift = |frame: &Frame| {
        let time = times.get(frame.hash.as_str()).with_context(|| format!("{frame:?} is not the clip's"))?;
        Ok((*time, frame.pts - time))
    };
    out.iter().map(shift).collect()
}

/// How much later than sound the pictures are, compared with the clip: least and most.
fn offsets(out: &Frames, whole: &Frames) -> Result<(i64, i64)> {
    let mut video = shifts(&out.video, &whole.video)?;
    video.sort_unstable();
    let mut found = Vec::new();
    for (time, shift) in shifts(&out.audio, &whole.audio)? {
        let next = video.partition_point(|(t, _)| *t < time);
        if let Some((_, beside)) = video.get(next) {
            found.push(beside - shift);
        }
    }
    let (least, most) = (found.iter().min().context("no sound")?, found.iter().max().context("no sound")?);
    Ok((*least, *most))
}

#[test]
fn sound_and_pictures_stay_within_40_ms_for_a_minute_over_every_format() -> Result<()> {
    let clip = clips::long()?;
    let server = Server::demo(&[])?;
    let _publisher = publish(&clip, "", &server.rtmp("/live/x"))?;
    server.wait_live("live/x")?;
    let outputs = [
        (server.http("/live/x.flv"), Of::Coded),
        (server.rtmp("/live/x"), Of::Coded),
        (server.http("/live/x/index.m3u8"), Of::Coded),
        (server.http("/live/x/ts/index.m3u8"), Of::Picture),
    ];
    let recording = |(url, of): &(String, Of)| {
        Ok((url.clone(), *of, frames::listing(Tool::ffmpeg(), url, *of, Some(RECORDED_SECONDS)).start()?))
    };
    let recordings = outputs.iter().map(recording).collect::<Result<Vec<_>>>()?;
    for (url, of, recording) in recordings {
        let out = Frames::parse(&recording.finish(LIMIT)?)?;
        let whole = frames::read(Tool::ffmpeg(), &clip.path.to_string_lossy(), of, None, LIMIT)?;
        frames::contiguous(&out.video, &whole.video).with_context(|| format!("video of {url}"))?;
        frames::contiguous(&out.audio, &whole.audio).with_context(|| format!("audio of {url}"))?;
        let span = out.video.last().map_or(0, |f| f.pts) - out.video[0].pts;
        ensure!(span >= 58_000_000, "{url}: only {span} microseconds were recorded");
        let (least, most) = offsets(&out, &whole)?;
        ensure!(
            least.abs().max(most.abs()) <= OFFSET_MAX_MICROS && most - least <= OFFSET_MAX_MICROS,
            "{url}: pictures are {least} to {most} microseconds later than they were"
        );
    }
    Ok(())
}
