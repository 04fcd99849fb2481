//! Elementary streams to access units in normal form.

use super::program::{Coded, LeftOut};
use crate::nal::{Learner, Normaliser};
use bytes::{BufMut, Bytes, BytesMut};
use media::Codec;
use media::codec::aac::{self, AdtsHeader, AudioSpecificConfig, SAMPLES_PER_FRAME};
use media::codec::mp3::{self, FrameHeader};
use media::codec::opus;
use media::codec::{h264, h265};

/// Pictures of one PID.
#[derive(Debug)]
pub(super) struct Pictures {
    codec: Codec,
    learner: Learner,
    /// As soon as there is a parameter set of each kind.
    normaliser: Option<Normaliser>,
}

/// An access unit of pictures.
#[derive(Debug)]
pub(super) struct Picture {
    pub(super) keyframe: bool,
    /// Empty if there were only parameter sets.
    pub(super) payload: Bytes,
    /// The configuration, where it is new with this one.
    pub(super) config: Option<Bytes>,
}

/// Sound of one PID.
#[derive(Debug)]
pub(super) struct Sound {
    coded: Coded,
    /// The start of a frame whose end comes with the next PES packet.
    carried: BytesMut,
    /// The kind of the last frame; see [`Head`].
    last: Option<[u8; 4]>,
    /// Nothing is between the last frame and what comes now.
    is_in_step: bool,
    resyncs: u64,
    config: Option<(Codec, Bytes)>,
}

/// An access unit of sound.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Sample {
    pub(super) payload: Bytes,
    /// How long it lasts, in samples.
    pub(super) samples: u32,
    /// Samples a second.
    pub(super) sample_rate: u32,
    /// Whether it began before the PES packet that ends it: the packet's time is not its own.
    pub(super) is_carried: bool,
    /// The configuration, where it is new with this one.
    pub(super) config: Option<(Codec, Bytes)>,
}

/// Bytes of sound that may wait for the rest of their frame: an ADTS frame is shorter.
const CARRIED_BYTES_MAX: usize = 8192;

impl Pictures {
    pub(super) fn new(codec: Codec) -> Pictures {
        Pictures { codec, learner: Learner::new(codec), normaliser: None }
    }

    /// Brings an access unit in Annex B to normal form; `None` before the first parameter sets, and for nothing.
    pub(super) fn take(&mut self, annex_b: &[u8], random_access: bool) -> Option<Picture> {
        let mut lengths = BytesMut::with_capacity(annex_b.len() + 16);
        let (mut is_random, mut has_picture, mut has_sets) = (false, false, false);
        for unit in units(annex_b) {
            let place = Place::of(self.codec, unit[0]);
            match place {
                Place::Dropped => continue,
                Place::Random => (is_random, has_picture) = (true, true),
                Place::Picture => has_picture = true,
                Place::Set => has_sets = true,
                Place::Other => {}
            }
            lengths.put_u32(unit.len() as u32);
            lengths.put_slice(unit);
        }
        // Without a single IDR picture, as with intra refresh, the muxer's word is all there is.
        let keyframe = is_random || has_picture && has_sets && random_access;
        let lengths = lengths.freeze();
        let mut is_new = false;
        if self.normaliser.is_none() {
            self.normaliser = self.learner.learn(&lengths);
            is_new = true;
        }
        let normaliser = self.normaliser.as_mut()?;
        let normal = normaliser.normal(keyframe, &lengths);
        let config = (is_new || normal.reconfigured).then(|| normaliser.record().clone());
        Some(Picture { keyframe, payload: if has_picture { normal.payload } else { Bytes::new() }, config })
    }
}

/// What a NAL unit is to a demuxer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// A slice of a picture at which a decoder can start.
    Random,
    Picture,
    Set,
    Other,
    /// Fillers and ends, which no other container has.
    Dropped,
}

impl Place {
    /// ITU-T H.264 table 7-1, ISO 23008-2 table 7-1.
    fn of(codec: Codec, first: u8) -> Place {
        match codec {
            Codec::H264 => match first & 0x1f {
                h264::nal::IDR => Place::Random,
                1..=4 => Place::Picture,
                h264::nal::SPS | h264::nal::PPS => Place::Set,
                10..=12 => Place::Dropped,
                _ => Place::Other,
            },
            _ => match h265::nal::kind(first) {
                16..=23 => Place::Random,
                0..=31 => Place::Picture,
                h265::nal::VPS..=h265::nal::PPS => Place::Set,
                36..=38 => Place::Dropped,
                _ => Place::Other,
            },
        }
    }
}

