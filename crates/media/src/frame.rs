//! One access unit.

use crate::Timestamp;
use bytes::Bytes;

/// One access unit, ready to be wrapped by any container.
///
/// Normal form: H.264/H.265 as NAL units with 4-byte lengths, parameter sets only in `Track::config`;
/// AV1 as a temporal unit without delimiter; AAC raw without ADTS; Opus one packet.
/// `dts` never goes back within a track; `payload` is never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Decode time.
    pub dts: Timestamp,
    /// Presentation time; equals `dts` where nothing is reordered.
    pub pts: Timestamp,
    /// Whether a decoder can start here. Audio frames always can.
    pub keyframe: bool,
    /// The coded bytes in normal form.
    pub payload: Bytes,
}
