//! Tokens that were found good, with what they claim. A player by HLS shows the same one with every request, some four
//! times a second: its signature needs to be checked once. Whether what it claims still holds is looked at every time.

use super::claims::Claims;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

/// The tokens that one set of keys signed. Two generations: when the young one is full it becomes the old one, and what is in
/// neither is checked anew. Only good tokens come in, so nobody who has none can push others out.
#[derive(Default)]
pub(super) struct Known(RwLock<Generations>);

#[derive(Default)]
struct Generations {
    young: Generation,
    old: Generation,
}

#[derive(Default)]
struct Generation {
    tokens: HashMap<Box<str>, Genuine>,
    bytes: usize,
}

/// A token whose signature is good.
#[derive(Clone, Debug)]
pub(super) struct Genuine {
    /// Which key signed it, by its number.
    pub(super) key: usize,
    pub(super) claims: Arc<Claims>,
}

/// Of a generation: enough for the tokens of some 20,000 viewers.
const GENERATION_BYTES_MAX: usize = 16 << 20;
/// What a token of `n` bytes takes beside them: its claims are in it in base64, and are kept as text once more.
const CLAIMS_BYTES: usize = 400;

impl Known {
    /// What is known of a token.
    pub(super) fn of(&self, token: &str) -> Option<Genuine> {
        {
            let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(found) = known.young.tokens.get(token) {
                return Some(found.clone());
            }
            if !known.old.tokens.contains_key(token) {
                return None;
            }
        }
        // Still in use: it goes on with the young ones.
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let (token, genuine) = known.old.tokens.remove_entry(token)?;
        known.keep(token, genuine.clone());
        Some(genuine)
    }

    /// A token was found good.
    pub(super) fn learn(&self, token: &str, genuine: Genuine) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).keep(token.into(), genuine);
    }
}

impl Generations {
    fn keep(&mut self, token: Box<str>, genuine: Genuine) {
        let bytes = 2 * token.len() + CLAIMS_BYTES;
        if self.young.bytes + bytes > GENERATION_BYTES_MAX {
            self.old = std::mem::take(&mut self.young);
        }
        if self.young.tokens.insert(token, genuine).is_none() {
            self.young.bytes += bytes;
        }
    }
}

/// Tokens are secrets.
impl fmt::Debug for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Known")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn genuine(key: usize) -> Genuine {
        Genuine { key, claims: Arc::default() }
    }

    #[test]
    fn tokens_in_use_stay_and_others_are_forgotten_within_the_budget() {
        let known = Known::default();
        known.learn("in use", genuine(1));
        known.learn("shown once", genuine(2));
        let long = "x".repeat(4000);
        for n in 0..3 * GENERATION_BYTES_MAX / 8400 {
            known.learn(&format!("{long}{n}"), genuine(0));
            assert_eq!(known.of("in use").map(|found| found.key), Some(1));
        }
        assert!(known.of("shown once").is_none());
        let held = known.0.read().unwrap();
        let bytes = |of: &Generation| of.tokens.keys().map(|token| token.len()).sum::<usize>();
        assert!(
            bytes(&held.young) + bytes(&held.old) <= GENERATION_BYTES_MAX,
            "texts are half of what is counted"
        );
    }
}
