//! Frames to packets, once per broadcast and worker; viewers share the payloads.

use super::capture::{CaptureClock, Captured};
use super::engine::{Outgoing, Peer};
use super::inbox::{FeedWaker, Inbox};
use super::member::Exit;
use super::outlet::MediaClock;
use hub::{Batch, Broadcast, Catalog, Consumer, Item};
use media::{Codec, Frame, Kind, Track, TrackId};
use mux::rtp::{DropPlan, Packetizer, Verdict, clock_hz};
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Instant;

/// One broadcast on one worker.
#[derive(Debug)]
pub(super) struct Feed {
    pub(super) broadcast: Arc<Broadcast>,
    /// The broadcast that its bytes are counted for: its own, or the one that it is a quality of.
    pub(super) counted: Arc<Broadcast>,
    /// Slots of its viewers.
    pub(super) members: Vec<usize>,
    pub(super) ended: bool,
    /// Why nobody can go on, if so.
    pub(super) broken: Option<&'static str>,
    captures: CaptureClock,
    consumer: Consumer,
    waker: Waker,
    lines: Vec<Line>,
    /// Pictures from the newest keyframe on, for who joins or lost some.
    group: Vec<Packets>,
    /// What the last call to [`Feed::drain`] brought.
    fresh: Vec<Packets>,
    /// Which media time it is, by the newest keyframe.
    clock: Option<MediaClock>,
}

/// One track that goes out.
#[derive(Debug)]
struct Line {
    track: Track,
    packetizer: Packetizer,
    plan: DropPlan,
    hz: u32,
}

/// The packets of one frame.
#[derive(Clone, Debug)]
pub(super) struct Packets {
    kind: Kind,
    /// RTP time.
    ticks: u32,
    keyframe: bool,
    arrived: Instant,
    /// When the picture was taken, if its publisher tells.
    taken: Option<Captured>,
    payloads: Arc<[Outgoing]>,
    bytes: u64,
}

/// What a viewer takes from a feed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Takes {
    pub(super) pictures: bool,
    pub(super) sound: bool,
}

/// Where a viewer is in its feeds.
#[derive(Debug, Default)]
pub(super) struct Seat {
    /// Whether pictures flow: it got a keyframe.
    pub(super) started: bool,
    /// RTP time of the last picture that it got.
    last_ticks: Option<u32>,
    pub(super) sent_bytes: u64,
    /// Media reached it.
    pub(super) served: bool,
}

/// Payload bytes of one packet: with the headers of RTP, SRTP, UDP and IPv6 it fits into what every network carries
/// (1,280 bytes, RFC 8200 §5).
const PAYLOAD_BYTES: usize = 1150;
/// Pictures kept; a longer group is not sent again.
const GROUP_FRAMES_MAX: usize = 600;

impl Feed {
    pub(super) fn new(
        number: usize,
        inbox: &Arc<Inbox>,
        broadcast: &Arc<Broadcast>,
        counted: &Arc<Broadcast>,
        captures: CaptureClock,
    ) -> Feed {
        Feed {
            broadcast: Arc::clone(broadcast),
            counted: Arc::clone(counted),
            members: Vec::new(),
            ended: false,
            broken: None,
            captures,
            consumer: broadcast.consumer(),
            waker: Waker::from(Arc::new(FeedWaker { inbox: Arc::clone(inbox), feed: number })),
            lines: Vec::new(),
            group: Vec::new(),
            fresh: Vec::new(),
            clock: None,
        }
    }

    /// Packetises all that is new, and readies the waker for what comes next.
    pub(super) fn drain(&mut self, batch: &mut Batch) {
        self.fresh.clear();
        let waker = self.waker.clone();
        let mut cx = Context::from_waker(&waker);
        while !self.ended && self.consumer.poll_batch(&mut cx, batch).is_ready() {
            for item in batch.items.drain(..) {
                match item {
                    Item::Catalog(catalog) => self.learn(&catalog),
                    Item::Resumed => {}
                    Item::Frame { track, frame, arrived, .. } => self.packetise(track, &frame, arrived),
                }
            }
            self.ended |= batch.ended;
        }
    }

    fn learn(&mut self, catalog: &Catalog) {
        let mut lines = Vec::new();
        for kind in [Kind::Video, Kind::Audio] {
            let Some(track) = catalog.first(kind) else { continue };
            let before = self.lines.iter().position(|line| line.track.kind == kind);
            if before.is_some_and(|at| self.lines[at].track.codec != track.codec) {
                self.broken = Some("the broadcast changed its codec");
            }
            let (Ok(packetizer), Some(hz)) =
                (Packetizer::new(track.codec, PAYLOAD_BYTES), clock_hz(track.codec))
            else {
                continue;
            };
            match before {
                Some(at) => lines.push(Line { track: track.clone(), ..self.lines.swap_remove(at) }),
                None => lines.push(Line { track: track.clone(), packetizer, plan: DropPlan::default(), hz }),
            }
        }
        // Pictures that were taken back are for nobody any more.
        if !lines.iter().any(|line| line.track.kind == Kind::Video) {
            self.group.clear();
        }
        self.lines = lines;
    }

