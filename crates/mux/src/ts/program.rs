//! Which PID has what: PAT and PMT, read. ISO 13818-1 §2.4.4.

use super::tables::crc;
use bytes::BytesMut;
use std::fmt;

/// How an elementary stream is coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coded {
    H264,
    H265,
    Adts,
    MpegAudio,
    /// By the channels that its descriptor tells.
    Opus(u8),
}

/// One elementary stream that is taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Elementary {
    pub(super) pid: u16,
    pub(super) coded: Coded,
}

/// What a PMT says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Program {
    /// The first of its kind.
    pub(super) video: Option<Elementary>,
    pub(super) audio: Option<Elementary>,
    /// All that can't be taken in.
    pub(super) left_out: Vec<LeftOut>,
}

impl Program {
    /// Leaves sound out of which only its frames said what it is.
    pub(super) fn forget(&mut self, audio: Elementary, layer: LeftOut) {
        self.audio = self.audio.filter(|of| *of != audio);
        self.left_out.push(layer);
    }
}

/// What a publisher sends that can't be taken in; shown in words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeftOut {
    /// An elementary stream, by its `stream_type`. ISO 13818-1 table 2-34.
    StreamType(u8),
    /// MPEG audio of another layer than III.
    AudioLayer(u8),
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = match self {
            LeftOut::AudioLayer(layer) => return write!(f, "MPEG audio of layer {layer}"),
            LeftOut::StreamType(of) => of,
        };
        let name = match of {
            0x01 => "MPEG-1 video",
            0x02 => "MPEG-2 video",
            0x05 => "private sections",
            0x06 => "private data: AC-3 of DVB, subtitles or teletext",
            0x10 => "MPEG-4 part 2 video",
            0x11 => "AAC in LATM",
            0x15 => "metadata",
            0x1c => "raw AAC",
            0x21 => "JPEG 2000",
            0x33 => "VVC",
            0x81 => "AC-3",
            0x82 | 0x85 => "DTS",
            0x83 => "TrueHD",
            0x84 | 0x87 => "E-AC-3",
            0x86 => "SCTE-35",
            0xd1 => "Dirac",
            0xea => "VC-1",
            _ => "unknown",
        };
        write!(f, "stream type {of:#04x} ({name})")
    }
}

/// Puts the sections of one PID together. Holds one section at most.
#[derive(Debug, Default)]
pub(super) struct Sections {
    held: BytesMut,
    started: bool,
}

/// Bytes of a section, its three first ones among them. ISO 13818-1 §2.4.4.1.
const SECTION_BYTES_MAX: usize = 1024;
/// Bytes before the body of a section.
const HEAD_BYTES: usize = 8;
const CRC_BYTES: usize = 4;
const PAT: u8 = 0;
const PMT: u8 = 2;

impl Sections {
    /// Forgets what isn't whole.
    pub(super) fn clear(&mut self) {
        self.held.clear();
        self.started = false;
    }

    /// Takes the payload of a packet in; then [`Sections::next`] gives what is whole.
    pub(super) fn push(&mut self, starts: bool, payload: &[u8]) {
        let Some((pointer, rest)) = payload.split_first().filter(|_| starts) else {
            if self.started && self.held.len() < SECTION_BYTES_MAX {
                self.held.extend_from_slice(payload);
            }
            return;
        };
        let Some((tail, fresh)) = rest.split_at_checked(usize::from(*pointer)) else { return self.clear() };
        // A section that began earlier ends where the pointer says, or something is missing.
        self.held.extend_from_slice(tail);
        if !self.started || self.length() != Some(self.held.len()) {
            self.held.clear();
        }
        self.held.extend_from_slice(fresh);
        self.started = true;
    }

    /// Bytes of the section that is first.
    fn length(&self) -> Option<usize> {
        let head = self.held.first_chunk::<3>()?;
        Some(usize::from(u16::from_be_bytes([head[1], head[2]]) & 0xfff) + 3)
    }

    /// The body of the next whole section of that table, if its checksum is right and it holds now.
    pub(super) fn next(&mut self, table: u8) -> Option<BytesMut> {
        loop {
            let head = self.held.first_chunk::<3>()?;
            if head[0] == 0xff {
                self.clear();
                return None;
            }
            let length = self.length().filter(|length| *length <= SECTION_BYTES_MAX);
            let Some(length) = length else {
                self.clear();
                return None;
            };
            if self.held.len() < length {
                return None;
            }
            let mut section = self.held.split_to(length);
            let is_whole = length >= HEAD_BYTES + CRC_BYTES && crc(&section) == 0;
            let is_now = section.get(5).is_some_and(|b| b & 1 == 1);
            if is_whole && is_now && section[0] == table {
                section.truncate(length - CRC_BYTES);
                return Some(section.split_off(HEAD_BYTES));
            }
        }
    }
}

/// Reads the sections of the PAT: the PID of the PMT of the first program.
pub(super) fn next_pat(sections: &mut Sections) -> Option<u16> {
    let body = sections.next(PAT)?;
    let (entries, _) = body.as_chunks::<4>();
    // Program 0 is the network information.
    let entry = entries.iter().find(|e| e[..2] != [0, 0])?;
    Some(u16::from_be_bytes([entry[2], entry[3]]) & 0x1fff)
}

/// Reads the sections of the PMT.
pub(super) fn next_pmt(sections: &mut Sections) -> Option<Program> {
    let body = sections.next(PMT)?;
    let info = usize::from(u16::from_be_bytes([*body.get(2)?, *body.get(3)?]) & 0xfff);
    let mut rest = body.get(4 + info..)?;
    let mut program = Program::default();
    while let Some((head, later)) = rest.split_first_chunk::<5>() {
        let pid = u16::from_be_bytes([head[1], head[2]]) & 0x1fff;
        let length = usize::from(u16::from_be_bytes([head[3], head[4]]) & 0xfff);
        let (descriptors, next) = later.split_at_checked(length)?;
        rest = next;
        match coded(head[0], descriptors) {
            Some(coded) => {
                let slot = match coded {
                    Coded::H264 | Coded::H265 => &mut program.video,
                    Coded::Adts | Coded::MpegAudio | Coded::Opus(_) => &mut program.audio,
                };
                slot.get_or_insert(Elementary { pid, coded });
            }
            None => program.left_out.push(LeftOut::StreamType(head[0])),
        }
    }
    Some(program)
}

/// By ISO 13818-1 table 2-34. `None` for all that can't be taken in.
fn coded(stream_type: u8, descriptors: &[u8]) -> Option<Coded> {
    match stream_type {
        0x1b => Some(Coded::H264),
        0x24 => Some(Coded::H265),
        0x0f => Some(Coded::Adts),
        0x03 | 0x04 => Some(Coded::MpegAudio),
        0x06 => private(descriptors),
        _ => None,
    }
}

/// Private data that is Opus by its descriptors. ISO 13818-1 §2.6.8 and OpusTS.
fn private(descriptors: &[u8]) -> Option<Coded> {
    let (mut is_opus, mut channels) = (false, 0);
    let mut rest = descriptors;
    while let Some(([tag, length], later)) = rest.split_first_chunk::<2>() {
        let Some((body, next)) = later.split_at_checked(usize::from(*length)) else { break };
        rest = next;
        match (tag, body) {
            (0x05, b"Opus") => is_opus = true,
            // The extension 0x80 of OpusTS.
            (0x7f, [0x80, code, ..]) => channels = *code,
            _ => {}
        }
    }
    is_opus.then_some(Coded::Opus(if (1..=8).contains(&channels) { channels } else { 2 }))
}
