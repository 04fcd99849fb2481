//! Publishers: one thread that feeds many RTMP sessions from one clip, in real time, round and round.

use crate::clock::{self, MICROS, MILLIS, Nanos, SECONDS};
use crate::flv::{AUDIO, Clip, Tag, VIDEO};
use crate::profile::Target;
use crate::socket::{self, Received};
use crate::stamp;
use crate::stats::{Distribution, count};
use crate::viewer::rtmp::{config, noise, rejected};
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use rtmp::{ClientEvent, ClientOutput, ClientSession, MediaKind};
use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// What to publish, and how.
#[derive(Debug)]
pub(crate) struct PublishPlan {
    pub(crate) target: Target,
    pub(crate) clip: Clip,
    pub(crate) publishers: usize,
    /// New publishers a second.
    pub(crate) ramp: f64,
    pub(crate) stamp: bool,
    pub(crate) sources: usize,
    pub(crate) deadline: Option<Nanos>,
}

/// What became of it.
#[derive(Debug, Default)]
pub(crate) struct Published {
    pub(crate) publishers: u64,
    /// Publishers whose broadcasts were accepted.
    pub(crate) accepted: u64,
    /// Still publishing at the end.
    pub(crate) publishing: u64,
    /// From connecting to being accepted, in µs.
    pub(crate) ready: Distribution,
    pub(crate) lost: BTreeMap<String, u64>,
    /// Media bytes sent or queued.
    pub(crate) bytes: u64,
    /// Frames that were not sent, because the server took no more.
    pub(crate) dropped_frames: u64,
    pub(crate) backlog_bytes_max: u64,
}

#[derive(Debug)]
struct Publisher {
    stream: Option<TcpStream>,
    session: ClientSession,
    out: Vec<u8>,
    joined: Nanos,
    /// When its timeline began. None: not accepted yet.
    started: Option<Nanos>,
    next_frame: usize,
    /// Where on its timeline this round of the clip began, in ms.
    round_ms: u64,
}

/// Publishes until `stop` or the plan's deadline, or until all are lost.
///
/// # Errors
/// When the kernel refuses an epoll instance.
pub(crate) fn publish(plan: &PublishPlan, stop: &AtomicBool, quiet: bool) -> io::Result<Published> {
    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(1024);
    let mut published = Published { publishers: plan.publishers as u64, ..Published::default() };
    let mut publishers: Vec<Publisher> = Vec::new();
    let start = clock::now();
    let (mut wake, mut next_progress) = (start, start + PROGRESS_EVERY);
    while !stop.load(Ordering::Relaxed) {
        wake = (wake + TICK).max(clock::now().saturating_sub(SECONDS));
        clock::sleep_until(wake);
        let now = clock::now();
        while publishers.len() < plan.publishers
            && start + (publishers.len() as f64 / plan.ramp * SECONDS as f64) as Nanos <= now
        {
            let publisher = Publisher::join(plan, publishers.len(), &poll, &mut published);
            publishers.push(publisher);
        }
        match poll.poll(&mut events, Some(Duration::ZERO)) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => events.clear(),
            other => other?,
        }
        for event in events.iter() {
            if let Some(publisher) = publishers.get_mut(event.token().0) {
                publisher.hear(plan, &mut published);
            }
        }
        for publisher in &mut publishers {
            publisher.speak(plan, &mut published);
        }
        if !quiet && now >= next_progress {
            next_progress = now + PROGRESS_EVERY;
            let live = publishers.iter().filter(|publisher| publisher.is_publishing()).count();
            eprintln!(
                "publishing {live} of {}; lost {}",
                plan.publishers,
                published.lost.values().sum::<u64>()
            );
        }
        let all_lost = publishers.len() == plan.publishers && publishers.iter().all(|p| p.stream.is_none());
        if all_lost || plan.deadline.is_some_and(|deadline| now >= deadline) {
            break;
        }
    }
    published.publishing = publishers.iter().filter(|publisher| publisher.is_publishing()).count() as u64;
    Ok(published)
}

impl Publisher {
    fn join(plan: &PublishPlan, index: usize, poll: &Poll, published: &mut Published) -> Self {
        let now = clock::now();
        let target = &plan.target;
        let session =
            ClientSession::publish(config(&target.host, &target.path_of(index)), &noise(now ^ index as u64));
        let mut publisher = Self {
            stream: None,
            session,
            out: Vec::new(),
            joined: now,
            started: None,
            next_frame: 0,
            round_ms: 0,
        };
        let source = socket::source_address(target.address, index, plan.sources);
        let connected = socket::connect(target.address, source, None).and_then(|mut stream| {
            let interest = Interest::READABLE | Interest::WRITABLE;
            poll.registry().register(&mut stream, Token(index), interest).map(|()| stream)
        });
        match connected {
            Ok(stream) => publisher.stream = Some(stream),
            Err(error) => publisher.lose(&error.kind().to_string(), published),
        }
        publisher
    }

