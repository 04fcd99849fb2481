//! Sessions as traces, by OTLP over HTTP: a span per publisher and viewer, sent when it is over.

use super::LogError;
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::registry::LookupSpan;

/// The way to a collector. Spans wait in a queue of 2048; more are lost, since a server must not wait for its traces.
#[derive(Debug)]
pub(super) struct Traces(SdkTracerProvider);

/// Where the spans of sessions are made.
const SESSIONS: &str = "node::sessions";

impl Traces {
    /// Begins to send to `endpoint`.
    ///
    /// # Errors
    /// When it is no URL.
    pub(super) fn start(endpoint: &str) -> Result<Traces, LogError> {
        let exporter = SpanExporter::builder().with_http().with_protocol(Protocol::HttpBinary);
        let exporter = exporter
            .with_endpoint(endpoint)
            .build()
            .map_err(|error| LogError::Otlp(format!("log.otlp.endpoint {endpoint:?}: {error}")))?;
        let resource = Resource::builder().with_service_name("floodtide").build();
        let provider =
            SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build();
        Ok(Traces(provider))
    }

    /// What turns the spans of sessions into traces, whatever the log's level.
    pub(super) fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        tracing_opentelemetry::layer()
            .with_tracer(self.0.tracer("floodtide"))
            .with_location(false)
            .with_threads(false)
            .with_filter(filter_fn(|metadata| metadata.is_span() && metadata.target() == SESSIONS))
    }

    /// Sends what is left.
    pub(super) fn stop(self) {
        if let Err(error) = self.0.shutdown() {
            tracing::warn!(%error, "the last traces are lost");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::Ask;
    use crate::metrics::CloseReason;
    use crate::sessions::{Beginning, Role, Sessions};
    use std::io::{BufRead, BufReader, Read, Write};
    use std::net::TcpListener;
    use tracing_subscriber::layer::SubscriberExt;

    /// A collector that takes one request; its first line and its body.
    fn receive(listener: &TcpListener) -> (String, Vec<u8>) {
        let (mut socket, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(socket.try_clone().unwrap());
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            if line.trim().is_empty() {
                break;
            }
            lines.push(line.to_lowercase());
        }
        let length = lines.iter().find_map(|line| line.strip_prefix("content-length:")).unwrap();
        let mut body = vec![0; length.trim().parse().unwrap()];
        reader.read_exact(&mut body).unwrap();
        socket.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").unwrap();
        (lines.swap_remove(0), body)
    }

    #[test]
    fn a_viewer_who_left_is_a_span_with_its_reason_and_without_its_address() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}/v1/traces", listener.local_addr().unwrap());
        let receiver = std::thread::spawn(move || receive(&listener));
        let traces = Traces::start(&endpoint).unwrap();
        let subscriber = tracing_subscriber::registry().with(traces.layer());
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!("no span");
            let ask = Ask { query: "token=s3cret".to_owned(), ..Ask::for_test("live/traced") };
            let mut guard = Sessions::new(7).begin(
                Role::Viewer,
                Beginning { ask, ..Beginning::for_test("live/traced") },
                None,
            );
            guard.ends(CloseReason::Stalled);
        });
        traces.stop();
        let (line, body) = receiver.join().unwrap();
        assert!(line.starts_with("post /v1/traces"), "{line}");
        let text = String::from_utf8_lossy(&body);
        for expected in ["floodtide", "viewer", "live/traced", "flv", "stopped reading"] {
            assert!(text.contains(expected), "no {expected} in {text}");
        }
        assert!(!text.contains("s3cret") && !text.contains("127.0.0.1"), "{text}");
    }

    #[test]
    fn an_endpoint_that_is_no_url_is_told_with_its_key() {
        let error = Traces::start("not a url").unwrap_err().to_string();
        assert!(error.contains("log.otlp.endpoint"), "{error}");
    }
}
