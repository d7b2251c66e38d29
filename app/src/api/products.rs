//! `/v1/products`

use axum::{
    Json,
    extract::{Path, Query, State},
    http::StatusCode,
};
use banyan_kernel::{Context, OrderId, Sku};
use banyan_net::{Principal, Problem};
use catalog_api::{Product, PutProduct};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{Api, body::Body, idempotency::IdempotencyKey, trace::ClientTrace};

/// Most products put in one call.
const PRODUCTS_MAX: usize = 200;
/// One hundred million in major units.
const PRICE_MINOR_MAX: i64 = 10_000_000_000;

/// Which page of products.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProductsQuery {
    /// Only products after this SKU.
    after: Option<String>,
    /// At most so many, 1 to 200; 50 unless told.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u16>,
}

/// Products, in SKU order.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Products {
    /// The products.
    products: Vec<Product>,
}

/// A product as staff want it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct WantedProduct {
    /// Its stock-keeping unit.
    sku: Sku,
    /// For people.
    #[schema(min_length = 1, max_length = 200)]
    name: String,
    /// To group by.
    #[schema(max_length = 100)]
    category: String,
    /// What one costs, in minor units.
    #[schema(minimum = 1, maximum = 10_000_000_000_i64)]
    price_minor: i64,
    /// ISO 4217.
    currency: banyan_kernel::Currency,
}

/// Products as staff want them.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct WantedProducts {
    /// Each SKU once.
    #[schema(min_items = 1, max_items = 200)]
    products: Vec<WantedProduct>,
}

/// Lists products in SKU order. Needs no token.
#[utoipa::path(
    get, path = "/v1/products", tag = "catalog", security(()), params(ProductsQuery),
    responses(
        (status = 200, description = "A page.", body = Products),
        (status = 400, description = "No such SKU or limit.", body = Problem),
        (status = 503, description = "Not now; ask again.", body = Problem),
    )
)]
pub(crate) async fn list_products(
    State(api): State<Api>,
    query: Result<Query<ProductsQuery>, axum::extract::rejection::QueryRejection>,
) -> Result<Json<Products>, Problem> {
    let wrong = |detail: String| Problem::new(StatusCode::BAD_REQUEST, "invalid_query", detail);
    let Query(query) = query.map_err(|error| wrong(error.body_text()))?;
    let after = query.after.map(Sku::try_from).transpose().map_err(|error| wrong(error.to_string()))?;
    let limit = query.limit.unwrap_or(50);
    if !(1..=200).contains(&limit) {
        return Err(wrong("limit is 1 to 200".to_owned()));
    }
    let products = api.catalog.page(after, limit).await.map_err(|error| unavailable(&error))?;
    Ok(Json(Products { products }))
}

/// Shows a product. Needs no token.
#[utoipa::path(
    get, path = "/v1/products/{sku}", tag = "catalog", security(()),
    params(("sku" = String, Path, description = "Its SKU.")),
    responses(
        (status = 200, description = "The product.", body = Product),
        (status = 404, description = "No such product.", body = Problem),
        (status = 503, description = "Not now; ask again.", body = Problem),
    )
)]
pub(crate) async fn show_product(
    State(api): State<Api>,
    Path(sku): Path<String>,
) -> Result<Json<Product>, Problem> {
    let unknown = || Problem::new(StatusCode::NOT_FOUND, "unknown_product", "there is no such product");
    let sku: Sku = sku.parse().map_err(|_| unknown())?;
    let mut products = api.catalog.products(vec![sku]).await.map_err(|error| unavailable(&error))?;
    products.pop().map(Json).ok_or_else(unknown)
}

/// Creates or changes products (staff). One that already stands so is left alone.
#[utoipa::path(
    post, path = "/v1/products", tag = "catalog", security(("bearer" = [])),
    params(("Idempotency-Key" = String, Header, description = "1 to 255 visible ASCII characters")),
    request_body = WantedProducts,
    responses(
        (status = 200, description = "As they stand now.", body = Products),
        (status = 400, description = "Malformed JSON, or no Idempotency-Key.", body = Problem),
        (status = 401, description = "No valid token.", body = Problem),
        (status = 403, description = "Not staff.", body = Problem),
        (status = 408, description = "The body came too slowly.", body = Problem),
        (status = 413, description = "The body is too large.", body = Problem),
        (status = 415, description = "Not JSON.", body = Problem),
        (status = 422, description = "An invalid product.", body = Problem),
        (status = 503, description = "Not now; ask again.", body = Problem),
    )
)]
pub(crate) async fn put_products(
    State(api): State<Api>,
    principal: Principal,
    IdempotencyKey(key): IdempotencyKey,
    trace: ClientTrace,
    Body(wanted): Body<WantedProducts>,
) -> Result<Json<Products>, Problem> {
    principal.staff()?;
    let products = check(wanted)?;
    let trace = trace.or_root(OrderId::derive(&principal.0.to_string(), &key));
    let context = Context { actor: principal.0, trace };
    let products = api.catalog.put(context, products).await.map_err(|error| unavailable(&error))?;
    Ok(Json(Products { products }))
}

fn check(wanted: WantedProducts) -> Result<Vec<PutProduct>, Problem> {
    let wrong = |detail: String| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_body", detail);
    if wanted.products.is_empty() || wanted.products.len() > PRODUCTS_MAX {
        return Err(wrong(format!("put 1 to {PRODUCTS_MAX} products")));
    }
    let mut seen = std::collections::BTreeSet::new();
    let put = wanted.products.into_iter().map(|product| {
        let WantedProduct { sku, name, category, price_minor, currency } = product;
        let plain = |text: &str| !text.chars().any(char::is_control);
        if !seen.insert(sku.clone()) {
            return Err(wrong(format!("product {sku} is named twice")));
        }
        if !(1..=200).contains(&name.chars().count())
            || category.chars().count() > 100
            || !plain(&name)
            || !plain(&category)
        {
            return Err(wrong(format!(
                "product {sku}: a name has 1 to 200 characters, a category at most 100"
            )));
        }
        if !(1..=PRICE_MINOR_MAX).contains(&price_minor) {
            return Err(wrong(format!("product {sku}: a price is 1 to {PRICE_MINOR_MAX} minor units")));
        }
        Ok(PutProduct { sku, name, category, price: banyan_kernel::Money { minor: price_minor, currency } })
    });
    put.collect()
}

fn unavailable(error: &catalog_api::Unavailable) -> Problem {
    tracing::warn!(why = error.0, "catalog is not available");
    Problem::unavailable("the catalogue cannot be read just now")
}
