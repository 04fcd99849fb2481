//! How media goes to one viewer: numbered, encrypted, and sent again when it is lost. The payloads are those that all viewers
//! share; what is a viewer's own is a header, a key and 40 bytes for each picture of the last second.
//!
//! The library that makes connections could do this too. It copies each packet three times, keeps 600 bytes of state beside it, and
//! takes 3 MiB and five times the time where it measures networks, which is most of what a viewer cost.
//!
//! - [`seal`] SRTP and SRTCP
//! - [`history`] what was sent lately
//! - [`feedback`] what the viewer reports
//! - [`network`] what its network carries, where there is a choice
//! - [`pace`] how fast pictures leave

mod feedback;
mod history;
mod network;
mod pace;
mod seal;

use super::capture::{self, Captured};
use super::engine::Outgoing;
use super::member::Exit;
use feedback::Feedback;
pub(super) use feedback::{is_media, is_rtcp};
use history::History;
use media::{Kind, Timestamp};
use network::Network;
use pace::Pace;
pub(super) use seal::Profile;
use seal::{MasterKey, Opener, Sealer};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The way of media to one viewer.
pub(super) struct Outlet {
    sealer: Sealer,
    opener: Opener,
    lines: Vec<Line>,
    history: History,
    pace: Pace,
    /// Pictures that may not go yet, in their order. Their payloads are shared, and [`pace`] bounds how long they wait.
    waiting: VecDeque<Sending>,
    waiting_bytes: usize,
    /// None where nothing is to be found out of it, or the viewer doesn't tell when packets come.
    network: Option<Box<Network>>,
    /// The share that was lost, as reports tell who don't tell when packets come.
    loses: Option<f32>,
    /// Says which lines are of one source, so that a player shows them in time with each other. RFC 3550 §6.5.1.
    cname: Box<str>,
    report_due: Option<Instant>,
}

/// What the handshake gave: the secrets of both directions.
#[derive(Clone)]
pub(super) struct Secret {
    pub(super) profile: Profile,
    /// As exported, RFC 5764 §4.2.
    pub(super) material: Box<[u8]>,
    /// Whether we were the client of the handshake.
    pub(super) client: bool,
}

/// What was agreed of a media section that is sent.
#[derive(Clone, Debug)]
pub(super) struct Section {
    pub(super) kind: Kind,
    pub(super) ssrc: u32,
    pub(super) payload_type: u8,
    /// Sender and payload type of packets that are sent again. RFC 4588.
    pub(super) resend: Option<(u32, u8)>,
    /// The number of the header extension that names the section, and the name. RFC 9143 §15.
    pub(super) name: Option<(u8, String)>,
    /// The number of the header extension that tells when a picture was taken.
    pub(super) capture: Option<u8>,
    /// The number of the header extension that numbers the packets of all sections, where the network is to be measured.
    pub(super) transport: Option<u8>,
    pub(super) hz: u32,
}

/// Packets of one kind.
#[derive(Debug)]
struct Line {
    section: Section,
    /// Names the section, until the viewer has told that it heard of it.
    extension: Option<Box<[u8]>>,
    /// Sequence numbers with their upper bits.
    next: u64,
    next_again: u64,
    packets: u32,
    octets: u32,
}

/// A frame on its way out.
struct Sending {
    packets: Arc<[Outgoing]>,
    /// The next packet.
    at: usize,
    /// RTP time.
    ticks: u32,
    taken: Option<Captured>,
}

/// Which media time it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct MediaClock {
    pub(super) media: Timestamp,
    pub(super) at: Instant,
}

/// One packet before its payload.
struct Head {
    ssrc: u32,
    payload_type: u8,
    number: u64,
    ticks: u32,
    marker: bool,
}

const HEAD_BYTES: usize = 12;
/// Header extensions are seldom longer.
const EXTENSION_BYTES: usize = 32;
/// By fewer packets nothing is found out, and one may be lost.
const TRY_PACKETS_MIN: usize = network::PACKETS_MIN as usize + 1;
/// How often a viewer is told which picture and which sound belong together. RFC 3550 §6.2 wants 5 s at most; a new viewer needs it soon.
const REPORT_EVERY: Duration = Duration::from_secs(2);
const FIRST_REPORT_AFTER: Duration = Duration::from_millis(100);
const SENDER_REPORT: u8 = 200;
const SOURCE_DESCRIPTION: u8 = 202;
const CNAME: u8 = 1;

