//! One rendition being played: its playlist, its init segment, its parts, one after the other.

use super::link::{Answer, Link, Outcome};
use super::playlist::{Entry, MediaPlaylist, Playlist, Position, parse, resolve};
use crate::clock::{MICROS, MILLIS, Nanos, SECONDS};
use crate::crowd::Shared;
use crate::http;
use crate::profile::Seat;
use crate::stamp;
use crate::viewer::Record;
use std::collections::VecDeque;
use std::fmt::Write as _;
use std::net::SocketAddr;

/// Video, or audio apart.
#[derive(Debug)]
pub(super) struct Rendition {
    link: Link,
    host: String,
    address: SocketAddr,
    /// Path of the playlist.
    url: String,
    audio: bool,
    seat: Seat,
    step: Step,
    queue: VecDeque<Entry>,
    /// What is to be loaded next. None: not started.
    next: Option<Position>,
    init: Option<String>,
    /// For how to reload; empty before the first.
    list: Option<Terms>,
    requested: Nanos,
    ended: bool,
    redirects: u8,
}

#[derive(Debug)]
enum Step {
    Playlist { asked: Option<Position> },
    Init,
    Media(Entry),
    Pause { until: Nanos },
}

/// What the last playlist said about reloading.
#[derive(Debug, Clone, Copy)]
struct Terms {
    target_duration: f64,
    can_block: bool,
    can_skip: bool,
    low_latency: bool,
    next: Position,
}

/// What the viewer should know.
#[derive(Debug)]
pub(super) enum News {
    /// Audio is apart, in this playlist.
    Audio(String),
    /// So much can be played more.
    Loaded { seconds: f64 },
    /// Something went wrong; it goes on regardless.
    Trouble(String),
}

impl Rendition {
    pub(super) fn new(
        host: &str,
        url: String,
        address: SocketAddr,
        seat: Seat,
        token: usize,
        audio: bool,
    ) -> Self {
        Self {
            link: Link::new(address, seat.number, token),
            host: host.to_owned(),
            address,
            url,
            audio,
            seat,
            step: Step::Pause { until: 0 },
            queue: VecDeque::new(),
            next: None,
            init: None,
            list: None,
            requested: 0,
            ended: false,
            redirects: 0,
        }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }

    /// From now on the tick is enough.
    pub(super) fn calm(&mut self, shared: &Shared) {
        self.link.calm(shared);
    }

    /// Asks for the playlist.
    pub(super) fn begin(&mut self, shared: &Shared, now: Nanos) {
        self.ask_playlist(shared, now);
    }

    /// Reads on. `None`: nothing more for now.
    pub(super) fn read(&mut self, record: &mut Record, shared: &mut Shared, now: Nanos) -> Option<News> {
        if let Some(reason) = self.link.connect_failure() {
            self.link.fail(reason);
            return self.trouble(reason, now);
        }
        loop {
            let media = !self.audio && matches!(self.step, Step::Media(_));
            match self.link.read(media, record, shared, now) {
                Outcome::Waiting => return None,
                Outcome::Failed(reason) => return self.trouble(reason, now),
                Outcome::Answer(answer) => {
                    let news = self.answered(&answer, shared, now);
                    if news.is_some() {
                        return news;
                    }
                }
            }
        }
    }

    /// Its timers. Returns what went wrong.
    pub(super) fn tick(&mut self, shared: &Shared, now: Nanos) -> Option<String> {
        match self.step {
            Step::Pause { until } if now >= until && !self.ended => {
                self.ask_playlist(shared, now);
                None
            }
            Step::Pause { .. } => None,
            _ if now.saturating_sub(self.requested) > ANSWER_WITHIN => {
                self.link.fail("no answer");
                let reason = format!("{}: no answer within 20 s", self.subject());
                self.pause(SECONDS, now);
                Some(reason)
            }
            _ => None,
        }
    }

