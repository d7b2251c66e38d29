//! `Idempotency-Key` on every creating POST
//! (<https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/>).

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, HeaderValue, StatusCode, request::Parts},
};
use banyan_net::Problem;

/// The client's name for its wish: 1 to 255 visible ASCII characters, none of them a blank.
pub(crate) struct IdempotencyKey(pub String);

const NAME: &str = "idempotency-key";
const KEY_BYTES_MAX: usize = 255;

impl<S: Send + Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let wrong = |code, detail: &str| Err(Problem::new(StatusCode::BAD_REQUEST, code, detail));
        let mut values = parts.headers.get_all(NAME).iter();
        match (values.next(), values.next()) {
            (None, _) => {
                wrong("idempotency_key_missing", "send an Idempotency-Key: a repeat is then harmless")
            }
            (Some(_), Some(_)) => wrong("idempotency_key_invalid", "send one Idempotency-Key"),
            (Some(value), None) => match value.to_str() {
                Ok(key) if is_key(key) => Ok(Self(key.to_owned())),
                _ => wrong(
                    "idempotency_key_invalid",
                    "an Idempotency-Key is 1 to 255 visible ASCII characters, none of them a blank",
                ),
            },
        }
    }
}

/// A blank at an end would be cut off on the way, one in the middle is easily mistaken for two keys: there is none.
fn is_key(text: &str) -> bool {
    (1..=KEY_BYTES_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Says that the answer was given before.
pub(crate) fn replayed(repeated: bool) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if repeated {
        headers.insert("idempotent-replayed", HeaderValue::from_static("true"));
    }
    headers
}
