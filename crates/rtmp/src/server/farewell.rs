//! What players are told when the broadcast is over.

use crate::amf::Value;
use crate::wire::{
    COMMAND_CHUNK_STREAM, CONTROL_CHUNK_STREAM, OUT_CHUNK_BYTES, PLAY_MESSAGE_STREAM, STREAM_EOF,
};
use crate::{MessageKind, write_message};
use bytes::BytesMut;

/// Appends the end of a broadcast as every player understands it: the status `NetStream.Play.UnpublishNotify`
/// (RTMP 1.0 §7.2.2), then the user control event StreamEOF.
pub fn write_play_end(out: &mut BytesMut) {
    let mut status = BytesMut::new();
    let info = Value::object(&[
        ("level", "status".into()),
        ("code", "NetStream.Play.UnpublishNotify".into()),
        ("description", "the broadcast is over".into()),
    ]);
    [Value::from("onStatus"), Value::from(0.0), Value::Null, info].iter().for_each(|v| v.write(&mut status));
    let kind = MessageKind::CommandAmf0;
    write_message(out, COMMAND_CHUNK_STREAM, kind, PLAY_MESSAGE_STREAM, 0, OUT_CHUNK_BYTES, &[&status]);
    let event = [&STREAM_EOF.to_be_bytes()[..], &PLAY_MESSAGE_STREAM.to_be_bytes()].concat();
    write_message(out, CONTROL_CHUNK_STREAM, MessageKind::UserControl, 0, 0, OUT_CHUNK_BYTES, &[&event]);
}
