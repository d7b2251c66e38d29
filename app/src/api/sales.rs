//! `GET /v1/sales`

use axum::{Json, extract::State, http::StatusCode};
use banyan_kernel::{Currency, Sku, Timestamp};
use banyan_net::{Principal, Problem};
use orders_api::{ListSales, Sales};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{Api, done, query::Asked, read_orders::limit_of};

/// Which sales, and which page of them.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct SalesQuery {
    /// Of this product alone.
    #[param(value_type = Sku, required = false)]
    sku: Option<Sku>,
    /// Of the hour that begins at this time, or later (RFC 3339).
    #[serde(default, with = "banyan_kernel::rfc3339::option")]
    #[param(value_type = String, format = DateTime, required = false)]
    from: Option<Timestamp>,
    /// The `next` of the page before, with the same other parameters.
    #[param(value_type = String, required = false, pattern = "^[A-Za-z0-9._-]+[.][0-9a-f]{32}$")]
    cursor: Option<String>,
    /// At most so many, 1 to 200; 50 unless told.
    #[param(value_type = u16, required = false, minimum = 1, maximum = 200)]
    limit: Option<u16>,
}

/// A page of sales, the newest hour first, then by product.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SalesPage {
    /// A line for each product that was handed over in an hour.
    sales: Vec<Sales>,
    /// Where the next page begins; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// Lists what was sold, by hour and product: what was handed over, at the prices that were promised (staff).
///
/// The sales are a read model: they follow what is shipped after a moment. What was given back later is not taken off.
#[utoipa::path(
    get, path = "/v1/sales", tag = "orders", security(("bearer" = [])), params(SalesQuery),
    responses(
        (status = 200, description = "A page.", body = SalesPage),
        (status = 400, description = "An invalid parameter, or a cursor that is none of this list.", body = Problem),
        (status = 401, description = "No valid token.", body = Problem),
        (status = 403, description = "Not staff.", body = Problem),
        (status = 500, description = "Our fault; it has been logged.", body = Problem),
        (status = 503, description = "Not now; ask again.", body = Problem),
    )
)]
pub(crate) async fn list_sales(
    State(api): State<Api>,
    principal: Principal,
    Asked(query): Asked<SalesQuery>,
) -> Result<Json<SalesPage>, Problem> {
    principal.may_read_all()?;
    let list = api.cursors.of("sales", (&query.sku, query.from));
    let after = list.open(query.cursor.as_deref(), parse)?;
    let which = ListSales { sku: query.sku, from: query.from, after, limit: limit_of(query.limit)? };
    let page = done(api.orders.sales(which).await, |_| StatusCode::UNPROCESSABLE_ENTITY)?;
    Ok(Json(SalesPage { sales: page.sales, next: page.next.map(|at| list.seal(&place(&at))) }))
}

type PlaceInSales = (Timestamp, Sku, Currency);

fn place((hour, sku, currency): &PlaceInSales) -> String {
    let text = |text: &str| hex::encode(text);
    format!("{:x}.{}.{}", hour.unix_timestamp(), text(sku.as_str()), text(&currency.to_string()))
}

fn parse(place: &str) -> Option<PlaceInSales> {
    let [hour, sku, currency] = place.split('.').collect::<Vec<_>>().try_into().ok()?;
    let text = |hexadecimal: &str| String::from_utf8(hex::decode(hexadecimal).ok()?).ok();
    let hour = Timestamp::from_unix_timestamp(i64::from_str_radix(hour, 16).ok()?).ok()?;
    Some((hour, text(sku)?.try_into().ok()?, text(currency)?.try_into().ok()?))
}
