//! What publishers and players command. RTMP 1.0 §7.2.

use super::{Asks, Connect, Event, Output, Request, RequestId, Role, ServerSession};
use crate::adobe::{self, Login};
use crate::amf::{self, Value};
use crate::wire::{
    ACK_WINDOW_BYTES, CAPS_RECONNECT, COMMAND_CHUNK_STREAM, CONTROL_CHUNK_STREAM, DATA_CHUNK_STREAM, FOURCCS,
};
use crate::{Error, MessageKind};
use bytes::BytesMut;

/// Message streams that a peer may create; encoders create one or two.
const MESSAGE_STREAMS_MAX: u32 = 16;

impl ServerSession {
    pub(super) fn command(&mut self, payload: &[u8], message_stream: u32) -> Result<(), Error> {
        let values = amf::read_all(payload)?;
        let name = values.first().and_then(Value::as_str).ok_or(Error::Command)?;
        let transaction = values.get(1).and_then(Value::as_number).unwrap_or(0.0);
        // After the command object come the arguments.
        let argument = |n: usize| values.get(3 + n).and_then(Value::as_str);
        match name {
            "connect" => self.connect(transaction, values.get(2).cloned().unwrap_or(Value::Null)),
            "createStream" => self.create_stream(transaction),
            "publish" => self.ask(Asks::Publish, argument(0).ok_or(Error::Command)?, message_stream),
            "play" => self.ask(Asks::Play, argument(0).ok_or(Error::Command)?, message_stream),
            "deleteStream" | "closeStream" | "FCUnpublish" => self.stop(),
            // Encoders of the FMLE family send these before createStream and wait for an answer.
            "releaseStream" | "getStreamLength" | "FCSubscribe" | "_checkbw" | "checkBandwidth" => {
                self.result(transaction, &Value::Null, &Value::Null);
            }
            "FCPublish" => {
                self.result(transaction, &Value::Null, &Value::Null);
                self.on_fc_publish();
            }
            "pause" | "seek" | "receiveAudio" | "receiveVideo" | "setDataFrame" | "_result" | "_error"
            | "onStatus" => {}
            unknown if transaction != 0.0 => self.refuse_command(transaction, unknown),
            _ => {}
        }
        Ok(())
    }

