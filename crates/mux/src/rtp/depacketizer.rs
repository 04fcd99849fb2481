//! RTP payloads to frames.

mod av1;
mod nal;
mod opus;
mod reorder;
mod timestamps;
mod vpx;

use crate::Error;
use crate::rtp::family::Family;
use bytes::Bytes;
use media::Codec;
use reorder::{Next, Reorder};
use std::collections::VecDeque;
use timestamps::Timestamps;

pub use reorder::{REORDER_BYTES_MAX, REORDER_PACKETS_MAX};

/// What came in, decrypted, its sequence number extended by the RTP stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// Extended sequence number.
    pub sequence: u64,
    /// As in the header; it wraps.
    pub timestamp: u32,
    /// As in the header.
    pub marker: bool,
    /// What follows the header, padding left off. An empty one (padding alone) only counts as come. It should not be a small
    /// piece of a large buffer: bounds count its own bytes, and it may wait for long.
    pub payload: Bytes,
}

/// What came out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The decoder configuration, as [`media::Track::config`] has it: before the first unit, and when it changes.
    Config(Bytes),
    /// A frame.
    Unit(Unit),
    /// Something was lost or damaged. Of pictures, none comes until the next keyframe, and no further `Lost` either.
    Lost {
        /// How many packets did not come; none if what came can't be put together.
        packets: u64,
    },
}

/// A frame as it was sent. Frames come in decoding order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit {
    /// RTP timestamp in ticks of [`clock_hz`](super::clock_hz), wraps taken out; the first one is as the header had it. It is the
    /// time of presentation.
    pub timestamp: i64,
    /// Whether a decoder can start here; always for sound.
    pub keyframe: bool,
    /// The coded bytes in normal form.
    pub payload: Bytes,
}

/// Puts the RTP payloads of one track in order, and together to frames.
///
/// Feed it by [`push`](Self::push), then [`poll`](Self::poll) until there is nothing more. It waits for a packet that
/// is missing until the caller gives up on it, or until [`REORDER_PACKETS_MAX`] or [`REORDER_BYTES_MAX`] wait behind it.
/// A frame that misses something is dropped; after that, pictures are dropped until a keyframe, because they refer to what
/// is not there. Memory: these two bounds, and one frame of at most [`UNIT_BYTES_MAX`].
#[derive(Debug)]
pub struct Depacketizer {
    reorder: Reorder,
    timestamps: Timestamps,
    assembler: Assembler,
    /// Timestamp of the frame that is being put together.
    open: Option<i64>,
    config: Option<Bytes>,
    wants_keyframe: bool,
    /// Three at most: what one packet can bring.
    events: VecDeque<Event>,
}

/// Bytes of one frame; a keyframe of a 4K picture at very high quality has less. A longer one is dropped.
pub const UNIT_BYTES_MAX: usize = 4 << 20;

/// Puts the payloads of one frame together.
#[derive(Debug)]
enum Assembler {
    Nal(Box<nal::Assembler>),
    Vpx(vpx::Assembler),
    Av1(av1::Assembler),
    Opus(opus::Assembler),
}

/// A frame that was put together.
#[derive(Debug, PartialEq, Eq)]
struct Assembled {
    keyframe: bool,
    /// Empty if there was only configuration.
    payload: Bytes,
    /// The configuration as of this frame.
    config: Bytes,
}

/// What came can't be put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Damaged;

impl Depacketizer {
    /// For a track of that codec.
    ///
    /// # Errors
    /// A codec without payload format ([`clock_hz`](super::clock_hz)).
    pub fn new(codec: Codec) -> Result<Depacketizer, Error> {
        Ok(Depacketizer {
            reorder: Reorder::default(),
            timestamps: Timestamps::default(),
            assembler: Assembler::new(codec)?,
            open: None,
            config: None,
            wants_keyframe: true,
            events: VecDeque::with_capacity(3),
        })
    }

    /// Takes a packet; one that came before, or too late, is dropped.
    pub fn push(&mut self, packet: Received) {
        self.reorder.push(packet);
    }

    /// Packets before this sequence number that are missing won't come any more.
    pub fn give_up_before(&mut self, sequence: u64) {
        self.reorder.give_up_before(sequence);
    }

    /// The first sequence number that is missing while later ones wait for it; what a timer or a NACK is for.
    pub fn missing(&self) -> Option<u64> {
        self.reorder.missing()
    }

