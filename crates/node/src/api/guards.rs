//! Routes by the role that they need. A route that isn't put behind a guard is on no router, so forgetting it does not work.

use super::access::Peer;
use super::problem::Problem;
use super::{Api, Shared};
use crate::auth::jwt::Role;
use axum::Extension;
use axum::extract::{MatchedPath, Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use std::sync::Arc;
use utoipa::openapi::path::{Operation, Parameter, ParameterIn};
use utoipa::openapi::security::SecurityRequirement;
use utoipa::openapi::{Content, ContentBuilder, OpenApi, Ref, RefOr, ResponseBuilder};
use utoipa_axum::router::OpenApiRouter;

/// Puts routes behind guards.
#[derive(Debug)]
pub(super) struct Guards(Shared);

impl Guards {
    pub(super) fn new(api: &Shared) -> Guards {
        Guards(Arc::clone(api))
    }

    /// For whoever may look.
    pub(super) fn viewer(&self, routes: OpenApiRouter<Shared>) -> OpenApiRouter<Shared> {
        self.needs(Role::Viewer, routes)
    }

    /// For whoever may act on what runs.
    pub(super) fn operator(&self, routes: OpenApiRouter<Shared>) -> OpenApiRouter<Shared> {
        self.needs(Role::Operator, routes)
    }

    /// For whoever may everything.
    pub(super) fn admin(&self, routes: OpenApiRouter<Shared>) -> OpenApiRouter<Shared> {
        self.needs(Role::Admin, routes)
    }

    /// For everybody who comes a way that is allowed; with the credential in the request's body, or none.
    pub(super) fn open(&self, mut routes: OpenApiRouter<Shared>) -> OpenApiRouter<Shared> {
        describe(routes.get_openapi_mut(), None);
        routes.route_layer(from_fn_with_state(Arc::clone(&self.0), anybody))
    }

    fn needs(&self, role: Role, mut routes: OpenApiRouter<Shared>) -> OpenApiRouter<Shared> {
        describe(routes.get_openapi_mut(), Some(role));
        routes.route_layer(from_fn_with_state((Arc::clone(&self.0), role), admit))
    }
}

async fn anybody(
    State(api): State<Shared>,
    Extension(peer): Extension<Peer>,
    request: Request,
    next: Next,
) -> Response {
    match api.access.way(peer, request.headers()) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

async fn admit(
    State((api, role)): State<(Shared, Role)>,
    Extension(peer): Extension<Peer>,
    mut request: Request,
    next: Next,
) -> Response {
    let caller = match api.access.admit(peer, &request, role) {
        Ok(caller) => caller,
        Err(problem) => return problem.into_response(),
    };
    let told = (role > Role::Viewer).then(|| (caller.name.clone(), action(&request)));
    request.extensions_mut().insert(caller);
    let response = next.run(request).await;
    if let Some((admin, action)) = told {
        tracing::info!(%admin, %action, status = response.status().as_u16(), "administrator's request");
    }
    response
}

/// Method and route, without what a route's parameters name.
fn action(request: &Request) -> String {
    let route = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
    format!("{} {route}", request.method())
}

/// Says in the description who may, and what comes when it may not be.
fn describe(openapi: &mut OpenApi, role: Option<Role>) {
    for (path, item) in &mut openapi.paths.paths {
        let all = [&mut item.get, &mut item.post, &mut item.patch, &mut item.delete];
        for operation in all.into_iter().flatten() {
            // Handlers of two resources may have one name, and ids are unique (OpenAPI 3.1 §4.8.10).
            let of = operation.tags.iter().flatten().next().cloned().unwrap_or_default();
            operation.operation_id = operation.operation_id.take().map(|id| format!("{of}_{id}"));
            operation.security = Some(match role {
                None => Vec::new(),
                Some(role) => ["bearer", "cookie"]
                    .map(|scheme| SecurityRequirement::new(scheme, [role.as_str()]))
                    .into(),
            });
            for (status, description) in refusals(path, operation, role) {
                let refusal = ResponseBuilder::new().description(description);
                let known = &mut operation.responses.responses;
                known.entry(status.as_str().to_owned()).or_insert_with(|| refusal.build().into());
            }
            for (status, response) in &mut operation.responses.responses {
                if let (true, RefOr::T(response)) = (status.as_str() >= "400", response) {
                    response.content.insert("application/problem+json".to_owned(), problem().into());
                }
            }
        }
    }
}

/// A body that says why.
fn problem() -> Content {
    ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build()
}

/// How an operation may be refused, by what it takes. What else may stand in its way, its handler says.
fn refusals(path: &str, operation: &Operation, role: Option<Role>) -> Vec<(StatusCode, &'static str)> {
    let mut all = vec![
        (StatusCode::FORBIDDEN, "The role doesn't allow it, or it comes a way that isn't allowed"),
        (StatusCode::SERVICE_UNAVAILABLE, "A key of `[[auth.jwt]]` can't be read"),
    ];
    if role.is_some() {
        all.push((StatusCode::UNAUTHORIZED, "A credential is needed, or it is wrong"));
        all.push((StatusCode::TOO_MANY_REQUESTS, "Too many wrong credentials; `Retry-After` says when"));
    }
    // Headers that make no sense are overlooked.
    let may_be_wrong = |parameter: &RefOr<Parameter>| match parameter {
        RefOr::T(parameter) => parameter.parameter_in != ParameterIn::Header,
        RefOr::Ref(_) => true,
    };
    if operation.request_body.is_some() || operation.parameters.iter().flatten().any(may_be_wrong) {
        let description = "A parameter or the body is malformed, or asks for something that can't be";
        all.push((StatusCode::BAD_REQUEST, description));
    }
    if path.contains('{') {
        all.push((StatusCode::NOT_FOUND, "There is none of this name"));
    }
    let Some(RefOr::T(body)) = &operation.request_body else { return all };
    all.extend([
        (StatusCode::REQUEST_TIMEOUT, "The body didn't come in time"),
        (StatusCode::PAYLOAD_TOO_LARGE, "The body is too large"),
    ]);
    if body.content.contains_key("application/json") {
        all.extend([
            (StatusCode::UNSUPPORTED_MEDIA_TYPE, "The body is no `application/json`"),
            (StatusCode::UNPROCESSABLE_ENTITY, "The body is JSON, but not as it should be"),
        ]);
    }
    all
}

/// For what nobody serves.
pub(super) async fn nothing_here() -> Problem {
    Problem::not_found("there is nothing here; /v1/openapi.json lists what is")
}

/// For what is served, but not so.
pub(super) async fn not_so() -> Problem {
    Problem::new(axum::http::StatusCode::METHOD_NOT_ALLOWED, "this method isn't answered here")
}

impl std::fmt::Debug for Api {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Api").finish_non_exhaustive()
    }
}
