//! Which PID has what: PAT and PMT, read. ISO 13818-1 §2.4.4.

use super::tables::crc;
use bytes::BytesMut;
use media::Kind;

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
    /// `stream_type` of pictures or sound that can't be taken in, where nothing else of the kind is there.
    pub(super) unsupported: Option<u8>,
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
    let mut unsupported = [None; 2];
    while let Some((head, later)) = rest.split_first_chunk::<5>() {
        let pid = u16::from_be_bytes([head[1], head[2]]) & 0x1fff;
        let length = usize::from(u16::from_be_bytes([head[3], head[4]]) & 0xfff);
        let (descriptors, next) = later.split_at_checked(length)?;
        rest = next;
        match coded(head[0], descriptors) {
            Ok(Some(coded)) => {
                let slot = match coded {
                    Coded::H264 | Coded::H265 => &mut program.video,
                    Coded::Adts | Coded::MpegAudio | Coded::Opus(_) => &mut program.audio,
                };
                slot.get_or_insert(Elementary { pid, coded });
            }
            Ok(None) => {}
            Err(Kind::Video) => unsupported[0] = Some(head[0]),
            Err(Kind::Audio) => unsupported[1] = Some(head[0]),
        }
    }
    program.unsupported = match &program {
        Program { video: None, .. } if unsupported[0].is_some() => unsupported[0],
        Program { audio: None, .. } => unsupported[1],
        _ => None,
    };
    Some(program)
}

/// By ISO 13818-1 table 2-34. `None` for what is neither pictures nor sound.
///
/// # Errors
/// For pictures and sound that can't be taken in.
fn coded(stream_type: u8, descriptors: &[u8]) -> Result<Option<Coded>, Kind> {
    match stream_type {
        0x1b => Ok(Some(Coded::H264)),
        0x24 => Ok(Some(Coded::H265)),
        0x0f => Ok(Some(Coded::Adts)),
        0x03 | 0x04 => Ok(Some(Coded::MpegAudio)),
        0x06 => private(descriptors),
        // MPEG-1, -2 and -4, JPEG 2000, VVC, EVC; Dirac; VC-1.
        0x01 | 0x02 | 0x10 | 0x21 | 0x33 | 0x35 | 0xd1 | 0xea => Err(Kind::Video),
        // AAC in LATM and raw; AC-3, DTS, TrueHD and E-AC-3 of ATSC and Blu-ray.
        0x11 | 0x1c | 0x81..=0x85 | 0x87 => Err(Kind::Audio),
        _ => Ok(None),
    }
}

/// Private data that a descriptor names. ISO 13818-1 §2.6.8, ETSI EN 300 468 §6.1.
fn private(descriptors: &[u8]) -> Result<Option<Coded>, Kind> {
    let (mut is_opus, mut channels) = (false, 0);
    let mut rest = descriptors;
    while let Some(([tag, length], later)) = rest.split_first_chunk::<2>() {
        let Some((body, next)) = later.split_at_checked(usize::from(*length)) else { break };
        rest = next;
        match (tag, body) {
            (0x05, b"Opus") => is_opus = true,
            (0x05, b"AV01") => return Err(Kind::Video),
            (0x05, b"AC-3" | b"EAC3" | b"BSSD") => return Err(Kind::Audio),
            // The extension 0x80 of OpusTS.
            (0x7f, [0x80, code, ..]) => channels = *code,
            // AC-3, E-AC-3, DTS and AAC of DVB.
            (0x6a | 0x7a..=0x7c, _) => return Err(Kind::Audio),
            _ => {}
        }
    }
    Ok(is_opus.then_some(Coded::Opus(if (1..=8).contains(&channels) { channels } else { 2 })))
}
