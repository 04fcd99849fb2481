//! Routes by the role that they need. A route that isn't put behind a guard is on no router, so forgetting it does not work.

use super::access::Peer;
use super::problem::Problem;
use super::{Api, Shared};
use crate::auth::jwt::Role;
use axum::Extension;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use std::sync::Arc;
use utoipa::openapi::security::SecurityRequirement;
use utoipa::openapi::{ContentBuilder, OpenApi, Ref, ResponseBuilder};
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
    for item in openapi.paths.paths.values_mut() {
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
            let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
            let problem = ResponseBuilder::new()
                .description("It can't be done; `detail` says why")
                .content("application/problem+json", content)
                .build();
            operation.responses.responses.insert("default".to_owned(), problem.into());
        }
    }
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
