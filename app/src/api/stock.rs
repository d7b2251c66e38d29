//! `/v1/stock`, for staff.

use axum::{
    Json,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
};
use banyan_kernel::{Context, Line, OrderId, Sku};
use banyan_net::{Principal, Problem};
use inventory_api::{RECEIPT_LINES_MAX, ReceiveStock, StockLevel, StockReceived};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{
    Api,
    body::Body,
    done,
    idempotency::{IdempotencyKey, replayed},
    lines::{self, WantedLine},
    trace::ClientTrace,
};

/// What came in.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Receipt {
    /// Each product once.
    #[schema(min_items = 1, max_items = 200)]
    lines: Vec<WantedLine>,
}

/// Books a delivery into stock (staff).
#[utoipa::path(
    post, path = "/v1/stock/receipts", tag = "inventory", security(("bearer" = [])),
    params(("Idempotency-Key" = String, Header, description = "1 to 255 visible ASCII characters")),
    request_body = Receipt,
    responses(
        (status = 201, description = "Booked.", body = StockReceived),
        (status = 400, description = "Malformed JSON, or no Idempotency-Key.", body = Problem),
        (status = 401, description = "No valid token.", body = Problem),
        (status = 403, description = "Not staff.", body = Problem),
        (status = 408, description = "The body came too slowly.", body = Problem),
        (status = 413, description = "The body is too large.", body = Problem),
        (status = 415, description = "Not JSON.", body = Problem),
        (status = 422, description = "Invalid lines, or the key was used with others.", body = Problem),
        (status = 500, description = "Our fault; it has been logged.", body = Problem),
        (status = 503, description = "Not now; ask again with the same key.", body = Problem),
    )
)]
pub(crate) async fn receive_stock(
    State(api): State<Api>,
    principal: Principal,
    IdempotencyKey(key): IdempotencyKey,
    trace: ClientTrace,
    Body(receipt): Body<Receipt>,
) -> Result<(StatusCode, HeaderMap, Json<StockReceived>), Problem> {
    principal.staff()?;
    lines::check("a receipt", &receipt.lines, RECEIPT_LINES_MAX)?;
    let trace = trace.or_root(OrderId::derive(&principal.0.to_string(), &key));
    let key = format!("{}/{key}", principal.0);
    let context = Context { actor: principal.0, trace };
    let batch = vec![ReceiveStock { key, lines: receipt.lines.into_iter().map(Line::from).collect() }];
    let answer = api.inventory.receive(context, batch).await.pop();
    let answer = answer.ok_or_else(|| Problem::unavailable("inventory did not answer"))?;
    let received = done(answer, |_| StatusCode::UNPROCESSABLE_ENTITY)?;
    Ok((StatusCode::CREATED, replayed(received.repeated), Json(received)))
}

/// Shows how much there is of a product (staff).
#[utoipa::path(
    get, path = "/v1/stock/{sku}", tag = "inventory", security(("bearer" = [])),
    params(("sku" = String, Path, description = "Its SKU.")),
    responses(
        (status = 200, description = "The level.", body = StockLevel),
        (status = 401, description = "No valid token.", body = Problem),
        (status = 403, description = "Not staff.", body = Problem),
        (status = 404, description = "Never received.", body = Problem),
        (status = 500, description = "Our fault; it has been logged.", body = Problem),
        (status = 503, description = "Not now; ask again.", body = Problem),
    )
)]
pub(crate) async fn show_stock(
    State(api): State<Api>,
    principal: Principal,
    Path(sku): Path<String>,
) -> Result<Json<StockLevel>, Problem> {
    principal.staff()?;
    let unknown =
        || Problem::new(StatusCode::NOT_FOUND, "unknown_product", "this product was never received");
    let sku: Sku = sku.parse().map_err(|_| unknown())?;
    let mut levels = done(api.inventory.levels(vec![sku]).await, |_| StatusCode::NOT_FOUND)?;
    levels.pop().map(Json).ok_or_else(unknown)
}
