//! What handlers take from a request; what doesn't fit is refused with a [`Problem`].

use super::problem::Problem;
use super::{Api, Shared};
use crate::limits::{BODY_TIME_MAX, Limit};
use axum::Json;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use hub::BroadcastPath;
use serde::de::DeserializeOwned;

/// The parameters of a query.
#[derive(Debug)]
pub(super) struct Parameters<T>(pub(super) T);

/// A JSON body.
#[derive(Debug)]
pub(super) struct Body<T>(pub(super) T);

/// A JSON body, or the default if there is none.
#[derive(Debug)]
pub(super) struct MaybeBody<T>(pub(super) T);

/// The broadcast that `{path}` names.
#[derive(Debug)]
pub(super) struct Named(pub(super) BroadcastPath);

/// The broadcast and what belongs to it that `{path}` and `{name}` name.
#[derive(Debug)]
pub(super) struct NamedMember(pub(super) BroadcastPath, pub(super) String);

/// What `{id}` names.
#[derive(Debug)]
pub(super) struct Id(pub(super) String);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Parameters<T> {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        Ok(Parameters(Query::from_request_parts(parts, state).await?.0))
    }
}

impl<T: DeserializeOwned> FromRequest<Shared> for Body<T> {
    type Rejection = Problem;
    async fn from_request(request: Request, api: &Shared) -> Result<Self, Problem> {
        Ok(Body(in_time(api, Json::from_request(request, api)).await??.0))
    }
}

impl<T: DeserializeOwned + Default> FromRequest<Shared> for MaybeBody<T> {
    type Rejection = Problem;
    async fn from_request(request: Request, api: &Shared) -> Result<Self, Problem> {
        use axum::body::HttpBody;
        if request.body().is_end_stream() {
            return Ok(MaybeBody(T::default()));
        }
        // `null` is none, too.
        Ok(MaybeBody(Body::<Option<T>>::from_request(request, api).await?.0.unwrap_or_default()))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        Ok(Id(Path::from_request_parts(parts, state).await?.0))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Named {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path(text) = Path::<String>::from_request_parts(parts, state).await?;
        broadcast(&text).map(Named)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for NamedMember {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path((path, name)) = Path::<(String, String)>::from_request_parts(parts, state).await?;
        Ok(NamedMember(broadcast(&path)?, name))
    }
}

fn broadcast(text: &str) -> Result<BroadcastPath, Problem> {
    BroadcastPath::parse(text)
        .map_err(|error| Problem::bad_request(format!("{error}; its slashes are written %2F here")))
}

/// What a body yields, unless it is slow, which is counted as on the public listener.
pub(super) async fn in_time<T>(api: &Api, body: impl Future<Output = T>) -> Result<T, Problem> {
    tokio::time::timeout(BODY_TIME_MAX, body).await.map_err(|_| {
        api.metrics.limited(Limit::HttpBody);
        Problem::new(StatusCode::REQUEST_TIMEOUT, "the body of the request didn't come in time")
    })
}
