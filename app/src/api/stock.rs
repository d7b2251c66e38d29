//! `/v1/stock`, for staff.

use std::collections::BTreeSet;

use axum::{
    Json,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
};
use banyan_kernel::{Context, Line, OrderId, Place, Sku};
use banyan_net::{Principal, Problem};
use inventory_api::{
    AdjustStock, Availability, Finding, RECEIPT_LINES_MAX, ReceiveStock, StockLevel, StockMovement, refusals,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    Api,
    body::Body,
    consistency::{AtLeast, Token, token},
    done,
    idempotency::{IdempotencyKey, replayed},
    lines::{self, WantedLine},
    products::{unavailable, unknown},
    query::Asked,
    read_orders::PageQuery,
    reason::Reason,
    trace::RequestTrace,
};

/// What came in.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Receipt {
    /// Each product once.
    #[schema(min_items = 1, max_items = 200)]
    lines: Vec<WantedLine>,
    /// Where it was put: `main`, or where it stands already, if nothing is said. A product stands at one place; it moves to another
    /// with the first receipt there once nothing of it is left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    place: Option<Place>,
}

/// Books a delivery into stock (staff).
#[utoipa::path(
    post, path = "/v1/stock/receipts", tag = "inventory", security(("bearer" = [])),
    params(("Idempotency-Key" = String, Header, description = "1 to 255 visible ASCII characters, none of them a blank", pattern = "^[!-~]{1,255}$")),
    request_body = Receipt,
    responses(
        (status = 201, description = "Booked; what came in.", body = Receipt),
        (status = 400, description = "Malformed JSON, or no Idempotency-Key.", body = Problem),
        (status = 401, description = "No valid token.", body = Problem),
        (status = 403, description = "Not staff.", body = Problem),
        (status = 408, description = "The body came too slowly.", body = Problem),
        (status = 413, description = "The body is too large.", body = Problem),
        (status = 415, description = "Not JSON.", body = Problem),
        (status = 422, description = "Invalid lines, a product that the catalogue does not know or of which some is left at another place, or the key was used with others.", body = Problem),
        (status = 500, description = "Our fault; it has been logged.", body = Problem),
        (status = 503, description = "Not now; ask again with the same key.", body = Problem),
    )
)]
pub(crate) async fn receive_stock(
    State(api): State<Api>,
    principal: Principal,
    IdempotencyKey(key): IdempotencyKey,
    trace: RequestTrace,
    Body(receipt): Body<Receipt>,
) -> Result<(StatusCode, HeaderMap, Json<Receipt>), Problem> {
    principal.staff()?;
    lines::check("a receipt", &receipt.lines, RECEIPT_LINES_MAX)?;
    all_known(&api, &receipt.lines).await?;
    let trace = trace.or_root(OrderId::derive(&principal.0.to_string(), &key).0);
    let key = format!("{}/{key}", principal.0);
    let context = Context { actor: principal.0, trace };
    let lines = receipt.lines.iter().cloned().map(Line::from).collect();
    let batch = vec![ReceiveStock { key, lines, place: receipt.place.clone() }];
    let answer = api.inventory.receive(context, batch).await.pop();
    let answer = answer.ok_or_else(|| Problem::unavailable("inventory did not answer"))?;
    let received = done(answer, |_| StatusCode::UNPROCESSABLE_ENTITY)?;
    let mut headers = replayed(received.repeated);
    token(&mut headers, &Token::Stock(received.told));
    Ok((StatusCode::CREATED, headers, Json(receipt)))
}

/// What is not in the catalogue was mistyped; what is retired may come back.
async fn all_known(api: &Api, lines: &[WantedLine]) -> Result<(), Problem> {
    let known = api.catalog.products(lines.iter().map(|line| line.sku.clone()).collect()).await;
    let known: BTreeSet<Sku> =
        known.map_err(|error| unavailable(&error))?.into_iter().map(|product| product.sku).collect();
    match lines.iter().find(|line| !known.contains(&line.sku)) {
        None => Ok(()),
        Some(line) => {
            let detail = format!("there is no product {}", line.sku);
            Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "unknown_product", detail))
        }
    }
}

/// What was found.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct WantedAdjustment {
    /// Which product.
    sku: Sku,
    /// So many more, or fewer, than the books say; or `counted`.
    by: Option<i64>,
    /// So many on the shelf, those kept for orders included; or `by`.
    #[schema(minimum = 0)]
    counted: Option<i64>,
    /// In a few words, 1 to 200 characters; no personal data, it is kept for good.
    #[schema(value_type = String, min_length = 1, max_length = 200, example = "a broken jar")]
    reason: Reason,
}

