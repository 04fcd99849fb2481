//! Opus by the library `opus-pure`. RFC 6716; its head by RFC 7845 §5.1.

use super::mix::Place;
use super::{Decode, Encode, Error, RATE, Sound};
use bytes::{BufMut, Bytes, BytesMut};
use opus_pure::{Application, MAX_PACKET_BYTES, MAX_PACKET_SAMPLES, OpusDecoder, OpusEncoder, OpusMSDecoder};

/// Bits a second of one channel, and of two.
const BITRATES: [i32; 2] = [64_000, 112_000];
/// Of 0 to 10: beyond it the encoder takes time to look at the sound more than it gains at these bit rates.
const COMPLEXITY: i32 = 6;
/// 20 ms, as WebRTC has it.
const FRAME_SAMPLES: usize = 960;

/// Decodes frames at [`RATE`].
#[derive(Debug)]
pub(super) struct OpusSound {
    inner: Inner,
    places: &'static [Place],
    /// The output gain of the head, as a factor.
    gain: f32,
    interleaved: Vec<f32>,
}

#[derive(Debug)]
enum Inner {
    Simple(Box<OpusDecoder>),
    Several(OpusMSDecoder),
}

/// Encodes frames of 20 ms.
#[derive(Debug)]
pub(super) struct OpusCoder {
    inner: OpusEncoder,
    channels: usize,
    interleaved: Vec<f32>,
    coded: Vec<u8>,
}

/// What a head tells: channels, mapping family, output gain. A track without a head is stereo.
fn head(config: &[u8]) -> (usize, u8, f32) {
    let channels = config.get(9).map_or(2, |c| usize::from(*c));
    let gain = match config.get(16..18) {
        Some([low, high]) => i16::from_le_bytes([*low, *high]),
        _ => 0,
    };
    // Q7.8 in dB.
    let factor = 10_f32.powf(f32::from(gain) / 256.0 / 20.0);
    (channels, config.get(18).copied().unwrap_or(0), factor)
}

/// Whether sound of that configuration is of one channel.
pub(super) fn is_mono(config: &[u8]) -> bool {
    head(config).0 == 1
}

/// Vorbis' order, as family 1 has it. RFC 7845 §5.1.1.2.
fn places(channels: usize) -> Option<&'static [Place]> {
    use Place::{Behind, Center, Left, Low, Right, SideLeft, SideRight};
    Some(match channels {
        1 => &[Center],
        2 => &[Left, Right],
        3 => &[Left, Center, Right],
        4 => &[Left, Right, SideLeft, SideRight],
        5 => &[Left, Center, Right, SideLeft, SideRight],
        6 => &[Left, Center, Right, SideLeft, SideRight, Low],
        7 => &[Left, Center, Right, SideLeft, SideRight, Behind, Low],
        8 => &[Left, Center, Right, SideLeft, SideRight, SideLeft, SideRight, Low],
        _ => return None,
    })
}

impl OpusSound {
    pub(super) fn new(config: &[u8]) -> Result<OpusSound, Error> {
        let (channels, family, gain) = head(config);
        let refused = |error: opus_pure::Error| Error::Configuration(error.to_string());
        let inner = match (family, channels) {
            (0, 1 | 2) => Inner::Simple(Box::new(OpusDecoder::new(RATE as i32, channels).map_err(refused)?)),
            (1, 1..=8) => Inner::Several(OpusMSDecoder::new(RATE as i32, channels, 1).map_err(refused)?),
            _ => {
                let what = format!("{channels} channels of mapping family {family}");
                return Err(Error::Configuration(what));
            }
        };
        let places = places(channels).unwrap_or(&[]);
        Ok(OpusSound { inner, places, gain, interleaved: vec![0.0; MAX_PACKET_SAMPLES * channels] })
    }
}

impl Decode for OpusSound {
    fn decode(&mut self, payload: &[u8], sound: &mut Sound) -> Result<(), Error> {
        let decoded = match &mut self.inner {
            Inner::Simple(decoder) => decoder.decode(payload, MAX_PACKET_SAMPLES, &mut self.interleaved),
            Inner::Several(decoder) => decoder.decode(payload, MAX_PACKET_SAMPLES, &mut self.interleaved),
        };
        let samples = decoded.map_err(|error| Error::Frame(error.to_string()))?;
        sound.lay_out(RATE, self.places.iter().copied());
        let channels = self.places.len();
        for (channel, plane) in sound.planes.iter_mut().enumerate() {
            let every = self.interleaved.iter().skip(channel).step_by(channels).take(samples);
            plane.extend(every.map(|sample| sample * self.gain));
        }
        Ok(())
    }

    fn usual_samples(&self) -> usize {
        FRAME_SAMPLES
    }
}

impl OpusCoder {
    /// Of one or two channels.
    pub(super) fn new(channels: usize) -> Result<OpusCoder, Error> {
        let mut inner = OpusEncoder::new(RATE as i32, channels, Application::Audio)
            .map_err(|error| Error::Encoder(error.to_string()))?;
        inner.bitrate_bps = BITRATES[(channels - 1).min(1)];
        inner.complexity = COMPLEXITY;
        Ok(OpusCoder { inner, channels, interleaved: Vec::new(), coded: vec![0; MAX_PACKET_BYTES] })
    }
}

impl Encode for OpusCoder {
    fn frame_samples(&self) -> usize {
        FRAME_SAMPLES
    }

    fn delay_samples(&self) -> usize {
        self.inner.lookahead()
    }

    fn config(&self) -> Bytes {
        let mut head = BytesMut::with_capacity(19);
        head.put_slice(b"OpusHead");
        head.put_u8(1);
        head.put_u8(self.channels as u8);
        head.put_u16_le(self.inner.lookahead() as u16);
        head.put_u32_le(RATE);
        head.put_u16_le(0);
        head.put_u8(0);
        head.freeze()
    }

    fn encode(&mut self, planes: &[Vec<f32>]) -> Result<Bytes, Error> {
        self.interleaved.clear();
        self.interleaved.resize(FRAME_SAMPLES * self.channels, 0.0);
        for (channel, plane) in planes.iter().enumerate() {
            let every = self.interleaved.iter_mut().skip(channel).step_by(self.channels);
            every.zip(plane).for_each(|(to, from)| *to = *from);
        }
        let coded = self.inner.encode(&self.interleaved, FRAME_SAMPLES, &mut self.coded);
        let length = coded.map_err(|error| Error::Encoder(error.to_string()))?;
        Ok(Bytes::copy_from_slice(&self.coded[..length]))
    }
}
