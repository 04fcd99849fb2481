//! AAC: the AudioSpecificConfig. ISO 14496-3 §1.6.2.1.

use super::bits::Bits;

/// What an AudioSpecificConfig says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AudioSpecificConfig {
    /// Audio object type; 2 is AAC-LC.
    pub object_type: u8,
    /// Samples a second of the core coder.
    pub sample_rate: u32,
    /// Channels; 0 when a program config element tells.
    pub channels: u8,
}

/// Samples that one access unit of AAC-LC decodes to.
pub const SAMPLES_PER_FRAME: u32 = 1024;

/// Sampling frequencies by index. ISO 14496-3 table 1.18.
pub(crate) const RATES: [u32; 13] =
    [96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8000, 7350];

impl AudioSpecificConfig {
    /// Reads it; `None` when it is too short or has a reserved sampling frequency.
    pub fn parse(bytes: &[u8]) -> Option<AudioSpecificConfig> {
        let mut bits = Bits::new(bytes);
        let mut object_type = bits.take(5)?;
        if object_type == 31 {
            object_type = 32 + bits.take(6)?;
        }
        let index = bits.take(4)?;
        let sample_rate = if index == 15 { bits.take(24)? } else { *RATES.get(index as usize)? };
        let channels = bits.take(4)? as u8;
        (sample_rate > 0).then_some(AudioSpecificConfig {
            object_type: object_type as u8,
            sample_rate,
            channels,
        })
    }

    /// The seven bytes of ADTS before a raw access unit of `length` bytes. ISO 13818-7 §6.2.
    pub fn adts_header(&self, length: usize) -> [u8; 7] {
        let index = RATES.iter().position(|r| *r == self.sample_rate).unwrap_or(3) as u8;
        // ADTS has two bits of profile: what isn't main, LC, SSR or LTP travels as LC.
        let profile = if (1..=4).contains(&self.object_type) { self.object_type - 1 } else { 1 };
        let channels = self.channels.min(7);
        let size = (length + 7).min(0x1fff) as u32;
        [
            0xff,
            0xf1,
            profile << 6 | index << 2 | channels >> 2,
            (channels & 3) << 6 | (size >> 11) as u8,
            (size >> 3) as u8,
            (size << 5) as u8 | 0x1f,
            0xfc,
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configs_are_read() {
        let check = |bytes: &[u8], expect| {
            let got = AudioSpecificConfig::parse(bytes).map(|c| (c.object_type, c.sample_rate, c.channels));
            assert_eq!(got, expect);
        };
        check(&[0x11, 0x90], Some((2, 48_000, 2)));
        check(&[0x12, 0x10], Some((2, 44_100, 2)));
        check(&[0x11], None);
        check(&[0x17, 0x00], None);
    }

    #[test]
    fn adts_carries_length_and_channels() {
        let config = AudioSpecificConfig { object_type: 2, sample_rate: 48_000, channels: 2 };
        assert_eq!(config.adts_header(100), [0xff, 0xf1, 0x4c, 0x80, 0x0d, 0x7f, 0xfc]);
    }

    #[test]
    fn fuzz_configs_never_panic() {
        let mut random = testkit::Random::seeded(22);
        for _ in 0..10_000 {
            let bytes = random.mutate(&[0x2b, 0x92, 0x08, 0x00]);
            if let Some(config) = AudioSpecificConfig::parse(&bytes) {
                assert!(config.sample_rate > 0);
                assert_eq!(config.adts_header(random.below(10_000))[0], 0xff);
            }
        }
    }
}
