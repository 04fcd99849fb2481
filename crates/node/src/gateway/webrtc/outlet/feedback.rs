//! What a viewer reports of the packets that it was sent. RFC 3550 §6, RFC 4585 §6.

/// One thing that a report says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Feedback {
    /// It has something of this sender, and lost that share since the report before.
    Heard { ssrc: u32, loses: f32 },
    /// It lacks the packet with this sequence number.
    Lost { ssrc: u32, sequence: u16 },
    /// It can't show pictures without a keyframe.
    KeyframeWanted(u32),
}

const SENDER_REPORT: u8 = 200;
const RECEIVER_REPORT: u8 = 201;
const TRANSPORT_FEEDBACK: u8 = 205;
const PAYLOAD_FEEDBACK: u8 = 206;
/// Formats of feedback.
const NACK: u8 = 1;
const PLI: u8 = 1;
const FIR: u8 = 4;
/// Things that one datagram may say; the rest of it is left out. More than a second of packets can't be sent again anyway.
const FEEDBACK_MAX: usize = 1024;

/// Whether a datagram is RTCP, of all that comes through one port. RFC 5761 §4.
pub(in super::super) fn is_rtcp(datagram: &[u8]) -> bool {
    is_media(datagram) && matches!(datagram, [_, 192..=223, ..])
}

/// Whether a datagram is RTP or RTCP. RFC 7983 §7.
pub(in super::super) fn is_media(datagram: &[u8]) -> bool {
    matches!(datagram, [128..=191, ..])
}

/// Appends what a compound packet says. What is damaged ends it; what isn't known is left out.
pub(super) fn read(mut compound: &[u8], out: &mut Vec<Feedback>) {
    while let Some((packet, rest)) = split(compound) {
        let (format, kind, body) = (packet[0] & 31, packet[1], &packet[4..]);
        match kind {
            // The reporter, of a sender what it sent, then a block of 24 bytes for each whom it heard.
            SENDER_REPORT => blocks(body.get(24..), format, out),
            RECEIVER_REPORT => blocks(body.get(4..), format, out),
            TRANSPORT_FEEDBACK if format == NACK => lost(body, out),
            PAYLOAD_FEEDBACK if format == PLI => {
                take(out, body.get(4..8).into_iter().map(|media| Feedback::KeyframeWanted(word(media))));
            }
            PAYLOAD_FEEDBACK if format == FIR => {
                let entries = body.get(8..).unwrap_or_default().as_chunks::<8>().0;
                take(out, entries.iter().map(|entry| Feedback::KeyframeWanted(word(entry))));
            }
            _ => {}
        }
        compound = rest;
    }
}

/// The first packet of a compound one, and the rest. RFC 3550 §6.1.
pub(super) fn split(compound: &[u8]) -> Option<(&[u8], &[u8])> {
    let head: &[u8; 4] = compound.first_chunk()?;
    let words = usize::from(u16::from_be_bytes([head[2], head[3]]));
    (head[0] >> 6 == 2).then_some(())?;
    compound.split_at_checked(4 * (words + 1))
}

/// So many blocks of a report. RFC 3550 §6.4.
fn blocks(bytes: Option<&[u8]>, count: u8, out: &mut Vec<Feedback>) {
    let all = bytes.unwrap_or_default().as_chunks::<24>().0;
    take(out, all.iter().take(usize::from(count)).map(heard));
}

/// The share that was lost is told in 256ths. RFC 3550 §6.4.1.
fn heard(block: &[u8; 24]) -> Feedback {
    Feedback::Heard { ssrc: word(block), loses: f32::from(block[4]) / 256.0 }
}

/// Each entry names a packet, and by bits which of the 16 behind it. RFC 4585 §6.2.1.
fn lost(body: &[u8], out: &mut Vec<Feedback>) {
    let Some(ssrc) = body.get(4..8).map(word) else { return };
    for [first, second, more, others] in body[8..].as_chunks::<4>().0 {
        let sequence = u16::from_be_bytes([*first, *second]);
        let others = u16::from_be_bytes([*more, *others]);
        let behind = (0..16).filter(|bit| others >> bit & 1 == 1).map(|bit| sequence.wrapping_add(bit + 1));
        let all = std::iter::once(sequence).chain(behind);
        take(out, all.map(|sequence| Feedback::Lost { ssrc, sequence }));
    }
}

