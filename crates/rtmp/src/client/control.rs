//! Protocol control, as a client sees it. RTMP 1.0 §5.4 and §7.1.7.

use super::{ClientEvent, ClientSession, Goal};
use crate::wire::{
    ACK_WINDOW_MIN_BYTES, CONTROL_CHUNK_STREAM, PING_REQUEST, PING_RESPONSE, SET_BUFFER_LENGTH, STREAM_EOF,
    number,
};
use crate::{Error, MessageKind};

/// What players say they keep; servers that send ahead send so much at once.
const BUFFER_MS: u32 = 3000;

impl ClientSession {
    pub(super) fn control(&mut self, kind: MessageKind, payload: &[u8]) -> Result<(), Error> {
        match kind {
            MessageKind::SetChunkSize => self.reader.set_chunk_bytes(number(payload)? & 0x7fff_ffff)?,
            MessageKind::Abort => self.reader.abort(number(payload)?),
            MessageKind::WindowAckSize => self.ack_window = number(payload)?.max(ACK_WINDOW_MIN_BYTES),
            MessageKind::UserControl => self.user_control(payload),
            _ => {}
        }
        Ok(())
    }

    fn user_control(&mut self, payload: &[u8]) {
        let Some((&[high, low], data)) = payload.split_first_chunk::<2>() else { return };
        match u16::from_be_bytes([high, low]) {
            // Servers close those who don't answer; nginx-rtmp does after a minute and a half.
            PING_REQUEST => {
                let head = PING_RESPONSE.to_be_bytes();
                let parts: [&[u8]; 2] = [&head, &data[..data.len().min(4)]];
                self.send(MessageKind::UserControl, CONTROL_CHUNK_STREAM, 0, 0, &parts);
            }
            STREAM_EOF if self.goal == Goal::Play && self.message_stream != 0 => {
                self.event(ClientEvent::Ended);
            }
            _ => {}
        }
    }

    pub(super) fn ask_for_buffer(&mut self) {
        let (stream, span) = (self.message_stream.to_be_bytes(), BUFFER_MS.to_be_bytes());
        let parts: [&[u8]; 3] = [&SET_BUFFER_LENGTH.to_be_bytes(), &stream, &span];
        self.send(MessageKind::UserControl, CONTROL_CHUNK_STREAM, 0, 0, &parts);
    }

    /// Acknowledges what came in, by the window, also if the server never set one.
    pub(super) fn acknowledge(&mut self) {
        if self.received - self.acknowledged >= u64::from(self.ack_window) {
            self.acknowledged = self.received;
            // The count wraps at 32 bits on the wire.
            let count = (self.received as u32).to_be_bytes();
            self.send(MessageKind::Acknowledgement, CONTROL_CHUNK_STREAM, 0, 0, &[&count]);
        }
    }
}
