//! To the one rate that is encoded.

use super::{Error, RATE};
use rubato::audioadapter_buffers::direct::SequentialSliceOfVecs;
use rubato::{Fft, FixedSync, Resampler as _};

/// From one rate to [`RATE`], in blocks of some 10 ms.
pub(super) struct Resampler {
    inner: Fft<f32>,
    from: u32,
    /// What waits for a whole block.
    waiting: Vec<Vec<f32>>,
    block: Vec<Vec<f32>>,
    taken: u64,
    given: u64,
}

/// Blocks a second: short, since sound waits for a whole one.
const BLOCKS: u32 = 100;
/// Sampling frequencies of AAC (ISO 14496-3 table 1.18). Others would need blocks of a second.
const RATES: [u32; 13] =
    [96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8000, 7350];

impl Resampler {
    pub(super) fn new(from: u32, channels: usize) -> Result<Resampler, Error> {
        if !RATES.contains(&from) {
            return Err(Error::Configuration(format!("{from} samples a second are not usual")));
        }
        let inner =
            Fft::new(from as usize, RATE as usize, (from / BLOCKS) as usize, channels, FixedSync::Both)
                .map_err(|error| Error::Configuration(error.to_string()))?;
        let block = vec![vec![0.0; inner.output_frames_max()]; channels];
        Ok(Resampler { inner, from, waiting: vec![Vec::new(); channels], block, taken: 0, given: 0 })
    }

    /// The rate that comes in.
    pub(super) fn from(&self) -> u32 {
        self.from
    }

    /// Forgets what waits, for sound that doesn't go on from it.
    pub(super) fn restart(&mut self) {
        self.inner.reset();
        self.waiting.iter_mut().for_each(Vec::clear);
        (self.taken, self.given) = (0, 0);
    }

    /// How far the end of what was given lies before the end of what was taken, in seconds.
    pub(super) fn held(&self) -> f64 {
        let given = self.given as f64 - self.inner.output_delay() as f64;
        self.taken as f64 / f64::from(self.from) - given / f64::from(RATE)
    }

    /// Takes sound and appends what became of it to `out`.
    pub(super) fn convert(&mut self, planes: &[Vec<f32>], out: &mut [Vec<f32>]) -> Result<(), Error> {
        self.taken += planes.first().map_or(0, Vec::len) as u64;
        self.waiting.iter_mut().zip(planes).for_each(|(waiting, plane)| waiting.extend_from_slice(plane));
        let channels = self.waiting.len();
        let mut at = 0;
        loop {
            let (need, gives) = (self.inner.input_frames_next(), self.inner.output_frames_next());
            let left = self.waiting.first().map_or(0, Vec::len);
            if at + need > left {
                break;
            }
            let failed = |error: &dyn std::fmt::Display| Error::Encoder(error.to_string());
            let input = SequentialSliceOfVecs::new(&self.waiting, channels, left).map_err(|e| failed(&e))?;
            let mut output =
                SequentialSliceOfVecs::new_mut(&mut self.block, channels, gives).map_err(|e| failed(&e))?;
            let indexing = rubato::Indexing::new().input_offset(at);
            let (taken, given) = self
                .inner
                .process_into_buffer(&input, &mut output, Some(&indexing))
                .map_err(|error| failed(&error))?;
            at += taken;
            self.given += given as u64;
            out.iter_mut().zip(&self.block).for_each(|(out, block)| out.extend_from_slice(&block[..given]));
        }
        self.waiting.iter_mut().for_each(|waiting| drop(waiting.drain(..at)));
        Ok(())
    }
}

impl std::fmt::Debug for Resampler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Resampler").field("from", &self.from).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_click_stays_where_it_was_and_nothing_is_lost_over_time() {
        for from in [44_100, 32_000, 22_050, 96_000] {
            let mut resampler = Resampler::new(from, 1).expect("a usual rate");
            let mut out = vec![Vec::new()];
            let second = from as usize;
            let mut sound = vec![0.0; 10 * second];
            sound[5 * second] = 1.0;
            for block in sound.chunks(1000) {
                resampler.convert(&[block.to_vec()], &mut out).expect("resampled");
            }
            let loudest = |plane: &[f32]| {
                plane.iter().enumerate().max_by(|a, b| a.1.abs().total_cmp(&b.1.abs())).map(|(at, _)| at)
            };
            let end = 10.0 - resampler.held();
            let at = loudest(&out[0]).expect("a click") as f64;
            let click = end - (out[0].len() as f64 - at) / f64::from(RATE);
            assert!((click - 5.0).abs() < 0.000_1, "{from}: the click is at {click} s");
            assert!(resampler.held() < 0.03, "{from}: {} s wait", resampler.held());
        }
    }

    #[test]
    fn unusual_rates_are_refused() {
        assert!(Resampler::new(44_101, 2).is_err());
    }
}
