//! One frame of sound in, frames of another codec out, with timestamps that stay those of the source.
//!
//! ```text
//! Frame ─► Decode ─► mix (1 or 2 channels) ─► resample (48 kHz) ─► Encode ─► Frame
//!            └──────────── clock: where each sample belongs ──────────┘
//! ```
//!
//! The codecs are libraries in Rust, each behind [`Decode`] and [`Encode`]; nothing here reads a clock or waits.

mod aac;
mod clock;
mod converter;
mod mix;
mod opus;
mod resample;
#[cfg(test)]
mod tests;

pub(crate) use converter::Converter;

use bytes::Bytes;
use media::Codec;

/// Samples a second of everything that is encoded: the rate of Opus, and one that every AAC decoder knows.
pub(super) const RATE: u32 = 48_000;
/// More channels are no broadcast sound.
const CHANNELS_MAX: usize = 8;

/// Why sound can't be converted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// No converter between these.
    #[error("there is no converter from {from:?} to {to:?}")]
    Codecs {
        /// What comes in.
        from: Codec,
        /// What is wanted.
        to: Codec,
    },
    /// The decoder configuration of the track can't be used.
    #[error("the sound can't be decoded: {0}")]
    Configuration(String),
    /// One frame is broken.
    #[error("a frame of sound can't be decoded: {0}")]
    Frame(String),
    /// The encoder refused.
    #[error("sound can't be encoded: {0}")]
    Encoder(String),
}

/// Decoded sound, a plane per channel, all of one length. Reused, so that decoding allocates little.
#[derive(Debug, Default)]
struct Sound {
    /// Samples a second.
    rate: u32,
    /// Where each plane is heard.
    places: Vec<mix::Place>,
    /// Samples between -1 and 1, or a little beyond.
    planes: Vec<Vec<f32>>,
}

impl Sound {
    /// Samples per plane.
    fn samples(&self) -> usize {
        self.planes.first().map_or(0, Vec::len)
    }

    /// As much silence in the same layout.
    fn silence(&mut self, samples: usize) {
        self.planes.iter_mut().for_each(|plane| {
            plane.clear();
            plane.resize(samples, 0.0);
        });
    }

    /// Empties the planes and makes them one per place.
    fn lay_out(&mut self, rate: u32, places: impl IntoIterator<Item = mix::Place>) {
        self.rate = rate;
        self.places.clear();
        self.places.extend(places);
        self.planes.resize_with(self.places.len(), Vec::new);
        self.planes.iter_mut().for_each(Vec::clear);
    }
}

/// A decoder of one track. Decoded sound begins at the timestamp of the frame it came from.
trait Decode: Send + std::fmt::Debug {
    /// Decodes one access unit into `sound`. After an error the next frame may be given all the same.
    fn decode(&mut self, payload: &[u8], sound: &mut Sound) -> Result<(), Error>;

    /// Samples that a frame has, as long as nothing else is known.
    fn usual_samples(&self) -> usize;
}

/// An encoder at [`RATE`].
trait Encode: Send + std::fmt::Debug {
    /// Samples per channel of every frame.
    fn frame_samples(&self) -> usize;

    /// By how many samples decoded sound lags behind what was encoded: priming of AAC, pre-skip of Opus.
    fn delay_samples(&self) -> usize;

    /// The decoder configuration, as `media::Track::config` has it.
    fn config(&self) -> Bytes;

    /// Encodes exactly one frame. Samples are between -1 and 1.
    fn encode(&mut self, planes: &[Vec<f32>]) -> Result<Bytes, Error>;
}
