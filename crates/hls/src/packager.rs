//! A broadcast's frames to all its renditions.
//!
//! Where segments are cut: the lead rendition (video, or sound alone) cuts at the first keyframe at or after the
//! segment target. The other one cuts at its first frame at or after that time, so that both have the same media
//! sequence numbers. If no keyframe comes before the segment would be longer than the announced target duration,
//! rounded to whole seconds, it is cut without one as a last resort: RFC 8216bis §4.4.3.1 allows no longer segment.
//! Then the next keyframe begins a segment, however soon it comes.
//!
//! Where parts are cut: when the next frame would make one longer than the part target, which is chosen when the first
//! segment is complete ([`crate::pace`]). Until then nothing is listed, so nothing need be cut.

use crate::clock::WallAnchor;
use crate::pace::{self, Pace};
use crate::rendition::{Rendition, Role, TARGET_ROUNDING};
use crate::snapshot::{Snapshot, Ts};
use crate::ts::TsVariant;
use media::{Frame, Kind, Timestamp, Track, TrackId};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// How a broadcast is cut.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Wanted target duration of a part, 200 ms to 1 s. Another is announced where whole frames don't fill it.
    pub part_target: Duration,
    /// Shortest duration of a segment.
    pub segment_target: Duration,
    /// Complete segments that a playlist lists.
    pub segments: usize,
    /// Bytes of segments kept per rendition. While the TS variant is muxed, it and the renditions of pictures and
    /// sound keep two thirds of this each, so that twice this is the most in any case.
    pub bytes_max: usize,
    /// Media sequence number of the first segment, and number of the first init segment. A packager that starts later
    /// than another of the same broadcast needs a higher one, as caches keep segments by their names.
    pub first_number: u32,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            part_target: Duration::from_millis(500),
            segment_target: Duration::from_secs(2),
            segments: 12,
            bytes_max: 32 << 20,
            first_number: 0,
        }
    }
}

/// Longest segment, if the publisher sends no keyframe.
const SEGMENT_MAX: Duration = Duration::from_secs(10);

/// Packages one broadcast.
#[derive(Debug)]
pub struct Packager {
    config: Config,
    video: Option<Rendition>,
    audio: Option<Rendition>,
    pub(crate) ts: TsVariant,
    anchor: Option<WallAnchor>,
    /// Announced once the first segment is complete; never changes then.
    target: Option<Duration>,
    /// Announced with it.
    part_target: Option<Duration>,
    /// Where the lead rendition cut and the other has yet to.
    cuts: VecDeque<Timestamp>,
    ended: bool,
    snapshot: Arc<Snapshot>,
}

impl Packager {
    /// A packager that has seen nothing.
    pub fn new(config: Config) -> Packager {
        let ts = TsVariant::new();
        Packager {
            config,
            video: None,
            audio: None,
            snapshot: Arc::new(Snapshot::empty(ts.asked())),
            ts,
            anchor: None,
            target: None,
            part_target: None,
            cuts: VecDeque::new(),
            ended: false,
        }
    }

