//! RTP timestamps without wraps. RFC 3550 §5.1.

/// Takes the wraps out of 32-bit timestamps.
#[derive(Debug, Default)]
pub(super) struct Timestamps {
    last: Option<i64>,
}

impl Timestamps {
    /// The nearest to the one before that has these low 32 bits; the first one is as it came.
    pub(super) fn extend(&mut self, raw: u32) -> i64 {
        let extended = match self.last {
            Some(last) => last.saturating_add(i64::from(raw.wrapping_sub(last as u32) as i32)),
            None => i64::from(raw),
        };
        self.last = Some(extended);
        extended
    }
}
