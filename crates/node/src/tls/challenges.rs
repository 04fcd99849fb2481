//! What an authority asks for over HTTP to see that a name is ours. RFC 8555 §8.3.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Answers by token. Clones share.
#[derive(Clone, Debug, Default)]
pub(crate) struct Challenges(Arc<Mutex<HashMap<String, String>>>);

/// An answer that is given as long as this is kept.
#[derive(Debug)]
pub(super) struct Offered {
    token: String,
    challenges: Challenges,
}

impl Challenges {
    /// Where authorities ask.
    pub(crate) const PATH: &str = "/.well-known/acme-challenge/";

    /// The answer to a token.
    pub(crate) fn answer(&self, token: &str) -> Option<String> {
        self.lock().get(token).cloned()
    }

    pub(super) fn offer(&self, token: &str, answer: &str) -> Offered {
        self.lock().insert(token.to_owned(), answer.to_owned());
        Offered { token: token.to_owned(), challenges: self.clone() }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Offered {
    fn drop(&mut self) {
        self.challenges.lock().remove(&self.token);
    }
}
