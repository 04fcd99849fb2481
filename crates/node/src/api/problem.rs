//! Errors as administrators' programs get them: problem details, RFC 9457.

use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

/// Why a request is refused (RFC 9457).
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct Problem {
    /// Always `about:blank`: the status says what kind of problem it is.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The status in words.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// What is wrong, and what to do.
    detail: String,
    /// The field of the body that is wrong, where it is a single one.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'static str>,
    #[serde(skip)]
    #[schema(ignore)]
    header: Option<Box<(HeaderName, HeaderValue)>>,
}

impl Problem {
    pub(super) fn new(status: StatusCode, detail: impl Into<String>) -> Problem {
        Problem {
            kind: "about:blank",
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            detail: detail.into(),
            field: None,
            header: None,
        }
    }

    /// Refuses one field of a body, so that a form can say it beside it.
    pub(super) fn bad_field(field: &'static str, why: impl std::fmt::Display) -> Problem {
        Problem { field: Some(field), ..Problem::bad_request(format!("{field}: {why}")) }
    }

    pub(super) fn bad_request(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::BAD_REQUEST, detail)
    }

    pub(super) fn not_found(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::NOT_FOUND, detail)
    }

    pub(super) fn forbidden(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::FORBIDDEN, detail)
    }

    /// Asks for a credential. RFC 6750 §3.
    pub(super) fn unauthorized(detail: impl Into<String>) -> Problem {
        let challenge = HeaderValue::from_static("Bearer realm=\"floodtide\"");
        Problem {
            header: Some(Box::new((WWW_AUTHENTICATE, challenge))),
            ..Problem::new(StatusCode::UNAUTHORIZED, detail)
        }
    }

    /// Refuses for so many seconds.
    pub(super) fn later(seconds: u64, detail: impl Into<String>) -> Problem {
        Problem {
            header: Some(Box::new((RETRY_AFTER, seconds.into()))),
            ..Problem::new(StatusCode::TOO_MANY_REQUESTS, detail)
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(mut self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let header = self.header.take();
        let mut response = (status, Json(self)).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.extend(header.map(|header| *header));
        response
    }
}

impl From<PathRejection> for Problem {
    fn from(rejection: PathRejection) -> Problem {
        Problem::bad_request(rejection.body_text())
    }
}

impl From<QueryRejection> for Problem {
    fn from(rejection: QueryRejection) -> Problem {
        Problem::bad_request(rejection.body_text())
    }
}

impl From<JsonRejection> for Problem {
    fn from(rejection: JsonRejection) -> Problem {
        Problem::new(rejection.status(), rejection.body_text())
    }
}
