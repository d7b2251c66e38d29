//! `POST /v1/orders/{id}/cancel`

use axum::{
    Json,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
};
use banyan_kernel::Context;
use banyan_net::{Principal, Problem};
use orders_api::{OrderView, refusals};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{
    Api,
    body::Body,
    consistency::{Token, token},
    done,
    read_orders::visible,
    reason::Reason,
    trace::RequestTrace,
};

/// Why.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Cancel {
    /// In a few words, 1 to 200 characters; no personal data, it stays in the order's history.
    #[schema(value_type = String, min_length = 1, max_length = 200, example = "ordered twice")]
    reason: Reason,
}

/// Asks for an order to be undone.
///
/// Answers when the wish is recorded; stock, money and parcel are given back by themselves. Doing it again
/// changes nothing, so no Idempotency-Key is asked for. After the order was handed over it is too late.
/// `Consistency-Token` says what a list must show at least to show it.
#[utoipa::path(
    post, path = "/v1/orders/{id}/cancel", tag = "orders", security(("bearer" = [])),
    params(("id" = banyan_kernel::OrderId, Path, description = "The order.")), request_body = Cancel,
    responses(
        (status = 200, description = "It is being undone, or has been.", body = OrderView),
        (status = 400, description = "Malformed JSON.", body = Problem),
        (status = 401, description = "No valid token.", body = Problem),
        (status = 403, description = "Neither a customer nor staff: a program that reads for the shop changes nothing.", body = Problem),
        (status = 404, description = "No such order, or somebody else's.", body = Problem),
        (status = 408, description = "The body came too slowly.", body = Problem),
        (status = 410, description = "Too late: it has been handed over.", body = Problem),
        (status = 413, description = "The body is too large.", body = Problem),
        (status = 415, description = "Not JSON.", body = Problem),
        (status = 422, description = "An invalid reason.", body = Problem),
        (status = 500, description = "Our fault; it has been logged.", body = Problem),
        (status = 503, description = "Not now; ask again.", body = Problem),
    )
)]
pub(crate) async fn cancel_order(
    State(api): State<Api>,
    principal: Principal,
    trace: RequestTrace,
    Path(id): Path<String>,
    Body(wish): Body<Cancel>,
) -> Result<(HeaderMap, Json<OrderView>), Problem> {
    // To see an order is not yet to change it.
    principal.may_change()?;
    let order = visible(&api, &principal, &id).await?;
    let context = Context { actor: principal.0, trace: trace.about(&order) };
    let answer = api.orders.cancel(order.id, wish.reason.0, context).await;
    let order = done(answer, |code| match code {
        refusals::ALREADY_SHIPPED => StatusCode::GONE,
        _ => StatusCode::NOT_FOUND,
    })?;
    let mut headers = HeaderMap::new();
    token(&mut headers, &Token::Order(order.id, order.version));
    Ok((headers, Json(order)))
}
