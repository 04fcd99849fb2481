//! What a viewer was sent lately, for when it lacks some of it.

use super::super::engine::Outgoing;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The pictures of the last second. Payloads are shared with all viewers: a picture costs some 40 bytes here. Overflow policy: the
/// oldest picture is forgotten.
#[derive(Debug, Default)]
pub(super) struct History {
    pictures: VecDeque<Picture>,
    budget: Budget,
}

/// One picture as it was sent.
#[derive(Debug)]
struct Picture {
    /// Sequence number of its first packet.
    first: u16,
    /// RTP time.
    ticks: u32,
    at: Instant,
    packets: Arc<[Outgoing]>,
}

/// How much may be sent again, by the second.
#[derive(Debug, Default)]
struct Budget {
    since: Option<Instant>,
    /// Bytes sent, and sent again, in this second and in the one before.
    sent: [usize; 2],
    again: usize,
}

/// Pictures later than that are of no use.
const AGE_MAX: Duration = Duration::from_millis(1000);
/// A second of pictures and a group that was sent at once.
const PICTURES_MAX: usize = 192;
/// Of what is sent, the most that may be sent again, in percent. More would only fill a network that is full.
const AGAIN_PERCENT_MAX: usize = 60;
/// That much may always be sent again.
const AGAIN_BYTES_MIN: usize = 32 << 10;
/// Of small packets, so many at once are enough to find something out.
const NEWEST_PACKETS_MAX: usize = 48;
const SECOND: Duration = Duration::from_secs(1);

impl History {
    /// A picture was sent whose first packet has that number.
    pub(super) fn note(&mut self, first: u16, ticks: u32, packets: &Arc<[Outgoing]>, now: Instant) {
        let old = |picture: &Picture| now.saturating_duration_since(picture.at) > AGE_MAX;
        while self.pictures.len() >= PICTURES_MAX || self.pictures.front().is_some_and(old) {
            self.pictures.pop_front();
        }
        self.pictures.push_back(Picture { first, ticks, at: now, packets: Arc::clone(packets) });
        let bytes = packets.iter().map(|packet| packet.payload.len()).sum::<usize>();
        self.budget.turn(now);
        self.budget.sent[0] += bytes;
    }

    /// The packet with that number and its RTP time, if it may be sent again.
    pub(super) fn again(&mut self, sequence: u16, now: Instant) -> Option<(Outgoing, u32)> {
        let (picture, packet) = self.pictures.iter().rev().find_map(|picture| {
            let packet = picture.packets.get(usize::from(sequence.wrapping_sub(picture.first)))?;
            Some((picture, packet))
        })?;
        let fresh = now.saturating_duration_since(picture.at) <= AGE_MAX;
        (fresh && self.budget.allows(packet.payload.len(), now)).then(|| (packet.clone(), picture.ticks))
    }
}

impl History {
    /// What was sent last, so many bytes of it, and packets, at least: sequence numbers, packets and RTP times. Where that was less, it
    /// comes more than once.
    pub(super) fn newest(&self, bytes: usize, packets: usize) -> Vec<(u16, Outgoing, u32)> {
        let all = self.pictures.iter().rev().flat_map(|picture| {
            let numbers = (0..).map(|at| picture.first.wrapping_add(at));
            numbers.zip(picture.packets.iter()).map(|(number, packet)| (number, packet, picture.ticks))
        });
        let (mut found, mut left) = (Vec::new(), bytes);
        for (number, packet, ticks) in all.cycle().take(NEWEST_PACKETS_MAX) {
            if left == 0 && found.len() >= packets {
                break;
            }
            left = left.saturating_sub(packet.payload.len());
            found.push((number, packet.clone(), ticks));
        }
        found
    }

    /// Nothing of before is sent again.
    pub(super) fn forget(&mut self) {
        self.pictures.clear();
    }
}

