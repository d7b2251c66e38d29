//! `GET /v1/orders`

use axum::{Json, extract::State, http::StatusCode};
use banyan_kernel::{CustomerId, OrderId, Role, Sku, Timestamp};
use banyan_net::{Principal, Problem};
use orders_api::{ListOrders, OrderState, OrderSummary, refusals};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::{
    Api,
    consistency::AtLeast,
    done,
    query::Asked,
    read_orders::{limit_of, parse_place, place},
};

/// Which orders, and which page of them.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct OrdersQuery {
    /// Of this customer alone (staff; a customer sees its own anyway).
    #[param(value_type = CustomerId, required = false)]
    customer: Option<CustomerId>,
    /// That stand there.
    #[param(value_type = OrderState, required = false)]
    state: Option<OrderState>,
    /// That were turned back for this reason: `out_of_stock`, `insufficient_funds`, `cancelled`, ...
    #[param(value_type = String, required = false, pattern = "^[a-z_]{1,64}$")]
    cause: Option<String>,
    /// With this product in them.
    #[param(value_type = Sku, required = false)]
    sku: Option<Sku>,
    /// Placed at this time or later (RFC 3339).
    #[serde(default, with = "banyan_kernel::rfc3339::option")]
    #[param(value_type = String, format = DateTime, required = false)]
    placed_from: Option<Timestamp>,
    /// Placed before this time (RFC 3339).
    #[serde(default, with = "banyan_kernel::rfc3339::option")]
    #[param(value_type = String, format = DateTime, required = false)]
    placed_before: Option<Timestamp>,
    /// The `next` of the page before, with the same other parameters.
    #[param(value_type = String, required = false, pattern = "^[A-Za-z0-9._-]+[.][0-9a-f]{32}$")]
    cursor: Option<String>,
    /// At most so many, 1 to 200; 50 unless told.
    #[param(value_type = u16, required = false, minimum = 1, maximum = 200)]
    limit: Option<u16>,
}

/// A page of orders, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OrdersPage {
    /// The orders.
    orders: Vec<OrderSummary>,
    /// Where the next page begins; absent on the last. A search for something rare looks through 10,000 orders a page, so a page
    /// may be short, even empty, with more to come.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// Lists or searches orders, newest first: a customer's own, or all for staff.
///
/// The list is a read model: a moment after a write it may not show it yet. Send the write's `Consistency-Token` with the request
/// to see at least that; it is waited for, up to two seconds.
#[utoipa::path(
    get, path = "/v1/orders", tag = "orders", security(("bearer" = [])),
    params(OrdersQuery),
    responses(
        (status = 200, description = "A page.", body = OrdersPage),
        (status = 400, description = "An invalid parameter or token, or a cursor that is none of this list.", body = Problem),
        (status = 401, description = "No valid token.", body = Problem),
        (status = 403, description = "A customer asks for another's.", body = Problem),
        (status = 412, description = "The list has not come to the Consistency-Token yet; ask again.", body = Problem),
        (status = 500, description = "Our fault; it has been logged.", body = Problem),
        (status = 503, description = "Not now; ask again.", body = Problem),
    )
)]
pub(crate) async fn list_orders(
    State(api): State<Api>,
    principal: Principal,
    at_least: AtLeast,
    Asked(query): Asked<OrdersQuery>,
) -> Result<Json<OrdersPage>, Problem> {
    let invalid = |detail: &str| Problem::new(StatusCode::BAD_REQUEST, "invalid_query", detail);
    let limit = limit_of(query.limit)?;
    if query.cause.as_ref().is_some_and(|cause| !is_code(cause)) {
        return Err(invalid("a cause is 1 to 64 lower-case letters and underscores"));
    }
    let reader = reader(&principal, query.customer)?;
    let OrdersQuery { customer, state, cause, sku, placed_from, placed_before, .. } = &query;
    let list = (reader, customer, state, cause, sku, placed_from, placed_before);
    let list = api.cursors.of("orders", list);
    let from_cursor = list.open(query.cursor.as_deref(), parse_place)?;
    let before = from_cursor.into_iter().chain(query.placed_before.map(|at| (at, Uuid::nil()))).min();
    let which = ListOrders {
        reader,
        customer: query.customer,
        state: query.state,
        cause: query.cause,
        sku: query.sku,
        placed_from: query.placed_from,
        before: before.map(|(at, id)| (at, OrderId(id))),
        limit,
        at_least: at_least.orders(),
    };
    let page = done(api.orders.list(which).await, |code| match code {
        // Not 503: a view that lags is no sick server, and nobody's breaker should count it.
        refusals::BEHIND => StatusCode::PRECONDITION_FAILED,
        _ => StatusCode::UNPROCESSABLE_ENTITY,
    })?;
    let next = page.next.map(|(at, id)| list.seal(&place(at, id.0)));
    Ok(Json(OrdersPage { orders: page.orders, next }))
}

/// The customer who asks, if it is one; it asks for nobody else's.
fn reader(principal: &Principal, wanted: Option<CustomerId>) -> Result<Option<CustomerId>, Problem> {
    if principal.0.role != Role::Customer {
        return Ok(None);
    }
    let own = principal.customer()?;
    if wanted.is_some_and(|wanted| wanted != own) {
        let detail = "a customer lists its own orders alone";
        return Err(Problem::new(StatusCode::FORBIDDEN, "own_orders_only", detail));
    }
    Ok(Some(own))
}

fn is_code(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
}
