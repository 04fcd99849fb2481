//! Why a connection to another server ended, or never began.

use super::DialError;
use crate::publishing::PublishError;
use std::time::Duration;

/// Why; the text is for operators, and names no secret.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("{0}")]
    Dial(#[from] DialError),
    #[error("the connection broke: {0}")]
    Broken(#[from] std::io::Error),
    #[error("the other server closed the connection")]
    Closed,
    #[error("the other server refused: {0}")]
    Refused(String),
    /// The URL that it sent us to, or that there were too many.
    #[error("the other server sent us elsewhere: {0}")]
    Redirected(String),
    #[error("the other server says what we don't understand: {0}")]
    Wire(String),
    #[error("{0}")]
    Media(#[from] PublishError),
    #[error("not published here: {0}")]
    NotPublished(String),
    #[error("the broadcast ended there")]
    Ended,
    #[error("nothing came for {0:?}")]
    Silent(Duration),
    #[error("the other server took nothing for {0:?}")]
    Stalled(Duration),
    #[error("{0}")]
    Url(String),
}

impl Failure {
    /// What [`Failure::label`] may say.
    pub(crate) const LABELS: [&'static str; 8] =
        ["connect", "closed", "refused", "protocol", "media", "not_published", "ended", "silent"];

    /// In metrics.
    pub(crate) fn label(&self) -> &'static str {
        match self {
            Failure::Dial(_) => "connect",
            Failure::Broken(_) | Failure::Closed => "closed",
            Failure::Refused(_) | Failure::Redirected(_) => "refused",
            Failure::Wire(_) | Failure::Url(_) => "protocol",
            Failure::Media(_) => "media",
            Failure::NotPublished(_) => "not_published",
            Failure::Ended => "ended",
            Failure::Silent(_) | Failure::Stalled(_) => "silent",
        }
    }
}

/// What another server says, short and in one line.
pub(crate) fn quoted(code: &str, text: &str) -> String {
    let clean =
        |text: &str| text.chars().filter(|c| !c.is_control()).take(QUOTED_CHARS_MAX).collect::<String>();
    match (clean(code), clean(text)) {
        (code, text) if text.is_empty() => code,
        (code, text) if code.is_empty() => text,
        (code, text) => format!("{code}: {text}"),
    }
}

/// Longer answers say nothing more.
const QUOTED_CHARS_MAX: usize = 120;
