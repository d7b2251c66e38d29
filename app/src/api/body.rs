//! JSON bodies: what is wrong with one is said as a problem.

use axum::{
    Json,
    body::Bytes,
    extract::{FromRequest, Request, rejection::JsonRejection},
    http::{HeaderMap, StatusCode, header},
};
use banyan_net::Problem;
use serde::de::DeserializeOwned;
use tower_http::timeout::TimeoutError;

/// A JSON body, whole and of the right shape.
pub(crate) struct Body<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let Json(value) =
            Json::<T>::from_request(request, state).await.map_err(|rejection| explain(&rejection))?;
        Ok(Self(value))
    }
}

/// A JSON body as it was sent, to the byte: what it is signed by.
pub(crate) struct Raw(pub Bytes);

impl<S: Send + Sync> FromRequest<S> for Raw {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        if !says_json(request.headers()) {
            return Err(json_only());
        }
        let bytes = Bytes::from_request(request, state).await;
        Ok(Self(bytes.map_err(|rejection| unread(rejection.status(), &rejection))?))
    }
}

fn says_json(headers: &HeaderMap) -> bool {
    let said = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    said.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

fn json_only() -> Problem {
    Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "json_only", "send Content-Type: application/json")
}

/// Said by whoever notices first: the limit, or the reader of the body.
pub(super) fn too_large() -> Problem {
    let detail = format!("a body has at most {} bytes", super::BODY_BYTES_MAX);
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", detail)
}

fn is_late(error: &(dyn std::error::Error + 'static)) -> bool {
    std::iter::successors(Some(error), |error| error.source()).any(|error| error.is::<TimeoutError>())
}

fn explain(rejection: &JsonRejection) -> Problem {
    let text = rejection.body_text();
    match rejection {
        JsonRejection::JsonSyntaxError(_) => Problem::new(StatusCode::BAD_REQUEST, "malformed_json", text),
        JsonRejection::JsonDataError(_) => {
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_body", text)
        }
        JsonRejection::MissingJsonContentType(_) => json_only(),
        other => unread(other.status(), other),
    }
}

/// A body that did not arrive.
fn unread(status: StatusCode, error: &(dyn std::error::Error + 'static)) -> Problem {
    if status == StatusCode::PAYLOAD_TOO_LARGE {
        return too_large();
    }
    if is_late(error) {
        let detail = format!("a body arrives within {} s", super::BODY_TIME_MAX.as_secs());
        return Problem::new(StatusCode::REQUEST_TIMEOUT, "body_too_slow", detail);
    }
    Problem::new(StatusCode::BAD_REQUEST, "body_unreadable", "the body did not arrive whole")
}
