//! `/v1/products` and `/v1/categories`: what is sold.

use std::collections::BTreeMap;

use axum::{
    Json,
    extract::{Path, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::Response,
};
use banyan_kernel::{Context, Money, OrderId, Sku, unseen};
use banyan_net::{Principal, Problem};
use catalog_api::{
    After, Category, Expected, Found, IMAGES_MAX, ListProducts, Product, ProductsPut, PutProduct,
    PutProducts, refusals,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::{
    Api,
    body::Body,
    consistency::{AtLeast, Token, behind, token},
    cursors::List,
    done,
    idempotency::{IdempotencyKey, replayed},
    query::Asked,
    read_orders::limit_of,
    tags::{KeptBy, tagged, unless_known},
    trace::RequestTrace,
};

/// Most products put in one call.
const PRODUCTS_MAX: usize = 200;
/// One hundred million in major units.
pub(crate) const PRICE_MINOR_MAX: i64 = 10_000_000_000;
const NAME_CHARACTERS_MAX: usize = 200;
const SEARCH_CHARACTERS_MAX: usize = 200;
const CATEGORY_CHARACTERS_MAX: usize = 100;
const DESCRIPTION_CHARACTERS_MAX: usize = 2_000;
const LINK_BYTES_MAX: usize = 500;

/// Which page of products.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProductsQuery {
    /// Words to be found in name, category or description: `"whole phrase"`, `-not`, `or`. The best come first. Of blanks alone it is
    /// no search: all are listed.
    #[param(value_type = String, required = false, max_length = 200, pattern = "^[^\\x00]*$")]
    search: Option<String>,
    /// Of this category alone.
    #[param(value_type = String, required = false, max_length = 100, pattern = "^[^\\x00]*$")]
    category: Option<String>,
    /// The `next` of the page before, with the same search and category.
    #[param(value_type = String, required = false, pattern = "^[A-Za-z0-9._-]+[.][0-9a-f]{32}$")]
    cursor: Option<String>,
    /// At most so many, 1 to 200; 50 unless told.
    #[param(value_type = u16, required = false, minimum = 1, maximum = 200)]
    limit: Option<u16>,
}

/// A page of products: in SKU order, or the best found first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ProductsPage {
    /// The products.
    products: Vec<Product>,
    /// Where the next page begins; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// Products as they stand now.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Products {
    /// The products.
    products: Vec<Product>,
}

/// All categories.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Categories {
    /// By name.
    categories: Vec<Category>,
}

/// A product as staff want it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct WantedProduct {
    /// Its stock-keeping unit.
    sku: Sku,
    /// For people; not of blanks alone.
    #[schema(min_length = 1, max_length = 200, pattern = "[^\\s]")]
    name: String,
    /// To group by; empty for none, and not of blanks alone.
    #[schema(max_length = 100, pattern = "^$|[^\\s]")]
    category: String,
    /// For people.
    #[serde(default)]
    #[schema(max_length = 2_000)]
    description: String,
    /// Links to pictures, `https://...`, the best first.
    #[serde(default)]
    #[schema(max_items = 10)]
    images: Vec<String>,
    /// What one costs, in minor units.
    #[schema(minimum = 1, maximum = 10_000_000_000_i64)]
    price_minor: i64,
    /// ISO 4217; the same for all products.
    currency: banyan_kernel::Currency,
    /// Among several: the version that the asker has seen of a product that is to be changed. Of one alone, `If-Match` says it.
    #[schema(minimum = 1)]
    version: Option<i64>,
}

/// Products as staff want them.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct WantedProducts {
    /// Each SKU once.
    #[schema(min_items = 1, max_items = 200)]
    products: Vec<WantedProduct>,
}

fn wrong(code: &str, detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, code, detail)
}