    fn answered(&mut self, answer: &Answer, shared: &mut Shared, now: Nanos) -> Option<News> {
        let status = answer.head.status;
        if let (301 | 302 | 303 | 307 | 308, Some(location)) = (status, &answer.head.location) {
            self.redirects += 1;
            if self.redirects > REDIRECTS_MAX || !matches!(self.step, Step::Playlist { .. }) {
                return self.trouble("too many redirects", now);
            }
            self.url = resolve(&self.url, location);
            self.ask_playlist(shared, now);
            return None;
        }
        if !matches!(status, 200 | 206) {
            return self.trouble(&format!("HTTP {}", answer.head.status_text), now);
        }
        match std::mem::replace(&mut self.step, Step::Pause { until: now }) {
            Step::Playlist { asked } => self.playlist(asked, &answer.body, shared, now),
            Step::Init => self.go_on(shared, now),
            Step::Media(entry) => self.media(&entry, &answer.body, shared, now),
            Step::Pause { .. } => None,
        }
    }

    fn playlist(
        &mut self,
        asked: Option<Position>,
        body: &[u8],
        shared: &mut Shared,
        now: Nanos,
    ) -> Option<News> {
        match parse(&String::from_utf8_lossy(body)) {
            Err(reason) => self.trouble(reason, now),
            Ok(Playlist::Multivariant { video, audio }) => {
                let audio = audio.map(|audio| resolve(&self.url, &audio));
                self.url = resolve(&self.url, &video);
                self.ask_playlist(shared, now);
                audio.map(News::Audio)
            }
            Ok(Playlist::Media(list)) => self.media_playlist(asked, list, shared, now),
        }
    }

    fn media_playlist(
        &mut self,
        asked: Option<Position>,
        list: MediaPlaylist,
        shared: &mut Shared,
        now: Nanos,
    ) -> Option<News> {
        let early = asked.is_some_and(|asked| list.next <= asked && !list.ended);
        self.count_reload(asked.filter(|_| !early), &list, shared, now);
        let start = match self.next {
            Some(next) => Some(next),
            None => list.start(self.audio),
        };
        let fell_behind =
            self.next.is_some_and(|next| list.entries.first().is_some_and(|first| next < first.at))
                && !list.delta;
        self.ended = list.ended;
        self.list = Some(Terms {
            target_duration: list.target_duration,
            can_block: list.can_block,
            can_skip: list.can_skip,
            low_latency: list.entries.iter().any(|entry| !entry.at.whole),
            next: list.next,
        });
        let base = self.url.clone();
        if let Some(start) = start {
            self.queue.extend(list.entries.into_iter().filter(|entry| entry.at >= start));
        }
        let init = list.init.map(|init| resolve(&base, &init));
        if init != self.init && init.is_some() {
            self.init.clone_from(&init);
            self.ask(init.unwrap_or_default(), "", false, Step::Init, shared, now);
        } else {
            self.go_on(shared, now);
        }
        if early {
            self.pause_if_idle(now);
            return Some(News::Trouble(format!(
                "{}: a blocking request was answered too early",
                self.subject()
            )));
        }
        fell_behind.then(|| News::Trouble("fell behind the playlist".to_owned()))
    }

    fn count_reload(&self, asked: Option<Position>, list: &MediaPlaylist, shared: &mut Shared, now: Nanos) {
        let rendition = (self.seat.profile, self.seat.broadcast, self.audio);
        let appeared = asked.map(|asked| shared.appearances.first_seen(rendition, asked, now));
        if !shared.window_open {
            return;
        }
        let hls = &mut shared.tallies[self.seat.profile].hls;
        hls.playlists += 1;
        hls.deltas += u64::from(list.delta);
        if let Some(appeared) = appeared {
            let waited = now - appeared.max(self.requested);
            hls.reload.record(waited / MICROS);
            hls.late += u64::from(waited > shared.late_after);
        }
    }

