//! The administrators' listener: metrics and health.

use super::service::{Answer, full, json, text};
use crate::gateway::accept_each;
use crate::life::{Life, Phase};
use crate::metrics::{Metrics, Wanted};
use http::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::Serialize;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

#[derive(Serialize)]
struct Health {
    status: &'static str,
    version: &'static str,
}

/// How long a peer has to send the head of a request.
const HEAD_TIME_MAX: Duration = Duration::from_secs(5);

/// Accepts until shutdown.
pub(crate) async fn serve(listener: TcpListener, metrics: Arc<Metrics>, mut life: Life) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            (socket, _) = accept_each(&listener) => {
                let (metrics, life) = (Arc::clone(&metrics), life.clone());
                let service = service_fn(move |request| {
                    let answer = answer(&request, &metrics, &life);
                    std::future::ready(Ok::<_, Infallible>(answer))
                });
                connections.spawn(async move {
                    let served = http1::Builder::new()
                        .timer(TokioTimer::new())
                        .header_read_timeout(HEAD_TIME_MAX)
                        .serve_connection(TokioIo::new(socket), service)
                        .await;
                    if let Err(error) = served {
                        tracing::debug!(%error, "admin connection ended");
                    }
                });
            }
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            () = life.handed_over() => return,
        }
    }
}

fn answer(request: &Request<Incoming>, metrics: &Metrics, life: &Life) -> Answer {
    match request.uri().path() {
        "/metrics" => {
            let wanted = Wanted::by(request.headers().get(ACCEPT).and_then(|value| value.to_str().ok()));
            let mut answer = Response::new(full(metrics.text(wanted)));
            answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(wanted.content_type()));
            answer
        }
        "/readyz" if life.phase() > Phase::Serving => {
            text(StatusCode::SERVICE_UNAVAILABLE, "the server is about to end: nobody new is let in\n")
        }
        "/healthz" | "/readyz" => json(&Health { status: "ok", version: env!("CARGO_PKG_VERSION") }),
        _ => text(StatusCode::NOT_FOUND, "here are /metrics, /healthz and /readyz\n"),
    }
}
