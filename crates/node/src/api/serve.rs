//! The administrators' listener: the API, metrics and health.

use super::access::Peer;
use super::{Api, Shared, openapi};
use crate::gateway::{accept_each, http as web};
use crate::metrics::Wanted;
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::{ACCEPT, CONTENT_TYPE, HeaderMap};
use axum::http::{Request, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// How long a peer has to send the head of a request.
const HEAD_TIME_MAX: Duration = Duration::from_secs(5);
/// Connections at a time; each may wait for events for ever.
const CONNECTIONS_MAX: usize = 512;

/// Accepts until shutdown.
pub(crate) async fn serve(listener: TcpListener, api: Arc<Api>) {
    let mut life = api.life.clone();
    let router = router(&api);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            (socket, peer) = accept_each(&listener), if connections.len() < CONNECTIONS_MAX => {
                let router = TowerToHyperService::new(router.clone());
                let peer = Peer { ip: peer.ip() };
                let service = service_fn(move |mut request: Request<Incoming>| {
                    request.extensions_mut().insert(peer);
                    router.call(request)
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

fn router(api: &Shared) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .fallback(page)
        .with_state(Arc::clone(api))
        .merge(openapi::router(api))
}

async fn metrics(State(api): State<Shared>, headers: HeaderMap) -> Response {
    let wanted = Wanted::by(headers.get(ACCEPT).and_then(|value| value.to_str().ok()));
    ([(CONTENT_TYPE, wanted.content_type())], api.metrics.text(wanted)).into_response()
}

/// The pages that are for administrators, and what they load.
async fn page(uri: Uri, headers: HeaderMap) -> Response {
    if uri.path() == "/" {
        return (StatusCode::NOT_FOUND, "here are /v1/, /metrics, /healthz and /readyz\n").into_response();
    }
    web::page(uri.path(), &headers).map(Body::new)
}