/// The NAL units between start codes. ITU-T H.264 annex B.1.1.
fn units(annex_b: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = start_code(annex_b).map(|(_, after)| &annex_b[after..]);
    std::iter::from_fn(move || {
        let bytes = rest?;
        let (end, after) = start_code(bytes).unwrap_or((bytes.len(), bytes.len()));
        rest = (after < bytes.len()).then(|| &bytes[after..]);
        // Zeros before a start code belong to no unit.
        let length = bytes[..end].iter().rposition(|b| *b != 0).map_or(0, |at| at + 1);
        Some(&bytes[..length])
    })
    .filter(|unit| !unit.is_empty())
}

/// Where the first start code begins and ends.
fn start_code(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut at = 2;
    // Every third byte is enough of a look as long as it is neither 0 nor 1.
    while at < bytes.len() {
        match bytes[at] {
            0 => at += 1,
            1 if bytes[at - 2..at] == [0, 0] => return Some((at - 2, at + 1)),
            _ => at += 3,
        }
    }
    None
}

impl Sound {
    pub(super) fn new(coded: Coded) -> Sound {
        Sound { coded, carried: BytesMut::new(), last: None, is_in_step: false, resyncs: 0, config: None }
    }

    /// How often frames had to be found again.
    pub(super) fn resyncs(&self) -> u64 {
        self.resyncs
    }

    /// Forgets what waits for its rest.
    pub(super) fn gap(&mut self) {
        self.carried.clear();
        self.is_in_step = false;
    }

    /// Takes the payload of a PES packet apart.
    ///
    /// # Errors
    /// For MPEG audio of another layer than III.
    pub(super) fn take(&mut self, payload: Bytes, out: &mut Vec<Sample>) -> Result<(), LeftOut> {
        out.clear();
        let carried = self.carried.len();
        let bytes = if carried > 0 {
            self.carried.extend_from_slice(&payload);
            self.carried.split().freeze()
        } else {
            payload
        };
        let mut at = 0;
        let mut is_passing = false;
        while at < bytes.len() {
            let found = match self.coded {
                Coded::Opus(channels) => opus_unit(&bytes, at, channels),
                _ => self.framed(&bytes, at)?,
            };
            match found {
                Found::Unit { unit, time: (samples, sample_rate), config, next } => {
                    let is_new = self.config.as_ref() != Some(&config);
                    let payload = bytes.slice(unit);
                    let config = is_new.then(|| self.config.insert(config).clone());
                    if !payload.is_empty() {
                        let is_carried = at < carried;
                        out.push(Sample { payload, samples, sample_rate, is_carried, config });
                    }
                    (self.is_in_step, is_passing) = (true, false);
                    at = next;
                }
                Found::Nothing => {
                    self.resyncs += u64::from(!is_passing);
                    (self.is_in_step, is_passing) = (false, true);
                    at += 1;
                }
                Found::More => {
                    if bytes.len() - at <= CARRIED_BYTES_MAX {
                        self.carried.extend_from_slice(&bytes[at..]);
                    } else {
                        self.is_in_step = false;
                    }
                    break;
                }
            }
        }
        Ok(())
    }

    /// A frame of ADTS or MPEG audio, if it is one beyond doubt: coded bytes can look like a header. It is one where the
    /// last frame ends, if it is of the same kind; elsewhere, if one of the same kind follows it or the payload ends with
    /// it.
    fn framed(&mut self, bytes: &[u8], at: usize) -> Result<Found, LeftOut> {
        let rest = &bytes[at..];
        let Some(head) = Head::parse(self.coded, rest) else {
            return Ok(if self.could_begin(rest) { Found::More } else { Found::Nothing });
        };
        let is_next = self.is_in_step && self.last == Some(head.kind);
        let Some(behind) = rest.get(head.bytes..) else { return Ok(Found::More) };
        if !is_next && !behind.is_empty() {
            match Head::parse(self.coded, behind) {
                Some(second) if second.kind == head.kind => {}
                None if self.could_begin(behind) => return Ok(Found::More),
                _ => return Ok(Found::Nothing),
            }
        }
        if let Some(layer) = head.unknown_layer {
            return Err(LeftOut::AudioLayer(layer));
        }
        self.last = Some(head.kind);
        Ok(Found::Unit {
            unit: at + head.stripped..at + head.bytes,
            time: head.time,
            config: head.config,
            next: at + head.bytes,
        })
    }

