//! Consistency tokens: a write says where it left its source, and a reader of a view may ask to see at least that
//! ("Session Guarantees for Weakly Consistent Replicated Data", D. Terry et al., 1994: read your writes).

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, request::Parts},
};
use banyan_kernel::OrderId;
use banyan_net::Problem;
use utoipa::ToSchema;

/// `SOURCE/SUBJECT/SEQUENCE`, here `orders/ID/VERSION`; a reader may send several, separated by commas.
pub(crate) const CONSISTENCY_TOKEN: HeaderName = HeaderName::from_static("consistency-token");

/// What a write of an order answers: `orders/ID/VERSION`.
#[derive(ToSchema)]
#[schema(value_type = String, pattern = "^orders/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/[0-9]{1,18}$")]
#[schema(example = "orders/5f0c0a0e-5d0b-5a3c-9b6e-0d6c5d2f4a11/3")]
pub(crate) struct ConsistencyToken(#[expect(dead_code, reason = "it is there for the document")] String);

/// Tokens of one request.
const TOKENS_MAX: usize = 16;

/// The orders that a reader asks to see, each at least at this version.
pub(crate) struct AtLeast(pub Vec<(OrderId, i64)>);

impl<S: Send + Sync> FromRequestParts<S> for AtLeast {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let detail = "a Consistency-Token is what a write answered: orders/ID/VERSION; at most 16, with commas between";
        let wrong = || Problem::new(StatusCode::BAD_REQUEST, "consistency_token_invalid", detail);
        let values = parts.headers.get_all(CONSISTENCY_TOKEN).iter();
        let texts = values.map(|value| value.to_str().map_err(|_| wrong())).collect::<Result<Vec<_>, _>>()?;
        let tokens =
            texts.iter().flat_map(|text| text.split(',')).map(|token| parse(token.trim()).ok_or_else(wrong));
        let tokens = tokens.take(TOKENS_MAX + 1).collect::<Result<Vec<_>, _>>()?;
        if tokens.len() > TOKENS_MAX { Err(wrong()) } else { Ok(Self(tokens)) }
    }
}

fn parse(token: &str) -> Option<(OrderId, i64)> {
    let (order, version) = token.strip_prefix(orders_api::NAME)?.strip_prefix('/')?.split_once('/')?;
    let version = version.bytes().all(|digit| digit.is_ascii_digit()).then(|| version.parse().ok())??;
    Some((order.parse().ok()?, version))
}

/// What a write of an order answers.
pub(crate) fn token(headers: &mut HeaderMap, order: OrderId, version: i64) {
    let token = format!("{}/{order}/{version}", orders_api::NAME);
    if let Ok(value) = HeaderValue::from_str(&token) {
        headers.insert(CONSISTENCY_TOKEN, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_as_it_was_written_and_nothing_else_is() {
        let order = OrderId::derive("test", "token");
        let mut headers = HeaderMap::new();
        token(&mut headers, order, 7);
        let text = headers[CONSISTENCY_TOKEN].to_str().expect("text").to_owned();
        assert_eq!(parse(&text), Some((order, 7)));
        for wrong in [
            "",
            "orders",
            "orders/1/7",
            &format!("orders/{order}"),
            &format!("stock/{order}/7"),
            &format!("orders/{order}/-7"),
            &format!("orders/{order}/"),
            &format!("orders/{order}/99999999999999999999"),
            &format!("{text}/"),
        ] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