impl Outlet {
    /// `None` when the secrets don't fit the profile.
    pub(super) fn new(secret: &Secret, sections: Vec<Section>, cname: &str, now: Instant) -> Option<Outlet> {
        let (client, server) = MasterKey::both(secret.profile, &secret.material)?;
        let (ours, theirs) = if secret.client { (client, server) } else { (server, client) };
        let measured = sections.iter().any(|section| section.transport.is_some());
        Some(Outlet {
            sealer: Sealer::new(&ours)?,
            opener: Opener::new(&theirs)?,
            lines: sections.into_iter().map(Line::new).collect(),
            history: History::default(),
            pace: Pace::default(),
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            network: measured.then(|| Box::new(Network::new(now))),
            loses: None,
            cname: cname.into(),
            report_due: None,
        })
    }

    /// Sends a frame; `ticks` is its RTP time, `taken` when a camera saw it. What of a picture may not go yet waits for
    /// [`Outlet::go_on`]; sound never waits.
    pub(super) fn send(
        &mut self,
        kind: Kind,
        packets: &Arc<[Outgoing]>,
        (ticks, taken): (u32, Option<Captured>),
        exit: &mut Exit<'_>,
    ) {
        self.report_due.get_or_insert(exit.now + FIRST_REPORT_AFTER);
        let mut sending = Sending { packets: Arc::clone(packets), at: 0, ticks, taken };
        if kind == Kind::Audio {
            self.write(kind, &mut sending, exit);
            return;
        }
        self.pace.pass(exit.now, self.waiting_bytes);
        let sent = self.waiting.is_empty() && self.write(kind, &mut sending, exit);
        if !sent {
            self.waiting_bytes += sending.bytes_left();
            self.waiting.push_back(sending);
        }
    }

    /// Sends what waited and may go by now.
    pub(super) fn go_on(&mut self, exit: &mut Exit<'_>) {
        self.pace.pass(exit.now, self.waiting_bytes);
        while let Some(mut first) = self.waiting.pop_front() {
            let before = first.bytes_left();
            let sent = self.write(Kind::Video, &mut first, exit);
            self.waiting_bytes -= before - first.bytes_left();
            if !sent {
                self.waiting.push_front(first);
                return;
            }
        }
    }

    /// When [`Outlet::go_on`] is to be called, if anything waits.
    pub(super) fn due(&self, now: Instant) -> Option<Instant> {
        (!self.waiting.is_empty()).then(|| now + pace::EVERY)
    }

    /// Writes the packets of a frame; false when some of them have to wait.
    fn write(&mut self, kind: Kind, sending: &mut Sending, exit: &mut Exit<'_>) -> bool {
        let Some(line) = self.lines.iter_mut().find(|line| line.section.kind == kind) else { return true };
        let mut taken = sending.taken.filter(|_| sending.at == 0);
        while let Some(packet) = sending.packets.get(sending.at) {
            if kind == Kind::Video && !self.pace.take(packet.payload.len()) {
                return false;
            }
            if kind == Kind::Video && sending.at == 0 && line.section.resend.is_some() {
                self.history.note(line.next as u16, sending.ticks, &sending.packets, exit.now);
            }
            let head = Head {
                ssrc: line.section.ssrc,
                payload_type: line.section.payload_type,
                number: line.next,
                ticks: sending.ticks,
                marker: packet.marker,
            };
            sending.at += 1;
            line.next += 1;
            line.packets = line.packets.wrapping_add(1);
            line.octets = line.octets.wrapping_add(packet.payload.len() as u32);
            let payload = [&[], &packet.payload[..]];
            line.write(&self.sealer, self.network.as_deref_mut(), &head, taken.take(), payload, exit);
        }
        true
    }

    /// Finds out whether the network carries that, in bits per second: sends what was sent just now again, all at once. A viewer drops
    /// what it has.
    pub(super) fn try_out(&mut self, bits_per_second: u64, exit: &mut Exit<'_>) {
        let Some(line) = self.lines.iter_mut().find(|line| line.section.kind == Kind::Video) else { return };
        let (Some(network), Some(again)) = (self.network.as_deref_mut(), line.section.resend) else { return };
        let bytes = network.try_out(bits_per_second, exit.now);
        for (sequence, packet, ticks) in self.history.newest(bytes, TRY_PACKETS_MIN) {
            line.write_again(&self.sealer, Some(network), again, (sequence, &packet, ticks), exit);
        }
    }

    /// Whether all that it was sent lately waited in its network.
    pub(super) fn is_held_up(&self) -> bool {
        self.network.as_ref().is_some_and(|network| network.is_full())
    }

    /// What its network carries, bits per second, as far as that is found out.
    pub(super) fn carries(&self) -> Option<u64> {
        self.network.as_ref().map(|network| network.carries())
    }