/// Beyond it, somebody mistyped.
const QUANTITY_MAX: i64 = 1_000_000_000;

impl WantedAdjustment {
    fn finding(&self) -> Result<Finding, Problem> {
        let wrong = |detail| Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_body", detail));
        match (self.by, self.counted) {
            (Some(by), None) if by != 0 && by.unsigned_abs() <= QUANTITY_MAX.unsigned_abs() => {
                Ok(Finding::By(by))
            }
            (None, Some(counted)) if (0..=QUANTITY_MAX).contains(&counted) => Ok(Finding::Counted(counted)),
            (Some(_), Some(_)) | (None, None) => wrong("say either by how much, or what was counted"),
            _ => wrong("a difference is not nought, a count not below it, and neither above 1,000,000,000"),
        }
    }
}

/// What was booked of it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Adjustment {
    /// By how much what is free changed.
    quantity: i64,
}

/// Makes the books say what was found on the shelf (staff).
#[utoipa::path(
    post, path = "/v1/stock/adjustments", tag = "inventory", security(("bearer" = [])),
    params(("Idempotency-Key" = String, Header, description = "1 to 255 visible ASCII characters, none of them a blank", pattern = "^[!-~]{1,255}$")),
    request_body = WantedAdjustment,
    responses(
        (status = 201, description = "Booked; by how much what is free changed.", body = Adjustment),
        (status = 400, description = "Malformed JSON, or no Idempotency-Key.", body = Problem),
        (status = 401, description = "No valid token.", body = Problem),
        (status = 403, description = "Not staff.", body = Problem),
        (status = 404, description = "Never received.", body = Problem),
        (status = 408, description = "The body came too slowly.", body = Problem),
        (status = 413, description = "The body is too large.", body = Problem),
        (status = 415, description = "Not JSON.", body = Problem),
        (status = 422, description = "An invalid finding, fewer than are kept for orders, or the key was used for another.", body = Problem),
        (status = 500, description = "Our fault; it has been logged.", body = Problem),
        (status = 503, description = "Not now; ask again with the same key.", body = Problem),
    )
)]
pub(crate) async fn adjust_stock(
    State(api): State<Api>,
    principal: Principal,
    IdempotencyKey(key): IdempotencyKey,
    trace: RequestTrace,
    Body(wanted): Body<WantedAdjustment>,
) -> Result<(StatusCode, HeaderMap, Json<Adjustment>), Problem> {
    principal.staff()?;
    let finding = wanted.finding()?;
    let trace = trace.or_root(OrderId::derive(&principal.0.to_string(), &key).0);
    let key = format!("{}/{key}", principal.0);
    let context = Context { actor: principal.0, trace };
    let wish = AdjustStock { key, sku: wanted.sku, finding, reason: wanted.reason.0 };
    let adjusted = done(api.stock_keeping.adjust(context, wish).await, |code| match code {
        refusals::UNKNOWN_PRODUCT => StatusCode::NOT_FOUND,
        _ => StatusCode::UNPROCESSABLE_ENTITY,
    })?;
    let mut headers = replayed(adjusted.repeated);
    token(&mut headers, &Token::Stock(adjusted.told));
    Ok((StatusCode::CREATED, headers, Json(Adjustment { quantity: adjusted.quantity })))
}

/// A page of movements, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MovementsPage {
    /// The movements.
    movements: Vec<StockMovement>,
    /// Where the next page begins; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// Lists where a product's free stock came from and where it went, newest first (staff).