fn take(out: &mut Vec<Feedback>, more: impl Iterator<Item = Feedback>) {
    let room = FEEDBACK_MAX.saturating_sub(out.len());
    out.extend(more.take(room));
}

fn word(bytes: &[u8]) -> u32 {
    bytes.first_chunk().map_or(0, |four| u32::from_be_bytes(*four))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(format: u8, kind: u8, words: &[u32]) -> Vec<u8> {
        let mut packet = vec![0x80 | format, kind, 0, words.len() as u8];
        words.iter().for_each(|word| packet.extend(word.to_be_bytes()));
        packet
    }

    fn check(compound: &[u8], expected: &[Feedback]) {
        let mut out = Vec::new();
        read(compound, &mut out);
        assert_eq!(out, expected);
    }

    #[test]
    fn reports_losses_and_wishes_are_read_from_one_datagram() {
        let report = packet(1, RECEIVER_REPORT, &[9, 77, 64 << 24 | 5, 0, 0, 0, 0]);
        let losses = packet(NACK, TRANSPORT_FEEDBACK, &[9, 77, 0xfffe_0005]);
        let (pli, fir) = (
            packet(PLI, PAYLOAD_FEEDBACK, &[9, 77]),
            packet(FIR, PAYLOAD_FEEDBACK, &[9, 0, 78, 0x0100_0000]),
        );
        let bandwidth = packet(15, PAYLOAD_FEEDBACK, &[9, 0, 0x5245_4d42, 0x0100_0000, 77]);
        let lost = |sequence| Feedback::Lost { ssrc: 77, sequence };
        check(
            &[report, bandwidth, losses, pli, fir].concat(),
            &[
                Feedback::Heard { ssrc: 77, loses: 0.25 },
                lost(0xfffe),
                lost(0xffff),
                lost(1),
                Feedback::KeyframeWanted(77),
                Feedback::KeyframeWanted(78),
            ],
        );
    }

    #[test]
    fn who_sends_too_tells_what_it_heard_behind_what_it_sent() {
        let report = packet(1, SENDER_REPORT, &[9, 1, 2, 3, 4, 5, 77, 128 << 24, 0, 0, 0, 0]);
        check(&report, &[Feedback::Heard { ssrc: 77, loses: 0.5 }]);
        check(&packet(1, SENDER_REPORT, &[9, 1, 2, 3, 4, 5]), &[]);
    }

    #[test]
    fn a_datagram_says_no_more_than_so_many_things() {
        let everything = packet(NACK, TRANSPORT_FEEDBACK, &[&[9, 77][..], &[0x0001_ffff; 200]].concat());
        let mut out = Vec::new();
        read(&everything, &mut out);
        assert_eq!(out.len(), FEEDBACK_MAX);
    }

    #[test]
    fn rtcp_is_told_from_rtp_stun_and_dtls() {
        assert!(is_rtcp(&[0x81, 201]) && is_rtcp(&[0x81, 206]));
        assert!(
            !is_rtcp(&[0x80, 96]) && !is_rtcp(&[0x80, 224]) && !is_rtcp(&[0, 201]) && !is_rtcp(&[22, 254])
        );
        assert!(!is_rtcp(&[0x81]));
    }

    #[test]
    fn fuzz_damaged_reports_never_panic() {
        let mut random = testkit::Random::seeded(3);
        let good = [
            packet(1, SENDER_REPORT, &[9, 1, 2, 3, 4, 5, 77, 0, 0, 0, 0, 0]),
            packet(1, RECEIVER_REPORT, &[9, 77, 0, 0, 0, 0, 0]),
            packet(NACK, TRANSPORT_FEEDBACK, &[9, 77, 5]),
            packet(FIR, PAYLOAD_FEEDBACK, &[9, 0, 78, 0]),
        ]
        .concat();
        for _ in 0..5000 {
            let mut out = Vec::new();
            read(&random.mutate(&good), &mut out);
            assert!(out.len() <= FEEDBACK_MAX);
        }
    }
}
