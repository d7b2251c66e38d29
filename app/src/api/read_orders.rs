//! `GET /v1/orders/{id}`, and what pages share

use axum::{
    Json,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::Response,
};
use banyan_kernel::{OrderId, Role, Timestamp};
use banyan_net::{Principal, Problem};
use orders_api::OrderView;
use serde::Deserialize;
use utoipa::IntoParams;
use uuid::Uuid;

use super::{
    Api,
    consistency::{AtLeast, behind},
    done,
    tags::{KeptBy, unless_known},
};

/// Which page of a list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct PageQuery {
    /// The `next` of the page before.
    #[param(value_type = String, required = false, pattern = "^[A-Za-z0-9._-]+[.][0-9a-f]{32}$")]
    pub(crate) cursor: Option<String>,
    /// At most so many, 1 to 200; 50 unless told.
    #[param(value_type = u16, required = false, minimum = 1, maximum = 200)]
    limit: Option<u16>,
}

impl PageQuery {
    /// How many, if it may be that many.
    pub(crate) fn limit(&self) -> Result<u16, Problem> {
        limit_of(self.limit)
    }
}

/// How many lines of a page, if it may be that many.
pub(crate) fn limit_of(wanted: Option<u16>) -> Result<u16, Problem> {
    let limit = wanted.unwrap_or(50);
    let wrong = || Problem::new(StatusCode::BAD_REQUEST, "invalid_query", "limit is 1 to 200");
    (1..=200).contains(&limit).then_some(limit).ok_or_else(wrong)
}

/// Time and id of the last one of a page.
pub(crate) fn place(at: Timestamp, id: Uuid) -> String {
    let micros = at.unix_timestamp_nanos() / 1_000;
    format!("{micros:x}.{}", id.simple())
}

pub(crate) fn parse_place(text: &str) -> Option<(Timestamp, Uuid)> {
    let (micros, id) = text.split_once('.')?;
    let nanos = i128::from(i64::from_str_radix(micros, 16).ok()?) * 1_000;
    Some((Timestamp::from_unix_timestamp_nanos(nanos).ok()?, Uuid::try_parse(id).ok()?))
}

/// Shows an order. Another's order is unknown.
#[utoipa::path(
    get, path = "/v1/orders/{id}", tag = "orders", security(("bearer" = [])),
    params(("id" = OrderId, Path, description = "The order."), ("If-None-Match" = Option<String>, Header, description = "The `ETag` last seen, several of them, or `*`.")),
    responses(
        (status = 200, description = "The order; `ETag` is its version.", body = OrderView),
        (status = 304, description = "Not changed."),
        (status = 401, description = "No valid token.", body = Problem),
        (status = 404, description = "No such order, or somebody else's.", body = Problem),
        (status = 412, description = "It has not come to the Consistency-Token: no such change was committed.", body = Problem),
        (status = 500, description = "Our fault; it has been logged.", body = Problem),
        (status = 503, description = "Not now; ask again.", body = Problem),
    )
)]
pub(crate) async fn show_order(
    State(api): State<Api>,
    principal: Principal,
    headers: HeaderMap,
    at_least: AtLeast,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let order = visible(&api, &principal, &id).await?;
    if at_least.exceeds_order(order.id, order.version) {
        return Err(behind("the order has not come to what you ask to see"));
    }
    Ok(unless_known(&headers, order.version, KeptBy::Asker, Json(order)))
}

/// The order, if the principal may see it; what it may not see does not exist.
pub(crate) async fn visible(api: &Api, principal: &Principal, id: &str) -> Result<OrderView, Problem> {
    let unknown = || Problem::new(StatusCode::NOT_FOUND, "unknown_order", "there is no such order");
    let id: OrderId = id.parse().map_err(|_| unknown())?;
    let reader = (principal.0.role == Role::Customer).then(|| principal.customer()).transpose()?;
    done(api.orders.view(vec![id], reader).await, |_| StatusCode::NOT_FOUND)?.pop().ok_or_else(unknown)
}
