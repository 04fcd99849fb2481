//! What is asked of the server, and what it answers. RTMP 1.0 §7.2.

use super::{ClientEvent, ClientOutput, ClientSession, Goal};
use crate::amf::{self, Value};
use crate::wire::{
    ACK_WINDOW_BYTES, CAPS_RECONNECT, COMMAND_CHUNK_STREAM, CONTROL_CHUNK_STREAM, FOURCCS, OUT_CHUNK_BYTES,
};
use crate::{Error, MessageKind, chunk};
use bytes::BytesMut;

/// Transactions whose answers matter.
const CONNECT: f64 = 1.0;
const CREATE: f64 = 4.0;
const BEGIN: f64 = 5.0;
/// What Flash players said they can decode; some servers send nothing to those who say nothing. RTMP 1.0 §7.2.1.1.
const AUDIO_CODECS: f64 = 4071.0;
const VIDEO_CODECS: f64 = 252.0;

impl ClientSession {
    pub(super) fn connect(&mut self) {
        let size = (OUT_CHUNK_BYTES as u32).to_be_bytes();
        let mut out = BytesMut::new();
        let small = chunk::DEFAULT_CHUNK_BYTES;
        let kind = MessageKind::SetChunkSize;
        chunk::write_message(&mut out, CONTROL_CHUNK_STREAM, kind, 0, 0, small, &[&size]);
        self.outputs.push_back(ClientOutput::Send(out.freeze()));
        let mut members = vec![
            ("app", self.config.app.as_str().into()),
            ("type", "nonprivate".into()),
            ("flashVer", "FMLE/3.0 (compatible; floodtide)".into()),
            ("tcUrl", self.config.tc_url.as_str().into()),
        ];
        if self.goal == Goal::Play {
            members.extend([
                ("fpad", Value::Boolean(false)),
                ("capabilities", 15.0.into()),
                ("audioCodecs", AUDIO_CODECS.into()),
                ("videoCodecs", VIDEO_CODECS.into()),
                ("videoFunction", 1.0.into()),
            ]);
        }
        // Enhanced RTMP v2: what we can do beyond the old codecs.
        members.push(("fourCcList", Value::Array(FOURCCS.map(Value::from).to_vec())));
        members.push(("capsEx", f64::from(CAPS_RECONNECT).into()));
        self.call("connect", CONNECT, &[Value::object(&members)], 0);
    }

    pub(super) fn command(&mut self, payload: &[u8]) -> Result<(), Error> {
        let values = amf::read_all(payload)?;
        let transaction = values.get(1).and_then(Value::as_number).unwrap_or(0.0);
        match values.first().and_then(Value::as_str).ok_or(Error::Command)? {
            "_result" if transaction == CONNECT => self.create(),
            "_result" if transaction == CREATE => {
                self.message_stream = values.get(3).and_then(Value::as_number).unwrap_or(1.0) as u32;
                self.begin();
            }
            "_error" if [CONNECT, CREATE, BEGIN].contains(&transaction) => {
                self.refused(values.get(3).unwrap_or(&Value::Null));
            }
            "onStatus" => self.status(values.get(3).unwrap_or(&Value::Null)),
            "close" => self.event(ClientEvent::Ended),
            _ => {}
        }
        Ok(())
    }

    fn create(&mut self) {
        let name = Value::from(self.config.name.as_str());
        match self.goal {
            Goal::Publish => {
                self.call("releaseStream", 2.0, &[Value::Null, name.clone()], 0);
                self.call("FCPublish", 3.0, &[Value::Null, name], 0);
            }
            Goal::Play => {
                let window = ACK_WINDOW_BYTES.to_be_bytes();
                self.send(MessageKind::WindowAckSize, CONTROL_CHUNK_STREAM, 0, 0, &[&window]);
            }
        }
        self.call("createStream", CREATE, &[Value::Null], 0);
    }

    fn begin(&mut self) {
        let name = Value::from(self.config.name.as_str());
        match self.goal {
            Goal::Publish => {
                self.call("publish", BEGIN, &[Value::Null, name, "live".into()], self.message_stream);
            }
            Goal::Play => {
                self.call("play", BEGIN, &[Value::Null, name], self.message_stream);
                self.ask_for_buffer();
            }
        }
    }

    /// As encoders say goodbye, for servers that would keep the name occupied for a while.
    pub(super) fn unpublish(&mut self) {
        let name = Value::from(self.config.name.as_str());
        self.call("FCUnpublish", 6.0, &[Value::Null, name], 0);
        self.call("deleteStream", 7.0, &[Value::Null, f64::from(self.message_stream).into()], 0);
    }

    fn refused(&mut self, info: &Value) {
        let redirect = info.member("ex").and_then(|ex| ex.member("redirect")).and_then(Value::as_str);
        let event = match redirect.filter(|url| !url.is_empty()) {
            Some(url) => ClientEvent::Redirected(url.to_owned()),
            None => ClientEvent::Rejected(text(info, "code"), text(info, "description")),
        };
        self.event(event);
    }

    fn status(&mut self, info: &Value) {
        let (code, level) = (text(info, "code"), text(info, "level"));
        let event = match code.as_str() {
            "NetStream.Publish.Start" | "NetStream.Play.Start" => ClientEvent::Ready,
            "NetStream.Play.UnpublishNotify" | "NetStream.Play.Stop" | "NetStream.Play.Complete" => {
                ClientEvent::Ended
            }
            "NetConnection.Connect.ReconnectRequest" => ClientEvent::Reconnect,
            _ if level == "error" => return self.refused(info),
            "NetConnection.Connect.Closed" => ClientEvent::Rejected(code, text(info, "description")),
            _ => return,
        };
        self.event(event);
    }

    fn call(&mut self, name: &str, transaction: f64, values: &[Value], message_stream: u32) {
        let mut body = BytesMut::new();
        Value::from(name).write(&mut body);
        Value::from(transaction).write(&mut body);
        values.iter().for_each(|v| v.write(&mut body));
        self.send(MessageKind::CommandAmf0, COMMAND_CHUNK_STREAM, message_stream, 0, &[&body]);
    }
}

fn text(info: &Value, name: &str) -> String {
    info.member(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}
