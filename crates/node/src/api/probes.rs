//! `/healthz` and `/readyz`: for whoever starts servers and sends people to them. They need no credential.

use super::Shared;
use crate::life::Phase;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The server answers.
#[derive(Serialize, ToSchema)]
struct Alive {
    /// `ok`.
    status: &'static str,
    version: &'static str,
}

/// Behind no guard.
pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(healthz)).routes(routes!(readyz))
}

/// Whether the server lives.
#[utoipa::path(get, path = "/healthz", tag = "node", operation_id = "node_healthz", security(()),
    responses((status = 200, description = "It does", body = Alive)))]
async fn healthz() -> Json<Alive> {
    Json(Alive { status: "ok", version: env!("CARGO_PKG_VERSION") })
}

/// Whether somebody new may be sent here.
#[utoipa::path(get, path = "/readyz", tag = "node", operation_id = "node_readyz", security(()),
    responses((status = 200, description = "Yes", body = Alive),
        (status = 503, description = "It is about to end", body = String, content_type = "text/plain")))]
async fn readyz(State(api): State<Shared>) -> Response {
    if api.life.phase() > Phase::Serving {
        let why = "the server is about to end: nobody new is let in\n";
        return (StatusCode::SERVICE_UNAVAILABLE, why).into_response();
    }
    healthz().await.into_response()
}
