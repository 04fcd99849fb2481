//! Opus: one payload is one frame. RFC 7587 §4.2.

use super::{Assembled, Damaged};
use bytes::Bytes;

/// Holds the payload between push and finish.
#[derive(Debug, Default)]
pub(super) struct Assembler {
    payload: Bytes,
}

/// `OpusHead` (RFC 7845 §5.1), which RTP doesn't carry: stereo, to which every Opus frame can be decoded (RFC 7587 §4.1);
/// 312 samples of pre-skip, which is the delay of the reference encoder; 48 kHz, no gain, mapping family 0.
const HEAD: &[u8; 19] = b"OpusHead\x01\x02\x38\x01\x80\xbb\x00\x00\x00\x00\x00";

impl Assembler {
    #[expect(clippy::unnecessary_wraps, reason = "as the other formats")]
    pub(super) fn push(&mut self, payload: &Bytes) -> Result<(), Damaged> {
        self.payload = payload.clone();
        Ok(())
    }

    pub(super) fn finish(&mut self) -> Option<Assembled> {
        let payload = std::mem::take(&mut self.payload);
        Some(Assembled { keyframe: true, payload, config: Bytes::from_static(HEAD) })
    }
}
