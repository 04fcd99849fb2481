//! What publishers send, as the container names it.

use mux::flv::TagType;
use rtmp::MediaKind;

/// The tag that a media message is the body of.
pub(super) fn tag_type(kind: MediaKind) -> TagType {
    match kind {
        MediaKind::Audio => TagType::Audio,
        MediaKind::Video => TagType::Video,
        MediaKind::Data => TagType::Script,
    }
}