    /// The share of packets that was lost, once for each time that it was told.
    pub(super) fn take_loss(&mut self) -> Option<f32> {
        match &mut self.network {
            Some(network) => network.take_loss(),
            None => self.loses.take(),
        }
    }

    /// Pictures of another quality are sent from now on; those of before aren't needed any more.
    pub(super) fn begin_anew(&mut self) {
        self.history.forget();
        if let Some(network) = &mut self.network {
            network.begin_anew();
        }
    }

    /// Takes a report in, and sends again what it lacks. True when the viewer can't go on without a keyframe. `None` for what is
    /// damaged, forged or old.
    pub(super) fn hear(&mut self, datagram: &[u8], exit: &mut Exit<'_>) -> Option<bool> {
        let (mut bytes, mut said, mut stuck) = (datagram.to_vec(), Vec::new(), false);
        let compound = self.opener.rtcp(&mut bytes)?;
        feedback::read(compound, &mut said);
        if let Some(network) = &mut self.network {
            network.told(compound, exit.now);
        }
        for one in said {
            match one {
                Feedback::Heard { ssrc, loses } => {
                    let Some(line) = self.lines.iter_mut().find(|line| line.section.ssrc == ssrc) else {
                        continue;
                    };
                    line.extension = None;
                    if line.section.kind == Kind::Video {
                        self.loses = Some(loses);
                    }
                }
                Feedback::Lost { ssrc, sequence } => stuck |= self.again(ssrc, sequence, exit),
                Feedback::KeyframeWanted(ssrc) => {
                    stuck |=
                        self.lines.iter().any(|l| l.section.kind == Kind::Video && l.section.ssrc == ssrc);
                }
            }
        }
        Some(stuck)
    }

    /// Sends a packet again; true when that isn't agreed, so that only a keyframe helps.
    fn again(&mut self, ssrc: u32, sequence: u16, exit: &mut Exit<'_>) -> bool {
        let wanted = |line: &&mut Line| line.section.kind == Kind::Video && line.section.ssrc == ssrc;
        let Some(line) = self.lines.iter_mut().find(wanted) else { return false };
        let Some(resend) = line.section.resend else { return true };
        if let Some((packet, ticks)) = self.history.again(sequence, exit.now) {
            let network = self.network.as_deref_mut();
            line.write_again(&self.sealer, network, resend, (sequence, &packet, ticks), exit);
        }
        false
    }

    /// Tells how the times of pictures and sound belong together, when that is due.
    pub(super) fn report(&mut self, clock: MediaClock, exit: &mut Exit<'_>) {
        if self.report_due.is_none_or(|due| exit.now < due) {
            return;
        }
        self.report_due = Some(exit.now + REPORT_EVERY);
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let (wall, mut report) = (capture::ntp(wall), Vec::with_capacity(128));
        let passed = exit.now.saturating_duration_since(clock.at);
        let media = Timestamp::from_micros(clock.media.as_micros() + passed.as_micros() as i64);
        let told: Vec<&Line> = self.lines.iter().filter(|line| line.packets > 0).collect();
        let Some(first) = told.first().map(|line| line.section.ssrc) else { return };
        told.iter().for_each(|line| line.report(media, wall, &mut report));
        describe(&told, &self.cname, &mut report);
        if self.sealer.rtcp(&mut report, first).is_some() {
            exit.datagram(report.len()).extend_from_slice(&report);
            exit.wire.end();
        }
    }
}

impl std::fmt::Debug for Outlet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outlet").field("lines", &self.lines).finish_non_exhaustive()
    }
}

impl Sending {
    fn bytes_left(&self) -> usize {
        self.packets[self.at..].iter().map(|packet| packet.payload.len()).sum()
    }
}

impl Line {
    fn new(section: Section) -> Line {
        let name = section.name.as_ref().map(|(number, name)| (*number, name.as_bytes()));
        let extension = extension(name.into_iter()).map(Into::into);
        Line { section, extension, next: 0, next_again: 0, packets: 0, octets: 0 }
    }

    /// Writes a packet of its own, or of the one that sends again; `taken`: when the picture was that begins with it.
    fn write(
        &self,
        sealer: &Sealer,
        network: Option<&mut Network>,
        head: &Head,
        taken: Option<Captured>,
        payload: [&[u8]; 2],
        exit: &mut Exit<'_>,
    ) {
        let bytes = HEAD_BYTES + payload[0].len() + payload[1].len();
        let number =
            network.zip(self.section.transport).map(|(network, id)| (id, network.number(bytes, exit.now)));
        let own = self.own_extension(taken, number);
        let extension = own.as_deref().or(self.extension.as_deref());
        write(sealer, head, extension, payload, exit);
    }

