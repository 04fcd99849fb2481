//! One attempt by RTMP.

use super::intake::{Intake, LOOK_EVERY};
use crate::outward::{Dialer, Failure, Goal, Link, Remote, Scheme, judge};
use crate::sessions::Protocol;
use mux::flv::TagType;
use rtmp::{ClientEvent, MediaKind};

/// URLs of such sources.
pub(super) const SCHEMES: [Scheme; 2] = Link::SCHEMES;

/// Plays until it fails or ends.
pub(super) async fn attempt(dialer: &Dialer, remote: &Remote, intake: &mut Intake) -> Result<(), Failure> {
    let mut link = Link::open(dialer, remote, Goal::Play).await?;
    let from = (link.peer(), Protocol::Rtmp);
    intake.accepted();
    let mut look = tokio::time::interval(LOOK_EVERY);
    loop {
        tokio::select! {
            event = link.event() => {
                if let ClientEvent::Media { kind, timestamp, body } = judge(event?)? {
                    intake.tag(tag_type(kind), timestamp, &body, from)?;
                }
            }
            _ = look.tick() => intake.look()?,
        }
    }
}

fn tag_type(kind: MediaKind) -> TagType {
    match kind {
        MediaKind::Audio => TagType::Audio,
        MediaKind::Video => TagType::Video,
        MediaKind::Data => TagType::Script,
    }
}
