//! An HLS viewer: multivariant playlist, then video and audio each over a connection of its own, with blocking reloads and
//! parts where the server offers them, as hls.js and AVPlayer do.

mod link;
mod playlist;
mod rendition;

use crate::clock::{Nanos, SECONDS};
use crate::crowd::Shared;
use crate::profile::{Profile, Seat};
use crate::stats::count;
use crate::viewer::Record;
use playlist::Position;
use rendition::{News, Rendition};
use std::collections::{HashMap, VecDeque};

/// One viewer of HLS.
#[derive(Debug)]
pub(crate) struct HlsViewer {
    pub(crate) seat: Seat,
    pub(crate) record: Record,
    main: Rendition,
    audio: Option<Rendition>,
    host: String,
    token: usize,
    /// When what has been loaded will have been played. 0: nothing yet.
    buffered_until: Nanos,
}

impl HlsViewer {
    /// A viewer that joins now. It uses the tokens `token` and `token + 1`.
    pub(crate) fn join(seat: Seat, token: usize, profile: &Profile, shared: &mut Shared, now: Nanos) -> Self {
        let target = &profile.target;
        let path = target.path_of(seat.broadcast);
        let mut viewer = Self {
            seat,
            record: Record::join(now),
            main: Rendition::new(&target.host, path, target.address, seat, token, false),
            audio: None,
            host: target.host.clone(),
            token,
            buffered_until: 0,
        };
        viewer.main.begin(shared, now);
        viewer
    }

    /// Something happened on the socket of `token`.
    pub(crate) fn ready(&mut self, token: usize, shared: &mut Shared, now: Nanos) {
        let main = token == self.token;
        loop {
            let rendition = if main { Some(&mut self.main) } else { self.audio.as_mut() };
            let Some(rendition) = rendition else { return };
            match rendition.read(&mut self.record, shared, now) {
                None => return,
                Some(News::Audio(path)) => self.open_audio(path, shared, now),
                Some(News::Loaded { seconds }) if main => {
                    let from = self.buffered_until.max(now);
                    self.buffered_until = from + (seconds * SECONDS as f64) as Nanos;
                }
                Some(News::Loaded { .. }) => {}
                Some(News::Trouble(reason)) => {
                    count(&mut shared.tallies[self.seat.profile].hls.errors, &reason);
                }
            }
        }
    }

    fn open_audio(&mut self, path: String, shared: &mut Shared, now: Nanos) {
        if self.audio.is_none() {
            let address = self.main.address();
            let mut audio = Rendition::new(&self.host, path, address, self.seat, self.token + 1, true);
            audio.begin(shared, now);
            self.audio = Some(audio);
        }
    }

    /// Its timers.
    pub(crate) fn tick(&mut self, shared: &mut Shared, now: Nanos) {
        for rendition in std::iter::once(&mut self.main).chain(&mut self.audio) {
            if let Some(reason) = rendition.tick(shared, now) {
                count(&mut shared.tallies[self.seat.profile].hls.errors, &reason);
            }
        }
    }

    /// Now and then: it has begun, so the tick is enough; and is the buffer empty? A player that has nothing to show has stalled.
    pub(crate) fn look(&mut self, shared: &Shared, now: Nanos) {
        if self.buffered_until > 0 && !self.seat.probe {
            self.main.calm(shared);
            if let Some(audio) = &mut self.audio {
                audio.calm(shared);
            }
        }
        if shared.window_open && self.buffered_until > 0 && !self.main.has_ended() {
            self.record.judge_stall(now > self.buffered_until + STALL_TOLERANCE);
        }
    }

    /// It has had media and has some left to show.
    pub(crate) fn is_playing(&self, now: Nanos) -> bool {
        self.buffered_until > 0 && (now <= self.buffered_until + STALL_TOLERANCE || self.main.has_ended())
    }
}

/// When each part was first seen in a playlist, by any viewer of this process: what is answered much later was late.
#[derive(Debug, Default)]
pub(crate) struct Appearances {
    seen: HashMap<(usize, usize, bool), VecDeque<(Position, Nanos)>>,
}

impl Appearances {
    /// When the part appeared; now, if nobody saw it before.
    fn first_seen(&mut self, rendition: (usize, usize, bool), at: Position, now: Nanos) -> Nanos {
        let seen = self.seen.entry(rendition).or_default();
        if let Some((_, when)) = seen.iter().find(|(known, _)| *known == at) {
            return *when;
        }
        if seen.len() == APPEARANCES_MAX {
            seen.pop_front();
        }
        seen.push_back((at, now));
        now
    }
}

/// Parts remembered of each rendition; half a minute at the shortest.
const APPEARANCES_MAX: usize = 128;
/// A decoder holds a frame or two; a tick of ours is no stall either.
const STALL_TOLERANCE: Nanos = SECONDS / 20;
