//! Random numbers that are the same in every run.

/// A seeded generator (SplitMix64). The same seed gives the same sequence on every machine.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// A generator with this seed.
    pub fn seeded(seed: u64) -> Random {
        Random(seed)
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `limit`; zero if `limit` is.
    pub fn below(&mut self, limit: usize) -> usize {
        if limit == 0 { 0 } else { (self.next_u64() % limit as u64) as usize }
    }

    /// So many bytes.
    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.next_u64() as u8).collect()
    }

    /// `bytes` with one to eight damages: bits, bytes, cuts, repeats, insertions, extreme numbers.
    pub fn mutate(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut out = bytes.to_vec();
        for _ in 0..=self.below(8) {
            let at = self.below(out.len());
            match self.below(6) {
                _ if out.is_empty() => out = self.bytes(4),
                0 => out[at] ^= 1 << self.below(8),
                1 => out[at] = self.next_u64() as u8,
                2 => out.truncate(at),
                3 => {
                    let end = (at + self.below(64)).min(out.len());
                    let piece = out[at..end].to_vec();
                    out.splice(at..at, piece);
                }
                4 => {
                    let count = self.below(16);
                    let piece = self.bytes(count);
                    out.splice(at..at, piece);
                }
                _ => {
                    let extreme = [0x00, 0xff, 0x7f, 0x80][self.below(4)];
                    let end = (at + 1 + self.below(4)).min(out.len());
                    out[at..end].fill(extreme);
                }
            }
        }
        out
    }
}
