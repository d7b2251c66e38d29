//! Answers, and the troubles that both parties tell in their own shape.

use axum::Json;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::step::Party;

/// What is sent back.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Value,
    pub(crate) replayed: bool,
}

impl Answer {
    pub(crate) fn new(status: StatusCode, body: Value) -> Self {
        Self { status, body, replayed: false }
    }

    pub(crate) fn replayed(self) -> Self {
        Self { replayed: true, ..self }
    }

    /// The gateway's way of saying that a request makes no sense.
    pub(crate) fn invalid(status: StatusCode, code: &str, param: &str, message: impl Into<String>) -> Self {
        let message: String = message.into();
        let error =
            json!({ "type": "invalid_request_error", "code": code, "param": param, "message": message });
        Self::new(status, json!({ "error": error }))
    }

    /// The carrier's way of saying anything that is not a shipment.
    pub(crate) fn problem(status: StatusCode, code: &str, message: impl Into<String>) -> Self {
        let message: String = message.into();
        Self::new(status, json!({ "code": code, "message": message }))
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.body)).into_response();
        if self.replayed {
            response.headers_mut().insert("Idempotent-Replayed", HeaderValue::from_static("true"));
        }
        response
    }
}

/// What stops a request before, or apart from, its use case.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Trouble {
    Unauthorised,
    BadHeader(&'static str),
    BadBody(String),
    TooLarge,
    TooSlow,
    KeyReused,
    KeyInFlight,
    Busy,
    Down,
    NotBooked,
}

impl Trouble {
    /// In the shape of the party that tells it.
    pub(crate) fn told_by(&self, party: Party) -> Answer {
        let (status, kind, code) = self.names();
        let message = self.message();
        match party {
            Party::Gateway => {
                let error = json!({ "type": kind, "code": code, "message": message });
                Answer::new(status, json!({ "error": error }))
            }
            Party::Carrier => Answer::problem(status, code, message),
        }
    }

    const fn names(&self) -> (StatusCode, &'static str, &'static str) {
        const INVALID: &str = "invalid_request_error";
        match self {
            Self::Unauthorised => (StatusCode::UNAUTHORIZED, INVALID, "api_key_invalid"),
            Self::BadHeader(_) => (StatusCode::BAD_REQUEST, INVALID, "header_invalid"),
            Self::BadBody(_) => (StatusCode::BAD_REQUEST, INVALID, "body_invalid"),
            Self::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, INVALID, "body_too_large"),
            Self::TooSlow => (StatusCode::REQUEST_TIMEOUT, INVALID, "body_too_slow"),
            Self::KeyReused => (StatusCode::BAD_REQUEST, "idempotency_error", "idempotency_key_reused"),
            Self::KeyInFlight => (StatusCode::CONFLICT, "idempotency_error", "idempotency_key_in_use"),
            Self::Busy => (StatusCode::TOO_MANY_REQUESTS, INVALID, "rate_limit"),
            Self::Down => (StatusCode::SERVICE_UNAVAILABLE, "api_error", "unavailable"),
            Self::NotBooked => (StatusCode::INTERNAL_SERVER_ERROR, "api_error", "not_booked"),
        }
    }

    fn message(&self) -> String {
        match self {
            Self::Unauthorised => "Send your secret key as `Authorization: Bearer sk_...`.".into(),
            Self::BadHeader(name) => format!("The header {name} is not understood."),
            Self::BadBody(reason) => format!("The body is not understood: {reason}."),
            Self::TooLarge => "A body has at most 65536 bytes.".into(),
            Self::TooSlow => "The body did not arrive in time.".into(),
            Self::KeyReused => {
                "Keys for idempotent requests can only be used with the same parameters they were first used with."
                    .into()
            }
            Self::KeyInFlight => {
                "There is another request in progress with this Idempotency-Key; ask again later.".into()
            }
            Self::Busy => "Too many requests at once; ask again later.".into(),
            Self::Down => "Nothing was done; ask again later.".into(),
            Self::NotBooked => "The outcome is unknown; ask again with the same Idempotency-Key.".into(),
        }
    }
}
