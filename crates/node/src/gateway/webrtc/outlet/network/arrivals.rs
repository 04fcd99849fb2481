//! When packets came, as a viewer tells it. draft-holmer-rmcat-transport-wide-cc-extensions-01 §3.1.

use super::super::feedback::split;

/// One packet of which a report tells: its number, and when it came by the viewer's clock, µs; `None`: it didn't.
pub(super) type Told = (u16, Option<i64>);

/// Packets that one report may tell of; the rest is left out.
const TOLD_MAX: usize = 1024;
const TRANSPORT_FEEDBACK: u8 = 205;
const TRANSPORT_WIDE: u8 = 15;
/// One tick of a reference time, and one of a difference, µs.
const REFERENCE_MICROS: i64 = 64_000;
const DELTA_MICROS: i64 = 250;

/// The reports in a compound packet.
pub(super) fn reports(mut compound: &[u8]) -> impl Iterator<Item = &[u8]> {
    let packets = std::iter::from_fn(move || {
        let (packet, rest) = split(compound)?;
        compound = rest;
        Some(packet)
    });
    packets.filter(|packet| packet[1] == TRANSPORT_FEEDBACK && packet[0] & 31 == TRANSPORT_WIDE)
}

/// What a report tells, in the order of the numbers, into `found`. What is damaged ends it.
pub(super) fn read(report: &[u8], found: &mut Vec<Told>) {
    found.clear();
    let Some(head) = report.get(12..20) else { return };
    let first = u16::from_be_bytes([head[0], head[1]]);
    let count = usize::from(u16::from_be_bytes([head[2], head[3]])).min(TOLD_MAX);
    // 24 bits with a sign.
    let reference = i32::from_be_bytes([head[4], head[5], head[6], 0]) >> 8;
    let (mut rest, mut symbols) = (&report[20..], Vec::with_capacity(count));
    while symbols.len() < count {
        let Some((chunk, tail)) = rest.split_first_chunk::<2>() else { return };
        rest = tail;
        chunk_symbols(u16::from_be_bytes(*chunk), &mut symbols);
    }
    let mut at = i64::from(reference) * REFERENCE_MICROS;
    for (step, symbol) in symbols.into_iter().take(count).enumerate() {
        let number = first.wrapping_add(step as u16);
        let delta = match (symbol, rest) {
            (0, _) => {
                found.push((number, None));
                continue;
            }
            (1, [delta, tail @ ..]) => {
                rest = tail;
                i64::from(*delta)
            }
            (2, [high, low, tail @ ..]) => {
                rest = tail;
                i64::from(i16::from_be_bytes([*high, *low]))
            }
            _ => return,
        };
        at += delta * DELTA_MICROS;
        found.push((number, Some(at)));
    }
}

/// What a chunk says of packets one after the other: a run of the same, 14 by one bit each, or 7 by two. §3.1.3, §3.1.4.
fn chunk_symbols(chunk: u16, out: &mut Vec<u8>) {
    let bits = |shift: u16, mask: u16| (chunk >> shift & mask) as u8;
    match chunk >> 14 {
        0 | 1 => {
            let run = usize::from(chunk & 0x1fff).min(TOLD_MAX);
            out.extend(std::iter::repeat_n(bits(13, 3), run.max(1)));
        }
        2 => out.extend((0..14).rev().map(|bit| bits(bit, 1))),
        _ => out.extend((0..7).rev().map(|pair| bits(2 * pair, 3))),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use testkit::Random;

    /// A report that says of packets from `first` on when they came, in ticks of 250 µs after the reference time, or that they didn't.
    pub(in super::super) fn report(first: u16, reference: i32, told: &[Option<i16>]) -> Vec<u8> {
        let mut packet = vec![0x80 | TRANSPORT_WIDE, TRANSPORT_FEEDBACK, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2];
        packet.extend(first.to_be_bytes());
        packet.extend((told.len() as u16).to_be_bytes());
        packet.extend(&reference.to_be_bytes()[1..]);
        packet.push(0);
        for seven in told.chunks(7) {
            let symbols = (0..7).map(|at| if seven.get(at).copied().flatten().is_some() { 2 } else { 0 });
            packet.extend(symbols.fold(3_u16, |chunk, symbol| chunk << 2 | symbol).to_be_bytes());
        }
        let mut before = 0;
        for at in told.iter().flatten() {
            packet.extend((at - before).to_be_bytes());
            before = *at;
        }
        packet.resize(packet.len().next_multiple_of(4), 0);
        packet[3] = (packet.len() / 4 - 1) as u8;
        packet
    }

    fn came(packet: &[u8]) -> Vec<(u16, i64)> {
        let mut told = Vec::new();
        read(packet, &mut told);
        told.into_iter().filter_map(|(number, at)| Some((number, at?))).collect()
    }

    #[test]
    fn arrivals_are_read_from_every_kind_of_chunk() {
        let told = [Some(4), None, Some(12), Some(8), None, None, Some(20), Some(24)];
        let expect: Vec<_> = [(65_535, 1000), (1, 3000), (2, 2000), (5, 5000), (6, 6000)]
            .map(|(n, at)| (n, at - 64_000))
            .into();
        assert_eq!(came(&report(65_535, -1, &told)), expect);
        let mut all = Vec::new();
        read(&report(65_535, -1, &told), &mut all);
        let lost: Vec<_> = all.iter().filter(|(_, at)| at.is_none()).map(|(number, _)| *number).collect();
        assert_eq!((all.len(), lost), (8, vec![0, 3, 4]));
        // A run of three, then fourteen of which the first and the last came.
        let mut packet = report(7, 1, &[]);
        packet[14..16].copy_from_slice(&17_u16.to_be_bytes());
        packet.extend([0x20, 3, 0xa0, 1, 4, 4, 4, 4, 4, 0, 0, 0]);
        let expect: Vec<_> = [7, 8, 9, 10, 23].into_iter().zip((65_000..).step_by(1000)).collect();
        assert_eq!(came(&packet), expect);
    }

    #[test]
    fn reports_are_found_among_others() {
        let other = [0x81, TRANSPORT_FEEDBACK, 0, 2, 0, 0, 0, 9, 0, 0, 0, 77];
        let compound = [&other[..], &report(1, 0, &[Some(1)]), &report(2, 0, &[Some(1)])].concat();
        assert_eq!(reports(&compound).map(|report| came(report)[0].0).collect::<Vec<_>>(), [1, 2]);
    }

    #[test]
    fn fuzz_damaged_reports_are_read_or_dropped() {
        let mut random = Random::seeded(205);
        let told: Vec<_> = (0..40).map(|at| (at % 3 > 0).then_some(at * 4)).collect();
        let mut found = Vec::new();
        for _ in 0..10_000 {
            let damaged = random.mutate(&report(3, 9, &told));
            read(&damaged, &mut found);
            assert!(found.len() <= TOLD_MAX);
            reports(&damaged).for_each(|report| read(report, &mut found));
        }
    }
}
