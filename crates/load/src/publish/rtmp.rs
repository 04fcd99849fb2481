//! A publisher by RTMP.

use super::{Place, PublishPlan, Published, TOKENS_PER_PUBLISHER};
use crate::clock::{self, MILLIS, Nanos};
use crate::flv::{AUDIO, Clip, Tag, VIDEO};
use crate::socket::{self, Received};
use crate::stamp;
use crate::viewer::rtmp::{config, noise, rejected};
use mio::net::TcpStream;
use mio::{Interest, Poll, Token};
use rtmp::{ClientEvent, ClientOutput, ClientSession, MediaKind};

#[derive(Debug)]
pub(super) struct RtmpPublisher {
    stream: Option<TcpStream>,
    session: ClientSession,
    out: Vec<u8>,
    joined: Nanos,
    /// When its timeline began. None: not accepted yet.
    started: Option<Nanos>,
    place: Place,
}

impl RtmpPublisher {
    pub(super) fn join(plan: &PublishPlan, index: usize, poll: &Poll, published: &mut Published) -> Self {
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
            place: Place::default(),
        };
        let source = socket::source_address(target.address, index, plan.sources);
        let connected = socket::connect(target.address, source, None).and_then(|mut stream| {
            let interest = Interest::READABLE | Interest::WRITABLE;
            let token = Token(index * TOKENS_PER_PUBLISHER);
            poll.registry().register(&mut stream, token, interest).map(|()| stream)
        });
        match connected {
            Ok(stream) => publisher.stream = Some(stream),
            Err(error) => publisher.lose(&error.kind().to_string(), published),
        }
        publisher
    }

    pub(super) fn hear(&mut self, plan: &PublishPlan, published: &mut Published) {
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
                    published.accept(self.joined, now);
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

    pub(super) fn speak(&mut self, plan: &PublishPlan, published: &mut Published) {
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
        while let Some((frame, at)) = self.place.due(&plan.clip, elapsed_ms) {
            // RTMP timestamps wrap at 32 bits.
            self.queue(&plan.clip.frames[frame], at as u32, plan, published);
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

    pub(super) fn is_publishing(&self) -> bool {
        self.stream.is_some() && self.started.is_some()
    }

    pub(super) fn is_lost(&self) -> bool {
        self.stream.is_none()
    }

    fn lose(&mut self, reason: &str, published: &mut Published) {
        if self.stream.take().is_some() || self.started.is_none() {
            published.lose(reason);
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
/// A server that takes nothing for so long gets gaps rather than our memory.
const BACKLOG_BYTES_MAX: usize = 4 << 20;
