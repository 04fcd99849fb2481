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

/// The header of an ADTS frame. ISO 13818-7 §6.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AdtsHeader {
    /// The object type, less one.
    pub profile: u8,
    /// Index of the sampling frequency.
    pub rate_index: u8,
    /// Channels; 0 when a program config element tells.
    pub channels: u8,
    /// Bytes of the header, its checksum among them.
    pub header_bytes: usize,
    /// Bytes of the frame, its header among them.
    pub bytes: usize,
    /// Access units in the frame.
    pub units: u8,
}

impl AdtsHeader {
    /// Reads it; `None` if it is none, or longer than its frame.
    pub fn parse(bytes: &[u8]) -> Option<AdtsHeader> {
        let b = bytes.first_chunk::<ADTS_HEADER_BYTES>()?;
        if b[0] != 0xff || b[1] & 0xf6 != 0xf0 {
            return None;
        }
        let header_bytes = if b[1] & 1 == 0 { ADTS_HEADER_BYTES + 2 } else { ADTS_HEADER_BYTES };
        let bytes = usize::from(b[3] & 3) << 11 | usize::from(b[4]) << 3 | usize::from(b[5] >> 5);
        (bytes > header_bytes).then_some(AdtsHeader {
            profile: b[2] >> 6,
            rate_index: b[2] >> 2 & 0x0f,
            channels: (b[2] & 1) << 2 | b[3] >> 6,
            header_bytes,
            bytes,
            units: (b[6] & 3) + 1,
        })
    }
}

/// Bytes of an ADTS header without a checksum.
pub const ADTS_HEADER_BYTES: usize = 7;
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

    /// What the header of an ADTS frame says of it; `None` for a sampling frequency that is reserved.
    pub fn of_adts(header: &AdtsHeader) -> Option<AudioSpecificConfig> {
        let sample_rate = *RATES.get(usize::from(header.rate_index))?;
        Some(AudioSpecificConfig { object_type: header.profile + 1, sample_rate, channels: header.channels })
    }

    /// Its two bytes, for a sampling frequency of the table and an object type below 31.
    pub fn to_bytes(&self) -> [u8; 2] {
        let index = RATES.iter().position(|r| *r == self.sample_rate).unwrap_or(3) as u16;
        (u16::from(self.object_type & 0x1f) << 11 | index << 7 | u16::from(self.channels & 0x0f) << 3)
            .to_be_bytes()
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
    fn adts_comes_back() {
        let config = AudioSpecificConfig { object_type: 2, sample_rate: 44_100, channels: 6 };
        let header = AdtsHeader::parse(&config.adts_header(3000)).unwrap();
        assert_eq!((header.bytes, header.header_bytes, header.units), (3007, 7, 1));
        assert_eq!(AudioSpecificConfig::of_adts(&header), Some(config));
        assert_eq!(AudioSpecificConfig::parse(&config.to_bytes()), Some(config));
        assert_eq!(AdtsHeader::parse(&config.adts_header(0)), None, "nothing in it");
        assert_eq!(AdtsHeader::parse(&[0xff, 0xfb, 0x90, 0x44, 0, 0, 0]), None, "MP3");
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
