//! Why a command is refused.

use super::member::{MEMBERS_MAX, NAME_BYTES_MAX};
use hub::BroadcastPath;
use hub::path::PathError;

/// Why a command is refused; the text is for its user.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum StageError {
    #[error("there is no stage {0}")]
    NoStage(BroadcastPath),
    #[error("there is a stage {0} already")]
    StageExists(BroadcastPath),
    #[error("there are {0} stages, and no more are allowed (stage.stages_max)")]
    TooManyStages(usize),
    #[error("nobody on the stage is called {0:?}")]
    NoMember(String),
    #[error("{0} is on the stage already; remove it to invite it anew")]
    MemberExists(String),
    #[error(
        "a member's name has 1 to {NAME_BYTES_MAX} small letters, digits, - and _, and is no word of URLs, such as stage or video"
    )]
    Name,
    #[error(
        "all {0} seats of the stage are taken, also those of people who are invited; {MEMBERS_MAX} is the most"
    )]
    Full(usize),
    #[error("the title is longer than {0} characters")]
    Title(usize),
    #[error("{0}")]
    Path(#[from] PathError),
    #[error("the invitation has expired: ask for another one")]
    InvitationExpired,
    #[error("the invitation was used, or withdrawn, or another one took its place")]
    InvitationSpent,
    #[error("the pass is good for nobody any more: its member was removed, or the stage is over")]
    PassSpent,
    #[error("the pass has expired: ask for another invitation")]
    PassExpired,
    #[error("this is no invitation or pass of this server")]
    PassForged,
    #[error("an invitation has to be accepted first")]
    NotAccepted,
    #[error("the pass is for another path")]
    PassPath,
    #[error("members of a stage publish by WHIP")]
    PassProtocol,
    #[error("who left the stage has to join it again first")]
    Away,
    #[error("{0} belongs to a stage: its member publishes there with a pass, nobody else does")]
    Owned(BroadcastPath),
    #[error("a match is between two broadcasts")]
    SameBroadcast,
    #[error("{0} is in a match already")]
    InMatch(BroadcastPath),
    #[error("there is no match {0}")]
    NoMatch(u64),
    #[error("there are {0} matches, and no more are allowed (stage.matches_max)")]
    TooManyMatches(usize),
    #[error("the server is about to end")]
    Closing,
}
