//! What H.264 (RFC 6184) and H.265 (RFC 7798) payloads have in common, and what not.

use media::Codec;
use media::codec::{h264, h265};

/// Which of the two formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    H264,
    H265,
}

/// Bytes of the length before each unit of an aggregate.
pub(super) const LENGTH_BYTES: usize = 2;
/// S of a fragment's header: the first of a unit.
pub(super) const FRAGMENT_START: u8 = 0x80;
/// E of a fragment's header: the last of a unit.
pub(super) const FRAGMENT_END: u8 = 0x40;

impl Family {
    pub(super) const fn codec(self) -> Codec {
        match self {
            Family::H264 => Codec::H264,
            Family::H265 => Codec::H265,
        }
    }

    /// Bytes of a unit's header, which is a payload's too.
    pub(super) const fn header_bytes(self) -> usize {
        match self {
            Family::H264 => 1,
            Family::H265 => 2,
        }
    }

    /// The type of a unit that isn't empty.
    pub(super) fn kind(self, unit: &[u8]) -> u8 {
        match self {
            Family::H264 => unit[0] & 0x1f,
            Family::H265 => h265::nal::kind(unit[0]),
        }
    }

    /// Whether units of that type are parameter sets.
    pub(super) const fn is_set(self, kind: u8) -> bool {
        match self {
            Family::H264 => matches!(kind, h264::nal::SPS | h264::nal::PPS),
            Family::H265 => matches!(kind, h265::nal::VPS..=h265::nal::PPS),
        }
    }

    /// Types of units; those above are for payloads. RFC 6184 §5.2, RFC 7798 §4.4.
    pub(super) const fn unit_kind_max(self) -> u8 {
        match self {
            Family::H264 => 23,
            Family::H265 => 47,
        }
    }

    /// The type of payloads with several units: STAP-A (RFC 6184 §5.7.1), AP (RFC 7798 §4.4.2).
    pub(super) const fn aggregate(self) -> u8 {
        match self {
            Family::H264 => 24,
            Family::H265 => 48,
        }
    }

    /// The type of payloads with a piece of a unit: FU-A (RFC 6184 §5.8), FU (RFC 7798 §4.4.3).
    pub(super) const fn fragment(self) -> u8 {
        match self {
            Family::H264 => 28,
            Family::H265 => 49,
        }
    }
}