    /// What players can load now.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.snapshot)
    }

    /// The tracks from here on. A changed decoder configuration makes a discontinuity.
    pub fn tracks(&mut self, tracks: &[Track]) {
        let changed = tracks.iter().any(|t| self.rendition(t.kind).as_ref().is_some_and(|r| r.track != *t));
        if changed {
            self.restart(tracks);
        }
        let first_number = self.config.first_number;
        let first_msn = self.lead().map_or(u64::from(first_number), Rendition::next_msn);
        for track in tracks {
            let slot = self.rendition(track.kind);
            if slot.is_none() {
                *slot = Some(Rendition::new(track.clone(), first_msn, first_number));
            }
        }
        self.ts.set_tracks([&self.video, &self.audio].into_iter().flatten().map(|r| &r.track));
    }

    /// The publisher came back after a break: time goes on, decoders start anew.
    pub fn resumed(&mut self) {
        self.restart(&[]);
    }

    fn restart(&mut self, tracks: &[Track]) {
        if !std::mem::take(&mut self.cuts).is_empty()
            && let Some(video) = &mut self.video
        {
            // Sound has yet to reach the last cut, and now never will.
            video.abandon_unlisted();
        }
        self.close_all();
        for rendition in [&mut self.video, &mut self.audio].into_iter().flatten() {
            let track = tracks.iter().find(|t| t.kind == rendition.track.kind && **t != rendition.track);
            rendition.restart(track.cloned());
        }
        self.align();
        self.render();
    }

    /// Both renditions go on with the same number after a restart. One that is behind, because it paused, can't
    /// list what it has any more: numbers have no gaps.
    fn align(&mut self) {
        let (Some(video), Some(audio)) = (&mut self.video, &mut self.audio) else { return };
        let next = video.next_msn().max(audio.next_msn());
        for rendition in [video, audio] {
            if rendition.next_msn() < next {
                rendition.renumber(next);
            }
        }
    }

    /// Adds a frame that was seen at `wall`. True when something new can be loaded.
    pub fn frame(&mut self, track: TrackId, frame: &Frame, wall: SystemTime) -> bool {
        let Some(kind) = self.kind_of(track) else { return false };
        // What came late says nothing, as the first frames of what is fetched from elsewhere, which come all at once. What
        // players have seen stays.
        let anchor = WallAnchor::new(wall, frame.dts);
        if self.target.is_none() || self.anchor.is_none() {
            self.anchor = Some(self.anchor.map_or(anchor, |earliest| earliest.min(anchor)));
        }
        let leads = kind == Kind::Video || self.video.is_none();
        let cut = if leads { self.cut_lead(kind, frame) } else { self.cut_follower(frame) };
        let part_target = self.part_target;
        let begins = leads && self.rendition(kind).as_ref().is_some_and(|r| r.growing.is_none());
        let part = match self.rendition(kind) {
            // Pictures before the first keyframe can't be shown.
            Some(r) if r.growing.is_none() && r.segments.is_empty() && !frame.keyframe => return false,
            Some(rendition) => rendition.push(frame.clone(), part_target),
            None => false,
        };
        if let Some(lead) = self.video.as_ref().or(self.audio.as_ref()).filter(|_| begins) {
            self.ts.begin(lead);
        }
        self.ts.frame(track, frame, self.bytes_max());
        if cut || part {
            self.render();
        }
        cut || part
    }

    /// The broadcast is over.
    pub fn end(&mut self) {
        self.close_all();
        self.ended = true;
        self.render();
    }

    /// Completes all growing segments, ahead of time. Before the first is complete nothing was listed, and too
    /// little measured: it is dropped.
    fn close_all(&mut self) {
        for rendition in [&mut self.video, &mut self.audio].into_iter().flatten() {
            match self.part_target {
                Some(target) => rendition.close_at_last_frame(target),
                None => rendition.abandon_unlisted(),
            }
        }
        self.trim();
    }

    /// The part target; chosen now if it wasn't yet, as the lead rendition's first segment ends at `end`.
    fn part_target(&mut self, end: Timestamp) -> Duration {
        let wanted = self.config.part_target;
        let leads = self.video.as_ref().or(self.audio.as_ref());
        let follows = self.video.as_ref().and(self.audio.as_ref());
        let times = |r: &Rendition| r.pending.iter().map(|f| f.dts).collect::<Vec<_>>();
        *self.part_target.get_or_insert_with(|| {
            let lead = leads.and_then(|r| Pace::of(times(r).into_iter().chain([end])));
            let other = follows.and_then(|r| Pace::of(times(r).into_iter()));
            let paces: Vec<Pace> = [lead, other].into_iter().flatten().collect();
            pace::part_target(wanted, &paces)
        })
    }

    /// Cuts the lead rendition before `frame`, if it is time.
    fn cut_lead(&mut self, kind: Kind, frame: &Frame) -> bool {
        let longest = self.target.unwrap_or(SEGMENT_MAX) + TARGET_ROUNDING;
        let shortest = self.config.segment_target.saturating_sub(CUT_SLACK);
        let Some(lead) = self.rendition(kind) else { return false };
        if lead.growing.is_none() {
            return false;
        }
        let age = lead.age(frame.dts);
        let by_keyframe = frame.keyframe && (age >= shortest || !lead.starts_at_keyframe());
        if !by_keyframe && age + lead.frame_duration <= longest {
            return false;
        }
        let part_target = self.part_target(frame.dts);
        let Some(lead) = self.rendition(kind) else { return false };
        lead.close_segment(frame.dts, part_target);
        let duration = lead.segments.back().map_or(Duration::ZERO, |s| s.duration);
        if self.target.is_none() {
            let seconds = duration.max(self.config.segment_target).as_secs_f64().round().max(1.0);
            // No part is longer than a segment.
            let seconds = seconds.max(part_target.as_secs_f64().ceil());
            self.target = Some(Duration::from_secs(seconds as u64));
        }
        if kind == Kind::Video && self.audio.is_some() {
            self.cuts.push_back(frame.dts);
        }
        self.trim();
        true
    }

    /// Cuts sound where the pictures were cut.
    fn cut_follower(&mut self, frame: &Frame) -> bool {
        let Some(cut) = self.cuts.front().copied() else { return false };
        if frame.dts < cut {
            return false;
        }
        self.cuts.pop_front();
        let part_target = self.part_target(frame.dts);
        if let Some(audio) = &mut self.audio {
            audio.close_segment(frame.dts, part_target);
        }
        self.trim();
        true
    }

    fn trim(&mut self) {
        let (segments, bytes_max) = (self.config.segments, self.bytes_max());
        if let Some(lead) = self.video.as_ref().or(self.audio.as_ref()) {
            self.ts.close(lead, segments, bytes_max);
        }
        for rendition in [&mut self.video, &mut self.audio].into_iter().flatten() {
            rendition.trim(segments, bytes_max);
        }
    }

    /// What each rendition may keep.
    fn bytes_max(&self) -> usize {
        let whole = self.config.bytes_max;
        if self.ts.is_on() { whole / 3 * 2 } else { whole }
    }

    fn render(&mut self) {
        if let (Some(target), Some(part_target), Some(anchor)) = (self.target, self.part_target, self.anchor)
        {
            let renditions = [(Role::Video, &self.video), (Role::Audio, &self.audio)];
            let present = renditions.into_iter().filter_map(|(role, r)| Some((role, r.as_ref()?)));
            let present: Vec<_> = present.collect();
            let ts = Ts {
                asked: self.ts.asked(),
                possible: self.ts.is_possible(),
                listed: self.ts.listed(target, anchor, self.ended),
            };
            self.snapshot = Arc::new(Snapshot::render(&present, ts, target, part_target, anchor, self.ended));
        }
    }

    fn rendition(&mut self, kind: Kind) -> &mut Option<Rendition> {
        match kind {
            Kind::Video => &mut self.video,
            Kind::Audio => &mut self.audio,
        }
    }

    fn lead(&self) -> Option<&Rendition> {
        self.video.as_ref().or(self.audio.as_ref())
    }

    fn kind_of(&self, track: TrackId) -> Option<Kind> {
        let renditions = [&self.video, &self.audio].into_iter().flatten();
        renditions.map(|r| &r.track).find(|t| t.id == track).map(|t| t.kind)
    }
}

/// A group that is this much shorter than the target still makes a segment of its own: a 2 s group of a 29.97 fps
/// encoder may last 1.96 s.
const CUT_SLACK: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests;