impl Budget {
    fn turn(&mut self, now: Instant) {
        let since = *self.since.get_or_insert(now);
        let passed = now.saturating_duration_since(since);
        if passed >= SECOND {
            let before = if passed < 2 * SECOND { self.sent[0] } else { 0 };
            (self.since, self.sent, self.again) = (Some(now), [0, before], 0);
        }
    }

    fn allows(&mut self, bytes: usize, now: Instant) -> bool {
        self.turn(now);
        let most = (self.sent[0] + self.sent[1]) * AGAIN_PERCENT_MAX / 100;
        let allowed = self.again + bytes <= most.max(AGAIN_BYTES_MIN);
        self.again += if allowed { bytes } else { 0 };
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(packets: usize, bytes: usize) -> Arc<[Outgoing]> {
        let payload: Arc<[u8]> = Arc::from(vec![7; bytes]);
        (0..packets).map(|at| Outgoing { payload: Arc::clone(&payload), marker: at + 1 == packets }).collect()
    }

    #[test]
    fn a_packet_is_found_by_its_number_also_across_the_wrap() {
        let (mut history, now) = (History::default(), testkit::epoch());
        history.note(0xfffe, 100, &picture(3, 10), now);
        history.note(1, 200, &picture(2, 10), now);
        let found = |history: &mut History, sequence| {
            history.again(sequence, now).map(|(packet, ticks)| (ticks, packet.marker))
        };
        assert_eq!(found(&mut history, 0xfffe), Some((100, false)));
        assert_eq!(found(&mut history, 0), Some((100, true)));
        assert_eq!(found(&mut history, 2), Some((200, true)));
        assert_eq!(found(&mut history, 3), None);
        assert_eq!(found(&mut history, 0xfffd), None);
    }

    #[test]
    fn what_is_old_is_forgotten() {
        let (mut history, now) = (History::default(), testkit::epoch());
        history.note(1, 100, &picture(1, 10), now);
        assert!(history.again(1, now + AGE_MAX).is_some());
        assert!(history.again(1, now + AGE_MAX + Duration::from_millis(1)).is_none());
        for number in 0..1000 {
            history.note(number + 2, 100, &picture(1, 10), now);
        }
        assert_eq!(history.pictures.len(), PICTURES_MAX);
    }

    #[test]
    fn what_is_newest_is_as_much_as_is_wanted() {
        let (mut history, now) = (History::default(), testkit::epoch());
        assert_eq!(history.newest(5000, 6).len(), 0);
        history.note(10, 100, &picture(2, 1000), now);
        history.note(12, 200, &picture(2, 1000), now);
        let numbers = |history: &History, bytes, packets| -> Vec<(u16, u32)> {
            history.newest(bytes, packets).iter().map(|(number, _, ticks)| (*number, *ticks)).collect()
        };
        assert_eq!(numbers(&history, 2500, 1), [(12, 200), (13, 200), (10, 100)]);
        assert_eq!(numbers(&history, 1, 5).len(), 5, "some of it twice");
        assert_eq!(numbers(&history, usize::MAX, 1).len(), NEWEST_PACKETS_MAX);
        history.forget();
        assert_eq!(history.newest(5000, 6).len(), 0);
        assert!(history.again(12, now).is_none());
    }

    #[test]
    fn a_viewer_who_asks_for_all_again_and_again_gets_no_more_than_a_share() {
        let (mut history, mut now) = (History::default(), testkit::epoch());
        let (mut sent, mut again) = (0, 0);
        for number in 0..300_u16 {
            history.note(number * 2, 0, &picture(2, 1000), now);
            sent += 2000;
            for sequence in 0..number * 2 {
                again += history.again(sequence, now).map_or(0, |(packet, _)| packet.payload.len());
            }
            now += Duration::from_millis(33);
        }
        assert!(again > sent / 2, "{again} of {sent}");
        assert!(again <= sent * 2 * AGAIN_PERCENT_MAX / 100, "{again} of {sent}");
    }
}