    fn connect(&mut self, transaction: f64, object: Value) {
        let text = |name: &str| object.member(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let app = text("app");
        let (app, query) = split_query(&app);
        self.app = app.trim_matches('/').to_owned();
        self.app_query = adobe::without_answer(query);
        self.tc_url = text("tcUrl");
        self.flash_ver = text("flashVer");
        self.outputs.push_back(Output::Event(Event::Connect(Connect {
            app: self.app.clone(),
            query: self.app_query.clone(),
            tc_url: self.tc_url.clone(),
            flash_ver: self.flash_ver.clone(),
            // FMLE began to send it; FFmpeg, librtmp and GStreamer do when they publish.
            publishes: text("type") == "nonprivate",
            login: Login::parse(query),
        })));
        self.connecting = Some((transaction, object));
    }

    pub(super) fn connected(&mut self, transaction: f64, object: &Value) {
        let encoding = object.member("objectEncoding").and_then(Value::as_number).unwrap_or(0.0);
        self.send(MessageKind::WindowAckSize, CONTROL_CHUNK_STREAM, 0, &ACK_WINDOW_BYTES.to_be_bytes());
        let bandwidth = [&ACK_WINDOW_BYTES.to_be_bytes()[..], &[2]].concat();
        self.send(MessageKind::SetPeerBandwidth, CONTROL_CHUNK_STREAM, 0, &bandwidth);
        // Before `_result`: players take over our chunk size when they see it.
        self.use_large_chunks();
        let mut properties = vec![
            ("fmsVer", Value::from("FMS/3,5,7,7009")),
            ("capabilities", Value::from(31.0)),
            ("mode", Value::from(1.0)),
        ];
        if object.member("fourCcList").is_some() {
            let codecs = FOURCCS.map(Value::from);
            properties.push(("fourCcList", Value::Array(codecs.to_vec())));
        }
        if let Some(caps) = object.member("capsEx").and_then(Value::as_number) {
            self.reconnects = caps as u32 & CAPS_RECONNECT != 0;
            properties.push(("capsEx", f64::from(CAPS_RECONNECT).into()));
        }
        let info = Value::object(&[
            ("level", "status".into()),
            ("code", "NetConnection.Connect.Success".into()),
            ("description", "connected".into()),
            ("objectEncoding", encoding.into()),
        ]);
        self.result(transaction, &Value::object(&properties), &info);
    }

    /// Asks the peer to connect anew and then to leave, if it said that it knows how. Enhanced RTMP v2, "Reconnect Request".
    pub fn request_reconnect(&mut self, why: &str) {
        if std::mem::take(&mut self.reconnects) {
            let info = Value::object(&[
                ("level", "status".into()),
                ("code", "NetConnection.Connect.ReconnectRequest".into()),
                ("description", why.into()),
            ]);
            self.call("onStatus", 0.0, &[Value::Null, info], 0);
        }
    }

    fn create_stream(&mut self, transaction: f64) {
        self.message_streams = (self.message_streams + 1).min(MESSAGE_STREAMS_MAX);
        self.result(transaction, &Value::Null, &Value::from(f64::from(self.message_streams)));
    }

    fn ask(&mut self, asks: Asks, name: &str, message_stream: u32) {
        if self.role != Role::None {
            return;
        }
        self.message_stream = message_stream;
        let (name, query) = split_query(name);
        self.requests += 1;
        let id = RequestId(self.requests);
        let queries: Vec<&str> = [query, &self.app_query].into_iter().filter(|q| !q.is_empty()).collect();
        let request = Request {
            id,
            app: self.app.clone(),
            name: name.trim_matches('/').to_owned(),
            query: queries.join("&"),
            tc_url: self.tc_url.clone(),
            flash_ver: self.flash_ver.clone(),
        };
        self.role = Role::Asked(id, asks);
        self.outputs.push_back(Output::Event(match asks {
            Asks::Publish => Event::Publish(request),
            Asks::Play => Event::Play(request),
        }));
    }

    fn stop(&mut self) {
        match self.role {
            Role::Publishing => {
                self.status("status", "NetStream.Unpublish.Success", "unpublished");
                self.outputs.push_back(Output::Event(Event::PublishEnded));
            }
            Role::Playing => self.outputs.push_back(Output::Event(Event::PlayEnded)),
            Role::None | Role::Asked(..) => {}
        }
        self.role = Role::None;
    }

    fn on_fc_publish(&mut self) {
        let info =
            Value::object(&[("code", "NetStream.Publish.Start".into()), ("description", "FCPublish".into())]);
        self.call("onFCPublish", 0.0, &[Value::Null, info], 0);
    }

    fn refuse_command(&mut self, transaction: f64, name: &str) {
        let shown: String = name.chars().take(64).collect();
        let text = format!("this server has no command {shown}");
        self.error(transaction, "NetConnection.Call.Failed", &text);
    }

    pub(super) fn error(&mut self, transaction: f64, code: &str, description: &str) {
        let info = Value::object(&[
            ("level", "error".into()),
            ("code", code.into()),
            ("description", description.into()),
        ]);
        self.call("_error", transaction, &[Value::Null, info], 0);
    }

    fn result(&mut self, transaction: f64, properties: &Value, info: &Value) {
        self.call("_result", transaction, &[properties.clone(), info.clone()], 0);
    }

    pub(super) fn status(&mut self, level: &str, code: &str, description: &str) {
        let info = Value::object(&[
            ("level", level.into()),
            ("code", code.into()),
            ("description", description.into()),
        ]);
        self.call("onStatus", 0.0, &[Value::Null, info], self.message_stream);
    }

    fn call(&mut self, name: &str, transaction: f64, values: &[Value], message_stream: u32) {
        let mut body = BytesMut::new();
        Value::from(name).write(&mut body);
        Value::from(transaction).write(&mut body);
        values.iter().for_each(|v| v.write(&mut body));
        self.send(MessageKind::CommandAmf0, COMMAND_CHUNK_STREAM, message_stream, &body);
    }

    pub(super) fn send_values(&mut self, kind: MessageKind, values: &[Value]) {
        let mut body = BytesMut::new();
        values.iter().for_each(|v| v.write(&mut body));
        self.send(kind, DATA_CHUNK_STREAM, self.message_stream, &body);
    }
}

/// `live?a=b` is `live` and `a=b`.
fn split_query(text: &str) -> (&str, &str) {
    text.split_once('?').unwrap_or((text, ""))
}