    /// Whether nothing comes out until a keyframe comes in: at the begin, and after `Lost`. Never for sound.
    pub fn wants_keyframe(&self) -> bool {
        self.wants_keyframe && !self.assembler.is_sound()
    }

    /// What comes out next; `None` until more is pushed or given up.
    pub fn poll(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Some(event);
            }
            match self.reorder.next()? {
                Next::Lost(packets) => self.lost(packets),
                Next::Received(packet) => self.take(&packet),
            }
        }
    }

    /// Takes the packet whose turn it is.
    fn take(&mut self, packet: &Received) {
        let timestamp = self.timestamps.extend(packet.timestamp);
        if packet.payload.is_empty() {
            return;
        }
        // The marker is only a hint: some senders forget it, or their last packet has nothing else.
        if self.open.is_some_and(|open| open != timestamp) {
            self.finish();
        }
        self.open = Some(timestamp);
        if self.assembler.push(&packet.payload).is_err() {
            self.lost(0);
        } else if packet.marker || self.assembler.is_sound() {
            self.finish();
        }
    }

    /// Ends the frame that is being put together.
    fn finish(&mut self) {
        let Some(timestamp) = self.open.take() else { return };
        let assembled = match self.assembler.finish() {
            Ok(Some(assembled)) => assembled,
            Ok(None) => return,
            Err(Damaged) => return self.lost(0),
        };
        let Assembled { keyframe, payload, config } = assembled;
        let is_needless = payload.is_empty() || (self.wants_keyframe && !keyframe);
        if self.config.as_ref() != Some(&config) && (!is_needless || self.config.is_some()) {
            self.config = Some(config.clone());
            self.events.push_back(Event::Config(config));
        }
        if !is_needless {
            self.wants_keyframe = false;
            self.events.push_back(Event::Unit(Unit { timestamp, keyframe, payload }));
        }
    }

    fn lost(&mut self, packets: u64) {
        self.assembler.lost();
        self.open = None;
        if !self.wants_keyframe {
            self.wants_keyframe = true;
            self.events.push_back(Event::Lost { packets });
        }
    }
}

impl Assembler {
    fn new(codec: Codec) -> Result<Assembler, Error> {
        match codec {
            Codec::H264 => Ok(Assembler::Nal(Box::new(nal::Assembler::new(Family::H264)))),
            Codec::H265 => Ok(Assembler::Nal(Box::new(nal::Assembler::new(Family::H265)))),
            Codec::Vp8 => Ok(Assembler::Vpx(vpx::Assembler::new(vpx::Format::Vp8))),
            Codec::Vp9 => Ok(Assembler::Vpx(vpx::Assembler::new(vpx::Format::Vp9))),
            Codec::Av1 => Ok(Assembler::Av1(av1::Assembler::default())),
            Codec::Opus => Ok(Assembler::Opus(opus::Assembler::default())),
            Codec::Aac | Codec::Mp3 => Err(Error::NoRtp(codec)),
        }
    }

    fn is_sound(&self) -> bool {
        matches!(self, Assembler::Opus(_))
    }

    /// Takes the next payload of the frame, which isn't empty.
    fn push(&mut self, payload: &Bytes) -> Result<(), Damaged> {
        match self {
            Assembler::Nal(nal) => nal.push(payload),
            Assembler::Vpx(vpx) => vpx.push(payload),
            Assembler::Av1(av1) => av1.push(payload),
            Assembler::Opus(opus) => opus.push(payload),
        }
    }

    /// Ends the frame; `None` if it is nothing for a decoder.
    fn finish(&mut self) -> Result<Option<Assembled>, Damaged> {
        match self {
            Assembler::Nal(nal) => nal.finish(),
            Assembler::Vpx(vpx) => vpx.finish(),
            Assembler::Av1(av1) => av1.finish(),
            Assembler::Opus(opus) => Ok(opus.finish()),
        }
    }

    /// Something is missing: drops what it has of the frame.
    fn lost(&mut self) {
        match self {
            Assembler::Nal(nal) => nal.lost(),
            Assembler::Vpx(vpx) => vpx.lost(),
            Assembler::Av1(av1) => av1.lost(),
            Assembler::Opus(opus) => *opus = opus::Assembler::default(),
        }
    }
}

#[cfg(test)]
mod tests;