    fn hear(&mut self, plan: &PublishPlan, published: &mut Published) {
        let mut buffer = [0; 16 << 10];
        while let Some(stream) = &self.stream {
            if let Some(reason) = socket::connect_failure(stream) {
                return self.lose(reason, published);
            }
            match socket::receive(stream, &mut buffer) {
                Received::Bytes(length) => {
                    let heard = self.session.handle_input(&buffer[..length]);
                    self.act(plan, published);
                    if let Err(error) = heard {
                        return self.lose(&format!("RTMP: {error}"), published);
                    }
                }
                Received::Later => return,
                Received::End => return self.lose("closed by the server", published),
                Received::Broken(reason) => return self.lose(reason, published),
            }
        }
    }

    fn act(&mut self, plan: &PublishPlan, published: &mut Published) {
        while let Some(output) = self.session.poll_output() {
            match output {
                ClientOutput::Send(bytes) => self.out.extend_from_slice(&bytes),
                ClientOutput::Event(ClientEvent::Ready) if self.started.is_none() => {
                    let now = clock::now();
                    self.started = Some(now);
                    published.accepted += 1;
                    published.ready.record((now - self.joined) / MICROS);
                    self.send_headers(&plan.clip);
                }
                ClientOutput::Event(ClientEvent::Rejected(code, text)) => {
                    return self.lose(&rejected(&code, &text), published);
                }
                ClientOutput::Event(_) => {}
            }
        }
    }

    fn send_headers(&mut self, clip: &Clip) {
        if let Some(metadata) = &clip.metadata {
            self.session.send_media(MediaKind::Data, 0, &[SET_DATA_FRAME, &metadata.body]);
        }
        for header in &clip.headers {
            self.session.send_media(kind_of(header), 0, &[&header.body]);
        }
    }

    fn speak(&mut self, plan: &PublishPlan, published: &mut Published) {
        if self.stream.is_none() {
            return;
        }
        if let Some(started) = self.started {
            self.queue_due(started, plan, published);
        }
        self.act(plan, published);
        if let Some(stream) = &self.stream
            && !socket::send_some(stream, &mut self.out)
        {
            return self.lose("connection reset", published);
        }
        published.backlog_bytes_max = published.backlog_bytes_max.max(self.out.len() as u64);
    }

    fn queue_due(&mut self, started: Nanos, plan: &PublishPlan, published: &mut Published) {
        let elapsed_ms = clock::now().saturating_sub(started) / MILLIS;
        while let Some(frame) = plan.clip.frames.get(self.next_frame) {
            let at = self.round_ms + u64::from(frame.timestamp);
            if at > elapsed_ms {
                break;
            }
            // RTMP timestamps wrap at 32 bits.
            self.queue(frame, at as u32, plan, published);
            self.next_frame += 1;
            if self.next_frame == plan.clip.frames.len() {
                self.next_frame = 0;
                self.round_ms += u64::from(plan.clip.span_ms);
            }
        }
    }

    fn queue(&mut self, frame: &Tag, timestamp: u32, plan: &PublishPlan, published: &mut Published) {
        if self.out.len() > BACKLOG_BYTES_MAX {
            published.dropped_frames += 1;
            return;
        }
        published.bytes += frame.body.len() as u64;
        match plan.clip.nal_length_size.filter(|_| plan.stamp && frame.takes_stamp()) {
            Some(size) => {
                let body = stamp::stamped(&frame.body, size, clock::now());
                self.session.send_media(MediaKind::Video, timestamp, &[&body]);
            }
            None => self.session.send_media(kind_of(frame), timestamp, &[&frame.body]),
        }
    }

    fn is_publishing(&self) -> bool {
        self.stream.is_some() && self.started.is_some()
    }

    fn lose(&mut self, reason: &str, published: &mut Published) {
        if self.stream.take().is_some() || self.started.is_none() {
            count(&mut published.lost, reason);
        }
        self.out = Vec::new();
    }
}

fn kind_of(tag: &Tag) -> MediaKind {
    match tag.kind {
        AUDIO => MediaKind::Audio,
        VIDEO => MediaKind::Video,
        _ => MediaKind::Data,
    }
}

/// AMF0 string "@setDataFrame": what encoders put before `onMetaData`.
const SET_DATA_FRAME: &[u8] = b"\x02\0\x0d@setDataFrame";
/// A frame is sent at most this much after it is due.
const TICK: Nanos = 2 * MILLIS;
/// A server that takes nothing for so long gets gaps rather than our memory.
const BACKLOG_BYTES_MAX: usize = 4 << 20;
const PROGRESS_EVERY: Nanos = 5 * SECONDS;
