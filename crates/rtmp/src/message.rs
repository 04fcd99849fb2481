//! Messages, the unit above chunks.

use bytes::Bytes;

/// What a message is. RTMP 1.0 §5.4, §6, §7.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum MessageKind {
    /// Largest chunk payload from now on.
    SetChunkSize = 1,
    /// Forget a half-sent message.
    Abort = 2,
    /// So many bytes arrived.
    Acknowledgement = 3,
    /// StreamBegin, ping and the like.
    UserControl = 4,
    /// Acknowledge after so many bytes.
    WindowAckSize = 5,
    /// Send at most so many unacknowledged bytes.
    SetPeerBandwidth = 6,
    /// An FLV audio tag body.
    Audio = 8,
    /// An FLV video tag body.
    Video = 9,
    /// Metadata in AMF3.
    DataAmf3 = 15,
    /// A command in AMF3.
    CommandAmf3 = 17,
    /// Metadata in AMF0.
    DataAmf0 = 18,
    /// A command in AMF0.
    CommandAmf0 = 20,
    /// Several messages as FLV tags.
    Aggregate = 22,
}

impl MessageKind {
    /// From the type id on the wire; `None` for kinds that nobody uses for live media.
    pub fn from_id(id: u8) -> Option<MessageKind> {
        use MessageKind as K;
        [
            K::SetChunkSize,
            K::Abort,
            K::Acknowledgement,
            K::UserControl,
            K::WindowAckSize,
            K::SetPeerBandwidth,
            K::Audio,
            K::Video,
            K::DataAmf3,
            K::CommandAmf3,
            K::DataAmf0,
            K::CommandAmf0,
            K::Aggregate,
        ]
        .into_iter()
        .find(|k| *k as u8 == id)
    }
}

/// What a media message carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediaKind {
    /// An FLV audio tag body.
    Audio,
    /// An FLV video tag body.
    Video,
    /// An FLV script tag body: `onMetaData` and its AMF0 values, without `@setDataFrame`.
    Data,
}

impl MediaKind {
    /// The message that carries it.
    pub fn message_kind(self) -> MessageKind {
        match self {
            MediaKind::Audio => MessageKind::Audio,
            MediaKind::Video => MessageKind::Video,
            MediaKind::Data => MessageKind::DataAmf0,
        }
    }
}

/// One whole message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The type id as on the wire; see [`MessageKind::from_id`].
    pub kind: u8,
    /// Milliseconds, wrapping at 32 bits.
    pub timestamp: u32,
    /// Which message stream of the connection it belongs to.
    pub message_stream: u32,
    /// Its bytes.
    pub payload: Bytes,
}