#[utoipa::path(
    get, path = "/v1/stock/{sku}/movements", tag = "inventory", security(("bearer" = [])),
    params(("sku" = Sku, Path, description = "Its SKU."), PageQuery),
    responses(
        (status = 200, description = "A page.", body = MovementsPage),
        (status = 400, description = "No such limit, or a cursor that is none of this list.", body = Problem),
        (status = 401, description = "No valid token.", body = Problem),
        (status = 403, description = "Not staff.", body = Problem),
        (status = 404, description = "No such SKU.", body = Problem),
        (status = 500, description = "Our fault; it has been logged.", body = Problem),
        (status = 503, description = "Not now; ask again.", body = Problem),
    )
)]
pub(crate) async fn list_movements(
    State(api): State<Api>,
    principal: Principal,
    Path(sku): Path<String>,
    Asked(query): Asked<PageQuery>,
) -> Result<Json<MovementsPage>, Problem> {
    principal.may_read_all()?;
    let sku: Sku = sku.parse().map_err(|_| unknown())?;
    let limit = query.limit()?;
    let list = api.cursors.of("movements", &sku);
    let before = list.open(query.cursor.as_deref(), parse_place)?;
    let movements = api.stock_keeping.movements(sku.clone(), before, limit).await;
    let movements = done(movements, |_| StatusCode::UNPROCESSABLE_ENTITY)?;
    let next = movements.last().filter(|_| movements.len() == usize::from(limit));
    let next = next.map(|last| list.seal(&last.place.map(|number| format!("{number:x}")).join(".")));
    Ok(Json(MovementsPage { movements, next }))
}

fn parse_place(text: &str) -> Option<[i64; 3]> {
    let number = |text: &str| i64::from_str_radix(text, 16).ok().filter(|number| *number >= 0);
    let parts: Vec<i64> = text.split('.').map(number).collect::<Option<_>>()?;
    parts.try_into().ok()
}

/// Tells how many of a product could be bought, and as of when. Needs no token.
///
/// It is a read model: a moment after a delivery it may not have it yet. Send the write's `Consistency-Token` with the request to be
/// told at least that; it is waited for, up to two seconds.
#[utoipa::path(
    get, path = "/v1/products/{sku}/availability", tag = "catalog", security(()),
    params(("sku" = Sku, Path, description = "Its SKU.")),
    responses(
        (status = 200, description = "The count: a read model, which may be behind.", body = Availability),
        (status = 404, description = "Neither in the catalogue nor ever received.", body = Problem),
        (status = 412, description = "The count has not come to the Consistency-Token yet; ask again.", body = Problem),
        (status = 500, description = "Our fault; it has been logged.", body = Problem),
        (status = 503, description = "Not now; ask again.", body = Problem),
    )
)]
pub(crate) async fn show_availability(
    State(api): State<Api>,
    at_least: AtLeast,
    Path(sku): Path<String>,
) -> Result<Json<Availability>, Problem> {
    let sku: Sku = sku.parse().map_err(|_| unknown())?;
    let told = api.stock_keeping.availability(vec![sku.clone()], at_least.told_of_stock()).await;
    let told = done(told, |code| match code {
        refusals::BEHIND => StatusCode::PRECONDITION_FAILED,
        _ => StatusCode::NOT_FOUND,
    })?;
    match told.into_iter().next() {
        Some(told) => Ok(Json(told)),
        None => Ok(Json(Availability { sku: awaited(&api, sku).await?, available: 0, as_of: None })),
    }
}

/// The SKU again, if that product is in the catalogue: of what never came in there is nothing, and of what nobody knows there is no word.
async fn awaited(api: &Api, sku: Sku) -> Result<Sku, Problem> {
    let products = api.catalog.products(vec![sku.clone()]).await.map_err(|error| unavailable(&error))?;
    if products.is_empty() { Err(unknown()) } else { Ok(sku) }
}

/// Shows how much there is of a product (staff).
#[utoipa::path(
    get, path = "/v1/stock/{sku}", tag = "inventory", security(("bearer" = [])),
    params(("sku" = Sku, Path, description = "Its SKU.")),
    responses(
        (status = 200, description = "The level.", body = StockLevel),
        (status = 401, description = "No valid token.", body = Problem),
        (status = 403, description = "Not staff.", body = Problem),
        (status = 404, description = "Neither in the catalogue nor ever received.", body = Problem),
        (status = 500, description = "Our fault; it has been logged.", body = Problem),
        (status = 503, description = "Not now; ask again.", body = Problem),
    )
)]
pub(crate) async fn show_stock(
    State(api): State<Api>,
    principal: Principal,
    Path(sku): Path<String>,
) -> Result<Json<StockLevel>, Problem> {
    principal.may_read_all()?;
    let sku: Sku = sku.parse().map_err(|_| unknown())?;
    let level = done(api.inventory.levels(vec![sku.clone()]).await, |_| StatusCode::NOT_FOUND)?.pop();
    match level {
        Some(level) => Ok(Json(level)),
        None => Ok(Json(StockLevel::none(awaited(&api, sku).await?))),
    }
}