/// Lists products that are sold. Needs no token.
#[utoipa::path(
    get, path = "/v1/products", tag = "catalog", security(()), params(ProductsQuery),
    responses(
        (status = 200, description = "A page.", body = ProductsPage),
        (status = 400, description = "No such limit or search, or a cursor that is none of this list.", body = Problem),
        (status = 503, description = "Not now; ask again.", body = Problem),
    )
)]
pub(crate) async fn list_products(
    State(api): State<Api>,
    Asked(query): Asked<ProductsQuery>,
) -> Result<Json<ProductsPage>, Problem> {
    let query = checked(query)?;
    let list = api.cursors.of("products", (&query.search, &query.category));
    let which = which(&list, &query)?;
    let limit = usize::from(which.limit);
    let by_rank = which.search.is_some();
    let found = api.catalog.list(which).await.map_err(|error| unavailable(&error))?;
    let next = found.last().filter(|_| found.len() == limit).map(|last| list.seal(&place(last, by_rank)));
    Ok(Json(ProductsPage { products: found.into_iter().map(|found| found.product).collect(), next }))
}

/// Whoever leaves a field of a form empty looks for nothing, and is shown what there is.
fn checked(query: ProductsQuery) -> Result<ProductsQuery, Problem> {
    let said = |text: Option<String>| text.filter(|text| !text.trim().is_empty());
    let query = ProductsQuery { search: said(query.search), category: said(query.category), ..query };
    for (name, text, most) in [
        ("search", &query.search, SEARCH_CHARACTERS_MAX),
        ("category", &query.category, CATEGORY_CHARACTERS_MAX),
    ] {
        let text = text.as_deref().unwrap_or_default();
        if text.chars().count() > most {
            return Err(wrong("invalid_query", format!("{name} has at most {most} characters")));
        }
        if text.contains('\0') {
            return Err(wrong(
                "invalid_query",
                format!("{name} has the character U+0000 in it, which no text has"),
            ));
        }
    }
    Ok(query)
}

fn which(list: &List<'_>, query: &ProductsQuery) -> Result<ListProducts, Problem> {
    let (search, category) = (query.search.clone(), query.category.clone());
    let after = list.open(query.cursor.as_deref(), |place| parse_place(place, search.is_some()))?;
    Ok(ListProducts { search, category, after, limit: limit_of(query.limit)? })
}

/// SKU, and the rank of what was searched for.
fn place(last: &Found, by_rank: bool) -> String {
    let sku = last.product.sku.as_str();
    if by_rank { format!("{:08x}.{sku}", last.rank.to_bits()) } else { sku.to_owned() }
}

fn parse_place(text: &str, by_rank: bool) -> Option<After> {
    if !by_rank {
        return Some(After { rank: 0.0, sku: text.parse().ok()? });
    }
    let (rank, sku) = text.split_at_checked(8)?;
    let rank = f32::from_bits(u32::from_str_radix(rank, 16).ok()?);
    let sku = sku.strip_prefix('.')?.parse().ok()?;
    (rank.is_finite() && rank >= 0.0).then_some(After { rank, sku })
}

/// Lists the categories of what is sold. Needs no token.
#[utoipa::path(
    get, path = "/v1/categories", tag = "catalog", security(()),
    responses(
        (status = 200, description = "All of them, by name.", body = Categories),
        (status = 503, description = "Not now; ask again.", body = Problem),
    )
)]
pub(crate) async fn list_categories(State(api): State<Api>) -> Result<Json<Categories>, Problem> {
    let categories = api.catalog.categories().await.map_err(|error| unavailable(&error))?;
    Ok(Json(Categories { categories }))
}

/// Shows a product, also one that is retired. Needs no token.
///
/// It is read through a cache, which hears of changes after a moment: who has just changed it elsewhere sends the write's
/// `Consistency-Token` to see at least that.
#[utoipa::path(
    get, path = "/v1/products/{sku}", tag = "catalog", security(()),
    params(
        ("sku" = Sku, Path, description = "Its SKU."),
        ("If-None-Match" = Option<String>, Header, description = "The `ETag` last seen, several of them, or `*`."),
    ),
    responses(
        (status = 200, description = "The product; `ETag` is its version.", body = Product),
        (status = 304, description = "Not changed."),
        (status = 404, description = "No such product.", body = Problem),
        (status = 412, description = "It has not come to the Consistency-Token: no such change was committed.", body = Problem),
        (status = 503, description = "Not now; ask again.", body = Problem),
    )
)]
pub(crate) async fn show_product(
    State(api): State<Api>,
    at_least: AtLeast,
    headers: HeaderMap,
    Path(sku): Path<String>,
) -> Result<Response, Problem> {
    let sku: Sku = sku.parse().map_err(|_| unknown())?;
    let kept = api.catalog.products(vec![sku.clone()]).await.map_err(|error| unavailable(&error))?.pop();
    let product = if at_least.may_lack(&sku, kept.as_ref().map(|product| product.version)) {
        api.catalog.products_now(vec![sku]).await.map_err(|error| unavailable(&error))?.pop()
    } else {
        kept
    };
    let product = product.ok_or_else(unknown)?;
    if at_least.exceeds_product(&product.sku, product.version) {
        // What was committed has been read: there is nothing to wait for.
        return Err(behind("the product has not come to what you ask to see"));
    }
    Ok(unless_known(&headers, product.version, KeptBy::Anybody, Json(product)))
}

