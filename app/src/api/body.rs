//! JSON bodies: what is wrong with one is said as a problem.

use axum::{
    body::Bytes,
    extract::{FromRequest, Request},
    http::{HeaderMap, StatusCode, header},
};
use banyan_net::Problem;
use serde::de::DeserializeOwned;
use tower_http::timeout::TimeoutError;

use super::objects::Objects;

/// A JSON body, whole and of the right shape.
pub(crate) struct Body<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let Raw(bytes) = Raw::from_request(request, state).await?;
        parse(&bytes).map(Self)
    }
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let mut track = serde_path_to_error::Track::new();
    let value = T::deserialize(Objects(serde_path_to_error::Deserializer::new(&mut json, &mut track)));
    let value = value.map_err(|error| explain(&track.path().to_string(), &error))?;
    json.end().map_err(|error| explain(".", &error))?;
    Ok(value)
}

/// A JSON body as it was sent, to the byte: what it is signed by.
pub(crate) struct Raw(pub Bytes);

impl<S: Send + Sync> FromRequest<S> for Raw {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        if request.headers().get_all(header::CONTENT_TYPE).iter().count() > 1 {
            // Whoever stands between may have read it as the other.
            let detail = "say once what the body is: Content-Type: application/json";
            return Err(Problem::new(StatusCode::BAD_REQUEST, "content_type_repeated", detail));
        }
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

/// What is wrong, and where in the body.
pub(super) fn explain(place: &str, error: &serde_json::Error) -> Problem {
    if error.is_eof() {
        let (line, column) = (error.line(), error.column());
        let detail = format!("the body is not complete JSON: it ends at line {line}, column {column}");
        return Problem::new(StatusCode::BAD_REQUEST, "malformed_json", detail);
    }
    // A question mark is a place that has no name.
    let said = plainly(&error.to_string());
    let detail = if [".", "?"].contains(&place) { said } else { format!("{place}: {said}") };
    if error.is_data() {
        return Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_body", detail);
    }
    Problem::new(StatusCode::BAD_REQUEST, "malformed_json", detail)
}

/// What serde says in the words of programs, in those of who sends JSON.
fn plainly(said: &str) -> String {
    let between =
        |before: &str, after: &str| said.strip_prefix(before).and_then(|rest| rest.split_once(after));
    if let Some((number, _)) = between("invalid type: floating point `", "`, expected i64") {
        return format!("{number} is no whole number, or one that is too large");
    }
    if let Some((number, _)) = between("invalid value: integer `", "`, expected i64") {
        return format!("{number} is too large");
    }
    // Its name in the program says nothing to who sends it.
    let said = match said.split_once("expected struct ") {
        Some((before, after)) => {
            let end = after.find(' ').unwrap_or(after.len());
            format!("{before}expected an object{}", &after[end..])
        }
        None => said.to_owned(),
    };
    let words = [
        ("expected i64", "expected a whole number"),
        ("expected a map", "expected an object"),
        ("expected a sequence", "expected an array"),
        ("invalid type: map", "invalid type: object"),
        ("invalid type: sequence", "invalid type: array"),
        ("invalid type: floating point", "invalid type: number"),
    ];
    words.into_iter().fold(said, |said, (theirs, ours)| said.replace(theirs, ours))
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
