//! The built-in clip: FLV tags to publish in a loop.

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use rtmp::MediaKind;

/// Made by `demo/make-clip.sh`.
static CLIP: &[u8] = include_bytes!("../../../demo/clip.flv");

/// One FLV tag.
#[derive(Debug)]
pub(crate) struct Tag {
    pub(crate) kind: MediaKind,
    time_ms: u32,
    pub(crate) body: Bytes,
}

/// A clip that can be published for ever.
#[derive(Debug)]
pub(crate) struct Clip {
    /// Metadata and decoder configurations, sent once.
    pub(crate) headers: Vec<Tag>,
    video: Vec<Tag>,
    audio: Vec<Tag>,
    /// Length of one loop: that of the picture.
    loop_micros: u64,
    /// How long one frame of sound lasts.
    audio_micros: u64,
}

const FILE_HEADER_BYTES: usize = 13;
const TAG_HEADER_BYTES: usize = 11;

impl Clip {
    /// The clip that is in the binary.
    pub(crate) fn built_in() -> Result<Clip> {
        let (mut headers, mut video, mut audio) = (Vec::new(), Vec::new(), Vec::new());
        let Some(mut rest) = CLIP.get(FILE_HEADER_BYTES..) else { bail!("the built-in clip is empty") };
        while let Some((head, tail)) = rest.split_at_checked(TAG_HEADER_BYTES) {
            let size = u32::from_be_bytes([0, head[1], head[2], head[3]]) as usize;
            let time_ms = u32::from_be_bytes([head[7], head[4], head[5], head[6]]);
            let Some((body, later)) = tail.split_at_checked(size) else { break };
            rest = later.get(4..).unwrap_or_default();
            let tag = |kind| Tag { kind, time_ms, body: Bytes::from_static(body) };
            match (head[0], body.get(1)) {
                (8, Some(0)) => headers.push(tag(MediaKind::Audio)),
                (9, Some(0)) => headers.push(tag(MediaKind::Video)),
                (18, _) => headers.push(tag(MediaKind::Data)),
                (8, Some(_)) => audio.push(tag(MediaKind::Audio)),
                (9, Some(1)) => video.push(tag(MediaKind::Video)),
                // The end of the sequence of pictures, which a loop has none of.
                _ => {}
            }
        }
        let video_micros = frame_micros(&video).context("the clip has no video")?;
        let audio_micros = frame_micros(&audio).context("the clip has no audio")?;
        let loop_micros = (video_micros * video.len() as u64 + 500) / 1000 * 1000;
        Ok(Clip { headers, video, audio, loop_micros, audio_micros })
    }

    /// The frames of the loop `number`, with the milliseconds since the first loop began.
    ///
    /// A loop of pictures is no whole number of frames of sound. So sound goes on in its own pace, and its loop begins
    /// at the first frame that fits, at most a frame after the picture's.
    pub(crate) fn frames(&self, number: u64) -> Vec<(u64, &Tag)> {
        let slot = |number: u64| (number * self.loop_micros).div_ceil(self.audio_micros);
        let base = number * self.loop_micros / 1000;
        let video = self.video.iter().map(|tag| (base + u64::from(tag.time_ms), tag));
        let first = self.audio.first().map_or(0, |tag| u64::from(tag.time_ms));
        let times = (slot(number)..slot(number + 1)).map(|slot| first + slot * self.audio_micros / 1000);
        let mut all: Vec<_> = video.chain(times.zip(&self.audio)).collect();
        all.sort_by_key(|(time_ms, _)| *time_ms);
        all
    }
}

/// The mean length of a frame.
fn frame_micros(frames: &[Tag]) -> Option<u64> {
    let span = u64::from(frames.last()?.time_ms.checked_sub(frames.first()?.time_ms)?) * 1000;
    span.checked_div(frames.len() as u64 - 1).filter(|micros| *micros > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sound_and_picture_step_evenly_through_all_loops() -> Result<()> {
        let clip = Clip::built_in()?;
        let mut last = [None; 2];
        for (time_ms, tag) in (0..1000).flat_map(|number| clip.frames(number)) {
            let (track, expected) = if tag.kind == MediaKind::Video { (0, 33..=34) } else { (1, 21..=22) };
            if let Some(before) = last[track].replace(time_ms) {
                let step = time_ms.checked_sub(before);
                assert!(step.is_some_and(|s| expected.contains(&s)), "{:?}: {before} to {time_ms}", tag.kind);
            }
        }
        assert_eq!(last[0], Some(1000 * 12_000 - 12), "a loop is twelve seconds");
        Ok(())
    }

    #[test]
    fn sound_stays_with_the_picture() -> Result<()> {
        let clip = Clip::built_in()?;
        for number in [0, 1, 2, 999, 1_000_000] {
            let frames = clip.frames(number);
            let audio = frames.iter().filter(|(_, tag)| tag.kind == MediaKind::Audio);
            for (time_ms, tag) in audio {
                let apart = (number * 12_000 + u64::from(tag.time_ms)).abs_diff(*time_ms);
                assert!(apart <= 22, "loop {number}: {apart} ms from its picture");
            }
        }
        Ok(())
    }
}