pub(super) fn unknown() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "unknown_product", "there is no such product")
}

/// Creates products, or changes those of which it says the version that was seen (staff), all or none.
///
/// One that already stands so is left alone. One that stands otherwise, or was retired, is changed only where `version` says how it stands
/// now; else nothing is done (409), and the first such product is named.
#[utoipa::path(
    post, path = "/v1/products", tag = "catalog", security(("bearer" = [])),
    params(("Idempotency-Key" = String, Header, description = "1 to 255 visible ASCII characters, none of them a blank", pattern = "^[!-~]{1,255}$")),
    request_body = WantedProducts,
    responses(
        (status = 200, description = "As they stood when it was done; `Idempotent-Replayed: true` when that was another time.", body = Products),
        (status = 400, description = "Malformed JSON, or no Idempotency-Key.", body = Problem),
        (status = 401, description = "No valid token.", body = Problem),
        (status = 403, description = "Not staff.", body = Problem),
        (status = 408, description = "The body came too slowly.", body = Problem),
        (status = 409, description = "A product stands otherwise, at a version that was not said: look again.", body = Problem),
        (status = 413, description = "The body is too large.", body = Problem),
        (status = 415, description = "Not JSON.", body = Problem),
        (status = 422, description = "An invalid product, a price in another currency, or the key was used for other products.", body = Problem),
        (status = 500, description = "Our fault; it has been logged.", body = Problem),
        (status = 503, description = "Not now; ask again.", body = Problem),
    )
)]
pub(crate) async fn put_products(
    State(api): State<Api>,
    principal: Principal,
    IdempotencyKey(key): IdempotencyKey,
    trace: RequestTrace,
    Body(wanted): Body<WantedProducts>,
) -> Result<(HeaderMap, Json<Products>), Problem> {
    principal.staff()?;
    let seen = seen(&wanted);
    let products = check_all(wanted)?;
    let name = OrderId::derive(&principal.0.to_string(), &key).0;
    let trace = trace.or_root(name);
    let wish = PutProducts { key: format!("{}/{key}", principal.0), products, seen: Some(seen) };
    let context = Context { actor: principal.0, trace };
    let put = done(api.catalog.put(context, wish).await, |code| match code {
        // Not of the request's headers, as of one alone, but of what is in it.
        refusals::STALE_VERSION => StatusCode::CONFLICT,
        _ => StatusCode::UNPROCESSABLE_ENTITY,
    });
    let ProductsPut { products, repeated } = put?;
    let mut headers = replayed(repeated);
    token(&mut headers, &Token::Products(name));
    Ok((headers, Json(Products { products })))
}

