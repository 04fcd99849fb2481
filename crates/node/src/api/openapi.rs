//! The description of the API: OpenAPI 3.1, made from the code.

use super::guards::{Guards, not_so, nothing_here};
use super::problem::Problem;
use super::{
    Shared, auth, broadcasts, config, events, keys, logs, matches, node, outward, probes, sessions, stages,
    stats, tokens,
};
use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::HeaderName;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, SERVER};
use axum::response::Response;
use std::sync::Arc;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme};
use utoipa::{Modify, OpenApi};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Floodtide admin API",
        description = "What runs, and what an operator can do about it. See docs/api.md."
    ),
    tags(
        (name = "broadcasts", description = "What is live"),
        (name = "sessions", description = "Who publishes and who watches"),
        (name = "node", description = "This server"),
        (name = "keys", description = "Stream keys, tokens, signed URLs"),
        (name = "config", description = "What holds"),
        (name = "stages", description = "Co-hosts on stages, and matches"),
        (name = "outward", description = "Restreams and pulls"),
        (name = "auth", description = "Who administrates"),
    ),
    components(schemas(Problem)),
    modifiers(&Schemes)
)]
struct Document;

/// How a caller shows who it is.
struct Schemes;

/// A body larger than any of ours is refused.
const BODY_BYTES_MAX: usize = 1 << 20;

impl Modify for Schemes {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let components = openapi.components.get_or_insert_default();
        let bearer = Http::builder().scheme(HttpAuthScheme::Bearer).build();
        components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
        let cookie = ApiKey::Cookie(ApiKeyValue::new(super::access::COOKIE_NAME));
        components.add_security_scheme("cookie", SecurityScheme::ApiKey(cookie));
    }
}

/// All routes below `/v1` and the probes, and their description.
fn assemble(api: &Shared) -> (Router<Shared>, utoipa::openapi::OpenApi) {
    let guards = Guards::new(api);
    OpenApiRouter::with_openapi(Document::openapi())
        .merge(broadcasts::routes(&guards))
        .merge(sessions::routes(&guards))
        .merge(node::routes(&guards))
        .merge(stats::routes(&guards))
        .merge(probes::routes())
        .merge(events::routes(&guards))
        .merge(logs::routes(&guards))
        .merge(config::routes(&guards))
        .merge(keys::routes(&guards))
        .merge(tokens::routes(&guards))
        .merge(outward::routes(&guards))
        .merge(stages::routes(&guards))
        .merge(matches::routes(&guards))
        .merge(auth::routes(&guards))
        .merge(guards.viewer(OpenApiRouter::new().routes(routes!(document))))
        .split_for_parts()
}

/// All routes below `/v1`, and the probes.
pub(super) fn router(api: &Shared) -> Router {
    let (routes, document) = assemble(api);
    // The first is like any other.
    let _ = api.document.set(document.to_pretty_json().unwrap_or_default());
    routes
        .route("/v1/{*rest}", axum::routing::any(nothing_here))
        .method_not_allowed_fallback(not_so)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(axum::middleware::map_response(dress))
        .with_state(Arc::clone(api))
}

/// This description.
#[utoipa::path(get, path = "/v1/openapi.json", tag = "node",
    responses((status = 200, description = "OpenAPI 3.1", body = serde_json::Value)))]
async fn document(State(api): State<Shared>) -> ([(HeaderName, &'static str); 1], String) {
    ([(CONTENT_TYPE, "application/json")], api.document.get().cloned().unwrap_or_default())
}

async fn dress(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(SERVER, HeaderValue::from_static(crate::SERVER));
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}
