//! `/v1/orders/{id}/refunds`: money given back after an order was handed over.

use axum::{
    Json,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
};
use banyan_kernel::{Answer, Command, CommandId, Context, Line, OrderId, Refusal};
use banyan_net::{Principal, Problem};
use orders_api::{LINES_MAX, OrderState, OrderView, refusals};
use payments_api::{DisputeView, GiveBack, LineBack, RefundView};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    Api,
    body::Body,
    consistency::{Token, token},
    done,
    idempotency::{IdempotencyKey, replayed},
    lines::{self, WantedLine},
    read_orders::visible,
    reason::Reason,
    refuse,
    trace::RequestTrace,
};

/// How much, and why.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct WantedRefund {
    /// In minor units of the order's currency; all that is left, where neither this nor `lines` is said.
    #[schema(minimum = 1)]
    amount_minor: Option<i64>,
    /// For what: as many as were ordered at most, refunds before this one counted; the amount is what they cost.
    #[schema(min_items = 1, max_items = 200)]
    lines: Option<Vec<WantedLine>>,
    /// In a few words, 1 to 200 characters; no personal data, it is kept for good.
    #[schema(value_type = String, min_length = 1, max_length = 200, example = "arrived broken")]
    reason: Reason,
}

/// What was given back of an order.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RefundsOfOrder {
    /// The first first.
    refunds: Vec<RefundView>,
}

/// Gives money back, in part or all that is left of it (staff). The order must have been handed over; before that, cancel
/// it.
#[utoipa::path(
    post, path = "/v1/orders/{id}/refunds", tag = "orders", security(("bearer" = [])),
    params(
        ("id" = OrderId, Path, description = "The order."),
        ("Idempotency-Key" = String, Header, description = "1 to 255 visible ASCII characters, none of them a blank", pattern = "^[!-~]{1,255}$"),
    ),
    request_body = WantedRefund,
    responses(
        (status = 201, description = "Given back; `Idempotent-Replayed: true` when it was asked for before.", body = RefundView),
        (status = 400, description = "Malformed JSON, or no Idempotency-Key.", body = Problem),
        (status = 401, description = "No valid token.", body = Problem),
        (status = 403, description = "Not staff.", body = Problem),
        (status = 404, description = "No such order.", body = Problem),
        (status = 408, description = "The body came too slowly.", body = Problem),
        (status = 409, description = "The order was not handed over (yet).", body = Problem),
        (status = 413, description = "The body is too large.", body = Problem),
        (status = 415, description = "Not JSON.", body = Problem),
        (status = 422, description = "An invalid amount or reason, more than was taken or ordered, refused by the gateway, or the key was used for another refund.", body = Problem),
        (status = 500, description = "Our fault; it has been logged.", body = Problem),
        (status = 503, description = "It is under way, or not possible now; ask again with the same key.", body = Problem),
    )
)]
pub(crate) async fn give_back(
    State(api): State<Api>,
    principal: Principal,
    IdempotencyKey(key): IdempotencyKey,
    trace: RequestTrace,
    Path(id): Path<String>,
    Body(wanted): Body<WantedRefund>,
) -> Result<(StatusCode, HeaderMap, Json<RefundView>), Problem> {
    principal.staff()?;
    let WantedRefund { amount_minor, lines, reason: Reason(reason) } = wanted;
    if amount_minor.is_some_and(|minor| minor < 1) {
        return Err(wrong("an amount is at least one minor unit"));
    }
    if amount_minor.is_some() && lines.is_some() {
        return Err(wrong("say an amount, or lines, or neither"));
    }
    let order = visible(&api, &principal, &id).await?;
    if order.state != OrderState::Shipped {
        let detail = "what was not handed over is cancelled, not refunded";
        return Err(Problem::new(StatusCode::CONFLICT, "not_shipped", detail));
    }
    let (amount_minor, lines) = match lines {
        Some(lines) => priced(&order, lines)?,
        None => (amount_minor, Vec::new()),
    };
    let key = format!("{}/{key}", principal.0);
    let context = Context { actor: principal.0, trace: trace.about(&order) };
    let body = GiveBack { key, amount_minor, lines, reason };
    let answer =
        api.refunds.give_back(vec![Command { id: CommandId::new(order.id, "give_back", 0), context, body }]);
    let answer = answer.await.pop().ok_or_else(|| Problem::unavailable("payments did not answer"))?;
    if matches!(answer, Answer::Pending) {
        let refusal = Refusal::new(refusals::IN_FLIGHT, "it is under way; ask again with the same key");
        return Err(refuse(refusal, |_| StatusCode::CONFLICT));
    }
    let refund = done(answer, |_| StatusCode::UNPROCESSABLE_ENTITY)?;
    // Said of one that was asked for before, and of no other.
    let repeated = refund.at.is_some();
    let mut headers = replayed(repeated);
    token(&mut headers, &Token::payment(order.id, api.webhooks.clock.now()));
    Ok((StatusCode::CREATED, headers, Json(refund)))
}

