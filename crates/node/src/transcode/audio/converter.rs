//! One sound track from its codec to another.

use super::aac::{self, AacDecoder, AacEncoder};
use super::clock::{Clock, Step};
use super::opus::{self, OpusCoder, OpusSound};
use super::resample::Resampler;
use super::{Decode, Encode, Error, RATE, Sound, mix};
use media::{Codec, Frame, Timestamp, Track, TrackId};

/// Converts the frames of one track, AAC to Opus or Opus to AAC.
///
/// Timestamps of what comes out derive from those of what goes in: each frame says when the first sample that a decoder
/// makes of it is to be heard, the encoder's and resampler's delays subtracted. A frame that can't be decoded becomes as much
/// silence.
#[derive(Debug)]
pub(crate) struct Converter {
    decoder: Box<dyn Decode>,
    encoder: Box<dyn Encode>,
    to: Codec,
    clock: Clock,
    resampler: Option<Resampler>,
    sound: Sound,
    mixed: Vec<Vec<f32>>,
    /// At [`RATE`], less than a frame of the encoder between calls.
    pending: Vec<Vec<f32>>,
    newest: Timestamp,
    errors: u64,
}

/// Frames decode to less (Opus: 120 ms, AAC: 2,048 samples); a decoder that says otherwise is wrong.
const SAMPLES_MAX: usize = 8192;

impl Converter {
    /// A converter of `track` to another codec; its output has one channel if the track surely has one, else two.
    ///
    /// # Errors
    /// When there is no such converter, or the track's configuration can't be used.
    pub(crate) fn new(track: &Track, to: Codec) -> Result<Converter, Error> {
        let is_mono = match track.codec {
            Codec::Aac => aac::is_mono(&track.config),
            _ => opus::is_mono(&track.config),
        };
        let channels = if is_mono { 1 } else { 2 };
        let decoder = decoder(track, to)?;
        let encoder: Box<dyn Encode> = match to {
            Codec::Opus => Box::new(OpusCoder::new(channels)?),
            _ => Box::new(AacEncoder::new(channels)?),
        };
        Ok(Converter::of(decoder, encoder, to, channels))
    }

    /// From a decoder to an encoder of so many channels.
    pub(super) fn of(
        decoder: Box<dyn Decode>,
        encoder: Box<dyn Encode>,
        to: Codec,
        channels: usize,
    ) -> Converter {
        Converter {
            decoder,
            encoder,
            to,
            clock: Clock::default(),
            resampler: None,
            sound: Sound::default(),
            mixed: vec![Vec::new(); channels],
            pending: vec![Vec::new(); channels],
            newest: Timestamp::ZERO,
            errors: 0,
        }
    }

    /// Goes on with another configuration of the source; what comes out stays as it is.
    ///
    /// # Errors
    /// As [`Converter::new`]; the converter is as it was then.
    pub(crate) fn retrack(&mut self, track: &Track) -> Result<(), Error> {
        self.decoder = decoder(track, self.to)?;
        self.resampler = None;
        Ok(())
    }

    /// What comes out.
    pub(crate) fn track(&self, id: TrackId) -> Track {
        Track::new(id, self.to, self.encoder.config())
    }

    /// Frames that couldn't be decoded or encoded so far.
    pub(crate) fn errors(&self) -> u64 {
        self.errors
    }

    /// Converts a frame; appends what became of it, which may be nothing or several.
    pub(crate) fn convert(&mut self, frame: &Frame, out: &mut Vec<Frame>) {
        match self.clock.step(frame.pts) {
            Step::Continues => self.clock.follow(frame.pts),
            Step::Gap => self.restart(frame.pts, true, out),
            Step::Back => self.restart(frame.pts, false, out),
        }
        let before = self.sound.samples();
        if self.decoder.decode(&frame.payload, &mut self.sound).is_err() || !self.is_sane() {
            self.errors += 1;
            if self.sound.planes.is_empty() {
                // Nothing was ever decoded: there is no layout to be silent in.
                return;
            }
            let usual = self.decoder.usual_samples();
            self.sound.silence(if (1..=SAMPLES_MAX).contains(&before) { before } else { usual });
        }
        mix::mix(&self.sound, &mut self.mixed);
        self.mixed.iter_mut().flatten().for_each(|s| *s = if s.is_finite() { *s } else { 0.0 });
        self.clock.advance(self.sound.samples(), self.sound.rate);
        if self.append().is_err() {
            self.errors += 1;
            return;
        }
        self.encode(out);
    }

    fn is_sane(&self) -> bool {
        (1..=SAMPLES_MAX).contains(&self.sound.samples()) && self.sound.rate > 0
    }

    /// Moves what was mixed to what waits for the encoder.
    fn append(&mut self) -> Result<(), Error> {
        if self.sound.rate == RATE {
            self.resampler = None;
            self.pending.iter_mut().zip(&self.mixed).for_each(|(to, from)| to.extend_from_slice(from));
            return Ok(());
        }
        let fits = |resampler: &Resampler| resampler.from() == self.sound.rate;
        if !self.resampler.as_ref().is_some_and(fits) {
            self.resampler = Some(Resampler::new(self.sound.rate, self.mixed.len())?);
        }
        self.resampler.as_mut().map_or(Ok(()), |resampler| resampler.convert(&self.mixed, &mut self.pending))
    }

    /// Sound goes on elsewhere on the timeline. Before a gap, what waits is sent with silence behind it.
    fn restart(&mut self, at: Timestamp, finish: bool, out: &mut Vec<Frame>) {
        if finish && self.waiting() > 0 {
            let missing = self.encoder.frame_samples() - self.waiting();
            let whole = self.encoder.frame_samples();
            self.pending.iter_mut().for_each(|plane| plane.resize(whole, 0.0));
            self.clock.advance(missing, RATE);
            self.encode(out);
        }
        self.pending.iter_mut().for_each(Vec::clear);
        if let Some(resampler) = &mut self.resampler {
            resampler.restart();
        }
        self.clock.restart(at);
    }

    fn waiting(&self) -> usize {
        self.pending.first().map_or(0, Vec::len)
    }

    /// Encodes whole frames of what waits.
    fn encode(&mut self, out: &mut Vec<Frame>) {
        let samples = self.encoder.frame_samples();
        while self.waiting() >= samples {
            let held = self.resampler.as_ref().map_or(0.0, Resampler::held);
            let behind = (self.waiting() + self.encoder.delay_samples()) as f64 / f64::from(RATE);
            let at = self.clock.before(held + behind);
            let planes: Vec<Vec<f32>> = self
                .pending
                .iter_mut()
                .map(|plane| plane.drain(..samples).map(|s| s.clamp(-1.0, 1.0)).collect())
                .collect();
            match self.encoder.encode(&planes) {
                // Before the broadcast's beginning there is only priming.
                Ok(payload) if payload.is_empty() || at < Timestamp::ZERO => {}
                Ok(payload) => {
                    self.newest = self.newest.max(at);
                    out.push(Frame { dts: self.newest, pts: self.newest, keyframe: true, payload });
                }
                Err(_) => self.errors += 1,
            }
        }
    }
}

fn decoder(track: &Track, to: Codec) -> Result<Box<dyn Decode>, Error> {
    Ok(match (track.codec, to) {
        (Codec::Aac, Codec::Opus) => Box::new(AacDecoder::new(&track.config)?),
        (Codec::Opus, Codec::Aac) => Box::new(OpusSound::new(&track.config)?),
        (from, to) => return Err(Error::Codecs { from, to }),
    })
}
