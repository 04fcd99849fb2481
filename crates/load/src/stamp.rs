//! A clock inside the picture: an H.264 SEI message that says when its frame was sent.
//!
//! It is an ordinary NAL unit, so every remuxer that leaves access units alone carries it, and viewers of any protocol
//! can subtract. The clock is monotonic: publisher and viewers must run on one machine.

use crate::clock::Nanos;

/// Puts a stamp into an H.264 FLV video tag body (five header bytes, then NAL units with `length_size`-byte lengths).
///
/// It goes behind an access unit delimiter, which has to stay first (ITU-T H.264 §7.4.1.2.3).
pub(crate) fn stamped(body: &[u8], length_size: usize, sent: Nanos) -> Vec<u8> {
    let at = FLV_AVC_HEADER_BYTES + delimiter_bytes(body, length_size);
    let mut out = Vec::with_capacity(body.len() + length_size + SEI_BYTES);
    out.extend_from_slice(&body[..at]);
    out.extend_from_slice(&(SEI_BYTES as u32).to_be_bytes()[4 - length_size..]);
    out.extend_from_slice(&sei(sent));
    out.extend_from_slice(&body[at..]);
    out
}

/// The NAL unit (ITU-T H.264 §D.1.6, user_data_unregistered). Hexadecimal digits never need emulation prevention.
pub(crate) fn sei(sent: Nanos) -> Vec<u8> {
    let mut nal = Vec::with_capacity(SEI_BYTES);
    nal.extend_from_slice(&[0x06, 0x05, PAYLOAD_BYTES as u8]);
    nal.extend_from_slice(MARK);
    nal.extend_from_slice(format!("{sent:016x}").as_bytes());
    nal.push(0x80);
    nal
}

/// The first stamp in `bytes` and the offset behind it.
pub(crate) fn find(bytes: &[u8]) -> Option<(Nanos, usize)> {
    let mut from = 0;
    loop {
        let at = from + bytes.get(from..)?.windows(MARK.len()).position(|window| window == MARK)?;
        let digits = bytes.get(at + MARK.len()..at + PAYLOAD_BYTES)?;
        let text = std::str::from_utf8(digits).ok();
        if let Some(sent) = text.and_then(|text| u64::from_str_radix(text, 16).ok()) {
            return Some((sent, at + PAYLOAD_BYTES));
        }
        from = at + MARK.len();
    }
}

fn delimiter_bytes(body: &[u8], length_size: usize) -> usize {
    let units = body.get(FLV_AVC_HEADER_BYTES..).unwrap_or_default();
    let (Some(prefix), Some(header)) = (units.get(..length_size), units.get(length_size)) else { return 0 };
    let length = prefix.iter().fold(0usize, |sum, byte| (sum << 8) | usize::from(*byte));
    let whole = length_size.saturating_add(length);
    if header & 0x1f == NAL_ACCESS_UNIT_DELIMITER && whole <= units.len() { whole } else { 0 }
}

/// Frame type and codec, packet type, composition time (FLV v10.1 §E.4.3.1).
pub(crate) const FLV_AVC_HEADER_BYTES: usize = 5;
const NAL_ACCESS_UNIT_DELIMITER: u8 = 9;
/// The 16 bytes that mark the message as ours.
const MARK: &[u8; 16] = b"BENCH-STAMP-v1!!";
const PAYLOAD_BYTES: usize = 32;
/// Header, type, size, payload, stop bit.
const SEI_BYTES: usize = 3 + PAYLOAD_BYTES + 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_survives_being_put_into_a_frame() {
        let body = [0x17, 1, 0, 0, 0, 0, 0, 0, 2, 0x65, 0xaa];
        let out = stamped(&body, 4, 0x1234_5678_9abc);
        assert_eq!(find(&out).map(|(sent, _)| sent), Some(0x1234_5678_9abc));
        assert!(out.ends_with(&[0, 0, 0, 2, 0x65, 0xaa]));
        assert_eq!(out[5..10], [0, 0, 0, 36, 6]);
    }

    #[test]
    fn the_access_unit_delimiter_stays_first() {
        let body = [0x17, 1, 0, 0, 0, 0, 2, 9, 0xf0, 0, 1, 0x65];
        let out = stamped(&body, 2, 7);
        assert_eq!(out[5..12], [0, 2, 9, 0xf0, 0, 36, 6]);
        assert!(out.ends_with(&[0, 1, 0x65]));
    }

    #[test]
    fn a_cut_or_false_mark_is_no_stamp() {
        let whole = sei(99);
        assert_eq!(find(&whole[..20]), None);
        let mut false_then_true = MARK.to_vec();
        false_then_true.extend_from_slice(b"not hexadecimal!");
        false_then_true.extend_from_slice(&whole);
        assert_eq!(find(&false_then_true).map(|(sent, _)| sent), Some(99));
    }

    #[test]
    fn a_lying_length_does_not_panic() {
        assert_eq!(
            find(&stamped(&[0x17, 1, 0, 0, 0, 255, 255, 255, 255, 9], 4, 5)).map(|found| found.0),
            Some(5)
        );
        assert_eq!(find(&stamped(&[0x17, 1, 0, 0, 0], 4, 5)).map(|found| found.0), Some(5));
    }
}
