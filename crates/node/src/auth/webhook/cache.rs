//! Answers that are kept for the same question.

use super::event::Answer;
use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

/// SHA-256 of a question, so that no credential stays in memory for long.
pub(super) type Key = [u8; 32];

/// At most [`ANSWERS_MAX`] answers; beyond, the oldest goes.
#[derive(Debug, Default)]
pub(super) struct Cache {
    answers: HashMap<Key, Kept>,
    /// By age. One that was kept anew stands here twice, and its older place means nothing.
    order: VecDeque<(Key, u64)>,
    next: u64,
}

#[derive(Debug)]
struct Kept {
    answer: Answer,
    until: Instant,
    number: u64,
}

/// Some 300 bytes each.
const ANSWERS_MAX: usize = 50_000;
/// A day: an answer that is older was wrong for long enough.
const KEEP_MAX: Duration = Duration::from_secs(86_400);

impl Cache {
    /// The answer to this question, if it still holds.
    pub(super) fn find(&mut self, key: &Key, now: Instant) -> Option<Answer> {
        self.answers.get(key).filter(|kept| now < kept.until).map(|kept| kept.answer.clone())
    }

    /// Keeps an answer for some time.
    pub(super) fn keep(&mut self, key: Key, answer: Answer, time: Duration, now: Instant) {
        if time.is_zero() {
            return;
        }
        self.next += 1;
        let kept = Kept { answer, until: now + time.min(KEEP_MAX), number: self.next };
        self.answers.insert(key, kept);
        self.order.push_back((key, self.next));
        self.shrink(now);
    }

    /// Drops what is over at the old end, and what is too much.
    fn shrink(&mut self, now: Instant) {
        while let Some((key, number)) = self.order.front() {
            let current = self.answers.get(key).filter(|kept| kept.number == *number);
            if current.is_some_and(|kept| now < kept.until) && self.order.len() <= ANSWERS_MAX {
                return;
            }
            if current.is_some() {
                self.answers.remove(key);
            }
            self.order.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn answer(allow: bool) -> Answer {
        Answer { allow, reason: None, expires: None, cache_for: None }
    }

    fn key(number: usize) -> Key {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&number.to_be_bytes());
        key
    }

    #[test]
    fn an_answer_holds_for_its_time() {
        let (mut cache, now) = (Cache::default(), Instant::now());
        cache.keep(key(1), answer(true), SECOND, now);
        cache.keep(key(2), answer(false), Duration::ZERO, now);
        assert_eq!(cache.find(&key(1), now + SECOND / 2), Some(answer(true)));
        assert_eq!(cache.find(&key(1), now + SECOND), None);
        assert_eq!(cache.find(&key(2), now), None, "zero is not kept");
    }

    #[test]
    fn the_newest_answer_counts() {
        let (mut cache, now) = (Cache::default(), Instant::now());
        cache.keep(key(1), answer(true), SECOND, now);
        cache.keep(key(1), answer(false), 3 * SECOND, now);
        cache.keep(key(2), answer(true), SECOND, now + 2 * SECOND);
        assert_eq!(cache.find(&key(1), now + 2 * SECOND), Some(answer(false)), "its older place is no harm");
    }

    #[test]
    fn it_stays_within_its_bound() {
        let (mut cache, now) = (Cache::default(), Instant::now());
        for number in 0..ANSWERS_MAX + 10 {
            cache.keep(key(number), answer(true), SECOND, now);
        }
        assert_eq!((cache.answers.len(), cache.order.len()), (ANSWERS_MAX, ANSWERS_MAX));
        assert_eq!(cache.find(&key(9), now), None);
        assert!(cache.find(&key(10), now).is_some());
        cache.keep(key(0), answer(true), SECOND, now + SECOND);
        assert_eq!(cache.answers.len(), 1, "what is over goes");
    }
}