    fn packetise(&mut self, track: TrackId, frame: &Frame, arrived: Instant) {
        let Some(line) = self.lines.iter_mut().find(|line| line.track.id == track) else { return };
        match line.plan.judge(line.track.codec, frame) {
            Verdict::Send => {}
            Verdict::Drop => return,
            Verdict::Stuck => {
                self.broken = Some("it has B-frames now that others build on");
                return;
            }
        }
        let Ok(payloads) = line.packetizer.packetize(&line.track.config, frame) else { return };
        let payloads: Arc<[Outgoing]> = payloads
            .into_iter()
            .map(|payload| Outgoing { payload: Arc::from(&payload.bytes[..]), marker: payload.marker })
            .collect();
        if frame.keyframe && (line.track.kind == Kind::Video || self.clock.is_none()) {
            self.clock = Some(MediaClock { media: frame.pts, at: arrived });
        }
        let packets = Packets {
            kind: line.track.kind,
            // RTP time wraps. RFC 3550 §5.1.
            ticks: frame.pts.to_clock(line.hz) as u32,
            keyframe: frame.keyframe,
            arrived,
            taken: self.captures.at(frame.pts.as_micros()).filter(|_| line.track.kind == Kind::Video),
            bytes: payloads.iter().map(|p| p.payload.len() as u64).sum(),
            payloads,
        };
        if packets.kind == Kind::Video {
            if packets.keyframe {
                self.group.clear();
            }
            let starts = packets.keyframe || !self.group.is_empty();
            if starts && self.group.len() < GROUP_FRAMES_MAX {
                self.group.push(packets.clone());
            } else {
                self.group.clear();
            }
        }
        self.fresh.push(packets);
    }

    /// Arrival times of what is fresh, for the age of frames.
    pub(super) fn arrivals(&self) -> impl Iterator<Item = Instant> {
        self.fresh.iter().map(|packets| packets.arrived)
    }

    /// Whether a viewer can begin here now.
    pub(super) fn has_fresh_keyframe(&self) -> bool {
        self.fresh.iter().any(|packets| packets.kind == Kind::Video && packets.keyframe)
    }

    /// Sends what is fresh to one viewer.
    pub(super) fn give(&self, takes: Takes, seat: &mut Seat, peer: &mut Peer, exit: &mut Exit<'_>) {
        let pictures =
            peer.sends(Kind::Video) && self.lines.iter().any(|line| line.track.kind == Kind::Video);
        for packets in &self.fresh {
            let wanted = match packets.kind {
                Kind::Video => takes.pictures && (seat.started || packets.keyframe),
                // Sound begins with the pictures, and goes on while those come from elsewhere.
                Kind::Audio => takes.sound && (seat.started || seat.served || !pictures),
            };
            if wanted {
                seat.started |= packets.kind == Kind::Video;
                seat.send(packets, packets.ticks, peer, exit);
            }
        }
        if let (Some(outlet), Some(clock)) = (peer.outlet(), self.clock) {
            outlet.report(clock, exit);
        }
    }

    /// Sends the newest group to who joined or lost pictures. Its times are squeezed together, so that a player shows the last
    /// picture at once and doesn't stay behind by the length of the group.
    pub(super) fn give_group(&self, seat: &mut Seat, peer: &mut Peer, exit: &mut Exit<'_>) {
        let Some(newest) = self.group.last() else { return };
        let count = self.group.len() as u32;
        let first = match seat.last_ticks {
            // Times must not go back; the next picture is some thousand ticks ahead.
            Some(last) => last.wrapping_add(1),
            None => newest.ticks.wrapping_sub(count - 1),
        };
        for (packets, step) in self.group.iter().zip(0..) {
            seat.send(packets, first.wrapping_add(step), peer, exit);
        }
        seat.started = true;
    }
}

impl Seat {
    fn send(&mut self, packets: &Packets, ticks: u32, peer: &mut Peer, exit: &mut Exit<'_>) {
        let ticks = match self.last_ticks.filter(|_| packets.kind == Kind::Video) {
            // Another quality's clock may be a little behind; two pictures of one time would be taken for one.
            Some(last) if ticks.wrapping_sub(last).cast_signed() <= 0 => last.wrapping_add(1),
            _ => ticks,
        };
        let Some(outlet) = peer.outlet() else { return };
        outlet.send(packets.kind, &packets.payloads, (ticks, packets.taken), exit);
        if packets.kind == Kind::Video {
            self.last_ticks = Some(ticks);
        }
        self.sent_bytes += packets.bytes;
        self.served = true;
    }
}

/// What of a broadcast can be sent by WebRTC.
pub(super) fn sendable(catalog: &Catalog) -> (Option<Codec>, Option<Codec>) {
    let of =
        |kind, known: &[Codec]| catalog.first(kind).map(|t| t.codec).filter(|codec| known.contains(codec));
    let video = of(Kind::Video, &[Codec::H264, Codec::Vp8, Codec::Vp9, Codec::Av1]);
    (video, of(Kind::Audio, &[Codec::Opus]))
}
