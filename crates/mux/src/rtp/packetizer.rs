//! Frames to RTP payloads.

pub(super) mod av1;
mod nal;
mod payloads;
mod vp8;
mod vp9;

use crate::Error;
use crate::rtp::family::Family;
use bytes::Bytes;
use media::{Codec, Frame};
use payloads::Payloads;

/// One RTP payload. All payloads of a frame share its timestamp.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payload {
    /// What follows the RTP header. The payloads of a frame share one buffer.
    pub bytes: Bytes,
    /// Whether it is the last one of a picture; never set for sound.
    pub marker: bool,
}

/// Makes the RTP payloads of one track, once for all its viewers.
///
/// It keeps the counters that descriptors of VP8 and VP9 have, so a track has one packetizer as long as it has viewers,
/// and every frame goes through it. Memory: the parameter sets of the last configuration.
#[derive(Debug)]
pub struct Packetizer {
    mtu: usize,
    format: Format,
}

/// The payload format, and what it keeps between frames.
#[derive(Debug)]
enum Format {
    Nal(Family, nal::ParameterSets),
    Vp8(vp8::Descriptor),
    Vp9(vp9::Descriptor),
    Av1,
    Opus,
}

/// The least bytes that payloads may be limited to: descriptors and some of the picture fit.
pub const MTU_MIN: usize = 64;
/// The most bytes that payloads may be limited to: jumbo frames. Lengths of 16 bits have room for it.
pub const MTU_MAX: usize = 9000;

impl Packetizer {
    /// For a track of that codec, with payloads of at most `mtu` bytes.
    ///
    /// # Errors
    /// A codec without payload format ([`clock_hz`](super::clock_hz)), and an `mtu` outside of [`MTU_MIN`] to [`MTU_MAX`].
    pub fn new(codec: Codec, mtu: usize) -> Result<Packetizer, Error> {
        if !(MTU_MIN..=MTU_MAX).contains(&mtu) {
            return Err(Error::RtpMtu(mtu));
        }
        let format = match codec {
            Codec::H264 => Format::Nal(Family::H264, nal::ParameterSets::default()),
            Codec::H265 => Format::Nal(Family::H265, nal::ParameterSets::default()),
            Codec::Vp8 => Format::Vp8(vp8::Descriptor::default()),
            Codec::Vp9 => Format::Vp9(vp9::Descriptor::default()),
            Codec::Av1 => Format::Av1,
            Codec::Opus => Format::Opus,
            Codec::Aac | Codec::Mp3 => return Err(Error::NoRtp(codec)),
        };
        Ok(Packetizer { mtu, format })
    }

    /// The payloads of a frame in normal form; none if it has nothing that RTP carries (delimiters alone).
    ///
    /// `config` is the track's decoder configuration. What a decoder starts with goes in band before every keyframe:
    /// H.264 and H.265 parameter sets, and the AV1 sequence header where the keyframe has none of its own.
    ///
    /// # Errors
    /// A configuration that can't be read, a frame that isn't in normal form, and an Opus frame that is longer than a
    /// payload may be. The frame is lost then; the next one may be tried.
    pub fn packetize(&mut self, config: &Bytes, frame: &Frame) -> Result<Vec<Payload>, Error> {
        let mut out = Payloads::new(self.mtu, frame.payload.len() + config.len());
        match &mut self.format {
            Format::Nal(family, sets) => nal::packetize(*family, sets, config, frame, &mut out)?,
            Format::Vp8(descriptor) => vp8::packetize(descriptor, frame, &mut out),
            Format::Vp9(descriptor) => vp9::packetize(descriptor, frame, &mut out),
            Format::Av1 => av1::packetize(config, frame, &mut out)?,
            Format::Opus => {
                // RFC 7587 §4.2: exactly one packet, and there is no way to cut it.
                if frame.payload.len() > self.mtu {
                    return Err(Error::RtpTooLong(frame.payload.len()));
                }
                let payload = Payload { bytes: frame.payload.clone(), marker: false };
                return Ok(if payload.bytes.is_empty() { vec![] } else { vec![payload] });
            }
        }
        Ok(out.finish())
    }
}

#[cfg(test)]
mod tests;
