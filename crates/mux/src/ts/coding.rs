//! Frames as elementary streams have them.

use bytes::{BufMut, Bytes, BytesMut};
use media::codec::aac::AudioSpecificConfig;
use media::codec::h264::{self, AvcConfig};
use media::codec::h265::{self, HevcConfig};
use media::{Codec, Frame, Track};

/// How the frames of a track are written, and what the PMT says of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Coding {
    /// Annex B; the parameter sets come before every keyframe.
    H264 { sets: Bytes },
    /// Annex B; the parameter sets come before every keyframe.
    H265 { sets: Bytes },
    /// A header before every access unit. ISO 13818-7 §6.2.
    Adts(AudioSpecificConfig),
    /// Frames have headers of their own.
    Mp3,
    /// A control header before every packet. The OpusTS mapping of wiki.xiph.org, as ffmpeg and VLC have it.
    Opus { channels: u8 },
}

/// ITU-T H.264 annex B.1.1: every unit follows a zero byte and a start code.
const START_CODE: [u8; 4] = [0, 0, 0, 1];
/// An access unit delimiter before pictures of any type. ITU-T H.264 §7.3.2.4.
const AVC_DELIMITER: [u8; 6] = [0, 0, 0, 1, h264::nal::AUD, 0xf0];
/// The same for HEVC. ISO 23008-2 §7.3.2.5.
const HEVC_DELIMITER: [u8; 7] = [0, 0, 0, 1, h265::nal::AUD << 1, 1, 0x50];
/// The length in an ADTS header has 13 bits.
const ADTS_BYTES_MAX: usize = 0x1fff - 7;
/// First bits of an Opus control header, no trims.
const OPUS_CONTROL: u16 = 0x7fe0;
/// Channels that an Opus channel configuration code can name.
const OPUS_CHANNELS_MAX: u8 = 8;

impl Coding {
    /// `None` if TS can't carry the codec, or if the configuration can't be read.
    pub(super) fn of(track: &Track) -> Option<Coding> {
        Some(match track.codec {
            Codec::H264 => {
                let config = AvcConfig::parse(&track.config)?;
                Coding::H264 { sets: annex_b(&[&config.sps, &config.pps]) }
            }
            Codec::H265 => {
                let config = HevcConfig::parse(&track.config)?;
                Coding::H265 { sets: annex_b(&[&config.vps, &config.sps, &config.pps]) }
            }
            Codec::Aac => Coding::Adts(AudioSpecificConfig::parse(&track.config)?),
            Codec::Mp3 => Coding::Mp3,
            Codec::Opus => {
                let channels = track.audio_format().channels;
                (channels <= OPUS_CHANNELS_MAX).then_some(Coding::Opus { channels })?
            }
            Codec::Av1 | Codec::Vp9 | Codec::Vp8 => return None,
        })
    }

    /// ISO 13818-1 table 2-34.
    pub(super) fn stream_type(&self) -> u8 {
        match self {
            Coding::H264 { .. } => 0x1b,
            Coding::H265 { .. } => 0x24,
            Coding::Adts(_) => 0x0f,
            Coding::Mp3 => 0x03,
            Coding::Opus { .. } => 0x06,
        }
    }

    /// Appends what the PMT says besides the stream type. ISO 13818-1 §2.6.8 and OpusTS.
    pub(super) fn write_descriptors(&self, out: &mut BytesMut) {
        if let Coding::Opus { channels } = self {
            out.put_slice(b"\x05\x04Opus");
            out.put_slice(&[0x7f, 2, 0x80, *channels]);
        }
    }

    /// ISO 13818-1 table 2-22.
    pub(super) fn stream_id(&self) -> u8 {
        match self {
            Coding::H264 { .. } | Coding::H265 { .. } => 0xe0,
            Coding::Adts(_) | Coding::Mp3 => 0xc0,
            Coding::Opus { .. } => 0xbd,
        }
    }

    /// Appends a frame; false if there is nothing in it, or too much.
    pub(super) fn write(&self, frame: &Frame, out: &mut BytesMut) -> bool {
        match self {
            Coding::H264 { sets } => {
                out.put_slice(&AVC_DELIMITER);
                write_units(frame, sets, out, |unit| {
                    matches!(unit & 0x1f, h264::nal::SPS | h264::nal::PPS | h264::nal::AUD)
                })
            }
            Coding::H265 { sets } => {
                out.put_slice(&HEVC_DELIMITER);
                write_units(frame, sets, out, |unit| {
                    matches!(h265::nal::kind(unit), h265::nal::VPS..=h265::nal::AUD)
                })
            }
            Coding::Adts(config) => {
                if frame.payload.len() > ADTS_BYTES_MAX {
                    return false;
                }
                out.put_slice(&config.adts_header(frame.payload.len()));
                out.put_slice(&frame.payload);
                true
            }
            Coding::Mp3 => {
                out.put_slice(&frame.payload);
                true
            }
            Coding::Opus { .. } => {
                out.put_u16(OPUS_CONTROL);
                out.put_bytes(0xff, frame.payload.len() / 255);
                out.put_u8((frame.payload.len() % 255) as u8);
                out.put_slice(&frame.payload);
                true
            }
        }
    }
}

/// Appends the units of a frame, parameter sets before a keyframe. Units that `is_repeated` names by their first
/// byte stay out: the normal form has none, and their place is before the slices.
fn write_units(frame: &Frame, sets: &[u8], out: &mut BytesMut, is_repeated: impl Fn(u8) -> bool) -> bool {
    if frame.keyframe {
        out.put_slice(sets);
    }
    let mut written = false;
    for unit in h264::nal_units(&frame.payload).filter(|unit| !is_repeated(unit[0])) {
        out.put_slice(&START_CODE);
        out.put_slice(unit);
        written = true;
    }
    written
}

fn annex_b(sets: &[&[Bytes]]) -> Bytes {
    let mut out = BytesMut::new();
    for set in sets.iter().copied().flatten() {
        out.put_slice(&START_CODE);
        out.put_slice(set);
    }
    out.freeze()
}