    fn media(&mut self, entry: &Entry, body: &[u8], shared: &mut Shared, now: Nanos) -> Option<News> {
        if shared.window_open {
            let tally = &mut shared.tallies[self.seat.profile];
            if entry.at.whole {
                tally.hls.segments += 1;
            } else {
                tally.hls.parts += 1;
            }
            tally.hls.fetch.record(now.saturating_sub(self.requested) / MICROS);
            let mut rest = body;
            while let Some((sent, end)) = stamp::find(rest) {
                tally.frames += 1;
                tally.frame_age.record(now.saturating_sub(sent) / MICROS);
                rest = &rest[end..];
            }
        }
        self.next = Some(entry.at.after());
        self.go_on(shared, now);
        Some(News::Loaded { seconds: entry.duration })
    }

    /// The next thing to load: what the last playlist offered, then the playlist again.
    fn go_on(&mut self, shared: &Shared, now: Nanos) -> Option<News> {
        if let Some(entry) = self.queue.pop_front() {
            let range = entry.range.map_or_else(String::new, |(offset, length)| {
                format!("Range: bytes={offset}-{}\r\n", offset.saturating_add(length) - 1)
            });
            let path = resolve(&self.url, &entry.uri);
            let keep = self.seat.probe && !self.audio;
            self.ask(path, &range, keep, Step::Media(entry), shared, now);
        } else if self.ended {
            self.pause(ENDED_PAUSE, now);
        } else if let Some(terms) = self.list.filter(|terms| !terms.can_block) {
            // rfc8216bis §6.3.4: not before a target duration has passed, counted from the request before.
            let wait = (terms.target_duration * SECONDS as f64) as Nanos;
            self.step = Step::Pause { until: self.requested.max(now.saturating_sub(wait)) + wait };
        } else {
            self.ask_playlist(shared, now);
        }
        None
    }

    fn ask_playlist(&mut self, shared: &Shared, now: Nanos) {
        let mut path = self.url.clone();
        let terms = self.list.filter(|terms| terms.can_block);
        if let Some(terms) = terms {
            let mark = if path.contains('?') { '&' } else { '?' };
            // Writing to a string does not fail.
            let _ = write!(path, "{mark}_HLS_msn={}", terms.next.segment);
            if terms.low_latency {
                let _ = write!(path, "&_HLS_part={}", terms.next.part);
            }
            if terms.can_skip {
                path.push_str("&_HLS_skip=YES");
            }
        }
        let asked = terms.map(|terms| terms.next);
        self.ask(path, "Accept-Encoding: gzip\r\n", true, Step::Playlist { asked }, shared, now);
    }

    fn ask(&mut self, path: String, extra: &str, keep: bool, step: Step, shared: &Shared, now: Nanos) {
        self.step = step;
        self.requested = now;
        let request = http::get(&self.host, &path, extra);
        drop(path);
        if !self.link.ask(request, keep, shared) {
            self.pause(SECONDS, now);
        }
    }

    /// A blocking server that does not block must not be asked in a circle.
    fn pause_if_idle(&mut self, now: Nanos) {
        if matches!(self.step, Step::Playlist { .. }) {
            self.link.fail("answered too early");
            self.pause(SPIN_PAUSE, now);
        }
    }

    fn trouble(&mut self, reason: &str, now: Nanos) -> Option<News> {
        let text = format!("{}: {reason}", self.subject());
        // The playlist tells what is there now.
        self.queue.clear();
        self.pause(SECONDS, now);
        Some(News::Trouble(text))
    }

    fn pause(&mut self, length: Nanos, now: Nanos) {
        self.step = Step::Pause { until: now + length };
        if length >= SECONDS {
            // After trouble it asks without blocking, as a player that starts anew.
            self.list = None;
        }
    }

    fn subject(&self) -> &'static str {
        match self.step {
            Step::Playlist { .. } => "playlist",
            Step::Init => "init segment",
            Step::Media(_) => "media",
            Step::Pause { .. } => "connection",
        }
    }
}

/// A blocking answer may take three target durations; with segments of six seconds, nearly this.
const ANSWER_WITHIN: Nanos = 20 * SECONDS;
const REDIRECTS_MAX: u8 = 5;
const SPIN_PAUSE: Nanos = 250 * MILLIS;
const ENDED_PAUSE: Nanos = 3600 * SECONDS;