    /// Writes a packet that was sent before: which one, and its RTP time.
    fn write_again(
        &mut self,
        sealer: &Sealer,
        network: Option<&mut Network>,
        (ssrc, payload_type): (u32, u8),
        (sequence, packet, ticks): (u16, &Outgoing, u32),
        exit: &mut Exit<'_>,
    ) {
        let head = Head { ssrc, payload_type, number: self.next_again, ticks, marker: packet.marker };
        self.next_again += 1;
        // The number that it had comes first. RFC 4588 §4.
        let payload = [&sequence.to_be_bytes()[..], &packet.payload];
        self.write(sealer, network, &head, None, payload, exit);
    }

    /// The header extensions of one packet, if they are others than those of most: when its picture was taken, and its number.
    fn own_extension(&self, taken: Option<Captured>, number: Option<(u8, u16)>) -> Option<Vec<u8>> {
        let time = self.section.capture.zip(taken.and_then(capture::told));
        if time.is_none() && number.is_none() {
            return None;
        }
        let number = number.map(|(id, number)| (id, number.to_be_bytes()));
        let name = self.section.name.as_ref().filter(|_| self.extension.is_some());
        let name = name.map(|(id, name)| (*id, name.as_bytes()));
        let time = time.as_ref().map(|(id, time)| (*id, &time[..]));
        let number = number.as_ref().map(|(id, number)| (*id, &number[..]));
        extension([name, time, number].into_iter().flatten())
    }

    /// RFC 3550 §6.4.1.
    fn report(&self, media: Timestamp, ntp: u64, out: &mut Vec<u8>) {
        out.extend_from_slice(&[0x80, SENDER_REPORT, 0, 6]);
        out.extend_from_slice(&self.section.ssrc.to_be_bytes());
        out.extend_from_slice(&ntp.to_be_bytes());
        // RTP time wraps.
        out.extend_from_slice(&(media.to_clock(self.section.hz) as u32).to_be_bytes());
        out.extend_from_slice(&self.packets.to_be_bytes());
        out.extend_from_slice(&self.octets.to_be_bytes());
    }
}

/// Header extensions in the form with one byte for each; what doesn't fit that is left out. RFC 8285 §4.2.
fn extension<'a>(elements: impl Iterator<Item = (u8, &'a [u8])>) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(EXTENSION_BYTES);
    bytes.extend_from_slice(&[0xbe, 0xde, 0, 0]);
    for (number, value) in elements {
        if (1..=14).contains(&number) && (1..=16).contains(&value.len()) {
            bytes.push(number << 4 | (value.len() - 1) as u8);
            bytes.extend_from_slice(value);
        }
    }
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes[3] = (bytes.len() / 4 - 1) as u8;
    (bytes.len() > 4).then_some(bytes)
}

/// Writes a packet straight into what goes out. RFC 3550 §5.1.
fn write(sealer: &Sealer, head: &Head, extension: Option<&[u8]>, payload: [&[u8]; 2], exit: &mut Exit<'_>) {
    let extension = extension.unwrap_or_default();
    let readable = HEAD_BYTES + extension.len();
    let bytes = readable + payload[0].len() + payload[1].len();
    let out = exit.datagram(bytes + sealer.overhead());
    let start = out.len();
    out.push(0x80 | if extension.is_empty() { 0 } else { 0x10 });
    out.push(head.payload_type | if head.marker { 0x80 } else { 0 });
    out.extend_from_slice(&(head.number as u16).to_be_bytes());
    out.extend_from_slice(&head.ticks.to_be_bytes());
    out.extend_from_slice(&head.ssrc.to_be_bytes());
    out.extend_from_slice(extension);
    payload.iter().for_each(|part| out.extend_from_slice(part));
    if sealer.rtp(out, start, readable, (head.ssrc, head.number)).is_none() {
        // Never in the clear.
        out.truncate(start);
    }
    exit.wire.end();
}

/// A chunk for each sender. RFC 3550 §6.5.
fn describe(lines: &[&Line], cname: &str, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(&[0x80 | lines.len() as u8, SOURCE_DESCRIPTION, 0, 0]);
    let name = &cname.as_bytes()[..cname.len().min(255)];
    for line in lines {
        out.extend_from_slice(&line.section.ssrc.to_be_bytes());
        out.extend_from_slice(&[CNAME, name.len() as u8]);
        out.extend_from_slice(name);
        // A zero ends the items, and more of them fill the word.
        out.push(0);
        out.resize((out.len() - start).next_multiple_of(4) + start, 0);
    }
    let words = ((out.len() - start) / 4 - 1) as u16;
    out[start + 2..start + 4].copy_from_slice(&words.to_be_bytes());
}