/// Creates or changes one product, as long as it stands as the asker saw it (staff).
///
/// `If-Match` with its `ETag` changes it; `If-None-Match: *` creates it. One that was retired is sold again by it: who does not want
/// that sees `retired` in what the `ETag` came with.
#[utoipa::path(
    put, path = "/v1/products/{sku}", tag = "catalog", security(("bearer" = [])),
    params(
        ("sku" = Sku, Path, description = "Its SKU."),
        ("If-Match" = Option<String>, Header, description = "The `ETag` of the product to be changed.", pattern = "^\"[1-9][0-9]{0,17}\"$"),
        ("If-None-Match" = Option<String>, Header, description = "`*`: there must be no such product yet.", pattern = "^[*]$"),
    ),
    request_body = WantedProduct,
    responses(
        (status = 200, description = "As it stands now; `ETag` is its version.", body = Product),
        (status = 400, description = "Malformed JSON, SKU or tag.", body = Problem),
        (status = 401, description = "No valid token.", body = Problem),
        (status = 403, description = "Not staff.", body = Problem),
        (status = 404, description = "No such path: the SKU is no text.", body = Problem),
        (status = 408, description = "The body came too slowly.", body = Problem),
        (status = 412, description = "It does not stand so any more: look again.", body = Problem),
        (status = 413, description = "The body is too large.", body = Problem),
        (status = 415, description = "Not JSON.", body = Problem),
        (status = 422, description = "An invalid product, another SKU than the path's, or a price in another currency.", body = Problem),
        (status = 428, description = "Neither `If-Match` nor `If-None-Match: *`.", body = Problem),
        (status = 500, description = "Our fault; it has been logged.", body = Problem),
        (status = 503, description = "Not now; ask again.", body = Problem),
    )
)]
pub(crate) async fn change_product(
    State(api): State<Api>,
    principal: Principal,
    headers: HeaderMap,
    trace: RequestTrace,
    Path(sku): Path<String>,
    Body(wanted): Body<WantedProduct>,
) -> Result<(HeaderMap, Json<Product>), Problem> {
    principal.staff()?;
    let sku: Sku = sku
        .parse()
        .map_err(|_| wrong("invalid_sku", "a SKU is 1 to 32 of A-Z a-z 0-9 . _ -, and not dots alone"))?;
    let expected = expected(&headers)?;
    if wanted.sku != sku {
        let detail = "the body's SKU is the path's";
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_body", detail));
    }
    if wanted.version.is_some() {
        let detail = "of one product, If-Match says which version was seen";
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_body", detail));
    }
    let wish = check(wanted)?;
    let context = Context { actor: principal.0, trace: trace.or_root(Uuid::new_v4()) };
    let product = done(api.catalog.change(context, wish, expected).await, status)?;
    Ok((written(&product), Json(product)))
}

/// RFC 9110, section 13.1: a tag that is none matches nothing.
fn expected(headers: &HeaderMap) -> Result<Expected, Problem> {
    let text = |name| headers.get(name).map(|value: &HeaderValue| value.to_str().unwrap_or_default().trim());
    match (text(header::IF_MATCH), text(header::IF_NONE_MATCH)) {
        (Some(tag), None) => {
            let version = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"')?.parse().ok());
            version
                .map(Expected::Version)
                .ok_or_else(|| stands_otherwise("If-Match is one ETag of this product, in its quotes"))
        }
        (None, Some("*")) => Ok(Expected::Absent),
        (Some(_), Some(_)) => Err(stands_otherwise("what is there and is not there cannot be changed")),
        (None, _) => Err(Problem::new(
            StatusCode::PRECONDITION_REQUIRED,
            "precondition_required",
            "send If-Match with the product's ETag, or If-None-Match: * to create it",
        )),
    }
}

fn stands_otherwise(detail: &str) -> Problem {
    Problem::new(StatusCode::PRECONDITION_FAILED, refusals::STALE_VERSION, detail)
}

/// Takes a product out of sale (staff). Orders that have it keep it, and it can still be looked at. Once more changes
/// nothing, so no Idempotency-Key is asked for.
#[utoipa::path(
    post, path = "/v1/products/{sku}/retire", tag = "catalog", security(("bearer" = [])),
    params(("sku" = Sku, Path, description = "Its SKU.")),
    responses(
        (status = 200, description = "As it stands now.", body = Product),
        (status = 401, description = "No valid token.", body = Problem),
        (status = 403, description = "Not staff.", body = Problem),
        (status = 404, description = "No such product.", body = Problem),
        (status = 500, description = "Our fault; it has been logged.", body = Problem),
        (status = 503, description = "Not now; ask again.", body = Problem),
    )
)]
pub(crate) async fn retire_product(
    State(api): State<Api>,
    principal: Principal,
    trace: RequestTrace,
    Path(sku): Path<String>,
) -> Result<(HeaderMap, Json<Product>), Problem> {
    principal.staff()?;
    let sku: Sku = sku.parse().map_err(|_| unknown())?;
    let context = Context { actor: principal.0, trace: trace.or_root(Uuid::new_v4()) };
    let product = done(api.catalog.retire(context, sku).await, status)?;
    Ok((written(&product), Json(product)))
}

