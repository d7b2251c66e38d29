//! `GET /carrier/v1/quotes?items=N&currency=C`: what a parcel would cost, and when it would be there.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};

use super::shipment::{DAY_S, STANDARD_DAYS};
use crate::answer::Answer;
use crate::look_up::{LookUp, look_up};
use crate::sandbox::Sandbox;
use crate::step::Party;

const MOST_ITEMS: i64 = 1_000_000;
/// Name, price of the first piece and of each further one, days.
const SERVICES: [(&str, i64, i64, i64); 2] =
    [("standard", 490, 20, STANDARD_DAYS), ("express", 1_290, 40, 1)];

/// Quotes each service, the cheapest first. Nothing is booked, and nothing is written down.
pub(crate) async fn quote(State(sandbox): State<Arc<Sandbox>>, call: LookUp) -> Response {
    let items = call.params.get("items").and_then(|text| text.parse::<i64>().ok());
    let currency = call.params.get("currency").filter(|code| code.len() == 3).cloned();
    let (Some(items @ 1..=MOST_ITEMS), Some(currency)) = (items, currency) else {
        let message = "Want items=1 to 1000000 and currency=EUR.";
        return Answer::problem(StatusCode::BAD_REQUEST, "quote_invalid", message).into_response();
    };
    let now = sandbox.now().wall.unix_timestamp();
    look_up(&sandbox, Party::Carrier, call, |_| {
        let quote = |(service, first, further, days): (&str, i64, i64, i64)| {
            json!({
                "service": service,
                "amount": first + further * (items - 1),
                "currency": currency,
                "promised": now + days * DAY_S,
            })
        };
        let data: Vec<Value> = SERVICES.into_iter().map(quote).collect();
        Answer::new(StatusCode::OK, json!({ "data": data }))
    })
    .await
}
