//! AAC by the library `syom`. ISO 14496-3.

use super::mix::Place;
use super::{CHANNELS_MAX, Decode, Encode, Error, RATE, Sound};
use bytes::Bytes;
use media::codec::aac::{AudioSpecificConfig, SAMPLES_PER_FRAME};
use syom::{Channel, DecodeOptions, EncodeOptions};

/// Bits a second of one channel, and of two: what the encoder needs to be hardly heard.
const BITRATES: [u32; 2] = [96_000, 160_000];
/// What AAC's encoder is behind: one frame of overlap.
const PRIMING_SAMPLES: usize = 1024;

/// Decodes raw access units.
pub(super) struct AacDecoder {
    inner: syom::Decoder,
    config: Bytes,
    rate: u32,
}

/// Encodes AAC-LC.
pub(super) struct AacEncoder {
    inner: syom::Encoder,
    config: Bytes,
    channels: usize,
}

impl AacDecoder {
    pub(super) fn new(config: &Bytes) -> Result<AacDecoder, Error> {
        let rate = AudioSpecificConfig::parse(config).map_or(RATE, |config| config.sample_rate);
        Ok(AacDecoder { inner: decoder(config)?, config: config.clone(), rate })
    }
}

fn decoder(config: &[u8]) -> Result<syom::Decoder, Error> {
    // A broadcast may last for ever; everything else keeps the library's bounds.
    syom::Decoder::from_asc(config, DecodeOptions::audio().with_max_duration_secs(f64::INFINITY))
        .map_err(|error| Error::Configuration(error.to_string()))
}

/// Whether sound of that configuration is surely of one channel: parametric stereo makes two of one.
pub(super) fn is_mono(config: &[u8]) -> bool {
    AudioSpecificConfig::parse(config)
        .is_some_and(|config| config.channels == 1 && config.object_type == 2 && config.sample_rate > 24_000)
}

impl Decode for AacDecoder {
    fn decode(&mut self, payload: &[u8], sound: &mut Sound) -> Result<(), Error> {
        let mut has_sound = false;
        let decoded = self.inner.decode_au(payload, |frame| {
            has_sound = true;
            let labels = frame.meta.labels().map(place).chain(std::iter::repeat(Place::Center));
            sound.lay_out(frame.sample_rate, labels.take(frame.planar.len().min(CHANNELS_MAX)));
            if let [left, right] = sound.places.as_mut_slice()
                && *left == *right
            {
                (*left, *right) = (Place::Left, Place::Right);
            }
            sound.planes.iter_mut().zip(frame.planar).for_each(|(to, from)| to.extend_from_slice(from));
            Ok(())
        });
        if let Err(error) = decoded {
            // The library's decoder is of no use after an error.
            self.inner = decoder(&self.config)?;
            return Err(Error::Frame(error.to_string()));
        }
        if has_sound { Ok(()) } else { Err(Error::Frame("there is no sound in it".to_owned())) }
    }

    fn usual_samples(&self) -> usize {
        // In the rate of the configuration; sound with a doubled rate has twice as many.
        SAMPLES_PER_FRAME as usize * if self.rate <= 24_000 { 2 } else { 1 }
    }
}

fn place(channel: Channel) -> Place {
    match channel {
        Channel::FrontLeft => Place::Left,
        Channel::FrontRight => Place::Right,
        Channel::Lfe => Place::Low,
        Channel::BackLeft | Channel::SideLeft => Place::SideLeft,
        Channel::BackRight | Channel::SideRight => Place::SideRight,
        Channel::BackCenter => Place::Behind,
        _ => Place::Center,
    }
}

impl AacEncoder {
    /// Of one or two channels.
    pub(super) fn new(channels: usize) -> Result<AacEncoder, Error> {
        let inner = encoder(channels)?;
        let config = Bytes::copy_from_slice(inner.asc());
        Ok(AacEncoder { inner, config, channels })
    }
}

fn encoder(channels: usize) -> Result<syom::Encoder, Error> {
    let options = EncodeOptions::raw().with_bitrate_bps(BITRATES[(channels - 1).min(1)]);
    syom::Encoder::new(RATE, channels, &options).map_err(|error| Error::Encoder(error.to_string()))
}

impl Encode for AacEncoder {
    fn frame_samples(&self) -> usize {
        SAMPLES_PER_FRAME as usize
    }

    fn delay_samples(&self) -> usize {
        PRIMING_SAMPLES
    }

    fn config(&self) -> Bytes {
        self.config.clone()
    }

    fn encode(&mut self, planes: &[Vec<f32>]) -> Result<Bytes, Error> {
        let planes: Vec<&[f32]> = planes.iter().map(Vec::as_slice).collect();
        let mut unit = Bytes::new();
        let fed = self.inner.feed(&planes, |frame| {
            unit = Bytes::copy_from_slice(frame.payload);
            Ok(())
        });
        match fed {
            Ok(_) => Ok(unit),
            Err(error) => {
                self.inner = encoder(self.channels)?;
                Err(Error::Encoder(error.to_string()))
            }
        }
    }
}

impl std::fmt::Debug for AacDecoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AacDecoder").field("config", &self.config).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for AacEncoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AacEncoder").field("channels", &self.channels).finish_non_exhaustive()
    }
}
