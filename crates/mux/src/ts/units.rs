//! Elementary streams to access units in normal form.

use super::program::Coded;
use crate::Error;
use crate::nal::Normaliser;
use bytes::{BufMut, Bytes, BytesMut};
use media::Codec;
use media::codec::aac::{AdtsHeader, AudioSpecificConfig, SAMPLES_PER_FRAME};
use media::codec::h264::{self, AvcConfig};
use media::codec::h265::{self, HevcConfig};
use media::codec::mp3::FrameHeader;
use media::codec::opus;

/// Pictures of one PID.
#[derive(Debug)]
pub(super) struct Pictures {
    codec: Codec,
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
        Pictures { codec, normaliser: None }
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
            self.normaliser = Normaliser::new(self.codec, &record(self.codec, &lengths)?);
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

/// The record of the parameter sets in an access unit; `None` if one is missing.
fn record(codec: Codec, lengths: &Bytes) -> Option<Bytes> {
    let of = |kind: u8| -> Vec<Bytes> {
        let is = |unit: &&[u8]| match codec {
            Codec::H264 => unit[0] & 0x1f == kind,
            _ => h265::nal::kind(unit[0]) == kind,
        };
        let fits = |unit: &&[u8]| unit.len() >= 4 && unit.len() <= usize::from(u16::MAX);
        h264::nal_units(lengths).filter(is).filter(fits).take(SETS_MAX).map(Bytes::copy_from_slice).collect()
    };
    if codec == Codec::H264 {
        let (sps, pps) = (of(h264::nal::SPS), of(h264::nal::PPS));
        let profile = sps.first().filter(|_| !pps.is_empty())?;
        let config = AvcConfig { profile: [profile[1], profile[2], profile[3]], sps, pps };
        return Some(config.to_record());
    }
    let config = HevcConfig { vps: of(h265::nal::VPS), sps: of(h265::nal::SPS), pps: of(h265::nal::PPS) };
    (!config.vps.is_empty() && !config.pps.is_empty()).then(|| config.to_record())?
}

/// Parameter sets of a kind that a first configuration takes.
const SETS_MAX: usize = 16;

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
        Sound { coded, carried: BytesMut::new(), config: None }
    }

    /// Forgets what waits for its rest.
    pub(super) fn gap(&mut self) {
        self.carried.clear();
    }

    /// Takes the payload of a PES packet apart.
    ///
    /// # Errors
    /// For MPEG audio of another layer than III.
    pub(super) fn take(&mut self, payload: Bytes, out: &mut Vec<Sample>) -> Result<(), Error> {
        out.clear();
        let carried = self.carried.len();
        let bytes = if carried > 0 {
            self.carried.extend_from_slice(&payload);
            self.carried.split().freeze()
        } else {
            payload
        };
        let mut at = 0;
        while at < bytes.len() {
            let found = match self.coded {
                Coded::Opus(channels) => opus_unit(&bytes, at, channels),
                Coded::MpegAudio => mpeg_unit(&bytes, at)?,
                _ => adts_unit(&bytes, at),
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
                    at = next;
                }
                Found::Nothing => at += 1,
                Found::More => {
                    if bytes.len() - at <= CARRIED_BYTES_MAX {
                        self.carried.extend_from_slice(&bytes[at..]);
                    }
                    break;
                }
            }
        }
        Ok(())
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
    /// A frame begins here and goes on later.
    More,
}

/// ISO 13818-7 §6.2.
fn adts_unit(bytes: &[u8], at: usize) -> Found {
    let rest = &bytes[at..];
    if rest.len() < media::codec::aac::ADTS_HEADER_BYTES {
        return if rest[0] == 0xff { Found::More } else { Found::Nothing };
    }
    let Some(header) = AdtsHeader::parse(rest).filter(|h| h.units == 1) else { return Found::Nothing };
    let Some(config) = AudioSpecificConfig::of_adts(&header) else { return Found::Nothing };
    if header.bytes > rest.len() {
        return Found::More;
    }
    Found::Unit {
        unit: at + header.header_bytes..at + header.bytes,
        time: (SAMPLES_PER_FRAME, config.sample_rate),
        config: (Codec::Aac, Bytes::copy_from_slice(&config.to_bytes())),
        next: at + header.bytes,
    }
}

fn mpeg_unit(bytes: &[u8], at: usize) -> Result<Found, Error> {
    let rest = &bytes[at..];
    if rest.len() < media::codec::mp3::HEADER_BYTES {
        return Ok(if rest[0] == 0xff { Found::More } else { Found::Nothing });
    }
    let Some(header) = FrameHeader::parse(rest) else { return Ok(Found::Nothing) };
    if header.bytes > rest.len() {
        return Ok(Found::More);
    }
    if header.layer != 3 {
        return Err(Error::AudioLayer(header.layer));
    }
    Ok(Found::Unit {
        unit: at..at + header.bytes,
        time: (header.samples, header.sample_rate),
        config: (Codec::Mp3, Bytes::new()),
        next: at + header.bytes,
    })
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
