//! Challenges for users who publish by name and password.
//!
//! A challenge is not remembered when it is given, so nobody can push others' challenges out: it carries its time and our signature.
//! What is remembered is each one that was answered rightly, until it is too old anyway: an answer that somebody overheard opens
//! nothing, on no connection. A restart makes another key, and old challenges void.

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

/// Gives challenges, and says which answers are new.
pub(super) struct Logins {
    key: hmac::Key,
    /// The challenges that were answered rightly, and the second of their giving.
    used: Mutex<HashMap<String, u32>>,
}

/// Random bytes that a challenge needs.
pub(super) const NONCE_BYTES: usize = 6;
const TIME_BYTES: usize = 4;
const MAC_BYTES: usize = 11;
/// A client answers at once; this is for slow networks.
const SECONDS_MAX: u32 = 60;
/// Logins remembered; only who knows a password adds one.
const USED_MAX: usize = 16 << 10;

impl Logins {
    pub(super) fn new(key: &[u8; 32]) -> Logins {
        Logins { key: hmac::Key::new(hmac::HMAC_SHA256, key), used: Mutex::default() }
    }

    /// The opaque of a challenge: 28 characters, of which the first 8 are the nonce. `now` is seconds since 1970.
    pub(super) fn challenge(&self, user: &str, now: u32, nonce: [u8; NONCE_BYTES]) -> String {
        let mut opaque = [&nonce[..], &now.to_be_bytes()].concat();
        let mac = self.sign(&opaque, user);
        opaque.extend_from_slice(&mac.as_ref()[..MAC_BYTES]);
        URL_SAFE_NO_PAD.encode(opaque)
    }

    /// The second in which a challenge was given to this user; `None` if it was not, or too long ago.
    pub(super) fn given(&self, opaque: &str, user: &str, now: u32) -> Option<u32> {
        let bytes = URL_SAFE_NO_PAD.decode(opaque).ok()?;
        let (signed, mac) = bytes.split_at_checked(NONCE_BYTES + TIME_BYTES)?;
        let (_, time) = signed.split_at_checked(NONCE_BYTES)?;
        let expected = self.sign(signed, user);
        aws_lc_rs::constant_time::verify_slices_are_equal(&expected.as_ref()[..MAC_BYTES], mac).ok()?;
        let given = u32::from_be_bytes(time.try_into().ok()?);
        // The clock may have been set back.
        (now.abs_diff(given) <= SECONDS_MAX).then_some(given)
    }

    /// Uses up a challenge that was answered rightly; `false` if it was used already, or if too many are remembered.
    pub(super) fn use_up(&self, opaque: &str, given: u32, now: u32) -> bool {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        if used.len() >= USED_MAX {
            used.retain(|_, given| now.abs_diff(*given) <= SECONDS_MAX);
        }
        used.len() < USED_MAX && used.insert(opaque.to_owned(), given).is_none()
    }

    fn sign(&self, signed: &[u8], user: &str) -> hmac::Tag {
        hmac::sign(&self.key, &[b"floodtide-login-v1\n", signed, user.as_bytes()].concat())
    }
}

impl fmt::Debug for Logins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Logins").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u32 = 1_800_000_000;

    #[test]
    fn a_challenge_is_for_its_user_for_a_minute_and_once() {
        let logins = Logins::new(&[1; 32]);
        let opaque = logins.challenge("alice", NOW, [7; NONCE_BYTES]);
        assert!(rtmp::adobe::Challenge::new(&opaque).is_some(), "{opaque}");
        assert_eq!(logins.given(&opaque, "alice", NOW + 60), Some(NOW));
        assert_eq!(logins.given(&opaque, "alice", NOW + 61), None);
        assert_eq!(logins.given(&opaque, "bob", NOW), None);
        assert_eq!(Logins::new(&[2; 32]).given(&opaque, "alice", NOW), None);
        assert!(logins.use_up(&opaque, NOW, NOW + 1));
        assert!(!logins.use_up(&opaque, NOW, NOW + 2), "an answer opens twice");
    }

    #[test]
    fn what_was_changed_or_cut_was_not_given() {
        let logins = Logins::new(&[1; 32]);
        let opaque = logins.challenge("alice", NOW, [7; NONCE_BYTES]);
        for cut in 0..opaque.len() {
            assert_eq!(logins.given(&opaque[..cut], "alice", NOW), None);
        }
        for at in 0..opaque.len() {
            let other = if opaque.as_bytes()[at] == b'A' { "B" } else { "A" };
            let mut changed = opaque.clone();
            changed.replace_range(at..=at, other);
            assert_eq!(logins.given(&changed, "alice", NOW), None, "{changed}");
        }
    }

    #[test]
    fn too_many_logins_are_refused_until_old_ones_are_forgotten() {
        let logins = Logins::new(&[1; 32]);
        for n in 0..USED_MAX {
            assert!(logins.use_up(&n.to_string(), NOW, NOW));
        }
        assert!(!logins.use_up("one more", NOW, NOW));
        assert!(logins.use_up("one more", NOW + 61, NOW + 61));
    }
}
