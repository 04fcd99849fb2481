//! Numbers of 31 bits that wrap. Draft §3.1.

/// The number of a data packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sequence(u32);

const MASK: u32 = 0x7fff_ffff;

impl Sequence {
    /// The lower 31 bits.
    pub(crate) fn new(bits: u32) -> Sequence {
        Sequence(bits & MASK)
    }

    pub(crate) fn number(self) -> u32 {
        self.0
    }

    pub(crate) fn plus(self, count: u32) -> Sequence {
        Sequence::new(self.0.wrapping_add(count))
    }

    /// How far it is after `earlier`; negative if it is before it.
    pub(crate) fn since(self, earlier: Sequence) -> i32 {
        // The upper bit of 31 becomes the sign of 32.
        (self.0.wrapping_sub(earlier.0) << 1) as i32 >> 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_go_over_the_wrap() {
        let check = |late: u32, early: u32, expect| {
            assert_eq!(Sequence::new(late).since(Sequence::new(early)), expect);
        };
        check(5, 3, 2);
        check(3, 5, -2);
        check(1, MASK, 2);
        check(MASK, 1, -2);
        assert_eq!(Sequence::new(MASK).plus(1), Sequence::new(0));
    }
}