    /// Whether this is too short for a header, but could be the start of one.
    fn could_begin(&self, bytes: &[u8]) -> bool {
        let (length, second) = match self.coded {
            Coded::MpegAudio => (mp3::HEADER_BYTES, 0xe0),
            _ => (aac::ADTS_HEADER_BYTES, 0xf0),
        };
        bytes.len() < length && bytes[0] == 0xff && bytes.get(1).is_none_or(|b| b & second == second)
    }
}

/// The header of a frame of ADTS or MPEG audio.
#[derive(Debug)]
struct Head {
    /// What is the same in all frames of a track. ISO 13818-7 §6.2.1, ISO 11172-3 §2.4.2.3.
    kind: [u8; 4],
    /// Bytes of the frame, its header among them.
    bytes: usize,
    /// Bytes before the access unit.
    stripped: usize,
    /// How long it lasts, in samples, and how many there are a second.
    time: (u32, u32),
    config: (Codec, Bytes),
    /// A layer that can't be taken in.
    unknown_layer: Option<u8>,
}

impl Head {
    fn parse(coded: Coded, bytes: &[u8]) -> Option<Head> {
        let [first, second, third, fourth] = *bytes.first_chunk::<4>()?;
        // With or without a checksum.
        let second = second & 0xfe;
        if coded == Coded::MpegAudio {
            let header = FrameHeader::parse(bytes)?;
            return Some(Head {
                kind: [first, second, third & 0x0c, 0],
                bytes: header.bytes,
                stripped: 0,
                time: (header.samples, header.sample_rate),
                config: (Codec::Mp3, Bytes::new()),
                unknown_layer: Some(header.layer).filter(|layer| *layer != 3),
            });
        }
        let header = AdtsHeader::parse(bytes).filter(|header| header.units == 1)?;
        let config = AudioSpecificConfig::of_adts(&header)?;
        Some(Head {
            kind: [first, second, third & 0xfd, fourth & 0xc0],
            bytes: header.bytes,
            stripped: header.header_bytes,
            time: (SAMPLES_PER_FRAME, config.sample_rate),
            config: (Codec::Aac, Bytes::copy_from_slice(&config.to_bytes())),
            unknown_layer: None,
        })
    }
}

/// What is at a place in sound.
enum Found {
    Unit {
        /// Where the access unit is.
        unit: std::ops::Range<usize>,
        /// How long it lasts, in samples, and how many there are a second.
        time: (u32, u32),
        config: (Codec, Bytes),
        next: usize,
    },
    /// No frame begins here.
    Nothing,
    /// A frame may begin here; what comes later tells.
    More,
}

/// The control header of OpusTS: eleven bits, three flags, a size in bytes of 255 and less, then what the flags tell.
fn opus_unit(bytes: &[u8], at: usize, channels: u8) -> Found {
    let Some([first, second]) = bytes.get(at..at + 2) else { return Found::Nothing };
    if *first != 0x7f || second & 0xe0 != 0xe0 {
        return Found::Nothing;
    }
    let mut start = at + 2;
    let mut size = 0;
    loop {
        let Some(byte) = bytes.get(start) else { return Found::Nothing };
        size += usize::from(*byte);
        start += 1;
        if *byte != 255 {
            break;
        }
    }
    start += if second & 0x10 != 0 { 2 } else { 0 } + if second & 0x08 != 0 { 2 } else { 0 };
    if second & 0x04 != 0 {
        let Some(length) = bytes.get(start) else { return Found::Nothing };
        start += 1 + usize::from(*length);
    }
    let samples = bytes.get(start..start + size).and_then(opus::samples);
    let (Some(samples), Some(head)) = (samples, opus::head(channels)) else { return Found::Nothing };
    Found::Unit {
        unit: start..start + size,
        time: (samples, opus::SAMPLE_RATE),
        config: (Codec::Opus, head),
        next: start + size,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_lie_between_start_codes_of_three_or_four_bytes() {
        let check = |bytes: &[u8], expect: &[&[u8]]| {
            assert_eq!(units(bytes).collect::<Vec<_>>(), expect, "{bytes:?}");
        };
        check(
            &[0, 0, 0, 1, 9, 0xf0, 0, 0, 1, 0x65, 1, 0, 0, 0, 1, 0x41, 0, 0],
            &[&[9, 0xf0], &[0x65, 1], &[0x41]],
        );
        check(&[7, 7, 0, 0, 1, 5], &[&[5]]);
        check(&[0, 0, 1, 0, 0, 1, 5, 0, 0, 1], &[&[5]]);
        check(&[0, 0, 2, 1, 1, 1], &[]);
        check(&[0, 0], &[]);
    }
}
