//! Bits of a decoder configuration, from the highest down.

/// Reads bits; `None` when there are no more.
#[derive(Debug)]
pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Bits<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Bits<'a> {
        Bits { bytes, at: 0 }
    }

    /// A number of `count` bits, 32 at most.
    pub(super) fn take(&mut self, count: u32) -> Option<u32> {
        let mut value = 0;
        for _ in 0..count {
            let byte = *self.bytes.get(self.at / 8)?;
            value = value << 1 | u32::from(byte >> (7 - self.at % 8) & 1);
            self.at += 1;
        }
        Some(value)
    }

    /// One bit.
    pub(super) fn flag(&mut self) -> Option<bool> {
        self.take(1).map(|bit| bit == 1)
    }

    /// Passes over `count` bits.
    pub(super) fn skip(&mut self, count: usize) -> Option<()> {
        self.at = self.at.checked_add(count)?;
        (self.at <= self.bytes.len() * 8).then_some(())
    }

    /// Exp-Golomb: `ue(v)` of ISO 23008-2 §9.2, `uvlc()` of AV1 §4.10.3.
    pub(super) fn golomb(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while !self.flag()? {
            zeros += 1;
        }
        // A number that needs more than 32 bits is none of those that are read here.
        (zeros < 32).then_some(())?;
        Some((1 << zeros) - 1 + self.take(zeros)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golomb_numbers_are_read_and_endless_ones_refused() {
        // 1 | 010 | 011 | 00100 | 00111
        let mut bits = Bits::new(&[0b1010_0110, 0b0100_0011, 0b1000_0000]);
        let numbers: Vec<_> = (0..5).map(|_| bits.golomb()).collect();
        assert_eq!(numbers, [Some(0), Some(1), Some(2), Some(3), Some(6)]);
        assert_eq!(Bits::new(&[0; 4]).golomb(), None);
        assert_eq!(Bits::new(&[0, 0, 0, 0, 0x80, 0, 0, 0, 0]).golomb(), None);
        let largest = [0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff];
        assert_eq!(Bits::new(&largest).golomb(), Some(u32::MAX - 1));
    }
}
