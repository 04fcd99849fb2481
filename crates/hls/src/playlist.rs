//! Media playlists as text. RFC 8216bis §4.4.

use crate::clock::WallAnchor;
use crate::rendition::{Rendition, Role, Segment};
use std::fmt::Write;
use std::time::Duration;

/// Parts stay listed for so many target durations. RFC 8216bis §6.2.2.
const PARTS_TARGETS: u32 = 3;
/// `CAN-SKIP-UNTIL` in target durations. RFC 8216bis §4.4.3.8 wants at least six.
const SKIP_TARGETS: u32 = 6;
/// `PART-HOLD-BACK` in part targets. RFC 8216bis §4.4.3.8 wants at least three.
const HOLD_BACK_PARTS: u32 = 3;

/// What all playlists of a broadcast share.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame<'a> {
    pub(crate) target: Duration,
    pub(crate) part_target: Duration,
    pub(crate) anchor: WallAnchor,
    pub(crate) ended: bool,
    pub(crate) others: &'a [(Role, &'a Rendition)],
}

/// The playlist of a rendition; `delta` leaves old segments out (RFC 8216bis §4.4.5.2).
pub(crate) fn render(rendition: &Rendition, frame: &Frame<'_>, delta: bool) -> String {
    let mut out = String::with_capacity(4096);
    head(&mut out, rendition, frame);
    let skipped = if delta { skippable(rendition, frame.target) } else { 0 };
    if skipped > 0 {
        line(&mut out, format_args!("#EXT-X-SKIP:SKIPPED-SEGMENTS={skipped}"));
    }
    let parts_from = parts_from(rendition, frame.target);
    let mut revision = None;
    for (i, segment) in rendition.segments.iter().enumerate() {
        let changed = revision.replace(segment.revision) != Some(segment.revision);
        if i < skipped {
            continue;
        }
        let msn = rendition.first_msn + i as u64;
        segment_head(&mut out, segment, frame, changed);
        if i >= parts_from && !frame.ended {
            parts(&mut out, segment, msn, frame.part_target);
        }
        line(&mut out, format_args!("#EXTINF:{:.5},", segment.listed(frame.target).as_secs_f64()));
        line(&mut out, format_args!("seg-{msn}.m4s"));
    }
    if frame.ended {
        out.push_str("#EXT-X-ENDLIST\n");
        return out;
    }
    tail(&mut out, rendition, frame, revision);
    out
}

fn head(out: &mut String, rendition: &Rendition, frame: &Frame<'_>) {
    let target = frame.target.as_secs();
    out.push_str("#EXTM3U\n#EXT-X-VERSION:9\n");
    if !rendition.dependent {
        out.push_str("#EXT-X-INDEPENDENT-SEGMENTS\n");
    }
    line(out, format_args!("#EXT-X-TARGETDURATION:{target}"));
    line(
        out,
        format_args!(
            "#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK={:.3},CAN-SKIP-UNTIL={}",
            (frame.part_target * HOLD_BACK_PARTS).as_secs_f64(),
            (frame.target * SKIP_TARGETS).as_secs()
        ),
    );
    line(out, format_args!("#EXT-X-PART-INF:PART-TARGET={:.3}", frame.part_target.as_secs_f64()));
    line(out, format_args!("#EXT-X-MEDIA-SEQUENCE:{}", rendition.first_msn));
    if rendition.discontinuities_gone > 0 || rendition.segments.iter().any(|s| s.discontinuity) {
        line(out, format_args!("#EXT-X-DISCONTINUITY-SEQUENCE:{}", rendition.discontinuities_gone));
    }
}

fn segment_head(out: &mut String, segment: &Segment, frame: &Frame<'_>, changed: bool) {
    if segment.discontinuity {
        out.push_str("#EXT-X-DISCONTINUITY\n");
    }
    if changed {
        line(out, format_args!("#EXT-X-MAP:URI=\"init-{}.mp4\"", segment.revision));
    }
    out.push_str("#EXT-X-PROGRAM-DATE-TIME:");
    frame.anchor.write_date(segment.start, out);
    out.push('\n');
}

/// A part of one frame before a gap lasts longer than a part may; as much as is allowed is listed (RFC 8216bis
/// §4.4.3.7). The media in it has its real duration, and the date of the next segment the real time.
fn parts(out: &mut String, segment: &Segment, msn: u64, part_target: Duration) {
    for (n, part) in segment.parts.iter().enumerate() {
        let independent = if part.independent { ",INDEPENDENT=YES" } else { "" };
        let duration = part.duration.min(part_target).as_secs_f64();
        line(out, format_args!("#EXT-X-PART:DURATION={duration:.5},URI=\"part-{msn}-{n}.m4s\"{independent}"));
    }
}

/// The segment that grows, the part that comes next, and where the other renditions are.
fn tail(out: &mut String, rendition: &Rendition, frame: &Frame<'_>, revision: Option<u32>) {
    let msn = rendition.next_msn();
    let mut next_part = 0;
    if let Some(segment) = rendition.growing.as_ref().filter(|s| !s.parts.is_empty()) {
        segment_head(out, segment, frame, revision != Some(segment.revision));
        parts(out, segment, msn, frame.part_target);
        next_part = segment.parts.len();
    }
    line(out, format_args!("#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"part-{msn}-{next_part}.m4s\""));
    for (role, other) in frame.others {
        let (last_msn, last_part) = last(other);
        line(
            out,
            format_args!(
                "#EXT-X-RENDITION-REPORT:URI=\"../{}/index.m3u8\",LAST-MSN={last_msn},LAST-PART={last_part}",
                role.name()
            ),
        );
    }
}

/// The newest part of a rendition. RFC 8216bis §4.4.5.4.
fn last(rendition: &Rendition) -> (u64, usize) {
    let msn = rendition.next_msn();
    match rendition.growing.as_ref().map_or(0, |s| s.parts.len()) {
        0 => {
            (msn.saturating_sub(1), rendition.segments.back().map_or(0, |s| s.parts.len().saturating_sub(1)))
        }
        parts => (msn, parts - 1),
    }
}

/// Segments that lie wholly before the skip boundary. RFC 8216bis §6.2.5.1.
fn skippable(rendition: &Rendition, target: Duration) -> usize {
    older_than(rendition, target * SKIP_TARGETS)
}

/// Index of the first segment whose parts are listed: within three target durations of the end, and one of the last
/// three segments with the one that grows, since strict parsers count segments where the RFC counts time.
fn parts_from(rendition: &Rendition, target: Duration) -> usize {
    let by_count = rendition.segments.len().saturating_sub(PARTS_TARGETS as usize - 1);
    older_than(rendition, target * PARTS_TARGETS).max(by_count)
}

/// How many segments end more than `age` before the end of the playlist.
fn older_than(rendition: &Rendition, age: Duration) -> usize {
    let mut after = rendition.growing.as_ref().map_or(Duration::ZERO, |s| s.duration);
    for (i, segment) in rendition.segments.iter().enumerate().rev() {
        if after >= age {
            return i + 1;
        }
        after += segment.duration;
    }
    0
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a String can't fail.
    let _ = out.write_fmt(text);
    out.push('\n');
}