/// What of an order's payment is disputed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DisputesOfOrder {
    /// As the gateway said when it was looked up last.
    disputes: Vec<DisputeView>,
}

/// Lists what a customer disputes of an order's payment with the bank (staff).
#[utoipa::path(
    get, path = "/v1/orders/{id}/disputes", tag = "orders", security(("bearer" = [])),
    params(("id" = OrderId, Path, description = "The order.")),
    responses(
        (status = 200, description = "All of them.", body = DisputesOfOrder),
        (status = 401, description = "No valid token.", body = Problem),
        (status = 403, description = "Not staff.", body = Problem),
        (status = 404, description = "No such order.", body = Problem),
        (status = 500, description = "Our fault; it has been logged.", body = Problem),
        (status = 503, description = "Not now; ask again.", body = Problem),
    )
)]
pub(crate) async fn list_disputes(
    State(api): State<Api>,
    principal: Principal,
    Path(id): Path<String>,
) -> Result<Json<DisputesOfOrder>, Problem> {
    principal.may_read_all()?;
    let order = visible(&api, &principal, &id).await?;
    let disputes = done(api.refunds.disputes(order.id).await, |_| StatusCode::UNPROCESSABLE_ENTITY)?;
    Ok(Json(DisputesOfOrder { disputes }))
}

fn wrong(detail: &str) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_body", detail)
}

/// What these lines cost, at the price they were ordered for.
fn priced(order: &OrderView, wanted: Vec<WantedLine>) -> Result<(Option<i64>, Vec<LineBack>), Problem> {
    lines::check("a refund", &wanted, LINES_MAX)?;
    let (mut minor, mut lines) = (0_i64, Vec::with_capacity(wanted.len()));
    for line in wanted.into_iter().map(Line::from) {
        let ordered = order.lines.iter().find(|ordered| ordered.sku == line.sku);
        let ordered = ordered.ok_or_else(|| wrong("a line names what was not ordered"))?;
        let cost = ordered.unit_price.times(line.quantity).map_err(|_| wrong("a line costs too much"))?;
        minor = minor.saturating_add(cost.minor);
        lines.push(LineBack { line, ordered: ordered.quantity });
    }
    Ok((Some(minor), lines))
}

/// Lists what was given back of an order, besides what a cancel undoes. Another's order is unknown.
#[utoipa::path(
    get, path = "/v1/orders/{id}/refunds", tag = "orders", security(("bearer" = [])),
    params(("id" = OrderId, Path, description = "The order.")),
    responses(
        (status = 200, description = "All of them.", body = RefundsOfOrder),
        (status = 401, description = "No valid token.", body = Problem),
        (status = 404, description = "No such order, or somebody else's.", body = Problem),
        (status = 500, description = "Our fault; it has been logged.", body = Problem),
        (status = 503, description = "Not now; ask again.", body = Problem),
    )
)]
pub(crate) async fn list_refunds(
    State(api): State<Api>,
    principal: Principal,
    Path(id): Path<String>,
) -> Result<Json<RefundsOfOrder>, Problem> {
    let order = visible(&api, &principal, &id).await?;
    let refunds = done(api.refunds.refunds(order.id).await, |_| StatusCode::UNPROCESSABLE_ENTITY)?;
    Ok(Json(RefundsOfOrder { refunds }))
}
