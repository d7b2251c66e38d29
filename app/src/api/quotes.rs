//! `POST /v1/quotes`: what sending a basket would cost.

use axum::{Json, extract::State, http::StatusCode};
use banyan_kernel::Line;
use banyan_net::{Principal, Problem};
use catalog_api::Product;
use orders_api::{LINES_MAX, refusals};
use serde::Deserialize;
use shipping_api::{QuoteParcel, Quotes};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    Api,
    body::Body,
    lines::{self, WantedLine},
    trace::RequestTrace,
};

/// What would be sent.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct QuotedBasket {
    /// What, each product once.
    #[schema(min_items = 1, max_items = 200)]
    lines: Vec<WantedLine>,
}

/// Quotes what sending a basket would cost, by each service, and by when it would be there.
///
/// `source` says whether the carrier says so, or the shop's own table, where the carrier does not answer in time. A quote is no
/// promise: an order's parcel has its own date (`GET /v1/orders/{id}/shipments`).
#[utoipa::path(
    post, path = "/v1/quotes", tag = "shipping", security(("bearer" = [])),
    request_body = QuotedBasket,
    responses(
        (status = 200, description = "The services, the cheapest first.", body = Quotes),
        (status = 400, description = "Malformed JSON.", body = Problem),
        (status = 401, description = "No valid token.", body = Problem),
        (status = 408, description = "The body came too slowly.", body = Problem),
        (status = 413, description = "The body is too large.", body = Problem),
        (status = 415, description = "Not JSON.", body = Problem),
        (status = 422, description = "An invalid, unknown or retired product, or prices in several currencies.", body = Problem),
        (status = 503, description = "Not now; ask again.", body = Problem),
    )
)]
pub(crate) async fn quote(
    State(api): State<Api>,
    _: Principal,
    trace: RequestTrace,
    Body(basket): Body<QuotedBasket>,
) -> Result<Json<Quotes>, Problem> {
    lines::check("a basket", &basket.lines, LINES_MAX)?;
    let lines: Vec<Line> = basket.lines.into_iter().map(Line::from).collect();
    let products = api.catalog.products(lines.iter().map(|line| line.sku.clone()).collect()).await;
    let products = products.map_err(|_| Problem::unavailable("the catalogue cannot be read just now"))?;
    let first = sold(&lines, &products)?;
    let items = lines.iter().map(|line| line.quantity.get()).sum();
    // Nobody asks for it again: a new trace, unless the client has one.
    let trace = trace.or_root(Uuid::new_v4());
    Ok(Json(api.parcels.quote(QuoteParcel { items, currency: first.price.currency, trace }).await))
}

/// Each line names what is sold, all in one currency; the first of them.
fn sold<'a>(lines: &[Line], products: &'a [Product]) -> Result<&'a Product, Problem> {
    let wrong = |code, detail: String| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail);
    for Line { sku, .. } in lines {
        match products.iter().find(|product| product.sku == *sku) {
            None => return Err(wrong(refusals::UNKNOWN_PRODUCT, format!("there is no product {sku}"))),
            Some(product) if product.retired => {
                return Err(wrong(refusals::RETIRED_PRODUCT, format!("product {sku} is no longer sold")));
            }
            Some(_) => {}
        }
    }
    let first =
        products.first().ok_or_else(|| wrong(refusals::UNKNOWN_PRODUCT, "nothing is sold".to_owned()))?;
    if products.iter().any(|product| product.price.currency != first.price.currency) {
        return Err(wrong(refusals::PRICE, "the products are sold in several currencies".to_owned()));
    }
    Ok(first)
}
