//! Bodies of requests that are read before they are answered: each has a size and a time.

use super::service::{Answer, Service, text};
use crate::limits::{BODY_TIME_MAX, Limit};
use bytes::Bytes;
use http::header::{CONNECTION, HeaderValue};
use http::{Request, StatusCode, Version};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use std::time::Duration;

impl Service {
    /// The whole body of a request.
    ///
    /// # Errors
    /// When it is too large, or doesn't come in time: the answer.
    pub(super) async fn whole(
        &self,
        request: &mut Request<Incoming>,
        bytes_max: usize,
    ) -> Result<Bytes, Answer> {
        let version = request.version();
        let body = Limited::new(request.body_mut(), bytes_max).collect();
        match tokio::time::timeout(BODY_TIME_MAX, body).await {
            Ok(Ok(body)) => Ok(body.to_bytes()),
            Ok(Err(error)) if error.is::<LengthLimitError>() => {
                let most = format!("the body is too large: at most {bytes_max} bytes are taken\n");
                Err(text(StatusCode::PAYLOAD_TOO_LARGE, &most))
            }
            Ok(Err(_)) => Err(text(StatusCode::BAD_REQUEST, "the body of the request ends too early\n")),
            Err(_) => {
                self.gateway.limits.too_much(Limit::HttpBody, Duration::ZERO);
                Err(late(version))
            }
        }
    }
}

/// What is still to come isn't waited for. RFC 9110 §15.5.9; HTTP/2 has no `Connection` (RFC 9113 §8.2.2).
fn late(version: Version) -> Answer {
    let mut answer = text(StatusCode::REQUEST_TIMEOUT, "the body of the request didn't come in time\n");
    if version <= Version::HTTP_11 {
        answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    answer
}
