//! Protocol control: chunk sizes, windows, pings. RTMP 1.0 §5.4 and §7.1.7.

use super::ServerSession;
use crate::wire::{
    ACK_WINDOW_MIN_BYTES, CONTROL_CHUNK_STREAM, PING_REQUEST, PING_RESPONSE, STREAM_BEGIN, number,
};
use crate::{Error, MessageKind};

impl ServerSession {
    pub(super) fn control(&mut self, kind: MessageKind, payload: &[u8]) -> Result<(), Error> {
        match kind {
            MessageKind::SetChunkSize => self.reader.set_chunk_bytes(number(payload)? & 0x7fff_ffff),
            MessageKind::Abort => {
                self.reader.abort(number(payload)?);
                Ok(())
            }
            MessageKind::WindowAckSize => {
                self.ack_window = number(payload)?.max(ACK_WINDOW_MIN_BYTES);
                Ok(())
            }
            MessageKind::UserControl => {
                if let Some((kind, data)) = payload.split_at_checked(2)
                    && kind == PING_REQUEST.to_be_bytes()
                {
                    let answer = [&PING_RESPONSE.to_be_bytes()[..], &data[..data.len().min(4)]].concat();
                    self.send(MessageKind::UserControl, CONTROL_CHUNK_STREAM, 0, &answer);
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Acknowledges what came in, by the window, also if the peer never set one.
    pub(super) fn acknowledge(&mut self) {
        if self.received - self.acknowledged >= u64::from(self.ack_window) {
            self.acknowledged = self.received;
            // The count wraps at 32 bits on the wire.
            let count = (self.received as u32).to_be_bytes();
            self.send(MessageKind::Acknowledgement, CONTROL_CHUNK_STREAM, 0, &count);
        }
    }

    pub(super) fn stream_begin(&mut self) {
        let body = [&STREAM_BEGIN.to_be_bytes()[..], &self.message_stream.to_be_bytes()].concat();
        self.send(MessageKind::UserControl, CONTROL_CHUNK_STREAM, 0, &body);
    }
}
