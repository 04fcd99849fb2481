//! The multivariant playlist. RFC 8216bis §4.4.6.
//!
//! It doesn't say EXT-X-INDEPENDENT-SEGMENTS: players load it once, and the tag would be about all segments to come. A publisher
//! may stop sending keyframes at any time, so the media playlists say it, each of what it lists.

use crate::rendition::{Rendition, Role};
use media::Kind;

/// Renders it for these renditions, video first.
pub(crate) fn render(renditions: &[(Role, &Rendition)]) -> String {
    let mut out = String::from("#EXTM3U\n#EXT-X-VERSION:9\n");
    let codecs: Vec<String> = renditions.iter().map(|(_, r)| r.track.codecs_string()).collect();
    let peaks: u64 = renditions.iter().map(|(_, r)| bandwidth(r).0).sum();
    let means: u64 = renditions.iter().map(|(_, r)| bandwidth(r).1).sum();
    let audio = renditions.iter().find(|(role, _)| *role == Role::Audio);
    let video = renditions.iter().find(|(role, _)| *role == Role::Video);
    let mut variant = format!(
        "#EXT-X-STREAM-INF:BANDWIDTH={peaks},AVERAGE-BANDWIDTH={means},CODECS=\"{}\"",
        codecs.join(",")
    );
    if let (Some((_, rendition)), Some(_)) = (audio, video) {
        let channels = rendition.track.audio_format().channels;
        out.push_str(&format!(
            "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"audio\",NAME=\"Sound\",DEFAULT=YES,AUTOSELECT=YES,\
             CHANNELS=\"{channels}\",URI=\"audio/index.m3u8\"\n"
        ));
        variant.push_str(",AUDIO=\"audio\"");
    }
    if let Some((_, rendition)) = video {
        if let Some((width, height)) = rendition.track.video_size() {
            variant.push_str(&format!(",RESOLUTION={width}x{height}"));
        }
        if let Some(rate) = frame_rate(rendition) {
            variant.push_str(&format!(",FRAME-RATE={rate:.3}"));
        }
        // Said, so that players need not load segments to look for them. RFC 8216bis §4.4.6.2.
        if !rendition.captions {
            variant.push_str(",CLOSED-CAPTIONS=NONE");
        }
    }
    let uri = if video.is_some() { "video/index.m3u8" } else { "audio/index.m3u8" };
    out.push_str(&format!("{variant}\n{uri}\n"));
    out
}

/// Peak and mean bits a second of the segments that are kept.
fn bandwidth(rendition: &Rendition) -> (u64, u64) {
    // Rounded up: a bound that is a bit too low is none.
    let rate = |bytes: usize, seconds: f64| (bytes as f64 * 8.0 / seconds.max(0.001)).ceil() as u64;
    let of = |s: &crate::rendition::Segment| rate(s.bytes.len(), s.duration.as_secs_f64());
    let peak = rendition.segments.iter().map(of).max().unwrap_or(0);
    let bytes = rendition.segments.iter().map(|s| s.bytes.len()).sum();
    let seconds = rendition.segments.iter().map(|s| s.duration.as_secs_f64()).sum();
    (peak.max(1), rate(bytes, seconds).max(1))
}

/// Frames a second, from the sample count of the newest part.
fn frame_rate(rendition: &Rendition) -> Option<f64> {
    if rendition.track.kind != Kind::Video {
        return None;
    }
    let part = rendition.segments.back()?.parts.first()?;
    // `trun` has its sample count after version and flags.
    let run = part.bytes.windows(4).position(|w| w == b"trun")?;
    let count = u32::from_be_bytes(part.bytes.get(run + 8..run + 12)?.try_into().ok()?);
    Some(f64::from(count) / part.duration.as_secs_f64().max(0.001))
}