fn written(product: &Product) -> HeaderMap {
    let mut headers = tagged(product.version, KeptBy::Asker);
    token(&mut headers, &Token::Product(product.sku.clone(), product.version));
    headers
}

fn status(code: &str) -> StatusCode {
    match code {
        refusals::STALE_VERSION => StatusCode::PRECONDITION_FAILED,
        refusals::UNKNOWN_PRODUCT => StatusCode::NOT_FOUND,
        _ => StatusCode::UNPROCESSABLE_ENTITY,
    }
}

/// The versions that were seen.
fn seen(wanted: &WantedProducts) -> BTreeMap<Sku, i64> {
    let seen = wanted.products.iter().filter_map(|product| Some((product.sku.clone(), product.version?)));
    seen.collect()
}

fn check_all(wanted: WantedProducts) -> Result<Vec<PutProduct>, Problem> {
    let wrong = |detail: String| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_body", detail);
    if wanted.products.is_empty() || wanted.products.len() > PRODUCTS_MAX {
        return Err(wrong(format!("put 1 to {PRODUCTS_MAX} products")));
    }
    let mut seen = std::collections::BTreeSet::new();
    let put = wanted.products.into_iter().map(|product| {
        if !seen.insert(product.sku.clone()) {
            return Err(wrong(format!("product {} is named twice", product.sku)));
        }
        check(product)
    });
    put.collect()
}

fn check(wanted: WantedProduct) -> Result<PutProduct, Problem> {
    let WantedProduct { sku, name, category, description, images, price_minor, currency, .. } = wanted;
    let wrong = |what: String| {
        let detail = format!("product {sku}: {what}");
        Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_body", detail))
    };
    // A description may have lines.
    for (field, text, most) in [
        ("name", name.clone(), NAME_CHARACTERS_MAX),
        ("category", category.clone(), CATEGORY_CHARACTERS_MAX),
        ("description", description.replace('\n', " "), DESCRIPTION_CHARACTERS_MAX),
    ] {
        if text.chars().count() > most {
            return wrong(format!("{field} has at most {most} characters"));
        }
        if let Some(c) = unseen(&text) {
            return wrong(format!(
                "{field} has none but characters that can be seen, and not U+{:04X}",
                u32::from(c)
            ));
        }
    }
    // What nobody can see is no name, and a category like it could not be told from none.
    let blank = |text: &str| text.chars().all(char::is_whitespace);
    if blank(&name) {
        return wrong(format!("name has 1 to {NAME_CHARACTERS_MAX} characters, and not blanks alone"));
    }
    if !category.is_empty() && blank(&category) {
        return wrong("category is empty, or more than blanks".to_owned());
    }
    if images.len() > IMAGES_MAX || !images.iter().all(|link| is_link(link)) {
        return wrong(format!(
            "at most {IMAGES_MAX} pictures, each an https link of at most {LINK_BYTES_MAX} bytes"
        ));
    }
    if !(1..=PRICE_MINOR_MAX).contains(&price_minor) {
        return wrong(format!("a price is 1 to {PRICE_MINOR_MAX} minor units"));
    }
    Ok(PutProduct { sku, name, category, description, images, price: Money { minor: price_minor, currency } })
}

/// Nothing that a browser would run, and nothing of the shop's own network.
fn is_link(text: &str) -> bool {
    let parsed = reqwest::Url::parse(text).ok();
    text.len() <= LINK_BYTES_MAX
        && parsed.is_some_and(|url| url.scheme() == "https" && url.username().is_empty())
}

pub(super) fn unavailable(error: &catalog_api::Unavailable) -> Problem {
    tracing::warn!(why = error.0, "catalog is not available");
    Problem::unavailable("the catalogue cannot be read just now")
}
