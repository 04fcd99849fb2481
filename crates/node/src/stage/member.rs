//! One co-host of a stage.

use super::error::StageError;
use super::muting::Muting;
use hub::BroadcastPath;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::SystemTime;

/// Who was invited to a stage, or is on it.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(crate) name: Arc<str>,
    /// Where it publishes: its stage's path and its name.
    pub(crate) path: BroadcastPath,
    pub(crate) standing: Standing,
    /// Shared with whoever takes its media in.
    pub(crate) muting: Muting,
    /// Whether media comes from it.
    pub(crate) publishes: bool,
}

/// How somebody stands to a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Whoever shows this invitation first has the seat.
    Invited { invitation: Nonce, until: SystemTime },
    /// Whoever shows this pass is the member.
    Joined { pass: Nonce, until: SystemTime, on_stage: bool },
}

/// Tells one invitation or pass from every other. Random, made by the caller.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Nonce(pub(crate) u128);

/// Seats of a stage: each member plays all others, and a browser decodes no more than this well.
pub(crate) const MEMBERS_MAX: usize = 12;
/// A name stands in URLs and under pictures.
pub(crate) const NAME_BYTES_MAX: usize = 32;
/// What URLs below a broadcast mean otherwise.
const WORDS_OF_URLS: [&str; 8] = ["stage", "whip", "whep", "room", "video", "audio", "ts", "match"];

impl Member {
    /// One who is invited.
    ///
    /// # Errors
    /// When the name can't be one, or the path would be too long.
    pub(super) fn invited(
        stage: &BroadcastPath,
        name: &str,
        invitation: Nonce,
        until: SystemTime,
    ) -> Result<Member, StageError> {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_');
        if name.is_empty()
            || name.len() > NAME_BYTES_MAX
            || !name.bytes().all(allowed)
            || WORDS_OF_URLS.contains(&name)
        {
            return Err(StageError::Name);
        }
        Ok(Member {
            name: name.into(),
            path: BroadcastPath::new(stage.as_str(), name)?,
            standing: Standing::Invited { invitation, until },
            muting: Muting::default(),
            publishes: false,
        })
    }

    /// Takes the seat, once. Who is late is not here any more.
    pub(super) fn accept(
        &mut self,
        shown: Nonce,
        pass: Nonce,
        pass_until: SystemTime,
    ) -> Result<(), StageError> {
        match self.standing {
            Standing::Invited { invitation, .. } if invitation == shown => {
                self.standing = Standing::Joined { pass, until: pass_until, on_stage: true };
                Ok(())
            }
            _ => Err(StageError::InvitationSpent),
        }
    }

    /// Whether this pass is its.
    pub(crate) fn has_pass(&self, shown: Nonce) -> bool {
        matches!(self.standing, Standing::Joined { pass, .. } if pass == shown)
    }

    pub(crate) fn is_on_stage(&self) -> bool {
        matches!(self.standing, Standing::Joined { on_stage: true, .. })
    }

    pub(crate) fn is_invited(&self) -> bool {
        matches!(self.standing, Standing::Invited { .. })
    }

    /// Goes on the stage, or leaves it with its seat kept. False if it is so already.
    pub(super) fn set_on_stage(&mut self, wanted: bool) -> bool {
        match &mut self.standing {
            Standing::Joined { on_stage, .. } if *on_stage != wanted => {
                *on_stage = wanted;
                true
            }
            _ => false,
        }
    }

    /// When its invitation or its pass ends.
    pub(crate) fn until(&self) -> SystemTime {
        match self.standing {
            Standing::Invited { until, .. } | Standing::Joined { until, .. } => until,
        }
    }
}

impl fmt::Display for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// It is as secret as what is signed with it.
impl fmt::Debug for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Nonce")
    }
}

impl FromStr for Nonce {
    type Err = std::num::ParseIntError;
    fn from_str(text: &str) -> Result<Nonce, Self::Err> {
        u128::from_str_radix(text, 16).map(Nonce)
    }
}
