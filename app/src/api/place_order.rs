//! `POST /v1/orders`

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
};
use banyan_kernel::{Context, Line, OrderId};
use banyan_net::{Principal, Problem};
use orders_api::{LINES_MAX, OrderAccepted, PlaceOrder, refusals};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use super::{
    Api,
    body::Body,
    consistency::{Token, token},
    done,
    idempotency::{IdempotencyKey, replayed},
    lines::{self, WantedLine},
    trace::RequestTrace,
};

/// A basket to be bought.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Basket {
    /// What, each product once.
    #[schema(min_items = 1, max_items = 200)]
    lines: Vec<WantedLine>,
    /// The gateway's name for the card; a card's number is refused.
    #[schema(min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9_-]{1,64}$", example = "pm_card_visa")]
    payment_method: String,
}

/// An accepted order has one event.
const ACCEPTED_VERSION: i64 = 1;

/// Places an order.
///
/// Answers when the order is recorded; stock, money and parcel follow by themselves. The same
/// `Idempotency-Key` with the same body gets the first answer again, marked `Idempotent-Replayed: true`.
/// `Consistency-Token` says what a list must show at least to show it.
#[utoipa::path(
    post, path = "/v1/orders", tag = "orders", security(("bearer" = [])),
    params(("Idempotency-Key" = String, Header, description = "1 to 255 visible ASCII characters, none of them a blank", pattern = "^[!-~]{1,255}$")),
    request_body = Basket,
    responses(
        (status = 201, description = "Accepted; `Location` is where it can be looked at.", body = OrderAccepted),
        (status = 400, description = "Malformed JSON, or no Idempotency-Key.", body = Problem),
        (status = 401, description = "No valid token.", body = Problem),
        (status = 403, description = "Not a customer.", body = Problem),
        (status = 408, description = "The body came too slowly.", body = Problem),
        (status = 409, description = "The same key is being worked on; ask again.", body = Problem),
        (status = 413, description = "The body is too large.", body = Problem),
        (status = 415, description = "Not JSON.", body = Problem),
        (status = 422, description = "An invalid or unknown product, or the key was used with another body.", body = Problem),
        (status = 429, description = "Too many wait; ask again.", body = Problem),
        (status = 500, description = "Our fault; it has been logged.", body = Problem),
        (status = 503, description = "Not now; ask again with the same key.", body = Problem),
    )
)]
pub(crate) async fn place_order(
    State(api): State<Api>,
    principal: Principal,
    IdempotencyKey(key): IdempotencyKey,
    trace: RequestTrace,
    Body(basket): Body<Basket>,
) -> Result<(StatusCode, HeaderMap, Json<OrderAccepted>), Problem> {
    let customer = principal.customer()?;
    check(&basket)?;
    let order = OrderId::derive(&principal.0.to_string(), &key);
    let wish = PlaceOrder {
        order,
        customer,
        request_hash: request_hash(&basket),
        lines: basket.lines.into_iter().map(Line::from).collect(),
        payment_method: basket.payment_method,
        context: Context { actor: principal.0, trace: trace.to_begin(order) },
    };
    let busy = || Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_busy", "too many wait").retry_after(1);
    let answer = api.coalescer.place(wish).await.ok_or_else(busy)?;
    let placed = done(answer, |code| match code {
        refusals::IN_FLIGHT => StatusCode::CONFLICT,
        _ => StatusCode::UNPROCESSABLE_ENTITY,
    })?;
    if !placed.repeated {
        trace.began(order);
    }
    let mut headers = replayed(placed.repeated);
    token(&mut headers, &Token::Order(order, ACCEPTED_VERSION));
    // An id is always a header's value.
    if let Ok(path) = HeaderValue::from_str(&format!("/v1/orders/{order}")) {
        headers.insert(header::LOCATION, path);
    }
    Ok((StatusCode::CREATED, headers, Json(placed.accepted)))
}

fn check(basket: &Basket) -> Result<(), Problem> {
    lines::check("an order", &basket.lines, LINES_MAX)?;
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
    let method = &basket.payment_method;
    if !(1..=64).contains(&method.len()) || !method.bytes().all(plain) {
        let detail = "a payment_method is 1 to 64 letters, digits, dashes or underscores";
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_body", detail));
    }
    if is_card_number(method) {
        // It would stay in the order's history for good.
        let detail = "a payment_method is the gateway's name for a card, and never the card's number";
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "card_number", detail));
    }
    Ok(())
}

/// Of as many digits as cards have, whose check digit fits (ISO/IEC 7812-1, annex B), however they are grouped.
fn is_card_number(text: &str) -> bool {
    let grouped = |c: char| matches!(c, '-' | '_');
    let Some(digits) =
        text.chars().filter(|c| !grouped(*c)).map(|c| c.to_digit(10)).collect::<Option<Vec<_>>>()
    else {
        return false;
    };
    let doubled = |digit: u32| if digit > 4 { 2 * digit - 9 } else { 2 * digit };
    let weighed = digits.iter().rev().enumerate();
    let sum: u32 = weighed.map(|(place, digit)| if place % 2 == 1 { doubled(*digit) } else { *digit }).sum();
    (13..=19).contains(&digits.len()) && sum.is_multiple_of(10)
}

/// Of what was understood, not of the bytes: another order of fields is the same wish.
fn request_hash(basket: &Basket) -> String {
    // A struct of strings and numbers always becomes JSON.
    hex::encode(Sha256::digest(serde_json::to_vec(basket).unwrap_or_default()))
}
